"""Squared distances of cells with many dimensions: thousands of genes, or a protein model's embedding.

There the products are what costs, and the error of a sum of that many products is what has to be kept small. So both
are done in chunks of `CHUNK` dimensions: products by BLAS on large blocks, their sums added to one another afterwards.
The bound on rounding is that of a chunk, not that of all dimensions, whatever BLAS does inside one.

Distances are |x|^2 + |y|^2 - 2xy about the centre of the rows, as in ``compiled``; where that cancels, they are sums of
squared differences in double precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .distances import Floats, relative_slack
from .parallel import map_blocks, memory_budget, num_threads, ranges

WIDE = 1024
"""Dimensions from which distances are computed here; below, the loops of ``compiled`` are as quick."""

CHUNK = 512
_TILE = 2048  # points whose coordinates are centred at a time
_ROWS = 512
_STRIP = 32  # rows that stay in the processor's cache
_CACHED = 1 << 19  # bytes that stay there
_MEAN_OF = 64  # cells
_FEW = 64  # candidates more than twice those asked for, before they are told apart in double precision
_PAIRS = 8  # one in so many of a block; from there on it is quicker to multiply again in double precision
_CANCELLED_SINGLE = 1e-6  # share of the norms from which double products are as good as coordinates of single precision


def squared_distances(rows: Floats, points: Floats) -> NDArray[np.float64]:
    """Return the squared distances of rows to points, as exact as coordinates of their type can be.

    Parameters
    ----------
    rows, points
        a x d and b x d, of one type and unit; see ``in_working_precision``. The same array for the distances of cells
        to each other: then those of a cell to itself are 0 and half of the products suffice.

    Returns
    -------
    a x b.
    """
    from .compiled import CANCELLED, squared_differences

    centre = rows.mean(axis=0, dtype=np.float64)
    single = rows.dtype == np.float32
    found, small = _about(rows, points, centre, rows.dtype, CANCELLED)
    if single and np.count_nonzero(small) * _PAIRS > small.size:
        found, small = _about(rows, points, centre, np.dtype(np.float64), _CANCELLED_SINGLE)
    if rows is points:
        np.fill_diagonal(small, False)
        np.fill_diagonal(found, 0.0)
    at, of = (place.astype(np.int32) for place in np.nonzero(small))
    if len(at):
        exact = np.empty(len(at))
        squared_differences(_for_numba(rows), _for_numba(points), at, of, exact)
        found[at, of] = exact
    return found


class Centred:
    """Cells about a point near their mean, in some order: what the squared distances of all of them are computed from.

    Parameters
    ----------
    points
        n x d; see ``in_working_precision``.
    order
        Which point each cell is.
    """

    def __init__(self, points: Floats, order: NDArray[np.int64]) -> None:
        self.points, self.order = points, order
        # Any point near all of them will do.
        middle = points[:: -(-len(points) // _MEAN_OF)].mean(axis=0, dtype=np.float64).astype(points.dtype)
        self.values, self.norms = np.empty((len(order), points.shape[1]), dtype=points.dtype), np.zeros(len(order))

        step = max(1, _CACHED // (points.shape[1] * points.itemsize))

        def centre(block: tuple[int, int]) -> None:
            for start, stop in ranges(block[1] - block[0], step):
                part = slice(block[0] + start, block[0] + stop)
                values = np.take(points, order[part], axis=0, out=self.values[part], mode="clip")
                values -= middle
                for low, high in ranges(values.shape[1], CHUNK):
                    self.norms[part] += np.einsum("ij,ij->i", values[:, low:high], values[:, low:high])

        map_blocks(centre, ranges(len(order), _TILE // 8), "cells about their mean")

    def squared_distances(self, rows: Any, columns: slice) -> NDArray[np.float64]:
        """Return the squared distances between some of the cells, as `squared_distances` does.

        Parameters
        ----------
        rows
            Positions, or the same slice as `columns`.
        columns
            Positions.
        """
        from .compiled import CANCELLED, squared_differences

        same = isinstance(rows, slice) and rows == columns
        x = self.values[rows]
        y = x if same else self.values[columns]
        if x.dtype == np.float32:
            found = np.zeros((len(x), len(y)))
            for low, high in ranges(x.shape[1], CHUNK):
                found += x[:, low:high] @ y[:, low:high].T
        else:
            found = x @ y.T
        small = _from_products(found, self.norms[rows], self.norms[columns], x, CANCELLED)
        if same:
            np.fill_diagonal(small, False)
            np.fill_diagonal(found, 0.0)
        several = np.count_nonzero(small)
        if several * _PAIRS > small.size:  # cells that are far from the mean of all of them
            near = self.points[self.order[rows]]
            return squared_distances(near, near if same else self.points[self.order[columns]])
        if several:
            at, of = np.nonzero(small)
            exact, points = np.empty(len(at)), _for_numba(self.points)
            places = self.order[rows][at].astype(np.int32), self.order[columns][of].astype(np.int32)
            squared_differences(points, points, *places, exact)
            found[at, of] = exact
        return found


def _about(
    rows: Floats, points: Floats, centre: NDArray[np.float64], dtype: np.dtype[Any], cancelled: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return squared distances from products, and which of them are too small to be found so."""
    found = np.zeros((len(rows), len(points)))
    of_rows, of_points = _add_products(rows, points, centre, dtype, found)
    return found, _from_products(found, of_rows, of_points, rows[:0].astype(dtype), cancelled)


