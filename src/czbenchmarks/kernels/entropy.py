"""Mixing of groups among each cell's neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .parallel import map_blocks, ranges

_VALUES = 1 << 19  # neighbours at a time in each thread, 4 MB in the largest array


def neighbor_entropy(indices: NDArray[np.integer], codes: NDArray[np.int64], n_groups: int) -> NDArray[np.float64]:
    """Return the entropy of the group shares among each cell's neighbours, divided by log(number of groups).

    Of n x k neighbour lists and the group of every cell, 0 to `n_groups` - 1 (at least two groups). The n values are in
    [0, 1]: 0 where all neighbours share one group, 1 where the groups are equally frequent.
    """
    n, k = indices.shape
    values = np.empty(n)

    def visit(block: tuple[int, int]) -> None:
        start, stop = block
        rows = np.arange(stop - start)[:, None] * n_groups
        flat = (rows + codes[indices[start:stop]]).ravel()
        shares = np.bincount(flat, minlength=(stop - start) * n_groups).reshape(-1, n_groups) / k
        logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
        values[start:stop] = 0.0 - (shares * logs).sum(axis=1)  # never -0.0

    map_blocks(visit, ranges(n, max(1, _VALUES // max(k, n_groups))), "entropy of the neighbours")
    return np.minimum(values / np.log(n_groups), 1.0)  # rounding can take equal shares beyond
