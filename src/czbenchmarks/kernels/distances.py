"""The precision in which distances are computed.

The relative error of every distance is bounded (see ``compiled``), so single precision is enough wherever the
coordinates themselves fit in it. Those that do not are worked on in double precision.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .parallel import map_blocks, ranges

Floats = NDArray[np.floating]

_USUAL = (1e-12, 1e12)  # largest magnitudes whose squares stay far from overflow and underflow in single precision
_SQUARED = 2.0**-39  # numbers of single precision, 0 or larger than this, differ by 0 or by what can be squared in it
_APART = 2.0**-26  # larger ones differ by 0 or by more than a distance whose square is lost in it, 1e-15
_BYTES = 1 << 20  # looked at at a time
_MUCH, _PARTS = 1 << 26, 16  # bytes that are looked at on all threads, and in how many parts


def in_working_precision(X: Floats) -> tuple[Floats, float]:
    """Return coordinates as rows of float32 if distances can be found from those, else of float64, and their unit.

    They can if all coordinates fit exactly, and no two different cells are so near that squares are too small. The
    points are contiguous, n x d (`X` itself, finite, where nothing had to change); the unit is a power of two:
    distances between rows of `X` are those of points times the unit. Where it is changed, columns in which all cells
    have the same value are 0: they are part of no distance, but may be larger than all that is.
    """
    least, most = _column_range(X)
    same = least == most
    largest = float(np.maximum(np.abs(least), np.abs(most)).max(initial=0.0))
    varying = float(np.maximum(np.abs(least), np.abs(most))[~same].max(initial=0.0))
    unit = 1.0
    if varying > 0 and not (_USUAL[0] < varying and largest < _USUAL[1]):
        # A power of two: dividing rounds nothing.
        unit = 2.0 ** float(np.clip(np.ceil(np.log2(varying)), -1000, 1000))
        X = np.divide(X, unit, out=np.empty(X.shape), where=~same, dtype=np.float64)
        X[:, same] = 0.0
    elif largest > 0 and not _USUAL[0] < largest < _USUAL[1]:
        X = np.zeros(X.shape, dtype=np.float32)  # all cells are at one place
    rows = range(0, len(X), max(1, _BYTES // (8 * max(1, X.shape[1]))))
    parts = [slice(low, low + rows.step) for low in rows]
    if X.dtype.itemsize > 4 and not all((X[part].astype(np.float32) == X[part]).all() for part in parts):
        return np.ascontiguousarray(X, dtype=np.float64), unit
    points = np.ascontiguousarray(X, dtype=np.float32)
    if any(_some_small(points[part]) for part in parts) and _too_near(points, parts):
        return points.astype(np.float64), unit
    return points, unit


def _column_range(X: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least and the largest value of every column."""
    d = X.shape[1]
    step = max(1, _BYTES // (8 * max(1, d)))
    much = X.nbytes >= _MUCH
    loops = much and X.flags.carray and X.dtype in (np.float32, np.float64)  # each other kind would be compiled anew

    def of_rows(block: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        least, most = np.full(d, np.inf), np.full(d, -np.inf)
        if loops:
            from .compiled import widen_ranges

            widen_ranges(X[slice(*block)], least, most)
            return least, most
        for low in range(*block, step):
            part = X[low : min(low + step, block[1])]
            np.minimum(least, part.min(axis=0), out=least)
            np.maximum(most, part.max(axis=0), out=most)
        return least, most

    if not much:
        return of_rows((0, len(X)))
    if loops:
        from .compiled import widen_ranges
        from .compiling import prepare

        prepare(lambda: widen_ranges(X[:1], *np.zeros((2, d))))
    found = map_blocks(of_rows, ranges(len(X), -(-len(X) // _PARTS)), "range of the coordinates")
    least, most = (np.array(parts) for parts in zip(*found, strict=True))
    return least.min(axis=0), most.max(axis=0)


def _some_small(part: Floats) -> bool:
    small = np.abs(part) < _SQUARED
    return bool(small.any() and part[small].any())


def _too_near(points: Floats, parts: list[slice]) -> bool:
    """Tell whether cells differ only in coordinates so small that their differences may be too small to be squared.

    Others differ by more than is lost. Cells with the same large coordinates have the same sum of them.
    """
    weights = np.random.default_rng(0).uniform(1, 2, points.shape[1])

    def large(part: Floats) -> NDArray[np.float64]:
        return np.where(np.abs(part) < _APART, 0.0, part.astype(np.float64))

    sums = np.concatenate([np.einsum("ij,j->i", large(points[part]), weights) for part in parts])
    order = np.argsort(sums, kind="stable")
    alike = np.flatnonzero(np.diff(sums[order]) == 0)
    step = max(1, _BYTES // (8 * points.shape[1]))
    return any(
        bool((points[order[some]] != points[order[some + 1]]).any())
        for some in (alike[low : low + step] for low in range(0, len(alike), step))
    )


def unit_vectors(X: Floats) -> Floats:
    """Return the rows of `X` (n x d, finite, no row of zeros) divided by their length, as ``float64``."""
    X = np.ascontiguousarray(X)  # the squares of a row are added in the order of memory
    largest = np.maximum(X.max(axis=1), -X.min(axis=1)).astype(np.float64)
    scaled = np.divide(X, largest[:, None])  # no overflow, whatever the unit
    scaled /= np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]
    return scaled


def relative_slack(d: int, dtype: np.dtype[np.floating]) -> float:
    """Return a bound on the relative error of a squared distance of `d` coordinates, as ``compiled`` finds it.

    In whatever order they are added, norms and product err by at most (d + 4) eps of the sum of both squared norms,
    the centring included, a little more where d is large; a distance below `CANCELLED` of that sum is found in another
    way.
    """
    from .compiled import CANCELLED

    return float(np.finfo(dtype).eps) * (1.25 * d + 16.0) / CANCELLED
