"""Exact nearest neighbours, repeatable to the bit.

A library search (faiss, flat) in single precision only *proposes* candidates, a few more than asked for. Their
distances are computed again in double precision and sorted by (distance, index), the cell itself first. A row whose
candidates might miss a neighbour (the proposal's last distance does not clear the k-th exact one by more than single
precision's rounding) is redone over all cells. So neither the library's rounding nor its threads reach the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .parallel import map_blocks, ranges

Floats = NDArray[np.floating]

_MARGIN = 16
_BLOCK = 512  # rows proposed at a time
_VALUES = 1 << 22  # coordinates gathered at a time, 32 MB
_FULL_PAIRS = 1 << 19


_Proposer = Callable[[int, int], tuple[NDArray[np.int64], NDArray[np.float64]]]


@dataclass(frozen=True)
class Neighbors:
    """The k nearest cells of every cell, itself first, then by (distance, index).

    Attributes
    ----------
    indices
        n x k, ``int64``; column 0 is the cell itself.
    distances
        n x k Euclidean distances, ``float64``; column 0 is 0.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float64]

    @property
    def k(self) -> int:
        """Entries per row, the cell itself included."""
        return int(self.indices.shape[1])

    def first(self, k: int) -> Neighbors:
        """Return the same lists cut to `k` entries."""
        return self if k == self.k else Neighbors(self.indices[:, :k], self.distances[:, :k])


def exact_neighbors(X: Floats, k: int) -> Neighbors:
    """Find the `k` nearest cells of every cell, the cell itself included.

    Parameters
    ----------
    X
        n x d, finite.
    k
        1 to n.
    """
    n = X.shape[0]
    if k == 1:
        return Neighbors(np.arange(n, dtype=np.int64)[:, None], np.zeros((n, 1)))
    exact = np.ascontiguousarray(X, dtype=np.float64)
    candidates = min(n, k + _MARGIN)
    propose = _proposer(exact, candidates) if candidates < n else None
    indices = np.empty((n, k), dtype=np.int64)
    distances = np.empty((n, k))

    def work(block: tuple[int, int]) -> None:
        start, stop = block
        rows = np.arange(start, stop)
        if propose is None:
            redo = rows
        else:
            listed, clear = propose(start, stop)
            squared = np.empty(listed.shape)
            for low, high in ranges(len(rows), max(1, _VALUES // (candidates * exact.shape[1]))):
                squared[low:high] = _squared_to(exact, rows[low:high], listed[low:high])
            order, kth = _order(listed, squared, rows, k)
            indices[start:stop] = np.take_along_axis(listed, order, axis=1)
            distances[start:stop] = np.sqrt(np.take_along_axis(squared, order, axis=1))
            redo = rows[~(kth < clear) | (indices[start:stop, 0] != rows)]
        for low, high in ranges(len(redo), max(1, _FULL_PAIRS // n)):
            part = redo[low:high]
            indices[part], distances[part] = _full_rows(exact, part, k)

    map_blocks(work, ranges(n, _BLOCK), "nearest neighbours")
    return Neighbors(indices, distances)


def _proposer(exact: Floats, candidates: int) -> _Proposer:
    """Return a function of a row range: candidate lists, and the squared distance below which they are complete."""
    import faiss

    mean = exact.mean(axis=0)
    # One common factor keeps single precision away from overflow and underflow, whatever the unit of the embedding.
    scale = float(np.maximum(exact.max(axis=0) - mean, mean - exact.min(axis=0)).max()) or 1.0
    single: NDArray[np.float32] = np.empty(exact.shape, dtype=np.float32)
    for low, high in ranges(len(exact), max(1, _VALUES // exact.shape[1])):
        single[low:high] = (exact[low:high] - mean) / scale
    index = faiss.IndexFlatL2(single.shape[1])
    index.add(single)
    norms = np.einsum("ij,ij->i", single, single, dtype=np.float64)
    # |computed - true| of |x|^2 + |y|^2 - 2xy in single precision, sums over d terms included, generously.
    rounding = 4.0 * np.finfo(np.float32).eps * (np.sqrt(single.shape[1]) + 8.0)
    largest = float(norms.max())

    def propose(start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        faiss.omp_set_num_threads(1)
        found, listed = index.search(single[start:stop], candidates)
        clear = found[:, -1].astype(np.float64) - rounding * (norms[start:stop] + largest)
        return listed.astype(np.int64, copy=False), clear * scale * scale

    return propose


def _squared_to(exact: Floats, rows: NDArray[np.int64], listed: NDArray[np.int64]) -> NDArray[np.float64]:
    difference = exact[listed]
    difference -= exact[rows][:, None, :]
    return np.einsum("rcd,rcd->rc", difference, difference)


def _order(
    listed: NDArray[np.int64], squared: NDArray[np.float64], rows: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Order candidates by (self first, distance, index); return the first k and the k-th squared distance."""
    key = squared.copy()
    key[listed == rows[:, None]] = -1.0
    by_index = np.argsort(listed, axis=1)
    order = np.take_along_axis(
        by_index, np.argsort(np.take_along_axis(key, by_index, axis=1), axis=1, kind="stable"), axis=1
    )[:, :k]
    return order, np.take_along_axis(squared, order[:, -1:], axis=1)[:, 0]


def _full_rows(exact: Floats, rows: NDArray[np.int64], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return neighbours of `rows` among all cells, without a proposal."""
    squared = np.empty((len(rows), exact.shape[0]))
    for low, high in ranges(len(exact), max(1, _VALUES // exact.shape[1])):
        for position, row in enumerate(rows):
            difference = exact[low:high] - exact[row]
            squared[position, low:high] = np.einsum("cd,cd->c", difference, difference)
    squared[np.arange(len(rows)), rows] = -1.0
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    found = np.take_along_axis(squared, order, axis=1)
    found[:, 0] = 0.0
    return order, np.sqrt(found)
