"""What the nearest cells are: of the cell's own label, and connected."""

from __future__ import annotations

from typing import Any

import numpy as np

from czbenchmarks._check import Labels, share, whole
from czbenchmarks._check import labels as _labels
from czbenchmarks.kernels.connectivity import largest_components
from czbenchmarks.kernels.representation import Representation

from .embedding import by_label
from .inputs import Nearest, nearest, not_grouped, noted, represent
from .results import Measurement, Units

KSIM_NEIGHBORS = 25
PURITY_NEIGHBORS = 30
GRAPH_NEIGHBORS = 15
_ROUNDING = 1e-9


def ksim(X: Any, labels: Any, n_neighbors: int = KSIM_NEIGHBORS) -> Measurement:
    """Mean over cells of the share of the 25 nearest cells, the cell itself one of them, that have its label.

    Best 1; a cell among others only has 1/25. Not defined for a single label, a single cell, or cells that are all at
    one place.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    n_neighbors
        Cells per list, the cell itself included; all n where there are fewer, which the details say.

    References
    ----------
    Li et al. 2020, doi:10.1038/s41592-020-0905-x

    Examples
    --------
    >>> ksim([[0.0], [1.0], [9.0], [10.0]], ["a", "a", "b", "b"], n_neighbors=2).value
    1.0
    """
    return _own_label(X, labels, n_neighbors, None)


def ksim_acceptance(X: Any, labels: Any, n_neighbors: int = KSIM_NEIGHBORS, min_share: float = 0.9) -> Measurement:
    """Share of cells of whose 25 nearest, the cell itself one of them, at least 0.9 have the cell's label.

    Best 1, least 0. Not defined where `ksim` is not.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    n_neighbors
        Cells per list, the cell itself included; all n where there are fewer, which the details say.
    min_share
        The share from which on a cell is accepted, above 0 and at most 1.

    References
    ----------
    Li et al. 2020, doi:10.1038/s41592-020-0905-x

    Examples
    --------
    >>> ksim_acceptance([[0.0], [1.0], [2.0], [9.0], [10.0]], ["a", "a", "a", "b", "b"], n_neighbors=3).value
    0.6
    """
    return _own_label(X, labels, n_neighbors, share(min_share, "min_share", most=True))


def _own_label(X: Any, labels: Any, n_neighbors: int, min_share: float | None) -> Measurement:
    embedding = represent(X, "X")
    groups = _labels(labels, "labels", embedding.n)
    near = _lists(embedding, groups, whole(n_neighbors, "n_neighbors", 2))
    if isinstance(near, str):
        return Measurement.undefined(near)
    neighbors = near.neighbors
    codes = groups.codes.astype(np.int32)  # half the memory
    values = (codes[neighbors.indices] == codes[:, None]).mean(axis=1)
    details: dict[str, Any] = {"n_neighbors": neighbors.k}
    if min_share is not None:
        values = (values >= min_share - _ROUNDING).astype(np.float64)
        details["min_share"] = min_share
    counts = {"used": embedding.n, "left_out": 0, "labels": len(groups.names)}
    units = Units("cell", groups.ids, values, {"label": groups.codes})
    rows = by_label(groups, groups.codes, values, "value")
    return Measurement(float(values.mean()), None, units, counts, details | near.details, rows)


def knn_purity(X: Any, labels: Any, n_neighbors: int = PURITY_NEIGHBORS) -> Measurement:
    """Mean over labels of the mean share, over a label's cells, of the 30 nearest other cells that have the label.

    Unlike `ksim` it does not count the cell itself, and each label weighs the same, however rare. Best 1, least 0; a
    label of fewer cells than are counted cannot have all of them. Labels of one cell, which have no other cell to find,
    are left out and counted. Not defined for a single label, where every cell has its own, or cells that are all at
    one place.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    n_neighbors
        Other cells counted; all n - 1 where there are fewer, which the details say.

    References
    ----------
    Shares of neighbours as in the nearest-neighbour rule, Cover and Hart 1967, doi:10.1109/TIT.1967.1053964

    Examples
    --------
    >>> knn_purity([[0.0], [1.0], [2.0], [9.0], [10.0]], ["a", "a", "a", "b", "b"], n_neighbors=2).value
    0.75
    """
    embedding = represent(X, "X")
    groups = _labels(labels, "labels", embedding.n)
    near = _lists(embedding, groups, whole(n_neighbors, "n_neighbors", 1) + 1)
    if isinstance(near, str):
        return Measurement.undefined(near)
    neighbors = near.neighbors
    scored = groups.counts > 1
    codes = groups.codes.astype(np.int32)  # half the memory
    values = (codes[neighbors.indices[:, 1:]] == codes[:, None]).mean(axis=1)
    values[~scored[groups.codes]] = np.nan
    cells = int(groups.counts[scored].sum())
    counts = {
        "used": cells,
        "left_out": embedding.n - cells,
        "labels": int(scored.sum()),
        "labels_left_out": int((~scored).sum()),
    }
    units = Units("cell", groups.ids, values, {"label": groups.codes}, groups=("label",))
    if not cells:
        return Measurement.undefined("every cell has a label of its own", units=units, counts=counts)
    rows = by_label(groups, groups.codes, values, "value")
    details: dict[str, Any] = {"n_neighbors": neighbors.k - 1}
    if not scored.all():
        details["labels_left_out"] = [str(name) for name in groups.names[~scored]]
    value = float(np.mean([row["value"] for row, used in zip(rows, scored, strict=True) if used]))
    return Measurement(value, None, units, counts, details | near.details, rows)


