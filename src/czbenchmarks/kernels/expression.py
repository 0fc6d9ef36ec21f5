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
_PERCENTILES = np.arange(10, 105, 5)


@dataclass(frozen=True)
class Expression:
    """Expression of n cells and g genes, logged when it is read.

    Attributes
    ----------
    values
        n x g floating array or canonical csr matrix: counts, or what is logged already.
    totals
        Counts of every cell; None for values that are taken as they are.
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
    """Tell counts from logarithms: values that are all whole and at least 0 are counts.

    Parameters
    ----------
    values
        n x g finite floating array or canonical csr matrix.

    Raises
    ------
    LookupError
        If values that are not counts are too large for logarithms; it holds the largest.
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
    """Return the moments of every gene.

    Parameters
    ----------
    expression
        n cells.
    rows
        Cells counted.
    unlogged
        Take the logarithm back first.
    """
    blocks, g, n = expression.blocks(rows), expression.genes, len(rows)

    def sums(group: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        first, second, cells = np.zeros(g), np.zeros(g), np.zeros(g, dtype=np.int64)
        for block in blocks[slice(*group)]:
            part = expression.logged(block)
            sparse = hasattr(part, "indptr")
            data = np.asarray(part.data if sparse else part, dtype=np.float64)
            data = np.expm1(data) if unlogged else data
            if sparse:
                first += np.bincount(part.indices, data, g)
                second += np.bincount(part.indices, data * data, g)
                cells += np.bincount(part.indices[data != 0], minlength=g)
            else:
                first += data.sum(axis=0)
                second += (data * data).sum(axis=0)
                cells += np.count_nonzero(data, axis=0)
        return first, second, cells

    groups = ranges(len(blocks), -(-len(blocks) // _SUMS))
    found = zip(*map_blocks(sums, groups, "mean and variance of the genes"), strict=True)
    first, second, cells = (sum(parts) for parts in found)
    mean = first / n
    variance = np.maximum(second / n - mean**2, 0.0) * (n / max(n - 1, 1))
    return Moments(mean, variance, np.asarray(cells))


def taken(expression: Expression, rows: NDArray[np.int64], genes: NDArray[Any]) -> Any:
    """Return the logged values of some cells and genes, as csr or dense as the expression is.

    Parameters
    ----------
    expression
        n cells.
    rows
        Cells.
    genes
        Positions of genes, or a mask.
    """
    import scipy.sparse as sp

    parts = map_blocks(
        lambda block: expression.logged(block)[:, genes], expression.blocks(rows), "expression of some genes"
    )
    return sp.vstack(parts, format="csr") if hasattr(parts[0], "indptr") else np.concatenate(parts)


def dispersed_genes(found: Moments, n_genes: int) -> NDArray[np.bool_]:
    """Choose genes by variance over mean, counted from the median of genes of similar mean, in their deviations.

    Similar are those between two of the percentiles 10, 15, … 100 of the means; the deviation is the median absolute
    one (Zheng et al. 2017, doi:10.1038/ncomms14049, as scanpy's flavour "cell_ranger" has it). Ties with the last gene
    are chosen too.

    Raises
    ------
    LookupError
        If no gene has a score.
    """
    mean = np.where(found.mean == 0, _NO_MEAN, found.mean)
    dispersion = found.variance / mean
    bins = np.searchsorted(np.percentile(mean, _PERCENTILES), mean)
    score = np.full(len(mean), np.nan)
    for one in np.unique(bins):
        own = bins == one
        off = dispersion[own] - np.median(dispersion[own])
        with np.errstate(divide="ignore", invalid="ignore"):
            score[own] = off / np.median(np.abs(off))
    ranked = np.sort(score[~np.isnan(score)])[::-1]
    if not len(ranked):
        raise LookupError("no gene varies more than others")
    return np.asarray(score >= ranked[min(n_genes, len(ranked)) - 1])  # NaN is not
