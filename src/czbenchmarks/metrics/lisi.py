"""Effective number of labels or batches around every cell (LISI), over all cells and inside each cell type."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import Labels, listing, whole
from czbenchmarks._check import labels as _labels
from czbenchmarks.kernels.lisi import inverse_simpson, sharpness
from czbenchmarks.kernels.neighbors import Neighbors
from czbenchmarks.kernels.representation import Representation, digest

from .embedding import by_label
from .inputs import in_batches, many_groups, nearest, not_batched, not_grouped, noted, represent, tie_note
from .results import Measurement, Units

NEIGHBORS = 90
LEAST_NEIGHBORS = 6  # a third of them is the perplexity, at least 2
LEAST_CELLS = 10  # of a cell type


def clisi(X: Any, labels: Any, n_neighbors: int = NEIGHBORS) -> Measurement:
    """(L - m) / (L - 1): m the median over cells of the effective number of labels among the neighbours, L labels.

    That number is 1 / sum of squared shares, the neighbours weighing exp(-beta distance) with beta such that the
    entropy of the weights is log(floor(k / 3)), 30 cells of 90. Best 1 (each cell among its own label), least 0. Not
    defined for a single label, fewer than 6 cells, or cells that are all at one place.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    n_neighbors
        Cells per list, the cell itself included (it has no weight), at least 6; all n where there are fewer, which the
        details say.

    References
    ----------
    Korsunsky et al. 2019, doi:10.1038/s41592-019-0619-0; Luecken et al. 2022, doi:10.1038/s41592-021-01336-8

    Examples
    --------
    >>> clisi([[0.0]] * 9 + [[1.0]] * 9, ["a"] * 9 + ["b"] * 9, n_neighbors=9).value
    1.0
    """
    embedding = represent(X, "X")
    return _median(embedding, _labels(labels, "labels", embedding.n), n_neighbors, "label")


def ilisi(X: Any, batch: Any, n_neighbors: int = NEIGHBORS) -> Measurement:
    """(m - 1) / (B - 1): m the median over cells of the effective number of batches among the neighbours, B batches.

    The number is that of `clisi`. Best 1 (batches equally frequent around the cells), least 0 (each batch by itself).
    Not defined for a single batch, fewer than 6 cells, or cells that are all at one place.

    Parameters
    ----------
    X
        n x d embedding.
    batch
        n batches.
    n_neighbors
        Cells per list, the cell itself included (it has no weight), at least 6; all n where there are fewer, which the
        details say.

    References
    ----------
    Korsunsky et al. 2019, doi:10.1038/s41592-019-0619-0; Luecken et al. 2022, doi:10.1038/s41592-021-01336-8

    Examples
    --------
    >>> ilisi([[0.0]] * 9 + [[1.0]] * 9, ["a"] * 9 + ["b"] * 9, n_neighbors=9).value
    0.0
    """
    embedding = represent(X, "X")
    return _median(embedding, _labels(batch, "batch", embedding.n), n_neighbors, "batch")


def _median(embedding: Representation, groups: Labels, n_neighbors: int, kind: str) -> Measurement:
    n, n_groups = embedding.n, len(groups.names)
    k = min(whole(n_neighbors, "n_neighbors", LEAST_NEIGHBORS), n)
    if reason := (not_grouped if kind == "label" else not_batched)(groups):
        return Measurement.undefined(reason)
    if k < LEAST_NEIGHBORS:
        return Measurement.undefined(f"{n} cells are too few: {LEAST_NEIGHBORS} are needed")
    near = nearest(embedding, k, "bio" if kind == "label" else "batch", groups.codes)
    if near.reason:
        return Measurement.undefined(near.reason)
    neighbors = near.neighbors
    sharp = embedding.once(("lisi weights", k), lambda: sharpness(neighbors.distances, k // 3))
    found = inverse_simpson(neighbors.indices, neighbors.distances, sharp, groups.codes, n_groups)
    values = (n_groups - found if kind == "label" else found - 1) / (n_groups - 1)
    used = np.isfinite(values)
    what = "labels" if kind == "label" else "batches"
    counts = {"used": int(used.sum()), "left_out": n - int(used.sum()), what: n_groups}
    units = Units("cell", groups.ids, values, {kind: groups.codes}, summary="median")
    if not used.any():
        return Measurement.undefined("one neighbour has all the weight around every cell", units=units, counts=counts)
    rows = []
    for code, name in enumerate(groups.names):
        own = np.flatnonzero((groups.codes == code) & used)
        rows.append({
            kind: str(name), "cells": int((groups.codes == code).sum()),
            "lisi": float(found[own].mean()) if len(own) else float("nan"),
            "value": float(np.median(values[own])) if len(own) else float("nan"),
        })  # fmt: skip
    details = {"n_neighbors": k, "perplexity": k // 3, "median_lisi": float(np.median(found[used]))}
    value = float(np.median(values[used]))
    details = noted(details | near.details, many_groups(n_groups, k, what))
    return Measurement(value, None, units, counts, details, rows)


def cilisi(X: Any, labels: Any, batch: Any, n_neighbors: int = NEIGHBORS) -> Measurement:
    """Mean over cells of (LISI - 1) / (B - 1), batches counted among the nearest cells of the cell's own type.

    Each type of at least 10 cells and 2 batches is looked at alone: neighbours are searched inside it, and B is its own
    number of batches. So a type that occurs in some batches only does not lower the value, and types that were merged
    do not raise it. Best 1, least 0. Not defined where no type is left.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n cell types.
    batch
        n batches.
    n_neighbors
        Cells per list inside the type, the cell itself included, at least 6; fewer in smaller types.

    References
    ----------
    Andreatta et al. 2024, doi:10.1038/s41467-024-45240-z

    Examples
    --------
    >>> round(cilisi([[0.0], [1.0]] * 10, ["t"] * 20, ["x", "x", "y", "y"] * 5).value, 2)
    0.98
    """
    return _inside(X, labels, batch, n_neighbors, over_types=False)


def cilisi_means(X: Any, labels: Any, batch: Any, n_neighbors: int = NEIGHBORS) -> Measurement:
    """Mean over cell types of the mean over a type's cells of (LISI - 1) / (B - 1), inside the type.

    As `cilisi`, but each type counts the same, however rare. Best 1, least 0.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n cell types.
    batch
        n batches.
    n_neighbors
        Cells per list inside the type, the cell itself included, at least 6; fewer in smaller types.

    References
    ----------
    Andreatta et al. 2024, doi:10.1038/s41467-024-45240-z

    Examples
    --------
    >>> round(cilisi_means([[0.0], [1.0]] * 10, ["t"] * 20, ["x", "x", "y", "y"] * 5).value, 2)
    0.98
    """
    return _inside(X, labels, batch, n_neighbors, over_types=True)


def _inside(X: Any, labels: Any, batch: Any, n_neighbors: int, *, over_types: bool) -> Measurement:
    embedding, types, batches = in_batches(X, labels, batch)
    most = whole(n_neighbors, "n_neighbors", LEAST_NEIGHBORS)
    key = ("cilisi", most, digest(types.codes, batches.codes))
    values, reasons, facts, tied = embedding.once(key, lambda: _by_type(embedding, types, batches, most))
    used = np.isfinite(values)
    skipped = [name for name, reason in zip(types.names, reasons, strict=True) if reason]
    counts = {
        "used": int(used.sum()),
        "left_out": embedding.n - int(used.sum()),
        "labels": len(types.names) - len(skipped),
        "labels_left_out": len(skipped),
    }
    columns, alike = {"label": types.codes, "batch": batches.codes}, ("label",) if over_types else ()
    units = Units("cell", types.ids, values, columns, groups=alike)
    table = by_label(types, types.codes, values, "value")
    rows = [{**row, "note": reason} for row, reason in zip(table, reasons, strict=True)]
    if not used.any():
        reason = f"no label has {LEAST_CELLS} cells, two batches and more than one place ({listing(skipped)})"
        return Measurement.undefined(reason, units=units, counts=counts, breakdowns=rows)
    few = int(types.counts[(types.counts < 3 * most) & ~np.array([bool(reason) for reason in reasons])].sum())
    little = ""
    if 2 * few > used.sum():
        little = (
            f"for {few:,} of {used.sum():,} cells, of labels of fewer than {3 * most:,}, {most:,} neighbours are more "
            "than a third of the label, so they hardly tell embeddings apart"
        )
    details: dict[str, Any] = noted({"n_neighbors": most} | facts, little, tie_note(tied))
    if skipped:
        details["labels_left_out"] = [str(name) for name in skipped]
    value = np.nanmean([row["value"] for row in rows]) if over_types else values[used].mean()
    return Measurement(float(value), None, units, counts, details, rows)


def _by_type(
    embedding: Representation, types: Labels, batches: Labels, most: int
) -> tuple[NDArray[np.float64], list[str], dict[str, Any], int]:
    """Return a value per cell, for every type why it has none, how neighbours were found, and how many cells tie."""
    values, reasons, searches, tied = np.full(embedding.n, np.nan), [], [], 0
    order = np.argsort(types.codes, kind="stable")
    for cells in np.split(order, np.cumsum(types.counts)[:-1]):
        inside = batches.take(cells)
        if len(cells) < LEAST_CELLS or len(inside.names) < 2:
            reasons.append("fewer than 10 cells" if len(cells) < LEAST_CELLS else "one batch")
            continue
        part = Representation(embedding.array[cells], search=embedding.search)
        near = nearest(part, most, "batch", inside.codes)
        if reason := not_batched(inside) or near.reason:
            reasons.append(reason)
            continue
        neighbors, tied = near.neighbors, tied + near.details.get("tied_cells", 0)
        sharp = sharpness(neighbors.distances, neighbors.k // 3)
        found = inverse_simpson(neighbors.indices, neighbors.distances, sharp, inside.codes, len(inside.names))
        values[cells] = (found - 1) / (len(inside.names) - 1)
        reasons.append("" if np.isfinite(values[cells]).any() else "one neighbour has all the weight")
        searches.append(neighbors)
    return values, reasons, _facts(searches), tied


def _facts(searches: list[Neighbors]) -> dict[str, Any]:
    """Say how neighbours were found inside the types; of approximate searches the one that found least."""
    approximate = [found for found in searches if found.search != "exact"]
    return min(approximate, key=lambda found: found.recall or 0.0).facts() if approximate else {}
