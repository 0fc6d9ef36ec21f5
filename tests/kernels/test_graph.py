import math
import random
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from czbenchmarks.kernels import graph as graph_kernel
from czbenchmarks.kernels.graph import CommunityGraph, connectivities, fuzzy_weights, leiden
from czbenchmarks.kernels.neighbors import Neighbors, exact_neighbors


def slow_weights(distances):
    """Bisect for one cell after another, in plain Python."""
    n, k = distances.shape
    overall = distances.mean()
    weights = np.zeros((n, k))
    for i, row in enumerate(distances.tolist()):
        positive = [d for d in row[1:] if d > 0]
        rho = min(positive) if positive else 0.0

        def total(sigma, row=row, rho=rho):
            return sum(math.exp(-max(0.0, d - rho) / sigma) for d in row[1:])

        low, high, sigma = 0.0, math.inf, 1.0
        for _ in range(64):
            found = total(sigma)
            if abs(found - math.log2(k)) < 1e-5:
                break
            if found > math.log2(k):
                high = sigma
            else:
                low = sigma
            sigma = 2 * sigma if high == math.inf else (low + high) / 2
        sigma = max(sigma, 1e-3 * (np.mean(row) if rho > 0 else overall))
        for position, d in enumerate(row[1:], 1):
            weights[i, position] = math.exp(-max(0.0, d - rho) / sigma) if d > rho else 1.0
    return weights


def slow_connectivities(neighbors):
    n = len(neighbors.indices)
    a = np.zeros((n, n))
    for i, (row, weights) in enumerate(zip(neighbors.indices, slow_weights(neighbors.distances), strict=True)):
        for j, weight in zip(row[1:], weights[1:], strict=True):
            a[i, j] = weight
    return a + a.T - a * a.T


def cells(n=150, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + 3 * rng.integers(0, 3, n)[:, None]


@pytest.mark.parametrize("k", [2, 3, 15, 50])
def test_weights_sum_to_log2_k(k):
    weights = fuzzy_weights(exact_neighbors(cells(), k).distances)
    assert not weights[:, 0].any()
    np.testing.assert_array_equal(weights[:, 1], 1.0)
    if k > 2:  # with one other cell its weight is 1 whatever sigma is
        np.testing.assert_allclose(weights.sum(axis=1), np.log2(k), atol=1e-5)


def distances_with_duplicates():
    X = cells()
    X[20:24] = X[3]  # some of the list at distance 0
    X[60:90] = X[7]  # the whole list at distance 0
    X[100] = 1e4
    return exact_neighbors(X, 15).distances


@pytest.mark.parametrize(
    "distances",
    [
        exact_neighbors(cells(), 15).distances,
        exact_neighbors(cells(d=1), 4).distances,
        distances_with_duplicates(),
        exact_neighbors(cells() * 1e-3, 15).distances,
        exact_neighbors(cells() * 1e6, 15).distances,
    ],
    ids=["plain", "one dimension", "duplicates", "small unit", "large unit"],
)
def test_weights_agree_with_the_twin(distances):
    np.testing.assert_allclose(fuzzy_weights(distances), slow_weights(distances), atol=1e-9)


def test_all_cells_identical_are_all_neighbours_of_weight_one():
    weights = fuzzy_weights(np.zeros((5, 4)))
    np.testing.assert_array_equal(weights, [[0, 1, 1, 1]] * 5)


@pytest.mark.parametrize("k", [3, 15])
def test_connectivities_agree_with_the_twin(k):
    X = cells()
    X[40:70] = X[3]
    neighbors = exact_neighbors(X, k)
    found = connectivities(neighbors)
    expected = slow_connectivities(neighbors)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-6)
    assert (found != found.T).nnz == 0
    assert not found.diagonal().any()
    assert found.has_sorted_indices
    assert np.all(found.data > 0)


# scanpy warns whoever asks for leidenalg that its default will change.
@pytest.mark.filterwarnings("ignore:In the future, the default backend for leiden:FutureWarning")
@pytest.mark.filterwarnings("ignore:The `igraph` implementation of leiden:UserWarning")
def test_graph_and_partition_are_those_of_scanpy():
    import anndata
    import scanpy as sc

    X = np.random.default_rng(3).normal(size=(400, 10)) + 2.0 * np.repeat(np.eye(10)[:4], 100, axis=0)
    adata = anndata.AnnData(X)
    sc.pp.neighbors(adata, n_neighbors=15, use_rep="X")
    graph = connectivities(exact_neighbors(X, 15))
    theirs = adata.obsp["connectivities"]
    # umap works in single precision, with 1e-5 as its own tolerance of the bisection.
    assert abs(graph - theirs).max() < 1e-4
    assert ((graph != 0) != (theirs != 0)).nnz == 0
    for seed in (0, 42):
        sc.tl.leiden(adata, flavor="igraph", n_iterations=2, directed=False, random_state=seed)
        np.testing.assert_array_equal(leiden(graph, seed), adata.obs["leiden"].astype(int))
        np.testing.assert_array_equal(leiden(theirs, seed), adata.obs["leiden"].astype(int))
    sc.tl.leiden(adata, flavor="leidenalg", n_iterations=2, random_state=42, directed=True)
    np.testing.assert_array_equal(leiden(theirs, 42, flavor="leidenalg"), adata.obs["leiden"].astype(int))


