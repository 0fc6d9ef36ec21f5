"""Scores of one fit, which scores a task gives, and what a mean over fits says of those without a value."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, matthews_corrcoef

from czbenchmarks.metrics.types import MetricType
from czbenchmarks.tasks.classification.scores import MEAN_FOLD, SCORES, SINGLE, Scored, _scores, chosen, summarise

PUBLISHED = ["accuracy", "f1", "precision", "recall", "auroc"]


def scored_fit(true, predicted, n_labels=4):
    return _scores(true, predicted, np.eye(n_labels)[predicted], np.arange(n_labels), n_labels)


def slow_mcc(true, predicted, n_labels):
    """Correlate indicators of labels: covariances summed over labels (Gorodkin 2004)."""
    one, other = np.eye(n_labels)[true], np.eye(n_labels)[predicted]
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    return (one * other).sum() / math.sqrt((one**2).sum() * (other**2).sum())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**16), n_labels=st.integers(2, 5), noise=st.floats(0, 1))
def test_balanced_accuracy_and_mcc(seed, n_labels, noise):
    rng = np.random.default_rng(seed)
    true = np.concatenate([np.arange(2), rng.integers(0, n_labels, 40)])
    predicted = np.where(rng.random(42) < noise, rng.integers(0, n_labels, 42), true)
    found = scored_fit(true, predicted, n_labels)
    recalls = [np.mean(predicted[true == label] == label) for label in np.unique(true)]
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recalls), abs=1e-12)
    if len(set(predicted)) > 1:
        assert found["mcc"] == pytest.approx(slow_mcc(true, predicted, n_labels), abs=1e-12)
        assert found["mcc"] == pytest.approx(matthews_corrcoef(true, predicted), abs=1e-12)
        assert found["mcc"] <= 1
    else:
        assert math.isnan(found["mcc"])
    if set(predicted) <= set(true):  # scikit-learn warns of other predictions
        assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(true, predicted), abs=1e-12)


def test_perfect_reversed_and_undefined():
    true = np.array([0, 0, 1, 1, 1])
    assert (scored_fit(true, true, 2)["mcc"], scored_fit(true, 1 - true, 2)["mcc"]) == (1.0, -1.0)
    assert scored_fit(true, 1 - true, 2)["balanced_accuracy"] == 0.0
    constant = scored_fit(true, np.zeros(5, dtype=int), 2)
    assert constant["balanced_accuracy"] == 0.5
    assert math.isnan(constant["mcc"])
    assert math.isnan(scored_fit(np.zeros(5, dtype=int), true, 2)["mcc"])


def test_counts_of_many_cells_do_not_overflow():
    true = np.arange(3_000_000) % 3
    predicted = np.where(np.arange(len(true)) % 10 < 4, 0, true)
    matrix = np.histogram2d(true, predicted, bins=3)[0]
    n, right = matrix.sum(), np.trace(matrix)
    expected = (right * n - matrix.sum(0) @ matrix.sum(1)) / math.sqrt(
        (n * n - (matrix.sum(0) ** 2).sum()) * (n * n - (matrix.sum(1) ** 2).sum())
    )
    assert scored_fit(true, predicted, 3)["mcc"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("names", "of_folds", "of_one_test"),
    [
        (["published"], PUBLISHED, PUBLISHED),
        (["all"], [*PUBLISHED, "balanced_accuracy", "mcc"], [*PUBLISHED, "balanced_accuracy", "mcc"]),
        (["mean_fold_mcc"], ["mcc"], []),
        (["mcc", "published"], PUBLISHED, [*PUBLISHED, "mcc"]),
        (["mean_fold_balanced_accuracy", "f1"], ["balanced_accuracy"], ["f1"]),
    ],
)
def test_chosen(names, of_folds, of_one_test):
    found = chosen(names, "a task", MEAN_FOLD, SINGLE)
    assert [list(family) for family in found] == [of_folds, of_one_test]
    assert found[0] == {score: MEAN_FOLD[score] for score in of_folds}


@pytest.mark.parametrize("name", ["scib", "silhouette_score", "mcc"])
def test_what_is_no_score_of_the_task_is_refused(name):
    with pytest.raises(ValueError, match=f"Metric '{name}' is no score of the task 'Label Prediction'"):
        chosen(["published", name], "Label Prediction", MEAN_FOLD)


def fit(classifier, split, mcc, reason=None):
    codes = np.zeros(2, dtype=np.int64)
    row = {"classifier": classifier, "split": split, **dict.fromkeys(SCORES, 0.5), "mcc": mcc}
    return Scored(row, np.arange(2), codes, codes, reasons={} if reason is None else {"mcc": reason})


def test_fits_without_a_value_are_left_out_counted_and_explained():
    constant = "all predictions are one label"
    fits = [fit("lr", 0, 0.2), fit("lr", 1, math.nan, constant)] + [
        fit(name, split, math.nan, constant) for name, split in product(("knn",), (0, 1))
    ]
    mean, lr, knn = summarise(
        fits, {"mcc": MetricType.MEAN_FOLD_MCC}, mean_name="MEAN", params={}, counts={"used": 4},
        labels=np.array(["B"]), details={"engine": "fast"},
    )  # fmt: skip
    said = f"{{}} fits have no value and are left out of the mean: {constant}"
    assert (mean.value, mean.reason, mean.counts) == (0.2, None, {"used": 4, "splits_left_out": 3})
    assert mean.details == {"engine": "fast", "note": said.format("3 of 4")}
    assert (lr.value, lr.counts, lr.details["note"]) == (0.2, {"used": 4, "splits_left_out": 1}, said.format("1 of 2"))
    assert math.isnan(knn.value)
    assert (knn.reason, knn.counts, knn.details) == (constant, {"used": 4, "splits_left_out": 2}, {"engine": "fast"})


def constant_fits(true, labels, answer, parts=2):
    """Return fits of two classifiers that were trained where `answer` is the most frequent label."""
    found = []
    for name, (split, cells) in product(("lr", "knn"), enumerate(np.array_split(np.arange(len(true)), parts))):
        here = true[cells]
        row = {"classifier": name, "split": split, **scored_fit(here, here, len(labels))}
        found.append(Scored(row, cells, here, here, most_frequent=answer))
    return found


def notes(fits, labels, scores=("accuracy", "f1", "precision", "recall", "auroc"), **options):
    results = summarise(
        fits, {score: MEAN_FOLD[score] for score in scores}, mean_name="MEAN", params={}, counts={},
        labels=np.array(labels, dtype=object), **options,
    )  # fmt: skip
    by_classifier = [[(r.details or {}).get("note") for r in results[i : i + len(scores)]] for i in (0, len(scores))]
    assert by_classifier[0] == by_classifier[1]
    return dict(zip(scores, by_classifier[0], strict=True))


@pytest.mark.parametrize(("cells", "answer"), [([56, 444], 1), ([444, 56], 0), ([50, 50], 0)])
def test_of_two_labels_the_one_that_is_scored_is_named_with_what_one_answer_scores(cells, answer):
    true = np.random.default_rng(0).permutation(np.repeat([0, 1], cells))
    dummy = [np.full(len(part), answer) for part in np.array_split(true, 2)]
    accuracy = np.mean([accuracy_score(*pair) for pair in zip(np.array_split(true, 2), dummy, strict=True)])
    f1 = np.mean([f1_score(part, np.ones(len(part))) for part in np.array_split(true, 2)])
    found = notes(constant_fits(true, ["bad", "good"], answer), ["bad", "good"])
    name = ["bad", "good"][answer]
    assert (
        found["accuracy"] == f"always predicting the most frequent label, {name!r}, has an accuracy of {accuracy:.3f}"
    )
    of_one = "F1, precision and recall are of the label 'good' alone, the last of two in sorted order"
    said = f"{of_one}; always predicting it has an F1 of {f1:.3f}"
    assert [found[score] for score in ("f1", "precision", "recall")] == [said] * 3
    assert found["auroc"] is None


def test_of_more_labels_a_larger_half_is_named_and_nothing_else():
    true = np.repeat([0, 1, 2], [10, 70, 20])[np.random.default_rng(0).permutation(100)]
    found = notes(constant_fits(true, "abc", 1), list("abc"), where="within mouse, ")
    said = "within mouse, always predicting the most frequent label, 'b', has an accuracy of 0.700"
    assert found == {"accuracy": said, **dict.fromkeys(("f1", "precision", "recall", "auroc"))}
    balanced = np.arange(99) % 3
    assert set(notes(constant_fits(balanced, "abc", 0, 3), list("abc")).values()) == {None}
