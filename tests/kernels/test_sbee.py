import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from czbenchmarks.kernels.neighbors import exact_neighbors
from czbenchmarks.kernels.sbee import distance_ratios, neighbor_mixing


def drawn(n, labels, batches, seed, d=3):
    rng = np.random.default_rng(seed)
    first = np.arange(max(labels, batches))
    codes = [np.concatenate([first % kinds, rng.integers(0, kinds, n - len(first))]) for kinds in (labels, batches)]
    return rng.normal(size=(n, d)), *codes


def slow_mixing(indices, labels, batches):
    values = []
    kinds = sorted(set(batches.tolist()))
    for i, row in enumerate(indices.tolist()):
        own = [j for j in range(len(labels)) if labels[j] == labels[i]]
        near = [j for j in row[: len(own)] if labels[j] == labels[i]]
        counts = [[max(sum(batches[j] == b for j in some), 1e-10) for b in kinds] for some in (near, own)]
        values.append(1 - jensenshannon(*counts, base=2))  # it divides by the sums
    return np.array(values)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(n=st.integers(6, 50), labels=st.integers(1, 4), batches=st.integers(2, 5), seed=st.integers(0, 99))
def test_mixing_agrees_with_the_twin(n, labels, batches, seed):
    X, labels, batches = drawn(n, labels, batches, seed)
    indices = exact_neighbors(X, min(1 + seed // 2, n)).indices
    found = neighbor_mixing(indices, labels, batches)
    # The square root of a rounded 0.
    np.testing.assert_allclose(found, slow_mixing(indices, labels, batches), atol=3e-8)
    assert found.min() >= 0
    assert found.max() <= 1


def test_mixing_by_hand():
    # The label is half x, half y. Around cell 0 are both; around cell 1 only its own: the distance of (1, 0) to
    # (1/2, 1/2) is the root of 1/2 log2(1 / (3/4)) + 1/4 log2((1/2) / (3/4)) + 1/4 log2((1/2) / (1/4)).
    indices = np.array([[0, 1], [1, 3], [2, 3], [3, 2]])
    found = neighbor_mixing(indices, np.zeros(4, dtype=np.int64), np.array([0, 1, 0, 1]))
    apart = math.sqrt(0.5 * math.log2(4 / 3) + 0.25 * math.log2(2 / 3) + 0.25 * math.log2(2))
    np.testing.assert_allclose(found, [1, 1 - apart, 1, 1], atol=1e-9)


def test_mixing_in_several_blocks():
    rng = np.random.default_rng(0)
    labels, batches = rng.integers(0, 3, 5000), rng.integers(0, 300, 5000)  # 1747 rows of 300 batches in a block
    batches[:300] = np.arange(300)
    indices = rng.integers(0, 5000, (5000, 5))
    picked = [0, 1746, 1747, 4999]
    found = neighbor_mixing(indices, labels, batches)
    expected = []
    for i in picked:
        near = [j for j in indices[i] if labels[j] == labels[i]]
        counts = [np.maximum(np.bincount(batches[some], minlength=300), 1e-10) for some in (near, labels == labels[i])]
        expected.append(1 - jensenshannon(*counts, base=2))
    np.testing.assert_allclose(found[picked], expected, atol=1e-12)


def slow_ratios(X, labels, batches):
    values = []
    for i in range(len(X)):
        sides = []
        for same in (True, False):
            cells = [
                j for j in range(len(X)) if labels[j] == labels[i] and (batches[j] == batches[i]) == same and j != i
            ]
            sides.append([math.dist(X[i], X[j]) for j in cells])
        if not sides[0] or not sides[1]:
            values.append(1.0)
            continue
        own, other = (float(np.median(side)) for side in sides)
        values.append(own / other if own > 0 and other > 0 else math.nan)
    return np.array(values)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(n=st.integers(5, 60), labels=st.integers(1, 4), batches=st.integers(2, 5), seed=st.integers(0, 99))
def test_ratios_agree_with_the_twin(n, labels, batches, seed):
    X, labels, batches = drawn(n, labels, batches, seed)
    X[n // 2 :: 3] = X[0]  # some at one place
    found, sampled = distance_ratios(X, labels, batches, 1000, 0)
    np.testing.assert_allclose(found, slow_ratios(X, labels, batches), rtol=1e-10)
    assert sampled == 0


def test_ratios_by_hand():
    # Batch x at 0, 1 and 3, batch y at 10 and 14; cell 0: own medians (1 + 3) / 2, other (10 + 14) / 2.
    X = np.array([[0.0], [1.0], [3.0], [10.0], [14.0]])
    found, _ = distance_ratios(X, np.zeros(5, dtype=np.int64), np.array([0, 0, 0, 1, 1]), 10, 0)
    np.testing.assert_allclose(found, [2 / 12, 1.5 / 11, 2.5 / 9, 4 / 9, 4 / 13], rtol=1e-14)


def test_cells_far_from_the_origin_and_at_one_place():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)) + 1e6
    X[10:50] = X[10]
    labels, batches = np.zeros(60, dtype=np.int64), np.arange(60) % 2
    found, _ = distance_ratios(X, labels, batches, 1000, 0)
    expected = slow_ratios(X, labels, batches)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    assert 0 < np.isnan(found).sum() < 60
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("unit", [1e-130, 1e140])
def test_the_unit_does_not_matter(unit):
    X, labels, batches = drawn(80, 2, 3, 0)
    expected, _ = distance_ratios(X, labels, batches, 1000, 0)
    np.testing.assert_allclose(distance_ratios(X * unit, labels, batches, 1000, 0)[0], expected, rtol=1e-12)


def test_many_cells_are_compared_with_some_that_are_drawn():
    X, labels, batches = drawn(3000, 2, 2, 0)
    labels[:] = np.repeat([0, 1], [2800, 200])
    exact, none = distance_ratios(X, labels, batches, 3000, 0)
    found, sampled = distance_ratios(X, labels, batches, 500, 0)
    assert (none, sampled) == (0, 2800)
    np.testing.assert_array_equal(found[2800:], exact[2800:])  # few enough
    assert (found[:2800] != exact[:2800]).mean() > 0.9
    np.testing.assert_allclose(found[:2800], exact[:2800], rtol=0.15)
    assert found.mean() == pytest.approx(exact.mean(), rel=0.02)
    again, _ = distance_ratios(X, labels, batches, 500, 0)
    np.testing.assert_array_equal(again, found)
    other, _ = distance_ratios(X, labels, batches, 500, 1)
    assert (other[:2800] != found[:2800]).mean() > 0.9


def test_drawn_cells_are_compared_with_others_than_themselves():
    # One cell is drawn of its own batch: which is that cell has nothing to be compared with.
    X, labels, batches = drawn(40, 1, 2, 0)
    found, sampled = distance_ratios(X, labels, batches, 1, 0)
    assert sampled == 40
    assert (found == 1).sum() == 2


def test_threads_change_no_bit(same_bits):
    X, labels, batches = drawn(1500, 3, 3, 0, d=20)
    indices = exact_neighbors(X, 30).indices
    same_bits(lambda: [neighbor_mixing(indices, labels, batches), distance_ratios(X, labels, batches, 100, 0)[0]])
