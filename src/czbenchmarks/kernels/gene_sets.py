"""Scores of sets of genes, and how much of the variance of cells they explain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .expression import Expression
from .parallel import map_blocks, one_blas_thread

_BINS = 25  # of genes of similar expression
_RANK = 1e-10  # of the largest singular value: below it scores are the same to rounding


def control_genes(mean: NDArray[np.float64], genes: NDArray[np.int64], n_controls: int, seed: int) -> NDArray[np.int64]:
    """Draw genes that are expressed like those of a set, `n_controls` for each of 25 bins that the set touches.

    Bins hold equally many genes, by rank of their mean (Tirosh et al. 2016, doi:10.1126/science.aad0501, with the draws
    of scanpy's ``score_genes``); of a bin that has no more, all are taken. Genes of the set are no controls. Given the
    mean of every gene and the positions of the set, positions are returned, sorted; none if all genes of the bins are
    in the set.
    """
    mean = np.round(mean, 10)  # genes that differ by rounding tie, in whatever order their cells were added
    ranks = np.searchsorted(np.sort(mean), mean) + 1  # ties have the least of theirs
    bins = ranks // max(1, round(len(mean) / (_BINS - 1)))
    draws = np.random.RandomState(seed)
    drawn = []
    for one in np.unique(bins[genes]):
        members = np.flatnonzero(bins == one)
        if n_controls < len(members):
            members = members[draws.choice(len(members), n_controls, replace=False)]
        drawn.append(members)
    return np.setdiff1d(np.concatenate(drawn), genes)


def set_scores(
    expression: Expression, rows: NDArray[np.int64], sets: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> NDArray[np.float64]:
    """Return, for each of the cells `rows` and each set, the mean of the set's genes less that of its controls.

    `sets` holds the positions of the genes and of the controls of every set.
    """
    weights = np.zeros((expression.genes, len(sets)))
    for column, (genes, controls) in enumerate(sets):
        weights[genes, column] = 1 / len(genes)
        weights[controls, column] = -1 / len(controls)

    def score(block: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(expression.logged(block) @ weights)

    return np.concatenate(map_blocks(score, expression.blocks(rows), "scores of gene sets"))


def explained_jointly(coordinates: NDArray[Any], scores: NDArray[np.float64]) -> float:
    """Return the share of the variance of rows that a regression on several scores at once explains.

    It is the mean over columns of their R2, weighted by variance; so principal components and any rotation of them give
    the same. Of n x d coordinates and n x m scores (no intercept is needed): 0 to 1, NaN where nothing varies.
    """
    with one_blas_thread():
        # Counted from the first row, a constant column is exactly 0.
        points = coordinates.astype(np.float64) - coordinates[0].astype(np.float64)
        points -= points.mean(axis=0)
        total = float(np.einsum("ij,ij->", points, points))
        left, sizes, _ = np.linalg.svd(scores - scores.mean(axis=0), full_matrices=False)
        if not total > 0:
            return float("nan")
        found = left[:, sizes > _RANK * max(float(sizes[0]), _RANK)].T @ points
        return min(1.0, float(np.einsum("ij,ij->", found, found)) / total)
