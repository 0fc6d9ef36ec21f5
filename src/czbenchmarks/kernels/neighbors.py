"""Nearest neighbours, repeatable to the bit: exact, or among the cells of near clusters.

Candidates are collected in the precision of the coordinates, a few more than asked for. Their distances are computed
again in double precision and sorted by (distance, index), the cell itself first. A cell whose candidates might miss a
neighbour (the distance beyond which nothing was kept does not clear the k-th exact one by more than rounding) is
searched again over all cells in double precision. So neither rounding nor threads reach the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .distances import Floats, in_working_precision, relative_slack
from .parallel import map_blocks, ranges

Search = Literal["exact", "approximate", "given"]

_MARGIN = 8  # candidates more than asked for
_BLOCK = 128  # rows searched at a time


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
    cells = np.arange(len(points), dtype=np.int32)
    everything = np.array([[0, len(points)]])
    jobs = [(slice(*block), everything) for block in ranges(len(points), _BLOCK)]
    return search(points, cells, points, cells, jobs, k, unit)


def search(
    rows: Floats,
    owns: NDArray[np.int32],
    points: Floats,
    names: NDArray[np.int32],
    jobs: Sequence[tuple[slice, NDArray[np.int64]]],
    k: int,
    unit: float = 1.0,
    what: str = "nearest neighbours",
) -> Neighbors:
    """Find the `k` nearest points of rows, block by block, each among points of its own.

    Parameters
    ----------
    rows, points
        r x d and n x d, of one type; see ``in_working_precision``.
    owns
        Which point each row is; -1 if it is none.
    names
        Index of every point in the result, which settles ties.
    jobs
        Rows, and the ranges of points they are compared with (borders, one pair a line), their own among them.
    k
        At most the number of points in any job.
    unit
        What distances are multiplied by.
    what
        What is done, for who shows progress.
    """
    from .compiled import nearest

    indices = np.empty((len(rows), k), dtype=np.int32)
    distances = np.empty((len(rows), k))
    slack = relative_slack(points.shape[1], points.dtype)

    def visit(job: tuple[slice, NDArray[np.int64]]) -> None:
        part, borders = job
        nearest(
            rows[part], owns[part], points, names, borders, k, k + _MARGIN, slack, indices[part], distances[part]
        )
        if unit != 1.0:
            distances[part] *= unit

    map_blocks(visit, jobs, what, cost=lambda job: float((job[1][:, 1] - job[1][:, 0]).sum()))
    return Neighbors(indices, distances)
