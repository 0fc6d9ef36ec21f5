"""Silhouette of every cell, exact, in blocks; or of some cells, against all.

Cells are ordered by group and cut into blocks of whole small groups or of parts of a large one, so that what a block
adds to another is a few sums per cell. Each pair of blocks is visited once and serves both. Sums are taken in double
precision: a group may hold a million distances. Memory is a few numbers per cell and one pair of blocks per thread,
also where there are as many groups as cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .distances import Floats, in_working_precision, unit_vectors
from .parallel import in_order, map_blocks
from .wide import WIDE, squared_distances

Codes = NDArray[np.int64]
Other = Literal["nearest", "furthest", "mean_other"]
Distance = Literal["euclidean", "cosine"]

_BLOCK = 2048
_LARGE_BLOCK = 4096  # from `_MANY` cells on, where a block is a smaller share of the work
_MANY = 100_000
_WIDE_BLOCKS = (512, 1536)  # of cells with many dimensions, which two threads can share; all distances of two are made
_DIMENSIONS_PER_GROUP = 16  # at least, where sums of all cells to all groups are little beside the coordinates
_SOME = 256  # rows of a sample at a time


def silhouette_samples(
    X: Floats,
    codes: Codes,
    *,
    within: Codes | None = None,
    rows: Codes | None = None,
    distance: Distance = "euclidean",
    other: Other = "nearest",
) -> NDArray[np.float64]:
    """Return (b - a) / max(a, b) of cells; a: mean distance to its own group, b: to another.

    Parameters
    ----------
    X
        n x d; for the cosine distance without rows of zeros.
    codes
        Group of every cell, 0 to the number of groups - 1.
    within
        Cells are compared only with cells of the same value (batches within each label), 0 to the number of values -
        1; each value must hold at least two groups. By default all cells with all.
    rows
        Cells wanted, by default all. They are compared with all cells.
    distance
        ``"euclidean"``, or ``"cosine"``: 1 - cosine.
    other
        What b is: the mean distance to the ``"nearest"`` or ``"furthest"`` other group, or ``"mean_other"``: to all
        cells of all other groups.

    Returns
    -------
    One value in [-1, 1] for each of `rows`; 0 for the only cell of a group, and where all distances are 0.
    """
    outer = np.zeros(len(codes), dtype=np.int64) if within is None else within
    order = np.lexsort((codes, outer))
    points, _ = in_working_precision(unit_vectors(X) if distance == "cosine" else X)
    n, d = points.shape
    root = distance == "euclidean"
    groups = int(codes.max(initial=0)) + 1
    in_place = d >= WIDE and groups * _DIMENSIONS_PER_GROUP <= d and within is None and rows is None
    if in_place:
        size = whole = n
    elif d >= WIDE:
        size = whole = int(np.clip(n // 2, *_WIDE_BLOCKS))
    else:  # fewer cells where there may be as many groups: two blocks have groups x cells sums between them
        size = _BLOCK if n < _MANY else _LARGE_BLOCK
        whole = size // 2
    layout = _Layout(outer[order], codes[order], size, whole)
    if in_place:
        found = _Sums(layout.group, layout, other)
        found.add(slice(None), _sums_by_group(points, codes, groups, root)[order], layout.sections[0][0])
        return _in_order(found.values(), order)
    pairs = _Pairs(points, order, layout, root=root, other=other)
    if rows is None:
        return _in_order(pairs.of_all(), order)
    place = np.empty(len(codes), dtype=np.int64)
    place[order] = np.arange(len(codes))
    return pairs.of_some(place[rows])


def _in_order(values: NDArray[np.float64], order: Codes) -> NDArray[np.float64]:
    result = np.empty(len(order))
    result[order] = values
    return result


def _sums_by_group(points: Floats, codes: Codes, groups: int, root: bool) -> NDArray[np.float64]:
    """Return sums of distances from every cell to every group, of cells with many dimensions and few groups.

    Cells stay in their order, so that their coordinates can be multiplied where they are.
    """
    from .compiling import prepare

    n = len(codes)
    points = np.require(points, requirements=["C", "A", "W"])  # compiled code would copy it for every pair of blocks
    membership = np.zeros((n, groups))
    membership[np.arange(n), codes] = 1.0
    edges = np.linspace(0, n, max(2, -(-n // _WIDE_BLOCKS[1])) + 1).astype(np.int64).tolist()
    blocks = [slice(low, high) for low, high in pairwise(edges)]
    # The larger half of the work first, or one thread is done before the other.
    pairs = [*combinations(blocks, 2), *((a, a) for a in blocks)]
    every, two = np.arange(n), np.arange(min(2, n))

    def visit(pair: tuple[slice, slice]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        a, b = pair
        rows = every[a]
        distances = squared_distances(points, rows, rows if a is b else every[b])
        distances = np.sqrt(distances, out=distances) if root else np.multiply(distances, 0.5, out=distances)
        return distances @ membership[b], distances.T @ membership[a]

    prepare(lambda: squared_distances(points, two, two))
    cost = {True: 1.0, False: 2.0}
    found = map_blocks(visit, pairs, "silhouette", cost=lambda pair: cost[pair[0] is pair[1]])
    sums = np.zeros((n, groups))
    for (a, b), (forth, back) in zip(pairs, found, strict=True):
        sums[a] += forth
        if a is not b:
            sums[b] += back
    return sums


@dataclass(frozen=True)
class _Block:
    """Consecutive cells: whole groups, or a part of one."""

    start: int
    stop: int
    first: int  # its first group
    bounds: Codes  # borders of its groups, from 0
    whole: bool  # its groups are whole
    last: bool  # no later block has cells of its last group

    @property
    def size(self) -> int:
        return self.stop - self.start

    @property
    def groups(self) -> slice:
        return slice(self.first, self.first + len(self.bounds) - 1)


class _Layout:
    """Cells ordered by section (which is compared within itself) and group, and cut into blocks.

    `size` and `whole` are the cells of a block, about: of one that is part of a group, and of one of whole groups.
    """

    def __init__(self, outer: Codes, codes: Codes, size: int, whole: int) -> None:
        starts = np.flatnonzero(np.r_[True, (outer[1:] != outer[:-1]) | (codes[1:] != codes[:-1])])
        self.starts = np.r_[starts, len(codes)]
        self.sizes = np.diff(self.starts)
        self.group = np.repeat(np.arange(len(starts)), self.sizes)  # of every cell
        section = outer[starts]
        self.total = np.bincount(section, weights=self.sizes).astype(np.int64)[section]  # cells of a group's section
        borders = np.r_[0, np.flatnonzero(np.diff(section)) + 1, len(starts)].tolist()
        self.sections = [self._cut(*border, size, whole) for border in pairwise(borders)]

    def _cut(self, group: int, end: int, size: int, whole: int) -> list[_Block]:
        blocks: list[_Block] = []
        while group < end:
            start, cells = int(self.starts[group]), int(self.sizes[group])
            if cells > size:
                edges = np.linspace(start, start + cells, -(-cells // size) + 1).astype(np.int64).tolist()
                blocks += [
                    _Block(low, high, group, np.array([0, high - low]), False, high == edges[-1])
                    for low, high in pairwise(edges)
                ]
                group += 1
                continue
            after = int(np.searchsorted(self.starts, start + whole, side="right")) - 1
            after = min(end, max(group + 1, after))
            bounds = self.starts[group : after + 1] - start
            blocks.append(_Block(start, start + int(bounds[-1]), group, bounds, True, True))
            group = after
        return blocks


class _Sums:
    """What is known of some cells' distances to groups, added block by block in order."""

    def __init__(self, group: Codes, layout: _Layout, other: Other) -> None:
        self.group, self.layout, self.other = group, layout, other
        self.own = np.zeros(len(group))
        self.partial = np.zeros(len(group))  # to the large group that is being added part by part
        self.chosen = np.full(len(group), {"nearest": np.inf, "furthest": -np.inf, "mean_other": 0.0}[other])

    def add(self, cells: slice, sums: NDArray[np.float64], block: _Block) -> None:
        """Add the sums of some cells to the groups of a block: cells x groups."""
        mine = self.group[cells] - block.first
        if not block.whole:
            self.own[cells] += np.where(mine == 0, sums[:, 0], 0.0)
            self.partial[cells] += sums[:, 0]
            if not block.last:
                return
            sums = self.partial[cells].copy()[:, None]
            self.partial[cells] = 0.0
        rows = np.flatnonzero((mine >= 0) & (mine < sums.shape[1]))
        if self.other == "mean_other":
            sums[rows, mine[rows]], own = 0.0, sums[rows, mine[rows]]
            self.chosen[cells] += sums.sum(axis=1)
        else:
            nearest = self.other == "nearest"
            means = sums / self.layout.sizes[block.groups]
            own = sums[rows, mine[rows]]
            means[rows, mine[rows]] = np.inf if nearest else -np.inf
            better = means.min(axis=1) if nearest else means.max(axis=1)
            (np.minimum if nearest else np.maximum)(self.chosen[cells], better, out=self.chosen[cells])
        if block.whole:
            self.own[cells][rows] = own

    def values(self) -> NDArray[np.float64]:
        """Return the silhouettes, once all blocks were added."""
        size = self.layout.sizes[self.group]
        within = self.own / np.maximum(size - 1, 1)
        to_other = self.chosen
        if self.other == "mean_other":
            to_other = to_other / (self.layout.total[self.group] - size)
        larger = np.maximum(within, to_other)
        with np.errstate(invalid="ignore"):
            values = np.where(larger > 0, (to_other - within) / larger, 0.0)
        values[size == 1] = 0.0
        return values


