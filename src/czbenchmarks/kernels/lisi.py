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
_TOLERANCE = 1e-10  # of the entropy
_NO_SPREAD = 1e-12  # of the largest distance: beneath it is rounding
_SHARPEST = 1e12  # beta times spread; beyond it rounding would be told from distance
_LONGEST_STEP = 2.0  # in the logarithm of beta


def sharpness(distances: Floats, perplexity: float) -> Floats:
    """Return what the spread of a row's distances is multiplied with: beta times (largest - smallest distance).

    Parameters
    ----------
    distances
        n x k, k at least 2; the first column, the cell itself, does not count. The others rise from left to right.
    perplexity
        exp of the entropy that the weights shall have, at least 1 and less than k - 1.

    Returns
    -------
    n numbers. Where as many cells as `perplexity` are nearest and equally near, no beta gives that entropy; the
    number is then so large that only these have weight.
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
    mean = excess.mean(axis=1)
    # The root of what the entropy would be if it fell as that of evenly spread distances does.
    log_beta = np.log(np.maximum(1.0, np.log(k) / np.maximum(mean, 1 / _SHARPEST)))
    result = log_beta.copy()
    low, high = np.full(rows, -np.inf), np.full(rows, np.log(_SHARPEST))
    active = np.arange(rows)
    for _ in range(_STEPS):
        beta = np.exp(log_beta)
        entropy, slope = _entropy(excess, beta)
        off = entropy - target
        going = (np.abs(off) > _TOLERANCE) & ~((off > 0) & (log_beta >= high))
        result[active] = log_beta
        if not going.any():
            break
        if not going.all():
            active, excess, log_beta, off, slope = (
                part[going] for part in (active, excess, log_beta, off, slope)
            )
            low, high = low[going], high[going]
        low, high = np.where(off > 0, log_beta, low), np.where(off > 0, high, log_beta)
        with np.errstate(divide="ignore", over="ignore"):
            step = np.clip(off / slope, -_LONGEST_STEP, _LONGEST_STEP)
        wanted = log_beta + step
        inside = (wanted > low) & (wanted < high)
        # Without a lower bound the way down is open, and the step stays inside.
        log_beta = np.where(inside, wanted, np.where(np.isfinite(low), (low + high) / 2, wanted))
    return np.exp(result)
