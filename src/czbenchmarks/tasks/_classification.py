"""Classifiers trained on embeddings: folds, scores per fold, summaries.

Each fitted model predicts once, and all scores come from that. Every fit runs on one thread with a seed of its own, so
that fits can be spread over threads without changing a bit.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks.kernels.parallel import map_blocks, one_blas_thread
from czbenchmarks.metrics.types import MetricResult, MetricType, Units

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
N_TREES = 100
KNN = 5
_COST = {"rf": 10.0}  # times that of the others, for who tells the time left
_USUAL = (1e-3, 1e6)  # largest magnitude of an embedding whose unit is left alone


@dataclass(frozen=True)
class Split:
    """One training and test set; `row` is copied into the split's results."""

    X_train: Any
    y_train: NDArray[np.int64]
    X_test: Any
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
    largest = max(float(abs(X).max()) for X in matrices)
    if largest == 0 or _USUAL[0] < largest < _USUAL[1]:
        return list(matrices)
    factor = 2.0 ** -round(np.log2(largest))
    return [X.astype(np.float64) * factor for X in matrices]


def classifiers(seed: int, *, centre: bool, max_iter: int) -> dict[str, Callable[[], Any]]:
    """Return makers of the three classifiers: logistic regression, 5 nearest neighbours, random forest.

    Parameters
    ----------
    seed
        Seed of the forest.
    centre
        Whether the scaler before the first two centres the data (sparse data cannot be).
    max_iter
        Iterations of the logistic regression.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "lr": lambda: make_pipeline(StandardScaler(with_mean=centre), LogisticRegression(max_iter=max_iter)),
        "knn": lambda: make_pipeline(StandardScaler(with_mean=centre), KNeighborsClassifier(n_neighbors=KNN)),
        "rf": lambda: RandomForestClassifier(n_estimators=N_TREES, random_state=seed),
    }


def run_splits(splits: Sequence[Split], makers: Mapping[str, Callable[[], Any]], n_labels: int) -> list[Scored]:
    """Train every classifier on every split; results by classifier, then split.

    Parameters
    ----------
    splits
        Training and test sets.
    makers
        Makers of the classifiers, by name.
    n_labels
        Labels in all: two are scored as a binary problem (the later one is the positive), more by macro means.
    """
    from sklearn.exceptions import ConvergenceWarning

    jobs = [(name, split) for name in makers for split in splits]
    # Forests take longest; starting them first keeps the threads busy to the end.
    order = sorted(range(len(jobs)), key=lambda i: (jobs[i][0] != "rf", i))
    # The filters are the process's; whoever holds the turn is the only one to change them.
    with one_blas_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported in the result's details instead
        done = map_blocks(
            lambda i: _fit_and_score(jobs[i][0], makers[jobs[i][0]], jobs[i][1], n_labels),
            order,
            "classifiers",
            cost=lambda i: _COST.get(jobs[i][0], 1.0),
        )
    return [scored for _, scored in sorted(zip(order, done, strict=True), key=lambda pair: pair[0])]


def _fit_and_score(name: str, make: Callable[[], Any], split: Split, n_labels: int) -> Scored:
    known = np.unique(split.y_train)
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
    model = make().fit(split.X_train, split.y_train)
    chances = model.predict_proba(split.X_test)
    predicted = known[np.argmax(chances, axis=1)]
    row.update(_scores(split.y_test, predicted, chances, known, n_labels))
    if np.isnan(row["auroc"]):
        reason = "fewer than two of the training labels occur among the test cells"
    converged = name != "lr" or int(model[-1].n_iter_.max()) < model[-1].max_iter
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
    """Average one-against-rest AUROC over labels in both sets, on cells whose label was seen in training."""
    from sklearn.metrics import roc_auc_score

    seen = np.isin(true, known)
    values = []
    for column, label in enumerate(known):
        positive = true[seen] == label
        if positive.any() and not positive.all():
            values.append(roc_auc_score(positive, chances[seen, column]))
    return float(np.mean(values)) if values else float("nan")


def summarise(
    scored: Sequence[Scored],
    metrics: Mapping[str, MetricType],
    *,
    mean_name: str,
    params: Mapping[str, Any],
    counts: Mapping[str, int],
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
            )
            if undefined == len(part):
                result.reason = next(s.reason for s in part if s.reason)
            slow = sum(not s.converged for s in part)
            if slow:
                result.details = {
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
