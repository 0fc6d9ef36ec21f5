"""Log-normalised expression, read in blocks of cells; and the genes that vary.

No copy of all expression is made, and csr stays csr: a block of cells is taken, logged, used and dropped. Borders of
blocks follow from the data alone and sums are in double precision, so neither threads nor the memory budget change a
bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .parallel import map_blocks, ranges

TOTAL = 1e4
"""What the counts of a cell are scaled to before the logarithm."""

LARGEST_LOG = 50.0
"""Of a logarithm of counts or counts per million, with a wide margin."""

_ENTRIES = 1 << 20  # in a block
_SUMS = 16  # by gene, held at a time
_NO_MEAN = 1e-12  # in place of 0, as scanpy divides by it
_DIGITS = 10  # of a mean, dispersion or score: what follows depends on the order of sums
_PERCENTILES = np.arange(10, 105, 5)


@dataclass(frozen=True)
class Expression:
    """Expression of n cells and g genes, logged when it is read.

    `values` is an n x g floating array or canonical csr matrix: counts, of which `totals` has the sum of every cell, or
    what is logged already (`totals` is None).
    """

    values: Any
    totals: NDArray[np.float64] | None = None

    @property
    def genes(self) -> int:
        """Number of genes."""
        return int(self.values.shape[1])

    def blocks(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Cut some rows into consecutive parts of about a million entries."""
        if hasattr(self.values, "indptr"):
            entries = self.values.indptr[rows + 1] - self.values.indptr[rows]
        else:
            entries = np.full(len(rows), self.genes)
        part = np.cumsum(entries, dtype=np.int64) // _ENTRIES
        return np.split(rows, np.flatnonzero(np.diff(part)) + 1)

    def logged(self, rows: NDArray[np.int64]) -> Any:
        """Return some rows, as csr or dense as the values are; a copy."""
        part = self.values[rows]
        if self.totals is None:
            return part
        scale = TOTAL / np.where(self.totals[rows] > 0, self.totals[rows], 1.0)
        if hasattr(part, "indptr"):
            part.data = np.log1p(part.data * np.repeat(scale, np.diff(part.indptr)))
            return part
        return np.log1p(part * scale[:, None])


def logarithms(values: Any) -> Expression:
    """Tell counts from logarithms: values (n x g, array or canonical csr) that are all whole and at least 0 are counts.

    Raises ``LookupError``, which holds the largest value, if others are too large for logarithms.
    """
    n, g = values.shape
    every = np.arange(n)
    blocks = Expression(values).blocks(every)

    def look(rows: NDArray[np.int64]) -> tuple[bool, float, NDArray[np.float64]]:
        part = values[int(rows[0]) : int(rows[-1]) + 1]
        data = part.data if hasattr(part, "indptr") else part
        whole = bool((data >= 0).all()) and bool((data == np.rint(data)).all())
        return whole, float(data.max(initial=0)), np.asarray(part @ np.ones(g))

    found = map_blocks(look, blocks, "kind of expression")
    if all(whole for whole, _, _ in found):
        return Expression(values, np.concatenate([totals for _, _, totals in found]))
    largest = max(top for _, top, _ in found)
    if largest > LARGEST_LOG:
        raise LookupError(largest)
    return Expression(values)


