"""Euclidean distances in blocks; an n x n matrix is never held.

Distances come from the matrix product |x|^2 + |y|^2 - 2xy in double precision. The product cancels when both norms are
large against the distance. So each block is first moved to its own mean, whereby an offset of the whole embedding
changes nothing, and pairs that are still much nearer to each other than to that mean are computed from differences.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024
_CANCELLED = 1e-7  # of the norms: below it, less than nine digits of the squared distance are left
_VALUES = 1 << 22  # coordinates held at a time, 32 MB: an "embedding" may be 20,000 genes wide


def columns_at_a_time(d: int) -> int:
    """Return how many points of d coordinates a block compares its rows with."""
    return min(8 * BLOCK, max(1, 2 * _VALUES // d))


def block_distances(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances between two sets of points, ``len(rows) x len(columns)``, in double precision."""
    centre = rows.mean(axis=0)
    rows = rows - centre
    columns = columns - centre
    squared = rows @ columns.T
    squared *= -2.0
    norms = np.einsum("ij,ij->i", rows, rows)[:, None] + np.einsum("ij,ij->i", columns, columns)
    squared += norms
    norms *= _CANCELLED
    row, column = np.nonzero(squared < norms)
    pairs = max(1, _VALUES // rows.shape[1])
    for start in range(0, len(row), pairs):
        i, j = row[start : start + pairs], column[start : start + pairs]
        difference = rows[i] - columns[j]
        squared[i, j] = np.einsum("pd,pd->p", difference, difference)
    return np.sqrt(squared, out=squared)
