import numpy as np
import pytest

from czbenchmarks.kernels.sampling import StratifiedSample


def slow_mean(values, rows, strata, weights):
    """Sum over strata of their weight times the mean of the cells drawn, and the error of that."""
    mean, variance = 0.0, 0.0
    for stratum in sorted(set(strata.tolist()) - {-1}):
        cells = [i for i in range(len(strata)) if strata[i] == stratum]
        drawn = [values[list(rows).index(i)] for i in rows if strata[i] == stratum]
        weight = sum(weights[i] for i in cells)
        mean += weight * np.mean(drawn)
        if len(drawn) < len(cells):
            variance += weight**2 * (1 - len(drawn) / len(cells)) * np.var(drawn, ddof=1) / len(drawn)
    return mean, variance**0.5


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    strata = rng.choice([-1, 0, 1, 2, 3], 400, p=[0.1, 0.5, 0.3, 0.09, 0.01])
    counted = strata >= 0
    return strata, counted / counted.sum(), rng.normal(size=400) + strata


def test_mean_and_error_agree_with_the_twin(cells):
    strata, weights, values = cells
    sample = StratifiedSample(strata, weights, 60, seed=3)
    assert sample.mean(values[sample.rows]) == pytest.approx(
        slow_mean(values[sample.rows], sample.rows, strata, weights)
    )


def test_every_stratum_gives_its_share_and_two_at_least(cells):
    strata, weights, _ = cells
    drawn = strata[StratifiedSample(strata, weights, 60, seed=3).rows]
    sizes = np.bincount(strata[strata >= 0])
    expected = np.maximum(2, np.rint(60 * sizes / sizes.sum()))
    np.testing.assert_array_equal(np.bincount(drawn, minlength=4), np.minimum(sizes, expected))


def test_all_cells_give_the_exact_mean_without_error(cells):
    strata, weights, values = cells
    sample = StratifiedSample(strata, weights, 10_000, seed=0)
    np.testing.assert_array_equal(sample.rows, np.flatnonzero(strata >= 0))
    mean, error = sample.mean(values[sample.rows])
    assert (mean, error) == (pytest.approx((weights * values).sum()), 0)


def test_cells_of_a_stratum_are_drawn_equally_often():
    strata, weights = np.repeat([0, 1], [6, 30]), np.full(36, 1 / 36)
    times = np.zeros(36)
    for seed in range(2000):
        times[StratifiedSample(strata, weights, 12, seed).rows] += 1
    # 2 of 6 and 10 of 30 are drawn: each cell a third of the times, give or take 4.5 deviations
    np.testing.assert_allclose(times, 2000 / 3, atol=4.5 * np.sqrt(2000 * 2 / 9))


def test_the_standard_error_covers_the_truth(cells):
    strata, weights, values = cells
    truth = (weights * values).sum()
    samples = [StratifiedSample(strata, weights, 80, seed) for seed in range(400)]
    off = [(mean - truth) / error for mean, error in (s.mean(values[s.rows]) for s in samples)]
    assert 0.9 < np.std(off) < 1.15  # near 1; small strata make it a little more
    assert 0.92 < np.mean(np.abs(off) < 1.96) <= 0.99


def test_the_seed_decides(cells):
    strata, weights, _ = cells
    rows = [StratifiedSample(strata, weights, 60, seed).rows.tolist() for seed in (1, 1, 2)]
    assert rows[0] == rows[1] != rows[2]
