"""Columns of several matrices below each other: the same as slices stacked, in any container, with little memory."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from czbenchmarks.kernels import stacking
from czbenchmarks.kernels.stacking import stack_columns


def matrices(seed=0, kinds=("csr", "csr"), dtypes=("float32", "float32")):
    rng = np.random.default_rng(seed)
    made = []
    for i, (kind, dtype) in enumerate(zip(kinds, dtypes, strict=True)):
        X = rng.poisson(0.7, (23 + 9 * i, 12 + 5 * i)).astype(dtype)
        made.append(sp.csr_matrix(X) if kind == "csr" else X)
    return made, [rng.permutation(matrix.shape[1])[:7] for matrix in made]


def dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else matrix


@pytest.mark.parametrize("entries", [1, 40, 1 << 20])
@pytest.mark.parametrize("kinds", [("csr", "csr"), ("dense", "dense"), ("csr", "dense"), ("dense", "csr")])
def test_equals_slices_stacked(kinds, entries, monkeypatch):
    monkeypatch.setattr(stacking, "_ENTRIES", entries)
    given, columns = matrices(1, kinds)
    before = [dense(matrix).copy() for matrix in given]
    found = stack_columns(given, columns)
    wanted = [[row[place] for place in chosen] for X, chosen in zip(before, columns, strict=True) for row in X]
    assert dense(found).tolist() == wanted
    assert sp.issparse(found) == ("csr" in kinds)
    if sp.issparse(found):
        assert found.has_canonical_format
        assert found.indices.dtype == found.indptr.dtype == np.int32
    assert all(np.array_equal(dense(now), then) for now, then in zip(given, before, strict=True))


@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_the_larger_precision_is_kept(kind):
    given, columns = matrices(2, (kind, kind), ("float32", "float64"))
    given[1][0, columns[1][0]] = 1 + 2**-40
    found = stack_columns(given, columns)
    assert found.dtype == np.float64
    assert dense(found)[23, 0] == 1 + 2**-40
    assert stack_columns(given[:1], columns[:1]).dtype == np.float32


def test_rows_and_matrices_without_entries():
    empty = sp.csr_matrix((3, 4), dtype=np.float32)
    some = sp.csr_matrix(np.array([[0, 0, 5, 0], [0, 0, 0, 0]], dtype=np.float32))
    found = stack_columns([empty, some, empty], [np.array([2, 0])] * 3)
    assert found.toarray().tolist() == [[0, 0]] * 3 + [[5, 0], [0, 0]] + [[0, 0]] * 3


def test_memory_is_that_of_the_result():
    rng = np.random.default_rng(3)
    given = [sp.random(20_000, 800, 0.25, "csr", np.float32, rng) for _ in range(2)]
    columns = [rng.permutation(800)[:700] for _ in given]
    tracemalloc.start()
    found = stack_columns(given, columns)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = found.data.nbytes + found.indices.nbytes + found.indptr.nbytes
    blocks = 64 * stacking._ENTRIES  # a block of entries, with what is computed of it
    assert size > 50_000_000
    assert peak < size + blocks
