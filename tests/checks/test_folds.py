"""Near-duplicates and donors on both sides of a fold: counted pair by pair, on real cells, and on hostile input."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from czbenchmarks.checks import Check, donors_across_folds, near_duplicates_across_folds
from czbenchmarks.tasks import MetadataLabelPredictionTask, MetadataLabelPredictionTaskInput, represent

few = settings(max_examples=15, deadline=None, derandomize=True)
LABELS = np.array(list("abc"), dtype=object)


def draw(seed, n=120):
    """Return cells of which some are copies, some nearly, some of another label; labels; donors."""
    rng = np.random.default_rng(seed)
    X, labels = rng.normal(size=(n, 4)), LABELS[rng.integers(0, 3, n)]
    labels[:5] = "rare"
    X[40:60] = X[20:40]  # copies
    X[60:70] = X[20:30]  # of copies
    X[80:90] = X[70:80] + 1e-6 * rng.normal(size=(10, 4))  # nearly
    labels[40:50] = labels[20:30]
    return X, labels, np.array([f"d{i}" for i in rng.integers(0, 7, n)])


def slow_near_duplicates(X, labels, n_folds, groups=None, seed=42, smallest=10, nearer_than=1e-3):
    """Compare every pair of cells: test cells, those with a near-duplicate in training, and with one of their label."""
    distances = np.linalg.norm(X[:, None] - X[None], axis=2) + np.diag(np.full(len(X), np.inf))
    nearest = distances.min(axis=1)
    limit = nearer_than * np.median(nearest[nearest > 0])
    keep = np.flatnonzero([np.sum(labels == label) >= smallest for label in labels])
    kept, kind = labels[keep], StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = kind(n_folds, shuffle=True, random_state=seed).split(keep, kept, None if groups is None else groups[keep])
    rows = []
    for train, test in folds:
        near = [[j for j in keep[train] if distances[i, j] <= limit] for i in keep[test]]
        same = [any(labels[j] == labels[i] for j in twins) for i, twins in zip(keep[test], near, strict=True)]
        rows.append((len(test), sum(map(bool, near)), sum(same)))
    return rows


def counts(check):
    return [(row["test_cells"], row["near_duplicates"], row["of_the_same_label"]) for row in check.table]


@few
@given(seed=st.integers(0, 2**16), n_folds=st.integers(2, 5), grouped=st.booleans())
def test_as_compared_pair_by_pair(seed, n_folds, grouped):
    X, labels, donors = draw(seed)
    groups = donors if grouped else None
    check = near_duplicates_across_folds(X, labels, n_folds, groups=groups, random_seed=seed)
    expected = slow_near_duplicates(X, labels, n_folds, groups, seed)
    assert counts(check) == expected
    n, found, same = (sum(column) for column in zip(*expected, strict=True))
    assert check.name == "near_duplicates_across_folds"
    assert (check.details["near_duplicates"], check.details["of_the_same_label"]) == (found, same)
    assert check.details["share"] == found / n
    assert check.details["accuracy_share"] == same / n
    assert check.verdict == ("look" if found > 0.01 * n else "ok")
    assert check.sentence.startswith(
        f"{found:,} of {n:,} test cells ({found / n:.1%}) have a near-duplicate among the training cells, "
        f"which could carry up to {same / n:.3f} of the accuracy"
    )


@few
@given(seed=st.integers(0, 2**16))
def test_order_of_cells_unit_container_and_names_of_labels_change_nothing(seed):
    X, labels, donors = draw(seed)
    X = np.round(X * 2**20).astype(np.float64)  # exact in every container and unit
    check = near_duplicates_across_folds(X, labels, 3, groups=donors)
    order = np.random.default_rng(seed).permutation(len(X))
    names = {"a": "zebra", "b": "Ant", "c": "é", "rare": "0"}
    renamed = [names[label] for label in labels]
    for cells, kinds, groups in (
        (X[order], labels[order], donors[order]),
        (X * 2.0**-30, labels, donors),
        (sp.csr_matrix(X), labels, donors),
        (pd.DataFrame(X), pd.Categorical(labels, categories=["rare", "?", *"cba"]), pd.Series(donors)),
        (represent(X), renamed, donors.tolist()),
    ):
        found = near_duplicates_across_folds(cells, kinds, 3, groups=groups)
        assert counts(found) == counts(check)
        assert found.sentence == check.sentence
    assert counts(near_duplicates_across_folds(X, renamed)) == counts(near_duplicates_across_folds(X, labels))


def test_without_duplicates_all_is_well_and_with_a_few_one_must_look():
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(400, 5)), LABELS[rng.integers(0, 3, 400)]
    check = near_duplicates_across_folds(X, labels)
    assert (check.verdict, check.details["near_duplicates"]) == ("ok", 0)
    assert check.sentence == (
        "0 of 400 test cells (0.0%) have a near-duplicate among the training cells, which could carry up to 0.000 of "
        "the accuracy."
    )
    X[200:220], labels[200:220] = X[:20], labels[:20]
    check = near_duplicates_across_folds(X, labels)
    assert check.verdict == "look"
    assert 0.05 < check.details["share"] <= 0.1
    assert check.details["share"] == check.details["accuracy_share"]
    assert check.sentence.endswith("; drop the duplicates, or keep them in one fold by `groups`.")
    assert near_duplicates_across_folds(X, labels, at_most=0.2).verdict == "ok"
    # Kept together, they are no trouble.
    together = np.arange(400)
    together[200:220] = together[:20]
    assert near_duplicates_across_folds(X, labels, groups=together).details["near_duplicates"] == 0


def test_what_counts_as_near_is_a_part_of_the_median_distance():
    X = np.arange(40.0)[:, None]  # all at distance 1 but one pair
    X[21] = X[20] + 0.01
    labels = ["a", "b"] * 20
    for nearer_than, pair in ((0.009, 0), (0.011, 1), (1.0, 1)):
        check = near_duplicates_across_folds(X, labels, 2, nearer_than=nearer_than)
        assert check.details["median_nearest_distance"] == 1.0
        assert (check.details["near_duplicates"] > 0) == pair


def test_cells_that_remember_score_what_the_check_says():
    # Noise, every cell twice: all of the accuracy above chance comes from twins, and 1-NN-like forests find them.
    rng = np.random.default_rng(0)
    X, labels = np.tile(rng.normal(size=(150, 10)), (2, 1)), np.tile(LABELS[rng.integers(0, 3, 150)], 2)
    share = near_duplicates_across_folds(X, labels).details["accuracy_share"]
    forest = {
        grouped: next(
            r.value
            for r in MetadataLabelPredictionTask().run(
                X,
                MetadataLabelPredictionTaskInput(labels=labels, groups=np.tile(np.arange(150), 2) if grouped else None),
            )
            if r.params["classifier"] == "rf"
        )
        for grouped in (False, True)
    }
    assert share > 0.7
    assert forest[True] < 0.45  # chance is a third
    assert share - 0.1 < forest[False] <= share + (1 - share) * 0.6


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_the_same_values_for_every_cell(value):
    check = near_duplicates_across_folds(np.full((300, 3), value), np.arange(300) % 3)
    assert (check.verdict, check.details["share"], check.details["median_nearest_distance"]) == ("look", 1.0, 0.0)


def test_minus_zero_is_zero():
    X = np.random.default_rng(0).normal(size=(60, 2))
    X[:, 0] = 0.0
    X[30:, 0], X[30:, 1] = -0.0, X[:30, 1]
    assert near_duplicates_across_folds(X, ["a", "b"] * 30, 5).details["share"] > 0.6


def slow_donors(labels, donors, n_folds, groups=None):
    codes = np.unique(labels, return_inverse=True)[1]
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    return [
        (len(test), sum(donors[i] in set(donors[train]) for i in test), len(set(donors[test])))
        for train, test in kind(n_folds, shuffle=True, random_state=42).split(codes, codes, groups)
    ]


@few
@given(seed=st.integers(0, 2**16), n_folds=st.integers(2, 5), n_donors=st.integers(5, 60), grouped=st.booleans())
def test_donors_as_counted_one_by_one(seed, n_folds, n_donors, grouped):
    rng = np.random.default_rng(seed)
    labels, donors = (
        np.arange(120) % 2,
        np.concatenate([np.arange(n_donors), rng.integers(0, n_donors, 120 - n_donors)]),
    )
    groups = (np.arange(120) // 4).astype(str) if grouped else None  # in the order of text
    check = donors_across_folds(labels, donors, n_folds, groups=groups)
    expected = slow_donors(labels, donors, n_folds, groups)
    assert [(row["test_cells"], row["of_donors_in_training"], row["donors"]) for row in check.table] == expected
    found = sum(row[1] for row in expected)
    assert check.details["share"] == found / 120
    assert check.verdict == ("look" if found else "ok")


def test_donors_as_groups_are_on_one_side():
    rng = np.random.default_rng(0)
    labels, donors = LABELS[rng.integers(0, 3, 200)], rng.integers(0, 8, 200)
    mixed = donors_across_folds(labels, donors)
    assert mixed == donors_across_folds(pd.Series(labels), pd.Categorical(donors.astype(str)))
    assert (mixed.name, mixed.verdict) == ("donors_across_folds", "look")
    assert mixed.sentence == (
        "200 of 200 test cells (100.0%) are of a donor who also has training cells; pass the donors as `groups` to "
        "score the prediction for new donors."
    )
    apart = donors_across_folds(labels, donors, groups=donors)
    assert (apart.verdict, apart.details["share"]) == ("ok", 0.0)
    assert apart.sentence == "0 of 200 test cells (0.0%) are of a donor who also has training cells."
    assert apart.details["folds"] == "grouped by 8 groups"


@pytest.mark.parametrize(
    ("donors", "advice"),
    [
        (["x", "y", "z"] * 40, "pass the donors as `groups` and `n_folds` of at most 3 to score"),
        (["x"] * 120, "the only one, so the scores say nothing of other donors; add cells of others."),
    ],
)
def test_too_few_donors_for_the_folds(donors, advice):
    check = donors_across_folds(["a", "b"] * 60, donors)
    assert check.verdict == "look"
    assert advice in check.sentence


@pytest.mark.parametrize(
    ("labels", "options", "sentence"),
    [
        (["a"] * 60, {}, "`labels` must hold at least two labels with 10 cells or more, got 1"),
        (["a", "b"] * 30, {"groups": ["x", "y"] * 30}, "in two groups or more, got 0"),
        (["a", "b"] * 30, {"groups": ["x", "x", "y", "y"] * 15}, "`groups` must hold a group per fold or more, got 2"),
        (["a", "b"] * 30, {"min_class_size": 40}, "at least two labels with 40 cells or more, got 0"),
    ],
)
def test_data_that_allow_no_folds_are_not_checked(labels, options, sentence):
    X = np.random.default_rng(0).normal(size=(60, 2))
    for check in (
        near_duplicates_across_folds(X, labels, **options),
        donors_across_folds(labels, ["x"] * 60, **options),
    ):
        assert isinstance(check, Check)
        assert (check.verdict, check.table, check.details) == ("not checked", (), {})
        assert sentence in check.sentence


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"n_folds": 1}, ValueError, "`n_folds` must be at least 2, got 1"),
        ({"n_folds": 2.5}, TypeError, "`n_folds` must be a whole number, got 2.5"),
        ({"n_folds": 20}, ValueError, "`n_folds` must be at most `min_class_size`"),
        ({"min_class_size": 0}, ValueError, "`min_class_size` must be a positive integer"),
        ({"random_seed": -1}, ValueError, "`random_seed` must be between 0 and"),
        ({"labels": ["a", "b"] * 29}, ValueError, "must have the same length as the data"),
        ({"labels": [None, "b"] * 30}, ValueError, "`labels` must name every cell, got 30 missing of 60"),
        ({"groups": ["x"] * 59}, ValueError, "`groups` must have the same length as the data"),
        ({"groups": "donor"}, TypeError, "`groups` must be one label per cell, got the text"),
    ],
)
def test_bad_arguments(options, kind, message):
    X = np.random.default_rng(0).normal(size=(60, 2))
    given_to_both = {"labels": ["a", "b"] * 30, **options}
    with pytest.raises(kind, match=message):
        near_duplicates_across_folds(X, **given_to_both)
    with pytest.raises(kind, match=message):
        donors_across_folds(donors=["x", "y"] * 30, **given_to_both)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"X": np.full((60, 2), np.nan)}, ValueError, "`X` must be finite"),
        ({"X": np.zeros(60)}, ValueError, "`X` must have two dimensions"),
        ({"nearer_than": 0}, ValueError, "`nearer_than` must be a positive number, got 0"),
        ({"nearer_than": "1"}, TypeError, "`nearer_than` must be a positive number, got '1'"),
        ({"nearer_than": float("nan")}, ValueError, "`nearer_than` must be a positive number, got nan"),
        ({"at_most": 1.5}, ValueError, "`at_most` must be a share from 0 to 1, got 1.5"),
        ({"at_most": True}, TypeError, "`at_most` must be a share from 0 to 1, got True"),
    ],
)
def test_bad_embedding_and_limits(options, kind, message):
    with pytest.raises(kind, match=message):
        near_duplicates_across_folds(**{"X": np.zeros((60, 2)), "labels": ["a", "b"] * 30, **options})


def test_bad_donors():
    with pytest.raises(ValueError, match="`donors` must have the same length as the data"):
        donors_across_folds(["a", "b"] * 30, ["x"] * 59)
    with pytest.raises(TypeError, match="`donors` must be one label per cell, got None"):
        donors_across_folds(["a", "b"] * 30, None)


def test_nothing_of_the_callers_is_changed():
    X, labels, donors = draw(0)
    before = X.copy(), labels.copy(), donors.copy()
    X.flags.writeable = False
    near_duplicates_across_folds(X, labels, groups=donors)
    donors_across_folds(labels, donors)
    for now, then in zip((X, labels, donors), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize(
    ("file", "donors"), [("kang_pbmc_two_donors", 2), ("baron_pancreas_human", 4), ("baron_pancreas_mouse", 2)]
)
def test_real_cells(shared_data, file, donors):
    cells = ad.read_h5ad(shared_data / f"{file}.h5ad")
    labels, donor = cells.obs["cell_type"], cells.obs["donor"]
    # A plain projection will do: what counts is who is near whom.
    X = np.asarray(np.log1p(cells.X) @ np.random.default_rng(0).normal(size=(cells.n_vars, 20)))
    check = near_duplicates_across_folds(X, labels)
    assert (check.verdict, check.details["near_duplicates"]) == ("ok", 0)
    again, first = np.arange(cells.n_obs), np.flatnonzero(labels == labels.iloc[0])[:60]
    twice = np.concatenate([again, first, first])
    check = near_duplicates_across_folds(X[twice], labels.to_numpy()[twice])
    assert check.verdict == "look"
    assert check.details["duplicates"] == 180
    assert 120 < check.details["near_duplicates"] <= 180
    mixed = donors_across_folds(labels, donor)
    assert (mixed.verdict, mixed.details["share"], mixed.details["donors"]) == ("look", 1.0, donors)
    apart = donors_across_folds(labels, donor, n_folds=2, groups=donor)
    assert (apart.verdict, apart.details["of_donors_in_training"]) == ("ok", 0)
    assert apart.details["folds"] == f"grouped by {donors} groups"
