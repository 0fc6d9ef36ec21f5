import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from czbenchmarks.datasets.types import Organism
from czbenchmarks.metrics.types import MetricType
from czbenchmarks.tasks import (
    CrossSpeciesLabelPredictionTask,
    CrossSpeciesLabelPredictionTaskInput,
    represent,
)

ORGANISMS = [Organism.HUMAN, Organism.MOUSE]
NAMES = ["homo_sapiens", "mus_musculus"]
SCORES = ["ACCURACY", "F1_SCORE", "PRECISION", "RECALL", "AUROC"]
MEAN = "MEAN(lr,knn,rf)"


def run(X, labels, organisms=ORGANISMS, **options):
    task_input = CrossSpeciesLabelPredictionTaskInput(labels=labels, organisms=organisms, **options)
    return CrossSpeciesLabelPredictionTask().run(X, task_input)


def value(results, score, train, test, classifier=MEAN):
    metric = MetricType[score if train != test else f"MEAN_FOLD_{score}"]
    params = {"train_species": NAMES[train], "test_species": NAMES[test], "classifier": classifier}
    (found,) = [r for r in results if r.metric_type is metric and r.params == params]
    return found


def slow_scores(train, y_train, test, y_test):
    rows = {}
    for name, model in {
        "lr": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "knn": make_pipeline(StandardScaler(), KNeighborsClassifier()),
        "rf": RandomForestClassifier(random_state=42),
    }.items():
        model.fit(train, y_train)
        predicted, chances = model.predict(test), model.predict_proba(test)
        macro = {"average": "macro", "zero_division": 0}
        rows[name] = [
            accuracy_score(y_test, predicted),
            f1_score(y_test, predicted, **macro),
            precision_score(y_test, predicted, **macro),
            recall_score(y_test, predicted, **macro),
            roc_auc_score(y_test, chances, multi_class="ovr", average="macro"),
        ]
    return rows


def test_values_are_those_of_scikit_learn(two_species, run_twice):
    X, labels, _ = two_species
    task_input = CrossSpeciesLabelPredictionTaskInput(
        labels=labels, organisms=ORGANISMS, aggregation_method="none", n_folds=3
    )
    results = run_twice(CrossSpeciesLabelPredictionTask(), X, task_input)
    keys = [
        (MetricType[score if i != j else f"MEAN_FOLD_{score}"], NAMES[i], NAMES[j], name)
        for i in (0, 1)
        for j in (0, 1)
        for name in (MEAN, "lr", "knn", "rf")
        for score in SCORES
    ]
    assert [
        (r.metric_type, r.params["train_species"], r.params["test_species"], r.params["classifier"]) for r in results
    ] == keys
    y = [np.unique(entry, return_inverse=True)[1] for entry in labels]
    for i in (0, 1):
        for j in (0, 1):
            if i == j:
                folds = StratifiedKFold(3, shuffle=True, random_state=42).split(X[i], y[i])
                parts = [slow_scores(X[i][a], y[i][a], X[i][b], y[i][b]) for a, b in folds]
            else:
                parts = [slow_scores(X[i], y[i], X[j], y[j])]
            expected = {name: np.mean([part[name] for part in parts], axis=0) for name in ("lr", "knn", "rf")}
            expected[MEAN] = np.mean(list(expected.values()), axis=0)
            for name, row in expected.items():
                found = [value(results, score, i, j, name).value for score in SCORES]
                np.testing.assert_allclose(found, row, atol=1e-12)
    assert value(results, "ACCURACY", 0, 0).counts == {"used": 120, "left_out": 0, "labels_left_out": 0}
    assert value(results, "ACCURACY", 0, 1).counts == {
        "used": 120, "left_out": 0, "train": 120, "unseen_labels": 0, "unseen_cells": 0,
    }  # fmt: skip
    units = value(results, "ACCURACY", 0, 1, "lr").units
    assert units.ids.tolist() == list(range(120))
    assert units.values.mean() == pytest.approx(value(results, "ACCURACY", 0, 1, "lr").value, abs=1e-15)


