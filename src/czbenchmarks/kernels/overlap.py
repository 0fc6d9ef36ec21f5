"""Neighbours that two spaces have in common, beside what lists that know nothing of each other have."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Overlap(NamedTuple):
    """How many pairs (cell, neighbour) two lists share; mean and variance of it if one list's cells were shuffled."""

    shared: int
    expected: float
    variance: float


def shared_neighbors(lists: NDArray[np.integer], others: NDArray[np.integer]) -> Overlap:
    """Count the neighbours that every cell has in both lists, and what shuffling the cells of one of them would give.

    Lists are n x (k + 1), the cell itself first, of at least four cells. Mean and variance over all n! orders of the
    cells have a closed form (Mantel 1967; Hubert and Schultz 1976): the expectation of a product of two entries depends
    only on which of their four cells are the same one.
    """
    one, other = _neighbors(lists), _neighbors(others)
    n = one.shape[0]
    expected = float(one.nnz) * other.nnz / (n * (n - 1))
    ordered = [1.0]  # n (n - 1) ..., as many ways to choose so many different cells
    for i in range(4):
        ordered.append(ordered[-1] * (n - i))
    # Two pairs that have two cells in common, both in this order or the other; one cell; none.
    (same, turned, one_cell, none), (same_, turned_, one_cell_, none_) = _products(one), _products(other)
    squared = (same * same_ + turned * turned_) / ordered[2] + none * none_ / ordered[4]
    squared += sum(a * b for a, b in zip(one_cell, one_cell_, strict=True)) / ordered[3]
    return Overlap(int(one.multiply(other).nnz), expected, max(0.0, squared - expected**2))


def _neighbors(lists: NDArray[np.integer]) -> Any:
    import scipy.sparse as sp

    n, k = lists.shape[0], lists.shape[1] - 1
    return sp.csr_matrix((np.ones(n * k), lists[:, 1:].ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))


def _products(pairs: Any) -> tuple[float, float, tuple[float, float, float, float], float]:
    """Count pairs of pairs (i, j) and (k, l) by which of the cells are the same one."""
    out = np.asarray(pairs.sum(axis=1)).ravel()
    into = np.asarray(pairs.sum(axis=0)).ravel()
    same, turned = float(pairs.nnz), float(pairs.multiply(pairs.T).nnz)
    through = float(out @ into) - turned
    one_cell = (float(out @ out) - same, float(into @ into) - same, through, through)
    return same, turned, one_cell, same**2 - same - turned - sum(one_cell)
