"""The way from what a caller passes to what kernels take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import Labels, labels, matrix, same_length, seed, whole
from czbenchmarks.exceptions import InputError
from czbenchmarks.kernels.neighbors import Neighbors
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.kernels.sampling import StratifiedSample
from czbenchmarks.kernels.stored import StoredMatrix

from .declaration import Declaration, Part
from .presets import PRESETS

REFERENCE_COMPONENTS = 50  # of the data before integration
_MATRICES = ("X", "unintegrated", "expression", "corrected")
_LABELS = ("labels", "batch", "labels_true", "labels_pred")


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


def in_batches(X: Any, label: Any, batch: Any) -> tuple[Representation, Labels, Labels]:
    """Return an embedding, and the labels and batches of its cells, all checked."""
    embedding = represent(X, "X")
    return embedding, labels(label, "labels", embedding.n), labels(batch, "batch", embedding.n)


def plain_arguments(row: Declaration, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as functions of other libraries take them: arrays for ``Representation`` and ``Labels``.

    Those of the catalogue's rows are checked first, as our own functions check theirs. Functions registered from
    outside get what was passed.
    """
    checked, n = dict(arguments), None
    for name, asked in [] if row.outside else zip(row.needs, row.asks, strict=True):
        if asked in _MATRICES:
            embedding = checked[name] = represent(arguments[name], name)
            if n is not None:
                same_length(embedding.n, n, name)
            n = embedding.n
        elif asked in _LABELS:
            groups = checked[name] = labels(arguments[name], name, n)
            n = len(groups)
    return {name: _plain(value, row.outside) for name, value in checked.items()}


def _plain(value: Any, outside: bool) -> Any:
    if outside and isinstance(value, Labels):  # as a column of `obs` arrives
        import pandas as pd

        return pd.Series(value.array, index=value.ids)
    return value.array if isinstance(value, (Representation, Labels)) else value


