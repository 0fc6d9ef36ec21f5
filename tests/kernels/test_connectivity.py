import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from czbenchmarks.kernels.connectivity import largest_components
from czbenchmarks.kernels.neighbors import exact_neighbors


def reached(start, edges):
    """Return what can be reached along edges."""
    seen, queue = {start}, [start]
    while queue:
        for end in edges[queue.pop()]:
            if end not in seen:
                seen.add(end)
                queue.append(end)
    return seen


def slow_components(indices, codes, n_groups, strong):
    largest = [0] * n_groups
    out = {i: {int(j) for j in row[1:] if codes[j] == codes[i]} for i, row in enumerate(indices)}
    back = {i: {j for j in out if i in out[j]} for i in out}
    for i in out:
        either = {j: out[j] | back[j] for j in out}
        part = reached(i, out) & reached(i, back) if strong else reached(i, either)
        largest[codes[i]] = max(largest[codes[i]], len(part))
    return largest


@pytest.mark.parametrize("strong", [True, False])
@settings(max_examples=20, deadline=None, derandomize=True)
@given(n=st.integers(2, 50), groups=st.integers(1, 5), k=st.integers(2, 6), seed=st.integers(0, 99))
def test_agrees_with_the_twin(strong, n, groups, k, seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 6, (n, 2)).astype(float)  # many at one place
    codes = np.concatenate([np.arange(min(groups, n)), rng.integers(0, min(groups, n), n - min(groups, n))])
    indices = exact_neighbors(X, min(k, n)).indices
    found = largest_components(indices, codes, min(groups, n), strong=strong)
    assert found.tolist() == slow_components(indices, codes, min(groups, n), strong)


def test_one_way_is_not_strong():
    # 2 points to 1, which points to 0, which points to 1.
    indices, codes = np.array([[0, 1], [1, 0], [2, 1]]), np.zeros(3, dtype=np.int64)
    assert largest_components(indices, codes, 1, strong=True).tolist() == [2]
    assert largest_components(indices, codes, 1, strong=False).tolist() == [3]


def test_edges_to_other_groups_do_not_count():
    indices, codes = np.array([[0, 2], [1, 2], [2, 0]]), np.array([0, 0, 1])
    for strong in (True, False):
        assert largest_components(indices, codes, 2, strong=strong).tolist() == [1, 1]


def test_the_lists_stay_as_they_are():
    indices = exact_neighbors(np.random.default_rng(0).normal(size=(40, 2)), 4).indices
    indices.flags.writeable = False
    assert largest_components(indices, np.zeros(40, dtype=np.int64), 1, strong=False)[0] <= 40
