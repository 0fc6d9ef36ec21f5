"""Confusion matrix and table of labels, from results, from records in memory and in files."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix as confusion_of_scikit_learn
from sklearn.metrics import precision_recall_fscore_support

from czbenchmarks import evaluate
from czbenchmarks.datasets.types import Organism
from czbenchmarks.metrics.types import MetricResult, MetricType
from czbenchmarks.results import RunRecord, Score, confusion_matrix, per_class_table
from czbenchmarks.tasks import (
    CrossSpeciesLabelPredictionTask,
    CrossSpeciesLabelPredictionTaskInput,
    MetadataLabelPredictionTask,
    MetadataLabelPredictionTaskInput,
)

NAMES = ["B cell", "NK", "T"]


def cells(seed=0, n=120):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, n)
    return rng.normal(size=(n, 4)) + np.eye(4)[codes], np.array(NAMES)[codes]


@pytest.fixture(scope="module")
def results():
    X, labels = cells()
    return MetadataLabelPredictionTask().run(X, MetadataLabelPredictionTaskInput(labels=labels, n_folds=3))


def record_of(**embeddings):
    scores = [Score.of("label_prediction", name, [one]) for name, several in embeddings.items() for one in several]
    return RunRecord(result_metrics=scores)


@pytest.mark.parametrize("classifier", ["lr", "knn", "rf"])
def test_they_are_those_of_scikit_learn_from_the_units(results, classifier, tmp_path):
    columns = next(r for r in results if r.params["classifier"] == classifier).units.columns
    true, predicted = np.array(NAMES)[columns["true"]], np.array(NAMES)[columns["predicted"]]
    matrix, table = confusion_matrix(results, classifier), per_class_table(results, classifier)
    np.testing.assert_array_equal(matrix.to_numpy(), confusion_of_scikit_learn(true, predicted))
    assert matrix.index.tolist() == matrix.columns.tolist() == NAMES
    assert (matrix.index.name, matrix.columns.name) == ("true", "predicted")
    precision, recall, f1, count = precision_recall_fscore_support(true, predicted)
    expected = pd.DataFrame(
        {"cells": count, "precision": precision, "recall": recall, "f1": f1}, index=pd.Index(NAMES, name="label")
    )
    pd.testing.assert_frame_equal(table, expected)
    record = record_of(ours=results)
    for kept in (record, RunRecord.read(record.write(tmp_path / "record.json"))):
        pd.testing.assert_frame_equal(confusion_matrix(kept, classifier), matrix)
        pd.testing.assert_frame_equal(per_class_table(kept, classifier), table)


def test_the_accuracy_of_all_predictions_is_the_trace(results):
    accuracy = next(
        r for r in results if r.metric_type is MetricType.MEAN_FOLD_ACCURACY and r.params["classifier"] == "lr"
    )
    matrix = confusion_matrix(results)
    assert matrix.to_numpy().sum() == 120
    assert np.trace(matrix) / 120 == pytest.approx(accuracy.value, abs=1e-12)  # folds of 40 cells each


def test_several_embeddings_are_told_apart(results):
    X, labels = cells(1)
    other = MetadataLabelPredictionTask().run(X, MetadataLabelPredictionTaskInput(labels=labels, n_folds=3))
    record = record_of(ours=results, baseline=other)
    pd.testing.assert_frame_equal(confusion_matrix(record, embedding="baseline"), confusion_matrix(other))
    pd.testing.assert_frame_equal(
        per_class_table(record, "rf", embedding="ours", task="label_prediction"), per_class_table(results, "rf")
    )
    with pytest.raises(
        ValueError, match=r"One table must be meant, got 2 for \(classifier='lr'\); .*embedding='ours'.*='baseline'"
    ):
        confusion_matrix(record)


def test_species_are_told_apart():
    given = [cells(seed) for seed in (0, 1)]
    results = CrossSpeciesLabelPredictionTask().run(
        [X for X, _ in given],
        CrossSpeciesLabelPredictionTaskInput(
            labels=[labels for _, labels in given],
            organisms=[Organism.HUMAN, Organism.MOUSE],
            aggregation_method="none",
            n_folds=2,
        ),
    )
    names = {"train_species": "homo_sapiens", "test_species": "mus_musculus"}
    matrix = confusion_matrix(results, **names)
    [units] = [
        r.units for r in results
        if r.metric_type is MetricType.ACCURACY and r.params == {**names, "classifier": "lr"}
    ]  # fmt: skip
    np.testing.assert_array_equal(
        matrix.to_numpy(), confusion_of_scikit_learn(units.columns["true"], units.columns["predicted"])
    )
    within = per_class_table(results, train_species="mus_musculus", test_species="mus_musculus")
    assert within["cells"].to_dict() == pd.Series(given[1][1]).value_counts().sort_index().to_dict()
    with pytest.raises(ValueError, match="One table must be meant, got 4"):
        confusion_matrix(results)


def test_what_has_nothing_to_count_is_nan_and_survives_the_file(tmp_path):
    result = MetricResult(metric_type=MetricType.MEAN_FOLD_F1_SCORE, value=0.5, params={"classifier": "lr"})
    row = {"label": "B", "cells": 3, "precision": float("nan"), "recall": 0.0, "f1": 0.0}
    result._breakdowns = [row, {**row, "label": "T", "precision": 1.0}]
    record = RunRecord.read(record_of(ours=[result]).write(tmp_path / "record.json"))
    table = per_class_table(record)
    assert np.isnan(table.loc["B", "precision"])
    assert table.loc["T", "precision"] == 1.0
    assert table.dtypes.astype(str).to_dict() == {
        "cells": "int64", "precision": "float64", "recall": "float64", "f1": "float64",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scores", "options", "kind", "message"),
    [
        ([], {}, ValueError, "`scores` must hold the score '{0}' of a classifier with its table, got none"),
        (RunRecord(), {}, ValueError, "`scores` must hold the score '{0}'"),
        (
            [MetricResult(metric_type=MetricType.MEAN_FOLD_ACCURACY, value=0.5, params={"classifier": "lr"})],
            {},
            ValueError,
            "`scores` must hold the score '{0}'",
        ),
        ("record.json", {}, TypeError, "`scores` must be a RunRecord or the results of a task, got str"),
        ([0.5], {}, TypeError, "`scores` must be a RunRecord or the results of a task, got float"),
        (None, {"classifier": "svm"}, ValueError, "`classifier` must be one .*got 'svm'; there are lr, knn, rf."),
        (None, {"embedding": "ours"}, ValueError, "`embedding` must be .*got 'ours'; their tables have no `embedding`"),
    ],
)
def test_refused(results, scores, options, kind, message):
    for function, metric in ((confusion_matrix, "mean_fold_accuracy"), (per_class_table, "mean_fold_f1")):
        with pytest.raises(kind, match=message.format(metric)):
            function(results if scores is None else scores, **options)


def test_what_says_nothing_of_labels_is_passed_over(results):
    other = MetricResult(metric_type=MetricType.SILHOUETTE_SCORE, value=0.5)
    pd.testing.assert_frame_equal(confusion_matrix([other, *results]), confusion_matrix(results))


def test_over_several_seeds_it_is_the_table_of_the_first():
    X, labels = cells()
    obs = pd.DataFrame({"cell_type": labels})
    both, first = (evaluate(X, obs, "label_prediction", random_seed=seed, n_folds=3) for seed in ([4, 5], 4))
    assert set(both.breakdown("mean_fold_accuracy")["seed"]) == {4, 5}
    pd.testing.assert_frame_equal(confusion_matrix(both), confusion_matrix(first))
    pd.testing.assert_frame_equal(per_class_table(both), per_class_table(first))