def reference_components(unintegrated: Any) -> Representation:
    """Return the data before integration with at most 50 columns: as they are, or their first 50 components.

    They are a PCA, or expression, dense or sparse. Wider data are centred, not normalised, and decomposed once:
    embeddings that are compared with the same ``Representation`` share the components and their neighbours.

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
    """Return the fuzzy graph of the `k` nearest cells (itself included, at most all), made once per embedding."""
    from czbenchmarks.kernels.graph import connectivities

    neighbors = embedding.neighbors(k)
    return embedding.once(("connectivities", neighbors.k), lambda: connectivities(neighbors))


def not_grouped(groups: Labels) -> str | None:
    """Say why labels put no two cells together and others apart; None if they do."""
    if len(groups.names) < 2:
        return f"all cells have one label, {groups.names[0]!r}"
    if len(groups.names) == len(groups):
        return "every cell has a label of its own"
    return None


def batches_of(groups: Labels, batches: Labels) -> NDArray[np.int64]:
    """Return in how many batches each label occurs."""
    pairs = np.unique(groups.codes * len(batches.names) + batches.codes) // len(batches.names)
    return np.bincount(pairs, minlength=len(groups.names))


def not_batched(batches: Labels) -> str | None:
    """Say why batches cannot be mixed, whatever the embedding; None if they can."""
    if len(batches.names) < 2:
        return f"all cells belong to one batch, {batches.names[0]!r}"
    if len(batches.names) == len(batches):
        return "every cell has a batch of its own"
    return None


def noted(details: Mapping[str, Any], *notes: str | None) -> dict[str, Any]:
    """Return details whose note holds these notes too; empty ones and None do not count."""
    every = [note for note in (details.get("note"), *notes) if note]
    return {**details, "note": "; ".join(dict.fromkeys(every))} if every else dict(details)


def coincide(X: NDArray[np.floating], cells: NDArray[np.int64]) -> bool:
    """Tell whether cells have the same coordinates; two are looked at first, which suffices nearly always."""
    return all(bool((X[some] == X[cells[0]]).all()) for some in (cells[:2], cells))


@dataclass(frozen=True)
class Nearest:
    """Neighbour lists, and what is to be doubted of what is counted in them."""

    neighbors: Neighbors  # the lists
    details: dict[str, Any]  # how they were found, and a note where they say little of what is near
    reason: str | None  # why nothing can be counted in them; None if it can


def nearest(
    embedding: Representation,
    k: int,
    part: Part = "",
    groups: NDArray[np.int64] | None = None,
    counted: NDArray[np.int64] | None = None,
) -> Nearest:
    """Return the `k` nearest cells of every cell, and whether few cells or the order of the rows decide about them.

    Where cells are as near as others that a list has no room for, those first in the data are in it. That is noted. It
    is a reason against a value where it concerns most of the neighbours of most cells, as in an embedding of which most
    cells have identical coordinates.

    Lists hold the cell itself, and at most all cells. `part` is what the metric rewards, for the names of others that
    look at fewer cells. `groups` is what is counted, one code per cell: cells with identical coordinates and the same
    code may take each other's place; by default no cell may. `counted` says for each cell how many entries of its list
    count; by default all.
    """
    neighbors = embedding.neighbors(k)
    n, details = embedding.n, neighbors.facts()
    entries = np.full(n, neighbors.k) if counted is None else counted
    tied = _chosen_by_order(embedding, neighbors, entries, groups)
    some, most = int((tied > 0).sum()), int((2 * tied > entries - 1).sum())
    if some:
        details["tied_cells"] = some
    details = noted(details, few_cells(neighbors.k, n, part), tie_note(some))
    reason = None
    if not neighbors.distances.any() and coincide(embedding.array, np.arange(n)):
        reason = "all cells are at one place"
    elif 2 * most > n:
        reason = (
            f"most neighbours of {most:,} of {n:,} cells are as near as cells left out, so the order of the rows would "
            "decide"
        )
    return Nearest(neighbors, details, reason)


def tie_note(cells: int) -> str | None:
    """Say for how many cells the order of the rows chose neighbours; None for no cell."""
    return f"the last neighbours of {cells} cells are as near as cells left out; taken in row order" if cells else None


def few_cells(k: int, n: int, part: Part = "") -> str | None:
    """Say that `k` of `n` cells are hardly nearer than others, and what to read instead; None if they are.

    `part` is what the metric rewards: others that reward it are named.
    """
    if 3 * k <= n:
        return None
    rows = [(metric.value, metric.declaration) for metric in PRESETS["scib"].metrics]
    others = [name for name, row in rows if part and row.part == part and 3 * row.neighbors <= n]
    instead = f"; read {', '.join(others)} (--metrics scib)" if others else ""
    return f"{k:,} neighbours are more than a third of {n:,} cells, so they hardly tell embeddings apart{instead}"


def many_groups(groups: int, k: int, kind: str) -> str | None:
    """Say that there are more ``"labels"`` or ``"batches"`` than cells counted around a cell; None if not."""
    return f"there are more {kind} ({groups:,}) than neighbours counted ({k:,})" if groups > k else None


def _chosen_by_order(
    embedding: Representation, neighbors: Neighbors, entries: NDArray[np.int64], groups: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Return how many neighbours of each cell the order of the rows chose, so that what is counted depends on it."""
    tied = neighbors.tied(entries)
    if groups is None or not tied.any():
        return tied
    doubled = np.flatnonzero(neighbors.distances[:, 1] == 0)
    if not len(doubled):
        return tied
    # Cells with identical coordinates; adding 0 makes one of the two zeros.
    points = np.ascontiguousarray(embedding.array[doubled] + 0.0)
    place = np.unique(points.view(np.dtype((np.void, points[:1].nbytes))).ravel(), return_inverse=True)[1].ravel()
    least, most = np.full(int(place.max()) + 1, np.iinfo(np.int64).max), np.full(int(place.max()) + 1, -1)
    np.minimum.at(least, place, groups[doubled])
    np.maximum.at(most, place, groups[doubled])
    inside = neighbors.distances[doubled, entries[doubled] - 1] == 0  # what ties has the cell's own coordinates
    tied[doubled[inside & (least == most)[place]]] = 0
    return tied


def sampled(
    embedding: Representation,
    strata: NDArray[np.int64],
    weights: NDArray[np.float64],
    max_cells: int | None,
    random_seed: int,
) -> StratifiedSample | None:
    """Return the sample that a mean over cells is estimated from; None if all of them are asked for, or fit.

    See ``StratifiedSample`` for strata and weights; `max_cells` is None for all. Raises ``ValueError`` if the cells
    asked for are fewer than two per stratum.
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
        raise InputError(
            f"`max_cells` must allow two cells of each of {groups:,} groups (of one label, or of one label and batch), "
            f"at least {2 * groups:,}, got {size:,}; sample more cells or leave it out."
        )
    return StratifiedSample(strata, weights, size, checked)
