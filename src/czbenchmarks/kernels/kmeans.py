"""K-means from several starts, each on one thread, so that the number of threads changes no bit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .distances import Floats, in_working_precision
from .parallel import map_blocks

MOST_ITERATIONS = 300


@dataclass(frozen=True)
class KMeansStart:
    """Where k-means went from one start.

    Attributes
    ----------
    within
        Share of the sum of squares that is left within the clusters: what k-means makes small. 0 where all cells are
        at one place.
    iterations
        Rounds until the centres moved by less than 1e-4 of the mean variance (squared, summed), at most 300.
    """

    codes: NDArray[np.int64]  # cluster of every cell, 0 to `clusters` - 1
    clusters: int  # clusters that hold a cell; fewer than asked for where there are fewer distinct cells
    within: float
    iterations: int


def kmeans(X: Floats, k: int, seed: int, starts: int) -> list[KMeansStart]:
    """Return what every start gives, in the order of the starts (Lloyd 1982, doi:10.1109/TIT.1982.1056489).

    Starts are by k-means++ (Arthur and Vassilvitskii 2007); each gets a random source of its own from `seed`, and the
    first ones are the same however many there are. The result depends on neither the unit nor the origin of `X` (n x d,
    finite), but for rounding: where single precision holds the coordinates, it is what is worked in.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    # Sums are taken in the precision of the points, and in an order that follows their layout: neither is left to the
    # container, and single precision is nearly twice as fast.
    precision = in_working_precision(X)[0].dtype
    points = np.array(X, dtype=np.float64, order="C")
    points -= points.mean(axis=0)
    largest = max(float(points.max()), -float(points.min()))
    if largest == 0:
        return [KMeansStart(np.zeros(len(X), dtype=np.int64), 1, 0.0, 0) for _ in range(starts)]
    points /= 2.0 ** np.ceil(np.log2(largest))  # a power of two: dividing rounds nothing
    total = float(np.einsum("ij,ij->", points, points))
    points = points.astype(precision, copy=False)

    def run(seed: int) -> KMeansStart:
        model = KMeans(k, init="k-means++", n_init=1, max_iter=MOST_ITERATIONS, random_state=seed).fit(points)
        used, codes = np.unique(model.labels_, return_inverse=True)
        return KMeansStart(codes.astype(np.int64), len(used), float(model.inertia_) / total, int(model.n_iter_))

    seeds = [int(part) for part in np.random.SeedSequence(seed).generate_state(starts)]
    with warnings.catch_warnings():  # that there are fewer distinct cells than clusters is told by the result
        warnings.simplefilter("ignore", ConvergenceWarning)
        return map_blocks(run, seeds, "k-means")
