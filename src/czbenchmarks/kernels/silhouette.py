"""Silhouette of every cell, exact, in blocks.

Cells are ordered by group, so that the sum of a cell's distances to a group is one slice of its row. Sums are taken in
double precision: a group may hold a million distances. Memory is two blocks per thread.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .distances import BLOCK, block_distances, columns_at_a_time
from .parallel import map_blocks, ranges


def silhouette_samples(X: NDArray[np.floating], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (b - a) / max(a, b) for every cell; a: mean distance within its group, b: to the nearest other group.

    Parameters
    ----------
    X
        n x d.
    codes
        Group of every cell, 0 to the number of groups - 1, each occurring; at least two groups.

    Returns
    -------
    n values in [-1, 1]; 0 for the only cell of a group, and where all distances are 0.
    """
    order = np.argsort(codes, kind="stable")
    groups = codes[order]
    sizes = np.bincount(codes)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    points = np.ascontiguousarray(X[order], dtype=np.float64)
    n = len(points)
    values = np.empty(n)

    def work(block: tuple[int, int]) -> None:
        start, stop = block
        sums = np.zeros((stop - start, len(sizes)))
        for low, high in ranges(n, columns_at_a_time(points.shape[1])):
            distances = block_distances(points[start:stop], points[low:high])
            own = np.arange(max(start, low), min(stop, high))
            distances[own - start, own - low] = 0.0  # a cell's distance to itself, free of rounding
            first, last = groups[low], groups[high - 1]
            edges = np.maximum(starts[first : last + 1], low) - low
            sums[:, first : last + 1] += np.add.reduceat(distances, edges, axis=1)
        values[start:stop] = _from_sums(sums, groups[start:stop], sizes)

    map_blocks(work, ranges(n, BLOCK), "silhouette")
    result = np.empty(n)
    result[order] = values
    return result


def _from_sums(sums: NDArray[np.float64], own: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    rows = np.arange(len(own))
    within = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    means = sums / sizes
    means[rows, own] = np.inf
    nearest = means.min(axis=1)
    larger = np.maximum(within, nearest)
    with np.errstate(invalid="ignore"):
        values = np.where(larger > 0, (nearest - within) / larger, 0.0)
    values[sizes[own] == 1] = 0.0
    return values
