"""Principal components of values as they are: centred, nothing normalised, nothing drawn.

Up to a few thousand columns by the eigenvectors of their covariance, which is summed over blocks of rows in double
precision; beyond, by Lanczos iterations from a fixed start, see ``components``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._progress import work

from .components import decompose
from .parallel import map_blocks, one_blas_thread, ranges

_MOST_COLUMNS = 2500  # whose covariance is made
_ENTRIES = 1 << 22  # of a block of rows, 32 MB
_TILE = 256  # columns of the covariance per piece of work
_SEED = 0  # of the start of the iterations


def project(values: Any, n_components: int) -> NDArray[np.floating]:
    """Return the coordinates of rows along their principal components, the one of largest variance first.

    `values` is n x g, finite; dense, or csr in canonical format. The coordinates are n x `n_components`, no more than n
    - 1 (one at least) or g, each column of mean 0. The sign of a component is that of its largest loading.
    """
    n, g = values.shape
    k = max(1, min(n_components, n - 1, g))
    if g > _MOST_COLUMNS and n > 2:
        import scipy.sparse as sp

        return decompose(sp.csr_matrix(values), k, _SEED)
    blocks = ranges(n, max(1, _ENTRIES // g))
    with work("principal components", len(blocks)) as advance:
        mean = _sum(values, blocks) / n
        covariance = np.zeros((g, g))
        for block in blocks:
            _add_products(_centred(values, mean, block), covariance)
            advance(1)
        loadings = _eigenvectors(covariance, k)
        coordinates = np.empty((n, k))

        def visit(block: tuple[int, int]) -> None:
            coordinates[slice(*block)] = _centred(values, mean, block) @ loadings

        map_blocks(visit, blocks)
    return coordinates


def _centred(values: Any, mean: NDArray[np.float64], block: tuple[int, int]) -> NDArray[np.float64]:
    rows = values[slice(*block)]
    dense = rows.toarray() if hasattr(rows, "toarray") else rows
    return np.asarray(dense - mean)


def _sum(values: Any, blocks: list[tuple[int, int]]) -> NDArray[np.float64]:
    def total(block: tuple[int, int]) -> NDArray[np.float64]:
        return np.asarray(values[slice(*block)].sum(axis=0, dtype=np.float64)).ravel()

    return np.asarray(sum(map_blocks(total, blocks)))


def _add_products(rows: NDArray[np.float64], covariance: NDArray[np.float64]) -> None:
    """Add the products of pairs of columns to the lower triangle, by tiles; each is one thread's."""

    def visit(tile: tuple[int, int]) -> None:
        covariance[tile[0] :, slice(*tile)] += rows[:, tile[0] :].T @ rows[:, slice(*tile)]

    map_blocks(visit, ranges(rows.shape[1], _TILE))


def _eigenvectors(covariance: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return the eigenvectors of the `k` largest eigenvalues, as columns; the lower triangle is read."""
    import scipy.linalg

    g = len(covariance)
    with one_blas_thread():
        _, vectors = scipy.linalg.eigh(covariance, lower=True, subset_by_index=(g - k, g - 1))
    vectors = vectors[:, ::-1]
    largest = vectors[np.argmax(np.abs(vectors), axis=0), np.arange(k)]
    return np.asarray(vectors * np.where(largest < 0, -1.0, 1.0))
