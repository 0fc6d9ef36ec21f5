"""Folds of the label predictions: which cells train and which are tested. The checks of folds make the same ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import Labels, listing
from czbenchmarks.exceptions import InputError

Parts = list[tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass(frozen=True)
class Folds:
    """The folds of one data set."""

    keep: NDArray[np.int64]  # positions of the cells that are used
    labels: Labels  # their labels
    parts: Parts  # training and test cells of each fold, as positions among the used ones
    too_small: int  # labels left out because they have too few cells
    in_one_group: tuple[str, ...] = ()  # names of the labels left out because all their cells are in one group
    n_groups: int | None = None  # groups among the used cells; None without groups

    def details(self) -> dict[str, str] | None:
        """Say what a result says of its folds; nothing if they know no groups."""
        if self.n_groups is None:
            return None
        found = {"folds": f"grouped by {self.n_groups:,} groups"}
        codes = self.labels.codes
        missing = sum(len(np.setdiff1d(codes[test], codes[train])) > 0 for train, test in self.parts)
        notes = []
        if self.in_one_group:
            notes.append(f"left out, because all their cells are in one group: {listing(self.in_one_group)}")
        if missing:
            notes.append(
                f"in {missing} of {len(self.parts)} folds a label of test cells is not among the training cells, "
                "which counts as wrong"
            )
        return {**found, "note": "; ".join(notes)} if notes else found


def check_sizes(n_folds: int, min_class_size: int) -> None:
    """Refuse more folds than the smallest class has cells."""
    if n_folds > min_class_size:
        raise InputError(
            f"`n_folds` must be at most `min_class_size`, so that every fold has every class, got "
            f"n_folds={n_folds} and min_class_size={min_class_size}; lower the one or raise the other."
        )


def make_folds(
    labels: Labels, n_folds: int, min_class_size: int, random_seed: int, groups: Labels | None = None
) -> Folds:
    """Return the folds of the label prediction task; labels of fewer than `min_class_size` cells are left out.

    No group (a donor) is both in training and test. Labels that are in one group only are left out: whenever they are
    tested, nothing has been trained on them. Fewer than two labels, or fewer groups than folds, are refused.
    """
    check_sizes(n_folds, min_class_size)
    enough = labels.counts >= min_class_size
    too_small = int((~enough).sum())
    several = np.ones(len(enough), dtype=bool)
    if groups is not None:
        together = np.unique(np.column_stack([labels.codes, groups.codes]), axis=0)
        several = np.bincount(together[:, 0], minlength=len(enough)) > 1
    keep = np.flatnonzero((enough & several)[labels.codes])
    kept = labels.take(keep)
    single = tuple(str(name) for name in labels.names[enough & ~several])
    if len(kept.names) < 2:
        of_one = f", {len(single)} that are in one group only" if single else ""
        raise InputError(
            f"`labels` must hold at least two labels with {min_class_size} cells or more"
            f"{'' if groups is None else ' in two groups or more'}, got {len(kept.names)} "
            f"({too_small} smaller ones left out{of_one}); lower `min_class_size` or score more cells."
        )
    if groups is None:
        return Folds(keep, kept, split(kept.codes, n_folds, random_seed), too_small)
    used = groups.take(keep)
    if len(used.names) < n_folds:
        raise InputError(
            f"`groups` must hold a group per fold or more, got {len(used.names):,} groups "
            f"({listing(used.names)}) for {n_folds} folds; lower `n_folds` or name smaller groups."
        )
    parts = split(kept.codes, n_folds, random_seed, used.codes)
    return Folds(keep, kept, parts, too_small, single, len(used.names))


def split(codes: NDArray[np.int64], n_folds: int, random_seed: int, groups: NDArray[np.int64] | None = None) -> Parts:
    """Return training and test cells of stratified, shuffled folds; with `groups` no group is on both sides."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if groups is None:
        folds = StratifiedKFold(n_splits=n_folds, shuffle=True, random_state=random_seed)
        return list(folds.split(codes, codes))
    grouped = StratifiedGroupKFold(n_splits=n_folds, shuffle=True, random_state=random_seed)
    return list(grouped.split(codes, codes, groups))
