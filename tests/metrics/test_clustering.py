import math
from math import comb

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from czbenchmarks.metrics.clustering import (
    adjusted_mutual_info,
    adjusted_rand_index,
    completeness,
    homogeneity,
    normalized_mutual_info,
    v_measure,
)


def slow_ari(true, predicted):
    """Count pairs."""
    n = len(true)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    together_true = sum(true[i] == true[j] for i, j in pairs)
    together_predicted = sum(predicted[i] == predicted[j] for i, j in pairs)
    both = sum(true[i] == true[j] and predicted[i] == predicted[j] for i, j in pairs)
    expected = together_true * together_predicted / comb(n, 2)
    greatest = (together_true + together_predicted) / 2
    return (both - expected) / (greatest - expected)


def slow_nmi(true, predicted):
    n = len(true)

    def entropy(values):
        return -sum(values.count(v) / n * math.log(values.count(v) / n) for v in set(values))

    shared = entropy(true) + entropy(predicted) - entropy(list(zip(true, predicted, strict=True)))
    return shared / ((entropy(true) + entropy(predicted)) / 2)


@pytest.mark.parametrize("seed", range(3))
def test_agree_with_the_twins_and_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, 3, 40).tolist(), rng.integers(0, 4, 40).tolist()
    ari, nmi = adjusted_rand_index(true, predicted), normalized_mutual_info(true, predicted)
    assert ari.value == pytest.approx(slow_ari(true, predicted), abs=1e-12)
    assert nmi.value == pytest.approx(slow_nmi(true, predicted), abs=1e-12)
    assert ari.value == adjusted_rand_score(true, predicted)
    assert nmi.value == normalized_mutual_info_score(true, predicted)


@pytest.mark.parametrize("metric", [adjusted_rand_index, normalized_mutual_info])
def test_units_and_counts(metric):
    labels = pd.Series(["b", "a", "b"], index=["x", "y", "z"])
    found = metric(labels, [5, 5, 7])
    assert found.counts == {"used": 3, "left_out": 0, "labels": 2, "clusters": 2}
    assert found.units.kind == "cell"
    assert found.units.ids.tolist() == ["x", "y", "z"]
    assert found.units.values is None
    assert found.units.columns["label"].tolist() == [1, 0, 1]
    assert found.units.columns["cluster"].tolist() == [0, 0, 1]


@pytest.mark.parametrize("metric", [adjusted_rand_index, normalized_mutual_info])
def test_one_group_on_both_sides_is_not_defined(metric):
    found = metric(["a"] * 5, [0] * 5)
    assert math.isnan(found.value)
    assert found.reason == "labels and clusters hold one group each"
    assert metric(["a"] * 5, [0, 0, 0, 0, 1]).value == 0.0


@pytest.mark.parametrize("metric", [adjusted_rand_index, normalized_mutual_info])
def test_lengths_must_agree(metric):
    with pytest.raises(ValueError, match=r"`labels_pred` must have the same length as the data.*expected 2, got 3"):
        metric(["a", "b"], [0, 1, 2])


def test_least_and_greatest_values():
    assert adjusted_rand_index(["a", "a", "b", "b"], [0, 1, 0, 1]).value == -0.5
    assert adjusted_rand_index(["a", "a", "b", "b"], ["q", "q", "p", "p"]).value == 1.0
    assert normalized_mutual_info(["a", "a", "b", "b"], [0, 1, 0, 1]).value == 0.0


def slow_entropy(values):
    return -sum(values.count(v) / len(values) * math.log(values.count(v) / len(values)) for v in set(values))


def slow_explained(of, by):
    """1 - H(of | by) / H(of), cluster by cluster."""
    left = sum(
        by.count(v) / len(by) * slow_entropy([o for o, b in zip(of, by, strict=True) if b == v]) for v in set(by)
    )
    return 1 - left / slow_entropy(of)


def slow_ami(true, predicted, draws=4000):
    """Shuffle for the expected information."""
    rng = np.random.default_rng(0)

    def information(a, b):
        return slow_entropy(a) + slow_entropy(b) - slow_entropy(list(zip(a, b, strict=True)))

    expected = np.mean([information(true, rng.permutation(predicted).tolist()) for _ in range(draws)])
    mean = (slow_entropy(true) + slow_entropy(predicted)) / 2
    return (information(true, predicted) - expected) / (mean - expected)


def related(seed):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 3, 40)
    return true.tolist(), np.where(rng.random(40) < 0.6, true, rng.integers(0, 4, 40)).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_shares_of_entropy_agree_with_the_twins_and_scikit_learn(seed):
    true, predicted = related(seed)
    h, c = homogeneity(true, predicted).value, completeness(true, predicted).value
    assert h == pytest.approx(slow_explained(true, predicted), abs=1e-12)
    assert c == pytest.approx(slow_explained(predicted, true), abs=1e-12)
    assert v_measure(true, predicted).value == pytest.approx(2 * h * c / (h + c), abs=1e-12)
    assert v_measure(true, predicted).value == pytest.approx(normalized_mutual_info(true, predicted).value, abs=1e-12)
    assert (h, c) == sklearn_metrics.homogeneity_completeness_v_measure(true, predicted)[:2]


@pytest.mark.parametrize("seed", range(3))
def test_information_above_chance_agrees_with_the_twin_and_scikit_learn(seed):
    true, predicted = related(seed)
    found = adjusted_mutual_info(true, predicted).value
    assert found == pytest.approx(slow_ami(true, predicted), abs=0.01)
    assert found == sklearn_metrics.adjusted_mutual_info_score(true, predicted)


def test_what_splitting_and_joining_cost():
    labels = ["a"] * 4 + ["b"] * 4
    split, joined = [0, 0, 1, 1, 2, 2, 3, 3], [0] * 8
    assert (homogeneity(labels, split).value, completeness(labels, split).value) == pytest.approx((1, 0.5))
    assert (homogeneity(labels, joined).value, completeness(labels, joined).value) == (0, 1)
    assert (v_measure(labels, joined).value, adjusted_mutual_info(labels, joined).value) == (0, 0)


@pytest.mark.parametrize("metric", [homogeneity, completeness, v_measure, adjusted_mutual_info])
def test_one_label_explains_nothing(metric):
    found = metric(["a"] * 5, [0, 0, 0, 0, 1])
    assert math.isnan(found.value)
    assert found.reason == "all cells have one label, 'a'"
    assert found.counts == {"used": 5, "left_out": 0, "labels": 1, "clusters": 2}
    assert metric(["a"] * 5, [0] * 5).reason == "labels and clusters hold one group each"