def _from_products(
    found: NDArray[np.float64],
    of_rows: NDArray[np.float64],
    of_points: NDArray[np.float64],
    like: Floats,
    cancelled: float,
) -> NDArray[np.bool_]:
    """Turn products into squared distances, in place; return which are too small to be found so.

    `like` has the dimensions and the type that were multiplied.
    """
    limits = np.finfo(like.dtype)
    lost = like.shape[1] * float(limits.tiny) / float(limits.eps)  # beneath it, squares are too small for the type
    small = np.empty(found.shape, dtype=np.bool_)
    for start, stop in ranges(len(found), _STRIP):
        part = found[start:stop]
        both = np.add.outer(of_rows[start:stop], of_points)
        part *= -2.0
        part += both
        both *= cancelled
        both += lost
        np.less(part, both, out=small[start:stop])
    return small


def _add_products(
    rows: Floats, points: Floats, centre: NDArray[np.float64], dtype: np.dtype[Any], total: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Add the products of rows and points about a centre to `total`; return their squared norms."""
    of_rows, of_points = np.zeros(len(rows)), np.zeros(len(points))
    middle = centre.astype(np.result_type(rows.dtype, dtype))
    # Written over and over: memory that is asked for anew takes as long to come as to be filled.
    tile = min(len(points), _TILE)
    places = np.empty((2, max(len(rows), tile), CHUNK), dtype=dtype)
    products = np.empty((len(rows), tile), dtype=dtype)

    def centred(part: Floats, low: int, high: int, place: Floats) -> Floats:
        out = place[: len(part), : high - low]
        return np.subtract(part[:, low:high], middle[low:high], out=out, casting="same_kind")

    for low, high in ranges(rows.shape[1], CHUNK):
        x = centred(rows, low, high, places[0])
        of_rows += np.einsum("ij,ij->i", x, x)
        for start, stop in ranges(len(points), tile):
            y = x if points is rows else centred(points[start:stop], low, high, places[1])
            total[:, start:stop] += np.matmul(x, y.T, out=products[:, : stop - start])
            of_points[start:stop] += np.einsum("ij,ij->i", y, y)
    return of_rows, of_points


def rows_at_a_time(rows: int, points: int) -> int:
    """Return how many rows a thread compares with all points at a time: the same share for all, within the budget.

    Parameters
    ----------
    rows, points
        Their numbers.
    """
    # Distances, the bounds on them and the copy that is sorted, in double precision where single does not tell.
    most = int(np.clip(memory_budget() // (num_threads() * 32 * max(1, points)), 16, _ROWS))
    blocks = -(-max(1, rows) // (most * num_threads())) * num_threads()
    return -(-max(1, rows) // blocks)


def nearest(
    rows: Floats, owns: NDArray[np.int32], points: Floats, names: NDArray[np.int32], k: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Find the k nearest points of every row, the row itself first, then by (distance, name).

    Distances are bounded from above and from below in single precision. Points that may be among the k nearest, by
    these bounds, are compared again, all coordinates in double precision. Where that is many of them (tight clusters
    far apart, more dimensions than bounds allow for), the bounds are first computed again in double precision.

    Parameters
    ----------
    rows
        r x d.
    owns
        Which point each row is, -1 if it is none of them.
    points
        n x d, of the same type.
    names
        Number of every point, which settles ties and is returned.
    k
        1 to n.

    Returns
    -------
    Numbers and distances, r x k.
    """
    from .compiled import settle

    indices, distances = np.empty((len(rows), k), dtype=np.int32), np.empty((len(rows), k))
    places, counts = _candidates(rows, owns, points, k, np.dtype(np.float32))
    unclear = np.flatnonzero(counts > 2 * k + _FEW)
    if len(unclear):
        again, fewer = _candidates(rows[unclear], owns[unclear], points, k, np.dtype(np.float64))
        lists = np.split(places, np.cumsum(counts)[:-1])
        for i, found in zip(unclear.tolist(), np.split(again, np.cumsum(fewer)[:-1]), strict=True):
            lists[i] = found
        places, counts = np.concatenate(lists), counts.copy()
        counts[unclear] = fewer
    borders = np.r_[0, np.cumsum(counts)]
    settle(_for_numba(rows), owns, _for_numba(points), names, borders, places, k, indices, distances)
    return indices, distances


def _candidates(
    rows: Floats, owns: NDArray[np.int32], points: Floats, k: int, dtype: np.dtype[Any]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the points that may be among the k nearest, row after row, and how many each row has."""
    from .compiled import CANCELLED

    d = rows.shape[1]
    found = np.zeros((len(rows), len(points)), dtype=dtype)
    of_rows, of_points = _add_products(rows, points, rows.mean(axis=0, dtype=np.float64), dtype, found)
    # Of the sum of both norms; see ``relative_slack``. Added to that: what is lost of numbers too small for the type.
    slack = relative_slack(CHUNK + -(-d // CHUNK), dtype) * CANCELLED
    largest = float(np.sqrt(max(of_rows.max(initial=0.0), of_points.max(initial=0.0))))
    lost = 4 * d * float(np.finfo(dtype).tiny) * (1 + largest)
    found *= -2
    found += of_points.astype(dtype)
    hidden = (slack * of_points).astype(dtype)
    mine = np.flatnonzero(owns >= 0)
    found[mine, owns[mine]] = -np.inf
    found += hidden  # the upper bound, but for what is the same for all points of a row
    kth = np.partition(found, k - 1, axis=1)[:, k - 1] if k < len(points) else found.max(axis=1)
    found -= 2 * hidden
    reach = kth.astype(np.float64) + 2 * (slack * of_rows + lost)
    reach += 4 * float(np.finfo(dtype).eps) * np.abs(reach)
    kept = found <= np.nextafter(reach.astype(dtype), dtype.type(np.inf))[:, None]
    at, places = np.nonzero(kept)
    return places.astype(np.int32), np.bincount(at, minlength=len(rows))


def _for_numba(array: Floats) -> Floats:
    return np.require(array, requirements=["C", "A", "W"])  # or all would be compiled again for a read-only array
