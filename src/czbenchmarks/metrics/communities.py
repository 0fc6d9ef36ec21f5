"""Do clusters that are found in an embedding agree with the labels?

K-means with as many clusters as there are labels, and Leiden communities of the graph of 15 neighbours. Each clustering
is made once per embedding: NMI, ARI and the scores of isolated labels share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import Labels, listing, numbers, whole
from czbenchmarks._check import labels as _labels
from czbenchmarks._check import seed as checked_seed
from czbenchmarks._progress import track
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.exceptions import InputError
from czbenchmarks.kernels.graph import CommunityGraph
from czbenchmarks.kernels.kmeans import MOST_ITERATIONS, kmeans
from czbenchmarks.kernels.representation import Representation, digest

from .clustering import adjusted_rand_index, normalized_mutual_info
from .inputs import coincide, nearest, neighbor_graph, not_grouped, represent
from .results import Measurement, Units

N_NEIGHBORS = 15  # the cell itself included
RESOLUTIONS = tuple(round(0.2 * step, 1) for step in range(1, 11))
STARTS = 10


def kmeans_nmi(X: Any, labels: Any, n_starts: int = STARTS, random_seed: int = RANDOM_SEED) -> Measurement:
    """Normalised mutual information of labels and k-means clusters, as many as there are labels.

    Of several k-means++ starts the one with the least squared distance to the centres is scored; what the others would
    have scored is in the breakdowns, and their range in the details. Best 1, least 0; an embedding that knows nothing
    scores a little above 0. Not defined for a single label, nor where every cell has its own.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    n_starts
        Number of starts.
    random_seed
        Seed of the starts.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8; Arthur and Vassilvitskii 2007, doi:10.5555/1283383.1283494

    Examples
    --------
    >>> kmeans_nmi([[0.0], [1.0], [9.0], [10.0]], ["a", "a", "b", "b"]).value
    1.0
    """
    return _of_kmeans("nmi", X, labels, n_starts, random_seed)


def kmeans_ari(X: Any, labels: Any, n_starts: int = STARTS, random_seed: int = RANDOM_SEED) -> Measurement:
    """Rand index, corrected for chance, of labels and k-means clusters, as many as there are labels.

    The clustering is that of ``kmeans_nmi``. Best 1, chance 0, least -0.5. Not defined for a single label, nor where
    every cell has its own.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    n_starts
        Number of starts.
    random_seed
        Seed of the starts.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8; Hubert and Arabie 1985, doi:10.1007/BF01908075

    Examples
    --------
    >>> kmeans_ari([[0.0], [1.0], [9.0], [10.0]], ["a", "a", "b", "b"]).value
    1.0
    """
    return _of_kmeans("ari", X, labels, n_starts, random_seed)


def leiden_nmi(X: Any, labels: Any, resolution: float = 1.0, random_seed: int = RANDOM_SEED) -> Measurement:
    """Normalised mutual information of labels and Leiden communities at one resolution.

    Communities are those of the fuzzy graph of 15 neighbours (the cell itself included), by modularity, in two
    iterations. Best 1, least 0; an embedding that knows nothing scores a little above 0. Not defined for a single
    label, where every cell has its own, for fewer than 3 cells, nor where all cells are at one place.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    resolution
        Higher gives more communities.
    random_seed
        Seed of the algorithm.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8; Traag et al. 2019, doi:10.1038/s41598-019-41695-z

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.random.default_rng(0).normal(size=(60, 2)) + 20 * np.repeat([[0], [1]], 30, axis=0)
    >>> leiden_nmi(cells, ["a"] * 30 + ["b"] * 30, resolution=0.2).value
    1.0
    """
    return _of_leiden("nmi", X, labels, [resolution], random_seed)


def leiden_ari(X: Any, labels: Any, resolution: float = 1.0, random_seed: int = RANDOM_SEED) -> Measurement:
    """Rand index, corrected for chance, of labels and Leiden communities at one resolution.

    The communities are those of ``leiden_nmi``, and so are the cases where it is not defined. Best 1, chance 0, least
    -0.5.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    resolution
        Higher gives more communities.
    random_seed
        Seed of the algorithm.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8; Hubert and Arabie 1985, doi:10.1007/BF01908075

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.random.default_rng(0).normal(size=(60, 2)) + 20 * np.repeat([[0], [1]], 30, axis=0)
    >>> leiden_ari(cells, ["a"] * 30 + ["b"] * 30, resolution=0.2).value
    1.0
    """
    return _of_leiden("ari", X, labels, [resolution], random_seed)


def leiden_nmi_best(
    X: Any, labels: Any, resolutions: Sequence[float] = RESOLUTIONS, random_seed: int = RANDOM_SEED
) -> Measurement:
    """Normalised mutual information of labels and Leiden communities, the best over several resolutions.

    The lowest of equally good resolutions is taken; the details name it, and the breakdowns hold the curve. Otherwise
    as ``leiden_nmi``. The labels choose the resolution, so chance is higher than there.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    resolutions
        Resolutions to try: 0.2, 0.4, ... 2.0.
    random_seed
        Seed of the algorithm, begun anew at every resolution.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8; Traag et al. 2019, doi:10.1038/s41598-019-41695-z

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.random.default_rng(0).normal(size=(60, 2)) + 20 * np.repeat([[0], [1]], 30, axis=0)
    >>> leiden_nmi_best(cells, ["a"] * 30 + ["b"] * 30).value
    1.0
    """
    return _of_leiden("nmi", X, labels, resolutions, random_seed)


def leiden_ari_best(
    X: Any, labels: Any, resolutions: Sequence[float] = RESOLUTIONS, random_seed: int = RANDOM_SEED
) -> Measurement:
    """Rand index, corrected for chance, of labels and the Leiden communities with the best mutual information.

    As scIB defines it: another resolution may have a higher index, see the curve in the breakdowns. Otherwise as
    ``leiden_ari``.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    resolutions
        Resolutions to try: 0.2, 0.4, ... 2.0.
    random_seed
        Seed of the algorithm, begun anew at every resolution.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8; Hubert and Arabie 1985, doi:10.1007/BF01908075

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.random.default_rng(0).normal(size=(60, 2)) + 20 * np.repeat([[0], [1]], 30, axis=0)
    >>> leiden_ari_best(cells, ["a"] * 30 + ["b"] * 30).value
    1.0
    """
    return _of_leiden("ari", X, labels, resolutions, random_seed)


def resolution_curve(
    X: Any, labels: Any, resolutions: Sequence[float] = RESOLUTIONS, seeds: Sequence[int] = (RANDOM_SEED,)
) -> list[dict[str, float]]:
    """Return how clusters and their agreement with labels change with resolution and seed.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    resolutions, seeds
        Every seed is tried at every resolution.

    Returns
    -------
    A row of ``resolution``, ``seed``, ``clusters``, ``nmi`` and ``ari`` for each, by resolution; none where the scores
    are not defined.

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.random.default_rng(0).normal(size=(60, 2)) + 20 * np.repeat([[0], [1]], 30, axis=0)
    >>> resolution_curve(cells, ["a"] * 30 + ["b"] * 30, [0.2], [1])
    [{'resolution': 0.2, 'seed': 1, 'clusters': 2, 'nmi': 1.0, 'ari': 1.0}]
    """
    embedding = represent(X, "X")
    groups = _labels(labels, "labels", embedding.n)
    tried = [checked_seed(one, "seeds") for one in seeds]
    wanted = checked_resolutions(resolutions)
    if not_grouped(groups) or no_communities(embedding):
        return []
    by_seed = [_curve(embedding, groups, wanted, communities(embedding, wanted, seed)) for seed in tried]
    return [
        {"resolution": row["resolution"], "seed": seed, **row}
        for rows in zip(*by_seed, strict=True)
        for seed, row in zip(tried, rows, strict=True)
    ]


def communities(embedding: Representation, resolutions: Sequence[float], seed: int) -> list[NDArray[np.int64]]:
    """Return the Leiden communities at each resolution, each made once per embedding.

    ``no_communities`` does not object to the embedding. `seed` is that of Python's generator, begun anew at every
    resolution: the stream of scib-metrics.
    """
    # igraph makes its own when the first of them is missing.
    graph = CommunityGraph(neighbor_graph(embedding, N_NEIGHBORS))

    def at(resolution: float) -> NDArray[np.int64]:
        return embedding.once(
            ("leiden", resolution, seed), lambda: graph.leiden(seed, resolution=resolution, stream="python")
        )

    return [at(resolution) for resolution in track(resolutions, "communities at each resolution")]


def no_communities(embedding: Representation) -> str | None:
    """Say why the neighbour graph has no communities; None if it has."""
    if embedding.n < 3:
        return f"{embedding.n} cells are too few for communities"
    if not embedding.neighbors(N_NEIGHBORS).distances.any() and coincide(embedding.array, np.arange(embedding.n)):
        return "all cells are at one place, so none is nearer than another"
    return None


def checked_resolutions(resolutions: Any) -> list[float]:
    """Return resolutions as numbers; refuse what is none."""
    found: list[float] = numbers(resolutions, "resolutions").tolist()
    bad = [value for value in found if value <= 0]
    if bad or not found:
        raise InputError(f"`resolutions` must be positive numbers, got {listing(bad) or 'none'}; try 0.2 to 2.")
    return found


def _curve(
    embedding: Representation, groups: Labels, resolutions: Sequence[float], found: Sequence[NDArray[np.int64]]
) -> list[dict[str, Any]]:
    return [
        {"resolution": resolution, **_agreement(embedding, groups, codes)}
        for resolution, codes in zip(resolutions, found, strict=True)
    ]


def _agreement(embedding: Representation, groups: Labels, codes: NDArray[np.int64]) -> dict[str, Any]:
    """Compare labels with clusters of the embedding: once for both scores."""

    def make() -> dict[str, Any]:
        return {
            "clusters": len(np.unique(codes)),
            "nmi": normalized_mutual_info(groups, codes).value,
            "ari": adjusted_rand_index(groups, codes).value,
        }

    return embedding.once(("agreement", digest(groups.codes, codes)), make)


def _of_leiden(
    score: Literal["nmi", "ari"], X: Any, labels: Any, resolutions: Any, random_seed: int
) -> Measurement:  # fmt: skip
    embedding = represent(X, "X")
    groups = _labels(labels, "labels", embedding.n)
    seed = checked_seed(random_seed)
    wanted = checked_resolutions(resolutions)
    if reason := not_grouped(groups) or no_communities(embedding):
        return _undefined(reason, groups)
    found = communities(embedding, wanted, seed)
    curve = _curve(embedding, groups, wanted, found)
    best = max(range(len(curve)), key=lambda i: (curve[i]["nmi"], -curve[i]["resolution"]))
    near = nearest(embedding, N_NEIGHBORS, "bio")
    details = {"resolution": wanted[best], "n_neighbors": near.neighbors.k, **near.details}
    return _measured(curve[best][score], groups, found[best], details, curve)


def _of_kmeans(score: Literal["nmi", "ari"], X: Any, labels: Any, n_starts: int, random_seed: int) -> Measurement:
    embedding = represent(X, "X")
    groups = _labels(labels, "labels", embedding.n)
    starts = whole(n_starts, "n_starts", 1)
    seed = checked_seed(random_seed)
    if reason := not_grouped(groups):
        return _undefined(reason, groups)
    k = len(groups.names)
    found = embedding.once(("kmeans", k, seed, starts), lambda: kmeans(embedding.array, k, seed, starts))
    table = [
        {
            "start": i,
            "variance_within": one.within,
            "iterations": one.iterations,
            **_agreement(embedding, groups, one.codes),
        }
        for i, one in enumerate(found, 1)
    ]
    best = min(range(starts), key=lambda i: found[i].within)
    over_starts = [row[score] for row in table]
    details: dict[str, Any] = {
        "start": best + 1,
        "starts": starts,
        "least_of_starts": min(over_starts),
        "greatest_of_starts": max(over_starts),
    }
    stopped = sum(one.iterations >= MOST_ITERATIONS for one in found)
    if stopped:
        details["note"] = f"{stopped} of {starts} starts had not come to rest after {MOST_ITERATIONS} iterations"
    return _measured(table[best][score], groups, found[best].codes, details, table)


def _measured(
    value: float, groups: Labels, codes: NDArray[np.int64], details: dict[str, Any], table: list[dict[str, Any]]
) -> Measurement:
    units = Units("cell", groups.ids, columns={"label": groups.codes, "cluster": codes})
    counts = {"used": len(groups), "left_out": 0, "labels": len(groups.names), "clusters": len(np.unique(codes))}
    return Measurement(value, None, units, counts, details, table)


def _undefined(reason: str, groups: Labels) -> Measurement:
    return Measurement.undefined(reason, counts={"used": 0, "left_out": len(groups), "labels": len(groups.names)})
