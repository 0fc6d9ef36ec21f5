"""Separation of labels in an embedding."""

from __future__ import annotations

from typing import Any

from czbenchmarks._check import labels as _labels
from czbenchmarks.kernels.silhouette import silhouette_samples

from ._inputs import represent
from .types import Measurement, Units


def silhouette_label(X: Any, labels: Any, rescale: bool = True) -> Measurement:
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
    values = silhouette_samples(embedding.array, groups.codes)
    if rescale:
        values = (values + 1) / 2
    counts = {"used": embedding.n, "left_out": 0, "labels": len(groups.names)}
    return Measurement(float(values.mean()), None, Units("cell", groups.ids, values), counts)
