"""Folds of the label predictions: each cell tested once, no group on both sides, and what is left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from czbenchmarks._check import labels as checked
from czbenchmarks.tasks.classification.folds import make_folds

few = settings(max_examples=25, deadline=None, derandomize=True)


def draw(seed, n=150, n_groups=9):
    rng = np.random.default_rng(seed)
    return np.array(list("abc"), dtype=object)[rng.integers(0, 3, n)], np.array(
        [f"d{i}" for i in rng.integers(0, n_groups, n)]
    )


def members(folds):
    """Return the positions of the cells that each fold tests."""
    return [frozenset(folds.keep[test].tolist()) for _, test in folds.parts]


def test_without_groups_they_are_those_of_scikit_learn():
    labels, _ = draw(0)
    labels[:4] = "rare"
    folds = make_folds(checked(labels, "labels"), 5, 10, 7)
    keep = np.flatnonzero(labels != "rare")
    expected = StratifiedKFold(5, shuffle=True, random_state=7).split(keep, labels[keep])
    np.testing.assert_array_equal(folds.keep, keep)
    for (train, test), (train_there, test_there) in zip(folds.parts, expected, strict=True):
        np.testing.assert_array_equal(train, train_there)
        np.testing.assert_array_equal(test, test_there)
    assert (folds.too_small, folds.in_one_group, folds.n_groups, folds.details()) == (1, (), None, None)


def test_with_groups_they_are_those_of_scikit_learn():
    labels, groups = draw(0)
    folds = make_folds(checked(labels, "labels"), 4, 10, 7, checked(groups, "groups"))
    expected = StratifiedGroupKFold(4, shuffle=True, random_state=7).split(labels, labels, groups)
    for (train, test), (train_there, test_there) in zip(folds.parts, expected, strict=True):
        np.testing.assert_array_equal(train, train_there)
        np.testing.assert_array_equal(test, test_there)
    assert folds.details() == {"folds": "grouped by 9 groups"}


@few
@given(seed=st.integers(0, 2**16), n_folds=st.integers(2, 5))
def test_no_group_is_on_both_sides_and_every_cell_is_tested_once(seed, n_folds):
    labels, groups = draw(seed)
    folds = make_folds(checked(labels, "labels"), n_folds, 10, seed, checked(groups, "groups"))
    kept = groups[folds.keep]
    for train, test in folds.parts:
        assert set(kept[train]) & set(kept[test]) == set()
        assert len(train) + len(test) == len(kept)
    tested = np.concatenate([test for _, test in folds.parts])
    np.testing.assert_array_equal(np.sort(tested), np.arange(len(kept)))


@few
@given(seed=st.integers(0, 2**16))
def test_order_of_cells_and_names_of_labels_change_no_grouped_fold(seed):
    labels, groups = draw(seed)
    expected = members(make_folds(checked(labels, "labels"), 3, 10, 1, checked(groups, "groups")))
    order = np.random.default_rng(seed).permutation(len(labels))
    shuffled = make_folds(checked(labels[order], "labels"), 3, 10, 1, checked(groups[order], "groups"))
    assert [frozenset(order[list(one)].tolist()) for one in members(shuffled)] == expected
    renamed = np.array(["zebra", "Ant", "é"])[np.unique(labels, return_inverse=True)[1]]
    assert members(make_folds(checked(renamed, "labels"), 3, 10, 1, checked(groups, "groups"))) == expected


def test_names_of_labels_change_no_fold():
    labels, _ = draw(3)
    renamed = np.array(["zebra", "Ant", "é"])[np.unique(labels, return_inverse=True)[1]]
    assert members(make_folds(checked(labels, "labels"), 5, 10, 1)) == members(
        make_folds(checked(renamed, "labels"), 5, 10, 1)
    )


def test_a_label_of_one_group_is_left_out_and_named():
    labels, groups = draw(1)
    labels[:12], groups[:12] = "only here", "d0"
    folds = make_folds(checked(labels, "labels"), 3, 10, 1, checked(groups, "groups"))
    np.testing.assert_array_equal(folds.keep, np.arange(12, len(labels)))
    assert folds.in_one_group == ("only here",)
    assert folds.too_small == 0
    assert folds.details() == {
        "folds": "grouped by 9 groups",
        "note": "left out, because all their cells are in one group: only here",
    }
    without = make_folds(checked(labels[12:], "labels"), 3, 10, 1, checked(groups[12:], "groups"))
    assert [frozenset(i + 12 for i in one) for one in members(without)] == members(folds)


def test_folds_without_a_class_are_said():
    # Even folds put both groups that hold b together.
    groups = np.repeat(["all b", "all a", "a and one b"], [100, 100, 101])
    labels = np.array(["b"] * 100 + ["a"] * 200 + ["b"])
    folds = make_folds(checked(labels, "labels"), 2, 10, 0, checked(groups, "groups"))
    assert sorted(sorted({*groups[test]}) for _, test in folds.parts) == [["a and one b", "all b"], ["all a"]]
    assert folds.details()["note"] == (
        "in 1 of 2 folds a label of test cells is not among the training cells, which counts as wrong"
    )


@pytest.mark.parametrize(
    ("labels", "groups", "options", "message"),
    [
        (["a", "b"] * 30, None, (11, 10), "`n_folds` must be at most `min_class_size`"),
        (["a"] * 60, None, (5, 10), r"at least two labels with 10 cells or more, got 1 \(0 smaller ones left out\)"),
        (["a", "b"] * 30, ["x", "x", "y", "y"] * 15, (3, 10),
         r"`groups` must hold a group per fold or more, got 2 groups \(x, y\) for 3 folds; lower `n_folds`"),
        (["a", "b"] * 30, ["x"] * 60, (2, 10),
         r"two labels with 10 cells or more in two groups or more, got 0 \(0 smaller ones left out, 2 that are in one"),
        (["a", "b"] * 30, ["x", "y"] * 30, (2, 10), "in two groups or more, got 0"),
        # What is left out may take groups with it.
        (["a", "b"] * 20 + ["rare"] * 5, ["x", "x", "y", "y"] * 10 + ["z"] * 5, (3, 10), "got 2 groups"),
    ],
)  # fmt: skip
def test_refused(labels, groups, options, message):
    n_folds, smallest = options
    grouped = None if groups is None else checked(groups, "groups")
    with pytest.raises(ValueError, match=message):
        make_folds(checked(labels, "labels"), n_folds, smallest, 42, grouped)
