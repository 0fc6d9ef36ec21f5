"""Nearest neighbours, repeatable to the bit: exact, or among the cells of near clusters.

Candidates are collected in the precision of the coordinates, a few more than asked for. Their distances are computed
again in double precision and sorted by (distance, index), the cell itself first. A cell whose candidates might miss a
neighbour (the distance beyond which nothing was kept does not clear the k-th exact one by more than rounding) is
searched again over all cells in double precision. So neither rounding nor threads reach the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .distances import Floats, in_working_precision, relative_slack
from .parallel import map_blocks, ranges

Search = Literal["exact", "approximate", "given"]

MARGIN = 12  # candidates more than asked for
_BLOCK = 512  # rows searched at a time


@dataclass(frozen=True)
class Neighbors:
    """The k nearest cells of every cell, itself first, then by (distance, index).

    Attributes
    ----------
    indices
        n x k, ``int32``; column 0 is the cell itself.
    distances
        n x k Euclidean distances, ``float64``; column 0 is 0.
    search
        ``"exact"``, ``"approximate"``, or ``"given"`` by the user.
    recall
        Share of the true neighbours among those of an approximate search, measured on a sample.
    """

    indices: NDArray[np.int32]
    distances: NDArray[np.float64]
    search: Search = "exact"
    recall: float | None = None

    @property
    def k(self) -> int:
        """Entries per row, the cell itself included."""
        return int(self.indices.shape[1])

    def first(self, k: int) -> Neighbors:
        """Return the same lists cut to `k` entries."""
        if k == self.k:
            return self
        return Neighbors(self.indices[:, :k], self.distances[:, :k], self.search, self.recall)

    def facts(self) -> dict[str, Any]:
        """Say how the neighbours were found, for the details of a result; nothing if they are exact."""
        if self.search == "exact":
            return {}
        if self.recall is None:
            return {"neighbors": self.search}
        return {"neighbors": self.search, "neighbors_recall": round(self.recall, 4)}


def exact_neighbors(X: Floats, k: int) -> Neighbors:
    """Find the `k` nearest cells of every cell, the cell itself included.

    Parameters
    ----------
    X
        n x d, finite.
    k
        1 to n.
    """
    points, unit = in_working_precision(X)
    found = nearest_of_all(points, points, k, owns=np.arange(len(points), dtype=np.int32))
    if unit != 1.0:
        np.multiply(found.distances, unit, out=found.distances)
    return found


def nearest_of_all(
    rows: Floats,
    points: Floats,
    k: int,
    owns: NDArray[np.int32] | None = None,
    what: str = "nearest neighbours",
) -> Neighbors:
    """Find the `k` nearest points of rows, exactly.

    Parameters
    ----------
    rows, points
        r x d and n x d, of one type; see ``in_working_precision``.
    k
        1 to n.
    owns
        Which point each row is: it comes first. By default the rows are none of the points.
    what
        What is done, for who shows progress.
    """
    from .compiled import nearest

    owns = np.full(len(rows), -1, dtype=np.int32) if owns is None else owns
    names = np.arange(len(points), dtype=np.int32)
    lists = np.array([[0, len(points)]])
    slack = relative_slack(points.shape[1], points.dtype)
    indices = np.empty((len(rows), k), dtype=np.int32)
    distances = np.empty((len(rows), k))

    def visit(block: tuple[int, int]) -> None:
        part = slice(*block)
        members = np.arange(block[1] - block[0], dtype=np.int32)
        starts = np.array([0, len(members)])
        out = indices[part], distances[part]
        nearest(rows[part], owns[part], points, names, lists, starts, members, k, k + MARGIN, slack, *out)

    map_blocks(visit, ranges(len(rows), _BLOCK), what)
    return Neighbors(indices, distances)
