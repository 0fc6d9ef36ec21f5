"""kBET: are the batches among each cell's nearest those of all cells, by a chi-square test per cell?

Büttner et al. 2019, doi:10.1038/s41592-018-0254-1; per label, with neighbours by diffusion: Luecken et al. 2022,
doi:10.1038/s41592-021-01336-8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .diffusion import diffusion_coordinates
from .parallel import map_blocks, ranges
from .representation import Representation

_VALUES = 1 << 19  # neighbours at a time in each thread
_LEAST_CELLS = 10
_NEIGHBORS = (10, 70)  # least and most, without the cell itself
_BATCH_SHARE = 4  # neighbours are the mean batch size over this
_PIECE = 3  # times the neighbours: cells of a piece that is tested
_ENOUGH = 0.75  # of the label's cells, in such pieces
_PAIRS = 2**31 - 2  # neighbours times cells: what the scIB definition allows


def neighbor_p_values(indices: NDArray[np.integer], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for every cell the p-value of the batches among its neighbours, against those of all cells.

    Of n x k neighbour lists and the batch of every cell, 0 to B - 1: at least two, and each occurs.
    """
    from scipy.special import chdtrc

    n, k = indices.shape
    expected = k * np.bincount(codes) / len(codes)
    groups = len(expected)
    statistic = np.empty(n)

    def visit(block: tuple[int, int]) -> None:
        start, stop = block
        rows = np.arange(stop - start)[:, None] * groups
        flat = (rows + codes[indices[start:stop]]).ravel()
        counts = np.bincount(flat, minlength=(stop - start) * groups).reshape(-1, groups)
        statistic[start:stop] = ((counts - expected) ** 2 / expected).sum(axis=1)

    map_blocks(visit, ranges(n, max(1, _VALUES // max(k, groups))), "batches of the neighbours")
    return np.asarray(chdtrc(groups - 1, statistic))


@dataclass(frozen=True)
class LabelTest:
    """The test within one label.

    Attributes
    ----------
    cells, batches
        Cells of the label, and batches it occurs in.
    """

    score: float  # share of the cells tested whose neighbours are accepted; NaN where the label cannot be tested
    reason: str  # why it cannot, or why the score is 0 without a test; empty otherwise
    cells: int
    batches: int
    tested: int = 0  # cells tested: all, or those in pieces of the graph that are large enough
    neighbors: int = 0  # neighbours in the test, without the cell itself; 0 where there was none
    search: str = ""  # how the neighbours were found; empty where there was no test


def kbet_by_label(
    graph: Any, labels: NDArray[np.int64], batches: NDArray[np.int64], alpha: float, n_components: int
) -> list[LabelTest]:
    """Return the test of every label.

    `graph` is a symmetric n x n csr matrix of weights between neighbours, at least 0; labels and batches are coded from
    0, and every label occurs. A cell is accepted where its p-value is at least `alpha`; the diffusion map has
    `n_components`.
    """
    order = np.argsort(labels, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(labels))[:-1])
    _prepare()

    def visit(label: int) -> LabelTest:
        cells = members[label]
        return kbet_of_label(graph[cells][:, cells], batches[cells], alpha, n_components)

    largest_first = sorted(range(len(members)), key=lambda label: -len(members[label]))
    found = map_blocks(visit, largest_first, "kBET of the labels", cost=lambda label: float(len(members[label])))
    return [test for _, test in sorted(zip(largest_first, found, strict=True), key=lambda pair: pair[0])]


def kbet_of_label(graph: Any, batches: NDArray[np.int64], alpha: float, n_components: int) -> LabelTest:
    """Test one label; parameters as in `kbet_by_label`, of the cells of this label."""
    from scipy.sparse.csgraph import connected_components

    batches = np.unique(batches, return_inverse=True)[1]
    n, kinds = len(batches), int(batches.max()) + 1
    if n < _LEAST_CELLS:
        return LabelTest(math.nan, f"fewer than {_LEAST_CELLS} cells", n, kinds)
    if kinds < 2:
        return LabelTest(math.nan, "one batch", n, kinds)
    if kinds == n:
        return LabelTest(math.nan, "a batch for every cell", n, kinds)
    least, most = _NEIGHBORS
    k = min(most, max(least, n // (kinds * _BATCH_SHARE)), _PAIRS // n)
    pieces = connected_components(graph, directed=False)[1].astype(np.int64)
    sizes = np.bincount(pieces)
    if len(sizes) > 1:
        kept = np.flatnonzero((sizes >= _PIECE * k)[pieces])
        if len(kept) < _ENOUGH * n:
            reason = (
                f"in {len(sizes):,} pieces: those of at least {_PIECE * k:,} cells hold {len(kept) / n:.0%} of them, "
                f"less than {_ENOUGH:.0%}"
            )
            return LabelTest(0.0, reason, n, kinds, neighbors=k)
        graph, pieces = graph[kept][:, kept], np.unique(pieces[kept], return_inverse=True)[1]
        batches = np.unique(batches[kept], return_inverse=True)[1]
        if not batches.any():
            return LabelTest(0.0, "the pieces that are large enough hold one batch", n, kinds, len(kept), k)
    # Single precision, as embeddings are: or the search would be compiled once more, for this alone.
    coordinates = diffusion_coordinates(graph, pieces, n_components).astype(np.float32)
    near = Representation(coordinates).neighbors(k + 1)
    accepted = neighbor_p_values(near.indices, batches) >= alpha
    return LabelTest(float(accepted.mean()), "", n, kinds, len(batches), near.k - 1, near.search)


def _prepare() -> None:
    """Compile what the search calls here, where it is announced, not in a worker."""
    from .neighbors import exact_neighbors

    exact_neighbors(np.zeros((2, 1), dtype=np.float32), 1)
