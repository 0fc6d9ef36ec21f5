"""Published names around metrics; each returns what it returned there."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import kind_of, unknown, whole
from czbenchmarks.exceptions import InputError, InputTypeError

from . import integration, sequential
from .inputs import represent
from .results import AggregatedMetricResult, MetricResult


def aggregate_results(results: Iterable[MetricResult]) -> list[AggregatedMetricResult]:
    """Mean and sample deviation of scores that share metric and parameters, in order of first appearance.

    Scores without a value stay in ``values_raw`` and are left out of mean and deviation.

    Parameters
    ----------
    results
        Results of any number of runs.

    Examples
    --------
    >>> from czbenchmarks.metrics.types import MetricType
    >>> runs = [MetricResult(metric_type=MetricType.ACCURACY, value=v) for v in (0.5, 1.0)]
    >>> aggregate_results(runs)[0].value
    0.75
    """
    groups: dict[str, list[MetricResult]] = {}
    for result in results:
        groups.setdefault(result.aggregation_key, []).append(result)
    aggregated = []
    for group in groups.values():
        raw = [result.value for result in group]
        defined = [value for value in raw if math.isfinite(value)]
        aggregated.append(
            AggregatedMetricResult(
                metric_type=group[0].metric_type,
                params=group[0].params or {},
                n_values=len(raw),
                value=statistics.fmean(defined) if defined else math.nan,
                value_std_dev=statistics.stdev(defined) if len(defined) > 1 else None,
                values_raw=raw,
            )
        )
    return aggregated


def compute_entropy_per_cell(X: Any, labels: Any, n_neighbors: int = 200, random_seed: int = 42) -> float:
    """Mean normalised entropy of the labels around each cell; see ``integration.entropy_per_cell``.

    Examples
    --------
    >>> compute_entropy_per_cell([[0.0], [1.0], [2.0], [3.0]], ["x", "y", "x", "y"])
    1.0
    """
    return integration.entropy_per_cell(X, labels, n_neighbors, random_seed).value


def sequential_alignment(X: Any, labels: Any, k: int = 10, normalize: bool = True, adaptive_k: bool = False) -> float:
    """Alignment of neighbours with a sequence; see ``sequential.sequential_alignment``.

    Examples
    --------
    >>> sequential_alignment([[0.0], [0.1], [5.0], [5.1]], [1, 1, 2, 2], k=1)
    1.0
    """
    return sequential.sequential_alignment(X, labels, k, normalize, adaptive_k).value


def nearest_neighbors_hnsw(
    data: Any, expansion_factor: int = 200, max_links: int = 48, n_neighbors: int = 100, random_seed: int = 42
) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """Nearest cells, itself first, ties by index; exact up to 100,000 cells.

    Parameters
    ----------
    data
        n x d embedding.
    expansion_factor, max_links, random_seed
        Accepted for callers of earlier releases; the search does not depend on them.
    n_neighbors
        Entries per row, the cell itself included; at most n.

    Returns
    -------
    Indices (n x k) and *squared* Euclidean distances (n x k).

    Examples
    --------
    >>> nearest_neighbors_hnsw([[0.0], [3.0], [4.0]], n_neighbors=2)[0].tolist()
    [[0, 1], [1, 2], [2, 1]]
    """
    embedding = represent(data, "data")
    k = whole(n_neighbors, "n_neighbors", 1)
    if k > embedding.n:
        raise InputError(
            f"`n_neighbors` must be at most the number of cells, {embedding.n:,}, got {k:,} (the cell itself counts)."
        )
    found = embedding.neighbors(k)
    return found.indices.astype(np.uint64), (found.distances**2).astype(np.float32)


def jaccard_score(y_true: Iterable[str], y_pred: Iterable[str]) -> float:
    """Size of the intersection of two sets over that of their union; NaN if both are empty.

    Examples
    --------
    >>> jaccard_score({"a", "b"}, {"b", "c"})
    0.3333333333333333
    """
    true, predicted = _names(y_true, "y_true"), _names(y_pred, "y_pred")
    return len(true & predicted) / len(true | predicted) if true | predicted else math.nan


def _names(value: Iterable[str], name: str) -> set[str]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise InputTypeError(f"`{name}` must be a set of names, got {value!r}; pass {{name}} for a single name.")
    try:
        return set(value)
    except TypeError:
        raise InputTypeError(f"`{name}` must be a set of names, got entries that are no names: {value!r}.") from None


def mean_fold_metric(results_df: Any, metric: str = "accuracy", classifier: str | None = None) -> float:
    """Mean of one column over folds, of one classifier or of all; folds without a value are left out.

    Parameters
    ----------
    results_df
        DataFrame (or list of rows) with a column `metric` and, to select, ``classifier``.
    metric
        Column.
    classifier
        Classifier to select.

    Examples
    --------
    >>> mean_fold_metric([{"classifier": "lr", "accuracy": 0.5}, {"classifier": "lr", "accuracy": 1.0}])
    0.75
    """
    filters = {} if classifier is None else {"classifier": classifier}
    rows = _rows(results_df, metric, filters)
    return float(rows[metric].mean())


def single_metric(results_df: Any, metric: str, **kwargs: Any) -> float:
    """Value of one column in the only row that matches.

    Parameters
    ----------
    results_df
        DataFrame (or list of rows).
    metric
        Column.
    **kwargs
        Column and value a row must match.

    Examples
    --------
    >>> single_metric([{"classifier": "lr", "f1": 0.5}, {"classifier": "rf", "f1": 1.0}], "f1", classifier="rf")
    1.0
    """
    rows = _rows(results_df, metric, kwargs)
    if len(rows) != 1:
        raise InputError(
            f"Multiple results found after filtering with {kwargs}. Expected exactly 1 row, got {len(rows):,}."
        )
    return float(rows[metric].iloc[0])


def _rows(results_df: Any, metric: str, filters: dict[str, Any]) -> Any:
    import pandas as pd

    if isinstance(results_df, pd.DataFrame):
        frame = results_df
    elif isinstance(results_df, (list, tuple)) and all(isinstance(row, dict) for row in results_df):
        frame = pd.DataFrame(list(results_df))
    else:
        raise InputTypeError(f"`results_df` must be a DataFrame or a list of rows, got {kind_of(results_df)}.")
    for column in (metric, *filters):
        if column not in frame.columns:
            raise InputError(unknown("Column", column, map(str, frame.columns), "is not in the results"))
    for column, value in filters.items():
        frame = frame[frame[column] == value]
    if frame.empty:
        raise InputError(f"No results found after filtering with {filters}.")
    return frame
