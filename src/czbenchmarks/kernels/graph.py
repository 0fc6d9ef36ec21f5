"""The neighbour graph: fuzzy connectivities, and Leiden communities on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._progress import work

from .neighbors import Neighbors
from .parallel import interruptible, map_blocks, ranges

_ROWS = 4096  # weighed at a time
_STEPS = 64
_TOLERANCE = 1e-5
_LEAST_SCALE = 1e-3
_USUAL_SCALE = (1e-9, 1e9)

Stream = Literal["scanpy", "python"]

_igraph_lock = threading.Lock()


def fuzzy_weights(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the directed weight of every listed neighbour, 0 for the cell itself (first column).

    With rho the smallest non-zero distance of a row, sigma is found by bisection so that the weights
    exp(-max(0, d - rho) / sigma) of the row's other cells sum to log2(k) (McInnes et al. 2018, arXiv:1802.03426).
    """
    n, k = distances.shape
    overall = float(distances.mean())  # of all rows: the blocks below must not change it
    if overall > 0 and not _USUAL_SCALE[0] < overall < _USUAL_SCALE[1]:
        # The bisection starts at 1 and takes so many steps only.
        distances, overall = distances / overall, 1.0
    weights = np.zeros((n, k))

    def block(rows: tuple[int, int]) -> None:
        part = slice(*rows)
        weights[part, 1:] = _row_weights(distances[part], overall)

    map_blocks(block, ranges(n, _ROWS), "weights of the neighbour graph")
    return weights


def _row_weights(distances: NDArray[np.float64], overall: float) -> NDArray[np.float64]:
    """Return the weights of the other cells; `overall` is the mean distance in all rows."""
    n, k = distances.shape
    others = distances[:, 1:]
    positive = np.where(others > 0, others, np.inf)
    rho = positive.min(axis=1)
    rho[~np.isfinite(rho)] = 0.0
    excess = np.maximum(others - rho[:, None], 0.0)
    target = np.log2(k)
    low, high = np.zeros(n), np.full(n, np.inf)
    sigma = np.ones(n)
    active = np.arange(n)
    for _ in range(_STEPS):
        total = np.exp(-excess[active] / sigma[active, None]).sum(axis=1)
        off = np.abs(total - target) >= _TOLERANCE
        active, total = active[off], total[off]
        if not len(active):
            break
        above = total > target
        high[active[above]] = sigma[active[above]]
        low[active[~above]] = sigma[active[~above]]
        middle = (low[active] + high[active]) / 2.0
        sigma[active] = np.where(np.isinf(high[active]), 2.0 * sigma[active], middle)
    floor = np.where(rho > 0, distances.mean(axis=1), overall)
    sigma = np.maximum(sigma, _LEAST_SCALE * floor)
    # sigma can only be 0 where every distance in the data is 0; the excess is 0 too and the weight 1.
    return np.asarray(np.exp(-excess / np.where(sigma > 0, sigma, 1.0)[:, None]))


def connectivities(neighbors: Neighbors) -> Any:
    """Return the symmetric n x n csr matrix a + a' - a * a' of fuzzy weights a, in single precision."""
    import scipy.sparse as sp

    n, k = neighbors.indices.shape
    weights = fuzzy_weights(neighbors.distances)
    reverse = sp.csc_matrix(
        (weights[:, 1:].ravel(), neighbors.indices[:, 1:].ravel(), np.arange(n + 1) * (k - 1)), shape=(n, n)
    ).tocsr()
    del weights  # at a million cells every copy counts
    directed = reverse.T.tocsr()  # both are sorted now: what follows takes half the time
    both = directed.multiply(reverse)
    symmetric = directed + reverse
    del directed, reverse
    symmetric = (symmetric - both).astype(np.float32)
    del both
    symmetric.eliminate_zeros()  # weights may underflow
    symmetric.sort_indices()
    return symmetric


