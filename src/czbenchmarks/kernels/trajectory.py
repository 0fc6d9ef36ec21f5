"""Diffusion pseudotime on a neighbour graph (Haghverdi et al. 2016, doi:10.1038/nmeth.3971).

The eigenvectors come from a full decomposition for few cells and from Lanczos iterations with a fixed start for more,
both on one BLAS thread; nothing is drawn from a generator that others use. Double precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._progress import work

from .arpack import restarts
from .parallel import one_blas_thread

_FULL = 400  # cells up to which all eigenvectors are computed
_START = 0  # seed of the start of the iterations


def largest_component(graph: Any) -> NDArray[np.int64]:
    """Return the positions of the cells of the largest connected part; of equally large ones the first.

    `graph` is a symmetric n x n csr matrix.
    """
    from scipy.sparse.csgraph import connected_components

    _, part = connected_components(graph, directed=False)
    return np.flatnonzero(part == np.argmax(np.bincount(part)))


def transitions(graph: Any) -> tuple[Any, NDArray[np.float64]]:
    """Return the symmetric form of the transitions of a random walk freed of the density of the cells.

    Beside it the eigenvector of its eigenvalue 1, which is that of the walk's stationary state. `graph` is a symmetric
    n x n csr matrix of weights at least 0, every row with one above 0.
    """
    import scipy.sparse as sp

    weights = graph.astype(np.float64)
    density = sp.diags(1 / np.asarray(weights.sum(axis=0)).ravel())
    kernel = density @ weights @ density
    root = np.sqrt(np.asarray(kernel.sum(axis=0)).ravel())
    scale = sp.diags(1 / root)
    return (scale @ kernel @ scale).tocsr(), root / np.sqrt((root**2).sum())


def diffusion_components(graph: Any, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the largest eigenvalues of the transitions, the stationary 1 first, and their eigenvectors as columns.

    `graph` is as `transitions` takes it, connected; `k` (at most n - 1) are given beside the stationary one.
    """
    import scipy.linalg
    import scipy.sparse.linalg

    matrix, stationary = transitions(graph)
    n = matrix.shape[0]
    with work("diffusion components"), one_blas_thread():
        if n <= max(_FULL, 3 * k):
            values, vectors = scipy.linalg.eigh(matrix.toarray(), subset_by_index=(n - k - 1, n - 1))
        else:
            start = np.random.RandomState(_START).uniform(-1, 1, n)
            again = restarts(scipy.sparse.linalg.eigsh, _START)
            values, vectors = scipy.sparse.linalg.eigsh(matrix, k=k + 1, which="LA", v0=start, **again)
    order = np.argsort(values)[::-1][1:]
    return np.append(1.0, values[order]), np.column_stack([stationary, vectors[:, order]])


def root_cell(vectors: NDArray[np.float64], candidates: NDArray[np.int64]) -> int:
    """Return the candidate that is farthest out in most of some diffusion components (n x components).

    In each component the candidates lie, on average, on one side of the mean of all cells; the one farthest out on that
    side gets its vote. Where votes tie, that of the first component past the stationary one (which is first) decides.
    """
    votes = []
    for component in vectors.T:
        own = component[candidates]
        below = own.mean() < component.mean()
        votes.append(int(candidates[np.argmin(own) if below else np.argmax(own)]))
    return max([*votes[1:], votes[0]], key=votes.count)  # the first of those with most


def diffusion_pseudotime(values: NDArray[np.float64], vectors: NDArray[np.float64], root: int) -> NDArray[np.float64]:
    """Return the diffusion distance of every cell from the cell `root`, over the largest.

    Values and vectors are as `diffusion_components` gives them; the stationary one does not count.
    """
    weights = values[1:] / np.maximum(1 - values[1:], np.finfo(np.float64).eps)
    distance = np.sqrt((((vectors[:, 1:] - vectors[root, 1:]) * weights) ** 2).sum(axis=1))
    most = distance.max()
    return np.asarray(np.round(distance / most, 9) if most > 0 else distance)  # rounding decides what is beyond
