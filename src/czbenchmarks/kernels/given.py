"""Neighbours that the user has: lists made of a sparse matrix of distances, such as scanpy writes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks import _check
from czbenchmarks.exceptions import InputError, InputTypeError

from .neighbors import Neighbors
from .parallel import map_blocks, ranges

_BLOCK = 1 << 14  # rows at a time


def neighbors_from_distances(matrix: Any, name: str = "neighbors") -> Neighbors:
    """Return the neighbour lists that a matrix of distances holds, the cell itself first, then by (distance, index).

    Which cells are near, and in what order, is taken as given. A matrix of anything else that grows with distance would
    do; one of similarities would not, and is refused where it gives itself away.

    `matrix` is sparse, n x n: the distances from each cell (row) to the cells near it, as many for every cell. The cell
    itself may be among them, at distance 0; it does not count, and comes as one entry more. `name` is what a sentence
    calls it.
    """
    rows, each = _checked(matrix, name)
    n = rows.shape[0]
    indices = np.empty((n, each + 1), dtype=np.int32)
    distances = np.zeros((n, each + 1))
    indices[:, 0] = np.arange(n)

    def fill(block: tuple[int, int]) -> None:
        start, stop = block
        _, listed, far = _others(rows, start, stop)
        listed, far = listed.reshape(-1, each), far.reshape(-1, each).astype(np.float64)
        order = np.lexsort((listed, far), axis=1)
        indices[start:stop, 1:] = np.take_along_axis(listed, order, axis=1)
        distances[start:stop, 1:] = np.take_along_axis(far, order, axis=1)

    map_blocks(fill, ranges(n, _BLOCK), "given neighbours")
    return Neighbors(indices, distances, search="given")


def strange_pairs(found: Neighbors, values: Any, most: int = 1000) -> tuple[int, int]:
    """Count the neighbours whose given distance is not the Euclidean one: pairs that differ, and pairs looked at.

    At most `most` pairs are looked at, spread over all cells; `values` is the n x d embedding, dense or csr, that the
    neighbours are said to be of.
    """
    n, k = found.indices.shape
    rows = np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))
    places = 1 + np.arange(len(rows)) % (k - 1)
    parts = [values[cells] for cells in (rows, found.indices[rows, places])]
    first, second = (np.asarray(p.toarray() if hasattr(p, "toarray") else p, dtype=np.float64) for p in parts)
    true = np.linalg.norm(first - second, axis=1)
    # Libraries compute |x|^2 + |y|^2 - 2xy in single precision: what is lost grows with the lengths.
    slack = 1e-3 * (true + np.linalg.norm(first, axis=1) + np.linalg.norm(second, axis=1))
    return int((np.abs(true - found.distances[rows, places]) > slack).sum()), len(rows)


def _checked(matrix: Any, name: str) -> tuple[Any, int]:
    """Return the matrix as csr, and how many other cells each of its rows names."""
    import scipy.sparse as sp

    if not sp.issparse(matrix):
        raise InputTypeError(
            f"`{name}` must be a sparse matrix of distances, as scanpy.pp.neighbors writes, "
            f"got {_check.kind_of(matrix)}."
        )
    n = int(matrix.shape[0])
    if tuple(matrix.shape) != (n, n) or not n:
        raise InputError(f"`{name}` must hold distances of cells x cells, got shape {tuple(matrix.shape)}.")
    if matrix.dtype.kind not in "fiu":
        raise InputTypeError(f"`{name}` must hold distances, which are numbers, got {matrix.dtype}.")
    try:
        rows = sp.csr_matrix(matrix)
        rows.check_format(full_check=True)  # what points outside would be followed
    except ValueError as error:
        raise InputError(f"`{name}` must be a valid sparse matrix, got one that is damaged ({error}).") from None
    blocks = map_blocks(lambda block: _looked_at(rows, *block, name), ranges(n, _BLOCK), "given neighbours")
    least, most = min(block[0] for block in blocks), max(block[1] for block in blocks)
    if least < most or not most:
        got = f"{least:,} to {most:,}" if least < most else "none"
        hint = "name the distances that scanpy.pp.neighbors writes (knn=True), not its connectivities"
        if not (rows.data == 0).any():
            hint += "; zeros are distances of cells in the same place, and eliminate_zeros drops them"
        if most == least + 1 and len(set(np.diff(rows.indptr))) == 1:
            hint = "scanpy may write a cell itself for one in the same place; search for the neighbours instead"
        raise InputError(
            f"`{name}` must name the same number of neighbours for every cell, at least 1 besides itself, got {got}; "
            f"{hint}."
        )
    return rows, most


def _looked_at(rows: Any, start: int, stop: int, name: str) -> tuple[int, int]:
    """Check some rows; return the fewest and most other cells that one of them names."""
    bounds = slice(rows.indptr[start], rows.indptr[stop])
    values, columns = rows.data[bounds], rows.indices[bounds]
    owners = np.repeat(np.arange(start, stop), np.diff(rows.indptr[start : stop + 1]))
    bad = ~(np.isfinite(values) & (values >= 0) & ((values == 0) | (columns != owners)))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"`{name}` must hold distances: finite, at least 0, and 0 from a cell to itself, "
            f"got {values[first]:g} from cell {owners[first]:,} to cell {columns[first]:,}."
        )
    pairs = np.sort(owners * np.int64(rows.shape[1]) + columns)
    twice = np.flatnonzero(pairs[1:] == pairs[:-1])
    if len(twice):
        cell, other = divmod(int(pairs[twice[0]]), rows.shape[1])
        raise InputError(
            f"`{name}` must name a neighbour once, got cell {other:,} more than once for cell {cell:,}; "
            "make the matrix canonical (sum_duplicates)."
        )
    counts, _, _ = _others(rows, start, stop)
    return int(counts.min()), int(counts.max())


def _others(rows: Any, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """Return how many other cells each of some rows names, which, and how far they are: row after row."""
    bounds = slice(rows.indptr[start], rows.indptr[stop])
    owners = np.repeat(np.arange(start, stop), np.diff(rows.indptr[start : stop + 1]))
    other = rows.indices[bounds] != owners
    return (
        np.bincount(owners[other] - start, minlength=stop - start),
        rows.indices[bounds][other],
        rows.data[bounds][other],
    )
