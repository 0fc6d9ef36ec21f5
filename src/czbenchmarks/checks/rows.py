"""Are the rows of the embedding those of the cells, in their order?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from czbenchmarks._check import same_length
from czbenchmarks.kernels.overlap import Overlap, shared_neighbors
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.inputs import nearest, reference_components, represent

from .types import Check

ORDER = "order_of_rows"
NEIGHBORS = 14  # other cells; with the cell itself the usual 15 of a graph that may be given
_DEVIATIONS = 4.0  # above chance; rarer than one in ten thousand


def order_of_rows(X: Any, unintegrated: Any) -> Check:
    """Whether the neighbours of the cells in the embedding are their neighbours in the data, more than by chance.

    They are not where the rows are in another order than the cells, which looks like a bad model, and in an embedding
    that knows nothing of the data. The number of shared pairs among the 14 nearest is compared with its exact mean and
    variance over all orders of the rows.

    Parameters
    ----------
    X
        n x d embedding.
    unintegrated
        n x g data before integration: a PCA, or expression. Of more than 50 columns the first 50 principal components
        are compared.

    Returns
    -------
    ``"look"`` if no more neighbours are shared than by chance, although the data have neighbourhoods: those by the
    odd columns and those by the even ones share more.

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.repeat(np.random.default_rng(0).normal(size=(20, 4)), 5, axis=0)
    >>> cells += np.random.default_rng(1).normal(size=(100, 4)) / 100
    >>> order_of_rows(cells, cells).verdict, order_of_rows(cells[np.random.permutation(100)], cells).verdict
    ('ok', 'look')
    """
    embedding, given = represent(X, "X"), represent(unintegrated, "unintegrated", keep_sparse=True)
    same_length(given.n, embedding.n, "unintegrated")
    before = reference_components(given)
    k = min(NEIGHBORS, (embedding.n - 1) // 2)
    if embedding.n < 4 or k < 1:
        return Check(ORDER, "not checked", f"{embedding.n} cells are too few: 4 are needed.")
    lists, others = nearest(embedding, k + 1), nearest(before, k + 1)
    for where, reason in (("embedding", lists.reason), ("data", others.reason)):
        if reason:
            return Check(ORDER, "not checked", f"In the {where}, {reason}.")
    found = shared_neighbors(lists.neighbors.indices[:, : k + 1], others.neighbors.indices[:, : k + 1])
    shares = [pairs / (embedding.n * k) for pairs in (found.shared, found.expected)]
    details = {"n_neighbors": k, "shared": shares[0], "by_chance": shares[1], "deviations": _deviations(found)}
    said = (
        f"Cells have {shares[0]:.4f} of their {k} nearest cells in the embedding also among the {k} nearest in the "
        f"data, by chance {shares[1]:.4f}"
    )
    if _deviations(found) > _DEVIATIONS:
        return Check(ORDER, "ok", f"{said}.", details=details)
    if not _has_neighborhoods(before, k):
        reason = "the data have no neighbourhoods of their own, so their order cannot be told"
        return Check(ORDER, "not checked", f"{said}; {reason}.", details=details)
    advice = (
        "either its rows are in another order than the cells (give them names, or reorder them), or it knows nothing "
        "of the data"
    )
    return Check(ORDER, "look", f"{said}: {advice}.", details=details)


def _deviations(found: Overlap) -> float:
    if found.variance > 0:
        return (found.shared - found.expected) / math.sqrt(found.variance)
    return math.copysign(math.inf, found.shared - found.expected) if found.shared != found.expected else 0.0


def _has_neighborhoods(before: Representation, k: int) -> bool:
    """Tell whether the odd and the even columns have neighbours in common; one column alone says nothing of another."""
    if before.d < 2:
        return False
    halves = [Representation(np.ascontiguousarray(before.array[:, i::2])) for i in (0, 1)]
    return _deviations(shared_neighbors(*(half.neighbors(k + 1).indices for half in halves))) > _DEVIATIONS
