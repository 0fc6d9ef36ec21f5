"""Principal components of counts: normalised by cell, log-transformed, of the genes that vary most.

The steps, their order and their precision are scanpy's ``normalize_total``, ``log1p``, ``highly_variable_genes``
(flavour "seurat") and ``pca`` (ARPACK), to rounding. They are done here in blocks of rows, so that no copy of all
counts is ever made: beside the counts there is one csr matrix of the chosen genes. And compiling scanpy's kernels
takes longer, in a process that scores one embedding, than the components themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._progress import work
from czbenchmarks.exceptions import InputError

from .arpack import restarts
from .parallel import map_blocks, num_threads, one_blas_thread, ranges

Block = tuple[int, int]

_ENTRIES = 1 << 18  # of the counts, in a block
_SUMS = 32  # by gene, held at a time
_PARTS = 16  # of the matrix that is decomposed, at most
_PART = 1 << 19  # entries of one, at least
_BINS = 20
_NO_MEAN = 1e-12  # in place of 0, as scanpy divides by it
_NO_SPREAD = 1e-6  # of the squared mean: a variance beneath it is rounding of squares in single precision


def principal_components(
    counts: Any, n_genes: int, n_components: int, seed: int, *, fewer: bool = False
) -> NDArray[np.float32]:
    """Return n x `n_components` coordinates, the component of largest variance first.

    Parameters
    ----------
    counts
        n x g, at least 0; csr in canonical format, or dense; ``float32`` or ``float64``. It is not changed.
    n_genes
        How many of the most variable genes to use. Ties with the last of them are used too.
    n_components
        Less than the numbers of cells and of genes used.
    seed
        Of the vector that ARPACK starts from.
    fewer
        Return fewer components where `n_components` is too large.

    Raises
    ------
    LookupError
        If no gene varies between cells.
    ValueError
        If `n_components` is too large.
    """
    n, g = counts.shape
    blocks = (
        ranges(n, max(1, _ENTRIES // g)) if isinstance(counts, np.ndarray) else _equal_parts(counts.indptr, _ENTRIES)
    )
    factors = _size_factors(counts, blocks)
    mean, variance, entries = _moments(counts, factors, blocks)
    chosen = variable_genes(mean, variance, n_genes)
    most = min(n, int(chosen.sum())) - 1
    if fewer:
        n_components = max(1, min(n_components, most))
    if n_components > most:
        raise InputError(
            f"`n_pcs` must be less than the numbers of cells and of variable genes, at most {most:,}, "
            f"got {n_components:,}."
        )
    return decompose(_log_normalized(counts, factors, blocks, chosen, entries), n_components, seed)


def _equal_parts(indptr: NDArray[Any], size: int) -> list[Block]:
    """Cut the rows of a csr matrix into consecutive parts of about `size` entries."""
    steps = np.arange(size, int(indptr[-1]), size)
    borders = np.unique(np.concatenate([[0], np.searchsorted(indptr, steps), [len(indptr) - 1]])).tolist()
    return list(pairwise(borders))


def _rows(counts: Any, block: Block) -> Any:
    """Return some rows as csr; a view where the counts are csr."""
    import scipy.sparse as sp

    start, stop = block
    if isinstance(counts, np.ndarray):
        return sp.csr_matrix(counts[start:stop])
    low, high = counts.indptr[start], counts.indptr[stop]
    # SciPy copies the arrays it is given if they are a small part of others, so they are put in afterwards.
    rows = sp.csr_matrix((stop - start, counts.shape[1]), dtype=counts.dtype)
    rows.data, rows.indices = counts.data[low:high], counts.indices[low:high]
    rows.indptr = counts.indptr[start : stop + 1] - low
    return rows


def _transposed(rows: Any) -> Any:
    """Return the transpose of a csr matrix as a csc matrix of the same arrays."""
    import scipy.sparse as sp

    columns = sp.csc_matrix(rows.shape[::-1], dtype=rows.dtype)
    columns.data, columns.indices, columns.indptr = rows.data, rows.indices, rows.indptr
    return columns


def _size_factors(counts: Any, blocks: list[Block]) -> NDArray[np.floating]:
    """Return what the counts of each cell are divided by: its total over the median of the totals above 0.

    A cell without counts is divided by 1. Totals are summed in double precision and rounded to that of the counts.
    """

    def totals(block: Block) -> NDArray[np.float64]:
        part = _rows(counts, block)
        return np.asarray(part @ np.ones(part.shape[1]))

    factors: NDArray[np.floating] = np.concatenate(map_blocks(totals, blocks, "totals of the cells"))
    factors = factors.astype(counts.dtype)
    counted = factors > 0
    if counted.any():
        factors /= np.median(factors[counted])
    factors[~counted] = 1
    return factors


def _logged(part: Any, factors: NDArray[np.floating]) -> NDArray[np.floating]:
    divided = part.data / np.repeat(factors, np.diff(part.indptr))
    return np.log1p(divided, out=divided)


def _moments(
    counts: Any, factors: NDArray[np.floating], blocks: list[Block]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the mean, variance and number of entries of each gene, of the normalised counts."""
    n, g = counts.shape

    def sums(group: Block) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        first, second, entries = np.zeros(g), np.zeros(g), np.zeros(g, dtype=np.int64)
        for block in blocks[slice(*group)]:
            part = _rows(counts, block)
            # scanpy takes the logarithm back, and squares, in the precision of the counts; so genes that nearly tie
            # for the last place are ranked as it ranks them. The sums are in double precision.
            part.data = _logged(part, factors[slice(*block)])
            np.expm1(part.data, out=part.data)
            ones = np.ones(part.shape[0])
            first += _transposed(part) @ ones
            np.multiply(part.data, part.data, out=part.data)
            second += _transposed(part) @ ones
            entries += np.bincount(part.indices, minlength=g)
        return first, second, entries

    groups = ranges(len(blocks), -(-len(blocks) // _SUMS))
    first, second, entries = (
        sum(parts) for parts in zip(*map_blocks(sums, groups, "variance of the genes"), strict=True)
    )
    mean = first / n
    variance = (second / n - mean**2) * (n / max(n - 1, 1))
    variance[variance < _NO_SPREAD * mean**2] = 0.0
    return mean, variance, entries


def variable_genes(mean: NDArray[np.float64], variance: NDArray[np.float64], n_genes: int) -> NDArray[np.bool_]:
    """Choose genes by the logarithm of variance over mean, standardised among genes of similar mean.

    Similar are those in one of 20 equally wide bins of log(1 + mean); a gene alone in its bin scores 1 (Satija et al.
    2015, doi:10.1038/nbt.3192, as scanpy's flavour "seurat" has it). A gene that does not vary has no score.
    """
    mean = np.where(mean == 0, _NO_MEAN, mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        dispersion = np.log(variance / mean)
    defined = np.isfinite(dispersion)
    bins = _mean_bins(np.log1p(mean))
    sizes = np.bincount(bins[defined], minlength=_BINS)
    # Counted from the least of the bin, so that equal dispersions have a deviation of exactly 0.
    least = np.full(_BINS, np.inf)
    np.minimum.at(least, bins[defined], dispersion[defined])
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.where(defined, dispersion - least[bins], np.nan)
        off = above - (np.bincount(bins[defined], above[defined], _BINS) / sizes)[bins]
        deviation = np.sqrt(np.bincount(bins[defined], off[defined] ** 2, _BINS) / (sizes - 1))
        score = off / deviation[bins]
    score[defined & (sizes[bins] == 1)] = 1.0
    ranked = np.sort(score[~np.isnan(score)])[::-1]
    if not len(ranked):
        raise LookupError("no gene varies between cells")
    return np.asarray(score >= ranked[min(n_genes, len(ranked)) - 1])  # NaN is not


def _mean_bins(mean: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the bin of every gene, 0 to 19; borders as ``pandas.cut`` draws them."""
    low, high = mean.min(), mean.max()
    if low == high:
        width = 0.001 * abs(low)
        borders = np.linspace(low - width, high + width, _BINS + 1)
    else:
        borders = np.linspace(low, high, _BINS + 1)
        borders[0] -= 0.001 * (high - low)
    return np.searchsorted(borders, mean) - 1


def _log_normalized(
    counts: Any,
    factors: NDArray[np.floating],
    blocks: list[Block],
    chosen: NDArray[np.bool_],
    entries: NDArray[np.int64],
) -> Any:
    """Return the log-transformed normalised counts of the chosen genes, as csr filled block by block."""
    import scipy.sparse as sp

    total, n, m = int(entries[chosen].sum()), counts.shape[0], int(chosen.sum())
    position = np.full(len(chosen), -1, dtype=np.int32)
    position[chosen] = np.arange(m)
    # One type for indices and pointers, or SciPy would convert one of them, which is a copy.
    whole = np.int64 if total > np.iinfo(np.int32).max else np.int32
    data, indices = np.empty(total, dtype=counts.dtype), np.empty(total, dtype=whole)
    pointers = np.zeros(n + 1, dtype=whole)
    for start, stop in blocks:
        part = _rows(counts, (start, stop))
        places = position[part.indices]
        keep = places >= 0
        kept = np.concatenate([[0], np.cumsum(keep)])[part.indptr]
        low, high = int(pointers[start]), int(pointers[start]) + int(kept[-1])
        data[low:high] = _logged(part, factors[start:stop])[keep]
        indices[low:high] = places[keep]
        pointers[start + 1 : stop + 1] = low + kept[1:]
    return sp.csr_matrix((data, indices, pointers), (n, m))


def decompose(X: Any, n_components: int, seed: int) -> NDArray[np.float32]:
    """Return the coordinates of the rows of `X` along its principal components, without centring it in memory.

    The sign of a component is that of its largest loading.
    """
    import scipy.sparse.linalg as linalg

    n, m = X.shape
    parts = _equal_parts(X.indptr, max(_PART, X.nnz // _PARTS))
    rows = [_rows(X, part) for part in parts]
    columns = [_transposed(part) for part in rows]
    start = np.random.RandomState(seed).uniform(-1, 1, min(n, m))
    with work("principal components of the counts"), one_blas_thread(), _mapping(len(parts)) as each:
        mean = (sum(each(lambda i: columns[i] @ np.ones(rows[i].shape[0]))) / n).astype(X.dtype)

        def times(v: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate(each(lambda i: rows[i] @ v)) - mean @ v

        def times_transposed(u: NDArray[Any]) -> NDArray[Any]:
            # Partial sums are added in the order of the blocks, whichever thread made them.
            total = sum(each(lambda i: columns[i] @ u[slice(*parts[i])]))
            return np.asarray(total - np.multiply.outer(mean, u.sum(axis=0)))

        centred = linalg.LinearOperator(
            (n, m), matvec=times, matmat=times, rmatvec=times_transposed, rmatmat=times_transposed, dtype=X.dtype
        )
        left, sizes, right = linalg.svds(centred, k=n_components, v0=start, **restarts(linalg.svds, seed))
    signs = np.sign(right[np.arange(n_components), np.argmax(np.abs(right), axis=1)])
    coordinates: NDArray[np.float32] = np.empty((n, n_components), dtype=np.float32)
    return np.multiply(left[:, ::-1], (sizes * signs)[::-1], out=coordinates, casting="same_kind")


@contextmanager
def _mapping(n: int) -> Iterator[Callable[[Callable[[int], Any]], list[Any]]]:
    """Give a function that maps 0 to n - 1, results in order, on threads that live as long as it does.

    Hundreds of products of milliseconds each are too short to begin new threads for every one.
    """
    threads = min(num_threads(), n)
    if threads <= 1:
        yield lambda function: [function(i) for i in range(n)]
        return
    with ThreadPoolExecutor(threads - 1) as pool:

        def each(function: Callable[[int], Any]) -> list[Any]:
            results: list[Any] = [None] * n

            def share(thread: int) -> None:
                for i in range(thread, n, threads):
                    results[i] = function(i)

            others = [pool.submit(share, thread) for thread in range(1, threads)]
            share(0)
            for other in others:
                other.result()
            return results

        yield each
