"""Seeded arguments for every metric, and those on which it is best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from czbenchmarks.metrics.types import MetricType

N = 90
FOLDS = ("accuracy", "f1", "precision", "recall", "auroc", "balanced_accuracy", "mcc")


def whole_embedding(seed: int = 0) -> np.ndarray:
    """Return 90 cells x 6 dimensions in three groups, whole numbers: every dtype holds them exactly."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(np.arange(3), N // 3)[:, None] * 12
    return (rng.integers(-9, 10, size=(N, 6)) + centres).astype(np.float64)


def arguments(metric: MetricType, seed: int = 0) -> dict[str, Any]:
    """Return seeded arguments for a metric, by the names of those it needs."""
    rng = np.random.default_rng(seed)
    truth = np.repeat([0, 1, 2], N // 3)
    noisy = np.where(rng.random(N) < 0.3, rng.integers(0, 3, N), truth)
    binary = {"y_true": (truth > 0).astype(int), "y_pred": (noisy > 0).astype(int)}
    if metric is MetricType.JACCARD:
        return {"y_true": set("abcd"), "y_pred": set("cdef")}
    if metric is MetricType.MEAN_SQUARED_ERROR:
        return {"y_true": rng.normal(size=N), "y_pred": rng.normal(size=N)}
    values: dict[str, Any] = {
        "scores": {"one": float(rng.random()), "other": float(rng.random())},
        "bio_conservation": float(rng.random()), "batch_correction": float(rng.random()),
        "X": whole_embedding(seed), "labels": truth, "batch": rng.permutation(N) % 2, "labels_true": truth,
        "labels_pred": noisy, "x": rng.normal(size=N), "y": rng.normal(size=N), "a": rng.normal(size=N),
        "b": rng.normal(size=N),
        "results_df": pd.DataFrame({"classifier": ["lr"], **{name: [rng.random()] for name in FOLDS}}), **binary,
    }  # fmt: skip
    values |= expression(seed, truth, values["batch"])
    # Not whole numbers: equal distances are ranked by position.
    values["unintegrated"] = whole_embedding(seed + 1) + 5 * values["batch"][:, None] + rng.normal(size=(N, 1))
    if metric in (MetricType.ISOLATED_LABELS, MetricType.ISOLATED_LABELS_F1):
        # The last label is in one batch, also where the batches are every other cell.
        values["labels"] = np.where((truth == 2) & (np.arange(N) % 2 == 1), 1, truth)
        values["batch"] = np.where(values["labels"] == 2, 0, values["batch"])
    found = {name: values[name] for name in metric.declaration.needs if name in values}
    return {**found, "min_batch_cells": 20} if metric in SCGRAPH else found


def expression(seed: int, labels: np.ndarray, batch: np.ndarray) -> dict[str, Any]:
    """Return counts of 60 genes, the first six of the cell cycle, and what goes with them."""
    rng = np.random.default_rng(seed + 100)
    rates = rng.gamma(2, 1, (3, 60))[labels] * (1 + batch[:, None] * rng.random(60))
    rates[:, :6] *= rng.gamma(1, 3, (N, 1))
    counts = rng.poisson(rates).astype(np.float64)
    return {
        "expression": counts, "corrected": np.log1p(counts) + rng.normal(0, 0.3, counts.shape),
        "gene_names": ["MCM5", "PCNA", "TYMS", "TOP2A", "MKI67", "CDK1", *(f"gene{i}" for i in range(54))],
        "organism": "HUMAN", "pseudotime": labels + rng.random(N),
    }  # fmt: skip


def _apart() -> np.ndarray:
    return np.repeat(np.eye(3), 30, axis=0)


def _twins() -> dict[str, Any]:
    """Return two batches at the very same places."""
    return {"X": np.repeat(whole_embedding()[:45], 2, axis=0), "labels": np.zeros(N), "batch": np.arange(N) % 2}


def _two_places() -> dict[str, Any]:
    return {"X": np.repeat(np.eye(2), 45, axis=0), "labels": np.zeros(N), "batch": np.arange(N) % 2}


def _three_clouds(**more: Any) -> dict[str, Any]:
    """Return three groups far from each other, each a label; the last one is in one batch only."""
    cells = np.random.default_rng(0).normal(size=(N, 3)) + 100 * np.repeat(np.eye(3), 30, axis=0)
    return {"X": cells, "labels": THREE, **more}


SCGRAPH = (MetricType.SCGRAPH_RANK_PCA, MetricType.SCGRAPH_CORR_PCA, MetricType.SCGRAPH_CORR_WEIGHTED)
THREE = np.repeat([0, 1, 2], 30)
LAST_IN_ONE_BATCH = np.where(THREE == 2, 0, np.arange(N) % 2)


def _three_places() -> dict[str, Any]:
    """Return three labels, the cells of each at one place, in the embedding as in the expression."""
    cells = np.array([[0.5, 0.0], [0.0, 1.5], [2.5, 0.0]])[THREE]
    return {"X": cells, "labels": THREE, "batch": np.zeros(N), "expression": cells, "min_batch_cells": N}


def _logged() -> dict[str, Any]:
    """Return expression as it was, for an embedding and for a correction."""
    found = expression(0, THREE, np.arange(N) % 2)
    logged = np.log1p(found["expression"])
    return {**found, "expression": logged, "corrected": logged, "X": logged, "batch": np.arange(N) % 2}


# Arguments on which a metric of an embedding is best, where it is neither three clouds nor twins (see `perfect`).
PERFECT: dict[MetricType, Callable[[], dict[str, Any]]] = {
    MetricType.SILHOUETTE_SCORE: lambda: {"X": _apart(), "labels": THREE},
    MetricType.SEQUENTIAL_ALIGNMENT: lambda: {"X": THREE[:, None] * 1000.0, "labels": THREE},
    MetricType.LEIDEN_NMI: lambda: _three_clouds(resolution=0.2),
    MetricType.LEIDEN_ARI: lambda: _three_clouds(resolution=0.2),
    MetricType.ISOLATED_LABELS: lambda: {"X": _apart(), "labels": THREE, "batch": LAST_IN_ONE_BATCH},
    **dict.fromkeys(SCGRAPH, _three_places),
    MetricType.CELL_CYCLE_CONSERVATION: lambda: {
        name: _logged()[name] for name in ("X", "batch", "expression", "gene_names", "organism")
    },
    MetricType.HVG_CONSERVATION: lambda: {name: _logged()[name] for name in ("expression", "corrected", "batch")},
    MetricType.TRAJECTORY_CONSERVATION: lambda: {
        "X": np.arange(N)[:, None] ** [1.0, 2.0] / [1, N],
        "labels": THREE,
        "pseudotime": np.arange(N),
    },
    # 30 cells at each of three places.
    MetricType.CLISI: lambda: {"X": _apart(), "labels": THREE, "n_neighbors": 30},
    MetricType.KNN_PURITY: lambda: {"X": _apart(), "labels": THREE, "n_neighbors": 29},
    # 90 neighbours: all cells.
    MetricType.ILISI: lambda: {name: value for name, value in _two_places().items() if name != "labels"},
    MetricType.CILISI: _two_places,
    MetricType.CILISI_MEANS: _two_places,
    # Cells in a row.
    MetricType.GRAPH_CONNECTIVITY: lambda: {"X": np.arange(N)[:, None], "labels": THREE},
    MetricType.GRAPH_CONNECTIVITY_WEAK: lambda: {"X": np.arange(N)[:, None], "labels": THREE},
    MetricType.TRUSTWORTHINESS: lambda: {"X": whole_embedding(), "unintegrated": whole_embedding()},
    MetricType.CONTINUITY: lambda: {"X": whole_embedding(), "unintegrated": whole_embedding()},
    MetricType.PCR_COMPARISON: lambda: {
        **{name: value for name, value in _twins().items() if name != "labels"},
        "unintegrated": whole_embedding() + 9 * (np.arange(N) % 2)[:, None],
    },
}

# How far from the best value they stay: |s| of interleaved batches is of the order of one cell in 45, never 0.
ONLY_NEARLY_PERFECT: dict[MetricType, float] = {
    MetricType.BATCH_SILHOUETTE: 2 / 45,
    MetricType.BRAS: 2 / 45,
    # Towards the end of a line, cells are equally far to rounding from its beginning.
    MetricType.TRAJECTORY_CONSERVATION: 1e-3,
    # The cell itself has no weight: 22 of its batch, 22 or 23 of the other.
    **dict.fromkeys((MetricType.ILISI, MetricType.CILISI, MetricType.CILISI_MEANS), 3e-3),
}

# Accepted for callers of earlier releases.
IGNORED = {(MetricType.ENTROPY_PER_CELL, "random_seed")}


def perfect(metric: MetricType) -> dict[str, Any] | None:
    """Return arguments on which the metric is best; None where no small input is known that has that."""
    if metric in PERFECT:
        return PERFECT[metric]()
    row = metric.declaration
    given, needs = arguments(metric), row.needs
    if metric in (MetricType.BIO_CONSERVATION, MetricType.BATCH_CORRECTION):
        return {"scores": {"one": 1.0, "other": 1.0}}
    if metric is MetricType.SCIB_TOTAL:
        return dict.fromkeys(needs, 1.0)
    if "results_df" in needs:
        return {**given, "results_df": pd.DataFrame({name: [1.0] for name in FOLDS})}
    if len(needs) == 2 and "X" not in needs:
        return dict.fromkeys(needs, given[needs[0]])
    if {*row.asks} <= {"X", "labels", "batch"} and row.part:
        best = _twins() if row.part == "batch" else _three_clouds(batch=LAST_IN_ONE_BATCH)
        return {name: best[asked] for name, asked in zip(needs, row.asks, strict=True)}
    return None