def test_published_values():
    # cz-benchmarks 0.15.1 prints these for the same cells (the forest may differ between releases of scikit-learn).
    rng = np.random.default_rng(0)
    rng.normal(size=(6, 3))
    labels = np.array(list("abc"))[rng.integers(0, 3, 240)]
    X = rng.normal(size=(240, 8)).astype("f4") + (labels == "a")[:, None] * 1.0 + (labels == "b")[:, None] * -0.5
    results = run([X[:120], X[120:]], [labels[:120], labels[120:]], aggregation_method="none")
    published = {
        (0, 0, "lr"): [0.7, 0.7138239538, 0.7292291042, 0.7108465608, 0.8774234555],
        (0, 0, "knn"): [0.6166666667, 0.6351253654, 0.6500913901, 0.6312169312, 0.7953415486],
        (0, 1, "lr"): [0.7583333333, 0.7558457075, 0.7566315327, 0.7575059102, 0.9157912618],
        (0, 1, "knn"): [0.7, 0.6868143804, 0.6849453322, 0.6995486783, 0.8654760127],
        (1, 0, "knn"): [0.7333333333, 0.7515781792, 0.7545310245, 0.7490530303, 0.8759313945],
        (1, 1, "lr"): [0.7583333333, 0.7584485346, 0.7767917268, 0.7598148148, 0.9145613524],
    }
    for (i, j, name), expected in published.items():
        np.testing.assert_allclose([value(results, s, i, j, name).value for s in SCORES], expected, atol=1e-8)


def test_unseen_test_labels_count_as_wrong_and_are_counted(two_species):
    X, labels, _ = two_species
    first = ["z" if label == "c" else label for label in labels[0]]
    results = run(X, [first, labels[1]], aggregation_method="none")
    found = value(results, "ACCURACY", 0, 1, "lr")
    unseen = labels[1].count("c")
    assert found.counts["unseen_labels"] == 1
    assert found.counts["unseen_cells"] == unseen
    assert found.value <= 1 - unseen / 120
    # The AUROC is that of a and b among the cells of a and b.
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X[0], first)
    kept = np.array([label != "c" for label in labels[1]])
    chances, true = model.predict_proba(X[1][kept]), np.array(labels[1])[kept]
    expected = np.mean([roc_auc_score(true == name, chances[:, i]) for i, name in enumerate("ab")])
    assert value(results, "AUROC", 0, 1, "lr").value == pytest.approx(expected, abs=1e-12)


def test_no_label_in_common_is_zero_and_has_no_auroc(two_species):
    X, labels, _ = two_species
    results = run(X, [labels[0], [f"other {label}" for label in labels[1]]], aggregation_method="none", n_folds=2)
    assert value(results, "ACCURACY", 0, 1).value == 0.0
    auroc = value(results, "AUROC", 0, 1, "lr")
    assert np.isnan(auroc.value)
    assert auroc.reason == "fewer than two of the training labels occur among the test cells"
    assert auroc.counts["splits_left_out"] == 1


def test_two_data_sets_of_one_organism_are_told_apart(two_species):
    X, labels, _ = two_species
    results = run(X, labels, [Organism.HUMAN] * 2, aggregation_method="none", n_folds=2)
    assert len(results) == 80
    pairs = [(r.params["train_dataset"], r.params["test_dataset"]) for r in results[::20]]
    assert pairs == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {r.params["train_species"] for r in results} == {"homo_sapiens"}
    assert len({r.aggregation_key for r in results}) == 80
    other = run(X, labels, aggregation_method="none", n_folds=2)
    assert [r.value for r in results] == [r.value for r in other]
    assert "train_dataset" not in other[0].params


def test_no_sample_is_in_training_and_test_cells_of_a_fold(two_species):
    X, labels, samples = two_species
    results = run(X, labels, aggregation_method="none", sample_ids=samples)
    units = value(results, "ACCURACY", 0, 0, "lr").units
    fold_of = pd.DataFrame({"sample": np.array(samples[0])[units.ids], "fold": units.columns["split"]})
    assert fold_of.groupby("sample")["fold"].nunique().max() == 1
    assert sorted(units.ids) == list(range(120))
    without = run(X, labels, aggregation_method="none")
    assert value(results, "ACCURACY", 0, 1).value == value(without, "ACCURACY", 0, 1).value


