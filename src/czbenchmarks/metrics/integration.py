"""Mixing of batches (or species) in an embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from czbenchmarks._check import labels as _labels
from czbenchmarks._check import listing, whole
from czbenchmarks.kernels.entropy import neighbor_entropy
from czbenchmarks.kernels.silhouette import silhouette_samples

from ._inputs import represent
from .types import Measurement, Units

ENTROPY_NEIGHBORS = 200


def entropy_per_cell(X: Any, labels: Any, n_neighbors: int = ENTROPY_NEIGHBORS, random_seed: int = 42) -> Measurement:
    """Mean over cells of the entropy of batch shares among the nearest cells, over log(number of batches).

    Best 1 (batches equally frequent around every cell), least 0 (each batch by itself). A good value also needs
    batches of similar size. Not defined for a single batch.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n batches.
    n_neighbors
        Cells counted, the cell itself included, less than n; the default shrinks to n where there are fewer cells
        (recorded in the details).
    random_seed
        Accepted for callers of earlier releases; the search is exact and draws nothing.

    References
    ----------
    Shannon 1948, doi:10.1002/j.1538-7305.1948.tb01338.x

    Examples
    --------
    >>> entropy_per_cell([[0.0], [1.0], [2.0], [3.0]], ["x", "y", "x", "y"]).value
    1.0
    """
    embedding = represent(X, "X")
    batches = _labels(labels, "labels", embedding.n)
    if whole(n_neighbors, "n_neighbors", 2) >= embedding.n and n_neighbors != ENTROPY_NEIGHBORS:
        raise ValueError(
            f"`n_neighbors` must be less than the number of cells, {embedding.n:,}, got {n_neighbors:,}; pass fewer."
        )
    k = min(int(n_neighbors), embedding.n)
    if len(batches.names) < 2:
        return Measurement.undefined(f"all cells belong to one batch, {batches.names[0]!r}")
    if k < 2:
        return Measurement.undefined("a cell has no neighbours")
    details: dict[str, Any] = {"n_neighbors": k}
    if k < embedding.n:
        distances = embedding.neighbors(k + 1).distances
        tied = int((distances[:, k] == distances[:, k - 1]).sum())
        if tied:
            details["tied_cells"] = tied
            details["note"] = f"the last neighbours of {tied} cells are as near as cells left out; taken in row order"
    values = neighbor_entropy(embedding.neighbors(k).indices, batches.codes, len(batches.names))
    counts = {"used": embedding.n, "left_out": 0, "batches": len(batches.names)}
    return Measurement(float(values.mean()), None, Units("cell", batches.ids, values), counts, details)


def batch_silhouette(X: Any, labels: Any, batch: Any, rescale: bool = True) -> Measurement:
    """Mean over labels of the mean over a label's cells of 1 - |s|, s the silhouette of the batches within the label.

    Labels with one batch, or with as many batches as cells, are left out and counted. Best 1, least 0. Not defined
    where no label is left.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels (cell types).
    batch
        n batches.
    rescale
        Give 1 - |s| (best 1) instead of |s| (best 0).

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8

    Examples
    --------
    >>> batch_silhouette([[0.0], [1.0], [0.1], [1.1]], ["t", "t", "t", "t"], ["x", "x", "y", "y"]).value > 0.5
    True
    """
    embedding = represent(X, "X")
    groups = _labels(labels, "labels", embedding.n)
    batches = _labels(batch, "batch", embedding.n)
    values = np.full(embedding.n, np.nan)
    means, skipped = [], []
    for code, name in enumerate(groups.names):
        cells = np.flatnonzero(groups.codes == code)
        inside = batches.take(cells)
        if not 1 < len(inside.names) < len(cells):
            skipped.append(name)
            continue
        values[cells] = np.abs(silhouette_samples(embedding.array[cells], inside.codes))
        if rescale:
            values[cells] = 1 - values[cells]
        means.append(values[cells].mean())
    units = Units("cell", groups.ids, values, {"label": groups.codes, "batch": batches.codes})
    used = int(np.isfinite(values).sum())
    counts = {"used": used, "left_out": embedding.n - used, "labels": len(means), "labels_left_out": len(skipped)}
    if not means:
        reason = f"no label has two batches and more cells than batches ({listing(skipped)})"
        return Measurement.undefined(reason, units=units, counts=counts)
    details = {"labels_left_out": [str(name) for name in skipped]} if skipped else {}
    return Measurement(float(np.mean(means)), None, units, counts, details)
