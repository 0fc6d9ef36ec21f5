"""Connected parts of each group in the neighbour graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._progress import work


def largest_components(
    indices: NDArray[np.integer], codes: NDArray[np.int64], n_groups: int, *, strong: bool
) -> NDArray[np.int64]:
    """Return for every group the cells of the largest connected part of the graph among its cells.

    A cell has an edge to each cell of its group in its list (`indices`: n x k, the cell itself first), whatever the
    distance; `strong` follows edges in this direction only, else both ways. Each of the groups 0 to `n_groups` - 1
    occurs in `codes`.
    """
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    n = len(codes)
    with work("connected parts of the neighbour graph"):
        inside = codes[indices[:, 1:]] == codes[:, None]
        ends = np.concatenate([[0], np.cumsum(inside.sum(axis=1))]).astype(np.int32)
        columns = indices[:, 1:][inside]
        # No edge joins two groups, so the parts of all groups are found at once.
        graph = sp.csr_matrix((np.ones(len(columns)), columns, ends), shape=(n, n))
        n_parts, part = connected_components(graph, connection="strong" if strong else "weak")
    sizes = np.bincount(part, minlength=n_parts)
    largest = np.zeros(n_groups, dtype=np.int64)
    np.maximum.at(largest, codes, sizes[part])
    return largest
