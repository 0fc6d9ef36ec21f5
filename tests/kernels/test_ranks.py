import numpy as np
import pytest
from scipy.stats import spearmanr

from czbenchmarks.kernels.ranks import mean_ranks, rank_correlations


def slow_ranks(values):
    return [sum(w < v for w in values) + (sum(w == v for w in values) + 1) / 2 for v in values]


@pytest.fixture
def series():
    """Return series of 0 to 40 values, some with many ties, two of them constant."""
    rng = np.random.default_rng(0)
    made = [rng.integers(-3, 4, n).astype(float) if n % 2 else rng.normal(size=n) for n in range(41)]
    made[9][:] = 2.5
    made[4] = np.array([0.0, -0.0, np.inf, -np.inf])
    return made


def bounds_of(series):
    return np.concatenate([[0], np.cumsum([len(one) for one in series])])


def test_ranks_agree_with_the_twin(series):
    found = mean_ranks(np.concatenate(series), bounds_of(series))
    assert found.tolist() == [rank for one in series for rank in slow_ranks(one)]


def test_correlations_agree_with_scipy(series):
    rng = np.random.default_rng(1)
    others = [rng.integers(0, 9, len(one)).astype(float) for one in series]
    others[11][:] = 1.0
    values, of_a, of_b = rank_correlations(np.concatenate(series), np.concatenate(others), bounds_of(series))
    for i, (one, other) in enumerate(zip(series, others, strict=True)):
        assert (of_a[i] == 0) == (len(set(one.tolist())) < 2)
        assert (of_b[i] == 0) == (len(set(other.tolist())) < 2)
        if of_a[i] and of_b[i]:
            a, b = slow_ranks(one), slow_ranks(other)
            assert values[i] == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
        else:
            assert np.isnan(values[i])
    assert np.isnan(values).sum() == 4  # of no value, of one, and two of a constant side


def test_a_series_alone_has_the_bits_it_has_among_others(series):
    others = [one[::-1].copy() for one in series]
    together = rank_correlations(np.concatenate(series), np.concatenate(others), bounds_of(series))
    for i, (one, other) in enumerate(zip(series, others, strict=True)):
        alone = rank_correlations(one, other, np.array([0, len(one)]))
        np.testing.assert_array_equal([part[0] for part in alone], [part[i] for part in together])


def test_no_series():
    assert [len(part) for part in rank_correlations(np.zeros(0), np.zeros(0), np.array([0]))] == [0, 0, 0]
