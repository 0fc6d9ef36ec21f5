"""Squared distances of cells with many dimensions: thousands of genes, or a protein model's embedding.

There the products are what costs, and the error of a sum of that many products is what has to be kept small. So both
are done in chunks of `CHUNK` dimensions: products by BLAS on large blocks, their sums added to one another afterwards.
The bound on rounding is that of a chunk, not that of all dimensions, whatever BLAS does inside one.

Distances are |x|^2 + |y|^2 - 2xy about a point near the rows, as in ``compiled``; where that cancels, they are sums of
squared differences in double precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .distances import Floats, relative_slack
from .parallel import memory_budget, num_threads, ranges

Places = NDArray[np.int64]

WIDE = 1024
"""Dimensions from which distances are computed here; below, the loops of ``compiled`` are as quick."""

CHUNK = 512
_LONG_CHUNK = 8192  # of double precision, where no chunk is copied
_TILE = 2048  # points whose coordinates are centred at a time
_ROWS = 512
_STRIP = 32  # rows that stay in the processor's cache
_MEAN_OF = 16  # cells
_FEW = 64  # candidates more than twice those asked for, before they are told apart in double precision
_PAIRS = 8  # one in so many of a block; from there on it is quicker to multiply again in double precision
_CANCELLED_SINGLE = 1e-6  # share of the norms from which double products are as good as coordinates of single precision


def squared_distances(points: Floats, rows: Places, columns: Places) -> NDArray[np.float64]:
    """Return the squared distances between some points and others, as exact as coordinates of their type can be.

    `points` is n x d, see ``in_working_precision``; the result is rows x columns. The same object for both gives the
    distances of points to each other: then those of a point to itself are 0 and half of the products suffice.
    """
    from .compiled import CANCELLED, squared_differences

    points = _for_numba(points)
    same = rows is columns
    found, small = _about(points, rows, columns, points.dtype, CANCELLED)
    several = np.count_nonzero(small)
    if points.dtype == np.float32 and several * _PAIRS > small.size:
        found, small = _about(points, rows, columns, np.dtype(np.float64), _CANCELLED_SINGLE)
    if same:
        np.fill_diagonal(small, False)
        np.fill_diagonal(found, 0.0)
    if several:
        at, of = np.nonzero(small)
        exact = np.empty(len(at))
        squared_differences(points, points, rows[at].astype(np.int32), columns[of].astype(np.int32), exact)
        found[at, of] = exact
    return found


def _about(
    points: Floats, rows: Places, columns: Places, dtype: np.dtype[Any], cancelled: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return squared distances from products about the middle of the rows, and which are too small to be found so."""
    found = np.zeros((len(rows), len(columns)))
    middle: NDArray[np.float64] | None = _middle(points, rows)
    if points.dtype == dtype and _is_run(rows) and _is_run(columns) and _is_central(points, rows):
        middle = None  # nothing is copied
    if rows is columns:
        of_rows = of_columns = _add_products(points, rows, points, None, middle, dtype, found)[0]
    else:
        of_rows, of_columns = _add_products(points, rows, points, columns, middle, dtype, found)
    return found, _from_products(found, of_rows, of_columns, np.empty((0, points.shape[1]), dtype), cancelled)


def _middle(points: Floats, rows: Places) -> NDArray[np.float64]:
    """Return the mean of a few of the rows: any point near all of them will do."""
    middle: NDArray[np.float64] = points[_some_of(rows)].mean(axis=0, dtype=np.float64)
    return middle


def _is_run(places: Places) -> bool:
    return bool((np.diff(places) == 1).all())


def _is_central(points: Floats, rows: Places) -> bool:
    """Tell whether zero is as good as the middle: rows are further from the middle than it is from zero."""
    some = points[_some_of(rows)].astype(np.float64)
    middle = some.mean(axis=0)
    return bool(2 * np.einsum("i,i", middle, middle) <= np.einsum("ij,ij->i", some, some).mean())


