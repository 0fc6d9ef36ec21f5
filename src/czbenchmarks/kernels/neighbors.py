"""Nearest neighbours, repeatable to the bit: exact, or among the cells of near clusters.

Candidates are collected in the precision of the coordinates, a few more than asked for. Their distances are computed
again in double precision and sorted by (distance, index), the cell itself first. A cell whose candidates might miss a
neighbour (the distance beyond which nothing was kept does not clear the k-th exact one by more than rounding) is
searched again over all cells in double precision. So neither rounding nor threads reach the result. Of cells with many
dimensions the candidates are chosen in another way, see ``wide``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .distances import Floats, in_working_precision, relative_slack
from .parallel import map_blocks, ranges
from .wide import WIDE, rows_at_a_time
from .wide import nearest as nearest_of_wide

Search = Literal["exact", "approximate", "given"]

MARGIN = 12  # candidates more than asked for
TILE = 128  # cells compared at a time, as in ``compiled``
_BLOCK = 512  # rows searched at a time
_TOLD_BY = 64  # dimensions, at least, that many are told by


@dataclass(frozen=True)
class Neighbors:
    """The k nearest cells of every cell, itself first, then by (distance, index).

    Attributes
    ----------
    recall
        Share of the true neighbours (without the cell itself) that an approximate search found, on a sample.
    beyond
        Distance of each cell to the nearest one that is left out, infinite where none is; None if it is not known.
    """

    indices: NDArray[np.int32]  # n x k, ``int32``; column 0 is the cell itself
    distances: NDArray[np.float64]  # n x k Euclidean distances, ``float64``; column 0 is 0
    search: Search = "exact"  # ``"exact"``, ``"approximate"``, or ``"given"`` by the user
    recall: float | None = None
    beyond: NDArray[np.float64] | None = None

    @property
    def k(self) -> int:
        """Entries per row, the cell itself included."""
        return int(self.indices.shape[1])

    def first(self, k: int) -> Neighbors:
        """Return the same lists cut to `k` entries."""
        if k == self.k:
            return self
        return Neighbors(
            self.indices[:, :k], self.distances[:, :k], self.search, self.recall, self.distances[:, k]
        )  # fmt: skip

    def tied(self, counted: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return how many neighbours of each cell are as near as a cell that is left out: the order of rows chose them.

        `counted` says for each cell how many entries of its list count, itself included, at least 2; by default all.
        """
        found = np.zeros(len(self.indices), dtype=np.int64)
        if self.k < 2:
            return found
        last, beyond = self.distances[:, -1], self.beyond
        if counted is not None:
            rows = np.arange(len(found))
            last = self.distances[rows, counted - 1]
            inside = self.distances[rows, np.minimum(counted, self.k - 1)]
            beyond = np.where(counted < self.k, inside, np.inf if beyond is None else beyond)
        if beyond is None:
            return found
        rows = np.flatnonzero(last == beyond)
        alike = self.distances[rows, 1:] == last[rows, None]
        if counted is not None:
            alike &= np.arange(1, self.k) < counted[rows, None]
        found[rows] = alike.sum(axis=1)
        return found

    def facts(self) -> dict[str, Any]:
        """Say how the neighbours were found, for the details of a result; nothing if they are exact."""
        if self.search == "exact":
            return {}
        if self.recall is None:
            return {"neighbors": self.search}
        return {"neighbors": self.search, "neighbors_recall": round(self.recall, 4)}


