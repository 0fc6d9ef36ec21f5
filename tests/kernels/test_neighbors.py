import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from czbenchmarks.kernels import compiled
from czbenchmarks.kernels.approximate import approximate_neighbors
from czbenchmarks.kernels.neighbors import Neighbors, exact_neighbors, nearest_of_all

few = settings(max_examples=25, deadline=None, derandomize=True)


def slow_neighbors(X, k):
    """Sort all cells by (distance, index) for every cell, the cell itself first."""
    X = np.asarray(X, dtype=np.float64)
    indices, distances = [], []
    for i in range(len(X)):
        keyed = []
        for j in range(len(X)):
            squared = sum((a - b) ** 2 for a, b in zip(X[i].tolist(), X[j].tolist(), strict=True))
            keyed.append((-1.0 if i == j else squared, j))
        keyed.sort()
        indices.append([j for _, j in keyed[:k]])
        distances.append([max(squared, 0.0) ** 0.5 for squared, _ in keyed[:k]])
    return np.array(indices), np.array(distances)


def full_neighbors(X, k):
    """Do the same with one row of distances at a time."""
    X = np.asarray(X, dtype=np.float64)
    squared = np.stack([((X - x) ** 2).sum(axis=1) for x in X])
    np.fill_diagonal(squared, -1.0)
    indices = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return indices, np.sqrt(np.maximum(np.take_along_axis(squared, indices, axis=1), 0.0))


def equal(found, expected, rtol=1e-12):
    np.testing.assert_array_equal(found.indices, expected[0])
    np.testing.assert_allclose(found.distances, expected[1], rtol=rtol, atol=0)


@few
@given(st.data())
def test_ties_and_duplicates_are_ordered_by_index(data):
    # Small whole numbers: all squared distances are exact, and most of them tie.
    n, d = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 3))
    cells = data.draw(st.lists(st.lists(st.integers(0, 3), min_size=d, max_size=d), min_size=n, max_size=n))
    X = np.array(cells, dtype=np.float64)
    k = data.draw(st.integers(1, n))
    equal(exact_neighbors(X, k), slow_neighbors(X, k))


@pytest.mark.parametrize("d", [1, 2, 7, 50])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_cells_agree_with_the_twin_and_scikit_learn(d, dtype):
    X = np.random.default_rng(d).normal(size=(400, d)).astype(dtype)
    found = exact_neighbors(X, 30)
    equal(found, full_neighbors(X, 30))
    # scikit-learn takes root of |x|^2 + |y|^2 - 2xy: the cell itself is not at 0 to the last bit there.
    distances, indices = NearestNeighbors(n_neighbors=30, algorithm="brute").fit(X.astype(np.float64)).kneighbors()
    np.testing.assert_array_equal(found.indices[:, 1:], indices[:, :29])
    np.testing.assert_allclose(found.distances[:, 1:], distances[:, :29], rtol=1e-6)


def test_many_identical_cells():
    X = np.random.default_rng(0).normal(size=(500, 10))
    X[50:300] = X[7]
    found = exact_neighbors(X, 20)
    equal(found, full_neighbors(X, 20))
    np.testing.assert_array_equal(found.indices[200], [200, 7, *range(50, 68)])
    np.testing.assert_array_equal(found.distances[200], np.zeros(20))


def test_all_cells_identical():
    found = exact_neighbors(np.full((90, 4), 0.1), 5)
    np.testing.assert_array_equal(found.indices[:3], [[0, 1, 2, 3, 4], [1, 0, 2, 3, 4], [2, 0, 1, 3, 4]])
    np.testing.assert_array_equal(found.indices[80], [80, 0, 1, 2, 3])
    assert not found.distances.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_offset_of_a_million_changes_no_neighbour(dtype):
    # The quantised cells are exact in both precisions, so that the twin may forget the offset.
    cells = np.round(np.random.default_rng(1).normal(size=(400, 8)) * 16) / 16
    found = exact_neighbors((cells + 1e6).astype(dtype), 15)
    equal(found, full_neighbors(cells, 15))


@pytest.mark.parametrize("unit", [1e-100, 1e-20, 1e20, 1e100])
def test_units_change_no_neighbour(unit):
    cells = np.random.default_rng(2).normal(size=(300, 6))
    one, other = exact_neighbors(cells, 15), exact_neighbors(cells * unit, 15)
    np.testing.assert_array_equal(one.indices, other.indices)
    np.testing.assert_allclose(other.distances, one.distances * unit, rtol=1e-12)


def test_dimensions_of_wildly_different_scale():
    X = np.random.default_rng(3).normal(size=(300, 4)) * [1e9, 1.0, 1e-3, 1e-9]
    X[:, 0] = np.round(X[:, 0] / 1e9) * 1e9  # the small dimensions decide between cells of one level
    equal(exact_neighbors(X, 12), full_neighbors(X, 12))


