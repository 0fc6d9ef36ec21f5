"""scGraph: whether an embedding keeps cell types as far apart as they are within each batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import Labels, listing, whole
from czbenchmarks.kernels.representation import Representation, digest
from czbenchmarks.kernels.scgraph import agreement, batch_distances, centroids, consensus, relative_distances

from ._expression import logged, state
from .inputs import in_batches
from .results import Measurement, Units

N_TOP_GENES = 1000
N_COMPONENTS = 10
MIN_BATCH_CELLS = 100
MIN_LABEL_CELLS = 10
TRIM = 0.05
_LEAST_LABELS = 3

_COLUMNS = ("rank_pca", "corr_pca", "corr_weighted")


def scgraph_rank_pca(
    X: Any,
    labels: Any,
    batch: Any,
    expression: Any,
    n_top_genes: int = N_TOP_GENES,
    n_components: int = N_COMPONENTS,
    min_batch_cells: int = MIN_BATCH_CELLS,
    min_label_cells: int = MIN_LABEL_CELLS,
) -> Measurement:
    """Mean over labels of Spearman's correlation of distances to the other labels, in the embedding and the reference.

    The reference: for each batch of at least 100 cells the principal components of its log-normalised variable genes,
    the centroids of the labels there (means without the outer 5 % on either side of each dimension), Euclidean
    distances between them, each column over its maximum; averaged over batches, columns over their maximum again. The
    embedding gives the same distances over all cells. Best 1, chance about 0, least -1. Labels of fewer than 10 cells
    are left out. Not defined for fewer than three labels, where no batch is large enough, and where distances do not
    differ.

    The breakdown has a row for every label: its cells and its three correlations. A ``Representation`` of `expression`
    keeps the reference for the next embedding, one of `X` the correlations for the other two scores.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels (cell types).
    batch
        n batches.
    expression
        n x g counts or log-normalised expression, dense or sparse. Values that are all whole are counts: they are
        scaled to 10,000 per cell and log(1 + x) is taken.
    n_top_genes
        Variable genes of a batch.
    n_components
        Principal components of a batch.
    min_batch_cells
        Batches with fewer cells do not count in the reference.
    min_label_cells
        Labels with fewer cells are left out.

    References
    ----------
    Wang, Leskovec and Regev 2024, doi:10.1101/2024.04.02.587824

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> types = np.repeat([0, 1, 2, 3], 50)
    >>> place = np.array([0.5, 1.5, 3.5, 7.5])[types]
    >>> cells = np.column_stack([place, 9 - place]) + rng.uniform(0, 0.1, (200, 2))
    >>> found = scgraph_rank_pca(place[:, None], types, np.tile([0, 1], 100), cells)
    >>> round(found.value, 6), len(found.breakdowns)
    (1.0, 4)
    """
    return _scgraph(0, X, labels, batch, expression, (n_top_genes, n_components, min_batch_cells, min_label_cells))


def scgraph_corr_pca(
    X: Any,
    labels: Any,
    batch: Any,
    expression: Any,
    n_top_genes: int = N_TOP_GENES,
    n_components: int = N_COMPONENTS,
    min_batch_cells: int = MIN_BATCH_CELLS,
    min_label_cells: int = MIN_LABEL_CELLS,
) -> Measurement:
    """Mean over labels of Pearson's correlation of distances to the other labels, in the embedding and the reference.

    Range, reference, breakdown and what is not defined are those of ``scgraph_rank_pca``.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels (cell types).
    batch
        n batches.
    expression
        n x g counts or log-normalised expression, dense or sparse.
    n_top_genes, n_components, min_batch_cells, min_label_cells
        As ``scgraph_rank_pca`` takes them.

    References
    ----------
    Wang, Leskovec and Regev 2024, doi:10.1101/2024.04.02.587824

    Examples
    --------
    >>> types = np.repeat([0, 1, 2], 50)
    >>> cells = np.array([[0.5, 0.0], [0.0, 1.5], [2.5, 0.0]])[types]
    >>> round(scgraph_corr_pca(cells, types, types * 0, cells).value, 6)
    1.0
    """
    return _scgraph(1, X, labels, batch, expression, (n_top_genes, n_components, min_batch_cells, min_label_cells))


def scgraph_corr_weighted(
    X: Any,
    labels: Any,
    batch: Any,
    expression: Any,
    n_top_genes: int = N_TOP_GENES,
    n_components: int = N_COMPONENTS,
    min_batch_cells: int = MIN_BATCH_CELLS,
    min_label_cells: int = MIN_LABEL_CELLS,
) -> Measurement:
    """Mean over labels of Pearson's correlation of distances, weighted so that near labels count more.

    The weight of a pair is 1 over its distance in the reference. It is the score that its authors report. Range,
    reference, breakdown and what is not defined are those of ``scgraph_rank_pca``.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels (cell types).
    batch
        n batches.
    expression
        n x g counts or log-normalised expression, dense or sparse.
    n_top_genes, n_components, min_batch_cells, min_label_cells
        As ``scgraph_rank_pca`` takes them.

    References
    ----------
    Wang, Leskovec and Regev 2024, doi:10.1101/2024.04.02.587824

    Examples
    --------
    >>> types = np.repeat([0, 1, 2], 50)
    >>> cells = np.array([[0.5, 0.0], [0.0, 1.5], [2.5, 0.0]])[types]
    >>> round(scgraph_corr_weighted(cells, types, types * 0, cells).value, 6)
    1.0
    """
    return _scgraph(2, X, labels, batch, expression, (n_top_genes, n_components, min_batch_cells, min_label_cells))


def _scgraph(
    column: int, X: Any, labels: Any, batch: Any, expression: Any, least: tuple[int, int, int, int]
) -> Measurement:
    names = ("n_top_genes", "n_components", "min_batch_cells", "min_label_cells")
    settings = dict(zip(names, (whole(value, name, 1) for name, value in zip(names, least, strict=True)), strict=True))
    embedding, groups, batches = in_batches(X, labels, batch)
    kept = groups.counts >= settings["min_label_cells"]
    codes = np.where(kept[groups.codes], np.cumsum(kept)[groups.codes] - 1, -1)
    large = batches.counts >= settings["min_batch_cells"]
    used = int((codes >= 0).sum())
    counts = {
        "used": used, "left_out": embedding.n - used, "labels": int(kept.sum()), "labels_left_out": int((~kept).sum()),
        "batches": int(large.sum()), "batches_left_out": int((~large).sum()),
    }  # fmt: skip
    given, values = logged(expression, "expression", embedding.n)
    if kept.sum() < _LEAST_LABELS:
        reason = (
            f"{kept.sum()} of {len(kept)} labels have {settings['min_label_cells']:,} cells or more; three are needed"
        )
        return Measurement.undefined(reason, counts=counts)
    if not large.any():
        reason = f"no batch has {settings['min_batch_cells']:,} cells; the largest has {batches.counts.max():,}"
        return Measurement.undefined(reason, counts=counts)
    reference = _reference(given, values, codes, batches, large, settings)
    if isinstance(reference, str):
        return Measurement.undefined(reference, counts=counts)
    correlations = _correlations(embedding, reference, codes)
    details: dict[str, Any] = {**settings, "expression": state(values)}
    if not kept.all():
        details["labels_left_out"] = [str(name) for name in groups.names[~kept]]
    return _measured(column, correlations, groups.names[kept], groups.counts[kept], counts, details)


def _reference(
    given: Representation, values: Any, codes: NDArray[np.int64], batches: Labels, large: NDArray[np.bool_],
    settings: dict[str, int],
) -> NDArray[np.float64] | str:  # fmt: skip
    """Return the distances between labels within batches, or why there are none."""

    def make() -> NDArray[np.float64] | str:
        k = int(codes.max()) + 1
        found, constant = [], []
        for one in np.flatnonzero(large):
            try:
                found.append(
                    batch_distances(
                        values, np.flatnonzero(batches.codes == one), codes, k, n_genes=settings["n_top_genes"],
                        n_components=settings["n_components"], trim=TRIM,
                    )
                )  # fmt: skip
            except LookupError:
                constant.append(batches.names[one])
        return consensus(found) if found else f"no gene varies between the cells of batch {listing(constant)}"

    key = ("scgraph reference", digest(codes), digest(batches.codes), *settings.values())
    return given.once(key, make)


def _correlations(
    embedding: Representation, reference: NDArray[np.float64], codes: NDArray[np.int64]
) -> NDArray[np.float64]:
    def make() -> NDArray[np.float64]:
        k = len(reference)
        return agreement(reference, relative_distances(centroids(embedding.array, codes, k, TRIM)))

    return embedding.once(("scgraph", digest(reference), digest(codes)), make)


def _measured(
    column: int, correlations: NDArray[np.float64], names: NDArray[Any], cells: NDArray[np.int64],
    counts: dict[str, int], details: dict[str, Any],
) -> Measurement:  # fmt: skip
    rows = [
        {"label": str(name), "cells": int(size), **dict(zip(_COLUMNS, map(float, row), strict=True))}
        for name, size, row in zip(names, cells, correlations, strict=True)
    ]
    own = correlations[:, column]
    counts = {**counts, "labels_without_value": int(np.isnan(own).sum())}
    units = Units("label", names, own)
    if np.isnan(own).all():
        reason = "no label has two others at different distances, in the embedding and within the batches"
        return Measurement.undefined(reason, units=units, counts=counts, details=details, breakdowns=rows)
    return Measurement(float(np.nanmean(own)), None, units, counts, details, rows)