@pytest.mark.parametrize("flavor", ["igraph", "leidenalg"])
def test_two_cliques_are_two_communities(flavor):
    block = np.ones((6, 6)) - np.eye(6)
    matrix = sp.csr_matrix(np.kron(np.eye(2), block).astype(np.float32))
    found = leiden(matrix, 0, flavor=flavor)
    assert len(set(found[:6].tolist())) == len(set(found[6:].tolist())) == 1
    assert found[0] != found[6]


@pytest.mark.parametrize("seed", [0, 42])
@pytest.mark.parametrize("resolution", [0.2, 1.0, 2.0])
def test_the_stream_of_python_is_that_of_igraph_with_its_generator(seed, resolution):
    import igraph

    matrix = connectivities(exact_neighbors(cells(400), 15))
    rows, columns = matrix.nonzero()
    graph = igraph.Graph(directed=True)
    graph.add_vertices(400)
    graph.add_edges(list(zip(rows.tolist(), columns.tolist(), strict=True)))
    graph.es["weight"] = matrix.data.tolist()
    graph.to_undirected(mode="each")  # so that each edge is there twice
    igraph.set_random_number_generator(random.Random(seed))
    try:
        theirs = graph.community_leiden("modularity", weights="weight", resolution=resolution, n_iterations=2)
    finally:
        igraph.set_random_number_generator(random)
    found = leiden(matrix, seed, resolution=resolution, stream="python")
    np.testing.assert_array_equal(found, theirs.membership)


def test_a_stream_is_begun_anew_for_each_partition_of_a_graph():
    matrix = connectivities(exact_neighbors(np.random.default_rng(0).normal(size=(500, 5)), 15))
    graph = CommunityGraph(matrix)
    for stream in ("python", "scanpy", "python"):
        for resolution in (2.0, 0.5, 2.0):
            found = graph.leiden(7, resolution=resolution, stream=stream)
            np.testing.assert_array_equal(found, leiden(matrix, 7, resolution=resolution, stream=stream))
    both = [graph.leiden(7, resolution=2.0, stream=stream) for stream in ("python", "scanpy")]
    assert (both[0] != both[1]).any()


def test_resolution_and_iterations_reach_the_algorithm():
    graph = connectivities(exact_neighbors(cells(300), 15))
    numbers = [len(set(leiden(graph, 0, resolution=r).tolist())) for r in (0.01, 1.0, 10.0)]
    assert numbers == sorted(set(numbers))
    assert len(set(leiden(graph, 0, n_iterations=-1).tolist())) >= 2


def test_the_global_generators_are_left_alone():
    graph = connectivities(exact_neighbors(cells(), 15))
    np.random.seed(5)  # noqa: NPY002, TID251
    random.seed(5)
    before = np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    leiden(graph, 1)
    leiden(graph, 1, stream="python")
    leiden(graph, 1, flavor="leidenalg")
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before  # noqa: NPY002


def test_threads_and_global_seeds_change_no_bit(same_bits):
    X = np.random.default_rng(1).normal(size=(3000, 10)) + 2 * np.repeat(np.eye(10)[:6], 500, axis=0)

    def compute():
        graph = connectivities(exact_neighbors(X, 15))
        return graph.indptr, graph.indices, graph.data, leiden(graph, 42), leiden(graph, 42, flavor="leidenalg")

    same_bits(compute)


@pytest.mark.parametrize("unit", [1e-100, 1e-30, 1e30, 1e100])
def test_the_unit_of_the_embedding_changes_no_weight(unit):
    distances = exact_neighbors(np.random.default_rng(5).normal(size=(60, 4)), 15).distances
    np.testing.assert_allclose(fuzzy_weights(distances * unit), fuzzy_weights(distances), atol=1e-4)


def test_blocks_change_no_bit(monkeypatch):
    distances = exact_neighbors(cells(500), 15).distances
    distances[40:60, 1:] = 0.0  # their floor is that of all cells, not of their block
    expected = fuzzy_weights(distances)
    for rows in (1, 7, 10**6):
        monkeypatch.setattr(graph_kernel, "_ROWS", rows)
        np.testing.assert_array_equal(fuzzy_weights(distances), expected)


def test_indices_of_either_width_give_one_graph():
    neighbors = exact_neighbors(cells(), 15)
    graphs = [
        connectivities(Neighbors(neighbors.indices.astype(kind), neighbors.distances)) for kind in (np.int32, np.int64)
    ]
    assert (graphs[0] != graphs[1]).nnz == 0
    np.testing.assert_array_equal(leiden(graphs[0], 0), leiden(graphs[1], 0))


def test_weights_need_little_beside_the_lists():
    tracemalloc.start()
    distances = np.sort(np.random.default_rng(0).gamma(9.0, size=(40_000, 15)), axis=1)
    distances[:, 0] = 0.0
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    fuzzy_weights(distances)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 3 * distances.nbytes  # the weights, and blocks of a tenth of the rows on each thread
