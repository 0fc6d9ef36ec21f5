"""Chosen columns of several matrices, one matrix below the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .parallel import ranges

_ENTRIES = 1 << 20  # looked at together


def stack_columns(matrices: Sequence[Any], columns: Sequence[NDArray[np.int64]]) -> Any:
    """Return the chosen columns of all matrices in one, filled block by block: no other copy of them is made.

    Matrices are n_i x g_i, dense or csr in canonical format, of floating point; of each, m distinct columns are named,
    in the order of the result. It has the rows of all matrices x m, in the largest precision of them: dense if all are,
    else csr with sorted indices.
    """
    import scipy.sparse as sp

    dtype = np.result_type(*(matrix.dtype for matrix in matrices))
    n, m = sum(matrix.shape[0] for matrix in matrices), len(columns[0])
    if all(isinstance(matrix, np.ndarray) for matrix in matrices):
        dense: NDArray[Any] = np.empty((n, m), dtype=dtype)
        row = 0
        for matrix, chosen in zip(matrices, columns, strict=True):
            for start, stop in _blocks(matrix):
                dense[row : row + stop - start] = matrix[start:stop][:, chosen]
                row += stop - start
        return dense
    pointers = np.concatenate([[0], np.cumsum(np.concatenate([k for _, _, k in _parts(matrices, columns)]))])
    # One type for indices and pointers, or SciPy would convert one of them, which is a copy.
    whole = np.int64 if max(pointers[-1], m) > np.iinfo(np.int32).max else np.int32
    data, indices = np.empty(pointers[-1], dtype=dtype), np.empty(pointers[-1], dtype=whole)
    low = 0
    for values, places, _ in _parts(matrices, columns):
        data[low : low + len(values)], indices[low : low + len(values)] = values, places
        low += len(values)
    stacked = sp.csr_matrix((data, indices, pointers.astype(whole)), (n, m))
    stacked.sort_indices()
    return stacked


def _blocks(matrix: Any) -> list[tuple[int, int]]:
    n, g = matrix.shape
    entries = n * g if isinstance(matrix, np.ndarray) else matrix.nnz
    return ranges(n, max(1, _ENTRIES * n // max(entries, 1)))


def _parts(
    matrices: Sequence[Any], columns: Sequence[NDArray[np.int64]]
) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]]:
    """Give the kept entries of some rows at a time: their values, their new columns, and how many each row has."""
    import scipy.sparse as sp

    for matrix, chosen in zip(matrices, columns, strict=True):
        position = np.full(matrix.shape[1], -1, dtype=np.int64)
        position[chosen] = np.arange(len(chosen))
        for start, stop in _blocks(matrix):
            part = sp.csr_matrix(matrix[start:stop])
            places = position[part.indices]
            keep = places >= 0
            kept = np.diff(np.concatenate([[0], np.cumsum(keep)])[part.indptr])
            yield part.data[keep], places[keep], kept