class _Pairs:
    """All pairs of cells, block by block."""

    def __init__(self, points: Floats, order: Codes, layout: _Layout, *, root: bool, other: Other) -> None:
        self.layout, self.root, self.other = layout, root, other
        self.wide = points.shape[1] >= WIDE
        self.order = order
        # Compiled code would copy a read-only array for every pair of blocks.
        self.points = np.require(points, requirements=["C", "A", "W"]) if self.wide else points[order]

    def of_all(self) -> NDArray[np.float64]:
        """Return the silhouette of every cell; each pair of blocks is visited once and serves both."""
        found = _Sums(self.layout.group, self.layout, self.other)
        pairs = [(a, b) for blocks in self.layout.sections for i, a in enumerate(blocks) for b in blocks[i:]]

        def visit(pair: tuple[_Block, _Block]) -> tuple[Any, Any]:
            a, b = pair
            return self._between(slice(a.start, a.stop), self.layout.group[a.start : a.stop] - a.first, b, a)

        def add(pair: tuple[_Block, _Block], sums: tuple[Any, Any]) -> None:
            (a, b), (forth, back) = pair, sums
            found.add(slice(a.start, a.stop), forth, b)
            if a is not b:
                found.add(slice(b.start, b.stop), back, a)

        self._prepare()
        visits = in_order(visit, pairs, add)
        map_blocks(visits, range(len(pairs)), "silhouette", cost=lambda i: pairs[i][0].size * float(pairs[i][1].size))
        return found.values()

    def of_some(self, rows: Codes) -> NDArray[np.float64]:
        """Return the silhouette of some cells, compared with all."""
        ordered = np.sort(rows)
        borders = np.searchsorted(ordered, [blocks[0].start for blocks in self.layout.sections[1:]])
        parts = [
            (part, blocks)
            for cells, blocks in zip(np.split(ordered, borders), self.layout.sections, strict=True)
            for part in np.split(cells, range(_SOME, len(cells), _SOME))
        ]

        def visit(part: tuple[Codes, Sequence[_Block]]) -> NDArray[np.float64]:
            cells, blocks = part
            found = _Sums(self.layout.group[cells], self.layout, self.other)
            nothing = np.zeros(len(cells), dtype=np.int64)
            for block in blocks:
                found.add(slice(None), self._between(cells, nothing, block, None)[0], block)
            return found.values()

        self._prepare()
        values = np.concatenate(
            map_blocks(visit, parts, "silhouette of a sample", cost=lambda part: float(len(part[0])))
        )
        return values[np.searchsorted(ordered, rows)]

    def _prepare(self) -> None:
        from .compiling import prepare

        if self.wide:
            two = self.order[:2]
            prepare(lambda: squared_distances(self.points, two, two))
            return
        nothing = _Block(0, 0, 0, np.array([0, 0]), True, True)
        prepare(lambda: self._between(slice(0), self.layout.group[:0], nothing, None))

    def _between(self, cells: slice | Codes, groups: Codes, b: _Block, a: _Block | None) -> tuple[Any, Any]:
        """Return sums of distances from cells to the groups of `b`, and back to those of `a` if it is given."""
        if self.wide:
            others = self.order[b.start : b.stop]
            values = squared_distances(self.points, others if a is b else self.order[cells], others)
            values = np.sqrt(values, out=values) if self.root else np.multiply(values, 0.5, out=values)
            back = np.zeros((b.size, 0)) if a is None or a is b else np.add.reduceat(values, a.bounds[:-1], axis=0).T
            return np.add.reduceat(values, b.bounds[:-1], axis=1), back
        from .compiled import add_group_sums

        rows = self.points[cells]
        forth = np.zeros((len(rows), len(b.bounds) - 1))
        back = np.zeros((b.size, len(a.bounds) - 1 if a is not None else 0))
        half = rows.dtype.type(0.5)  # of the squared distance of unit vectors is 1 - cosine
        if a is b:
            add_group_sums(rows, groups, rows, b.bounds, self.root, half, True, forth, back)
            return forth + back, back
        columns = self.points[b.start : b.stop]
        add_group_sums(rows, groups, columns, b.bounds, self.root, half, False, forth, back)
        return forth, back
