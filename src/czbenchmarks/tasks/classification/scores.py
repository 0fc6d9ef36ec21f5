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

from czbenchmarks._check import unknown
from czbenchmarks.exceptions import InputError
from czbenchmarks.kernels.parallel import map_blocks, one_blas_thread
from czbenchmarks.metrics.presets import ALL, PRESETS, PUBLISHED, find
from czbenchmarks.metrics.types import MetricResult, MetricType, Units

from .classifiers import KNN, NAMES, Classifiers
from .tables import confusion, per_class

MEAN_FOLD = {
    "accuracy": MetricType.MEAN_FOLD_ACCURACY,
    "f1": MetricType.MEAN_FOLD_F1_SCORE,
    "precision": MetricType.MEAN_FOLD_PRECISION,
    "recall": MetricType.MEAN_FOLD_RECALL,
    "auroc": MetricType.MEAN_FOLD_AUROC,
    "balanced_accuracy": MetricType.MEAN_FOLD_BALANCED_ACCURACY,
    "mcc": MetricType.MEAN_FOLD_MCC,
}
SINGLE = {
    "accuracy": MetricType.ACCURACY,
    "f1": MetricType.F1_SCORE,
    "precision": MetricType.PRECISION,
    "recall": MetricType.RECALL,
    "auroc": MetricType.AUROC,
    "balanced_accuracy": MetricType.BALANCED_ACCURACY,
    "mcc": MetricType.MCC,
}
SCORES = tuple(MEAN_FOLD)
PUBLISHED_SCORES, MORE_SCORES = SCORES[:5], SCORES[5:]
_COST = {"rf": 10.0, "lr": 2.0}  # times that of the neighbours, per training cell
_USUAL = (1e-3, 1e6)  # largest magnitude of an embedding whose unit is left alone
_KEPT = 500_000  # test cells x labels of a fit whose probabilities are kept, in single precision

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
    most_frequent: int = -1
    """The label of most training cells, which needs no embedding to be predicted; -1 if nothing was trained."""
    converged: bool = True
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why a score has no value."""
    probabilities: NDArray[np.float32] | None = None
    """Test cells x labels of the group; None if they are too many to keep."""


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

    Of two labels in all of a group the later one is the positive; more are scored by macro means.
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
        return Scored(row, split.test_ids, split.y_test, nobody, reasons=dict.fromkeys(SCORES, reason))
    (X, train), (X_test, test) = split.train, split.test
    chances, converged = classifiers.chances(name, X[train], codes, X_test[test])
    predicted = known[np.argmax(chances, axis=1)]
    row.update(_scores(split.y_test, predicted, chances, known, n_labels))
    reasons = {}
    if np.isnan(row["auroc"]):
        reasons["auroc"] = "fewer than two of the training labels occur among the test cells"
    if np.isnan(row["mcc"]):
        constant = "test cells have" if (split.y_test == split.y_test[0]).all() else "predictions are"
        reasons["mcc"] = f"all {constant} one label"
    most_frequent = int(known[np.argmax(np.bincount(codes))])
    kept = None
    if len(predicted) * n_labels <= _KEPT:
        kept = np.zeros((len(predicted), n_labels), np.float32)
        kept[:, known] = chances
    return Scored(row, split.test_ids, split.y_test, predicted, most_frequent, converged, reasons, kept)


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
    cells = np.bincount(true)
    found = np.bincount(true[true == predicted], minlength=len(cells))
    return {
        "accuracy": float((true == predicted).mean()),
        "f1": float(f1.mean()),
        "precision": float(precision.mean()),
        "recall": float(recall.mean()),
        "auroc": _auroc(true, chances, known),
        "balanced_accuracy": float((found[cells > 0] / cells[cells > 0]).mean()),
        "mcc": _mcc(true, predicted),
    }


def _mcc(true: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Correlation of true and predicted labels as indicators; NaN if one of them is constant."""
    n, size = len(true), int(max(true.max(), predicted.max())) + 1
    cells, called = (np.bincount(codes, minlength=size) for codes in (true, predicted))
    # Whole numbers of any size: the product of two counts of pairs does not fit 64 bits.
    spread_true, spread_predicted = n * n - int(cells @ cells), n * n - int(called @ called)
    if not spread_true or not spread_predicted:
        return math.nan
    together = n * int((true == predicted).sum()) - int(cells @ called)
    return max(-1.0, min(1.0, together / math.sqrt(spread_true * spread_predicted)))


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


def chosen(names: Sequence[str], task: str, *families: Mapping[str, MetricType]) -> tuple[dict[str, MetricType], ...]:
    """Return the scores that a task input's `metrics` ask for, of each family: those of folds, those of one test.

    A name that stands for no score of the task is refused.
    """
    known = [metric for family in families for metric in family.values()]
    published = [family[score] for family in families for score in PUBLISHED_SCORES]
    wanted: set[MetricType] = set()
    for name in names:
        one = find(name)
        if isinstance(one, MetricType):
            some = [one]
        else:
            some = published if one is PRESETS[PUBLISHED] else known if one is PRESETS[ALL] else one.metrics
        if not set(some) & set(known):
            available = [PUBLISHED, ALL, *(metric.value for metric in known)]
            raise InputError(unknown("Metric", name, available, f"is no score of the task {task!r}"))
        wanted |= set(some)
    return tuple({score: one for score, one in family.items() if one in wanted} for family in families)


