"""Mixing of batches (or species) in an embedding."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import Labels, listing, unknown, whole
from czbenchmarks._check import labels as _labels
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.exceptions import InputError
from czbenchmarks.kernels.entropy import neighbor_entropy
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.kernels.silhouette import Distance, Other, silhouette_samples

from .inputs import batches_of, coincide, in_batches, many_groups, nearest, not_batched, noted, represent, sampled
from .results import Measurement, Units

ENTROPY_NEIGHBORS = 200
_ROUNDING = 1e-7  # of a direction, in single precision


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
        Accepted for callers of earlier releases; the search does not depend on it.

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
        raise InputError(
            f"`n_neighbors` must be less than the number of cells, {embedding.n:,}, got {n_neighbors:,}; pass fewer."
        )
    k = min(int(n_neighbors), embedding.n)
    if len(batches.names) < 2:
        return Measurement.undefined(f"all cells belong to one batch, {batches.names[0]!r}")
    if k < 2:
        return Measurement.undefined("a cell has no neighbours")
    if k < embedding.n:
        embedding.neighbors(k + 1)  # what an approximate search finds depends on how many are asked for
    found = nearest(embedding, k, "batch", batches.codes)  # as published, there is a value whatever is to be doubted
    details = noted(
        {"n_neighbors": k, **found.details}, not_batched(batches), many_groups(len(batches.names), k, "batches"),
        found.reason,
    )  # fmt: skip
    values = neighbor_entropy(found.neighbors.indices, batches.codes, len(batches.names))
    counts = {"used": embedding.n, "left_out": 0, "batches": len(batches.names)}
    return Measurement(float(values.mean()), None, Units("cell", batches.ids, values), counts, details)


def batch_silhouette(
    X: Any,
    labels: Any,
    batch: Any,
    rescale: bool = True,
    max_cells: int | None = None,
    random_seed: int = RANDOM_SEED,
) -> Measurement:
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
    max_cells
        Estimate the mean from about so many cells, drawn within each label and batch and compared with all cells of
        the label; the details then hold ``estimated_from`` and ``standard_error``. By default all cells.
    random_seed
        Seed of that sample.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8

    Examples
    --------
    >>> batch_silhouette([[0.0], [1.0], [0.1], [1.1]], ["t", "t", "t", "t"], ["x", "x", "y", "y"]).value > 0.5
    True
    """
    return _within_labels(X, labels, batch, rescale, max_cells, random_seed, "euclidean", "nearest")


def bras(
    X: Any,
    labels: Any,
    batch: Any,
    other: Literal["mean_other", "furthest"] = "mean_other",
    max_cells: int | None = None,
    random_seed: int = RANDOM_SEED,
) -> Measurement:
    """Batch removal adapted silhouette: mean over labels of the mean over a label's cells of 1 - |s|.

    s is the silhouette of the batches within the label with cosine distances, and compares a cell's own batch with all
    others, not with the nearest only: batches that overlap with one neighbour do not pass for mixed. Labels with one
    batch, or with as many batches as cells, are left out and counted. Best 1, least 0. Not defined where no label is
    left. A cell at the origin has no direction: it is refused.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels (cell types).
    batch
        n batches.
    other
        ``"mean_other"``: the mean distance to all cells of the label's other batches; ``"furthest"``: to the furthest
        other batch.
    max_cells
        Estimate the mean from about so many cells; see ``batch_silhouette``.
    random_seed
        Seed of that sample.

    Raises
    ------
    ValueError
        If all coordinates of a cell that counts are 0.

    References
    ----------
    Rautenstrauch and Ohler 2025, doi:10.1038/s41587-025-02743-4

    Examples
    --------
    >>> cells = [[1.0, 0.0], [1.0, 1.0], [1.0, 0.1], [1.0, 1.1]]
    >>> bras(cells, ["t", "t", "t", "t"], ["x", "x", "y", "y"]).value > 0.5
    True
    """
    if other not in (known := ("mean_other", "furthest")):
        raise InputError(unknown("`other`", other, known))
    return _within_labels(X, labels, batch, True, max_cells, random_seed, "cosine", other)