class _IgraphRandom:
    """The random source igraph asks for, on a NumPy generator of our own.

    The stream is the one scanpy hands to igraph, so that equal graphs give equal partitions.
    """

    def __init__(self, seed: int) -> None:
        self._state = np.random.RandomState(seed)

    def random(self) -> float:
        return float(self._state.random_sample())

    def gauss(self, mean: float, deviation: float) -> float:
        return float(self._state.normal(mean, deviation))

    def randint(self, low: int, high: int) -> int:
        return int(self._state.randint(low, high + 1))

    def getrandbits(self, bits: int) -> int:
        return int(self._state.tomaxint()) & ((1 << bits) - 1)


def _pairs(matrix: Any) -> Iterator[tuple[int, int]]:
    """Return the row and column of every entry of a csr matrix, in order.

    igraph makes a list of an array first, and Python's garbage collection searches that list again and again while it
    grows; pairs that come one by one leave nothing behind, and take a fifth of the time.
    """
    ends = matrix.indptr
    return chain.from_iterable(
        zip(
            np.repeat(np.arange(low, high), np.diff(ends[low : high + 1])).tolist(),
            matrix.indices[ends[low] : ends[high]].tolist(),
            strict=True,
        )
        for low, high in ranges(matrix.shape[0], _ROWS)
    )


class CommunityGraph:
    """A matrix of weights as a graph that igraph has made once, for communities at several resolutions.

    `matrix` is a symmetric n x n csr matrix of weights; every entry is an edge, so each pair counts twice. `flavor` is
    ``"igraph"``: modularity in igraph, or ``"leidenalg"``: the leidenalg package, on the directed graph.
    """

    def __init__(self, matrix: Any, flavor: str = "igraph") -> None:
        self.matrix, self.flavor = matrix, flavor

    @cached_property
    def _graph(self) -> Any:
        import igraph

        return igraph.Graph(n=self.matrix.shape[0], edges=_pairs(self.matrix), directed=self.flavor == "leidenalg")

    @cached_property
    def _weights(self) -> Any:
        # A memoryview gives igraph plain floats one by one: faster than an array, smaller than a list.
        return memoryview(self.matrix.data.astype(np.float64))

    def leiden(
        self, seed: int, *, resolution: float = 1.0, n_iterations: int = 2, stream: Stream = "scanpy"
    ) -> NDArray[np.int64]:
        """Return the community of every cell; see ``leiden``."""
        graph, weights = self._graph, self._weights
        with work("Leiden communities"):
            if self.flavor == "leidenalg":
                import leidenalg

                found = interruptible(
                    lambda: leidenalg.find_partition(
                        graph,
                        leidenalg.RBConfigurationVertexPartition,
                        weights=weights,
                        n_iterations=n_iterations,
                        seed=seed,
                        resolution_parameter=resolution,
                    )
                )
            else:
                found = interruptible(lambda: _modularity(graph, weights, seed, resolution, n_iterations, stream))
        return np.asarray(found.membership, dtype=np.int64)


def _modularity(graph: Any, weights: Any, seed: int, resolution: float, n_iterations: int, stream: Stream) -> Any:
    import random

    import igraph

    with _igraph_lock:  # igraph has one random source per process
        igraph.set_random_number_generator(_IgraphRandom(seed) if stream == "scanpy" else random.Random(seed))
        try:
            return graph.community_leiden(
                objective_function="modularity", weights=weights, resolution=resolution, n_iterations=n_iterations
            )
        finally:
            igraph.set_random_number_generator(random)  # igraph's own default


def leiden(
    matrix: Any,
    seed: int,
    *,
    resolution: float = 1.0,
    n_iterations: int = 2,
    flavor: str = "igraph",
    stream: Stream = "scanpy",
) -> NDArray[np.int64]:
    """Return the community of every cell (Traag et al. 2019, doi:10.1038/s41598-019-41695-z).

    Parameters
    ----------
    matrix, flavor
        See ``CommunityGraph``, which serves several calls.
    seed
        Seed of a random source of its own; no global generator is touched.
    resolution
        Higher gives more communities.
    n_iterations
        Rounds of the algorithm; negative runs until nothing changes.
    stream
        Which random numbers a seed gives igraph: those that scanpy hands to it, or those of Python's own generator, as
        scib-metrics. Each is needed for the same partition as theirs on an equal graph.
    """
    graph = CommunityGraph(matrix, flavor)
    return graph.leiden(seed, resolution=resolution, n_iterations=n_iterations, stream=stream)
