"""A weighted mean over cells, estimated from a stratified sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class StratifiedSample:
    """Cells drawn without replacement from every stratum, at least two of each, more from the weightier ones.

    `strata` holds the stratum of every cell, from 0; -1 for cells that do not count. The `weights` in the mean of those
    that count sum to 1. About `size` cells are drawn: shares are rounded, and a stratum gives two cells (or its only
    one) at least. `rows` are the cells drawn, in order.
    """

    def __init__(self, strata: NDArray[np.int64], weights: NDArray[np.float64], size: int, seed: int) -> None:
        counted = np.flatnonzero(strata >= 0)
        self.sizes = np.bincount(strata[counted])
        self.shares = np.bincount(strata[counted], weights=weights[counted])
        drawn = np.minimum(self.sizes, np.maximum(2, np.rint(size * self.shares).astype(np.int64)))
        # In random order within each stratum, the first so many of it.
        shuffled = counted[np.random.default_rng(seed).permutation(len(counted))]
        ordered = shuffled[np.argsort(strata[shuffled], kind="stable")]
        starts = np.cumsum(self.sizes) - self.sizes
        rank = np.arange(len(ordered)) - np.repeat(starts, self.sizes)
        self.rows = np.sort(ordered[rank < np.repeat(drawn, self.sizes)])
        self._strata = strata[self.rows]

    def mean(self, values: NDArray[np.float64]) -> tuple[float, float]:
        """Return the weighted mean over all cells that count, and its standard error, from the values of `rows`.

        Within a stratum all cells weigh the same.
        """
        drawn = np.bincount(self._strata, minlength=len(self.sizes))
        means = np.bincount(self._strata, weights=values, minlength=len(self.sizes)) / np.maximum(drawn, 1)
        squares = np.bincount(self._strata, weights=(values - means[self._strata]) ** 2, minlength=len(self.sizes))
        variances = squares / np.maximum(drawn - 1, 1)
        left = 1.0 - drawn / np.maximum(self.sizes, 1)  # nothing is uncertain of a stratum that was drawn whole
        error = np.sqrt((self.shares**2 * left * variances / np.maximum(drawn, 1)).sum())
        return float((self.shares * means).sum()), float(error)