def summarise(
    scored: Sequence[Scored],
    metrics: Mapping[str, MetricType],
    *,
    mean_name: str,
    params: Mapping[str, Any],
    counts: Mapping[str, int],
    labels: NDArray[Any],
    details: Mapping[str, Any] | None = None,
    where: str = "",
) -> list[MetricResult]:
    """Return the scores of one set of splits: the mean over classifiers first, then each classifier.

    With each classifier's accuracy comes its confusion matrix as breakdowns, with its F1 the table of its labels.
    `params`, `counts` and `details` are those of all these scores; `where` begins what is said of these splits, if
    scores of several sets of splits stand together.
    """
    names = list(dict.fromkeys(s.row["classifier"] for s in scored))
    references = _references([s for s in scored if s.row["classifier"] == names[0]], labels, where)
    results = []
    for name in (None, *names):
        part = [s for s in scored if name in (None, s.row["classifier"])]
        for score, metric in metrics.items():
            result = _summary(part, score, metric, details)
            result._units = _units(part, score, labels)
            if score in references and not result.reason:
                note(result, references[score])
            result.params = {**params, "classifier": name or mean_name}
            result.counts = {**counts, **(result.counts or {})}
            if name and score in _TABLES:
                columns = result._units.columns
                result._breakdowns = _TABLES[score](columns["true"], columns["predicted"], labels)
            results.append(result)
    return results


def _references(splits: Sequence[Scored], labels: NDArray[Any], where: str) -> dict[str, str]:
    """Say what predicting one label for every cell scores, where that is much: of two labels, or of a larger half.

    Of two labels F1, precision and recall are those of one, and high for any predictions if that is the larger.
    """
    splits = [split for split in splits if split.most_frequent >= 0]
    if not splits:
        return {}
    shares = [float((split.true == split.most_frequent).mean()) for split in splits]
    accuracy, answers = float(np.mean(shares)), {split.most_frequent for split in splits}
    said = {}
    if len(labels) == 2 or accuracy > 0.5:
        answer = f", {str(labels[answers.pop()])!r}," if len(answers) == 1 else ""
        said["accuracy"] = f"{where}always predicting the most frequent label{answer} has an accuracy of {accuracy:.3f}"
    if len(labels) == 2:
        positive = repr(str(labels[1]))
        share = np.array([(split.true == 1).mean() for split in splits])
        f1 = float((2 * share / (1 + share)).mean())
        of_one = (
            f"{where}F1, precision and recall are of the label {positive} alone, the last of two in sorted order; "
            f"always predicting it has an F1 of {f1:.3f}"
        )
        said |= dict.fromkeys(("f1", "precision", "recall"), of_one)
    return said


_TABLES = {"accuracy": confusion, "f1": per_class}


def _summary(part: Sequence[Scored], score: str, metric: MetricType, details: Mapping[str, Any] | None) -> MetricResult:
    """Return one score as the mean over splits; those without a value are left out, and counted."""
    import pandas as pd

    values = pd.Series([s.row[score] for s in part])
    undefined = int(values.isna().sum())
    result = MetricResult(
        metric_type=metric,
        value=float(values.mean()),
        counts={"splits_left_out": undefined} if undefined else {},
        details=dict(details) if details else None,
    )
    reasons = " and ".join(dict.fromkeys(s.reasons[score] for s in part if score in s.reasons))
    if undefined == len(part):
        result.reason = next(s.reasons[score] for s in part if score in s.reasons)
    elif undefined:
        note(result, f"{undefined} of {len(part)} fits have no value and are left out of the mean: {reasons}")
    slow = sum(not s.converged for s in part)
    if slow:
        note(
            result,
            f"the logistic regression had not converged in {slow} of its fits",
            logistic_regression_not_converged=slow,
        )
    return result


def note(result: MetricResult, text: str, **details: Any) -> None:
    """Add a sentence, and facts, to what a result says of itself."""
    known = result.details or {}
    result.details = {**known, **details, "note": "; ".join(filter(None, [known.get("note"), text]))}


def _units(part: Sequence[Scored], score: str, labels: NDArray[Any]) -> Units:
    columns = {
        "true": np.concatenate([s.true for s in part]),
        "predicted": np.concatenate([s.predicted for s in part]),
        "split": np.concatenate([np.full(len(s.ids), s.row.get("split", 0)) for s in part]),
        "classifier": np.concatenate([np.full(len(s.ids), s.row["classifier"]) for s in part]),
    }
    kept = [s.probabilities for s in part if s.probabilities is not None]
    if score == "auroc" and len(kept) == len(part):
        columns["probabilities"] = np.concatenate(kept)
    right = (columns["true"] == columns["predicted"]).astype(np.float64)
    right[columns["predicted"] < 0] = np.nan  # nothing was predicted
    ids = np.concatenate([s.ids for s in part])
    return Units("held-out prediction", ids, right if score == "accuracy" else None, columns, labels=labels)