def _lists(embedding: Representation, groups: Labels, k: int) -> Nearest | str:
    """Return neighbour lists, or why nothing can be counted in them."""
    if reason := not_grouped(groups):
        return reason
    near = nearest(embedding, k, "bio", groups.codes)
    return near.reason or near


def graph_connectivity(X: Any, labels: Any, n_neighbors: int = GRAPH_NEIGHBORS) -> Measurement:
    """Mean over labels of the share of a label's cells that are in its largest strongly connected part.

    In the graph of a label's cells alone, a cell has an edge to each of those among its 14 nearest other cells; in a
    strongly connected part every cell reaches every other along such edges. Cells at distance 0 are neighbours as
    others are. A label of one cell is whole, 1. Best 1, least near 0. Not defined for a single cell or cells that are
    all at one place.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    n_neighbors
        Cells per list, the cell itself included; all n where there are fewer, which the details say.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8; strong parts as in scib-metrics, Gayoso et al. 2022,
    doi:10.1038/s41587-021-01206-w

    Examples
    --------
    >>> graph_connectivity([[0.0], [1.0], [50.0], [51.0]], ["a", "a", "a", "a"], n_neighbors=2).value
    0.5
    """
    return _connected(X, labels, n_neighbors, strong=True)


def graph_connectivity_weak(X: Any, labels: Any, n_neighbors: int = GRAPH_NEIGHBORS) -> Measurement:
    """Mean over labels of the share of a label's cells that are in its largest connected part, edges both ways.

    As `graph_connectivity`, but an edge that one cell has to another joins both: as in scib, whose graph is symmetric.
    It is never less than that one.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    n_neighbors
        Cells per list, the cell itself included; all n where there are fewer, which the details say.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8

    Examples
    --------
    >>> graph_connectivity_weak([[0.0], [1.0], [1.5], [50.0]], ["a", "a", "a", "a"], n_neighbors=2).value
    1.0
    """
    return _connected(X, labels, n_neighbors, strong=False)


def _connected(X: Any, labels: Any, n_neighbors: int, *, strong: bool) -> Measurement:
    embedding = represent(X, "X")
    groups = _labels(labels, "labels", embedding.n)
    k = whole(n_neighbors, "n_neighbors", 2)
    if embedding.n < 2:
        return Measurement.undefined("a cell has no neighbours")
    # Where cells with identical coordinates share a label, any of them may be the one that joins the others.
    near = nearest(embedding, k, "batch", None if strong else groups.codes)
    reason = not_grouped(groups) if len(groups.names) > 1 else None
    if reason := reason or near.reason:
        return Measurement.undefined(reason)
    neighbors = near.neighbors
    largest = largest_components(neighbors.indices, groups.codes, len(groups.names), strong=strong)
    values = largest / groups.counts
    rows = [
        {"label": str(name), "cells": int(cells), "largest_part": int(part), "value": float(value)}
        for name, cells, part, value in zip(groups.names, groups.counts, largest, values, strict=True)
    ]
    counts = {"used": len(values), "left_out": 0, "cells": embedding.n}
    details = {"n_neighbors": neighbors.k, "connection": "strong" if strong else "weak"}
    units = Units("label", groups.names, values)
    one = "all cells have one label, so the graph of all cells is looked at" if len(groups.names) == 1 else ""
    return Measurement(float(values.mean()), None, units, counts, noted(details | near.details, one), rows)