def _within_labels(
    X: Any,
    labels: Any,
    batch: Any,
    rescale: bool,
    max_cells: int | None,
    random_seed: int,
    distance: Distance,
    other: Other,
) -> Measurement:
    """Score the silhouettes of the batches within each label."""
    embedding, groups, batches = in_batches(X, labels, batch)
    n_batches, sizes = batches_of(groups, batches), groups.counts
    scored = (n_batches > 1) & (n_batches < sizes)
    in_one_place = _in_one_place(embedding, groups, scored, distance)
    note = ""
    if distance == "euclidean" and in_one_place.any():  # as published, they count 1
        names = listing([str(name) for name in groups.names[in_one_place]])
        note = f"labels whose cells are all at one place say nothing of mixing: {names}"
    elif distance == "cosine":
        scored &= ~in_one_place
    skipped = [name for name, used in zip(groups.names, scored, strict=True) if not used]
    cells = np.flatnonzero(scored[groups.codes])
    counts = {
        "used": len(cells),
        "left_out": embedding.n - len(cells),
        "labels": int(scored.sum()),
        "labels_left_out": len(skipped),
    }
    values = np.full(embedding.n, np.nan)
    # NaN where nothing is scored; what is scored is filled in below.
    units = Units("cell", groups.ids, values, {"label": groups.codes, "batch": batches.codes}, groups=("label",))
    if not len(cells):
        places = ", not all in one direction" if in_one_place.any() else ""
        reason = f"no label has two batches and more cells than batches{places} ({listing(skipped)})"
        table = _table(groups, n_batches, np.full(len(groups.names), np.nan))
        return Measurement.undefined(reason, units=units, counts=counts, breakdowns=table)
    points = embedding.array[cells] if skipped else embedding.array
    if distance == "cosine" and (reason := _without_direction(points, groups.ids[cells])):
        return Measurement.undefined(reason, units=units, counts=counts)
    details: dict[str, Any] = {"labels_left_out": [str(name) for name in skipped]} if skipped else {}
    details = noted(details, note)
    # Every label weighs the same, every cell of a label too.
    weights = np.where(scored, 1 / (scored.sum() * sizes), 0.0)[groups.codes]
    strata = np.where(scored[groups.codes], groups.codes * len(batches.names) + batches.codes, -1)
    sample = sampled(embedding, _from_zero(strata), weights, max_cells, random_seed)
    rows = sample.rows if sample else cells
    place = np.searchsorted(cells, rows)
    found = silhouette_samples(
        points,
        batches.codes[cells],
        within=_from_zero(groups.codes[cells]),
        rows=place if sample else None,
        distance=distance,
        other=other,
    )
    found = 1 - np.abs(found) if rescale else np.abs(found)
    values[rows] = found
    means = _means_by_label(groups, strata, rows, found)
    table = _table(groups, n_batches, means)
    if sample is not None:
        mean, error = sample.mean(found)
        details |= {"estimated_from": len(rows), "standard_error": error}
        return Measurement(mean, None, units, counts, details, table)
    return Measurement(float(means[scored].mean()), None, units, counts, details, table)


def _in_one_place(
    embedding: Representation, groups: Labels, scored: NDArray[np.bool_], distance: Distance
) -> NDArray[np.bool_]:
    """Tell for which labels all cells have no distance from each other: their silhouettes are 0 by definition."""
    found = np.zeros(len(groups.names), dtype=bool)
    cells_of = np.split(np.argsort(groups.codes, kind="stable"), np.cumsum(groups.counts)[:-1])
    for one in np.flatnonzero(scored):
        cells = cells_of[one]
        if distance == "euclidean":
            found[one] = coincide(embedding.array, cells)
            continue
        for some in (cells[:2], cells):  # two suffice nearly always
            points = embedding.array[some].astype(np.float64)
            lengths = np.linalg.norm(points, axis=1, keepdims=True)
            units = points / np.where(lengths > 0, lengths, 1.0)
            found[one] = lengths.all() and bool((np.abs(units - units[0]) < _ROUNDING).all())
            if not found[one]:
                break
    return found


def _without_direction(points: NDArray[np.floating], ids: NDArray[Any]) -> str:
    """Name the cells that have no direction, for which there is no cosine; nothing if all have one."""
    zero = ~points.any(axis=1)
    if not zero.any():
        return ""
    return (
        f"{int(zero.sum()):,} of {len(points):,} cells have no coordinate other than 0, so no cosine distance "
        f"({listing(ids[zero])}); remove those cells"
    )


def _means_by_label(
    groups: Labels, strata: NDArray[np.int64], rows: NDArray[np.int64], found: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean of each label from the values of `rows`, each standing for its share of its stratum."""
    sizes = np.bincount(strata[strata >= 0])
    drawn = np.bincount(strata[rows], minlength=len(sizes))
    weights = sizes[strata[rows]] / drawn[strata[rows]]
    total = np.bincount(groups.codes[rows], weights=weights, minlength=len(groups.names))
    sums = np.bincount(groups.codes[rows], weights=weights * found, minlength=len(groups.names))
    return np.divide(sums, total, out=np.full(len(total), np.nan), where=total > 0)


def _table(groups: Labels, n_batches: NDArray[np.int64], means: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return a row for each label; NaN where it is left out."""
    rows = zip(groups.names, groups.counts, n_batches, means, strict=True)
    return [
        {"label": str(name), "cells": int(cells), "batches": int(batches), "mean": float(mean)}
        for name, cells, batches, mean in rows
    ]


def _from_zero(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return codes numbered anew, without gaps; -1 stays."""
    known = np.unique(codes[codes >= 0])
    return np.where(codes >= 0, np.searchsorted(known, codes), -1)