def test_a_far_outlier_hides_no_neighbour():
    X = np.random.default_rng(4).normal(size=(300, 5))
    X[17] = 1e9
    equal(exact_neighbors(X, 10), full_neighbors(X, 10))


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 2), (16, 16), (17, 1), (17, 2), (40, 40), (60, 44), (60, 43)])
def test_every_list_length_up_to_n(n, k):
    X = np.random.default_rng(n).normal(size=(n, 3))
    equal(exact_neighbors(X, k), slow_neighbors(X, k))


@pytest.mark.parametrize("d", [1, 2, 3, 5, 8, 33, 64, 100])
def test_first_of_a_longer_list_is_the_direct_search(d):
    X = np.random.default_rng(d).normal(size=(450, d)).astype(np.float32)
    X[100:140] = X[3]
    long = exact_neighbors(X, 200)
    for k in (1, 2, 15, 50, 199, 200):
        short, direct = long.first(k), exact_neighbors(X, k)
        assert short.k == k
        assert short.indices.tobytes() == direct.indices.tobytes()
        assert short.distances.tobytes() == direct.distances.tobytes()


def test_the_input_may_be_read_only_or_of_any_order():
    X = np.random.default_rng(5).normal(size=(200, 6))
    expected = exact_neighbors(X, 15)
    frozen = X.copy()
    frozen.flags.writeable = False
    for other in (np.asfortranarray(X), frozen, np.repeat(X, 2, axis=1)[:, ::2], X[::-1][::-1]):
        found = exact_neighbors(other, 15)
        assert found.indices.tobytes() == expected.indices.tobytes()
        assert found.distances.tobytes() == expected.distances.tobytes()


def test_threads_change_no_bit(same_bits):
    X = np.random.default_rng(6).normal(size=(3000, 20)).astype(np.float32) + 100
    X[1000:1300] = X[5]  # rows that the proposal cannot settle

    def compute():
        found = exact_neighbors(X, 50)
        return found.indices, found.distances

    same_bits(compute)


def test_an_outlier_makes_nothing_be_searched_again(monkeypatch):
    again = []
    compiled_nearest = compiled.nearest
    monkeypatch.setattr(compiled, "nearest", lambda *args: again.append(compiled_nearest(*args)))
    X = np.random.default_rng(6).normal(size=(2000, 20)).astype(np.float32)
    X[17] = 1e6
    exact_neighbors(X, 10)
    assert sum(again) <= 1  # to the outlier all others are about as far
    X[:200] = X[3]  # more copies than candidates
    exact_neighbors(X, 10)
    assert sum(again) >= 200


@pytest.mark.parametrize("d", [512, 1000])
def test_many_dimensions_are_not_searched_again(monkeypatch, d):
    # All cells are about as far from each other: the bound on rounding must be no larger than it needs to be.
    again = []
    compiled_nearest = compiled.nearest
    monkeypatch.setattr(compiled, "nearest", lambda *args: again.append(compiled_nearest(*args)))
    X = np.random.default_rng(8).normal(size=(600, d)).astype(np.float32)
    equal(exact_neighbors(X, 20), full_neighbors(X, 20))
    assert sum(again) < 10


@pytest.mark.parametrize("spread", [5e-23, 3e-23, 2e-23])
def test_squares_too_small_for_single_precision_hide_no_neighbour(spread):
    X = np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32)
    X[:400] *= np.float32(spread)
    found = exact_neighbors(X, 10)
    near = full_neighbors(X[:400].astype(np.float64), 10)
    np.testing.assert_array_equal(found.indices[:400], near[0])
    np.testing.assert_allclose(found.distances[:400], near[1], rtol=1e-12)


def nested(rng, d, dtype):
    """Tight clusters within clusters, far apart, a shell of almost equal distances, copies, and an outlier."""
    X = rng.normal(size=(420, d))
    X[:80] = X[0] + 1e-4 * X[:80]
    X[80:160] = 1e3 + 1e-1 * X[80:160]
    X[160:300] *= (1 + 1e-7 * rng.normal(size=140)[:, None]) / np.linalg.norm(X[160:300], axis=1)[:, None]
    X[300:330] = X[330]
    X[-1] = 6e4
    return rng.permutation(X).astype(dtype)


