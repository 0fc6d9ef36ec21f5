"""Neighbourhoods of the data before integration, kept in the embedding."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from czbenchmarks._check import same_length, whole
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.kernels.preservation import excess_ranks

from .inputs import nearest, noted, reference_components, represent, sampled
from .results import Measurement, Units

NEIGHBORS = 15
ALL_UP_TO = 5000  # cells; of more, a sample is ranked
SAMPLE = 2000


def trustworthiness(
    X: Any,
    unintegrated: Any,
    n_neighbors: int = NEIGHBORS,
    max_cells: int | None = None,
    random_seed: int = RANDOM_SEED,
) -> Measurement:
    """How little the 15 nearest cells in the embedding rank behind the 15 nearest in the data before integration.

    1 - 2 / (n k (2 n - 3 k - 1)) times the sum, over cells i and those j of its k nearest in the embedding that are not
    among its k nearest before, of rank(i, j) - k: j is the rank-th nearest cell of i before. Best 1, 0 at the worst;
    about 0.5 for neighbours drawn at random. The data before integration are taken as they are up to 50 columns, else
    as their first 50 principal components. Equal distances go by index. Not defined for fewer than 3 cells, or where
    the cells of one space are all at one place.

    Parameters
    ----------
    X
        n x d embedding.
    unintegrated
        n x g data before integration: a PCA, or expression.
    n_neighbors
        Other cells, k; less than half of n, which it shrinks to (recorded in the details).
    max_cells
        Cells whose neighbours are ranked, among all cells. By default all of up to 5,000, and a sample of 2,000 of
        more; the details then hold ``estimated_from`` and ``standard_error``. n for all.
    random_seed
        Seed of that sample.

    References
    ----------
    Venna and Kaski 2001, doi:10.1007/3-540-44668-0_68; Venna and Kaski 2006, doi:10.1016/j.neunet.2006.05.014

    Examples
    --------
    >>> before = [[float(i)] for i in range(8)]
    >>> trustworthiness([[2 * x] for [x] in before], before, n_neighbors=2).value
    1.0
    """
    return _preserved(X, unintegrated, n_neighbors, max_cells, random_seed, ranked="before")


def continuity(
    X: Any,
    unintegrated: Any,
    n_neighbors: int = NEIGHBORS,
    max_cells: int | None = None,
    random_seed: int = RANDOM_SEED,
) -> Measurement:
    """How little the 15 nearest cells in the data before integration rank behind the 15 nearest in the embedding.

    `trustworthiness` with the two spaces exchanged: it falls where neighbours were torn apart, that one where strangers
    were brought together. Best 1, 0 at the worst; about 0.5 for an embedding that knows nothing.

    Parameters
    ----------
    X
        n x d embedding.
    unintegrated
        n x g data before integration: a PCA, or expression.
    n_neighbors
        Other cells, k; less than half of n, which it shrinks to (recorded in the details).
    max_cells
        Cells whose neighbours are ranked, among all cells. By default all of up to 5,000, and a sample of 2,000 of
        more; the details then hold ``estimated_from`` and ``standard_error``. n for all.
    random_seed
        Seed of that sample.

    References
    ----------
    Venna and Kaski 2001, doi:10.1007/3-540-44668-0_68; Venna and Kaski 2006, doi:10.1016/j.neunet.2006.05.014

    Examples
    --------
    >>> before = [[float(i)] for i in range(8)]
    >>> continuity([[2 * x] for [x] in before], before, n_neighbors=2).value
    1.0
    """
    return _preserved(X, unintegrated, n_neighbors, max_cells, random_seed, ranked="after")


def _preserved(
    X: Any, unintegrated: Any, n_neighbors: int, max_cells: int | None, seed: int, *, ranked: Literal["before", "after"]
) -> Measurement:
    """Rank, in the data before or after integration, the neighbours that cells have in the other."""
    embedding, given = represent(X, "X"), represent(unintegrated, "unintegrated", keep_sparse=True)
    same_length(given.n, embedding.n, "unintegrated")
    before, n = reference_components(given), embedding.n
    space, other = (before, embedding) if ranked == "before" else (embedding, before)
    k = min(whole(n_neighbors, "n_neighbors", 1), (n - 1) // 2)
    if k < 1:
        return Measurement.undefined(f"{n} cells are too few: 3 are needed")
    near = nearest(space, k + 1), nearest(other, k + 1)
    if reason := near[0].reason or near[1].reason:
        return Measurement.undefined(f"{reason}, in the embedding or before")
    own, lists = (one.neighbors for one in near)
    most = SAMPLE if max_cells is None and n > ALL_UP_TO else max_cells
    sample = sampled(space, np.zeros(n, dtype=np.int64), np.full(n, 1 / n), most, seed)
    rows = np.arange(n) if sample is None else sample.rows
    behind = excess_ranks(space.array, lists.indices, own.indices, rows)
    values = 1.0 - 2.0 / (k * (2 * n - 3 * k - 1)) * behind
    details: dict[str, Any] = {"n_neighbors": k, **near[1].details, **near[0].details}
    details = noted(details, near[1].details.get("note"))
    counts = {"used": len(rows), "left_out": n - len(rows)}
    units = Units("cell", rows, values)
    if sample is None:
        return Measurement(float(values.mean()), None, units, counts, details)
    mean, error = sample.mean(values)
    details |= {"estimated_from": len(rows), "standard_error": error}
    return Measurement(mean, None, units, counts, details)
