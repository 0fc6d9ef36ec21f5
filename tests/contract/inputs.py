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
    # Not whole numbers: equal distances are ranked by position.
    values["unintegrated"] = whole_embedding(seed + 1) + 5 * values["batch"][:, None] + rng.normal(size=(N, 1))
    return {name: values[name] for name in metric.declaration.needs if name in values}


def _apart() -> np.ndarray:
    return np.repeat(np.eye(3), 30, axis=0)


def _twins() -> dict[str, Any]:
    """Return two batches at the very same places."""
    return {"X": np.repeat(whole_embedding()[:45], 2, axis=0), "labels": np.zeros(N), "batch": np.arange(N) % 2}


def _one_place() -> dict[str, Any]:
    return {"X": np.zeros((N, 2)), "labels": np.zeros(N), "batch": np.arange(N) % 2}


THREE = np.repeat([0, 1, 2], 30)

# Arguments on which a metric of an embedding is best.
PERFECT: dict[MetricType, Callable[[], dict[str, Any]]] = {
    MetricType.SILHOUETTE_SCORE: lambda: {"X": _apart(), "labels": THREE},
    MetricType.SEQUENTIAL_ALIGNMENT: lambda: {"X": THREE[:, None] * 1000.0, "labels": THREE},
    # Fewer than 200 cells: all are neighbours.
    MetricType.ENTROPY_PER_CELL: lambda: {"X": whole_embedding(), "labels": np.arange(N) % 2},
    MetricType.BATCH_SILHOUETTE: _twins,
    # 30 cells at each of three places.
    MetricType.CLISI: lambda: {"X": _apart(), "labels": THREE, "n_neighbors": 30},
    MetricType.KSIM: lambda: {"X": _apart(), "labels": THREE},
    MetricType.KSIM_ACCEPTANCE: lambda: {"X": _apart(), "labels": THREE},
    MetricType.KNN_PURITY: lambda: {"X": _apart(), "labels": THREE, "n_neighbors": 29},
    # 90 neighbours: all cells, equally near.
    MetricType.ILISI: lambda: {"X": np.zeros((N, 2)), "batch": np.arange(N) % 2},
    MetricType.CILISI: _one_place,
    MetricType.CILISI_MEANS: _one_place,
    # Cells in a row.
    MetricType.GRAPH_CONNECTIVITY: lambda: {"X": np.arange(N)[:, None], "labels": THREE},
    MetricType.GRAPH_CONNECTIVITY_WEAK: lambda: {"X": np.arange(N)[:, None], "labels": THREE},
    MetricType.TRUSTWORTHINESS: lambda: {"X": whole_embedding(), "unintegrated": whole_embedding()},
    MetricType.CONTINUITY: lambda: {"X": whole_embedding(), "unintegrated": whole_embedding()},
    MetricType.KBET: _twins,
    MetricType.PCR: lambda: {name: value for name, value in _twins().items() if name != "labels"},
    MetricType.PCR_COMPARISON: lambda: {
        **{name: value for name, value in _twins().items() if name != "labels"},
        "unintegrated": whole_embedding() + 9 * (np.arange(N) % 2)[:, None],
    },
    MetricType.SBEE: _twins,
    MetricType.KBET_GLOBAL: lambda: {name: value for name, value in _twins().items() if name != "labels"},
}

# How far from the best value they stay: |s| of interleaved batches is of the order of one cell in 45, never 0.
ONLY_NEARLY_PERFECT: dict[MetricType, float] = {
    MetricType.BATCH_SILHOUETTE: 2 / 45,
    # The cell itself has no weight: 44 of its batch, 45 of the other.
    **dict.fromkeys((MetricType.ILISI, MetricType.CILISI, MetricType.CILISI_MEANS), 1e-3),
}

# Metrics that are a mean over labels of means over cells.
MEANS_OVER_LABELS = {MetricType.BATCH_SILHOUETTE, MetricType.CILISI_MEANS, MetricType.KNN_PURITY}

# Metrics that are a mean over labels of means over the batches of a label of means over cells.
MEANS_OVER_LABELS_AND_BATCHES = {MetricType.SBEE}


def perfect(metric: MetricType) -> dict[str, Any] | None:
    """Return arguments on which the metric is best; None where no small input has that."""
    if metric in PERFECT:
        return PERFECT[metric]()
    given = arguments(metric)
    needs = metric.declaration.needs
    if metric in (MetricType.BIO_CONSERVATION, MetricType.BATCH_CORRECTION):
        return {"scores": {"one": 1.0, "other": 1.0}}
    if metric is MetricType.SCIB_TOTAL:
        return dict.fromkeys(needs, 1.0)
    if "results_df" in needs:
        return {**given, "results_df": pd.DataFrame({name: [1.0] for name in FOLDS})}
    if len(needs) == 2 and "X" not in needs:
        return dict.fromkeys(needs, given[needs[0]])
    return None
