import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from czbenchmarks.kernels.silhouette import silhouette_samples


def slow_silhouette(X, codes):
    X, codes = np.asarray(X, dtype=np.longdouble), np.asarray(codes)
    distances = np.array([[np.sqrt(((a - b) ** 2).sum()) for b in X] for a in X])
    values = np.zeros(len(X))
    for i, code in enumerate(codes):
        own = [j for j in range(len(X)) if codes[j] == code and j != i]
        if not own:
            continue
        a = np.mean([distances[i, j] for j in own])
        b = min(distances[i, codes == other].mean() for other in set(codes.tolist()) - {code})
        values[i] = (b - a) / max(a, b) if max(a, b) > 0 else 0.0
    return values


@pytest.mark.parametrize("d", [1, 2, 30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_the_twin_and_scikit_learn(d, dtype):
    rng = np.random.default_rng(d)
    X, codes = rng.normal(size=(120, d)).astype(dtype), rng.integers(0, 5, 120)
    codes[-1] = 5  # the only cell of its group
    found = silhouette_samples(X, codes)
    np.testing.assert_allclose(found, slow_silhouette(X, codes), atol=1e-7)
    np.testing.assert_allclose(found, sklearn.metrics.silhouette_samples(X.astype(np.float64), codes), atol=1e-7)
    assert found[-1] == 0


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.data())
def test_ties_and_duplicates(data):
    n = data.draw(st.integers(2, 25))
    X = np.array(data.draw(st.lists(st.tuples(*[st.integers(0, 2)] * 2), min_size=n, max_size=n)), dtype=float)
    groups = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(lambda g: len(set(g)) > 1))
    codes = np.unique(groups, return_inverse=True)[1]
    np.testing.assert_allclose(silhouette_samples(X, codes), slow_silhouette(X, codes), atol=1e-6)


def test_identical_cells_in_two_groups_give_zero():
    X = np.full((50, 7), 0.1)
    np.testing.assert_array_equal(silhouette_samples(X, np.arange(50) % 3), np.zeros(50))


def test_identical_cells_beside_others():
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(90, 6)), np.arange(90) % 3
    X[20:60] = X[3]
    np.testing.assert_allclose(silhouette_samples(X, codes), slow_silhouette(X, codes), atol=1e-7)


def test_groups_of_one_cell_only():
    np.testing.assert_array_equal(silhouette_samples(np.arange(4.0)[:, None], np.arange(4)), np.zeros(4))


def test_perfect_groups_give_one():
    np.testing.assert_array_equal(silhouette_samples(np.repeat([[0.0], [5.0]], 10, axis=0), np.repeat([0, 1], 10)), 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_offset_of_a_million_changes_nothing(dtype):
    rng = np.random.default_rng(1)
    cells, codes = np.round(rng.normal(size=(100, 8)) * 16) / 16, rng.integers(0, 4, 100)
    np.testing.assert_allclose(
        silhouette_samples((cells + 1e6).astype(dtype), codes), slow_silhouette(cells, codes), atol=1e-6
    )


@pytest.mark.parametrize("unit", [1e-20, 1e20])
def test_units_change_nothing(unit):
    rng = np.random.default_rng(2)
    X, codes = rng.normal(size=(100, 8)), rng.integers(0, 4, 100)
    np.testing.assert_allclose(silhouette_samples(X * unit, codes), silhouette_samples(X, codes), atol=1e-9)


def test_dimensions_of_wildly_different_scale():
    rng = np.random.default_rng(3)
    X, codes = rng.normal(size=(80, 3)) * [1e6, 1.0, 1e-6], np.arange(80) % 3
    np.testing.assert_allclose(silhouette_samples(X, codes), slow_silhouette(X, codes), atol=1e-7)


def test_several_blocks_agree_with_scikit_learn():
    rng = np.random.default_rng(4)
    X, codes = rng.normal(size=(2500, 5)), rng.integers(0, 60, 2500)
    X[:, 0] += codes
    expected = sklearn.metrics.silhouette_samples(X, codes)
    np.testing.assert_allclose(silhouette_samples(X, codes), expected, atol=1e-9)


def test_groups_that_cross_the_border_between_slices():
    # More cells than one slice of columns (8,192); a few of them by hand.
    rng = np.random.default_rng(5)
    X, codes = rng.normal(size=(8500, 2)), rng.integers(0, 3, 8500)
    found = silhouette_samples(X, codes)
    for cell in (0, 4321, 8499):
        distances = np.sqrt(((X - X[cell]) ** 2).sum(axis=1))
        sums = np.bincount(codes, distances)
        sizes = np.bincount(codes)
        own = codes[cell]
        a, b = sums[own] / (sizes[own] - 1), min(sums[g] / sizes[g] for g in range(3) if g != own)
        assert found[cell] == pytest.approx((b - a) / max(a, b), abs=1e-9)


def test_threads_change_no_bit(same_bits):
    rng = np.random.default_rng(6)
    X, codes = rng.normal(size=(3000, 30)).astype(np.float32), rng.integers(0, 12, 3000)
    same_bits(lambda: [silhouette_samples(X, codes)])


def test_a_far_outlier_costs_no_digits():
    rng = np.random.default_rng(7)
    X, codes = rng.normal(size=(100, 7)), np.arange(100) % 3
    X[0] = 1e9
    np.testing.assert_allclose(silhouette_samples(X, codes), slow_silhouette(X, codes), atol=1e-7)
