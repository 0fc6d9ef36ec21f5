"""Separation of labels in an embedding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import Labels
from czbenchmarks._check import labels as _labels
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.kernels.representation import Representation, digest
from czbenchmarks.kernels.silhouette import silhouette_samples

from .inputs import not_grouped, represent, sampled
from .results import Measurement, Units


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
    if reason := not_grouped(groups):
        return Measurement.undefined(reason)
    counts = {"used": embedding.n, "left_out": 0, "labels": len(groups.names)}
    weights = np.full(embedding.n, 1 / embedding.n)
    sample = sampled(embedding, groups.codes, weights, max_cells, random_seed)
    if sample is None:
        values = label_silhouettes(embedding, groups.codes)
    else:
        values = silhouette_samples(embedding.array, groups.codes, rows=sample.rows)
    if rescale:
        values = (values + 1) / 2
    if sample is None:
        table = by_label(groups, groups.codes, values)
        units = Units("cell", groups.ids, values, {"label": groups.codes})
        return Measurement(float(values.mean()), None, units, counts, {}, table)
    mean, error = sample.mean(values)
    details = {"estimated_from": len(values), "standard_error": error}
    # Within a label every cell is drawn alike, so the plain mean estimates that of the label.
    codes = groups.codes[sample.rows]
    units = Units("cell", groups.ids[sample.rows], values, {"label": codes})
    return Measurement(mean, None, units, counts, details, by_label(groups, codes, values))


def label_silhouettes(embedding: Representation, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the Euclidean silhouette of every cell, made once per embedding and labels; not to be changed.

    Codes are those of at least two labels, from 0.
    """

    def make() -> NDArray[np.float64]:
        values = silhouette_samples(embedding.array, codes)
        values.flags.writeable = False
        return values

    return embedding.once(("silhouette", digest(codes)), make)


def by_label(
    groups: Labels, codes: NDArray[np.int64], values: NDArray[np.float64], column: str = "mean"
) -> list[dict[str, Any]]:
    """Return the table of mean values by label: ``label``, ``cells`` (all of them) and, as `column`, the mean.

    `codes` and `values` are the label and value of some or all cells; values that are NaN do not count.
    """
    known = np.isfinite(values)
    total = np.bincount(codes[known], weights=values[known], minlength=len(groups.names))
    counted = np.bincount(codes[known], minlength=len(groups.names))
    means = np.divide(total, counted, out=np.full(len(total), np.nan), where=counted > 0)
    rows = zip(groups.names, groups.counts, means, strict=True)
    return [{"label": str(name), "cells": int(cells), column: float(mean)} for name, cells, mean in rows]
