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
_PAIRS = 1 << 16


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
    for start in range(0, len(row), _PAIRS):
        i, j = row[start : start + _PAIRS], column[start : start + _PAIRS]
        difference = rows[i] - columns[j]
        squared[i, j] = np.einsum("pd,pd->p", difference, difference)
    return np.sqrt(squared, out=squared)