@pytest.mark.parametrize("method", ["mean", "median"])
def test_cells_are_averaged_by_sample(method):
    rng = np.random.default_rng(0)
    cells, labels, samples, averaged = [], [], [], []
    for species in range(2):
        sample = rng.integers(0, 30, 200)
        kind = np.array(list("abc"))[sample % 3]
        X = rng.normal(size=(200, 4)) + 2 * (sample % 3)[:, None]
        cells.append(X)
        labels.append(kind.tolist())
        samples.append([f"{species}-{i:02d}" for i in sample])
        average = np.mean if method == "mean" else np.median
        present = sorted(set(sample.tolist()))
        averaged.append((np.array([average(X[sample == i], axis=0) for i in present]), [i % 3 for i in present]))
    results = run(cells, labels, sample_ids=samples, aggregation_method=method, n_folds=3)
    (train, y_train), (test, y_test) = averaged
    for name, row in slow_scores(train, y_train, test, y_test).items():
        np.testing.assert_allclose([value(results, s, 0, 1, name).value for s in SCORES], row, atol=1e-12)
    across, within = value(results, "ACCURACY", 0, 1, "lr"), value(results, "ACCURACY", 1, 1, "lr")
    assert across.counts["train"] == len(y_train)
    assert within.counts["used"] == len(y_test)
    assert across.units.ids.tolist() == sorted(set(samples[1]))


def test_small_classes_are_left_out_within_a_species_and_counted(two_species):
    X, labels, _ = two_species
    few = [["rare"] * 4 + labels[0][4:], labels[1]]
    results = run(X, few, aggregation_method="none")
    assert value(results, "ACCURACY", 0, 0).counts == {"used": 116, "left_out": 4, "labels_left_out": 1}
    assert value(results, "ACCURACY", 0, 1).counts["train"] == 120


def test_labels_with_fewer_samples_than_folds_are_left_out(two_species):
    X, labels, samples = two_species
    few = [["rare"] * 120, labels[1]]
    few[0] = ["rare" if sample in ("s0", "s1") else label for sample, label in zip(samples[0], labels[0], strict=True)]
    results = run(X, few, aggregation_method="none", sample_ids=samples)
    assert value(results, "ACCURACY", 0, 0).counts == {"used": 100, "left_out": 20, "labels_left_out": 1}


def test_one_class_within_one_species_is_undefined_there_only(two_species):
    X, labels, _ = two_species
    results = run(X, [["a"] * 120, labels[1]], aggregation_method="none")
    for score in SCORES:
        for name in (MEAN, "lr", "knn", "rf"):
            found = value(results, score, 0, 0, name)
            assert np.isnan(found.value)
            assert found.reason == "fewer than two labels have at least 5 cells, one per fold"
            assert found.model_dump(mode="json")["value"] is None
            assert value(results, score, 0, 1, name).reason == "the training cells have a single label"
            assert 0 <= value(results, score, 1, 1, name).value <= 1
    assert value(results, "ACCURACY", 1, 0).value == pytest.approx(
        np.mean([value(results, "ACCURACY", 1, 0, name).value for name in ("lr", "knn", "rf")])
    )


def test_containers_and_names(two_species):
    X, labels, samples = two_species
    expected = [r.value for r in run(X, labels, sample_ids=samples, n_folds=2, aggregation_method="none")]
    found = run(
        [represent(X[0]), pd.DataFrame(X[1])],
        [pd.Categorical(labels[0], categories=list("zcba")), pd.Series(labels[1], index=range(9, 129))],
        sample_ids=[pd.Series(samples[0]), np.array(samples[1])],
        n_folds=2,
        aggregation_method="none",
    )
    assert [r.value for r in found] == expected
    task_input = CrossSpeciesLabelPredictionTaskInput(labels=labels, organism_list=ORGANISMS)
    assert task_input.organisms == task_input.organism_list == ORGANISMS


def test_bad_input(two_species):
    X, labels, samples = two_species
    with pytest.raises(ValueError, match=r"`sample_ids` is required for aggregation_method='mean'"):
        run(X, labels)
    with pytest.raises(ValueError, match=r"Number of cell representations must match `sample_ids`"):
        run(X, labels, sample_ids=samples[:1])
    with pytest.raises(ValueError, match=r"`sample_ids\[1\]` must have the same length as the data"):
        run(X, labels, sample_ids=[samples[0], samples[1][:-1]])
    with pytest.raises(ValueError, match=r"`n_folds` must be at least 2"):
        run(X, labels, n_folds=1)
    with pytest.raises(ValueError, match=r"`aggregation_method` must be 'none', 'mean' or 'median', got 'max'"):
        run(X, labels, aggregation_method="max")
    with pytest.raises(ValueError, match=r"`engine` must be 'exact' or 'fast', got 'quick'"):
        run(X, labels, aggregation_method="none", engine="quick")
    with pytest.raises(NotImplementedError, match=r"Baseline not implemented"):
        CrossSpeciesLabelPredictionTask().compute_baseline(X)


