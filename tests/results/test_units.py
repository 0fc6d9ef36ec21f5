"""Units: kept with a record on request, and read back as they were."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from czbenchmarks import evaluate
from czbenchmarks.results import RunRecord, Store

N = 80
OBS = pd.DataFrame(
    {"cell_type": np.array(["a", "b"])[np.arange(N) % 2], "batch": np.array(["x", "y"])[np.arange(N) // 40]},
    index=[f"Zelle {i}" for i in range(N)],
)
X = np.random.default_rng(0).normal(size=(N, 3)) + 2 * (np.arange(N) % 2)[:, None]


@pytest.fixture(scope="module")
def record():
    tasks = {"embedding": {"metrics": "published,trustworthiness", "unintegrated": X}, "label_prediction": None}
    return evaluate({"mine": X, "other": X[:, :2]}, OBS, tasks, random_seed=[1, 2])


def test_units_are_a_table(record):
    table = record.units("silhouette_score")
    assert list(table.columns) == ["task", "embedding", "seed", "unit", "kind", "value", "label"]
    assert table["embedding"].value_counts().to_dict() == {"mine": 2 * N, "other": 2 * N}
    mine = table[(table["embedding"] == "mine") & (table["seed"] == 1)]
    assert mine["unit"].tolist() == OBS.index.tolist()
    assert set(table["kind"]) == {"cell"}
    score = next(one for one in record.result_metrics if one.metric_type == "silhouette_score")
    assert mine["value"].mean() == pytest.approx(score.value)


def test_cells_have_their_names_whatever_the_metric_was_given(record):
    assert record.units("trustworthiness")["unit"].isin(OBS.index).all()
    assert record.units("mean_fold_accuracy")["unit"].isin(OBS.index).all()
    arrays = evaluate(X, OBS, "embedding", labels=OBS["cell_type"].to_numpy())
    assert arrays.units("silhouette_score")["unit"].tolist() == OBS.index.tolist()


def test_what_draws_nothing_has_units_once_for_all_seeds():
    table = evaluate(X, OBS, "embedding", random_seed=[1, 2]).units("silhouette_score")
    assert len(table) == N
    assert table["seed"].isna().all()


def test_held_out_predictions_say_fold_classifier_and_seed(record):
    table = record.units("mean_fold_accuracy")
    assert set(table["kind"]) == {"held-out prediction"}
    assert {"classifier", "split", "true", "predicted"} <= set(table.columns)
    assert set(table["true"]) == set(table["predicted"]) == {"a", "b"}
    of_cells = OBS["cell_type"].loc[table["unit"]].to_numpy()
    assert table["true"].tolist() == of_cells.tolist()
    one = table[(table["embedding"] == "mine") & (table["classifier"] == "lr") & (table["seed"] == 1)]
    folds = (one["true"] == one["predicted"]).groupby(one["split"]).mean()
    score = next(s for s in record.result_metrics if s.key == "mean_fold_accuracy(classifier='lr')")
    assert folds.mean() == pytest.approx(score.values_raw[0])


def test_auroc_has_the_probabilities_of_every_held_out_cell(record):
    table = record.units("mean_fold_auroc")
    both = table[["probability of a", "probability of b"]].to_numpy()
    np.testing.assert_allclose(both.sum(axis=1), 1, atol=1e-5)
    one = table[(table["embedding"] == "mine") & (table["classifier"] == "lr") & (table["seed"] == 1)]
    folds = [roc_auc_score(fold["true"] == "b", fold["probability of b"]) for _, fold in one.groupby("split")]
    score = next(s for s in record.result_metrics if s.key == "mean_fold_auroc(classifier='lr')")
    assert np.mean(folds) == pytest.approx(score.values_raw[0], abs=1e-6)


def test_seeds_of_held_out_predictions(record):
    table = record.units("mean_fold_accuracy")
    assert set(table["seed"]) == {1, 2}


def equal(one, other):
    pd.testing.assert_frame_equal(one, other, check_dtype=False)


@pytest.mark.parametrize("metric", ["silhouette_score", "trustworthiness", "mean_fold_accuracy", "mean_fold_auroc"])
def test_units_come_back_from_a_file_and_from_a_store(record, tmp_path, metric):
    record.write(tmp_path / "run.json", units=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "run.units.npz"]
    equal(RunRecord.read(tmp_path / "run.json").units(metric), record.units(metric))
    store = Store(tmp_path / "runs.db")
    without, number = store.add(record), store.add(record, units=True)
    equal(store.get(number).units(metric), record.units(metric))
    with pytest.raises(ValueError, match=r"units of .* must be kept"):
        store.get(without).units(metric)


def test_what_is_not_there_is_said(record, tmp_path):
    record.write(tmp_path / "run.json")
    assert not (tmp_path / "run.units.npz").exists()
    with pytest.raises(ValueError, match="--keep-units"):
        RunRecord.read(tmp_path / "run.json").units("silhouette_score")
    with pytest.raises(ValueError, match="Metric 'silhouette' is not in the run"):
        record.units("silhouette")


def test_units_of_another_run_and_damaged_ones_are_refused(record, tmp_path):
    record.write(tmp_path / "run.json", units=True)
    whole = (tmp_path / "run.units.npz").read_bytes()
    other = record.model_copy(update={"timestamp": "2020-01-01T00:00:00+00:00"})
    other.write(tmp_path / "other.json")
    (tmp_path / "other.units.npz").write_bytes(whole)
    with pytest.raises(ValueError, match="of another run"):
        RunRecord.read(tmp_path / "other.json").units("silhouette_score")
    for damaged in (whole[: len(whole) // 2], b"", b"PK\x03\x04", whole[:200] + b"\xff" * 50 + whole[250:]):
        (tmp_path / "run.units.npz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"^The units must be readable, got '.*run.units.npz', which is damaged"):
            RunRecord.read(tmp_path / "run.json").units("silhouette_score")


def test_nothing_is_unpickled(record, tmp_path):
    record.write(tmp_path / "run.json", units=True)
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return (ran.touch, ())

    array = io.BytesIO()
    np.save(array, np.array([Evil()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "run.units.npz") as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(tmp_path / "run.units.npz", "w") as file:
        for name, content in members.items():
            file.writestr(name, content if name == "contents.npy" else array.getvalue())
    with pytest.raises(ValueError, match="damaged"):
        RunRecord.read(tmp_path / "run.json").units("silhouette_score")
    assert not ran.exists()


def test_a_record_of_before_has_no_jobs_and_no_versions(record, tmp_path):
    content = record.to_dict()
    del content["jobs"]
    for score in content["result_metrics"]:
        del score["task_version"], score["metric_version"]
    (tmp_path / "old.json").write_text(json.dumps(content))
    old = RunRecord.read(tmp_path / "old.json")
    assert old.jobs == []
    assert {score.task_version for score in old.result_metrics} == {None}
