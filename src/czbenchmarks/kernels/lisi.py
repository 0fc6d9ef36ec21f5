"""Local inverse Simpson index: the effective number of groups around every cell.

Neighbours weigh exp(-beta d), and beta is chosen cell by cell so that the entropy of the weights is the logarithm of
the perplexity. beta is found by Newton's method in its logarithm, inside a bracket, in units of how far the distances
of the row spread: so it takes a handful of steps whatever the unit of the embedding. All in double precision, block by
block of rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .parallel import map_blocks, ranges

Floats = NDArray[np.float64]

_ROWS = 1024
_VALUES = 1 << 19  # sums of rows x groups at a time
_STEPS = 50
_NEAR = 1e-5  # to the entropy wanted
_NO_SPREAD = 1e-12  # of the largest distance: beneath it is rounding
_SHARPEST = 1e12  # beta times spread; beyond it rounding would be taken for distance
_MANY_SCALES = 50.0  # exp(-50) is nothing beside 1
_ROUNDING = 1e-12
_LONGEST_STEP = 2.0  # in the logarithm of beta
_FIRST = 2.0  # guess of beta times the mean excess


def sharpness(distances: Floats, perplexity: float) -> Floats:
    """Return what the spread of a row's distances is multiplied with: beta times (largest - smallest distance).

    `distances` is n x k, k at least 2; the first column, the cell itself, does not count, and the others rise from left
    to right. `perplexity` is exp of the entropy that the weights shall have, at least 1 and less than k - 1. Where as
    many cells as that are nearest and equally near, no beta gives that entropy; the number is then so large that only
    these have weight.
    """
    n = len(distances)
    found = np.empty(n)

    def visit(block: tuple[int, int]) -> None:
        found[slice(*block)] = _sharpness(_excess(distances[slice(*block)]), float(np.log(perplexity)))

    map_blocks(visit, ranges(n, _ROWS), "weights of the neighbours")
    return found


def _excess(distances: Floats) -> Floats:
    """Return what the others' distances are above the smallest, 0 to 1 in units of their spread.

    Subtracting the smallest changes neither weights nor entropy, and nothing underflows for a cell far from all.
    """
    others = distances[:, 1:]
    spread = others[:, -1] - others[:, 0]
    spread = np.where(spread > _NO_SPREAD * others[:, -1], spread, np.inf)
    return np.asarray((others - others[:, :1]) / spread[:, None])


def _sharpness(excess: Floats, target: float) -> Floats:
    rows, k = excess.shape
    result = np.full(rows, _SHARPEST)
    # So many cells are nearest and equally near that no beta tells them apart.
    rank = min(int(np.exp(target)), k) - 1
    alike = np.flatnonzero(excess[:, rank] < _MANY_SCALES / _SHARPEST)
    alike = alike[_entropy(excess[alike], result[alike])[0] >= target - _ROUNDING]
    active = np.delete(np.arange(rows), alike)
    excess = excess[active]
    log_beta = np.log(_FIRST / np.maximum(excess.mean(axis=1), 1 / _SHARPEST))
    low, high = np.full(len(active), -np.inf), np.full(len(active), np.inf)
    for _ in range(_STEPS):
        if not len(active):
            break
        entropy, slope = _entropy(excess, np.exp(log_beta))
        off = entropy - target
        low, high = np.where(off > 0, log_beta, low), np.where(off > 0, high, log_beta)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            wanted = log_beta + np.clip(off / slope, -_LONGEST_STEP, _LONGEST_STEP)
            middle = (low + high) / 2
        # Before both bounds are known a step goes beyond the one that is; after that it may not leave them.
        log_beta = np.where((wanted > low) & (wanted < high), wanted, middle)
        result[active] = np.exp(log_beta)
        going = np.abs(off) > _NEAR  # from near, the step just taken leaves the square of what was off
        if not going.all():
            active, excess = active[going], excess[going]
            log_beta, low, high = log_beta[going], low[going], high[going]
    return result


def _entropy(excess: Floats, beta: Floats) -> tuple[Floats, Floats]:
    """Return the entropy of every row's weights, and how fast it falls with the logarithm of beta."""
    weights = _weights(excess, beta)
    total = weights.sum(axis=1)
    mean = np.einsum("ij,ij->i", weights, excess) / total
    squares = np.einsum("ij,ij,ij->i", weights, excess, excess) / total
    return np.log(total) + beta * mean, beta**2 * np.maximum(squares - mean**2, 0.0)


def _weights(excess: Floats, beta: Floats) -> Floats:
    weights = excess * -beta[:, None]
    return np.exp(weights, out=weights)


def inverse_simpson(
    indices: NDArray[np.integer], distances: Floats, sharp: Floats, codes: NDArray[np.int64], n_groups: int
) -> Floats:
    """Return for every cell 1 over the chance that two neighbours, drawn by weight, are of one group.

    Of n x k neighbour lists, the cell itself first (it does not count), what `sharpness` gives for them, and the group
    of every cell, 0 to `n_groups` - 1. Values are 1 to `n_groups`; NaN where one neighbour has all the weight.
    """
    n, k = indices.shape
    values = np.empty(n)

    def visit(block: tuple[int, int]) -> None:
        part = slice(*block)
        excess = _excess(distances[part])
        weights = _weights(excess, sharp[part])
        weights /= weights.sum(axis=1, keepdims=True)
        rows = np.arange(len(weights))[:, None] * n_groups
        places = (rows + codes[indices[part, 1:]]).ravel()
        shares = np.bincount(places, weights.ravel(), len(weights) * n_groups).reshape(-1, n_groups)
        simpson = np.einsum("ij,ij->i", shares, shares)
        # Rounding takes it beyond what is possible.
        values[part] = np.clip(1 / simpson, 1.0, n_groups)
        values[part][weights.max(axis=1) == 1.0] = np.nan  # their entropy is 0

    map_blocks(visit, ranges(n, max(1, min(_ROWS, _VALUES // max(k, n_groups)))), "groups of the neighbours")
    return values