@pytest.mark.parametrize("d", [1, 2, 9, 600])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_tight_clusters_far_apart_are_exact(d, dtype):
    X = nested(np.random.default_rng(d), d, dtype)
    found, exact = exact_neighbors(X, 25), X.astype(np.longdouble)
    squared = np.stack([((exact - x) ** 2).sum(axis=1) for x in exact])
    np.testing.assert_allclose(found.distances, np.sqrt(np.sort(squared, axis=1)[:, :25]).astype(float), rtol=1e-12)
    listed = np.take_along_axis(squared, found.indices.astype(np.int64), axis=1)
    np.testing.assert_allclose(found.distances, np.sqrt(listed).astype(float), rtol=1e-12)


@pytest.mark.parametrize("n", [63, 64, 65, 127, 128, 129, 257, 700])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_number_of_cells_around_the_borders_of_tiles(n, dtype):
    X = np.round(np.random.default_rng(n).normal(size=(n, 9)) * 4).astype(dtype)  # many ties
    for k in (2, 30, 60):
        equal(exact_neighbors(X, k), full_neighbors(X, k))


def test_cells_in_the_order_of_their_distance():
    X = np.arange(3000.0)[:, None]
    for cells in (X, X[::-1].copy()):
        equal(exact_neighbors(cells, 40), full_neighbors(cells, 40))


def test_rows_that_are_none_of_the_points():
    rng = np.random.default_rng(7)
    rows, points = rng.normal(size=(70, 5)), rng.normal(size=(300, 5))
    found = nearest_of_all(rows, points, 12)
    squared = ((rows[:, None] - points) ** 2).sum(axis=2)
    np.testing.assert_array_equal(found.indices, np.argsort(squared, axis=1, kind="stable")[:, :12])
    np.testing.assert_allclose(found.distances, np.sqrt(np.sort(squared, axis=1)[:, :12]), rtol=1e-12)


FIRST_CALL = """
import numpy as np
import threadpoolctl
from czbenchmarks.kernels import neighbors, silhouette
from czbenchmarks.kernels.parallel import map_blocks

def watched(function, *others, **options):
    def visit(block):
        found = function(block)
        libraries = threadpoolctl.threadpool_info()
        print(len(libraries), max(library["num_threads"] for library in libraries))
        return found
    return map_blocks(visit, *others, **options)

neighbors.map_blocks = silhouette.map_blocks = watched
X = np.random.default_rng(0).normal(size=(300, 50)).astype(np.float32)
{}
"""


@pytest.mark.parametrize(
    "call", ["neighbors.exact_neighbors(X, 5)", "silhouette.silhouette_samples(X, np.arange(300) % 2)"]
)
def test_blas_has_one_thread_in_the_first_call_too(call):
    # The compiled product is that of SciPy's BLAS, which is loaded by and by: the limit must be set after that.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "CZBENCHMARKS_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", FIRST_CALL.format(call)], env=environment, capture_output=True, text=True, check=True
    )
    seen = [line.split() for line in run.stdout.splitlines()]
    assert seen
    assert {threads for _, threads in seen} == {"1"}


def test_the_way_they_were_found_is_told():
    lists = np.zeros((3, 2), dtype=np.int32), np.zeros((3, 2))
    assert Neighbors(*lists).facts() == {}
    assert Neighbors(*lists, "given").facts() == {"neighbors": "given"}
    short = Neighbors(*lists, "approximate", 0.98765).first(1)
    assert short.facts() == {"neighbors": "approximate", "neighbors_recall": 0.9877}


def slow_ties(X, k):
    """Count, cell by cell, the listed neighbours that are as near as the nearest cell left out."""
    found = []
    for i, cell in enumerate(X):
        others = sorted(((other - cell) ** 2).sum() for j, other in enumerate(X) if j != i)
        listed, out = others[: k - 1], others[k - 1 :]
        found.append(listed.count(out[0]) if out else 0)
    return found


@pytest.mark.parametrize("search", [exact_neighbors, approximate_neighbors])
@pytest.mark.parametrize("k", [2, 5, 20, 59, 60])
def test_ties_with_cells_left_out_are_those_of_the_twin(search, k):
    X = np.random.default_rng(0).integers(0, 4, (60, 2)).astype(np.float64)
    X[:25] = X[30]
    expected = slow_ties(X, k)
    found = search(X, k)
    np.testing.assert_array_equal(found.tied(), expected)
    np.testing.assert_array_equal(search(X, 60).first(k).tied(), expected)
    np.testing.assert_array_equal(search(X, 60).tied(np.full(60, k)), expected)
    each = np.arange(60) % (k - 1) + 2  # another number for every cell
    np.testing.assert_array_equal(found.tied(each), [slow_ties(X, own)[i] for i, own in enumerate(each)])


def test_ties_are_not_known_beyond_given_lists():
    lists = exact_neighbors(np.zeros((9, 2)), 6)
    given = Neighbors(lists.indices, lists.distances, "given")
    assert given.tied().tolist() == [0] * 9
    assert given.first(5).tied().tolist() == [4] * 9
