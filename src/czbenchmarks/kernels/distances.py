"""Euclidean distances in blocks; an n x n matrix is never held.

Distances come from the matrix product |x|^2 + |y|^2 - 2xy in double precision. The product cancels when both norms are
large against the distance, so each block is first moved to its own mean: neighbours of the block then have small norms,
and an offset of the whole embedding changes nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024


def block_distances(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances between two sets of points, ``len(rows) x len(columns)``, in double precision."""
    centre = rows.mean(axis=0)
    rows = rows - centre
    columns = columns - centre
    squared = rows @ columns.T
    squared *= -2.0
    squared += np.einsum("ij,ij->i", rows, rows)[:, None]
    squared += np.einsum("ij,ij->i", columns, columns)
    np.maximum(squared, 0.0, out=squared)
    return np.sqrt(squared, out=squared)
