"""sBEE: mixing of batches around each cell, and distance between batches, within every label."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import Labels, whole
from czbenchmarks._check import seed as checked_seed
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.kernels.representation import Representation, digest
from czbenchmarks.kernels.sbee import distance_ratios, neighbor_mixing

from .inputs import in_batches, nearest, not_batched, noted
from .results import Measurement, Units

SBEE_NEIGHBORS = 90
REFERENCE_CELLS = 4000
_SHARPNESS = 0.15  # a ratio of distances r counts exp(-(1 - r) / this)


def sbee(
    X: Any,
    labels: Any,
    batch: Any,
    n_neighbors: int = SBEE_NEIGHBORS,
    max_reference: int = REFERENCE_CELLS,
    random_seed: int = RANDOM_SEED,
) -> Measurement:
    """Mean over labels, over batches of a label and over their cells of how well batches mix around a cell.

    A cell's value is the harmonic mean of two numbers. Mixing: 1 - the Jensen-Shannon distance (base 2) of the batches
    of its neighbours with the same label to those of the label; of the neighbours the first so many count as the
    label has cells. Distance: exp(-(1 - r) / 0.15), r the median distance to the other cells of its label and batch
    over that to the label's cells of other batches, at most 1, and 1 where either has no cells. A cell with a median
    distance of 0 counts 0. A label in one batch counts 1. Best 1, least 0. Not defined where no label occurs in two
    batches.

    The breakdown has a row for every label and batch: its cells, and their mean mixing, distance and score.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels (cell types).
    batch
        n batches.
    n_neighbors
        Neighbours per cell, the cell itself included; n where there are fewer cells.
    max_reference
        Cells of its own batch, and of others, that a cell's distance is taken to at most; where a label has more, so
        many are drawn for each of its batches (the details then hold for how many cells).
    random_seed
        Seed of that drawing.

    References
    ----------
    single-cell Batch Effect Evaluator, https://github.com/tastanlab/sBEE

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.random.default_rng(0).normal(size=(100, 3))
    >>> sbee(cells, ["T"] * 100, ["x", "y"] * 50).value > 0.7
    True
    """
    embedding, groups, batches = in_batches(X, labels, batch)
    k = min(whole(n_neighbors, "n_neighbors", 2), embedding.n)
    most = whole(max_reference, "max_reference", 1)
    seed = checked_seed(random_seed)
    if reason := not_batched(batches):
        return Measurement.undefined(reason)
    pairs, of_cell = np.unique(groups.codes * len(batches.names) + batches.codes, return_inverse=True)
    label_of = pairs // len(batches.names)
    batches_of = np.bincount(label_of)
    if batches_of.max() < 2:
        return Measurement.undefined("no label occurs in two batches")
    near = nearest(embedding, k, "batch", of_cell, np.minimum(np.maximum(groups.counts, 2), k)[groups.codes])
    if near.reason:
        return Measurement.undefined(near.reason)
    neighbors = near.neighbors
    mixing = neighbor_mixing(neighbors.indices, groups.codes, batches.codes)
    distance, drawn = _distance_scores(embedding, groups, batches, most, seed)
    values = _harmonic(mixing, distance)
    sizes = np.bincount(of_cell)
    scores = np.bincount(of_cell, weights=values) / sizes
    means = np.bincount(label_of, weights=scores) / batches_of
    single = [str(name) for name in groups.names[batches_of == 1]]
    details: dict[str, Any] = {"n_neighbors": k, **near.details}
    if single:
        details["labels_in_one_batch"] = single
    unmixed = int(((batches_of == 1) | (batches_of == groups.counts)).sum())
    if 2 * unmixed > len(groups.names):
        note = f"{unmixed:,} of {len(groups.names):,} labels, in one batch or with a batch for every cell, say nothing"
        details = noted(details, f"{note} of mixing")
    if drawn:
        details |= {"cells_with_drawn_references": drawn, "reference_cells": most}
    counts = {"used": embedding.n, "left_out": 0, "labels": len(groups.names), "labels_in_one_batch": len(single)}
    coincident = int(np.isnan(distance).sum())
    if coincident:
        counts["median_distance_0"] = coincident
    defined = np.isfinite(distance)
    with np.errstate(invalid="ignore"):  # no cell of a batch may have a distance
        distances = np.bincount(of_cell[defined], distance[defined], len(pairs)) / np.bincount(
            of_cell[defined], minlength=len(pairs)
        )
    rows = [
        {"label": str(groups.names[label_of[i]]), "batch": str(batches.names[pair % len(batches.names)]),
         "cells": int(sizes[i]), "mixing": float(mixed), "distance": float(distances[i]), "score": float(scores[i])}
        for i, (pair, mixed) in enumerate(zip(pairs, np.bincount(of_cell, weights=mixing) / sizes, strict=True))
    ]  # fmt: skip
    columns = {"label": groups.codes, "batch": batches.codes}
    units = Units("cell", groups.ids, values, columns, groups=("label", "batch"))
    return Measurement(float(means.mean()), None, units, counts, details, rows)


def _distance_scores(
    embedding: Representation, groups: Labels, batches: Labels, most: int, seed: int
) -> tuple[NDArray[np.float64], int]:
    """Return exp(-(1 - r) / 0.15), NaN where r is not defined, and for how many cells references were drawn."""
    key = ("distance ratios", digest(groups.codes, batches.codes), most, seed)
    ratios, drawn = embedding.once(
        key, lambda: distance_ratios(embedding.array, groups.codes, batches.codes, most, seed)
    )
    return np.exp(-(1.0 - np.minimum(ratios, 1.0)) / _SHARPNESS), drawn


def _harmonic(mixing: NDArray[np.float64], distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the harmonic mean, 0 where one is 0 or the distance is not defined."""
    total = mixing + distance
    return np.divide(2 * mixing * distance, total, out=np.zeros_like(total), where=total > 0)