def _some_of(rows: Places) -> Places:
    return rows[:: -(-len(rows) // _MEAN_OF)]


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
    first: Floats,
    rows: Places,
    second: Floats,
    columns: Places | None,
    centre: NDArray[np.float64] | None,
    dtype: np.dtype[Any],
    total: NDArray[np.floating],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Add the products of rows of `first` and of `second` about a centre to `total`; return their squared norms.

    Without `columns` they are those of the rows with each other. Without a centre the coordinates are used where they
    are: rows and columns are then runs of points of the type `dtype`.
    """
    d, chunk = first.shape[1], CHUNK * dtype.itemsize**2 // 16
    if centre is None and dtype == np.float64:
        chunk = _LONG_CHUNK
    of_rows, of_columns = np.zeros(len(rows)), np.zeros(0 if columns is None else len(columns))
    # Written over and over: memory that is asked for anew takes as long to come as to be filled.
    tile = len(rows) if columns is None else min(len(columns), _TILE)
    x_all, y_all = (np.empty((size, chunk), dtype=dtype) for size in (len(rows), 0 if columns is None else tile))
    products = np.empty((len(rows), tile), dtype=dtype)
    for low, high in ranges(d, chunk):
        x = _part(first, rows, centre, slice(low, high), x_all, of_rows)
        if columns is None:
            total += np.matmul(x, x.T, out=products)
            continue
        for start, stop in ranges(len(columns), tile):
            some = columns[start:stop]
            y = _part(second, some, centre, slice(low, high), y_all[: stop - start], of_columns[start:stop])
            total[:, start:stop] += np.matmul(x, y.T, out=products[:, : stop - start])
    return of_rows, of_columns


def _part(
    points: Floats,
    places: Places,
    centre: NDArray[np.float64] | None,
    dimensions: slice,
    room: Floats,
    norms: NDArray[np.float64],
) -> Floats:
    """Return some coordinates of some points about a centre, and add their squares to `norms`."""
    from .compiled import add_squares, centre_part

    low, width = dimensions.start, dimensions.stop - dimensions.start
    if centre is None:
        first = int(places[0])
        part: Floats = points[first : first + len(places), dimensions]
        add_squares(points, first, low, width, norms)
        return part
    centre_part(points, places, centre, low, width, room, norms)
    return room[:, :width]


def rows_at_a_time(rows: int, points: int) -> int:
    """Return how many rows a thread compares with all points at a time: the same share for all, within the budget."""
    # Distances, the bounds on them and the copy that is sorted, in double precision where single does not tell.
    most = int(np.clip(memory_budget() // (num_threads() * 32 * max(1, points)), 16, _ROWS))
    blocks = -(-max(1, rows) // (most * num_threads())) * num_threads()
    return -(-max(1, rows) // blocks)


def nearest(
    rows: Floats, owns: NDArray[np.int32], points: Floats, names: NDArray[np.int32], k: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Find the k nearest points (1 to n) of every row, the row itself first, then by (distance, name).

    Distances are bounded from above and from below in single precision. Points that may be among the k nearest, by
    these bounds, are compared again, all coordinates in double precision. Where that is many of them (tight clusters
    far apart, more dimensions than bounds allow for), the bounds are first computed again in double precision.

    Rows (r x d) and points (n x d) are of one type. `owns` says which point each row is, -1 if it is none of them;
    `names` number the points, which settles ties. Returned are numbers and distances, r x k.
    """
    from .compiled import settle

    rows, points = _for_numba(rows), _for_numba(points)
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
    settle(rows, owns, points, names, borders, places, k, indices, distances)
    return indices, distances


def _candidates(
    rows: Floats, owns: NDArray[np.int32], points: Floats, k: int, dtype: np.dtype[Any]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the points that may be among the k nearest, row after row, and how many each row has."""
    from .compiled import CANCELLED

    d = rows.shape[1]
    found = np.zeros((len(rows), len(points)), dtype=dtype)
    every = np.arange(max(len(rows), len(points)))
    mine = every[: len(rows)]
    of_rows, of_points = _add_products(rows, mine, points, every[: len(points)], _middle(rows, mine), dtype, found)
    # Of the sum of both norms; see ``relative_slack``. Added to that: what is lost of numbers too small for the type.
    slack = relative_slack(CHUNK * dtype.itemsize**2 // 16 + -(-d // CHUNK), dtype) * CANCELLED
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
