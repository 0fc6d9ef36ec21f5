"""kBET: batches among the nearest cells, tested against those of all cells, or of all cells of the label."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from czbenchmarks._check import Labels, listing, share, whole
from czbenchmarks._check import labels as _labels
from czbenchmarks.kernels.kbet import LabelTest, kbet_by_label, neighbor_p_values

from .inputs import coincide, in_batches, many_groups, nearest, neighbor_graph, not_batched, noted, represent
from .results import Measurement, Units

GRAPH_NEIGHBORS = 50
GLOBAL_NEIGHBORS = 25
_ONE_PLACE = "all its cells are at one place"


def kbet(
    X: Any, labels: Any, batch: Any, alpha: float = 0.05, n_neighbors: int = GRAPH_NEIGHBORS, n_components: int = 100
) -> Measurement:
    """Mean over labels of the share of cells around which the batches are those of the label, by a chi-square test.

    Within each label of n cells and B batches, the graph of the nearest cells is cut to the label's own cells, and
    the k = n / (4 B) nearest (10 to 70) are found by diffusion on it. A cell is accepted where the batches among them
    and itself do not differ from those of the label (p at least `alpha`). Where the graph falls into pieces, those of
    at least 3 k cells are tested if they hold three quarters of the cells; else the label scores 0. Labels with one
    batch, fewer than 10 cells or all cells at one place are left out. Best 1, least 0; where batches do not matter
    about 1 - `alpha`. Not defined where no label is left, nor where all cells are at one place.

    The breakdown has a row for every label: its cells, batches, cells tested, k, score and, where it has no test, why.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels (cell types).
    batch
        n batches.
    alpha
        A cell is accepted where its p-value is at least this.
    n_neighbors
        Cells per cell in the graph, the cell itself included; n where there are fewer cells.
    n_components
        Dimensions of the diffusion map.

    References
    ----------
    Büttner et al. 2019, doi:10.1038/s41592-018-0254-1; Luecken et al. 2022, doi:10.1038/s41592-021-01336-8

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.random.default_rng(0).normal(size=(100, 3))
    >>> kbet(cells, ["T"] * 100, ["x", "y"] * 50).value > 0.9
    True
    """
    embedding, groups, batches = in_batches(X, labels, batch)
    alpha = share(alpha, "alpha")
    k = min(whole(n_neighbors, "n_neighbors", 2), embedding.n)
    n_components = whole(n_components, "n_components", 1)
    if reason := not_batched(batches):
        return Measurement.undefined(reason)
    cells_of = np.split(np.argsort(groups.codes, kind="stable"), np.cumsum(groups.counts)[:-1])
    in_one_place = np.array([coincide(embedding.array, cells) for cells in cells_of])
    # Labels all at one place are left out: which of their cells are neighbours does not matter.
    near = nearest(embedding, k, "batch", np.where(in_one_place[groups.codes], 0, 1 + np.arange(embedding.n)))
    if near.reason:
        return Measurement.undefined(near.reason)

    graph = neighbor_graph(embedding, k)
    found = kbet_by_label(graph, groups.codes, batches.codes, alpha, n_components)
    found = [
        replace(test, score=math.nan, reason=_ONE_PLACE, tested=0, neighbors=0, search="")
        if math.isfinite(test.score) and one_place
        else test
        for test, one_place in zip(found, in_one_place, strict=True)
    ]
    return _mean_over_labels(found, groups, {"n_neighbors": k, **near.details})


def _mean_over_labels(found: list[LabelTest], groups: Labels, details: dict[str, Any]) -> Measurement:
    scores = np.array([test.score for test in found])
    scored = np.isfinite(scores)
    cells = np.array([test.cells for test in found])
    skipped = [str(name) for name in groups.names[~scored]]
    pieces = [str(name) for name, test in zip(groups.names, found, strict=True) if test.score == 0 and test.reason]
    counts = {
        "used": int(cells[scored].sum()),
        "left_out": int(cells[~scored].sum()),
        "labels": int(scored.sum()),
        "labels_left_out": len(skipped),
    }
    if skipped:
        details["labels_left_out"] = skipped
    if pieces:
        details["labels_in_pieces"] = pieces
    tested = [test for test in found if test.tested]
    small = [test for test in tested if 3 * (test.neighbors + 1) > test.tested or test.batches > test.neighbors + 1]
    if 2 * len(small) > scored.sum():
        note = (
            f"in {len(small):,} of {scored.sum():,} labels the neighbours counted are more than a third of the cells, "
            "or fewer than the batches, so hardly a cell can be rejected"
        )
        details = noted(details, note)
    if any(test.search == "approximate" for test in found):
        details["diffusion_neighbors"] = "approximate"
    units = Units("label", groups.names, scores)
    rows = [
        {"label": str(name), "cells": test.cells, "batches": test.batches, "tested": test.tested,
         "neighbors": test.neighbors, "score": test.score, "reason": test.reason}
        for name, test in zip(groups.names, found, strict=True)
    ]  # fmt: skip
    if not scored.any():
        places = ", not all at one place" if any(test.reason == _ONE_PLACE for test in found) else ""
        reason = f"no label has two batches and at least 10 cells{places} ({listing(skipped)})"
        return Measurement.undefined(reason, units=units, counts=counts, details=details, breakdowns=rows)
    return Measurement(float(scores[scored].mean()), None, units, counts, details, rows)


def kbet_global(X: Any, batch: Any, n_neighbors: int = GLOBAL_NEIGHBORS, alpha: float = 0.05) -> Measurement:
    """Share of cells around which the batches are those of the whole data set, by a chi-square test per cell.

    Labels play no part: cell types that are commoner in one batch are held against the embedding. Best 1, least 0;
    where batches do not matter about 1 - `alpha`. Not defined for a single batch, nor for more cells than neighbours
    that are all at one place.

    Parameters
    ----------
    X
        n x d embedding.
    batch
        n batches.
    n_neighbors
        Cells counted, the cell itself included; n where there are fewer cells (recorded in the details).
    alpha
        A cell is accepted where its p-value is at least this.

    References
    ----------
    Büttner et al. 2019, doi:10.1038/s41592-018-0254-1; with these defaults in Li et al. 2020,
    doi:10.1038/s41592-020-0905-x

    Examples
    --------
    >>> kbet_global([[0.0], [1.0], [2.0], [3.0], [10.0], [11.0], [12.0], [13.0]], list("xxxxyyyy"), n_neighbors=4).value
    0.0
    """
    embedding = represent(X, "X")
    batches = _labels(batch, "batch", embedding.n)
    alpha = share(alpha, "alpha")
    k = min(whole(n_neighbors, "n_neighbors", 2), embedding.n)
    if reason := not_batched(batches):
        return Measurement.undefined(reason)
    near = nearest(embedding, k, "batch", batches.codes)
    if near.reason:
        return Measurement.undefined(near.reason)
    neighbors = near.neighbors
    every = "every cell is a neighbour of every other, so none can be rejected" if k == embedding.n else ""
    many = many_groups(len(batches.names), k, "batches")
    details = noted({"n_neighbors": k, **near.details}, every, many)
    p_values = neighbor_p_values(neighbors.indices, batches.codes)
    accepted = (p_values >= alpha).astype(np.float64)
    units = Units("cell", batches.ids, accepted, {"batch": batches.codes, "p_value": p_values})
    counts = {"used": embedding.n, "left_out": 0, "batches": len(batches.names)}
    rows = [
        {"batch": str(name), "cells": int(size), "score": float(total / size)}
        for name, size, total in zip(
            batches.names, batches.counts, np.bincount(batches.codes, weights=accepted), strict=True
        )
    ]
    return Measurement(float(accepted.mean()), None, units, counts, details, rows)
