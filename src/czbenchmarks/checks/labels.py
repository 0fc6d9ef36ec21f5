"""Checks of labels: were they made from the embedding, and are predictions of them better than one answer for all?"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks import _check
from czbenchmarks.metrics.inputs import neighbor_graph, represent

from .types import Check

CLUSTERS = "clusters_as_labels"
BETTER = "better_than_majority"

# Chosen between what ten data sets gave: of Leiden and Louvain clusters of the embedding 0.84 to 1, of annotated cell
# types up to 0.5, of stages and batches up to 0.7. Of clusters of fewer components up to 0.75, of k-means up to 0.6.
FOLLOWED, FOLLOWED_BY_CLUSTERS = 0.75, 0.5
_FEW = 50  # cells on borders between labels; fewer say nothing
_NEIGHBORS = 15  # the cell itself included, as usual in graphs that are clustered
_NAMES_OF_CLUSTERS = re.compile("leiden|louvain|cluster|k-?means", re.IGNORECASE)
_LEAST_PROBABILITY = 0.01
_BLOCK = 1 << 22  # numbers at a time

Codes = NDArray[np.int64]


def clusters_as_labels(X: Any, labels: Any, name: str | None = None) -> Check:
    """Whether the labels look like clusters of this very embedding, which would be scored against itself.

    Clusters of a graph of neighbours follow it cell by cell: moving one cell to another cluster lowers the modularity.
    Annotated labels do so where the embedding has gaps, and much less on the borders where neighbourhoods are mixed.
    Of the cells there, the share whose own label has the greatest gain of modularity is compared with the mean weight
    of the heaviest label around them, which is about the share if cells got labels as their neighbours have them.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    name
        Name of the labels' column: one such as ``leiden`` with whole numbers is a hint.

    Returns
    -------
    ``"look"`` if the labels follow more than 0.75 of the way from that weight to 1, or 0.5 with such a name. Labels
    with fewer than 50 cells on borders pass without such a name: the embedding keeps them apart, whoever made them.

    References
    ----------
    Newman and Girvan 2004, doi:10.1103/PhysRevE.69.026113

    Examples
    --------
    >>> import numpy as np
    >>> line = np.arange(400.0)[:, None]
    >>> cut = np.arange(400) // 20
    >>> clusters_as_labels(line, cut).verdict, clusters_as_labels(line, np.arange(400) % 20).verdict
    ('look', 'ok')
    """
    embedding = represent(X, "X")
    groups = _check.labels(labels, "labels", embedding.n)
    _check.at_least_two(groups, "labels")
    graph = neighbor_graph(embedding, _NEIGHBORS)
    mixed, agree, weight = _on_borders(graph, groups.codes, len(groups.names))
    named = bool(name and _NAMES_OF_CLUSTERS.search(name) and all(str(one).isdecimal() for one in groups.names))
    hint = f"the labels are numbers in a column called {name!r}; " if named else ""
    details: dict[str, Any] = {"border_cells": mixed, "named_as_clusters": named}
    if mixed < _FEW and not named:
        said = f"{mixed:,} of {embedding.n:,} cells have neighbours of other labels, too few to tell clusters by"
        return Check(CLUSTERS, "ok", f"{said}.", details=details)
    followed = (agree - weight) / (1 - weight) if mixed else 1.0
    details |= {"agreement": agree, "expected": weight, "followed": followed} if mixed else {}
    said = f"{hint}{mixed:,} of {embedding.n:,} cells have neighbours of other labels"
    if mixed:
        said += (
            f", and {agree:.3f} of those the label that suits their neighbours best, where labels made without the "
            f"embedding have about {weight:.3f}"
        )
    look = followed > (FOLLOWED_BY_CLUSTERS if named else FOLLOWED)
    if look:
        said += (
            "; they look like clusters of this embedding, or of one like it, so its scores are of its agreement with "
            "itself: score it on labels made without it"
        )
    return Check(CLUSTERS, "look" if look else "ok", f"{_upper(said)}.", details=details)


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


def _on_borders(graph: Any, codes: Codes, n_labels: int) -> tuple[int, float, float]:
    """Return of cells with neighbours of other labels: how many, the share that suits, the mean heaviest weight."""
    import scipy.sparse as sp

    n = len(codes)
    graph = sp.csr_matrix(graph)
    of_label = sp.csr_matrix((np.ones(n), (np.arange(n), codes)), shape=(n, n_labels))
    degree = np.asarray(graph.sum(axis=1)).ravel()
    by_label, whole = np.bincount(codes, degree, n_labels), degree.sum()
    mixed, agree, heaviest = 0, 0, 0.0
    step = max(1, _BLOCK // n_labels)
    for rows in (np.arange(start, min(start + step, n)) for start in range(0, n, step)):
        weights = (graph[rows] @ of_label).toarray()
        most = weights.max(axis=1)
        on_border = most < degree[rows] * (1 - 1e-6)
        weights, rows, most = weights[on_border], rows[on_border], most[on_border]
        gain = weights - np.outer(degree[rows], by_label) / whole
        gain[np.arange(len(rows)), codes[rows]] += degree[rows] ** 2 / whole  # a cell does not count for its own label
        mixed += len(rows)
        agree += int((gain.argmax(axis=1) == codes[rows]).sum())
        heaviest += float((most / degree[rows]).sum())
    return mixed, agree / mixed if mixed else math.nan, heaviest / mixed if mixed else math.nan


def better_than_majority(true: Any, predicted: Any, classifier: Any = None, split: Any = None) -> Check:
    """Whether held-out predictions are better than always answering the most frequent label.

    That answer has a balanced accuracy (mean over labels of the share of their cells that are found) of 1 over the
    number of labels. So has, on average, any prediction that knows nothing of the cells; by how much it spreads if the
    test cells of each split were shuffled has a closed form. Cells of one donor are less different than that assumes.

    Parameters
    ----------
    true, predicted
        n labels of test cells, and what was predicted.
    classifier
        n names of classifiers, each of which predicted all test cells; the best is judged.
    split
        n names of the splits that cells were tested in.

    Returns
    -------
    A table with one row per classifier; ``"look"`` if the best is no better than chance: a probability of more than
    0.01, times the number of classifiers.

    References
    ----------
    Hoeffding 1951, doi:10.1214/aoms/1177729545

    Examples
    --------
    >>> true = ["B"] * 40 + ["T"] * 10
    >>> better_than_majority(true, ["B"] * 50).verdict, better_than_majority(true, true).verdict
    ('look', 'ok')
    """
    known = _check.labels(true, "true")
    names = np.union1d(known.names, _check.labels(predicted, "predicted", len(known)).names)
    guesses = _check.labels(predicted, "predicted", len(known))
    codes = np.searchsorted(names, known.names)[known.codes]
    answers = np.searchsorted(names, guesses.names)[guesses.codes]
    _check.at_least_two(known, "true")
    n = len(codes)
    classifiers = np.full(n, "classifier") if classifier is None else np.asarray(classifier).astype(str)
    splits = np.zeros(n, dtype=np.int64) if split is None else np.unique(np.asarray(split), return_inverse=True)[1]
    n_labels = len(known.names)
    table: list[dict[str, Any]] = []
    for one in dict.fromkeys(classifiers):
        of = classifiers == one
        found, expected, spread = _found(codes[of], answers[of], splits[of], len(names))
        table.append(
            {
                "classifier": str(one),
                "accuracy": float((codes[of] == answers[of]).mean()),
                "balanced_accuracy": found / n_labels,
                "by_chance": expected / n_labels,
                "standard_deviation": spread / n_labels,
                "probability": _upper_tail(found - expected, spread),
            }
        )
    best = min(table, key=lambda row: row["probability"])
    probability = min(1.0, best["probability"] * len(table))
    share = np.bincount(codes).max() / n
    most_frequent = str(names[np.bincount(codes).argmax()])
    better = probability <= _LEAST_PROBABILITY
    said = (
        f"the best classifier has a balanced accuracy of {best['balanced_accuracy']:.3f} (accuracy "
        f"{best['accuracy']:.3f}); always answering {most_frequent!r}, the most frequent label, has "
        f"{1 / n_labels:.3f} ({share:.3f})"
    )
    if better:
        return Check(BETTER, "ok", f"{_upper(said)}.", tuple(table), {"probability": probability})
    sentence = f"The predictions are no better than chance (p = {probability:.2g}): {said}."
    return Check(BETTER, "look", sentence, tuple(table), {"probability": probability})


def _found(true: Codes, predicted: Codes, splits: Codes, n_labels: int) -> tuple[float, float, float]:
    """Return the sum over labels of the share found; its mean and deviation with test cells shuffled in each split."""
    cells = np.bincount(true, minlength=n_labels)
    worth = np.divide(1.0, cells, out=np.zeros(n_labels), where=cells > 0)
    found = float(worth[true[true == predicted]].sum())
    expected = variance = 0.0
    for i in np.unique(splits):
        n = int((splits == i).sum())
        here, called = (np.bincount(codes[splits == i], minlength=n_labels) for codes in (true, predicted))
        expected += float((worth * here * called).sum()) / n
        if n < 2:
            continue
        # The score of a true and a predicted label, less the means over either: Hoeffding's d.
        score = np.diag(worth)
        row, column = worth * called / n, worth * here / n
        score = score - row[:, None] - column[None] + (row * here).sum() / n
        variance += float(here @ score**2 @ called) / (n - 1)
    return found, expected, math.sqrt(variance)


def _upper_tail(difference: float, spread: float) -> float:
    """Return the probability of such a difference or a greater one, by the normal distribution."""
    if spread <= 1e-12:  # all predictions, or all labels, of every split are one
        return 1.0
    return 0.5 * math.erfc(difference / spread / math.sqrt(2))