def test_averaged_samples_of_several_labels_are_counted_and_noted(two_species):
    X, labels, _ = two_species
    # 20 samples a species; only the first holds cells of two labels.
    samples = []
    for own in labels:
        place = pd.Series(np.asarray(own)).groupby(np.asarray(own)).cumcount() % 7
        names = np.asarray(own).astype(object) + "_" + place.astype(str).to_numpy().astype(object)
        other = np.flatnonzero(np.asarray(own) != np.asarray(own)[0])[0]
        names[other] = names[0]
        samples.append(names)
    results = run(X, labels, sample_ids=samples, n_folds=2)
    for result in results:
        within = result.params["train_species"] == result.params["test_species"]
        assert result.details["mixed_samples"] == (1 if within else 2)
        assert result.details["note"].startswith(f"{1 if within else 2} of the averaged samples hold cells of several")


@pytest.mark.parametrize("engine", ["exact", "fast"])
def test_all_pairs_at_once_have_the_same_bits_on_any_number_of_threads(two_species, monkeypatch, engine):
    X, labels, _ = two_species
    # The first data set cannot be cross-validated; only one pair is, and reasons and counts stay with their pairs.
    labels = [["a"] * 118 + ["b"] * 2, labels[1]]
    found = []
    for threads in "124":
        monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", threads)
        results = run(X, labels, aggregation_method="none", n_folds=3, engine=engine)
        found.append([(repr(r.value), r.reason, r.counts, r.params, r.details) for r in results])
    assert found[0] == found[1] == found[2]
    assert value(results, "ACCURACY", 0, 0).reason == "fewer than two labels have at least 3 cells, one per fold"
    assert value(results, "ACCURACY", 0, 1).counts["train"] == 120
    details = {(r.details or {}).get("engine") for r in results}
    assert details == ({None} if engine == "exact" else {"fast"})


def test_the_fast_engine_has_the_scores_and_counts_of_the_exact_one(two_species):
    X, labels, samples = two_species
    for options in ({}, {"sample_ids": samples, "n_folds": 2}):
        exact = run(X, labels, aggregation_method="none", **options)
        fast = run(X, labels, aggregation_method="none", engine="fast", **options)
        assert [(r.value, r.params, r.counts, r.reason) for r in fast] == [
            (r.value, r.params, r.counts, r.reason) for r in exact
        ]


def test_further_scores_are_those_of_scikit_learn_and_change_no_other(two_species):
    X, labels, _ = two_species
    options = {"aggregation_method": "none", "n_folds": 2}
    results, published = run(X, labels, metrics="all", **options), run(X, labels, **options)
    assert len(results) == 4 * 4 * 7
    further = ("BALANCED_ACCURACY", "MCC")
    assert [r for r in results if not r.metric_type.name.endswith(further)] == published
    for i, j in ((0, 1), (0, 0)):
        for name in ("lr", "knn", "rf"):
            columns = value(results, "ACCURACY", i, j, name).units.columns
            parts = [columns["split"] == split for split in np.unique(columns["split"])]
            for score, function in zip(further, (balanced_accuracy_score, matthews_corrcoef), strict=True):
                expected = np.mean([function(columns["true"][part], columns["predicted"][part]) for part in parts])
                assert value(results, score, i, j, name).value == pytest.approx(expected, abs=1e-12)
        for score in further:
            mean = np.mean([value(results, score, i, j, name).value for name in ("lr", "knn", "rf")])
            assert value(results, score, i, j).value == pytest.approx(mean, abs=1e-12)
    only = run(X, labels, metrics=["mcc", "mean_fold_mcc"], **options)
    assert only == [r for r in results if r.metric_type.name.endswith("MCC")]


def test_metrics_that_it_does_not_have_are_refused(two_species):
    X, labels, _ = two_species
    with pytest.raises(ValueError, match="Metric 'silhouette_score' is no score of the task 'cross-species label"):
        run(X, labels, aggregation_method="none", metrics="silhouette_score")


