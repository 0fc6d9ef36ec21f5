import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from czbenchmarks.kernels import sequence
from czbenchmarks.kernels.neighbors import exact_neighbors
from czbenchmarks.kernels.sequence import adaptive_k, density_list_length, expected_difference, neighbor_differences

few = settings(max_examples=25, deadline=None, derandomize=True)


@few
@given(st.lists(st.integers(-5, 5), min_size=2, max_size=40))
def test_expected_difference_is_the_mean_over_all_pairs(values):
    n = len(values)
    brute = sum(abs(a - b) for i, a in enumerate(values) for j, b in enumerate(values) if i != j) / (n * (n - 1))
    assert expected_difference(np.array(values, dtype=float)) == pytest.approx(brute, abs=1e-13)


@pytest.mark.parametrize(("offset", "unit"), [(1e9, 1.0), (0.0, 1e-20), (0.0, 1e20)])
def test_expected_difference_keeps_its_digits(offset, unit):
    values = np.random.default_rng(0).integers(0, 9, 200).astype(float)
    assert expected_difference(values * unit + offset) == pytest.approx(expected_difference(values) * unit, rel=1e-12)


@few
@given(n=st.integers(3, 30), seed=st.integers(0, 99))
def test_neighbor_differences_agree_with_a_loop(n, seed):
    rng = np.random.default_rng(seed)
    neighbors, values = exact_neighbors(rng.normal(size=(n, 2)), n), rng.integers(0, 5, n).astype(float)
    wanted = rng.integers(1, n, n)
    expected = [
        np.mean([abs(values[i] - values[j]) for j in neighbors.indices[i, 1 : wanted[i] + 1]]) for i in range(n)
    ]
    np.testing.assert_allclose(neighbor_differences(neighbors, values, wanted), expected, atol=1e-14)


def slow_adaptive_k(distances, n, k):
    entry = max(2, min(30, max(2, 3 * k, n // 4), n - 1))
    density = [1 / (row[entry - 1] + 1e-10) for row in distances]
    low, high = np.percentile(density, 10), np.percentile(density, 90)
    found = []
    for value in density:
        scaled = min(1.0, max(0.0, (value - low) / (high - low)))
        wanted = round(k * (0.5 + 1.5 * (1 - scaled)))  # Python rounds half to even
        most = min(50, n // 2)
        found.append(3 if most < 3 else min(max(wanted, 3), most))
    return found


@pytest.mark.parametrize(("n", "k"), [(200, 10), (200, 1), (40, 15), (7, 2), (4, 2), (5, 3), (300, 60)])
def test_adaptive_k_agrees_with_a_loop(n, k):
    X = np.random.default_rng(n + k).gamma(1.0, size=(n, 3))
    neighbors = exact_neighbors(X, density_list_length(n, k))
    np.testing.assert_array_equal(adaptive_k(neighbors, k), slow_adaptive_k(neighbors.distances, n, k))


def test_adaptive_k_takes_fewer_where_cells_are_dense():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(100, 2)) * 0.01, rng.normal(size=(100, 2)) * 10 + 100])
    found = adaptive_k(exact_neighbors(X, density_list_length(200, 10)), 10)
    assert found[:100].mean() < 12 < 18 < found[100:].mean()
    assert found.min() >= 3
    assert found.max() <= 20


def test_adaptive_k_of_equal_densities_is_in_the_middle():
    found = adaptive_k(exact_neighbors(np.zeros((40, 2)), density_list_length(40, 10)), 10)
    np.testing.assert_array_equal(found, np.full(40, 12))  # round(10 (0.5 + 0.75)), half to even


@pytest.mark.parametrize(
    ("n", "k", "length"), [(3, 1, 2), (4, 1, 3), (10, 1, 3), (10, 15, 9), (200, 1, 30), (100, 5, 25), (1000, 15, 30)]
)
def test_density_list_length(n, k, length):
    assert density_list_length(n, k) == length


def test_threads_change_no_bit(same_bits):
    rng = np.random.default_rng(1)
    X, values = rng.normal(size=(3000, 10)), rng.integers(0, 6, 3000).astype(float)

    def compute():
        neighbors = exact_neighbors(X, 51)
        k = adaptive_k(neighbors, 15)
        return k, neighbor_differences(neighbors, values, k), [expected_difference(values)]

    same_bits(compute)


def test_blocks_change_no_bit(monkeypatch):
    rng = np.random.default_rng(2)
    neighbors, values = exact_neighbors(rng.normal(size=(500, 3)), 40), rng.normal(size=500)
    wanted = rng.integers(1, 40, 500)
    expected = neighbor_differences(neighbors, values, wanted)
    for rows in (1, 7, 10**6):
        monkeypatch.setattr(sequence, "_ROWS", rows)
        np.testing.assert_array_equal(neighbor_differences(neighbors, values, wanted), expected)
