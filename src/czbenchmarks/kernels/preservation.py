"""How far away, by rank, neighbours in one space are in another.

Ranks are exact: distances come from scalar products, and where two of them are closer than the products' rounding,
again from differences of coordinates in double precision; equal ones go by index. So neither threads nor the way a
product is added up reaches the result. A block holds a few rows against all cells, never n x n.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .distances import Floats, in_working_precision
from .parallel import map_blocks, ranges

_ENTRIES = 1 << 23  # of a block of distances
_MOST_ROWS = 512


def excess_ranks(
    X: Floats, lists: NDArray[np.integer], own: NDArray[np.integer], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return by how much the cells of each list rank behind the k nearest, summed over the list.

    `X` is n x d, finite. `lists` (n x (k + 1), the cell itself first) holds the neighbours in another space, `own` the
    nearest cells in `X`, which are not behind. For each of the cells `rows`: the sum of rank - k over the cells of its
    list whose rank in `X` (1: the nearest; by distance, then index) is more than k.
    """
    points, _ = in_working_precision(X)
    n, d = points.shape
    middle = points.mean(axis=0, dtype=np.float64)
    centred = (points - middle).astype(points.dtype)
    norms = np.einsum("ij,ij->i", centred, centred)
    # Of norms, product and centring; see ``distances.relative_slack``.
    slack = 2 * float(np.finfo(points.dtype).eps) * (1.25 * d + 16.0)
    k = lists.shape[1] - 1
    found = np.zeros(len(rows))

    def visit(block: tuple[int, int]) -> None:
        cells = rows[slice(*block)]
        products = centred[cells] @ centred.T
        for at, (cell, product) in enumerate(zip(cells, products, strict=True)):
            behind = lists[cell, 1:][~np.isin(lists[cell, 1:], own[cell, 1:])]
            if len(behind):
                both = norms + norms[cell]
                product *= -2
                product += both
                product[cell] = np.inf  # not its own neighbour
                # A cell far out rounds more than others: each distance has its own bound.
                both *= slack
                found[block[0] + at] = (_ranks(points, cell, product, both, behind) - k).sum()

    size = max(1, min(_MOST_ROWS, _ENTRIES // n))
    map_blocks(visit, ranges(len(rows), size), "ranks of the neighbours")
    return found


def _ranks(
    points: Floats, cell: np.int64, squared: Floats, bound: Floats, others: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Return the ranks of some cells by distance from one; `squared` is right to within `bound`."""
    exact = _exact(points, cell, others)
    candidates = np.flatnonzero(squared - bound <= exact.max())  # the others lie beyond all that are ranked
    squared, bound = squared[candidates], bound[candidates]
    surely_below, perhaps_below = squared + bound, squared - bound
    ranks = np.empty(len(others), dtype=np.int64)
    for at, (other, distance) in enumerate(zip(others, exact, strict=True)):
        below = np.count_nonzero(surely_below < distance)
        if np.count_nonzero(perhaps_below <= distance) > below + 1:  # the one is the other itself
            close = candidates[(perhaps_below <= distance) & (surely_below >= distance)]
            values = _exact(points, cell, close)
            below += np.count_nonzero((values < distance) | ((values == distance) & (close < other)))
        ranks[at] = below + 1
    return ranks


def _exact(points: Floats, cell: np.int64, others: NDArray[np.integer]) -> NDArray[np.float64]:
    differences = points[others].astype(np.float64) - points[cell]
    return np.asarray(np.einsum("ij,ij->i", differences, differences))