def exact_neighbors(X: Floats, k: int) -> Neighbors:
    """Find the `k` (1 to n) nearest cells of every cell of `X` (n x d, finite), the cell itself included."""
    points, unit = in_working_precision(X)
    n, d = points.shape
    # A few columns tell what is near what; the order decides about time, never about a neighbour.
    order = _near_together(points if d < WIDE else points[:, :: d // _TOLD_BY])
    points, names = points[order], order.astype(np.int32)
    searched = min(k + 1, n)
    indices, distances, beyond = np.empty((n, k), dtype=np.int32), np.empty((n, k)), np.full(n, np.inf)
    if d >= WIDE:
        found = nearest_of_all(points, points, searched, np.arange(n, dtype=np.int32), names=names)
        indices[names], distances[names] = found.indices[:, :k], found.distances[:, :k] * unit
        if searched > k:
            beyond[names] = found.distances[:, k] * unit
        return Neighbors(indices, distances, beyond=beyond)
    tiles = np.array(ranges(n, TILE))
    middles = np.stack([points[low:high].mean(axis=0, dtype=np.float64) for low, high in tiles])

    def visit(block: tuple[int, int]) -> None:
        start, stop = block
        # Near cells first: once a row has its nearest, the others need only be told that they are farther.
        middle = points[start:stop].mean(axis=0, dtype=np.float64)
        lists = tiles[np.argsort(((middles - middle) ** 2).sum(axis=1), kind="stable")]
        owns = np.arange(start, stop, dtype=np.int32)
        found = _search(points[start:stop], owns, points, names, lists, searched)
        indices[names[start:stop]] = found[0][:, :k]
        distances[names[start:stop]] = found[1][:, :k] * unit
        if searched > k:
            beyond[names[start:stop]] = found[1][:, k] * unit

    _prepare(points, names, tiles, searched)
    map_blocks(visit, ranges(n, _BLOCK), "nearest neighbours")
    return Neighbors(indices, distances, beyond=beyond)


def _near_together(points: Floats) -> NDArray[np.int64]:
    """Return an order in which cells of a tile are near each other: halves by the widest dimension, again and again."""
    order = np.arange(len(points))
    parts = [(0, len(points))]
    while parts:
        start, stop = parts.pop()
        if stop - start <= TILE:
            continue
        inside = order[start:stop]
        middle = (stop - start + TILE) // (2 * TILE) * TILE
        widest = int(np.argmax(points[inside].var(axis=0)))
        order[start:stop] = inside[np.argpartition(points[inside, widest], middle)]
        parts += [(start, start + middle), (start + middle, stop)]
    return order


def nearest_of_all(
    rows: Floats,
    points: Floats,
    k: int,
    owns: NDArray[np.int32] | None = None,
    what: str = "nearest neighbours",
    names: NDArray[np.int32] | None = None,
) -> Neighbors:
    """Find the `k` nearest points (1 to n) of rows, exactly.

    Rows are r x d and points n x d, of one type; see ``in_working_precision``.

    `owns` says which point each row is, and it comes first; by default the rows are none of the points. `names` number
    the points, which settles ties, and are returned; by default they are places. `what` is done, for who shows
    progress.
    """
    owns = np.full(len(rows), -1, dtype=np.int32) if owns is None else owns
    names = np.arange(len(points), dtype=np.int32) if names is None else names
    everything = np.array([[0, len(points)]])
    indices, distances = np.empty((len(rows), k), dtype=np.int32), np.empty((len(rows), k))

    def visit(block: tuple[int, int]) -> None:
        part = slice(*block)
        indices[part], distances[part] = _search(rows[part], owns[part], points, names, everything, k)

    def visit_wide(block: tuple[int, int]) -> None:
        part = slice(*block)
        indices[part], distances[part] = nearest_of_wide(rows[part], owns[part], points, names, k)

    if points.shape[1] >= WIDE:
        from .compiling import prepare

        prepare(lambda: nearest_of_wide(points[:1], names[:1] * 0, points[:k], names[:k], k))
        map_blocks(visit_wide, ranges(len(rows), rows_at_a_time(len(rows), len(points))), what)
    else:
        _prepare(points, names, everything, k)
        map_blocks(visit, ranges(len(rows), _BLOCK), what)
    return Neighbors(indices, distances)


def _prepare(points: Floats, names: NDArray[np.int32], lists: NDArray[np.int64], k: int) -> None:
    from .compiling import prepare

    prepare(lambda: _search(points[:0], names[:0], points, names, lists[:0], k))


def _search(
    rows: Floats,
    owns: NDArray[np.int32],
    points: Floats,
    names: NDArray[np.int32],
    lists: NDArray[np.int64],
    k: int,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Compare all rows with all lists of points."""
    from .compiled import nearest

    found = np.empty((len(rows), k), dtype=np.int32), np.empty((len(rows), k))
    members = np.arange(len(rows), dtype=np.int32)
    spans = np.broadcast_to([[0, len(rows)]], lists.shape).copy()
    slack = relative_slack(points.shape[1], points.dtype)
    rows = np.require(rows, requirements=["C", "A", "W"])  # or all would be compiled again for a read-only array
    nearest(rows, owns, points, names, lists, spans, members, k, k + MARGIN, slack, *found)
    return found
