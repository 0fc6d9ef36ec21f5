"""Nearest neighbours of many cells: each cell is compared with the cells of the clusters near it.

Cells are clustered by k-means and ordered by cluster. A batch of cells is compared cluster by cluster, each with those
cells of the batch that are near it, which is as fast as in the exact search. How many clusters a cell needs is read off
a sample of cells whose true neighbours are found among all; another sample measures the recall.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .distances import Floats, in_working_precision
from .neighbors import MARGIN, Neighbors, nearest_of_all
from .parallel import map_blocks, ranges

Integers = NDArray[np.integer]

RECALL = 0.97  # aimed at
_SEED = 0
_CELLS_A_CLUSTER = 200
_MOST_CLUSTERS = 8192
_TRAINING = 16  # cells that place a centre
_ROUNDS = 4
_SAMPLE = 500
_BATCH = 2048
_ROUNDED = 1 + 1e-12  # of many dimensions, both searches add the coordinates in orders of their own


def approximate_neighbors(X: Floats, k: int, recall: float = RECALL) -> Neighbors:
    """Find about the `k` (1 to n) nearest cells of every cell of `X` (n x d, finite), the cell itself first.

    `recall` is the share of the true neighbours to be found, on average over cells; the cell itself does not count. The
    result holds the recall measured on a sample.
    """
    points, unit = in_working_precision(X)
    n = len(points)
    rng = np.random.default_rng(_SEED)
    centres = _centres(points, min(max(1, n // _CELLS_A_CLUSTER), _MOST_CLUSTERS), rng)
    used, cluster = np.unique(_near_centres(points, centres, 1)[:, 0], return_inverse=True)
    order = np.argsort(cluster, kind="stable")
    centres, points, cluster = centres[used], points[order], cluster[order]
    sample = rng.choice(n, min(n, 2 * _SAMPLE), replace=False).astype(np.int32)
    true = nearest_of_all(points[sample], points, k, sample, "neighbours of a sample")
    half = max(1, len(sample) // 2)
    wanted = _clusters_wanted(points[sample[:half]], centres, cluster[true.indices[:half, 1:]], recall)
    indices, distances, beyond = _search(points, order.astype(np.int32), centres, cluster, wanted, k)
    # The cell itself is always found and does not count.
    reached = distances[order[sample[half:]], 1:] <= true.distances[half:, -1:] * _ROUNDED
    if unit != 1.0:
        distances *= unit
        beyond *= unit
    return Neighbors(indices, distances, "approximate", float(reached.mean()) if reached.size else 1.0, beyond)


def _near_centres(points: Floats, centres: Floats, count: int) -> NDArray[np.int32]:
    return nearest_of_all(points, centres, count, what="clusters of cells").indices


def _centres(points: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Return centres of clusters: a few rounds of k-means on some of the cells."""
    n = len(points)
    training = points[np.sort(rng.choice(n, min(n, count * _TRAINING), replace=False))]
    centres = training[np.sort(rng.choice(len(training), count, replace=False))]
    for _ in range(_ROUNDS):
        cluster = _near_centres(training, centres, 1)[:, 0]
        order = np.argsort(cluster, kind="stable")
        kept, starts, sizes = np.unique(cluster[order], return_index=True, return_counts=True)
        sums = np.add.reduceat(training[order], starts, axis=0, dtype=np.float64)
        centres[kept] = sums / sizes[:, None]  # an empty cluster keeps its centre
    return centres


def _clusters_wanted(sample: Floats, centres: Floats, true: Integers, recall: float) -> int:
    """Return how many near clusters hold the wanted share of the true neighbours of sampled cells."""
    if not true.size:
        return 1
    near = _near_centres(sample, centres, len(centres))
    rank = np.empty_like(near)
    np.put_along_axis(rank, near, np.arange(len(centres), dtype=np.int32)[None, :], axis=1)
    return int(np.quantile(np.take_along_axis(rank, true, axis=1), recall, method="higher")) + 1


def _search(
    points: Floats, names: NDArray[np.int32], centres: Floats, cluster: Integers, wanted: int, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    """Compare every cell with the cells of the clusters nearest to it; lists in the order of the names.

    Returns indices, distances, and the distance to the nearest cell that is left out.
    """
    from .compiled import nearest

    n = len(points)
    borders = np.searchsorted(cluster, np.arange(len(centres) + 1))
    sizes = np.diff(borders)
    lists = np.column_stack([borders[:-1], borders[1:]])
    indices, distances, beyond = np.empty((n, k), dtype=np.int32), np.empty((n, k)), np.full(n, np.inf)

    def visit(block: tuple[int, int]) -> None:
        start, stop = block
        rows = points[start:stop]
        count = min(wanted, len(centres))
        while True:
            near = _near_centres(rows, centres, count)
            if count == len(centres) or sizes[near].sum(axis=1).min() >= k:
                break
            count = min(2 * count, len(centres))  # small clusters hold too few cells
        own = cluster[start:stop]
        absent = ~(near == own[:, None]).any(axis=1)  # a centre as near as its own, and only one was asked for
        near[absent, -1] = own[absent]
        members = (np.argsort(near, axis=None, kind="stable") // count).astype(np.int32)
        starts = np.searchsorted(np.sort(near, axis=None), np.arange(len(centres) + 1))
        spans = np.column_stack([starts[:-1], starts[1:]])
        owns = np.arange(start, stop, dtype=np.int32)
        searched = k + int(sizes[near].sum(axis=1).min() > k)  # the next cell, unless that takes more clusters
        found = np.empty((stop - start, searched), dtype=np.int32), np.empty((stop - start, searched))
        nearest(rows, owns, points, names, lists, spans, members, searched, k + MARGIN, -1.0, *found)
        indices[names[start:stop]], distances[names[start:stop]] = found[0][:, :k], found[1][:, :k]
        if searched > k:
            beyond[names[start:stop]] = found[1][:, k]

    map_blocks(visit, ranges(n, _BATCH), "approximate neighbours")
    return indices, distances, beyond
