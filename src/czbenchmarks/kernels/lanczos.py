"""Many eigenvectors of a sparse symmetric matrix, by Lanczos iterations with a few vectors at a time.

They are kept at right angles; when there is no room left, the best combinations of them stay (Wu and Simon 2000,
doi:10.1137/S0895479898334605). ARPACK gives the same numbers in twice the time and lets no other thread of Python run
meanwhile, while the matrices of many labels are to be solved side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SPARE = 140  # vectors kept beyond those wanted
_CARRIED = 30  # of these, when there is no room left
_BLOCK = 8  # more take fewer passes over what is kept, and find eigenvalues that occur many times
# Products are cheap beside right angles, and the cube has the same vectors in the same order, farther apart.
_POWER = 3
_ENOUGH = 1e-10  # how far the cube may turn a vector, over the largest eigenvalue of the cube
_WEAK = 0.5  # share of a product below which rounding spoils the right angles of what it adds
_NOTHING = 1e-14  # of the largest eigenvalue
_ROUNDS = 1000  # some six are needed


def largest_eigenpairs(matrix: Any, wanted: int, seed: int) -> tuple[Floats, Floats]:
    """Return the eigenvalues of largest magnitude, and their vectors as columns.

    `matrix` is n x n, sparse, symmetric, in double precision, not all zero; `wanted` is 1 to n - `SPARE`. Vectors of
    eigenvalues below 1e-5 of the largest are mixed, and of one that occurs dozens of times some may be missed. The
    caller holds BLAS to one thread, or the last digits follow the number of threads. Raises ``RuntimeError`` if they do
    not settle.
    """
    rng = np.random.default_rng(seed)
    n, room = matrix.shape[0], wanted + SPARE
    kept = np.empty((n, room), order="F")
    inner = np.zeros((room, room))  # the cube as seen by what is kept
    block = np.linalg.qr(rng.uniform(-1, 1, (n, _BLOCK)))[0]
    size, largest = 0, 0.0
    for _ in range(_ROUNDS):
        while size + _BLOCK <= room:
            new = slice(size, size + _BLOCK)
            size += _BLOCK
            kept[:, new] = product = block
            for _ in range(_POWER):
                product = matrix @ product
            known = kept[:, :size]
            seen = known.T @ product
            inner[:size, new], inner[new, :size] = seen, seen.T
            largest = max(largest, float(np.abs(seen).max()))
            added = product - known @ seen
            block = _next_block(added, np.linalg.norm(product, axis=0), known, largest, rng)
        values, vectors = np.linalg.eigh(inner[:size, :size])
        order = np.argsort(-np.abs(values), kind="stable")
        best = order[:wanted]
        if np.linalg.norm(added @ vectors[new][:, best], axis=0).max() <= _ENOUGH * np.abs(values[best[0]]):
            found = known @ vectors[:, best]
            return np.einsum("ij,ij->j", found, matrix @ found), found
        carried = order[: wanted + _CARRIED]
        size = len(carried)
        kept[:, :size] = known @ vectors[:, carried]
        inner[:] = 0.0
        inner[range(size), range(size)] = values[carried]
    raise RuntimeError(f"The eigenvectors of {n:,} cells have not settled in {_ROUNDS:,} rounds.")


def _next_block(added: Floats, lengths: Floats, known: Floats, largest: float, rng: np.random.Generator) -> Floats:
    """Return vectors of length 1 that span what was added, at right angles to each other and to what is known."""
    import scipy.linalg

    block, triangle = np.linalg.qr(added)
    if (np.abs(np.diag(triangle)) < _WEAK * lengths).any():
        block, triangle, _ = scipy.linalg.qr(added, mode="economic", pivoting=True)  # the diagonal falls
        nothing = np.abs(np.diag(triangle)) < _NOTHING * largest  # what is known is closed: go on from anywhere
        block[:, nothing] = rng.uniform(-1, 1, (len(block), int(nothing.sum())))
        for _ in range(2):
            block = np.linalg.qr(block - known @ (known.T @ block))[0]
    return np.asarray(block)