def test_tables_name_the_labels_of_both_species(two_species):
    X, labels, _ = two_species
    first = ["z" if label == "c" else label for label in labels[0]]
    results = run(X, [first, labels[1]], aggregation_method="none", n_folds=2)
    matrix = value(results, "ACCURACY", 0, 1, "lr").breakdowns
    assert {row["true"] for row in matrix} == set("abc")
    assert {row["predicted"] for row in matrix} <= set("abz")
    assert sum(row["cells"] for row in matrix) == 120
    right = sum(row["cells"] for row in matrix if row["true"] == row["predicted"])
    assert right / 120 == pytest.approx(value(results, "ACCURACY", 0, 1, "lr").value, abs=1e-12)
    table = {row["label"]: row for row in value(results, "F1_SCORE", 0, 1, "lr").breakdowns}
    assert table["c"]["cells"] == labels[1].count("c")
    assert (table["c"]["recall"], np.isnan(table["c"]["precision"])) == (0.0, True)
    assert np.isnan(table["z"]["recall"])
    assert value(results, "ACCURACY", 0, 1).breakdowns == []
    within = value(results, "F1_SCORE", 0, 0, "rf").breakdowns
    assert {row["label"]: row["cells"] for row in within} == {label: first.count(label) for label in "abz"}


def note_of(results, score, train, test, classifier=MEAN):
    return (value(results, score, train, test, classifier).details or {}).get("note")


def test_test_cells_that_nobody_can_get_right_are_said(two_species):
    X, labels, _ = two_species
    second = np.where(np.asarray(labels[1]) == "c", "new", labels[1])
    results = run(X, [labels[0], second], aggregation_method="none", n_folds=3)
    new, n = int((second == "new").sum()), len(second)
    assert 0 < new < n
    by_hand = {}
    for name in ("lr", "knn", "rf"):
        found = value(results, "F1_SCORE", 0, 1, name)
        columns = found.units.columns
        names = np.array(["a", "b", "c", "new"])
        true, predicted = names[columns["true"]], names[columns["predicted"]]
        assert (true == second).all()
        kept = second != "new"
        by_hand[name] = np.mean([f1_score(true[kept] == label, predicted[kept] == label) for label in ("a", "b")])
        assert found.details["f1_on_shared_labels"] == pytest.approx(by_hand[name])
    mean = np.mean(list(by_hand.values()))
    assert value(results, "F1_SCORE", 0, 1).details["f1_on_shared_labels"] == pytest.approx(mean)
    said = (
        f"from homo_sapiens to mus_musculus, {new} of {n} cells have labels never trained on, so the accuracy is at "
        f"most {1 - new / n:.3f}; on the others alone the mean F1 of the classifiers is {mean:.3f}"
    )
    for score in SCORES:
        assert note_of(results, score, 0, 1) == note_of(results, score, 0, 1, "knn") == said
        assert note_of(results, score, 0, 0) is None
    assert value(results, "ACCURACY", 0, 1).value <= 1 - new / n


def test_labels_that_are_only_spelt_otherwise_are_named(two_species):
    X, labels, _ = two_species
    text = [[str(float("abc".index(one))) for one in labels[0]], [str("abc".index(one)) for one in labels[1]]]
    results = run(X, text, aggregation_method="none", n_folds=3)
    assert value(results, "ACCURACY", 0, 1).value == 0.0
    assert note_of(results, "ACCURACY", 0, 1) == (
        f"from homo_sapiens to mus_musculus, none of {len(labels[1])} cells has a label that was trained on, so the "
        "scores say nothing; labels that differ only in case, blanks or number format are different labels "
        "('0' and '0.0', '1' and '1.0', '2' and '2.0'); spell them alike"
    )
    assert "f1_on_shared_labels" not in value(results, "F1_SCORE", 0, 1).details
    alike = run(X, labels, aggregation_method="none", n_folds=3)
    assert note_of(alike, "ACCURACY", 0, 1) is None


def test_data_sets_of_one_organism_are_named_by_number(two_species):
    X, labels, _ = two_species
    results = run(X, [labels[0], ["x", "y"] * 60], [Organism.HUMAN] * 2, aggregation_method="none", n_folds=3)
    across = [r for r in results if r.params["train_dataset"] == 1 and r.params["test_dataset"] == 0]
    assert all(
        "from homo_sapiens (1) to homo_sapiens (0), none of 120 cells has a label" in r.details["note"] for r in across
    )


def test_averaged_samples_are_called_samples(two_species):
    X, labels, samples = two_species
    other = ["new" if one == "c" else one for one in labels[1]]
    results = run(X, [labels[0], other], sample_ids=samples, n_folds=2)
    assert "samples ha" in note_of(results, "ACCURACY", 0, 1)
