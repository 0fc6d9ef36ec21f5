"""What to know of a run beside its scores: what defaults chose, what was left out, strange labels and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from czbenchmarks import _check
from czbenchmarks._check import label_names
from czbenchmarks.exceptions import BAD_INPUT
from czbenchmarks.io.neighbors import strange_neighbors
from czbenchmarks.kernels.stored import StoredMatrix
from czbenchmarks.results.record import Score

from .inputs import Plan
from .perturbation import notes_of_screens

if TYPE_CHECKING:
    from czbenchmarks.kernels.representation import Representation

    from .workload import Workload


def notes_of_run(load: Workload, scores: list[Score]) -> list[str]:
    """Say what defaults chose, what was left out, and what is strange of the values."""
    said = [f"{plan.key}: {choice}" for plan in load.plans for choice in plan.choices]
    said += _doubtful_labels(load.plans)
    for view in load.views:
        before = view.whole
        said += before.notes
        if view.n < before.n:
            said.append(
                f"{before.n - view.n:,} of {before.n:,} cells of `{before.name}` are not in every embedding "
                "and were left out"
            )
    for name, several in load.embeddings.items():
        strange = sum(one.missing_from_data for one in several)
        if strange:
            said.append(f"{strange:,} rows of {name} are of cells that the data do not have and were left out")
        said += [f"{name} {note}" for one in several for note in one.notes]
        said += _strange_values(name, [one.representation for one in several])
    small = {plan.key for plan in load.plans if plan.task_class.smallest_label}
    said += [*_labels_left_out(scores, small), *_scores_left_out(scores), *notes_of_screens(load.plans, scores)]
    of_neighbors = strange_neighbors(load.given, load.request.neighbors, load.embeddings)
    of_baselines = load.baselines.notes if load.baselines else []
    return [*dict.fromkeys(said), *dict.fromkeys([*load.notes, *of_neighbors]), *of_baselines]


def _scores_left_out(scores: list[Score]) -> list[str]:
    """Say which scores means leave out, and why those have no value."""
    reasons = {(one.task, one.embedding, one.metric_type): one.reason for one in scores if not one.params}
    names = list(dict.fromkeys(score.embedding for score in scores))
    of: dict[tuple[str, str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for score in scores:
        for metric in (score.details or {}).get("scores_left_out", ()):
            reason = reasons.get((score.task, score.embedding, metric)) or "no reason given"
            presets, embeddings = of.setdefault((score.task, metric, reason), ({}, {}))
            presets[str(score.params.get("preset"))] = embeddings[score.embedding] = None
    said = []
    for (task, metric, reason), (presets, embeddings) in of.items():
        whose = "" if len(embeddings) == len(names) else f" of {', '.join(embeddings)}"
        means = f"the means and the total of {' and '.join(presets)}"
        said.append(f"{task}{whose}: {metric} has no value ({reason}), so {means} leave it out")
    return said


def _doubtful_labels(plans: list[Plan]) -> list[str]:
    """Say which labels of which fields may not mean what they say; of fields that tasks share, once."""
    fields: dict[str, dict[str, None]] = {}
    for plan in plans:
        for name, value in plan.columns.items():
            several = value if plan.task_class.requires_multiple_datasets else [value]
            for i, one in enumerate(several):
                place = f"`{name}[{i}]`" if len(several) > 1 else f"`{name}`"
                try:
                    found = _check.labels(one, name)
                except BAD_INPUT:  # the task has refused them, in its own words
                    continue
                for doubt in label_names.doubts(found):
                    fields.setdefault(doubt, {})[place] = None
    return [f"{' and '.join(places)}: {doubt}" for doubt, places in fields.items()]


def _labels_left_out(scores: list[Score], small: set[str]) -> list[str]:
    """Say which scores leave out labels, those that leave out the same ones together; `small` tasks small labels."""
    of: dict[tuple[str, int, int], list[str]] = {}
    for score in scores:
        counts = score.counts or {}
        if counts.get("labels_left_out"):
            place = (score.task, counts["labels_left_out"], counts.get("left_out", 0))
            of.setdefault(place, []).append(score.metric_type)
    said = []
    for (task, labels, cells), metrics in of.items():
        if task in small:
            which = "1 label with too few cells was" if labels == 1 else f"{labels:,} labels with too few cells were"
            said.append(f"{task}: {which} left out ({cells:,} cells)")
            continue
        names = list(dict.fromkeys(metrics))
        which = "1 label" if labels == 1 else f"{labels:,} labels"
        why = "with a single batch" if set(names) <= {"batch_silhouette", "bras"} else "too small or in one batch"
        were = "was" if labels == 1 else "were"
        said.append(f"{task} ({', '.join(names)}): {which} {why} {were} left out ({cells:,} cells)")
    return said


def _strange_values(name: str, embeddings: list[Representation]) -> list[str]:
    """Say what of an embedding's values no model makes of cells."""
    if all(one.n > 1 and _same_everywhere(one.values) for one in embeddings):
        return [f"{name} has the same values for every cell, so its scores say nothing of a model"]
    dense = [one.values for one in embeddings if isinstance(one.values, np.ndarray)]
    zeros = sum(int((~values.any(axis=1)).sum()) for values in dense)
    said = [f"{zeros:,} rows of {name} are all zeros, as of cells that a model left out"] if zeros > 1 else []
    if len(dense) > 1 and all(np.array_equal(dense[0], values) for values in dense[1:]):
        said.append(f"{name} has the same values for every data set, as of one that was given twice")
    return said


def _same_everywhere(values: Any) -> bool:
    if isinstance(values, StoredMatrix):  # a prediction; one without differences has no score, which says it
        return False
    first = values[:1]
    if hasattr(values, "toarray"):
        first = first.toarray()
        return bool((values.max(axis=0).toarray() == first).all() and (values.min(axis=0).toarray() == first).all())
    return bool((values[-1] == first).all() and (values == first).all())
