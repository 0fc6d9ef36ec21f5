"""How much of the variance of an embedding a covariate explains.

Principal components are a rotation: what is explained of all of them together is what is explained of the columns as
they are. So no components are needed, and for a covariate of groups no regression either: the part explained is that
between the means of the groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .distances import Floats, in_working_precision
from .parallel import in_order, map_blocks, ranges

_ROWS, _COLUMNS = 1 << 10, 1 << 8  # of a block, 2 MB in double precision


def explained_by_groups(X: Floats, codes: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return the share of the total variance of `X` (n x d, finite) that each group contributes by where its mean lies.

    The group of every cell is in `codes`, from 0; every group occurs. The shares sum to that explained by all groups, 0
    to 1 but for rounding; None where nothing varies.
    """
    import scipy.sparse as sp

    groups = int(codes.max()) + 1

    def sums(centred: NDArray[np.float64], rows: slice) -> NDArray[np.float64]:
        members = sp.csr_array(
            (np.ones(len(centred)), codes[rows], np.arange(len(centred) + 1)), (len(centred), groups)
        )
        return np.asarray(members.T @ centred)

    found, total = np.zeros(groups), 0.0
    for squares, added in _centred_sums(X, sums):
        total += squares
        found += (added**2).sum(axis=1)
    return None if total == 0 else found / np.bincount(codes) / total


def explained_by_number(X: Floats, numbers: NDArray[np.float64]) -> float | None:
    """Return the share of the total variance of `X` (n x d, finite) that a linear regression on n numbers explains.

    The numbers are not all the same. 0 to 1; None where nothing varies.
    """
    offset = numbers - numbers.mean()
    offset /= np.abs(offset).max()  # its square must not overflow
    found, total = 0.0, 0.0
    for squares, added in _centred_sums(X, lambda centred, rows: offset[rows] @ centred):
        total += squares
        found += float(added @ added)
    return None if total == 0 else min(1.0, found / float(offset @ offset) / total)  # rounding may add to a whole


def _centred_sums(
    X: Floats, sums: Callable[[NDArray[np.float64], slice], NDArray[np.float64]]
) -> Iterator[tuple[float, Any]]:
    """Yield, for columns after columns, the sum of squares about the mean, and what `sums` gives for their blocks.

    Blocks are of the same size whatever the memory and the threads, and are added up in their order.
    """
    points, _ = in_working_precision(X)  # a share has no unit
    blocks = [slice(*block) for block in ranges(len(points), _ROWS)]
    for left, right in ranges(points.shape[1], _COLUMNS):
        columns = points[:, left:right]
        first = columns[0].astype(np.float64)  # counted from here, a constant column is exactly 0

        def column_sums(rows: slice, columns: Floats = columns, first: NDArray[np.float64] = first) -> Any:
            return (columns[rows] - first).sum(axis=0)

        mean = _added(blocks, column_sums, "means of the dimensions") / len(points)

        def visit(
            rows: slice, columns: Floats = columns, first: NDArray[np.float64] = first, mean: Any = mean
        ) -> NDArray[Any]:
            centred = columns[rows] - first
            centred -= mean
            found = np.empty(2, dtype=object)  # so that both are added in one go
            found[:] = float(np.einsum("ij,ij->", centred, centred)), sums(centred, rows)
            return found

        yield tuple(_added(blocks, visit, "variance of the dimensions"))


def _added(blocks: list[slice], visit: Callable[[slice], Any], what: str) -> Any:
    """Return what `visit` gives for the blocks, added up in their order."""
    total = None

    def add(block: slice, part: Any) -> None:
        nonlocal total
        total = part if total is None else total + part

    map_blocks(in_order(visit, blocks, add), range(len(blocks)), what)
    return total
