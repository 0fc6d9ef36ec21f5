"""Labels that may not mean what they say: where they come from, in every task, and labels that are all right."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from czbenchmarks import evaluate
from czbenchmarks._check import labels
from czbenchmarks._check.label_names import doubts, spelt_otherwise, without_spelling
from czbenchmarks.tasks import CrossSpeciesIntegrationTask, CrossSpeciesIntegrationTaskInput

N = 60
OF_MISSING = "the text of a missing value, which is scored like any other label; leave these cells out or name them"
SPELLING = "labels that differ only in case, blanks or number format are different labels"
X = np.random.default_rng(0).normal(size=(N, 4)) + 5 * np.repeat(np.eye(3, 4), N // 3, axis=0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0", "0.0"),
        ("1", "01"),
        ("-0", "0"),
        ("1e3", "1000.00"),
        ("T cell", "t CELL"),
        ("T cell", " T  cell\t"),
        ("T_cell", "T cell"),
        ("Straße", "STRASSE"),
    ],
)
def test_one_label_in_two_spellings(one, other):
    assert spelt_otherwise([one], ["B", other, "C"]) == [(one, other)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("T cell", "T cells"),
        ("CD4+", "CD4-"),
        ("1", "-1"),
        ("1", "one"),
        ("12345678901234567890", "12345678901234567891"),
        ("inf", "1e999"),
        ("1e99999999999", "1e99999999998"),
        ("nan", "-nan"),
    ],
)
def test_two_labels(one, other):
    assert spelt_otherwise([one], [other]) == []
    assert without_spelling(one) != without_spelling(other)


def test_a_label_is_not_another_spelling_of_itself():
    assert spelt_otherwise(["B", "b", "NK"], ["B", "b", "NK"]) == [("b", "B")]


@pytest.mark.parametrize("text", ["nan", "NaN", "None", "NA", "N/A", "<NA>", "null", "NULL", "", "  ", "NaT", "n/a"])
def test_texts_of_missing_values_are_counted(text):
    [said] = doubts(labels(["B", text, "T", text], "labels"))
    assert said.startswith(f"2 of 4 cells have the label {text!r}, the text of a missing value")
    assert said.endswith("leave these cells out or name them")


def test_words_of_annotators_are_labels():
    assert doubts(labels(["unknown", "Unassigned", "other", "0", "1", "doublet", "Nan-1", "B"], "labels")) == []


def doubtful():
    obs = pd.DataFrame(
        {
            "cell_type": np.repeat(["B", "nan", "T"], N // 3),
            "batch": np.tile(["1", "1.0"], N // 2),
            "donor": np.tile(["d1", "", "d2"], N // 3),
            "time": np.tile(["1", "1.0", "2"], N // 3),
        },
        index=[f"cell{i}" for i in range(N)],
    )
    return ad.AnnData(np.ones((N, 2), dtype="f4"), obs=obs)


def said_of_labels(record):
    return [one for one in record.warnings if one.startswith("`")]


def test_a_run_says_so_of_every_field_and_of_shared_ones_once():
    tasks = {"clustering": {}, "embedding": {}, "label_prediction": {"groups": "donor", "n_folds": 2}}
    record = evaluate(X, doubtful(), {**tasks, "batch_integration": {}})
    assert said_of_labels(record) == [
        f"`input_labels` and `labels`: 20 of 60 cells have the label 'nan', {OF_MISSING}",
        f"`groups`: 20 of 60 cells have the label '', {OF_MISSING}",
        f"`batch_labels`: {SPELLING} ('1.0' and '1'); spell them alike",
    ]


def test_times_are_numbers():
    assert said_of_labels(evaluate(X, doubtful(), "sequential_organization")) == []


def test_several_data_sets_say_which():
    other = doubtful()
    other.obs["cell_type"] = np.repeat(["B", "NK", "T"], N // 3)
    organisms = ["HUMAN", "MOUSE"]
    record = evaluate([X, X], [other, doubtful()], "cross-species_integration", organisms=organisms)
    [said] = said_of_labels(record)
    assert said.startswith("`labels[1]`: 20 of 60 cells have the label 'nan'")


@pytest.mark.parametrize(
    ("second", "note"),
    [
        (np.repeat(["B", "T", "NK"], N // 3), None),
        (np.repeat(["B", "T", "new"], N // 3), None),
        (
            np.repeat(["b", "t", "nk"], N // 3),
            "no label occurs in two species, so none is compared between them; labels that differ only in case, blanks "
            "or number format are different labels ('B' and 'b', 'NK' and 'nk', 'T' and 't'); spell them alike",
        ),
        (
            np.repeat(["B", "t", "NK"], N // 3),
            "labels that differ only in case, blanks or number format are different labels ('T' and 't'); "
            "spell them alike",
        ),
        (
            np.repeat(["one", "two", "three"], N // 3),
            "no label occurs in two species, so none is compared between them",
        ),
    ],
)
def test_integration_says_which_labels_it_does_not_compare(second, note):
    first = np.repeat(["B", "T", "NK"], N // 3)
    task_input = CrossSpeciesIntegrationTaskInput(
        labels=[first, second],
        organism_list=["homo_sapiens", "mus_musculus"],
        metrics="published, silhouette_score",
    )
    found = {r.metric_type.value: r for r in CrossSpeciesIntegrationTask().run([X, X + 0.01], task_input)}
    for name in ("batch_silhouette", "silhouette_score"):
        assert (found[name].details or {}).get("note") == note
    assert "label" not in (found["entropy_per_cell"].details or {}).get("note", "")


@pytest.mark.parametrize("as_categories", [False, True])
def test_numbers_and_texts_that_read_alike_are_said(as_categories):
    index = [f"c{i}" for i in range(20)]
    mixed = pd.Series([1, "1", "b", "b"] * 5, dtype=object, index=index)
    X = np.random.default_rng(0).normal(size=(20, 3))

    def notes(column):
        return evaluate(X, pd.DataFrame({"cell_type": column}), "embedding").warnings

    column = mixed.astype("category") if as_categories else mixed
    assert any("the label '1' is of different kinds" in note for note in notes(column))
    assert not any("different kinds" in note for note in notes(mixed.astype(str)))
    assert not any("different kinds" in note for note in notes(pd.Series([1, 2] * 10, index=index)))
