import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from czbenchmarks.kernels.lisi import inverse_simpson, sharpness
from czbenchmarks.kernels.neighbors import exact_neighbors


def entropy_of(beta, distances):
    """Return the entropy of the weights and the weights, the smallest distance subtracted."""
    weights = [math.exp(-beta * (d - min(distances))) for d in distances]
    total = sum(weights)
    shares = [w / total for w in weights]
    return -sum(p * math.log(p) for p in shares if p > 0), shares


def simpson(shares, groups):
    return sum(sum(p for p, g in zip(shares, groups, strict=True) if g == name) ** 2 for name in set(groups))


def slow_lisi(indices, distances, codes, perplexity):
    """Find beta by a root finder, in units of the row's spread."""
    values = []
    for row, near in zip(distances.tolist(), indices.tolist(), strict=True):
        others, groups = row[1:], [int(codes[j]) for j in near[1:]]
        spread = max(others) - min(others)
        nearest = [d == min(others) for d in others]
        if spread == 0 or sum(nearest) >= perplexity:
            shares = [hit / sum(nearest) for hit in nearest]
        else:

            def off(log_beta, others=others, spread=spread):
                return entropy_of(math.exp(log_beta) / spread, others)[0] - math.log(perplexity)

            shares = entropy_of(math.exp(brentq(off, -30, 25, xtol=1e-13)) / spread, others)[1]
        values.append(1 / simpson(shares, groups))
    return np.array(values)


def published_lisi(indices, distances, codes, perplexity):
    """Find beta as the published programs do: from 1, doubling or halving, 50 changes, until 1e-5 near the entropy."""
    values = []
    for row, near in zip(distances.tolist(), indices.tolist(), strict=True):
        beta, low, high = 1.0, -math.inf, math.inf
        for step in range(51):
            entropy, shares = entropy_of(beta, row[1:])
            off = entropy - math.log(perplexity)
            if abs(off) < 1e-5 or step == 50:
                break
            if off > 0:
                low, beta = beta, beta * 2 if math.isinf(high) else (beta + high) / 2
            else:
                high, beta = beta, beta / 2 if math.isinf(low) else (beta + low) / 2
        values.append(1 / simpson(shares, [int(codes[j]) for j in near[1:]]))
    return np.array(values)


def lisi(X, codes, k, perplexity, n_groups=None):
    neighbors = exact_neighbors(X, k)
    sharp = sharpness(neighbors.distances, perplexity)
    n_groups = int(codes.max()) + 1 if n_groups is None else n_groups
    return neighbors, inverse_simpson(neighbors.indices, neighbors.distances, sharp, codes, n_groups)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    n=st.integers(8, 60),
    groups=st.integers(1, 5),
    seed=st.integers(0, 99),
    scale=st.sampled_from([1e-120, 1e-6, 1.0, 1e3, 1e100]),
    copies=st.sampled_from([0, 3, 7]),
    far=st.booleans(),
)
def test_agrees_with_the_twin(n, groups, seed, scale, copies, far):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    X[:copies] = X[0]
    if far:
        X[-1] += 1e4
    codes = rng.integers(0, groups, n)
    k = int(rng.integers(6, n + 1))
    perplexity = int(rng.integers(2, k // 3 + 1))
    neighbors, found = lisi(X * scale, codes, k, perplexity, groups)
    assert found.min() >= 1
    assert found.max() <= groups
    expected = slow_lisi(neighbors.indices, neighbors.distances / scale, codes, perplexity)
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_agrees_with_the_published_search():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 8)) * 10
    codes = rng.integers(0, 4, 150)
    neighbors, found = lisi(X, codes, 90, 30)
    expected = published_lisi(neighbors.indices, neighbors.distances, codes, 30)
    # That search stops at an entropy that is off by up to 1e-5.
    np.testing.assert_allclose(found, expected, atol=5e-5)
    assert np.abs(found - expected).max() > 1e-7  # so the two are not the same search


def test_the_entropy_is_that_of_the_perplexity():
    distances = exact_neighbors(np.random.default_rng(1).normal(size=(200, 4)), 60).distances
    sharp = sharpness(distances, 20)
    spread = distances[:, -1] - distances[:, 1]
    for row, beta in zip(distances, sharp / spread, strict=True):
        assert entropy_of(beta, row[1:].tolist())[0] == pytest.approx(math.log(20), abs=1e-8)


def test_known_values():
    # Two neighbours of one group and two of another, all equally near; one of three groups has three of four.
    indices, distances = np.array([[0, 1, 2, 3, 4]]), np.array([[0.0, 5, 5, 5, 5]])
    sharp = sharpness(distances, 2)
    assert inverse_simpson(indices, distances, sharp, np.array([0, 0, 0, 1, 1]), 2).tolist() == [2.0]
    found = inverse_simpson(indices, distances, sharp, np.array([0, 0, 0, 0, 2]), 3)
    np.testing.assert_allclose(found, [1 / (0.75**2 + 0.25**2)], rtol=1e-15)
    # Three at the same place, more than the perplexity: the far one has no weight.
    distances = np.array([[0.0, 0, 0, 0, 7]])
    assert inverse_simpson(indices, distances, sharpness(distances, 2), np.array([0, 1, 1, 1, 0]), 2).tolist() == [1.0]


def test_an_entropy_of_zero_has_no_value():
    distances = np.array([[0.0, 1, 2, 3, 4, 5], [0.0, 1, 1, 2, 3, 4]])
    indices = np.array([[0, 1, 2, 3, 4, 5], [1, 0, 2, 3, 4, 5]])
    found = inverse_simpson(indices, distances, sharpness(distances, 1), np.array([0, 1, 0, 1, 0, 1]), 2)
    assert np.isnan(found[0])  # a perplexity of 1: its nearest has all the weight
    assert found[1] == 1.0  # as its two nearest, both of group 0, have together


def test_rounding_is_not_taken_for_distance():
    rng = np.random.default_rng(2)
    distances = np.concatenate([[[0.0]], np.sort(3 * (1 + 1e-15 * rng.integers(0, 9, (1, 89))))], axis=1)
    indices, codes = np.arange(90)[None], np.arange(90) % 2
    found = inverse_simpson(indices, distances, sharpness(distances, 30), codes, 2)
    np.testing.assert_allclose(found, [1 / ((44 / 89) ** 2 + (45 / 89) ** 2)], rtol=1e-12)
    distances[0, -1] = 6.0  # one is truly farther
    found = inverse_simpson(indices, distances, sharpness(distances, 30), codes, 2)
    np.testing.assert_allclose(found, [2.0], rtol=1e-6)


def test_several_blocks_and_many_groups():
    rng = np.random.default_rng(3)
    X, codes = rng.normal(size=(2500, 2)), rng.permutation(2500)
    neighbors, found = lisi(X, codes, 12, 4)
    picked = np.array([0, 208, 209, 1023, 1024, 2499])
    expected = slow_lisi(neighbors.indices[picked], neighbors.distances[picked], codes, 4)
    np.testing.assert_allclose(found[picked], expected, atol=1e-6)


def test_threads_change_no_bit(same_bits):
    rng = np.random.default_rng(4)
    X, codes = rng.normal(size=(3000, 5)), rng.integers(0, 3, 3000)
    neighbors = exact_neighbors(X, 30)

    def compute():
        sharp = sharpness(neighbors.distances, 10)
        return [sharp, inverse_simpson(neighbors.indices, neighbors.distances, sharp, codes, 3)]

    same_bits(compute)
