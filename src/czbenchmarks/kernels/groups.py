"""Sums and means over groups of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def weighted_row_sums(matrix: Any, weights: NDArray[np.float64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the weighted sum of rows for some columns, in double precision, without a dense copy.

    Parameters
    ----------
    matrix
        n x g dense array or SciPy sparse matrix.
    weights
        n weights; rows of weight 0 are not read.
    columns
        Columns wanted.
    """
    rows = np.flatnonzero(weights)
    part = matrix[rows][:, columns]
    if hasattr(part, "toarray"):
        part = part.toarray()
    # A plain sum over rows: a BLAS product would round by the number of threads.
    return np.einsum("r,rc->c", weights[rows], np.asarray(part, dtype=np.float64))
