"""Order of cells along time in an embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from czbenchmarks._check import cell_ids, numbers, whole
from czbenchmarks.exceptions import InputError
from czbenchmarks.kernels import sequence

from .inputs import nearest, noted, represent
from .results import Measurement, Units


def sequential_alignment(
    X: Any, labels: Any, k: int = 10, normalize: bool = True, adaptive_k: bool = False
) -> Measurement:
    """One minus the ratio of the mean label difference among neighbours to that among cells drawn at random.

    For each cell: the mean of |l_i - l_j| over its k nearest other cells (Euclidean); mean over cells; divided by the
    exact expectation over random pairs. Best 1, chance 0; values below 0 are set to 0. Not normalised: the mean itself,
    best 0. Not defined, if normalised, where all labels are equal.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n numbers, or text that reads as numbers.
    k
        Nearest other cells counted, less than n.
    normalize
        Divide by the expectation for random neighbours.
    adaptive_k
        Take fewer neighbours where cells are dense and more where they are sparse (3 to 50).

    Examples
    --------
    >>> sequential_alignment([[0.0], [0.1], [5.0], [5.1]], [1, 1, 2, 2], k=1).value
    1.0
    """
    embedding = represent(X, "X")
    values = numbers(labels, "labels", embedding.n)
    k = whole(k, "k", 1)
    if embedding.n < k + 1:
        raise InputError(f"Need at least {k + 1:,} cells for k={k:,}, got {embedding.n:,}; pass a smaller `k`.")
    if normalize and len(np.unique(values)) < 2:
        return Measurement.undefined(f"all cells have one label, {values[0]:g}")
    if adaptive_k:
        wanted = sequence.adaptive_k(embedding.neighbors(sequence.density_list_length(embedding.n, k)), k)
        wanted = np.minimum(wanted, embedding.n - 1)
    else:
        wanted = np.full(embedding.n, k, dtype=np.int64)
    # As published, there is a value whatever is to be doubted.
    near = nearest(embedding, int(wanted.max()) + 1, "", np.unique(values, return_inverse=True)[1], wanted + 1)
    neighbors = near.neighbors
    each = sequence.neighbor_differences(neighbors, values, wanted)
    observed = float(each.mean())
    counts = {"used": embedding.n, "left_out": 0}
    details: dict[str, Any] = noted({"k": k, **near.details}, near.reason)
    ids = cell_ids(labels, embedding.n)
    if not normalize:
        return Measurement(observed, None, Units("cell", ids, each, {"label": values}), counts, details)
    expected = sequence.expected_difference(values)
    details["expected_difference"] = expected
    units = Units("cell", ids, 1 - each / expected, {"label": values})
    return Measurement(float(np.clip(1 - observed / expected, 0.0, 1.0)), None, units, counts, details)
