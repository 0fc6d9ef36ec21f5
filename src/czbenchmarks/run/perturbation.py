"""Perturbation screens in a run: what drew the target genes, and what the scores leave out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from czbenchmarks.datasets.target_genes import without_targets
from czbenchmarks.results.parts import plain

if TYPE_CHECKING:
    from anndata import AnnData

    from czbenchmarks.results.record import Score

    from .inputs import Plan


def drawn_by(plans: Iterable[Plan], seeds: list[int]) -> dict[str, Any]:
    """Return for the record what drew the target genes: the seeds of the run, or the settings the data name."""
    facts: dict[str, Any] = {}
    for plan in plans:
        if plan.data_under is not None:
            facts["target_gene_seeds"] = seeds
        elif plan.screen is not None:
            uns = plan.screen.uns
            settings = uns["config"] if isinstance(uns.get("config"), Mapping) else {}
            named = {name: uns[name] for name in ("metric_column", "random_seed") if name in uns}
            facts["prepared_with"] = plain({**settings, **named})
    return facts


def notes_of_screens(plans: Iterable[Plan], scores: Iterable[Score]) -> list[str]:
    """Say what the scores of perturbation screens leave out, and where no seed reaches the target genes."""
    said = []
    for plan in plans:
        if plan.screen is None:
            continue
        own = [score for score in scores if score.task == plan.key]
        if plan.targets_fixed and any(len(score.values_raw) > 1 for score in own):
            said.append(
                f"{plan.key}: the target genes are fixed in the data, so the seeds change nothing and there is no "
                "deviation; they draw those of a SingleCellPerturbationDataset without target_conditions_override"
            )
        said += _left_out(plan.key, plan.screen, own)
    return said


def _left_out(task: str, adata: AnnData, scores: list[Score]) -> list[str]:
    by_embedding: dict[str, list[Score]] = {}
    for score in scores:
        if "condition" in score.params:
            by_embedding.setdefault(score.embedding, []).append(score)
    said: dict[str, list[str]] = {}
    for name, own in by_embedding.items():
        for sentence in (*_conditions(adata, own), *_pairs_and_genes(own)):
            said.setdefault(sentence, []).append(name)
    return [
        f"{task}{'' if len(names) == len(by_embedding) else ' of ' + ', '.join(names)}: {sentence}"
        for sentence, names in said.items()
    ]


def _conditions(adata: AnnData, scores: list[Score]) -> list[str]:
    with_targets = [str(score.params["condition"]) for score in scores]
    reasons = {reason: len(names) for reason, names in without_targets(adata, with_targets).items()}
    for score in scores:
        if not score.n_values:
            reasons[str(score.reason)] = reasons.get(str(score.reason), 0) + 1
    if not reasons:
        return []
    scored = sum(score.n_values > 0 for score in scores)
    why = "; ".join(f"{n:,}: {reason}" for reason, n in reasons.items())
    return [f"{scored:,} of {scored + sum(reasons.values()):,} conditions scored, the others left out ({why})"]


def _pairs_and_genes(scores: list[Score]) -> list[str]:
    said = []
    for used, left, what in (
        ("pairs", "pairs_left_out", "pairs of a treated cell and its control are not among the predictions"),
        ("used", "left_out", "target genes are not among the predictions, or not once in the table of effects"),
    ):
        counts = [score.counts or {} for score in scores]
        missing = sum(one.get(left, 0) for one in counts)
        of = missing + sum(one.get(used, 0) for one in counts)
        if missing:
            said.append(f"{missing:,} of {of:,} {what} and were left out")
    return said
