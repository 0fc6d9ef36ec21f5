"""Separation of labels in an embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from czbenchmarks._check import labels as _labels
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.kernels.silhouette import silhouette_samples

from ._inputs import represent, sampled
from .types import Measurement, Units


def silhouette_label(
    X: Any, labels: Any, rescale: bool = True, max_cells: int | None = None, random_seed: int = RANDOM_SEED
) -> Measurement:
    """Mean over cells of (b - a) / max(a, b), rescaled to (s + 1) / 2.

    a is a cell's mean Euclidean distance to its own label, b that to the nearest other label; the only cell of a label
    counts 0. Best 1 (rescaled), no separation 0.5, least 0. Not defined for a single label, nor where
    every cell has its own.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    rescale
        Map [-1, 1] to [0, 1].
    max_cells
        Estimate the mean from about so many cells, drawn within each label and compared with all cells; the details
        then hold ``estimated_from`` and ``standard_error``. By default all cells.
    random_seed
        Seed of that sample.

    References
    ----------
    Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7

    Examples
    --------
    >>> round(silhouette_label([[0.0], [1.0], [9.0], [10.0]], ["a", "a", "b", "b"]).value, 4)
    0.9443
    """
    embedding = represent(X, "X")
    groups = _labels(labels, "labels", embedding.n)
    if len(groups.names) < 2:
        return Measurement.undefined(f"all cells have one label, {groups.names[0]!r}")
    if len(groups.names) == embedding.n:
        return Measurement.undefined("every cell has a label of its own")
    counts = {"used": embedding.n, "left_out": 0, "labels": len(groups.names)}
    weights = np.full(embedding.n, 1 / embedding.n)
    sample = sampled(embedding, groups.codes, weights, max_cells, random_seed)
    values = silhouette_samples(embedding.array, groups.codes, rows=sample.rows if sample else None)
    if rescale:
        values = (values + 1) / 2
    if sample is None:
        return Measurement(float(values.mean()), None, Units("cell", groups.ids, values), counts)
    mean, error = sample.mean(values)
    details = {"estimated_from": len(values), "standard_error": error}
    return Measurement(mean, None, Units("cell", groups.ids[sample.rows], values), counts, details)
