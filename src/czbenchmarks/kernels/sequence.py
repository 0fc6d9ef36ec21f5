"""Order of cells along a sequence (time, stage): do neighbours have near values?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .neighbors import Neighbors
from .parallel import map_blocks, ranges

_DENSITY_GUARD = 1e-10
_ROWS = 4096  # looked at at a time


def neighbor_differences(
    neighbors: Neighbors, values: NDArray[np.float64], k: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return for each cell the mean absolute difference between its value and those of its `k[i]` nearest other cells.

    `k` is at least 1, and the lists hold at least ``max(k) + 1`` entries, the cell itself first.
    """
    widest = int(k.max())
    place = np.arange(1, widest + 1)
    each = np.empty(len(values))

    def block(rows: tuple[int, int]) -> None:
        part = slice(*rows)
        difference = values[neighbors.indices[part, 1 : widest + 1]]
        difference -= values[part, None]
        np.abs(difference, out=difference)
        difference[place > k[part, None]] = 0.0
        each[part] = difference.sum(axis=1)

    map_blocks(block, ranges(len(values), _ROWS), "differences between neighbours")
    return np.asarray(each / k)


def expected_difference(values: NDArray[np.float64]) -> float:
    """Return the mean absolute difference between two different cells drawn at random, in closed form."""
    n = len(values)
    ranks = np.arange(1, n + 1, dtype=np.float64)
    centred = np.sort(values) - values.mean()  # the weights sum to zero; centring only guards against cancellation
    return float(2.0 * (centred * (2.0 * ranks - n - 1.0)).sum() / (n * (n - 1.0)))


def density_list_length(n: int, k: int) -> int:
    """Return how many entries, the cell itself included, `adaptive_k` reads of each neighbour list."""
    return max(2, min(30, max(2, 3 * k, n // 4), n - 1))


def adaptive_k(neighbors: Neighbors, k: int) -> NDArray[np.int64]:
    """Return a number of neighbours for each cell: fewer where cells are dense, more where they are sparse.

    Density is the inverse of the distance to the last listed cell, scaled between its 10th and 90th percentile to
    [0, 1]; k_i = round(k (0.5 + 1.5 (1 - density))), held within 3 and min(50, n / 2).
    """
    n = len(neighbors.indices)
    last = neighbors.distances[:, density_list_length(n, k) - 1]
    density = 1.0 / (last + _DENSITY_GUARD)
    low, high = np.percentile(density, [10, 90])
    scaled = np.clip((density - low) / (high - low), 0.0, 1.0) if high > low else np.full(n, 0.5)
    wanted = np.rint(k * (0.5 + 1.5 * (1.0 - scaled))).astype(np.int64)
    most = min(50, n // 2)
    return np.full(n, 3, dtype=np.int64) if most < 3 else np.clip(wanted, 3, most)
