"""scGraph: distances between groups of cells in an embedding, against those within each batch's own components.

All in double precision. Groups are few, so what is k x k here is small.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .components import variable_genes
from .expression import Expression, moments, taken
from .parallel import map_blocks
from .projection import project
from .ranks import mean_ranks


def centroids(X: NDArray[Any], codes: NDArray[np.int64], k: int, trim: float) -> NDArray[np.float64]:
    """Return the trimmed mean of each group, dimension by dimension; NaN for a group without cells.

    The group of every row of `X` (n x d) is 0 to k - 1, or -1 for cells that count for nothing. `trim` is the share of
    a group's cells left out at each end, rounded down to whole cells.
    """
    found = np.full((k, X.shape[1]), np.nan)

    def one(group: int) -> None:
        own = np.sort(X[codes == group].astype(np.float64), axis=0)
        cut = int(trim * len(own))
        if len(own):
            found[group] = own[cut : len(own) - cut].mean(axis=0)

    map_blocks(one, range(k), "centroids of the labels")
    return found


def relative_distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Euclidean distances between points, each column over its maximum; NaN where a point is, or all are 0."""
    distances = np.stack([np.sqrt(((points - point) ** 2).sum(axis=1)) for point in points], axis=1)
    return over_maximum(distances)


def over_maximum(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide each column by its maximum, NaN aside; a column of zeros becomes NaN."""
    most = np.fmax.reduce(distances, axis=0, initial=0.0)
    return np.asarray(distances / np.where(most > 0, most, np.nan))


def batch_distances(
    expression: Expression,
    rows: NDArray[np.int64],
    codes: NDArray[np.int64],
    k: int,
    *,
    n_genes: int,
    n_components: int,
    trim: float,
) -> NDArray[np.float64]:
    """Return the relative distances between groups in the components of one batch, the cells `rows`.

    The group of every cell is 0 to k - 1, or -1 for cells that are not placed; they do count in the components. At most
    `n_genes` variable genes are used; for `trim` see ``centroids``. Raises ``LookupError`` if no gene varies.
    """
    found = moments(expression, rows, unlogged=True)
    chosen = variable_genes(found.mean, found.variance, n_genes)
    coordinates = project(taken(expression, rows, chosen), n_components)
    return relative_distances(centroids(coordinates, codes[rows], k, trim))


def consensus(distances: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Average the distances of batches, NaN aside, and divide columns by their maximum again."""
    total, counts = np.zeros(distances[0].shape), np.zeros(distances[0].shape)
    for one in distances:
        known = ~np.isnan(one)
        total[known] += one[known]
        counts += known
    return over_maximum(total / np.where(counts > 0, counts, np.nan))


def agreement(reference: NDArray[np.float64], distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlate the columns of two k x k matrices of distances, the diagonal and pairs with NaN on either side aside.

    Returns k x 3: Spearman's, Pearson's, and Pearson's correlation weighted by 1 / reference; NaN for fewer than two
    pairs and where a side is constant.
    """
    k = len(reference)
    found = np.full((k, 3), np.nan)
    for group in range(k):
        x, y = distances[:, group], reference[:, group]
        both = ~np.isnan(x) & ~np.isnan(y)
        both[group] = False
        x, y = x[both], y[both]
        if len(x) < 2:
            continue
        ends = np.array([0, len(x)])
        flat = np.ones(len(x))
        near = np.divide(1.0, y, out=np.zeros(len(y)), where=y > 0)
        found[group] = (
            weighted_correlation(mean_ranks(_same(x), ends), mean_ranks(_same(y), ends), flat),
            weighted_correlation(x, y, flat),
            weighted_correlation(x, y, near),
        )
    return found


def _same(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values between 0 and 1 without the digits that rounding decides."""
    return np.asarray(np.round(values, 10))


def weighted_correlation(x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Return Pearson's correlation of weighted pairs; NaN if a side varies by no more than rounding."""
    total = weights.sum()
    if not total > 0:
        return float("nan")
    x, y = x - (weights @ x) / total, y - (weights @ y) / total
    of_x, of_y = weights @ (x * x) / total, weights @ (y * y) / total
    if min(of_x, of_y) < 1e-20:  # values are of the order of 1
        return float("nan")
    return float(np.clip(weights @ (x * y) / total / np.sqrt(of_x * of_y), -1.0, 1.0))
