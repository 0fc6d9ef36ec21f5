import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from czbenchmarks.metrics.perturbation import each_rank_correlation, rank_correlation


def slow_spearman(a, b):
    def ranks(values):
        return [sum(w < v for w in values) + (sum(w == v for w in values) + 1) / 2 for v in values]

    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_twin_and_scipy(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 6, 30).astype(float), rng.normal(size=30)
    found = rank_correlation(a, b)
    assert found.value == pytest.approx(slow_spearman(a, b), abs=1e-12)
    assert found.value == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert found.counts == {"used": 30, "left_out": 0}


def test_only_ranks_count():
    a, b = np.array([3.0, 1.0, 2.0, 9.0]), np.array([0.3, -5.0, 0.1, 0.4])
    assert rank_correlation(a, b).value == 1.0
    assert rank_correlation(np.exp(a) * 1e20, b * 1e-20).value == 1.0
    assert rank_correlation(-a, b).value == -1.0


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ([1, 1, 1], [1, 2, 3], "the first side is constant"),
        ([1, 2, 3], [2, 2, 2], "the second side is constant"),
        ([1], [2], "1 value is too few to rank"),
        ([], [], "0 value is too few to rank"),
    ],
)
def test_undefined(a, b, reason):
    found = rank_correlation(a, b)
    assert math.isnan(found.value)
    assert found.reason == reason


def test_bad_input():
    with pytest.raises(ValueError, match=r"`b` must be finite, got 2 NaN or infinite values"):
        rank_correlation([1, 2, 3], [1, np.nan, np.inf])
    with pytest.raises(ValueError, match=r"`b` must have the same length"):
        rank_correlation([1, 2, 3], [1, 2])


def test_many_at_once_are_what_each_is_alone():
    rng = np.random.default_rng(0)
    pairs = [(rng.integers(0, n, n).astype(float), rng.normal(size=n)) for n in range(1, 30)]
    pairs += [(np.zeros(0), np.zeros(0)), (np.ones(3), np.arange(3.0)), (np.arange(3.0), np.ones(3))]
    together = each_rank_correlation(*zip(*pairs, strict=True))
    assert [repr(one) for one in together] == [repr(rank_correlation(a, b)) for a, b in pairs]
    assert each_rank_correlation([], []) == []
