"""The way from what a caller passes to what kernels take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import Labels, matrix, seed, whole
from czbenchmarks.kernels.neighbors import Neighbors
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.kernels.sampling import StratifiedSample
from czbenchmarks.kernels.stored import StoredMatrix

REFERENCE_COMPONENTS = 50  # of the data before integration


def represent(value: Any, name: str = "cell_representation", *, keep_sparse: bool = False) -> Representation:
    """Return `value` as a checked ``Representation``; one that is passed comes back as it is.

    Parameters
    ----------
    value
        n x d NumPy array, SciPy sparse matrix or array, DataFrame, or ``Representation``.
    name
        How an error sentence calls it.
    keep_sparse
        Keep sparse input sparse until a dense array is asked for.

    Raises
    ------
    ValueError
        If it is not two-dimensional, empty, or holds NaN or infinite values.
    TypeError
        If it does not hold real numbers.

    Examples
    --------
    >>> represent([[0, 1], [2, 3]]).array
    array([[0., 1.], [2., 3.]])
    """
    if isinstance(value, Representation):
        return value
    if isinstance(value, StoredMatrix):  # checked when it is read
        return Representation(value)
    return Representation(matrix(value, name, keep_sparse=keep_sparse))


def reference_components(unintegrated: Any) -> Representation:
    """Return the data before integration with at most 50 columns: as they are, or their first 50 components.

    Wider data are centred, not normalised, and decomposed once: embeddings that are compared with the same
    ``Representation`` share the components and their neighbours.

    Parameters
    ----------
    unintegrated
        n x d container, dense or sparse, or ``Representation``: a PCA, or expression.

    Examples
    --------
    >>> reference_components([[0.0, 1.0], [2.0, 3.0]]).d
    2
    """
    given = represent(unintegrated, "unintegrated", keep_sparse=True)
    if given.d <= REFERENCE_COMPONENTS:
        return given

    def make() -> Representation:
        from czbenchmarks.kernels.projection import project

        values = given.array if isinstance(given.values, StoredMatrix) else given.values
        return Representation(project(values, REFERENCE_COMPONENTS))

    return given.once(("reference components", REFERENCE_COMPONENTS), make)


def neighbor_graph(embedding: Representation, k: int) -> Any:
    """Return the fuzzy graph of the `k` nearest cells, made once per embedding.

    Parameters
    ----------
    embedding
        n cells.
    k
        Cells per list, the cell itself included; n where there are fewer.
    """
    from czbenchmarks.kernels.graph import connectivities

    neighbors = embedding.neighbors(k)
    return embedding.once(("connectivities", neighbors.k), lambda: connectivities(neighbors))


def not_grouped(groups: Labels) -> str | None:
    """Say why labels put no two cells together and others apart; None if they do.

    Parameters
    ----------
    groups
        Labels of all cells.
    """
    if len(groups.names) < 2:
        return f"all cells have one label, {groups.names[0]!r}"
    if len(groups.names) == len(groups):
        return "every cell has a label of its own"
    return None


def batches_of(groups: Labels, batches: Labels) -> NDArray[np.int64]:
    """Return in how many batches each label occurs.

    Parameters
    ----------
    groups, batches
        Labels and batches of all cells.
    """
    pairs = np.unique(groups.codes * len(batches.names) + batches.codes) // len(batches.names)
    return np.bincount(pairs, minlength=len(groups.names))


def all_at_one_place(embedding: Representation, neighbors: Neighbors) -> bool:
    """Tell whether the lists hold the first few rows only: all cells have the same coordinates, and there are more.

    What is counted among such neighbours says how the rows were ordered, and nothing else.

    Parameters
    ----------
    embedding, neighbors
        n cells, and their lists.
    """
    if neighbors.k >= embedding.n or neighbors.distances.any():
        return False
    return bool((embedding.array == embedding.array[0]).all())


def sampled(
    embedding: Representation,
    strata: NDArray[np.int64],
    weights: NDArray[np.float64],
    max_cells: int | None,
    random_seed: int,
) -> StratifiedSample | None:
    """Return the sample that a mean over cells is estimated from; None if all of them are asked for, or fit.

    Parameters
    ----------
    embedding
        n cells.
    strata, weights
        See ``StratifiedSample``.
    max_cells
        Cells asked for; None for all.
    random_seed
        Seed of the sample.

    Raises
    ------
    ValueError
        If the cells asked for are fewer than two per stratum.
    """
    checked = seed(random_seed)
    if max_cells is None:
        return None
    size = whole(max_cells, "max_cells", 2)
    counted = int((strata >= 0).sum())
    if size >= counted:
        return None
    groups = int(np.count_nonzero(np.bincount(strata[strata >= 0])))
    if size < 2 * groups:
        raise ValueError(
            f"`max_cells` must allow two cells of each of {groups:,} groups (of one label, or of one label and batch), "
            f"at least {2 * groups:,}, got {size:,}; sample more cells or leave it out."
        )
    return StratifiedSample(strata, weights, size, checked)
