import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from czbenchmarks.kernels.entropy import neighbor_entropy
from czbenchmarks.kernels.neighbors import exact_neighbors


def slow_entropy(indices, codes, n_groups):
    values = []
    for row in indices.tolist():
        shares = [count / len(row) for count in Counter(int(codes[j]) for j in row).values()]
        values.append(-sum(p * math.log(p) for p in shares) / math.log(n_groups))
    return np.array(values)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(n=st.integers(2, 40), groups=st.integers(2, 6), seed=st.integers(0, 99))
def test_agrees_with_the_twin(n, groups, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, groups, n)
    indices = rng.integers(0, n, (n, int(rng.integers(1, n + 1))))
    found = neighbor_entropy(indices, codes, groups)
    np.testing.assert_allclose(found, slow_entropy(indices, codes, groups), atol=1e-14)
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-15


def test_one_group_around_each_cell_is_zero_and_equal_shares_are_one():
    codes = np.array([0, 1, 2, 3])
    np.testing.assert_array_equal(neighbor_entropy(np.array([[0, 0, 0, 0]]), codes, 4), [0.0])
    np.testing.assert_allclose(neighbor_entropy(np.array([[3, 1, 0, 2]]), codes, 4), [1.0], atol=1e-15)


def test_a_group_of_one_cell():
    codes = np.array([1, 0, 0, 0])
    expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)) / math.log(2)
    np.testing.assert_allclose(neighbor_entropy(np.array([[0, 1, 2, 3]] * 4), codes, 2), expected, rtol=1e-15)


@pytest.mark.parametrize("groups", [2, 400])
def test_several_blocks(groups):
    # 2^22 / 400 = 10,485 rows fit one block.
    rng = np.random.default_rng(0)
    codes, indices = rng.integers(0, groups, 11_000), rng.integers(0, 11_000, (11_000, 400 if groups == 2 else 3))
    found = neighbor_entropy(indices, codes, groups)
    picked = np.array([0, 10_484, 10_485, 10_999])
    np.testing.assert_allclose(found[picked], slow_entropy(indices[picked], codes, groups), atol=1e-13)


def test_threads_change_no_bit(same_bits):
    rng = np.random.default_rng(1)
    X, codes = rng.normal(size=(3000, 10)), rng.integers(0, 3, 3000)
    same_bits(lambda: [neighbor_entropy(exact_neighbors(X, 60).indices, codes, 3)])


def test_rounding_leaves_no_value_outside_the_range():
    for groups in range(2, 60):
        assert neighbor_entropy(np.arange(groups)[None], np.arange(groups), groups).max() <= 1
    alone = neighbor_entropy(np.array([[0, 1], [1, 0]]), np.array([0, 0, 1]), 2)
    assert not np.signbit(alone).any()
