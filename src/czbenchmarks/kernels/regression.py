"""How much of the variance of an embedding a covariate explains.

Principal components are a rotation: what is explained of all of them together is what is explained of the columns as
they are. So no components are needed, and for a covariate of groups no regression either: the part explained is that
between the means of the groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .distances import Floats, in_working_precision
from .parallel import map_blocks, ranges

_ROWS = 1 << 14  # at a time in each thread


def explained_by_groups(X: Floats, codes: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return the share of the total variance that each group contributes by where its mean lies.

    Parameters
    ----------
    X
        n x d, finite.
    codes
        Group of every cell, 0 to the number of groups - 1; every group occurs.

    Returns
    -------
    One share per group, which sum to that explained by all of them, 0 to 1 but for rounding; None where nothing varies.
    """
    import scipy.sparse as sp

    groups = int(codes.max()) + 1

    def sums(centred: NDArray[np.float64], rows: slice) -> NDArray[np.float64]:
        members = sp.csr_array(
            (np.ones(len(centred)), codes[rows], np.arange(len(centred) + 1)), (len(centred), groups)
        )
        return np.asarray(members.T @ centred)

    total, found = _centred_sums(X, sums)
    if total == 0:
        return None
    return np.asarray((found**2).sum(axis=1) / np.bincount(codes) / total)


def explained_by_number(X: Floats, numbers: NDArray[np.float64]) -> float | None:
    """Return the share of the total variance that a linear regression on a number explains.

    Parameters
    ----------
    X
        n x d, finite.
    numbers
        n numbers, not all the same.

    Returns
    -------
    0 to 1; None where nothing varies.
    """
    offset = numbers - numbers.mean()
    offset /= np.abs(offset).max()  # its square must not overflow
    total, found = _centred_sums(X, lambda centred, rows: offset[rows] @ centred)
    if total == 0:
        return None
    return min(1.0, float((found**2).sum() / (offset @ offset) / total))  # rounding may add to a whole


def _centred_sums(X: Floats, sums: Callable[[NDArray[np.float64], slice], NDArray[np.float64]]) -> tuple[float, Any]:
    """Return the sum of squares of the centred matrix, and what `sums` gives for its blocks, added up."""
    points, _ = in_working_precision(X)  # a share has no unit
    blocks = ranges(len(points), _ROWS)
    first = points[0].astype(np.float64)  # counted from here, a constant column is exactly 0

    def column_sums(block: tuple[int, int]) -> NDArray[np.float64]:
        return np.asarray((points[slice(*block)] - first).sum(axis=0))

    mean = sum(map_blocks(column_sums, blocks, "means of the dimensions")) / len(points)

    def visit(block: tuple[int, int]) -> tuple[float, NDArray[np.float64]]:
        rows = slice(*block)
        centred = points[rows] - first - mean
        return float(np.einsum("ij,ij->", centred, centred)), sums(centred, rows)

    squares, found = zip(*map_blocks(visit, blocks, "variance of the dimensions"), strict=True)
    return float(sum(squares)), sum(found)
