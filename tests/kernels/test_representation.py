import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp

from czbenchmarks.kernels import representation
from czbenchmarks.kernels.neighbors import Neighbors, exact_neighbors
from czbenchmarks.kernels.representation import Representation


@pytest.fixture
def searches(monkeypatch):
    """Return the list of searched neighbour numbers, filled as searches happen."""
    asked = []

    def counted(X, k):
        asked.append(k)
        return exact_neighbors(X, k)

    monkeypatch.setattr(representation, "exact_neighbors", counted)
    return asked


@pytest.fixture
def cells():
    return np.random.default_rng(0).normal(size=(60, 4))


def test_fewer_neighbours_after_more_cost_nothing(cells, searches):
    embedding = Representation(cells)
    long = embedding.neighbors(40)
    short = embedding.neighbors(15)
    assert searches == [40]
    assert short.indices.tobytes() == long.indices[:, :15].tobytes()
    assert short.distances.tobytes() == exact_neighbors(cells, 15).distances.tobytes()


def test_more_neighbours_after_fewer_are_searched_again(cells, searches):
    embedding = Representation(cells)
    embedding.neighbors(5)
    assert embedding.neighbors(20).indices.tobytes() == exact_neighbors(cells, 20).indices.tobytes()
    assert searches == [5, 20]


def test_a_known_maximum_makes_one_search_of_all(cells, searches):
    embedding = Representation(cells, max_neighbors=30)
    assert embedding.neighbors(5).k == 5
    assert embedding.neighbors(30).k == 30
    assert searches == [30]


def test_no_more_neighbours_than_cells(cells, searches):
    embedding = Representation(cells, max_neighbors=500)
    assert embedding.neighbors(1000).indices.shape == (60, 60)
    assert embedding.neighbors(200).indices.shape == (60, 60)
    assert searches == [60]


def test_one_cell():
    found = Representation(np.ones((1, 3))).neighbors(15)
    assert (found.indices.tolist(), found.distances.tolist()) == ([[0]], [[0.0]])


def test_sparse_cells_are_made_dense_once(cells):
    matrix = sp.csr_matrix(cells)
    embedding = Representation(matrix)
    assert (embedding.n, embedding.d) == (60, 4)
    assert embedding.values is matrix
    np.testing.assert_array_equal(embedding.array, cells)
    assert embedding.array is embedding.array


def test_a_dense_array_is_not_copied(cells):
    assert Representation(cells).array is cells


def test_threads_share_one_search(cells, searches):
    embedding = Representation(cells)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: embedding.neighbors(15).indices.tobytes(), range(16)))
    assert searches == [15]
    assert set(found) == {exact_neighbors(cells, 15).indices.tobytes()}


def test_it_can_be_sent_to_another_process():
    X = np.random.default_rng(0).normal(size=(30, 3))
    again = pickle.loads(pickle.dumps(Representation(X, 5)))
    np.testing.assert_array_equal(again.neighbors(4).indices, Representation(X).neighbors(4).indices)


def test_many_cells_are_searched_approximately_unless_told_otherwise(monkeypatch):
    X = np.random.default_rng(0).normal(size=(400, 3))
    monkeypatch.setattr(representation, "EXACT_UP_TO", 399)
    assert Representation(X).neighbors(5).search == "approximate"
    assert Representation(X, search="exact").neighbors(5).search == "exact"
    assert Representation(X[:399]).neighbors(5).search == "exact"
    assert Representation(X[:399], search="approximate").neighbors(5).search == "approximate"


def test_given_neighbours_are_used(cells, searches):
    lists = exact_neighbors(cells[::-1], 6)
    given = Neighbors(lists.indices, lists.distances, "given")
    embedding = Representation(cells, max_neighbors=30, neighbors=given)
    assert embedding.neighbors(6) is given
    assert embedding.neighbors(4).search == "given"
    assert searches == []
    with pytest.raises(ValueError, match="`neighbors` must hold 7 cells per cell, itself included, got 6; compute as"):
        embedding.neighbors(7)


def test_given_neighbours_of_other_cells_are_refused(cells):
    with pytest.raises(ValueError, match="must be of the embedding's 60 cells, got those of 59"):
        Representation(cells, neighbors=exact_neighbors(cells[:59], 4))


def test_an_unknown_search_is_refused(cells):
    with pytest.raises(ValueError, match="`search` must be 'auto', 'exact' or 'approximate', got 'fast'"):
        Representation(cells, search="fast")


def test_what_is_shared_is_made_once_also_by_threads(cells):
    embedding, made = Representation(cells), []

    def make():
        made.append(1)
        return embedding.neighbors(5).indices.sum()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: embedding.once("sum", make), range(40)))
    assert made == [1]
    assert set(found) == {exact_neighbors(cells, 5).indices.sum()}


def test_what_is_shared_is_forgotten_but_for_what_is_to_stay(cells):
    embedding = Representation(cells)
    embedding.once("mine", lambda: 1)
    own = embedding.kept
    embedding.once("theirs", lambda: 2)
    assert embedding.kept == {"mine", "theirs"}
    embedding.forget(but=own)
    assert embedding.kept == {"mine"}
    assert embedding.once("theirs", lambda: 3) == 3
    embedding.forget()
    assert not embedding.kept


def test_what_is_shared_does_not_travel_to_other_processes(cells):
    embedding = Representation(cells)
    embedding.once("unpicklable", lambda: lambda: 1)
    copy = pickle.loads(pickle.dumps(embedding))
    assert not copy.kept
    assert copy.once("again", lambda: 5) == 5
    assert embedding.kept == {"unpicklable"}
