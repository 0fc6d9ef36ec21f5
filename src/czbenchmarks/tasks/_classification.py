"""Classifiers trained on embeddings: folds, scores per fold, summaries.

Each fitted model predicts once, and all scores come from that. Every fit runs on one thread with a seed of its own, so
that fits can be spread over threads without changing a bit. All fits of a task are one list of work, longest first.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks.kernels.parallel import map_blocks, one_blas_thread
from czbenchmarks.metrics.types import MetricResult, MetricType, Units

from ._classifiers import KNN, NAMES, Classifiers

SCORES = ("accuracy", "f1", "precision", "recall", "auroc")
MEAN_FOLD = dict(
    zip(
        SCORES,
        (
            MetricType.MEAN_FOLD_ACCURACY,
            MetricType.MEAN_FOLD_F1_SCORE,
            MetricType.MEAN_FOLD_PRECISION,
            MetricType.MEAN_FOLD_RECALL,
            MetricType.MEAN_FOLD_AUROC,
        ),
        strict=True,
    )
)
SINGLE = dict(
    zip(
        SCORES,
        (MetricType.ACCURACY, MetricType.F1_SCORE, MetricType.PRECISION, MetricType.RECALL, MetricType.AUROC),
        strict=True,
    )
)
_COST = {"rf": 10.0, "lr": 2.0}  # times that of the neighbours, per training cell
_USUAL = (1e-3, 1e6)  # largest magnitude of an embedding whose unit is left alone

Cells = tuple[Any, NDArray[np.int64] | slice]
"""A matrix, and which of its rows."""


@dataclass(frozen=True)
class Split:
    """One training and test set; `row` is copied into the split's results.

    Its cells are gathered when a classifier is about to use them: gathered ahead, all splits hold a copy of all cells
    per fold.
    """

    train: Cells
    y_train: NDArray[np.int64]
    test: Cells
    y_test: NDArray[np.int64]
    test_ids: NDArray[Any]
    row: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scored:
    """What one classifier made of one split."""

    row: dict[str, Any]
    ids: NDArray[Any]
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    converged: bool = True
    reason: str | None = None


def in_usual_units(matrices: Sequence[Any]) -> list[Any]:
    """Return matrices divided by one power of two if their unit is far from 1.

    Trees compare in single precision and take differences below 1e-7 for none. The division is exact.
    """
    values = [X.data if hasattr(X, "tocsr") else X for X in matrices]
    largest = max(max(float(v.max(initial=0)), -float(v.min(initial=0))) for v in values)
    if largest == 0 or _USUAL[0] < largest < _USUAL[1]:
        return list(matrices)
    factor = 2.0 ** -round(np.log2(largest))
    return [X.astype(np.float64) * factor for X in matrices]


def run_splits(
    groups: Sequence[Sequence[Split]], n_labels: Sequence[int], classifiers: Classifiers
) -> list[list[Scored]]:
    """Train every classifier on every split; the results of each group by classifier, then split.

    Parameters
    ----------
    groups
        Training and test sets, those that are summarised together in one group.
    n_labels
        Labels in all of each group: two are scored as a binary problem (the later one is the positive), more by macro
        means.
    classifiers
        Settings of the classifiers.
    """
    from sklearn.exceptions import ConvergenceWarning

    jobs = [(g, name, split) for g, splits in enumerate(groups) for name in NAMES for split in splits]

    def cost(i: int) -> float:
        return _COST.get(jobs[i][1], 1.0) * (1 + len(jobs[i][2].y_train))

    # Starting with the longest keeps the threads busy to the end.
    order = sorted(range(len(jobs)), key=lambda i: (-cost(i), i))
    # The filters are the process's; whoever holds the turn is the only one to change them.
    with one_blas_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported in the result's details instead
        warnings.filterwarnings("ignore", "The number of unique classes is greater")  # they are known to be labels
        classifiers.prepare()
        done = map_blocks(
            lambda i: _fit_and_score(jobs[i][1], jobs[i][2], n_labels[jobs[i][0]], classifiers),
            order,
            "classifiers",
            cost=cost,
        )
    found: list[list[Scored]] = [[] for _ in groups]
    for i, scored in sorted(zip(order, done, strict=True), key=lambda pair: pair[0]):
        found[jobs[i][0]].append(scored)
    return found


def _fit_and_score(name: str, split: Split, n_labels: int, classifiers: Classifiers) -> Scored:
    known, codes = np.unique(split.y_train, return_inverse=True)
    row: dict[str, Any] = {"classifier": name, **split.row}
    reason = None
    if not len(split.y_test):
        reason = "no test cells"
    elif len(known) < 2:
        reason = "the training cells have a single label"
    elif name == "knn" and len(split.y_train) < KNN:
        reason = f"{len(split.y_train)} training cells are fewer than the {KNN} neighbours"
    if reason is not None:
        row.update(dict.fromkeys(SCORES, math.nan))
        nobody = np.full(len(split.y_test), -1)
        return Scored(row, split.test_ids, split.y_test, nobody, reason=reason)
    (X, train), (X_test, test) = split.train, split.test
    chances, converged = classifiers.chances(name, X[train], codes, X_test[test])
    predicted = known[np.argmax(chances, axis=1)]
    row.update(_scores(split.y_test, predicted, chances, known, n_labels))
    if np.isnan(row["auroc"]):
        reason = "fewer than two of the training labels occur among the test cells"
    return Scored(row, split.test_ids, split.y_test, predicted, converged, reason)


def _scores(
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
    chances: NDArray[np.floating],
    known: NDArray[np.int64],
    n_labels: int,
) -> dict[str, float]:
    from sklearn.metrics import precision_recall_fscore_support

    counted = np.array([n_labels - 1]) if n_labels == 2 else np.union1d(true, predicted)
    precision, recall, f1, _ = precision_recall_fscore_support(true, predicted, labels=counted, zero_division=0)
    return {
        "accuracy": float((true == predicted).mean()),
        "f1": float(f1.mean()),
        "precision": float(precision.mean()),
        "recall": float(recall.mean()),
        "auroc": _auroc(true, chances, known),
    }


def _auroc(true: NDArray[np.int64], chances: NDArray[np.floating], known: NDArray[np.int64]) -> float:
    """Average one-against-rest AUROC over labels in both sets, on cells whose label was seen in training.

    That of a label is the share of its pairs with other cells that its chances order rightly, ties half: whole and
    half numbers up to the division.
    """
    from scipy.stats import rankdata

    seen = np.isin(true, known)
    positive = true[seen, None] == known
    n_positive = positive.sum(axis=0)
    both = (n_positive > 0) & (n_positive < len(positive))
    if not both.any():
        return float("nan")
    ranks = rankdata(chances[np.ix_(seen, both)], axis=0)
    n = n_positive[both].astype(np.float64)
    above = np.where(positive[:, both], ranks, 0.0).sum(axis=0) - n * (n + 1) / 2
    return float(np.mean(above / (n * (len(positive) - n))))


def summarise(
    scored: Sequence[Scored],
    metrics: Mapping[str, MetricType],
    *,
    mean_name: str,
    params: Mapping[str, Any],
    counts: Mapping[str, int],
    details: Mapping[str, Any] | None = None,
) -> list[MetricResult]:
    """Return the scores of one set of splits: the mean over classifiers first, then each classifier.

    Parameters
    ----------
    scored
        Results of ``run_splits``.
    metrics
        Metric of each score.
    mean_name
        Name of the mean over classifiers.
    params
        Parameters of all these scores.
    counts
        Counts of all these scores.
    details
        What else all these scores say.
    """
    import pandas as pd

    names = list(dict.fromkeys(s.row["classifier"] for s in scored))
    results = []
    for name in (None, *names):
        part = [s for s in scored if name in (None, s.row["classifier"])]
        frame = pd.DataFrame([s.row for s in part])
        for score, metric in metrics.items():
            undefined = int(frame[score].isna().sum())
            value = float(frame[score].mean())
            result = MetricResult(
                metric_type=metric,
                value=value,
                params={**params, "classifier": name or mean_name},
                counts={**counts, **({"splits_left_out": undefined} if undefined else {})},
                details=dict(details) if details else None,
            )
            if undefined == len(part):
                result.reason = next(s.reason for s in part if s.reason)
            slow = sum(not s.converged for s in part)
            if slow:
                result.details = {
                    **(result.details or {}),
                    "logistic_regression_not_converged": slow,
                    "note": f"the logistic regression had not converged in {slow} of its fits",
                }
            result._units = _units(part, score)
            results.append(result)
    return results


def _units(part: Sequence[Scored], score: str) -> Units:
    columns = {
        "true": np.concatenate([s.true for s in part]),
        "predicted": np.concatenate([s.predicted for s in part]),
        "split": np.concatenate([np.full(len(s.ids), s.row.get("split", 0)) for s in part]),
        "classifier": np.concatenate([np.full(len(s.ids), s.row["classifier"]) for s in part]),
    }
    right = (columns["true"] == columns["predicted"]).astype(np.float64)
    right[columns["predicted"] < 0] = np.nan  # nothing was predicted
    return Units(
        "out-of-fold prediction",
        np.concatenate([s.ids for s in part]),
        right if score == "accuracy" else None,
        columns,
    )
