"""Score the cases with this package: the same values under the same names as those of the peers."""

from __future__ import annotations

from typing import Any

import numpy as np
from scib_cases import EMBEDDINGS, LABEL, RESOLUTIONS, THRESHOLD, Case, corrected_expression, key, number

from czbenchmarks._lazy import load
from czbenchmarks.metrics.types import MetricType
from czbenchmarks.scib import benchmark
from czbenchmarks.tasks import represent

TODAY = ("CENPU", "PIMREG", "JPT1")  # cell-cycle genes that scib knows by their former symbols only
EVERY = {"every_label_if_none": True}  # as scib-metrics does where no label is isolated
# Name of a value -> the metric, its keywords. What stands after the comma tells values of one metric apart.
SCIB_METRICS: dict[str, tuple[str, dict[str, Any]]] = {
    "silhouette_score, not rescaled": ("silhouette_score", {"rescale": False}),
    "batch_silhouette": ("batch_silhouette", {}),
    "bras, furthest": ("bras", {"other": "furthest"}),
    "isolated_labels, not rescaled": ("isolated_labels", {"rescale": False, **EVERY}),
    f"isolated_labels, threshold {THRESHOLD}": ("isolated_labels", {"iso_threshold": THRESHOLD, **EVERY}),
    "pcr": ("pcr", {}),
    "pcr_comparison, not scaled": ("pcr_comparison", {"scale": False}),
    **{f"kbet_global, k {k}": ("kbet_global", {"n_neighbors": k}) for k in (15, 25, 50)},
    **{name: (name, {}) for name in ("leiden_nmi", "leiden_ari", "leiden_nmi_best", "leiden_ari_best")},
}
SCIB: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in ("silhouette_score", "batch_silhouette", "graph_connectivity_weak", "pcr")},
    **{name: (name, {}) for name in ("pcr_comparison", "leiden_nmi_best", "leiden_ari_best")},
    "pcr_comparison, not scaled": ("pcr_comparison", {"scale": False}),
    "isolated_labels": ("isolated_labels", {}),
    "isolated_labels_f1": ("isolated_labels_f1", {}),
    f"isolated_labels, threshold {THRESHOLD}": ("isolated_labels", {"iso_threshold": THRESHOLD}),
    f"isolated_labels_f1, threshold {THRESHOLD}": ("isolated_labels_f1", {"iso_threshold": THRESHOLD}),
}
_PERCENTILES = (5, 25, 75, 95)
_COUNTED = {"clisi": "labels", "ilisi": "batch"}


def measured(metric: str, given: dict[str, Any], **options: Any) -> Any:
    """Return the measurement of a metric from what a case gives."""
    row = MetricType(metric).declaration
    needed = {name: given[asked] for name, asked in zip(row.needs, row.asks, strict=True)}
    return load(row.function)(**needed, **options)


def arguments(case: Case) -> dict[str, dict[str, Any]]:
    """Return what metrics take, by embedding; each embedding is prepared once, as in a run."""
    shared = {"labels": case.labels, "batch": case.batch, "unintegrated": represent(case.unintegrated, "unintegrated")}
    return {name: {"X": represent(X, name), **shared} for name, X in case.embeddings.items()}


def table(case: Case, **options: Any) -> Any:
    """Return the table that stands beside the peer's."""
    return benchmark(
        case.adata(), "batch", LABEL, list(EMBEDDINGS), pre_integrated_embedding_obsm_key="unintegrated",
        every_label_if_none=True, **options,
    )  # fmt: skip


def table_values(case: Case, shown: Any) -> dict[str, float | None]:
    """Return the numbers of a table by name."""
    return {
        key(case.name, embedding, column): number(shown.loc[embedding, column])
        for embedding in EMBEDDINGS for column in shown.columns
    }  # fmt: skip


def beyond(case: Case, embeddings: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """Return what scib-metrics has beyond its table.

    Parameters
    ----------
    case
        The case.
    embeddings
        Its ``arguments``.
    """
    found: dict[str, Any] = {}
    for name, given in embeddings.items():
        values = {value: measured(metric, given, **more).value for value, (metric, more) in SCIB_METRICS.items()}
        for metric in ("clisi", "ilisi"):
            scaled, groups = measured(metric, given).units.values, len(set(given[_COUNTED[metric]]))
            lisi = 1 + (groups - 1) * (scaled if metric == "ilisi" else 1 - scaled)  # the peer's is not scaled
            values |= {f"{metric}, {q} % of cells": np.nanpercentile(lisi, q) for q in _PERCENTILES}
            values[f"{metric}, mean over cells"] = np.nanmean(lisi)
        values |= {key("kbet", row["label"]): row["score"] for row in measured("kbet", given).breakdowns}
        found |= {key(case.name, name, value): number(of) for value, of in values.items()}
    return found


def of_scib(case: Case, embeddings: dict[str, dict[str, Any]], conservation: bool = True) -> dict[str, float | None]:
    """Return what scib gives; without `conservation` only what embeddings and labels give.

    Parameters
    ----------
    case
        The case.
    embeddings
        Its ``arguments``.
    conservation
        Whether cell cycle, variable genes and trajectory are among it.
    """
    found: dict[str, Any] = {}
    expression: dict[str, Any] = {}
    if conservation and case.name in ("baron", "mixology", "kang"):
        genes, logged, corrected = corrected_expression(case)
        expression = {"expression": logged, "corrected": corrected, "gene_names": genes, "organism": "HUMAN"}
    for name, given in embeddings.items():
        values = {value: measured(metric, given, **more).value for value, (metric, more) in SCIB.items()}
        for row in measured("leiden_nmi_best", given, resolutions=RESOLUTIONS).breakdowns:
            values[f"leiden_nmi_best, resolution {row['resolution']:.1f}"] = row["nmi"]
        if expression and case.name != "kang":
            known = {**expression, "gene_names": [f"{gene} hidden" if gene in TODAY else gene for gene in genes]}
            # The seed of scib's draw of control genes: another moves the score by hundredths.
            measurement = measured("cell_cycle_conservation", {**given, **known}, random_seed=0)
            values["cell_cycle_conservation"] = measurement.value
        if conservation and case.name == "worm":
            timed = {**given, "pseudotime": case.time}
            values["trajectory_conservation"] = measured("trajectory_conservation", timed).value
            by_batch = measured("trajectory_conservation", timed, batch=case.batch)
            values["trajectory_conservation, by batch"] = by_batch.value
        found |= {key(case.name, name, value): number(of) for value, of in values.items()}
    if expression and case.name != "baron":
        value = measured("hvg_conservation", {**expression, "batch": case.batch}).value
        found[key(case.name, "expression", "hvg_conservation")] = number(value)
    return found
