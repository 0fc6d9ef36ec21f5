import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.manifold import trustworthiness

from czbenchmarks.kernels.neighbors import exact_neighbors
from czbenchmarks.kernels.preservation import excess_ranks


def slow_excess(X, Y, k):
    """Rank all cells around each in both spaces, by (distance, index)."""
    X, Y = np.asarray(X, dtype=float), np.asarray(Y, dtype=float)
    values = []
    for i in range(len(X)):
        others = [j for j in range(len(X)) if j != i]
        ranked = sorted(others, key=lambda j: (((X[i] - X[j]) ** 2).sum(), j))
        listed = sorted(others, key=lambda j: (((Y[i] - Y[j]) ** 2).sum(), j))[:k]
        values.append(sum(max(0, ranked.index(j) + 1 - k) for j in listed))
    return np.array(values, dtype=float)


def excess(X, Y, k, rows=None):
    lists, own = exact_neighbors(Y, k + 1).indices, exact_neighbors(X, k + 1).indices
    return excess_ranks(X, lists, own, np.arange(len(X)) if rows is None else rows)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    n=st.integers(3, 40), seed=st.integers(0, 99), kind=st.sampled_from(["f4", "f8"]), whole=st.booleans(),
    offset=st.sampled_from([0.0, 4096.0]),
)  # fmt: skip
def test_agrees_with_the_twin(n, seed, kind, whole, offset):
    rng = np.random.default_rng(seed)
    # Whole numbers tie, and are exact in every precision.
    X = rng.integers(0, 4, (n, 3)) if whole else rng.normal(size=(n, 3))
    X, Y = (X + offset).astype(kind), rng.integers(0, 5, (n, 2)).astype(kind)
    k = int(rng.integers(1, max(2, n // 2)))
    np.testing.assert_array_equal(excess(X, Y, k), slow_excess(X, Y, k))


@pytest.mark.parametrize("k", [1, 5, 15])
def test_agrees_with_scikit_learn(k):
    rng = np.random.default_rng(k)
    X = rng.normal(size=(200, 20))
    Y = X[:, :2] + 0.5 * rng.normal(size=(200, 2))
    found = 1 - 2 / (200 * k * (400 - 3 * k - 1)) * excess(X, Y, k).sum()
    assert found == pytest.approx(trustworthiness(X, Y, n_neighbors=k), abs=1e-12)


def test_a_cell_far_out_does_not_blur_the_ranks_of_the_others():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 4)).astype(np.float32), rng.normal(size=(60, 2))
    X[7] = 1e7
    np.testing.assert_array_equal(excess(X, Y, 6), slow_excess(X, Y, 6))


def test_some_rows():
    rng = np.random.default_rng(1)
    X, Y, rows = rng.normal(size=(80, 4)), rng.normal(size=(80, 2)), np.array([3, 70])
    np.testing.assert_array_equal(excess(X, Y, 6, rows), excess(X, Y, 6)[rows])


def test_the_unit_changes_nothing():
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(80, 4)), rng.normal(size=(80, 2))
    for unit in (1e-130, 1e-6, 1e140):
        np.testing.assert_array_equal(excess(X * unit, Y, 6), excess(X, Y, 6))


def test_threads_change_no_bit(same_bits):
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(1500, 6)), rng.normal(size=(1500, 2))
    same_bits(lambda: [excess(X, Y, 8)])
