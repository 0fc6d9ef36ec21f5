import tracemalloc

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from czbenchmarks.kernels import silhouette
from czbenchmarks.kernels.silhouette import silhouette_samples


def slow_silhouette(X, codes, distance="euclidean", other="nearest"):
    X, codes = np.asarray(X, dtype=np.longdouble), np.asarray(codes)
    if distance == "cosine":
        distances = np.array([[1 - (a @ b) / np.sqrt((a @ a) * (b @ b)) for b in X] for a in X])
    else:
        distances = np.array([[np.sqrt(((a - b) ** 2).sum()) for b in X] for a in X])
    values = np.zeros(len(X))
    for i, code in enumerate(codes):
        own = [j for j in range(len(X)) if codes[j] == code and j != i]
        if not own:
            continue
        a = np.mean([distances[i, j] for j in own])
        means = [distances[i, codes == group].mean() for group in set(codes.tolist()) - {code}]
        b = {"nearest": min(means), "furthest": max(means), "mean_other": distances[i, codes != code].mean()}[other]
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


def test_groups_of_many_blocks():
    # Groups larger than a block (1,024), whose sums come part by part; a few cells by hand.
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


@pytest.mark.parametrize("other", ["nearest", "furthest", "mean_other"])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_other_distances_and_other_groups(distance, other):
    rng = np.random.default_rng(8)
    X, codes = rng.normal(size=(150, 6)), rng.choice(6, 150, p=[0.5, 0.3, 0.1, 0.06, 0.03, 0.01])
    codes[:2] = 5  # a group of one or two
    found = silhouette_samples(X, codes, distance=distance, other=other)
    np.testing.assert_allclose(found, slow_silhouette(X, codes, distance, other), atol=1e-9)


@pytest.mark.parametrize("other", ["nearest", "furthest", "mean_other"])
def test_blocks_of_every_kind_agree(monkeypatch, other):
    # Small blocks: parts of large groups, whole groups, and several small ones together, in every order.
    rng = np.random.default_rng(9)
    sizes = [70, 3, 1, 45, 2, 2, 31, 10, 1, 64]
    codes = rng.permutation(np.repeat(np.arange(10), sizes))
    X = rng.normal(size=(len(codes), 3))
    expected = slow_silhouette(X, codes, other=other)
    for size in (1, 7, 30, 64, 1000):
        monkeypatch.setattr(silhouette, "_BLOCK", size)
        np.testing.assert_allclose(silhouette_samples(X, codes, other=other), expected, atol=1e-12)
        rows = rng.permutation(len(codes))[:50]
        np.testing.assert_allclose(silhouette_samples(X, codes, rows=rows, other=other), expected[rows], atol=1e-12)


def test_within_sections_is_each_section_by_itself(monkeypatch):
    rng = np.random.default_rng(10)
    X, within = rng.normal(size=(400, 4)), rng.integers(0, 5, 400)
    codes = rng.integers(0, 3, 400) * 2  # not every section needs every group
    codes[within == 2] = np.arange((within == 2).sum()) % 2 * 4
    expected = np.empty(400)
    for section in range(5):
        cells = np.flatnonzero(within == section)
        expected[cells] = slow_silhouette(X[cells], codes[cells])
    for size in (20, 1000):
        monkeypatch.setattr(silhouette, "_BLOCK", size)
        np.testing.assert_allclose(silhouette_samples(X, codes, within=within), expected, atol=1e-12)
        rows = np.array([399, 3, 77, 200, 12])
        np.testing.assert_allclose(silhouette_samples(X, codes, within=within, rows=rows), expected[rows], atol=1e-12)


def test_some_rows_are_the_same_rows_of_all():
    rng = np.random.default_rng(11)
    X, codes = rng.normal(size=(3000, 8)).astype(np.float32), rng.integers(0, 7, 3000)
    rows = rng.permutation(3000)[:700]
    np.testing.assert_allclose(silhouette_samples(X, codes, rows=rows), silhouette_samples(X, codes)[rows], atol=1e-6)


def test_float_cells_are_as_good_as_double_ones():
    rng = np.random.default_rng(12)
    X, codes = rng.normal(size=(1500, 40)).astype(np.float32), rng.integers(0, 5, 1500)
    exact = silhouette_samples(X.astype(np.float64) + 1e-9, codes)  # does not fit single precision
    np.testing.assert_allclose(silhouette_samples(X, codes), exact, atol=1e-6)


def test_as_many_groups_as_cells_need_little_memory():
    X = np.random.default_rng(13).normal(size=(20_000, 2)).astype(np.float32)
    tracemalloc.start()
    try:
        values = silhouette_samples(X, np.arange(20_000) // 2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.isfinite(values).all()
    assert peak < 200e6  # all pairs would be 3.2 GB, all sums to groups 1.6 GB


@pytest.mark.parametrize("other", ["nearest", "mean_other"])
def test_threads_change_no_bit_of_any_kind(same_bits, other):
    rng = np.random.default_rng(14)
    X, codes, within = rng.normal(size=(4000, 5)), rng.integers(0, 3, 4000), rng.integers(0, 2, 4000)
    rows = rng.permutation(4000)[:900]
    same_bits(
        lambda: [
            silhouette_samples(X, codes, other=other, distance="cosine"),
            silhouette_samples(X, codes, within=within, other=other),
            silhouette_samples(X, codes, rows=rows, other=other),
        ]
    )


def hard_cells(rng, d):
    """Tight groups far from each other and near each other, an outlier, copies, a group of one cell."""
    codes = np.r_[rng.integers(0, 5, 299), 5]
    X = 1e-3 * rng.normal(size=(300, d)) + np.array([1.0, 1.01, 1.05, 100.0, 0.0, 0.0])[codes][:, None]
    X[7] = 6e4
    X[20:40] = X[3]
    return X, codes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("beside", ["ones", "groups"])
def test_squares_too_small_for_single_precision(dtype, beside):
    rng = np.random.default_rng(16)
    cells, within = rng.normal(size=(80, 5)) * 1e-25, np.arange(80) % 2
    X = np.column_stack([cells, np.ones(80) if beside == "ones" else within]).astype(dtype)
    codes = rng.integers(0, 3, 80)
    found, expected = silhouette_samples(X, codes, within=within), np.empty(80)
    for section in (0, 1):
        expected[within == section] = slow_silhouette(X[within == section], codes[within == section])
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("d", [1, 3, 50, 1500])
@pytest.mark.parametrize(("dtype", "error"), [(np.float16, 1e-5), (np.float32, 1e-5), (np.float64, 1e-12)])
def test_tight_groups_cost_no_digits(d, dtype, error):
    X, codes = hard_cells(np.random.default_rng(d), d)
    X = X.astype(dtype)
    np.testing.assert_allclose(silhouette_samples(X, codes), slow_silhouette(X, codes), atol=error)


@pytest.mark.parametrize("other", ["nearest", "furthest", "mean_other"])
def test_cosine_of_parallel_opposite_and_nearly_equal_rows(other):
    rng = np.random.default_rng(15)
    X, codes = rng.normal(size=(150, 9)), rng.integers(0, 4, 150)
    X[::3] = X[0] * rng.uniform(0.1, 10, size=(50, 1))
    X[::6] *= -1
    X[1::3] = X[1] * (1 + 1e-6 * rng.normal(size=(50, 9)))
    found = silhouette_samples(X, codes, distance="cosine", other=other)
    np.testing.assert_allclose(found, slow_silhouette(X, codes, "cosine", other), atol=1e-9)
