"""sBEE: how batches mix around each cell, and how far the cells of other batches are, among cells of its own label."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .distances import Floats, in_working_precision
from .parallel import map_blocks, ranges

Codes = NDArray[np.int64]

_VALUES = 1 << 19  # neighbours at a time in each thread
_ROWS = 256  # cells that are compared with the reference cells at a time
_LEAST_COUNT = 1e-10  # in place of 0


def neighbor_mixing(indices: NDArray[np.integer], labels: Codes, batches: Codes) -> NDArray[np.float64]:
    """Return 1 - the Jensen-Shannon distance of the batches around each cell to those of its label.

    Counted are the neighbours (n x k lists, itself first) with the cell's own label, among the first so many as the
    label has cells. Labels and batches are coded from 0. Values are in [0, 1]: 1 where the batches have the shares they
    have in the label.
    """
    n, k = indices.shape
    groups = int(batches.max()) + 1
    sizes = np.bincount(labels)
    overall = _shares(np.bincount(labels * groups + batches, minlength=len(sizes) * groups).reshape(-1, groups))
    values = np.empty(n)

    def visit(block: tuple[int, int]) -> None:
        rows = slice(*block)
        own = labels[rows]
        near = indices[rows]
        counted = (labels[near] == own[:, None]) & (np.arange(k) < sizes[own][:, None])
        flat = np.arange(len(near))[:, None] * groups + batches[near]
        counts = np.bincount(flat[counted], minlength=len(near) * groups).reshape(-1, groups)
        values[rows] = 1.0 - _jensen_shannon(_shares(counts), overall[own])

    map_blocks(visit, ranges(n, max(1, _VALUES // max(k, groups))), "batches of the neighbours")
    return values


def _shares(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    raised = np.maximum(counts, _LEAST_COUNT)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _jensen_shannon(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the square root of the Jensen-Shannon divergence of rows, with logarithms of base 2."""
    middle = (p + q) / 2
    divergence = (p * np.log2(p / middle) + q * np.log2(q / middle)).sum(axis=1) / 2
    return np.asarray(np.sqrt(np.clip(divergence, 0.0, 1.0)))


def distance_ratios(X: Floats, labels: Codes, batches: Codes, most: int, seed: int) -> tuple[NDArray[np.float64], int]:
    """Return how far the cells of a cell's own batch are, over how far those of other batches are: within its label.

    `X` is n x d, finite; labels and batches are coded from 0. On each side a cell is compared with at most `most`
    cells; where there are more, so many are drawn. Returned are n ratios of median distances, NaN where one of the two
    is 0, and 1 where there are no cells for one of them; and for how many cells reference cells were drawn.
    """
    points, _ = in_working_precision(X)  # a ratio has no unit
    ratios = np.ones(len(labels))
    drawn = 0
    tasks = []
    for rows, other in _by_label_and_batch(labels, batches):
        random = np.random.default_rng([seed, int(labels[rows[0]]), int(batches[rows[0]])])
        drawn += len(rows) if max(len(rows), len(other)) > most else 0
        own, other = _some(rows, most, random), _some(other, most, random)
        tasks += [(rows[slice(*part)], own, other) for part in ranges(len(rows), _ROWS)]

    def visit(task: tuple[Codes, Codes, Codes]) -> None:
        rows, own, other = task
        within, across = _median_distances(points, rows, own), _median_distances(points, rows, other)
        defined = (within > 0) & (across > 0)
        found = np.full(len(rows), np.nan)
        np.divide(within, across, out=found, where=defined)
        found[np.isnan(within) | np.isnan(across)] = 1.0  # no cells to compare with
        ratios[rows] = found

    def cost(task: tuple[Codes, Codes, Codes]) -> float:
        rows, own, other = task
        return float(len(rows) * (len(own) + len(other)))

    map_blocks(visit, tasks, "distances within the labels", cost=cost)
    return ratios, drawn


def _by_label_and_batch(labels: Codes, batches: Codes) -> Iterator[tuple[Codes, Codes]]:
    """Yield, by label and batch, its cells and the label's cells of other batches."""
    order = np.lexsort((batches, labels))
    for of_label in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        own_batches = batches[of_label]
        for batch in np.unique(own_batches):
            mine = own_batches == batch
            yield of_label[mine], of_label[~mine]


def _some(cells: Codes, most: int, random: np.random.Generator) -> Codes:
    return cells if len(cells) <= most else cells[np.sort(random.choice(len(cells), most, replace=False))]


def _median_distances(points: Floats, rows: Codes, cells: Codes) -> NDArray[np.float64]:
    """Return the median distance of each of `rows` to `cells` other than itself; NaN where there is none."""
    if not len(cells):
        return np.full(len(rows), np.nan)
    middle = points[cells[0]].astype(np.float64)
    a, b = points[rows] - middle, points[cells] - middle
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * (a @ b.T)
    itself = rows[:, None] == cells
    squares[itself] = np.inf
    n = len(cells)
    counted = n - itself.any(axis=1)
    # The places of the medians of n and of n - 1 cells.
    places = np.unique(np.clip([(n - 2) // 2, (n - 1) // 2, n // 2], 0, n - 1))
    order = np.argpartition(squares, places, axis=1)
    found = []
    for place in ((counted - 1) // 2, counted // 2):
        nearest = order[np.arange(len(rows)), np.clip(place, 0, n - 1)]
        # Of scalar products a distance of 0 would be about 1e-8: only the medians are computed again.
        found.append(np.sqrt(((a - b[nearest]) ** 2).sum(axis=1)))
    medians = (found[0] + found[1]) / 2
    medians[counted == 0] = np.nan
    return np.asarray(medians)
