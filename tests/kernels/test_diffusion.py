import numpy as np
import pytest
import scipy.sparse as sp
from scipy.spatial.distance import pdist, squareform

from czbenchmarks.kernels import diffusion
from czbenchmarks.kernels.diffusion import diffusion_coordinates
from czbenchmarks.kernels.graph import connectivities
from czbenchmarks.kernels.neighbors import exact_neighbors


def graph_of(n=160, d=4, k=15, seed=0, apart=0.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    X[: n // 3, 0] += apart
    return connectivities(exact_neighbors(X, k))


def pieces_of(graph):
    return sp.csgraph.connected_components(graph, directed=False)[1]


def slow_coordinates(graph, n_components):
    """Follow the definition with dense matrices: all eigenvectors of the whole graph at once."""
    W = graph.toarray().astype(np.float64)
    q = W.sum(axis=0)
    K = W / np.outer(q, q)
    z = np.sqrt(K.sum(axis=0))
    values, vectors = np.linalg.eigh(K / np.outer(z, z))
    columns = []
    for place in sorted(range(len(values)), key=lambda i: -abs(values[i]))[: min(n_components, len(values) - 1)]:
        factor = 1.0 if abs(values[place] - 1) < 3e-8 else values[place] / (1 - values[place])
        columns.append(factor * vectors[:, place])
    return np.array(columns).T


@pytest.mark.parametrize("n_components", [1, 5, 40, 159, 500])
def test_distances_agree_with_the_twin(n_components):
    # Vectors have no sign of their own, and those of one eigenvalue no direction: distances are what is left.
    graph = graph_of()
    found = diffusion_coordinates(graph, pieces_of(graph), n_components)
    assert found.shape == (160, min(n_components, 159))
    np.testing.assert_allclose(pdist(found), pdist(slow_coordinates(graph, n_components)), atol=1e-9)


def test_pieces_each_have_an_eigenvector_that_counts_once():
    graph = graph_of(apart=1e4)
    pieces = pieces_of(graph)
    assert pieces.max() == 1
    found = diffusion_coordinates(graph, pieces, 50)
    np.testing.assert_allclose(pdist(found), pdist(slow_coordinates(graph, 50)), atol=1e-9)
    # Column by column a vector is of one piece, and two of them are the stationary ones, of length 1.
    of_first = np.abs(found[pieces == 0]).sum(axis=0) > 0
    of_second = np.abs(found[pieces == 1]).sum(axis=0) > 0
    assert (of_first != of_second).all()
    lengths = np.linalg.norm(found, axis=0)
    assert np.isclose(lengths, 1.0, atol=1e-12).sum() == 2


@pytest.mark.parametrize("apart", [0.0, 1e4])
def test_lanczos_iterations_agree_with_the_dense_solver(monkeypatch, apart):
    graph = graph_of(n=700, k=30, apart=apart)
    pieces = pieces_of(graph)
    found = diffusion_coordinates(graph, pieces, 100)
    monkeypatch.setattr(diffusion, "_DENSE", 10_000)
    dense = diffusion_coordinates(graph, pieces, 100)
    np.testing.assert_allclose(pdist(found), pdist(dense), atol=1e-10)


def test_a_complete_graph_by_hand():
    # 1 once and -1/3 three times, which counts (-1/3) / (4/3) = -1/4; two of them are taken.
    graph = sp.csr_matrix(np.ones((4, 4)) - np.eye(4))
    lengths = np.linalg.norm(diffusion_coordinates(graph, np.zeros(4, dtype=int), 100), axis=0)
    np.testing.assert_allclose(np.sort(lengths), [0.25, 0.25, 1.0], atol=1e-14)


def test_the_order_of_cells_changes_no_distance():
    graph = graph_of(n=640, k=30)
    order = np.random.default_rng(1).permutation(640)
    found = diffusion_coordinates(graph, np.zeros(640, dtype=int), 100)
    shuffled = diffusion_coordinates(graph[order][:, order], np.zeros(640, dtype=int), 100)
    np.testing.assert_allclose(squareform(pdist(shuffled)), squareform(pdist(found))[np.ix_(order, order)], atol=1e-10)


def test_the_weights_scale_does_not_matter_and_nothing_is_changed():
    graph = graph_of()
    before = graph.copy()
    found = diffusion_coordinates(graph, pieces_of(graph), 20)
    assert (graph != before).nnz == 0
    assert graph.dtype == np.float32
    np.testing.assert_allclose(
        pdist(diffusion_coordinates(graph * 1e-3, pieces_of(graph), 20)), pdist(found), rtol=1e-5
    )


def test_threads_change_no_bit(same_bits):
    graph = graph_of(n=900, k=30)
    same_bits(lambda: [diffusion_coordinates(graph, np.zeros(900, dtype=int), 100)])


def test_cells_at_one_place_give_the_same_bits_again(same_bits):
    graph = connectivities(exact_neighbors(np.zeros((700, 2)), 50))
    same_bits(lambda: [diffusion_coordinates(graph, np.zeros(700, dtype=int), 100)])
