"""Where the cells of a graph lie for a random walk on it: diffusion maps.

The walk is made independent of how densely the cells lie (Coifman and Lafon 2006, doi:10.1016/j.acha.2006.04.006) and
all its lengths are taken together, so that an eigenvector with eigenvalue e counts e / (1 - e) (Haghverdi et al. 2016,
doi:10.1038/nmeth.3971).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .lanczos import SPARE, largest_eigenpairs
from .parallel import one_blas_thread

# Up to so many cells all eigenvectors of the dense matrix take less time than the first hundred of the sparse one.
_DENSE = 500
_IS_ONE = 3e-8  # single precision does not tell such an eigenvalue from 1
_SEED = 0


def diffusion_coordinates(graph: Any, pieces: NDArray[np.integer], n_components: int) -> NDArray[np.float64]:
    """Return the coordinates of the cells, n x c: eigenvectors of the walk, each times e / (1 - e).

    The eigenvector of e = 1, of which every piece of the graph has one, counts once. `graph` is a symmetric n x n csr
    matrix of weights, at least 0, with a positive weight in every row, and `pieces` the connected component of every
    cell, from 0. Of the eigenvectors those with the largest magnitude of e are given, at most n - 1.
    """
    n = graph.shape[0]
    wanted = min(n_components, n - 1)
    walk = _walk(graph)
    # Each piece by itself: iterations from eight vectors see an eigenvalue that all pieces share eight times at most.
    parts = [np.flatnonzero(pieces == piece) for piece in range(int(pieces.max()) + 1)]
    found = [_largest(walk[part][:, part] if len(parts) > 1 else walk, wanted) for part in parts]
    values = np.concatenate([eigenvalues for eigenvalues, _ in found])
    chosen = np.argsort(-np.abs(values), kind="stable")[:wanted]
    column = np.full(len(values), -1)
    column[chosen] = np.arange(len(chosen))
    coordinates = np.zeros((n, len(chosen)))
    first = 0
    for part, (eigenvalues, vectors) in zip(parts, found, strict=True):
        own = column[first : first + len(eigenvalues)]
        first += len(eigenvalues)
        one = np.abs(eigenvalues - 1.0) < _IS_ONE
        factors = np.divide(eigenvalues, 1.0 - eigenvalues, out=np.ones_like(eigenvalues), where=~one)
        coordinates[np.ix_(part, own[own >= 0])] = (vectors * factors)[:, own >= 0]
    return coordinates


def _walk(graph: Any) -> Any:
    """Return the symmetric matrix of the walk, in double precision: the same eigenvalues as the walk itself."""
    import scipy.sparse as sp

    found = graph.astype(np.float64)
    for power in (1.0, 0.5):  # first the density is taken out, then the columns are made to sum to 1
        scale = sp.diags_array(np.asarray(found.sum(axis=0)).ravel() ** -power)
        found = scale @ found @ scale
    return sp.csr_matrix(found)


def _largest(walk: Any, wanted: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the eigenvalues of largest magnitude, at most `wanted`, and their vectors as columns."""
    import scipy.linalg

    with one_blas_thread():
        if walk.shape[0] > max(_DENSE, wanted + SPARE):
            return largest_eigenpairs(walk, wanted, _SEED)
        values, vectors = scipy.linalg.eigh(walk.toarray())
        chosen = np.argsort(-np.abs(values), kind="stable")[:wanted]
        return values[chosen], vectors[:, chosen]
