"""The kernels as they are measured, and a program that runs one of them in this process.

    python benchmarks/kernels.py silhouette --cells 10000

Its last line is ``RESULT`` and JSON: memory before and at most, in MB.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import cells
import numpy as np
from task_cases import peak_mb, reset_peak

Call = Callable[[], Any]
DIMS = 50
GENES = 500
_FEW = 250  # cells


def _embedding(n: int) -> tuple[Any, Any, Any, Any]:
    made = cells.embedding(n, DIMS)
    labels, batches = (np.unique(of, return_inverse=True)[1].astype(np.int64) for of in (made.labels, made.batches))
    return made.X, labels, batches, made.times.astype(np.float64)


def silhouette(n: int) -> Call:
    """Return the exact silhouette of every cell, 20 labels."""
    from czbenchmarks.kernels.silhouette import silhouette_samples

    X, labels, _, _ = _embedding(n)
    return lambda: silhouette_samples(X, labels)


def _neighbors(k: int, search: str) -> Callable[[int], Call]:
    def prepare(n: int) -> Call:
        from czbenchmarks.kernels.representation import Representation

        X = _embedding(n)[0]
        return lambda: Representation(X, search=search).neighbors(min(k, n))

    return prepare


def connectivities(n: int) -> Call:
    """Return the weights of the graph of 15 neighbours."""
    from czbenchmarks.kernels.graph import connectivities
    from czbenchmarks.kernels.representation import Representation

    found = Representation(_embedding(n)[0]).neighbors(15)
    return lambda: connectivities(found)


def leiden(n: int) -> Call:
    """Return the communities of that graph."""
    from czbenchmarks.kernels.graph import connectivities, leiden
    from czbenchmarks.kernels.representation import Representation

    graph = connectivities(Representation(_embedding(n)[0]).neighbors(15))
    return lambda: leiden(graph, seed=0)


def entropy(n: int) -> Call:
    """Return the entropy of 4 batches among 200 neighbours."""
    from czbenchmarks.kernels.entropy import neighbor_entropy
    from czbenchmarks.kernels.representation import Representation

    X, _, batches, _ = _embedding(n)
    indices = Representation(X).neighbors(200).indices
    return lambda: neighbor_entropy(indices, batches, cells.BATCHES)


def sequence(n: int) -> Call:
    """Return the differences in time to 15 neighbours."""
    from czbenchmarks.kernels.representation import Representation
    from czbenchmarks.kernels.sequence import neighbor_differences

    X, _, _, times = _embedding(n)
    found, k = Representation(X).neighbors(16), np.full(n, 15, dtype=np.int64)
    return lambda: neighbor_differences(found, times, k)


def group_sums(n: int) -> Call:
    """Return sums over groups of 50 rows of sparse counts, 20 columns for each group."""
    import scipy.sparse as sp

    from czbenchmarks.kernels.groups import group_sums

    counts, rng = cells.counts(n, GENES), np.random.default_rng(cells.SEED)
    group = np.arange(n) // 50
    weights = sp.csr_matrix((np.ones(n), (group, np.arange(n))), shape=(group[-1] + 1, n))
    columns = np.concatenate([np.sort(rng.choice(GENES, 20, replace=False)) for _ in range(weights.shape[0])])
    return lambda: group_sums(counts, weights, np.repeat(np.arange(weights.shape[0]), 20), columns)


def rank_correlations(n: int) -> Call:
    """Return Spearman's correlation of as many pairs of series as there are cells, of 20 values each."""
    from czbenchmarks.kernels.ranks import rank_correlations

    a, b = np.random.default_rng(cells.SEED).normal(size=(2, 20 * n))
    return lambda: rank_correlations(a, b, np.arange(0, 20 * n + 1, 20))


def forest(n: int) -> Call:
    """Return the chances of 20 labels that 100 trees learned on half of the cells give to the others."""
    from czbenchmarks.kernels.forest import forest_chances

    X, labels, _, _ = _embedding(n)
    train, test = slice(0, n, 2), slice(1, n, 2)
    return lambda: forest_chances(X[train], labels[train], X[test], cells.LABELS, n_trees=100, seed=0)


def principal_components(n: int) -> Call:
    """Return 50 components of the 300 most variable of 500 genes."""
    from czbenchmarks.kernels.components import principal_components

    counts = cells.counts(n, GENES)
    return lambda: principal_components(counts, 300, 50, seed=0)


KERNELS: dict[str, Callable[[int], Call]] = {
    "silhouette": silhouette,
    "neighbors_15": _neighbors(15, "exact"),
    "neighbors_201": _neighbors(201, "exact"),
    "neighbors_15_approximate": _neighbors(15, "approximate"),
    "connectivities": connectivities,
    "leiden": leiden,
    "entropy": entropy,
    "sequence": sequence,
    "group_sums": group_sums,
    "rank_correlations": rank_correlations,
    "forest": forest,
    "principal_components": principal_components,
}


def main() -> None:
    """Run one kernel once and print its memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernel", choices=KERNELS)
    parser.add_argument("--cells", type=int, default=10_000)
    given = parser.parse_args()
    KERNELS[given.kernel](_FEW)()  # what is imported and compiled at the first call is not the kernel's
    call = KERNELS[given.kernel](given.cells)
    reset_peak()
    before = peak_mb()
    call()
    print("RESULT " + json.dumps({"before_mb": before, "peak_mb": peak_mb()}), flush=True)


if __name__ == "__main__":
    main()
