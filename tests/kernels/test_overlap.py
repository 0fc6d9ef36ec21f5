"""Shared neighbours, and what all orders of the cells would share."""

import itertools

import numpy as np
import pytest

from czbenchmarks.kernels.overlap import shared_neighbors


def lists_of(n, k, seed):
    rng = np.random.default_rng(seed)
    return np.array([[i, *rng.permutation(np.delete(np.arange(n), i))[:k]] for i in range(n)], dtype=np.int32)


def slow_shared(lists, others):
    return sum(len(set(one[1:]) & set(other[1:])) for one, other in zip(lists, others, strict=True))


@pytest.mark.parametrize(("n", "k", "seed"), [(4, 1, 0), (5, 2, 1), (6, 2, 2), (6, 4, 3), (6, 5, 4)])
def test_mean_and_variance_are_those_of_all_orders(n, k, seed):
    lists, others = lists_of(n, k, seed), lists_of(n, k, seed + 10)
    found = shared_neighbors(lists, others)
    assert found.shared == slow_shared(lists, others)
    shared = []
    for order in map(np.array, itertools.permutations(range(n))):
        shuffled = np.empty_like(others)
        shuffled[order] = order[others]
        shared.append(slow_shared(lists, shuffled))
    assert found.expected == pytest.approx(np.mean(shared), abs=1e-12)
    assert found.variance == pytest.approx(np.var(shared), abs=1e-9)


def test_the_same_lists_share_all():
    lists = lists_of(30, 5, 0)
    assert shared_neighbors(lists, lists).shared == 150
