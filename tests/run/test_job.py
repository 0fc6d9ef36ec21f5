"""Jobs: known by what they depend on before anything is scored, computed anywhere, and no fault is hidden."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from czbenchmarks import evaluate
from czbenchmarks.exceptions import InputError
from czbenchmarks.metrics.types import MetricType, metrics_registry
from czbenchmarks.results import RunRecord
from czbenchmarks.run import workload
from czbenchmarks.run.checking import Checking
from czbenchmarks.run.hashing import Contents
from czbenchmarks.run.job import Job, JobInputs, execute
from czbenchmarks.run.request import Request
from czbenchmarks.tasks import EmbeddingTask, EmbeddingTaskInput

N = 60
LABELS = np.array(["a", "b", "c"])[np.arange(N) % 3]
X = np.random.default_rng(0).normal(size=(N, 4)) + 3 * (np.arange(N) % 3)[:, None]
OBS = pd.DataFrame({"cell_type": LABELS, "batch": ["x", "y"] * (N // 2)}, index=[f"cell{i}" for i in range(N)])


def loaded(embedding=X, data=OBS, tasks="embedding", seed=None, **options):
    asked = {"baseline": False, "expression": "@X", "allow_missing": False, "neighbors": "auto"}
    asked |= {name: options.pop(name) for name in list(options) if name in asked}
    checking = Checking.of(False, (), None)
    return workload.Workload.load(Request.of(embedding, data, tasks, seed, options, checking, **asked))


def ids(*given, **options):
    return [job.id for job in loaded(*given, **options).jobs]


def test_equal_jobs_have_equal_ids_whatever_holds_the_values():
    [same] = ids()
    assert len(same) == 64
    assert ids({"another name": X.copy()}) == [same]
    assert ids(labels=list(LABELS)) == ids(labels=LABELS) == ids(labels=LABELS.astype(object))
    assert ids(seed=7) == [same]  # it draws nothing


def test_values_of_any_type_have_a_hash_that_follows_them():
    rng = np.random.default_rng(5)
    values = rng.integers(0, 9, N)
    kinds = [np.longdouble, np.float16, np.float64, np.int8, bool, str, object, "datetime64[s]"]
    for given in (values, values[::-1].copy()):
        found = [Contents().of(given.astype(kind)) for kind in kinds]
        assert found == [Contents().of(given.astype(kind)) for kind in kinds]  # no address, no padding is in it
    lists = pd.Series([[1, 2], [3]])
    for one in (values, pd.Series(values), pd.Index(values), list(values), pd.DataFrame({"a": values}), lists):
        assert Contents().of(one) == Contents().of(one.copy())
    assert Contents().of(values) != Contents().of(values[::-1].copy())
    assert Contents().of(object()) != Contents().of(object())

    class Strange(pd.Series):
        def __array__(self, *_, **__):
            raise RuntimeError("No.")

    assert set(Contents().of(Strange([1]))) <= {"unknown", "sha256"}


@pytest.mark.parametrize(
    "change",
    [
        {"embedding": X + 1e-9},
        {"data": OBS.set_axis([f"other{i}" for i in range(N)])},
        {"data": OBS.assign(cell_type=LABELS[::-1])},
        {"labels": LABELS[::-1]},
        {"labels": np.array(["a", "b", "d"])[np.arange(N) % 3]},
        {"labels": "batch"},
        {"tasks": "clustering"},
        {"metrics": "graph_connectivity"},
        {"max_cells": 30},
        {"neighbors": "approximate"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_a_score_depends_on_is_in_the_id(change):
    assert ids() != ids(**change)


def test_a_seed_is_in_the_id_of_what_draws():
    one, other = ids(tasks="clustering", seed=[1, 2])
    assert one != other
    assert ids(tasks="clustering", seed=2) == [other]


def test_a_version_is_in_the_id(monkeypatch):
    [before] = ids()
    monkeypatch.setattr(EmbeddingTask, "version", 2)
    assert ids() != [before]
    assert evaluate(X, OBS, "embedding").result_metrics[0].task_version == 2


def test_a_version_of_a_metric_that_the_task_may_compute_is_in_the_id(monkeypatch):
    [embedding], [clustering] = ids(), ids(tasks="clustering")
    row = MetricType.SILHOUETTE_SCORE.declaration
    monkeypatch.setitem(metrics_registry._rows, MetricType.SILHOUETTE_SCORE, dataclasses.replace(row, version=2))
    assert ids() != [embedding]
    row = MetricType.ADJUSTED_RAND_INDEX.declaration
    monkeypatch.setitem(metrics_registry._rows, MetricType.ADJUSTED_RAND_INDEX, dataclasses.replace(row, version=2))
    assert ids(tasks="clustering") != [clustering]


def test_ids_of_a_file_are_those_of_its_content(tmp_path):
    adata = ad.AnnData(np.ones((N, 2), dtype="f4"), OBS, obsm={"X_a": X})
    adata.write_h5ad(tmp_path / "one.h5ad")
    (tmp_path / "two.h5ad").write_bytes((tmp_path / "one.h5ad").read_bytes())
    one, two = (ids("@obsm:X_a", tmp_path / name, ["embedding", "clustering"]) for name in ("one.h5ad", "two.h5ad"))
    assert one == two
    adata.obs["cell_type"] = LABELS[::-1]
    adata.write_h5ad(tmp_path / "two.h5ad")
    assert not set(one) & set(ids("@obsm:X_a", tmp_path / "two.h5ad", ["embedding", "clustering"]))


def test_ids_are_known_before_anything_is_scored(monkeypatch):
    monkeypatch.setattr(EmbeddingTask, "results", lambda *_, **__: pytest.fail("scored"))
    assert ids()


def test_a_baseline_is_known_without_being_made(monkeypatch):
    adata = ad.AnnData(np.random.default_rng(1).poisson(3.0, size=(N, 120)).astype("f4"), OBS)
    asked = {"data": adata, "embedding": None, "baseline": True, "baseline_n_pcs": 5, "baseline_n_top_genes": 100}
    made = ids(**asked)
    monkeypatch.setattr(EmbeddingTask, "compute_baseline", lambda *_, **__: pytest.fail("made"))
    assert ids(**asked) == made
    assert ids(**{**asked, "baseline_n_pcs": 6}) != made
    adata.X[0, 0] += 1
    assert ids(**asked) != made


def test_the_record_names_its_jobs():
    record = evaluate({"mine": X}, OBS, ["embedding", "clustering"], random_seed=[1, 2])
    assert [(job.task, job.embedding, job.seed, job.state) for job in record.jobs] == [
        ("embedding", "mine", None, "done"), ("clustering", "mine", 1, "done"), ("clustering", "mine", 2, "done")
    ]  # fmt: skip
    assert [job.id for job in record.jobs] == ids(tasks=["embedding", "clustering"], seed=[1, 2])
    assert all(job.seconds >= 0 and (job.memory_mib or 1) > 0 for job in record.jobs)
    again = RunRecord.model_validate(record.to_dict())
    assert again.jobs == record.jobs
    assert {score.task_version for score in record.result_metrics} == {1}
    assert {score.metric_version for score in record.result_metrics} == {1}


def test_a_job_is_computed_in_another_process():
    load = loaded(tasks="clustering", seed=3)
    [job] = load.jobs
    code = (
        "import pickle, sys; from czbenchmarks.run.job import execute\n"
        "sys.stdout.buffer.write(pickle.dumps(execute(*pickle.load(sys.stdin.buffer))))"
    )
    sent = pickle.dumps((job, load.inputs(job)))
    done = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True, timeout=120)
    there, here = pickle.loads(done.stdout), execute(job, load.inputs(job))
    assert (there.job, there.state) == (job, "done")
    assert [result.value for result in there.results] == [result.value for result in here.results]
    load.add(there)
    assert load.scores()[0].value == here.results[0].value


def test_no_score_is_a_result():
    task_input = EmbeddingTaskInput(input_labels=LABELS.tolist(), metrics=["graph_connectivity", "isolated_labels"])
    job = Job("embedding", 1, [], [], {}, {}, None)
    assert execute(job, JobInputs(task_input, X)).state in ("done", "failed")
    refused = execute(job, JobInputs(refusal=InputError("No.")))
    assert (refused.state, refused.is_bug, str(refused.error)) == ("failed", False, "No.")


def test_labels_are_coded_once_for_all_tasks(monkeypatch):
    coded, factorize = [], pd.factorize

    def counting(values, *rest, **more):
        if isinstance(values[0], str):  # clusters are whole numbers
            coded.append(values)
        return factorize(values, *rest, **more)

    monkeypatch.setattr(pd, "factorize", counting)
    evaluate(X, OBS, {"embedding": None, "clustering": None, "batch_integration": {"metrics": "scib"}})
    assert len(coded) == 2  # labels and batches


def planted(*_, **__):
    """Add arrays of other shapes, as a bug of ours would."""
    return np.zeros(3) + np.zeros(4)


@pytest.fixture
def broken(monkeypatch):
    from czbenchmarks.metrics import clustering

    monkeypatch.setattr(planted, "__module__", clustering.__name__)
    monkeypatch.setattr(clustering, "adjusted_rand_index", planted)


def test_a_bug_surfaces_when_all_else_is_scored(broken):
    with pytest.raises(ValueError, match="could not be broadcast") as raised:
        evaluate({"mine": X}, OBS, ["clustering", "embedding"])
    assert type(raised.value) is ValueError
    record = raised.value.czbenchmarks_record
    assert [score.task for score in record.result_metrics] == ["embedding"]
    assert [(job.task, job.state) for job in record.jobs] == [("clustering", "failed"), ("embedding", "done")]
    assert "could not be broadcast" in record.failures[0].reason


def test_a_bug_of_a_check_costs_no_score(monkeypatch):
    from czbenchmarks import checks

    monkeypatch.setattr(checks, "clusters_as_labels", planted)
    with pytest.raises(ValueError, match="could not be broadcast") as raised:
        evaluate(X, OBS, "embedding", checks=True)
    assert len(raised.value.czbenchmarks_record.result_metrics) == 1


def test_what_a_function_of_others_refuses_is_a_reason(monkeypatch):
    def refusing(labels_true, labels_pred):
        raise ValueError("I want other labels.")

    before = dict(metrics_registry._rows)
    metrics_registry.register(MetricType.ADJUSTED_RAND_INDEX, refusing, {"labels_true", "labels_pred"})
    try:
        record = evaluate({"mine": X}, OBS, ["clustering", "embedding"])
    finally:
        metrics_registry._rows.clear()
        metrics_registry._rows.update(before)
    assert "I want other labels" in record.failures[0].reason
    assert [score.task for score in record.result_metrics] == ["embedding"]


def test_seeds_that_differ_are_told_apart():
    record = evaluate(X, OBS, "clustering", random_seed=[1, 2, 3], metrics="published,leiden_ari_best")
    for score in record.result_metrics:
        by_seed = (score.details or {}).get("by_seed", {})
        assert all(len(values) == 3 for values in by_seed.values())
    [best] = [score for score in record.result_metrics if score.metric_type == "leiden_ari_best"]
    seeds = {row.get("seed") for row in best.breakdowns}
    assert seeds in ({None}, {1, 2, 3})


def test_an_interruption_that_a_library_made_an_error_of_ends_the_run(monkeypatch):
    from czbenchmarks.metrics import clustering

    def converting(**_):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise RuntimeError("the callback failed") from None

    monkeypatch.setattr(converting, "__module__", clustering.__name__)
    monkeypatch.setattr(clustering, "adjusted_rand_index", converting)
    monkeypatch.setattr(EmbeddingTask, "results", lambda *_, **__: pytest.fail("went on"))
    with pytest.raises(RuntimeError, match="the callback failed") as raised:
        evaluate(X, OBS, ["clustering", "embedding"])
    assert not hasattr(raised.value, "czbenchmarks_record")