@dataclass(frozen=True)
class Moments:
    """Of every gene over some cells: mean, variance (n - 1) and the number of cells that have it (not 0)."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    cells: NDArray[np.int64]

    def of(self, genes: NDArray[Any]) -> Moments:
        """Return those of some genes."""
        return Moments(self.mean[genes], self.variance[genes], self.cells[genes])


def moments(expression: Expression, rows: NDArray[np.int64], *, unlogged: bool = False) -> Moments:
    """Return the moments of every gene over the cells `rows`; with `unlogged` the logarithm is taken back first."""
    blocks = expression.blocks(rows)

    def of_group(group: tuple[int, int]) -> _Sums:
        found = _Sums.none(expression.genes)
        for block in blocks[slice(*group)]:
            part = expression.logged(block)
            values = part.data if hasattr(part, "indptr") else part
            if unlogged:
                np.expm1(values, out=values)
            found = found.plus(_sums(part))
        return found

    groups = ranges(len(blocks), -(-len(blocks) // _SUMS))
    found = _Sums.none(expression.genes)
    for one in map_blocks(of_group, groups, "mean and variance of the genes"):
        found = found.plus(one)
    return Moments(found.mean, found.squares / max(len(rows) - 1, 1), found.cells)


@dataclass(frozen=True)
class _Sums:
    """Of every gene over n cells: mean, sum of squared deviations from it, and the number of cells that have it."""

    n: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    cells: NDArray[np.int64]

    @classmethod
    def none(cls, genes: int) -> _Sums:
        return cls(0, np.zeros(genes), np.zeros(genes), np.zeros(genes, dtype=np.int64))

    def plus(self, other: _Sums) -> _Sums:
        """Return those of the cells of both (Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115)."""
        if not self.n:
            return other
        n, apart = self.n + other.n, other.mean - self.mean
        squares = self.squares + other.squares + apart**2 * (self.n * other.n / n)
        return _Sums(n, self.mean + apart * (other.n / n), squares, self.cells + other.cells)


def _sums(part: Any) -> _Sums:
    """Return the sums of a block of cells in two passes, all in double precision.

    Values are counted from those of the first cell, so that a constant gene has a variance of exactly 0.
    """
    n, g = part.shape
    if not hasattr(part, "indptr"):
        values = part.astype(np.float64)
        first = values[0].copy()
        cells = np.count_nonzero(values, axis=0)
        values -= first
        mean = values.mean(axis=0)
        values -= mean
        return _Sums(n, first + mean, np.einsum("ij,ij->j", values, values), cells)
    values, genes = part.data.astype(np.float64), part.indices
    first = part[:1].toarray()[0].astype(np.float64)
    absent = n - np.bincount(genes, minlength=g)  # cells that hold a 0 which is not stored
    cells = np.bincount(genes[values != 0], minlength=g)
    values -= first[genes]
    mean = (np.bincount(genes, values, g) - absent * first) / n
    values -= mean[genes]
    squares = np.bincount(genes, values * values, g) + absent * (first + mean) ** 2
    return _Sums(n, first + mean, squares, cells)


def taken(expression: Expression, rows: NDArray[np.int64], genes: NDArray[Any]) -> Any:
    """Return the logged values of some cells and genes (positions, or a mask), as csr or dense as the expression is."""
    import scipy.sparse as sp

    parts = map_blocks(
        lambda block: expression.logged(block)[:, genes], expression.blocks(rows), "expression of some genes"
    )
    return sp.vstack(parts, format="csr") if hasattr(parts[0], "indptr") else np.concatenate(parts)


def dispersed_genes(found: Moments, n_genes: int) -> NDArray[np.bool_]:
    """Choose genes by variance over mean, counted from the median of genes of similar mean, in their deviations.

    Similar are those between two of the percentiles 10, 15, … 100 of the means; the deviation is the median absolute
    one (Zheng et al. 2017, doi:10.1038/ncomms14049, as scanpy's flavour "cell_ranger" has it). A gene that does not
    vary is never chosen; it counts among those of similar mean, unless so many of them do not vary that the deviation
    is 0: then those that vary are counted alone. Equal scores go by dispersion, then by position. Raises
    ``LookupError`` if no gene has a score.
    """
    varying = found.variance > 0
    if not varying.any():
        raise LookupError("no gene varies")
    # Means and dispersions that differ by rounding tie, in whatever order cells were added.
    mean = _significant(np.where(found.mean == 0, _NO_MEAN, found.mean))
    dispersion = _significant(found.variance / mean)
    bins = np.searchsorted(np.percentile(mean, _PERCENTILES), mean)
    score = np.full(len(mean), np.nan)
    for one in np.unique(bins):
        own = bins == one
        if not (own & varying).any():
            continue
        if not (deviation := _median_deviation(dispersion[own])):
            own &= varying
            deviation = _median_deviation(dispersion[own])
        with np.errstate(divide="ignore", invalid="ignore"):
            score[own] = _significant((dispersion[own] - np.median(dispersion[own])) / deviation)
    known = np.flatnonzero(varying & ~np.isnan(score))
    if not len(known):
        raise LookupError("no gene varies more than others")
    order = np.lexsort((known, -dispersion[known], -score[known]))
    chosen = np.zeros(len(found.mean), dtype=bool)
    chosen[known[order[:n_genes]]] = True
    return chosen


def _median_deviation(values: NDArray[np.float64]) -> float:
    return float(np.median(np.abs(values - np.median(values))))


def _significant(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to ten significant digits; what is not finite stays."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(np.abs(values))))
        rounded = np.rint(values * scale) / scale
    return np.where(np.isfinite(rounded), rounded, values)
