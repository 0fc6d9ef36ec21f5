"""Weighted sums over groups of rows, each for some columns, in one pass over the matrix.

Every sum adds its rows one after the other, in their order and in double precision. So it has the same bits however
the matrix is cut, and for dense, csr, csc and stored matrices.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._progress import work

from .stored import StoredMatrix, bytes_in_blocks

_AT_ONCE = 2**14
"""Products that are made before they are added: as many as stay in the cache."""


def group_sums(matrix: Any, weights: Any, groups: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return weighted sums over rows: one number for each pair of a group and a column.

    Memory grows with the pairs, not with groups times columns. Rows of weight 0 count for nothing.

    Parameters
    ----------
    matrix
        n x d finite array, csr or csc matrix, or ``StoredMatrix``.
    weights
        Groups x n SciPy sparse matrix: the weight of each row in each group.
    groups, columns
        The pairs, sorted by group.

    Returns
    -------
    The sum over rows r of ``weights[groups[p], r] * matrix[r, columns[p]]`` for every pair p.
    """
    by_row = weights.tocsc()
    by_row.sum_duplicates()
    rows = np.repeat(np.arange(by_row.shape[1]), np.diff(by_row.indptr))
    entries = _Entries(rows, by_row.indices.astype(np.int64), by_row.data.astype(np.float64))
    if isinstance(matrix, StoredMatrix):  # whose rows and columns are those of the file from here on
        if matrix.rows is not None:
            entries = entries.moved(matrix.rows)
        if matrix.columns is not None:
            columns = matrix.columns[columns]
    sums = np.zeros(len(columns))
    wanted = np.unique(columns)
    with work("predictions", matrix.shape[0] * len(wanted)) as advance:
        for start, place, piece in _pieces(matrix, wanted):
            where = place[columns]
            pairs = np.flatnonzero(where >= 0)
            _add(sums, piece, start, entries.between(start, start + len(piece)), groups[pairs], where[pairs], pairs)
            advance(len(piece) * int(np.count_nonzero(place >= 0)))
    return sums


class _Entries:
    """Weights that are not 0: row, group and weight, sorted by row and then group."""

    def __init__(self, rows: NDArray[np.int64], groups: NDArray[np.int64], weights: NDArray[np.float64]) -> None:
        self.rows, self.groups, self.weights = rows, groups, weights

    def moved(self, to: NDArray[np.int64]) -> _Entries:
        """Return them with other rows: row i becomes ``to[i]``."""
        rows = to[self.rows]
        order = np.argsort(rows, kind="stable")
        return _Entries(rows[order], self.groups[order], self.weights[order])

    def between(self, start: int, stop: int) -> _Entries:
        """Return those of some rows."""
        first, last = np.searchsorted(self.rows, (start, stop))
        return _Entries(self.rows[first:last], self.groups[first:last], self.weights[first:last])


def _pieces(matrix: Any, wanted: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64], NDArray[Any]]]:
    """Yield dense pieces that hold the wanted columns: the first row, each column's place (-1: not in it), the piece.

    `wanted` is sorted.
    """
    if isinstance(matrix, StoredMatrix):
        for start, left, right, block in matrix.blocks():
            own = wanted[np.searchsorted(wanted, left) : np.searchsorted(wanted, right)]
            yield from _dense(block, own - left, own, start, wanted)
    else:
        yield from _dense(matrix, wanted, wanted, 0, wanted)


def _dense(
    block: Any, here: NDArray[np.int64], names: NDArray[np.int64], start: int, wanted: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[Any]]]:
    """Yield the dense pieces of a block, of which the wanted columns `names` are at `here`."""
    if not len(names):
        return

    def place(some: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
        found = np.full(wanted[-1] + 1, -1)
        found[some] = at
        return found

    if isinstance(block, np.ndarray):
        yield start, place(names, here), block
    elif block.format == "csc":
        for first, last in bytes_in_blocks(8 * block.shape[0], len(here)):
            yield start, place(names[first:last], np.arange(last - first)), block[:, here[first:last]].toarray()
    else:
        of_all = place(names, np.arange(len(names)))
        for first, last in bytes_in_blocks(8 * len(here), block.shape[0]):
            yield start + first, of_all, block[first:last][:, here].toarray()


def _add(
    sums: NDArray[np.float64],
    piece: NDArray[Any],
    start: int,
    entries: _Entries,
    groups: NDArray[np.int64],
    columns: NDArray[np.int64],
    pairs: NDArray[np.int64],
) -> None:
    """Add what a piece contributes to the sums of some pairs; `start` is its first row, `columns` are its own."""
    most = int(max(groups.max(initial=-1), entries.groups.max(initial=-1))) + 1
    of_group = np.bincount(groups, minlength=most)
    first = np.cumsum(of_group) - of_group
    per_entry = of_group[entries.groups]
    ends = np.cumsum(per_entry)
    rows = entries.rows - start
    n, width = piece.shape
    # To look up by one number takes a third of the time of two.
    turned = piece.flags.f_contiguous and not piece.flags.c_contiguous
    flat = (piece.T if turned else piece).reshape(-1) if turned or piece.flags.c_contiguous else None
    begin, done = 0, 0
    while begin < len(rows):
        end = max(begin + 1, int(np.searchsorted(ends, done + _AT_ONCE, side="right")))
        times = per_entry[begin:end]
        shift = first[entries.groups[begin:end]] - (ends[begin:end] - times - done)
        which = np.repeat(shift, times)
        which += np.arange(len(which))
        at = columns[which]
        if flat is None:
            values = piece[np.repeat(rows[begin:end], times), at]
        elif turned:
            values = flat[at * n + np.repeat(rows[begin:end], times)]
        else:
            values = flat[np.repeat(rows[begin:end] * width, times) + at]
        # One after the other, whatever the cut: a sum of partial sums would round by where it was cut.
        np.add.at(sums, pairs[which], np.repeat(entries.weights[begin:end], times) * values)
        begin, done = end, int(ends[end - 1])
