"""Are cells of training and test too much alike for cross-validated scores to mean what they seem to?

The folds are those of the label prediction task, made by the same function.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks import _check
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.exceptions import InputError, InputTypeError
from czbenchmarks.kernels.distances import in_working_precision
from czbenchmarks.kernels.neighbors import nearest_of_all
from czbenchmarks.metrics.inputs import represent
from czbenchmarks.tasks.classification.folds import Folds, check_sizes, make_folds
from czbenchmarks.tasks.constants import MIN_CLASS_SIZE, N_FOLDS

from .types import Check, Verdict

NEAR_DUPLICATES = "near_duplicates_across_folds"
DONORS = "donors_across_folds"


def near_duplicates_across_folds(
    X: Any,
    labels: Any,
    n_folds: int = N_FOLDS,
    min_class_size: int = MIN_CLASS_SIZE,
    groups: Any = None,
    random_seed: int = RANDOM_SEED,
    *,
    nearer_than: float = 1e-3,
    at_most: float = 0.01,
) -> Check:
    """Count test cells that have all but the same embedding as a training cell.

    A pair of cells is a near-duplicate if their distance is at most `nearer_than` times the median distance of a cell
    to its nearest other cell (duplicates, at distance 0, left out of the median). A classifier that remembers is right
    on the test cells that have one of the same label in training, whatever the embedding is worth.
    Where half of the cells or more have a twin that is near and not the same, the median is that of twins: they pass.

    Parameters
    ----------
    X
        n x d embedding.
    labels, n_folds, min_class_size, groups, random_seed
        As of the label prediction task: the folds are those that it makes.
    nearer_than
        Which part of the median distance counts as near.
    at_most
        Share of test cells above which the verdict is ``"look"``.

    Returns
    -------
    The check; its table has one row per fold.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(40, 3))
    >>> X[20:] = X[:20]  # every cell twice
    >>> near_duplicates_across_folds(X, (["B"] * 10 + ["T"] * 10) * 2).verdict
    'look'
    """
    nearer_than, at_most = _positive(nearer_than, "nearer_than"), _share(at_most, "at_most")
    embedding = represent(X, "X")
    folds = _folds(labels, embedding.n, n_folds, min_class_size, groups, random_seed)
    if isinstance(folds, str):
        return Check(NEAR_DUPLICATES, "not checked", folds)
    neighbors = embedding.neighbors(2)
    nearest = neighbors.distances[:, 1]
    apart = nearest[nearest > 0]
    median = float(np.median(apart)) if len(apart) else 0.0
    near = nearest[folds.keep] <= nearer_than * median
    fold, codes = _fold_of(folds), folds.labels.codes
    rows = embedding.array[folds.keep[near]]
    inside = np.flatnonzero(near)
    any_label, same_label = np.zeros(len(near), dtype=bool), np.zeros(len(near), dtype=bool)
    any_label[inside] = _in_training(rows, fold[inside], nearer_than * median)
    for code in np.unique(codes[inside[any_label[inside]]]):
        of_label = codes[inside] == code
        same_label[inside[of_label]] = _in_training(rows[of_label], fold[inside[of_label]], nearer_than * median)
    table = _per_fold(folds, near_duplicates=any_label, of_the_same_label=same_label)
    n, found, same = len(fold), int(any_label.sum()), int(same_label.sum())
    sentence = (
        f"{found:,} of {n:,} test cells ({found / n:.1%}) have a near-duplicate among the training cells, which could "
        f"carry up to {same / n:.3f} of the accuracy"
    )
    too_many = found > at_most * n
    advice = "; drop the duplicates, or keep them in one fold by `groups`" if too_many else ""
    details = {
        "near_duplicates": found, "share": found / n, "of_the_same_label": same, "accuracy_share": same / n,
        "median_nearest_distance": median, "nearer_than": nearer_than, "at_most": at_most,
        "duplicates": int((nearest[folds.keep] == 0).sum()), **_facts(folds, random_seed), **neighbors.facts(),
    }  # fmt: skip
    return Check(NEAR_DUPLICATES, "look" if too_many else "ok", f"{sentence}{advice}.", table, details)


def donors_across_folds(
    labels: Any,
    donors: Any,
    n_folds: int = N_FOLDS,
    min_class_size: int = MIN_CLASS_SIZE,
    groups: Any = None,
    random_seed: int = RANDOM_SEED,
) -> Check:
    """Count test cells whose donor has cells in training too.

    Cells of a donor are alike beyond their type, so such scores do not say how well labels of a new donor are
    predicted.

    Parameters
    ----------
    labels, n_folds, min_class_size, groups, random_seed
        As of the label prediction task: the folds are those that it makes.
    donors
        The donor of each cell.

    Returns
    -------
    The check; its table has one row per fold.

    Examples
    --------
    >>> labels, donors = ["B", "T"] * 20, ["one"] * 20 + ["other"] * 20
    >>> donors_across_folds(labels, donors, n_folds=2).details["share"]
    1.0
    >>> donors_across_folds(labels, donors, n_folds=2, groups=donors).verdict
    'ok'
    """
    given = _check.labels(labels, "labels")
    known = _check.labels(donors, "donors", len(given))
    folds = _folds(given, len(given), n_folds, min_class_size, groups, random_seed)
    if isinstance(folds, str):
        return Check(DONORS, "not checked", folds)
    used = known.take(folds.keep)
    shared = np.zeros(len(folds.keep), dtype=bool)
    per_fold = []
    for train, test in folds.parts:
        shared[test] = np.isin(used.codes[test], used.codes[train])
        per_fold.append(len(np.unique(used.codes[test])))
    table = _per_fold(folds, of_donors_in_training=shared)
    for row, count in zip(table, per_fold, strict=True):
        row["donors"] = count
    n, found = len(shared), int(shared.sum())
    sentence = f"{found:,} of {n:,} test cells ({found / n:.1%}) are of a donor who also has training cells"
    verdict: Verdict = "look" if found else "ok"
    details = {"of_donors_in_training": found, "share": found / n, "donors": len(used.names)}
    advice = _advice(len(used.names), n_folds) if found else ""
    return Check(DONORS, verdict, f"{sentence}{advice}.", table, {**details, **_facts(folds, random_seed)})


def _advice(donors: int, n_folds: int) -> str:
    if donors < 2:
        return ", the only one, so the scores say nothing of other donors; add cells of others"
    fewer = f" and `n_folds` of at most {donors}" if donors < n_folds else ""
    return f"; pass the donors as `groups`{fewer} to score the prediction for new donors"


def _folds(labels: Any, n: int, n_folds: Any, min_class_size: Any, groups: Any, random_seed: Any) -> Folds | str:
    """Return the folds, or why the data do not allow them; arguments that are bad for any data are refused."""
    n_folds, smallest = _check.whole(n_folds, "n_folds", 2), _check.whole(min_class_size, "min_class_size", 1)
    seed = _check.whole(random_seed, "random_seed", 0, 2**32 - 1)
    check_sizes(n_folds, smallest)
    given = _check.labels(labels, "labels", n)
    grouped = None if groups is None else _check.labels(groups, "groups", n)
    try:
        return make_folds(given, n_folds, smallest, seed, grouped)
    except InputError as error:
        return str(error)


def _fold_of(folds: Folds) -> NDArray[np.int64]:
    """Return the fold in which each used cell is tested."""
    found = np.empty(len(folds.keep), dtype=np.int64)
    for i, (_, test) in enumerate(folds.parts):
        found[test] = i
    return found


def _in_training(rows: Any, fold: NDArray[np.int64], distance: float) -> NDArray[np.bool_]:
    """Tell which cells have one of another fold, which trains them, at most so far away.

    Equal rows are taken together first, so that a thousand copies of one cell are one row and not a million pairs.
    """
    found = np.zeros(len(rows), dtype=bool)
    if not len(rows):
        return found
    whole = np.ascontiguousarray(rows + 0.0)  # minus zero has other bytes
    as_bytes = whole.view(np.dtype((np.void, whole.dtype.itemsize * whole.shape[1]))).ravel()
    _, first, row = np.unique(as_bytes, return_index=True, return_inverse=True)
    points, unit = in_working_precision(whole[first])
    in_fold = np.zeros((len(first), int(fold.max()) + 1), dtype=bool)
    in_fold[row, fold] = True
    several = in_fold.sum(axis=1) > 1
    near = several.copy()
    for i in np.unique(fold):
        asked = np.flatnonzero(in_fold[:, i] & ~several)
        others = np.flatnonzero(several | ~in_fold[:, i])
        if len(asked) and len(others) and distance > 0:
            nearest = nearest_of_all(points[asked], points[others], 1, what="near-duplicates")
            near[asked] = nearest.distances[:, 0] * unit <= distance
    return np.asarray(near[row])


def _per_fold(folds: Folds, **counted: NDArray[np.bool_]) -> tuple[dict[str, Any], ...]:
    """Return one row per fold: its test cells, and how many of them are counted under each name."""
    return tuple(
        {
            "fold": i,
            "test_cells": len(test),
            **{name: int(which[test].sum()) for name, which in counted.items()},
            "share": float(next(iter(counted.values()))[test].mean()) if len(test) else math.nan,
        }
        for i, (_, test) in enumerate(folds.parts)
    )


def _facts(folds: Folds, random_seed: int) -> dict[str, Any]:
    facts = {"n_folds": len(folds.parts), "random_seed": random_seed, "used": len(folds.keep)}
    return {**facts, **(folds.details() or {})}


def _positive(value: Any, name: str) -> float:
    return _number(value, name, "a positive number", lambda x: 0 < x < math.inf)


def _share(value: Any, name: str) -> float:
    return _number(value, name, "a share from 0 to 1", lambda x: 0 <= x <= 1)


def _number(value: Any, name: str, what: str, holds: Any) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InputTypeError(f"`{name}` must be {what}, got {value!r}.")
    if not holds(value):
        raise InputError(f"`{name}` must be {what}, got {float(value):g}.")
    return float(value)
