"""How well labels that occur in few batches are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import Labels, listing, whole
from czbenchmarks._check import seed as checked_seed
from czbenchmarks.constants import RANDOM_SEED

from .communities import N_NEIGHBORS, RESOLUTIONS, checked_resolutions, communities, no_communities
from .embedding import label_silhouettes
from .inputs import batches_of, in_batches, nearest, not_grouped, noted
from .results import Measurement, Units


def isolated_labels(
    X: Any,
    labels: Any,
    batch: Any,
    iso_threshold: int | None = None,
    rescale: bool = True,
    every_label_if_none: bool = False,
) -> Measurement:
    """Mean over isolated labels of their cells' mean silhouette, rescaled to (s + 1) / 2.

    A label is isolated if it occurs in at most `iso_threshold` batches and does not occur in all; the silhouettes are
    those of all labels. The breakdown has a row for every label, isolated or not. Best 1, no separation 0.5, least 0.
    Not defined where no label is isolated, for a single label, nor where every cell has its own.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    batch
        n batches.
    iso_threshold
        Most batches of an isolated label; by default the smallest number that a label has.
    rescale
        Map [-1, 1] to [0, 1].
    every_label_if_none
        Score all labels where the threshold lets in those of all batches, as scib-metrics does: the value is then the
        mean silhouette by label, and says nothing of isolated ones.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8

    Examples
    --------
    >>> isolated_labels([[0.0], [1.0], [9.0], [10.0]], ["a", "a", "b", "b"], ["x", "y", "x", "x"]).counts["isolated"]
    1
    """
    embedding, groups, batches = in_batches(X, labels, batch)
    chosen = _Isolated(groups, batches, iso_threshold, every_label_if_none)
    if reason := not_grouped(groups):
        return chosen.undefined(reason)
    silhouettes = label_silhouettes(embedding, groups.codes)
    silhouettes = (silhouettes + 1) / 2 if rescale else silhouettes
    means = np.bincount(groups.codes, weights=silhouettes) / groups.counts
    if chosen.none:
        return chosen.undefined(chosen.none, score=means)
    inside = chosen.labels[groups.codes]
    columns = {"label": groups.codes, "batch": batches.codes}
    units = Units("cell", groups.ids, np.where(inside, silhouettes, np.nan), columns, groups=("label",))
    counts = chosen.counts(int(inside.sum()))
    value = float(means[chosen.labels].mean())
    return Measurement(value, None, units, counts, chosen.details, chosen.table(score=means))


def isolated_labels_f1(
    X: Any,
    labels: Any,
    batch: Any,
    iso_threshold: int | None = None,
    resolutions: Sequence[float] = RESOLUTIONS,
    every_label_if_none: bool = False,
    random_seed: int = RANDOM_SEED,
) -> Measurement:
    """Mean over isolated labels of the best F1 between the label and a cluster.

    Clusters are the Leiden communities of ``leiden_nmi_best``; each label has the cluster and the resolution that suit
    it best. Which labels are isolated is told under ``isolated_labels``. Best 1, least above 0. Not defined where no
    label is isolated, for a single label, nor where every cell has its own.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    batch
        n batches.
    iso_threshold
        Most batches of an isolated label; by default the smallest number that a label has.
    resolutions
        Resolutions to try: 0.2, 0.4, ... 2.0.
    every_label_if_none
        Score all labels where the threshold lets in those of all batches.
    random_seed
        Seed of the communities.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.random.default_rng(0).normal(size=(60, 2)) + 20 * np.repeat([[0], [1]], 30, axis=0)
    >>> isolated_labels_f1(cells, ["a"] * 30 + ["b"] * 30, ["x", "y"] * 15 + ["x"] * 30).value
    1.0
    """
    embedding, groups, batches = in_batches(X, labels, batch)
    seed = checked_seed(random_seed)
    wanted = checked_resolutions(resolutions)
    chosen = _Isolated(groups, batches, iso_threshold, every_label_if_none)
    if reason := not_grouped(groups) or chosen.none or no_communities(embedding):
        return chosen.undefined(reason)
    scores = np.stack([_best_f1(groups, codes) for codes in communities(embedding, wanted, seed)])
    best = scores.argmax(axis=0)  # the first of equals
    values = scores.max(axis=0)
    at = np.array(wanted)[best]
    units = Units("label", groups.names[chosen.labels], values[chosen.labels], {"label": np.flatnonzero(chosen.labels)})
    details = noted(nearest(embedding, N_NEIGHBORS, "bio").details, chosen.details.get("note"))
    details = {**chosen.details, **details}
    counts = chosen.counts(int(groups.counts[chosen.labels].sum()))
    table = chosen.table(score=values, resolution=at)
    return Measurement(float(values[chosen.labels].mean()), None, units, counts, details, table)


def _best_f1(groups: Labels, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for every label the largest F1 of a cluster, read as the cells called by it."""
    clusters = np.bincount(codes)
    pairs, shared = np.unique(groups.codes * len(clusters) + codes, return_counts=True)
    label, cluster = np.divmod(pairs, len(clusters))
    best = np.zeros(len(groups.names))
    np.maximum.at(best, label, 2 * shared / (groups.counts[label] + clusters[cluster]))
    return best


class _Isolated:
    """Which labels are isolated, and what is to be told of it."""

    def __init__(self, groups: Labels, batches: Labels, threshold: int | None, every_label_if_none: bool) -> None:
        self.groups, self.batches = groups, batches_of(groups, batches)
        most = len(batches.names)
        least = int(self.batches.min())
        self.threshold = least if threshold is None else whole(threshold, "iso_threshold", 1)
        self.every = every_label_if_none and self.threshold >= most
        self.labels = (self.batches <= self.threshold) & ((self.threshold < most) | self.every)
        self.none: str | None = None
        if not self.labels.any():
            named = f"({listing(self._named())})"
            self.none = f"no label is isolated: each occurs in more than {self.threshold:,} batches {named}"
            if most == 1:
                self.none = f"no label is isolated: all cells belong to one batch, {batches.names[0]!r}"
            elif self.threshold >= most:
                few = "each occurs in" if threshold is None else "`iso_threshold` lets in those of"
                self.none = f"no label is isolated: {few} all {most:,} batches {named}"

    def _named(self) -> list[str]:
        return [f"{name}: {batches:,}" for name, batches in zip(self.groups.names, self.batches, strict=True)]

    @property
    def details(self) -> dict[str, Any]:
        note = {"note": "no label is isolated; all are scored"} if self.every else {}
        return {"iso_threshold": self.threshold, **note}

    def counts(self, used: int) -> dict[str, int]:
        n = len(self.groups)
        isolated = int(self.labels.sum())
        return {"used": used, "left_out": n - used, "labels": len(self.groups.names), "isolated": isolated}

    def table(self, **columns: NDArray[np.float64]) -> list[dict[str, Any]]:
        """Return a row for each label, isolated or not."""
        facts = zip(self.groups.names, self.groups.counts, self.batches, self.labels, strict=True)
        return [
            {"label": str(name), "cells": int(cells), "batches": int(batches), "isolated": int(isolated)}
            | {column: float(values[i]) for column, values in columns.items()}
            for i, (name, cells, batches, isolated) in enumerate(facts)
        ]

    def undefined(self, reason: str, **columns: NDArray[np.float64]) -> Measurement:
        table = self.table(**columns)
        return Measurement.undefined(reason, counts=self.counts(0), details=self.details, breakdowns=table)
