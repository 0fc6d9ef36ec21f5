"""Neighbours that are given, against a loop over the cells."""

import itertools
import re

import numpy as np
import pytest
import scipy.sparse as sp

from czbenchmarks.kernels import given
from czbenchmarks.kernels.given import neighbors_from_distances, strange_pairs
from czbenchmarks.kernels.neighbors import Neighbors, exact_neighbors


def slow(matrix):
    """Sort the entries of every cell by distance and index, the cell itself first."""
    rows = []
    for cell, (start, stop) in enumerate(itertools.pairwise(matrix.indptr)):
        entries = zip(matrix.data[start:stop].tolist(), matrix.indices[start:stop].tolist(), strict=True)
        listed = sorted((float(value), other) for value, other in entries if other != cell)
        rows.append([(0.0, cell), *listed])
    return [[other for _, other in row] for row in rows], [[value for value, _ in row] for row in rows]


def distances(n=50, k=7, seed=0, ties=False, with_self=False):
    """As scanpy writes them: for every cell its k - 1 nearest others, in no order."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 4, (n, 3)).astype(float) if ties else rng.normal(size=(n, 3))
    found = exact_neighbors(X, k)
    start = 0 if with_self else 1
    order = rng.permuted(np.tile(np.arange(start, k), (n, 1)), axis=1)
    columns = np.take_along_axis(found.indices, order, axis=1)
    values = np.take_along_axis(found.distances, order, axis=1)
    each = k - start
    return sp.csr_matrix((values.ravel(), columns.ravel(), np.arange(0, n * each + 1, each)), shape=(n, n)), found


@pytest.mark.parametrize("block", [1, 7, 1 << 14])
@pytest.mark.parametrize("with_self", [False, True])
@pytest.mark.parametrize("ties", [False, True])
def test_as_one_cell_after_the_other(monkeypatch, block, with_self, ties):
    monkeypatch.setattr(given, "_BLOCK", block)
    matrix, searched = distances(ties=ties, with_self=with_self)
    before = [part.tobytes() for part in (matrix.data, matrix.indices, matrix.indptr)]
    found = neighbors_from_distances(matrix)
    indices, values = slow(matrix)
    assert found.indices.tolist() == indices
    assert found.distances.tolist() == values
    assert (found.indices.dtype, found.distances.dtype, found.search) == (np.int32, np.float64, "given")
    assert [part.tobytes() for part in (matrix.data, matrix.indices, matrix.indptr)] == before
    if not ties:  # the lists that were put in, tied or not, are another matter: the last may tie with one left out
        assert found.indices.tolist() == searched.indices.tolist()
        assert found.distances.tolist() == searched.distances.tolist()


@pytest.mark.parametrize("form", [sp.csc_matrix, sp.coo_matrix, sp.csr_array, sp.coo_array])
@pytest.mark.parametrize("dtype", ["f4", "i8"])
def test_any_sparse_form(form, dtype):
    matrix = (distances()[0] * 10).astype(dtype)
    matrix.data += 1  # whole numbers have ties, but no zeros that conversion could lose
    found = neighbors_from_distances(form(matrix))
    indices, values = slow(matrix)
    assert found.indices.tolist() == indices
    assert found.distances.tolist() == values


def test_some_cells_may_name_themselves():
    # The first does; the last lies on the second.
    matrix = sp.csr_matrix(([0.0, 1.0, 2.0, 0.0], [0, 1, 0, 1], [0, 2, 3, 4]), shape=(3, 3))
    found = neighbors_from_distances(matrix)
    assert found.indices.tolist() == [[0, 1], [1, 0], [2, 1]]
    assert found.distances.tolist() == [[0, 1], [0, 2], [0, 0]]


def test_what_scanpy_writes():
    import anndata
    import scanpy

    X = np.random.default_rng(0).normal(size=(300, 4)).astype("f4")
    adata = anndata.AnnData(obsm={"X": X}, shape=(300, 0))
    scanpy.pp.neighbors(adata, n_neighbors=8, use_rep="X", transformer="sklearn")
    found, expected = neighbors_from_distances(adata.obsp["distances"]), exact_neighbors(X, 8)
    assert found.indices.tolist() == expected.indices.tolist()
    np.testing.assert_allclose(found.distances, expected.distances, atol=1e-6)
    with pytest.raises(ValueError, match=r"must name the same number .*not its connectivities"):
        neighbors_from_distances(adata.obsp["connectivities"])


def test_a_cell_in_place_of_its_neighbour_is_refused():
    # The first two lie in one place: a search that drops the nearest dropped the second from the first's list.
    matrix = sp.csr_matrix(([0.0, 3.0, 0.0, 3.0, 3.0, 3.0], [0, 2, 0, 2, 0, 1], [0, 2, 4, 6]), shape=(3, 3))
    with pytest.raises(ValueError, match="got 1 to 2; scanpy may write a cell itself"):
        neighbors_from_distances(matrix)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("most", [1000, 13, 1])
def test_distances_of_another_embedding_are_told(container, most):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    found = exact_neighbors(X, 6)
    looked = min(most, 200)
    assert strange_pairs(found, container(X), most) == (0, looked)
    # What single precision makes of it is the same.
    rounded = Neighbors(found.indices, found.distances.astype(np.float32) * (1 + 1e-4), search="given")
    assert strange_pairs(rounded, container(X.astype("f4")), most) == (0, looked)
    assert strange_pairs(found, container(1.1 * X), most) == (looked, looked)
    if most == 1000:
        differ, _ = strange_pairs(found, container(rng.normal(size=(200, 9))))
        assert differ > 190
        X[:50] += 1  # some cells lie elsewhere
        rows, places = np.arange(200), 1 + np.arange(200) % 5
        moved = (rows < 50) != (found.indices[rows, places] < 50)
        assert strange_pairs(found, container(X)) == (int(moved.sum()), 200)


def test_threads_change_no_bit(same_bits, monkeypatch):
    monkeypatch.setattr(given, "_BLOCK", 8)
    matrix, _ = distances(ties=True)

    def compute():
        found = neighbors_from_distances(matrix)
        return found.indices, found.distances

    same_bits(compute)


def bad(change):
    matrix = distances()[0].tolil()
    change(matrix)
    return matrix.tocsr()


def damaged():
    matrix = distances()[0]
    matrix.indices[3] = 1000
    return matrix


def twice():
    matrix = distances()[0]
    matrix.indices[12:15] = matrix.indices[12]
    return matrix


@pytest.mark.parametrize(
    ("matrix", "error", "sentence"),
    [
        (np.zeros((3, 3)), TypeError, "`it` must be a sparse matrix of distances, as .*, got ndarray of shape (3, 3)."),
        (sp.csr_matrix((3, 4)), ValueError, "`it` must hold distances of cells x cells, got shape (3, 4)."),
        (sp.csr_matrix((0, 0)), ValueError, "`it` must hold distances of cells x cells, got shape (0, 0)."),
        (sp.coo_array(np.ones(4)), ValueError, "`it` must hold distances of cells x cells, got shape (4,)."),
        (sp.csr_matrix((3, 3), dtype=bool), TypeError, "`it` must hold distances, which are numbers, got bool."),
        (
            sp.csr_matrix((3, 3)),
            ValueError,
            "`it` must name the same number of neighbours for every .*, got none; name ",
        ),
        (
            sp.identity(3, format="csr") * 0.0,
            ValueError,
            "`it` must name the same .*, at least 1 besides itself, got none; name ",
        ),
        (bad(lambda m: m.__setitem__((2, slice(3, 30)), 1.0)), ValueError, "`it` must name the same .*, got 6 to 29; "),
        (
            distances()[0].maximum(distances()[0].T),
            ValueError,
            "`it` must name the same number .*; name the distances that scanpy.pp.neighbors writes (knn=True), not ",
        ),
        (distances()[0] * -1, ValueError, "`it` must hold distances: finite, .*, got -"),
        (distances()[0] * np.inf, ValueError, "`it` must hold distances: finite, .*, got inf from cell 0 to cell "),
        (distances()[0] * np.nan, ValueError, "`it` must hold distances: finite, .*, got nan from cell 0 to cell "),
        (bad(lambda m: m.__setitem__((7, 7), 2.5)), ValueError, "`it` must hold .*, got 2.5 from cell 7 to cell 7."),
        (damaged(), ValueError, "`it` must be a valid sparse matrix, got one that is damaged ("),
        (twice(), ValueError, "`it` must name a neighbour once, got cell "),
    ],
)
def test_what_is_no_neighbour_list_is_refused(matrix, error, sentence):
    with pytest.raises(error, match="^" + re.escape(sentence).replace(r"\.\*", ".*")):
        neighbors_from_distances(matrix, "it")


def test_zeros_that_were_dropped_are_named():
    X = np.repeat(np.arange(6.0), 2)[:, None]  # pairs of cells in the same place
    far = np.abs(X - X.T)
    matrix = sp.csr_matrix(np.where(far <= 1, far, 0))
    with pytest.raises(ValueError, match=r"the same number .*zeros are distances .*eliminate_zeros drops them"):
        neighbors_from_distances(matrix)
