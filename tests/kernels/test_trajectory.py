import numpy as np
import pytest
import scipy.sparse as sp

from czbenchmarks.kernels import trajectory
from czbenchmarks.kernels.graph import connectivities
from czbenchmarks.kernels.neighbors import exact_neighbors
from czbenchmarks.kernels.trajectory import (
    diffusion_components,
    diffusion_pseudotime,
    largest_component,
    root_cell,
    transitions,
)


def line(n=300, seed=0):
    rng = np.random.default_rng(seed)
    time = np.sort(rng.random(n))
    X = np.column_stack([np.cos(4 * time), np.sin(4 * time), rng.normal(0, 0.05, n)])
    return time, connectivities(exact_neighbors(X, 15))


def slow_transitions(graph):
    W = graph.toarray().astype(float)
    n = len(W)
    q = [sum(W[:, j]) for j in range(n)]
    K = np.array([[W[i, j] / (q[i] * q[j]) for j in range(n)] for i in range(n)])
    z = [np.sqrt(sum(K[:, j])) for j in range(n)]
    return np.array([[K[i, j] / (z[i] * z[j]) for j in range(n)] for i in range(n)])


def slow_pseudotime(matrix, root, k):
    values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(-values)[1 : k + 1]
    found = []
    for cell in range(len(matrix)):
        moved = [values[c] / (1 - values[c]) * (vectors[cell, c] - vectors[root, c]) for c in order]
        found.append(np.sqrt(sum(m * m for m in moved)))
    return np.array(found) / max(found)


def test_transitions_have_the_stationary_state_as_eigenvector():
    _, graph = line(80)
    matrix, stationary = transitions(graph)
    np.testing.assert_allclose(matrix.toarray(), slow_transitions(graph), atol=1e-14)
    np.testing.assert_allclose(matrix @ stationary, stationary, atol=1e-12)
    assert np.linalg.norm(stationary) == pytest.approx(1)


@pytest.mark.parametrize("full", [0, 400])
def test_pseudotime_is_that_of_the_twin(full, monkeypatch):
    monkeypatch.setattr(trajectory, "_FULL", full)  # either decomposition
    _, graph = line(120)
    values, vectors = diffusion_components(graph, 9)
    assert values[0] == 1
    assert (np.diff(values) <= 0).all()
    found = diffusion_pseudotime(values, vectors, 3)
    np.testing.assert_allclose(found, slow_pseudotime(slow_transitions(graph), 3, 9), atol=2e-9)
    assert found[3] == 0
    assert found.max() == 1


def test_pseudotime_is_that_of_scanpy():
    import anndata
    import scanpy

    _, graph = line()
    adata = anndata.AnnData(np.zeros((300, 1)))
    adata.obsp["connectivities"] = adata.obsp["distances"] = graph
    adata.uns["neighbors"] = {
        "params": {"method": "umap", "n_neighbors": 15}, "connectivities_key": "connectivities",
        "distances_key": "distances",
    }  # fmt: skip
    scanpy.tl.diffmap(adata)
    adata.uns["iroot"] = 7
    scanpy.tl.dpt(adata)
    found = diffusion_pseudotime(*diffusion_components(graph, 9), 7)
    # scanpy keeps its components in single precision and counts the stationary one, which is almost constant.
    np.testing.assert_allclose(found, adata.obs["dpt_pseudotime"].to_numpy(), atol=2e-5)


def test_largest_component_is_found_and_of_two_the_first():
    blocks = [sp.csr_array(np.ones((n, n))) for n in (2, 4, 4)]
    graph = sp.csr_matrix(sp.block_diag(blocks))
    assert largest_component(graph).tolist() == [2, 3, 4, 5]


def test_root_is_the_candidate_most_voted_for():
    vectors = np.array([[0.0, -5.0, 9.0], [1.0, -4.0, 0.0], [2.0, 0.0, 0.0], [3.0, 9.0, -9.0]])
    assert root_cell(vectors, np.array([0, 1])) == 0  # farthest out in all three
    assert root_cell(vectors, np.array([2, 3])) == 3
    assert root_cell(vectors, np.array([2])) == 2
    # One vote each: the first component past the stationary one decides.
    tied = np.array([[-9.0, 0.0, 0.0], [0.0, -9.0, 0.0], [0.0, 0.0, -9.0], [5.0, 5.0, 5.0], [5.0, 5.0, 5.0]])
    assert root_cell(tied, np.array([0, 1, 2])) == 1
    assert root_cell(-tied, np.array([0, 1, 2])) == 1
    assert root_cell(tied[[2, 0, 1, 3, 4]], np.array([0, 1, 2])) == 2


def test_cells_at_one_place_have_pseudotime_0():
    assert diffusion_pseudotime(np.array([1.0, 0.5]), np.ones((5, 2)), 2).tolist() == [0] * 5


def test_same_bits(same_bits):
    _, graph = line(600)
    same_bits(lambda: [diffusion_pseudotime(*diffusion_components(graph, 9), 5)])
