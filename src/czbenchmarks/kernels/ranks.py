"""Ranks, and the agreement of ranks, of many series at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mean_ranks(values: NDArray[np.float64], bounds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rank the values of each series from 1; equal values share the mean of their ranks.

    `values` holds all series, one after the other, without NaN; series s is ``values[bounds[s]:bounds[s + 1]]``.
    """
    n = len(values)
    lengths = np.diff(bounds)
    series = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((values, series))
    ordered = values[order]
    new = np.ones(n + 1, dtype=bool)  # where a run of equal values of one series begins, and the end
    new[1:n] = (ordered[1:] != ordered[:-1]) | (series[1:] != series[:-1])
    first = np.flatnonzero(new)
    mean = (first[:-1] + first[1:] + 1) / 2  # of the positions from 1 within all series
    ranks = np.empty(n)
    ranks[order] = np.repeat(mean, np.diff(first))
    return ranks - bounds[:-1][series]


def rank_correlations(
    a: NDArray[np.float64], b: NDArray[np.float64], bounds: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Spearman's correlation of each series of `a` with that of `b`, laid out as in `mean_ranks`.

    Returns the correlations, NaN where a side is constant, and the spread (sum of squares about the mean) of the ranks
    of either side, 0 where it is constant.
    """
    lengths = np.diff(bounds)
    middle = np.repeat((lengths + 1) / 2, lengths)
    x, y = mean_ranks(a, bounds) - middle, mean_ranks(b, bounds) - middle
    # Centred ranks are multiples of 1/2, so the sums are exact, in whatever order, up to 300,000 values.
    both, of_a, of_b = (_sums(product, bounds) for product in (x * y, x * x, y * y))
    with np.errstate(invalid="ignore"):
        return np.clip(both / np.sqrt(of_a * of_b), -1.0, 1.0), of_a, of_b


def _sums(values: NDArray[np.float64], bounds: NDArray[np.int64]) -> NDArray[np.float64]:
    sums = np.zeros(len(bounds) - 1)
    filled = np.diff(bounds) > 0  # reduceat gives an empty series the value after it
    if filled.any():
        sums[filled] = np.add.reduceat(values, bounds[:-1][filled])
    return sums
