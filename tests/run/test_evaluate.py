"""``evaluate``: the numbers of the tasks, whatever the data and embedding are held in; options, failures, record."""

import json
import re
import subprocess
import sys

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import czbenchmarks
from czbenchmarks import evaluate
from czbenchmarks.exceptions import InputError
from czbenchmarks.io.names import named
from czbenchmarks.kernels.parallel import map_blocks, memory_budget, num_threads
from czbenchmarks.tasks import (
    BatchIntegrationTask,
    BatchIntegrationTaskInput,
    ClusteringTask,
    ClusteringTaskInput,
    CrossSpeciesIntegrationTask,
    CrossSpeciesIntegrationTaskInput,
    EmbeddingTask,
    EmbeddingTaskInput,
    PerturbationExpressionPredictionTask,
    PerturbationExpressionPredictionTaskInput,
    Task,
    represent,
)
from czbenchmarks.tasks.task import PCABaselineInput

N = 150


def make_cells(seed=0, organism="Homo sapiens"):
    """Three cell types in two batches, counts and an embedding."""
    rng = np.random.default_rng(seed)
    types, batches = np.repeat([0, 1, 2], N // 3), rng.integers(0, 2, N)
    rates = rng.gamma(1.0, 1.0, (3, 200)) * 3
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(np.array(["B", "NK", "T"])[types]),
            "batch": np.array(["one", "two"])[batches],
            "time": types + 1,
            "organism": organism,
        },
        index=[f"cell{i}" for i in range(N)],
    )
    return ad.AnnData(
        X=sp.csr_matrix(rng.poisson(rates[types]).astype("float32")),
        obs=obs,
        var=pd.DataFrame(index=[f"gene{i}" for i in range(200)]),
        obsm={"X_model": (rng.normal(size=(3, 6))[types] * 1.5 + rng.normal(size=(N, 6))).astype("float32")},
    )


@pytest.fixture(scope="module")
def adata():
    return make_cells()


@pytest.fixture(scope="module")
def folder(adata, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    adata.write_h5ad(folder / "cells.h5ad")
    np.save(folder / "model.npy", adata.obsm["X_model"])
    return folder


def values(record):
    return [(score.task, score.metric_type, score.value) for score in record.result_metrics]


def expected(task, results):
    return [(task, result.metric_type.value, result.value) for result in results]


@pytest.fixture(scope="module")
def by_hand(adata):
    x, obs = adata.obsm["X_model"], adata.obs
    return [
        *expected("clustering", ClusteringTask().run(x, ClusteringTaskInput(obs=obs, input_labels=obs.cell_type))),
        *expected("embedding", EmbeddingTask().run(x, EmbeddingTaskInput(input_labels=obs.cell_type))),
        *expected(
            "batch_integration",
            BatchIntegrationTask().run(x, BatchIntegrationTaskInput(batch_labels=obs.batch, labels=obs.cell_type)),
        ),
    ]


THREE = ["clustering", "embedding", "batch_integration"]


def test_the_numbers_are_the_tasks_own_in_every_form(adata, folder, by_hand):
    x = adata.obsm["X_model"]
    file = folder / "cells.h5ad"
    forms = {
        "array, AnnData": (x, adata),
        "array, table": (x, adata.obs),
        "DataFrame": (pd.DataFrame(x, index=adata.obs_names), adata),
        "sparse": (sp.csr_matrix(x), adata),
        "Representation": (represent(x), adata),
        "reference": ("@obsm:X_model", adata),
        "file, file": (folder / "model.npy", file),
        "reference, file": ("@obsm:X_model", str(file)),
        "lists of one": ([x], [adata]),
        "list of lists": (x.tolist(), adata),
    }
    for name, (embedding, data) in forms.items():
        record = evaluate(embedding, data, THREE)
        assert values(record) == by_hand, name
        assert record.complete


def test_the_neighbours_are_searched_once(adata, monkeypatch):
    from czbenchmarks.kernels import representation

    asked = []
    search = representation.exact_neighbors
    monkeypatch.setattr(representation, "exact_neighbors", lambda x, k: asked.append(k) or search(x, k))
    evaluate("@obsm:X_model", adata, THREE)
    assert asked == [N]  # the entropy per cell asks for 200, clustering for 15


def test_options_reach_every_task_that_has_them(adata):
    labels = np.roll(adata.obs["cell_type"].to_numpy(), 7)
    record = evaluate("@obsm:X_model", adata, ["embedding", "batch_integration"], labels=labels)
    x = adata.obsm["X_model"]
    assert values(record)[0][2] == EmbeddingTask().run(x, EmbeddingTaskInput(input_labels=labels))[0].value
    task_input = BatchIntegrationTaskInput(batch_labels=adata.obs.batch, labels=labels)
    assert values(record)[1:] == expected("batch_integration", BatchIntegrationTask().run(x, task_input))
    for option in ({"labels": "batch"}, {"input_labels": "@obs:batch"}, {"labels": "@0:obs:batch"}):
        found = evaluate("@obsm:X_model", adata, "embedding", **option)
        assert values(found)[0][2] == EmbeddingTask().run(x, EmbeddingTaskInput(input_labels=adata.obs.batch))[0].value


def test_options_of_one_task(adata):
    record = evaluate("@obsm:X_model", adata, {"embedding": {"labels": "batch"}, "clustering": None}, labels="time")
    spec = record.run_specification.tasks
    assert (spec["embedding"].given, spec["embedding"].defaulted) == (
        {"input_labels": "batch"},
        {"metrics": ["published"]},
    )
    assert spec["clustering"].given == {"input_labels": "time"}
    assert spec["clustering"].defaulted["n_iterations"] == 2
    record = evaluate("@obsm:X_model", adata, {"embedding": {"labels": "batch"}}, input_labels="time")
    assert record.run_specification.tasks["embedding"].given == {"input_labels": "batch"}


def test_baseline(adata, folder):
    x = ClusteringTask(random_seed=7).compute_baseline(adata.X, PCABaselineInput(n_pcs=5, n_top_genes=100))
    task_input = ClusteringTaskInput(obs=adata.obs, input_labels=adata.obs.cell_type)
    both = evaluate(
        folder / "model.npy", folder / "cells.h5ad", "clustering", random_seed=7, baseline=True,
        baseline_n_pcs=5, baseline_n_top_genes=100,
    )  # fmt: skip
    assert [score.embedding for score in both.result_metrics] == ["model", "model", "baseline", "baseline"]
    assert values(both)[2:] == expected("clustering", ClusteringTask(random_seed=7).run(x, task_input))
    alone = evaluate(
        None, adata, "clustering", random_seed=7, baseline=True, baseline_n_pcs=5, baseline_n_top_genes=100
    )
    assert values(alone) == values(both)[2:]


def test_several_embeddings_have_names(adata):
    rng = np.random.default_rng(1)
    record = evaluate({"model": "@obsm:X_model", "noise": rng.normal(size=(N, 4))}, adata, "embedding")
    frame = record.to_frame().set_index("embedding")
    assert list(frame.index) == ["model", "noise"]
    assert frame.loc["model", "value"] > frame.loc["noise", "value"] + 0.05
    assert list(named(["a/x.npy", "b/x.npy", "@X", "baseline.npy"])) == ["x", "b/x.npy", "@X", "baseline.npy"]
    with pytest.raises(ValueError, match="given once, got '@X' twice"):
        named(["@X", "@X"])
    with pytest.raises(ValueError, match="must not be called 'baseline'"):
        evaluate({"baseline": "@obsm:X_model"}, adata, "embedding")


@pytest.fixture(scope="module")
def two():
    return [make_cells(), make_cells(5, "Mus musculus")]


def test_several_data_sets(two, tmp_path):
    from czbenchmarks.datasets import Organism

    x = [one.obsm["X_model"] for one in two]
    task_input = CrossSpeciesIntegrationTaskInput(
        labels=[one.obs.cell_type for one in two], organism_list=[Organism.HUMAN, Organism.MOUSE]
    )
    want = expected("cross-species_integration", CrossSpeciesIntegrationTask().run(x, task_input))
    for i, one in enumerate(two):
        one.write_h5ad(tmp_path / f"{i}.h5ad")
        np.save(tmp_path / f"x{i}.npy", x[i])
    files = [tmp_path / f"{i}.h5ad" for i in range(2)]
    calls = [
        ((x, two), {}),
        ((["@obsm:X_model"] * 2, two), {"labels": "cell_type"}),
        (([tmp_path / "x0.npy", "@1:obsm:X_model"], files), {"labels": ["@0:obs:cell_type", "cell_type"]}),
        ((x, two), {"organisms": ["human", "mouse:ENSMUSG"]}),
        ((x, [two[0].obs, two[1].obs]), {"organism_list": [Organism.HUMAN, Organism.MOUSE]}),
    ]
    for (embedding, data), options in calls:
        assert values(evaluate(embedding, data, "cross_species_integration", **options)) == want


@pytest.mark.parametrize(
    ("embedding", "options", "sentence"),
    [
        ("@obsm:X_model", {}, "`embedding` must be given once per data set: expected 2, got 1."),
        (["@obsm:X_model"] * 2, {"labels": ["cell_type"] * 3}, "`labels` must be given once per data set: expected 2"),
        (["@obsm:X_model"] * 2, {"labels": "@1:obs:cell_type"}, "`labels` must be given once per data set"),
        (["@obsm:X_model"] * 2, {"organisms": ["human"]}, "`organism_list` must be given once per data set"),
        (
            ["@obsm:X_model"] * 2,
            {"organisms": ["human", "moose"]},
            "Organism 'moose' is not known. Did you mean 'mouse'",
        ),
        (["@obsm:X_model"] * 2, {"baseline": True}, "Baseline not implemented"),
    ],
)
def test_bad_input_of_several_data_sets(two, embedding, options, sentence):
    with pytest.raises((ValueError, NotImplementedError), match=re.escape(sentence)):
        evaluate(embedding, two, "cross-species_integration", **options)


def make_perturbation():
    """Two conditions of six cells, six control cells, and what the perturbation data set puts into `uns`."""
    rng = np.random.default_rng(2)
    names = [f"{group}{i}" for group in ("p", "q", "control") for i in range(6)]
    genes = [f"gene{i}" for i in range(8)]
    adata = ad.AnnData(
        X=rng.gamma(2.0, size=(18, 8)).astype("float32"),
        obs=pd.DataFrame({"condition": [name[:-1] for name in names]}, index=names),
        var=pd.DataFrame(index=genes),
    )
    adata.uns["de_results"] = pd.DataFrame(
        {"condition": ["p"] * 8 + ["q"] * 8, "gene_id": genes * 2, "logfoldchange": rng.normal(size=16)}
    )
    adata.uns["control_cells_map"] = {c: {f"{c}{i}": f"control{i}" for i in range(6)} for c in "pq"}
    adata.uns["target_conditions_dict"] = {"p": genes[:6], "q": genes[2:]}
    adata.uns["config"] = {"condition_key": "condition"}
    adata.uns["metric_column"] = "logfoldchange"
    return adata


def test_perturbation():
    adata = make_perturbation()
    task, key = PerturbationExpressionPredictionTask(), "perturbation_expression_prediction"
    want = expected(key, task.run(adata.X, PerturbationExpressionPredictionTaskInput(adata=adata)))
    assert len(want) == 2
    assert values(evaluate("@X", adata, key)) == want
    assert values(evaluate("@X", adata, key, adata="@")) == want
    rows, columns = adata.obs_names[::-1], adata.var_names[::-1]
    part = adata[rows, columns].X
    assert values(evaluate(part, adata, key, cell_index=rows, gene_index=list(columns))) == want
    adata.obs["row"], adata.var["column"] = list(rows), list(columns)
    assert values(evaluate(part, adata, key, cell_index="@obs:row", gene_index="@var:column")) == want
    with pytest.raises(ValueError, match="got a table of obs"):
        evaluate(part, adata.obs, key)


def test_predictions_with_names_are_aligned_by_cell_and_gene(tmp_path):
    adata, key = make_perturbation(), "perturbation_expression_prediction"
    want = values(evaluate("@X", adata, key))
    table = pd.DataFrame(adata.X, index=adata.obs_names, columns=adata.var_names)
    shuffled = table.sample(frac=1, random_state=1).sample(frac=1, axis=1, random_state=1)
    assert list(shuffled.columns) != list(table.columns)
    shuffled.to_csv(tmp_path / "predicted.csv")
    ad.AnnData(shuffled).write_h5ad(tmp_path / "predicted.h5ad")
    for given in (
        shuffled,
        tmp_path / "predicted.csv",
        tmp_path / "predicted.h5ad",
        table.to_numpy(),
        pd.DataFrame(adata.X),
    ):
        assert np.allclose([v[2] for v in values(evaluate(given, adata, key))], [v[2] for v in want], atol=1e-12)
    with pytest.raises(ValueError, match=r"1 are unknown \(gene_x\) and 1 are missing \(gene0\)"):
        evaluate(table.rename(columns={"gene0": "gene_x"}), adata, key)
    with pytest.raises(ValueError, match="1 are missing"):
        evaluate(table.iloc[:, 1:], adata, key)


def test_one_task_may_fail(adata):
    data = adata[:, :].copy()
    del data.obs["batch"]
    record = evaluate("@obsm:X_model", data, THREE)
    assert [failure.task for failure in record.failures] == ["batch_integration"]
    assert record.failures[0].reason == (
        "Column 'batch' (the default of `batch_labels`; name another with it) is not in obs. "
        "Available: cell_type, organism, time."
    )
    assert {score.task for score in record.result_metrics} == {"clustering", "embedding"}
    assert not record.complete
    with pytest.raises(ValueError, match="Column 'batch'"):
        evaluate("@obsm:X_model", data, "batch_integration")
    # refused while it runs, not before
    data.obs["same"] = "all"
    record = evaluate("@obsm:X_model", data, {"embedding": {"labels": "same"}, "clustering": {}})
    assert [(failure.task, failure.embedding) for failure in record.failures] == [("embedding", "@obsm:X_model")]
    with pytest.raises(ValueError, match="at least two"):
        evaluate("@obsm:X_model", data, "embedding", labels="same")


def test_a_baseline_that_fails_leaves_the_scores(adata):
    negative = ad.AnnData(-adata.X, obs=adata.obs)
    record = evaluate(adata.obsm["X_model"], negative, "embedding", baseline=True)
    assert [score.embedding for score in record.result_metrics] == ["embedding"]
    assert [(failure.task, failure.embedding) for failure in record.failures] == [("embedding", "baseline")]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"tasks": "clusterng"}, "Task 'clusterng' not found. Did you mean 'clustering'?"),
        ({"tasks": []}, "`tasks` must name at least one task"),
        ({"n_itertions": 3}, "Option 'n_itertions' belongs to none of clustering. Did you mean 'n_iterations'?"),
        ({"tasks": {"clustering": {"n_folds": 3}}}, "Option of clustering 'n_folds' is not known."),
        ({"n_iterations": 0}, "`n_iterations` must be a positive integer"),
        ({"baseline_n_pcs": 3}, "pass baseline=True"),
        ({"labels": "celltype"}, "Column 'celltype' is not in obs. Did you mean 'cell_type'?"),
        ({"labels": ["B"] * 3}, "expected 150, got 3"),
        ({"embedding": None}, "An embedding or the baseline must be asked for"),
        ({"embedding": np.zeros((3, 2))}, "`embedding` must have the same length as the data"),
        ({"embedding": np.full((N, 2), np.nan)}, "`embedding` must be finite"),
        ({"embedding": np.zeros(N)}, "`embedding` must have two dimensions"),
        ({"embedding": [np.zeros((N, 2))] * 2}, "`embedding` must be given once per data set: expected 1, got 2; name"),
        ({"embedding": {}}, "`embedding` must hold at least one embedding"),
        ({"tasks": None}, "`tasks` must be a task's key"),
        ({"tasks": {"batch_integration": None, "batch-integration": None}}, "under two spellings"),
        ({"embedding": {1: "@X", "1": "@X"}}, "must belong to one embedding"),
        ({"embedding": {"": "@X"}}, "must be printable text"),
        ({"embedding": "@obsm:X_modell"}, "Key 'X_modell' is not in obsm. Did you mean 'X_model'?"),
        ({"embedding": "@1:obsm:X_model"}, "counted from 0, got 1 data set."),
        ({"data": []}, "`data` must be at least one data set"),
        ({"data": pd.DataFrame({"cell_type": []})}, "`data` must hold at least one cell"),
        ({"random_seed": -1}, "`random_seed` must be between 0"),
        ({"tasks": "cross-species_integration"}, "must be given at least two data sets, got 1."),
        ({"threads": 0}, "`threads` must be a whole number of at least 1 and at most 1,024, got 0; leave it out"),
        ({"threads": "many"}, "`threads` must be a whole number of at least 1"),
        (
            {"memory": "lots"},
            "`memory` must be a size of at least 1MB, such as 500MB, 2GB or 1.5GiB, got 'lots'; leave",
        ),
        ({"neighbors": "exakt"}, "`neighbors` 'exakt' is not known. Did you mean 'exact'? Available: @obsp:KEY, "),
        ({"neighbors": "@obsm:X_model"}, "`neighbors` '@obsm:X_model' is not known. Available: @obsp:KEY, "),
        ({"neighbors": "@obsp"}, "`neighbors` '@obsp' is not known."),
        ({"neighbors": np.zeros(2)}, "`neighbors` must be 'auto', 'exact', 'approximate' or a reference @obsp:KEY"),
    ],
)
def test_bad_input_raises_one_sentence(adata, change, sentence):
    call = {"embedding": "@obsm:X_model", "data": adata, "tasks": "clustering", **change}
    with pytest.raises((ValueError, TypeError), match=re.escape(sentence)) as caught:
        evaluate(**call)
    assert "\n" not in str(caught.value)


def test_nothing_of_the_users_is_changed(adata):
    data = adata.copy()
    data.obs_names = data.obs_names[::-1]
    x = data.obsm["X_model"].copy()
    before = data.copy()
    evaluate(x, data, THREE, baseline=True)
    pd.testing.assert_frame_equal(data.obs, before.obs)
    np.testing.assert_array_equal(data.X.toarray(), before.X.toarray())
    np.testing.assert_array_equal(x, before.obsm["X_model"])
    assert list(data.uns) == [] and list(data.obsm) == ["X_model"] and list(data.obsp) == []  # noqa: PT018


def test_the_record(adata):
    record = evaluate("@obsm:X_model", adata, ["embedding", "label_prediction"], random_seed=3, n_folds=3)
    frame = record.to_frame()
    assert frame["key"].is_unique
    assert frame.loc[0, "key"] == "embedding|@obsm:X_model|silhouette_score()"
    assert set(frame["params.classifier"].dropna()) > {"lr", "knn", "rf"}
    stored = json.loads(json.dumps(record.to_dict(), allow_nan=False))
    assert stored["czbenchmarks_version"] == czbenchmarks.__version__
    spec = stored["run_specification"]
    assert spec["random_seeds"] == [3]
    assert spec["embeddings"]["@obsm:X_model"][0] | {"sha256": ""} == {
        "reference": "@obsm:X_model", "aligned": "position", "shape": [N, 6], "sha256": "", "sha256_of": "values",
        "missing_from_embedding": 0, "missing_from_data": 0,
    }  # fmt: skip
    assert spec["data"][0] | {"sha256": ""} == {
        "source": f"AnnData of shape ({N}, 200)", "n_cells": N, "n_cells_left_out": 0, "sha256": "",
        "sha256_of": "cell names",
    }  # fmt: skip
    assert spec["tasks"]["label_prediction"]["given"] == {"n_folds": 3}
    assert spec["tasks"]["label_prediction"]["defaulted"]["min_class_size"] == 10
    assert stored["environment"]["packages"]["numpy"] == np.__version__
    assert set(stored["runtime_metrics"]["phases"]) == {"reading", "embedding", "label_prediction", "hashing"}
    assert sum(stored["runtime_metrics"]["phases"].values()) <= stored["runtime_metrics"]["elapsed_time_secs"]
    assert stored["warnings"] == [
        "embedding: no `input_labels` named, so the column 'cell_type' of obs was used",
        "label_prediction: no `labels` named, so the column 'cell_type' of obs was used",
    ]
    assert stored["runtime_metrics"]["elapsed_time_secs"] > 0
    assert stored["runtime_metrics"]["max_memory_mib"] > 50
    assert stored["failures"] == []
    first = stored["result_metrics"][0]
    assert (first["task"], first["metric_type"], first["value"]) == (
        "embedding",
        "silhouette_score",
        frame.loc[0, "value"],
    )


def test_several_seeds(adata):
    seeds = [1, 2, 3]
    record = evaluate("@obsm:X_model", adata, "label_prediction", random_seed=seeds, n_folds=3)
    each = [evaluate("@obsm:X_model", adata, "label_prediction", random_seed=s, n_folds=3) for s in seeds]
    for i, score in enumerate(record.result_metrics):
        raw = [one.result_metrics[i].value for one in each]
        assert score.values_raw == raw
        assert score.value == pytest.approx(np.mean(raw))
        assert score.value_std_dev == pytest.approx(np.std(raw, ddof=1))
    assert record.run_specification.random_seeds == seeds
    assert any(score.value_std_dev > 0 for score in record.result_metrics)


@pytest.mark.parametrize(
    ("seeds", "sentence"),
    [([], "at least one seed"), ([1, 1], "every seed once"), ([1, -1], "between 0"), ("12", "whole number")],
)
def test_bad_seeds(adata, seeds, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        evaluate("@obsm:X_model", adata, "embedding", random_seed=seeds)


def test_files_are_named_with_their_hash(adata, folder):
    import hashlib

    record = evaluate(f"mine={folder / 'model.npy'}", folder / "cells.h5ad", "embedding")
    assert record.result_metrics[0].embedding == "mine"
    for facts, file in (
        (record.run_specification.data[0], "cells.h5ad"),
        (record.run_specification.embeddings["mine"][0], "model.npy"),
    ):
        assert facts["sha256"] == hashlib.sha256((folder / file).read_bytes()).hexdigest()
        assert (facts["path"], facts["sha256_of"]) == (str(folder / file), "file")


def test_names_of_embeddings(tmp_path):
    assert named(["ours=a.npy", "@obsm:X", "b/c.npz:key"]) == {
        "ours": "a.npy", "@obsm:X": "@obsm:X", "key": "b/c.npz:key",
    }  # fmt: skip
    assert named([["m=a.npy", "m=b.npy"]]) == {"m": ["a.npy", "b.npy"]}
    (tmp_path / "k=v.npy").touch()
    assert list(named([str(tmp_path / "k=v.npy")])) == ["k=v"]
    assert list(named([f"{tmp_path}/run=3/x.npy"])) == ["x"]
    with pytest.raises(ValueError, match="belong to one embedding"):
        named(["m=a.npy", "m=b.npy"])
    for embedding in ("~nobody_at_all=x.npy", "n" * 300 + "=x.npy"):
        assert len(named([embedding])) == 1
    with pytest.raises(ValueError, match="belong to one embedding"):
        named(["x=e.npy", "x.npy", "x.npy=other.npy"])
    assert list(named(["s3://b/x.h5ad:X_pca"])) == ["X_pca"]
    with pytest.raises(ValueError, match="printable"):
        named(["a\x1b[2J=a.npy"])


def test_missing_cells(adata):
    table = pd.DataFrame(adata.obsm["X_model"], index=adata.obs_names)
    part = table.iloc[40:][::-1]
    other = pd.concat([table.iloc[:120], table.iloc[:2].rename(lambda name: f"new_{name}")])
    with pytest.raises(ValueError, match=r"40 .*cell0, cell1, cell2"):
        evaluate(part, adata, "embedding")
    labels = adata.obs["cell_type"].to_numpy()
    for option in ({}, {"labels": labels}, {"labels": list(labels)}, {"labels": adata.obs["cell_type"]}):
        record = evaluate({"part": part, "other": other}, adata, "embedding", allow_missing_cells=True, **option)
        cut = adata[40:120]
        want = EmbeddingTask().run(cut.obsm["X_model"], EmbeddingTaskInput(input_labels=cut.obs["cell_type"]))
        assert [score.value for score in record.result_metrics] == [want[0].value] * 2
    spec = record.run_specification
    assert (spec.data[0]["n_cells"], spec.data[0]["n_cells_left_out"], spec.allow_missing_cells) == (80, 70, True)
    facts = spec.embeddings["other"][0]
    assert (facts["missing_from_embedding"], facts["missing_from_data"], facts["aligned"]) == (30, 2, "name")
    assert any("70 of 150 cells" in warning for warning in record.warnings)
    with pytest.raises(ValueError, match="none in common"):
        evaluate({"a": table.iloc[:50], "b": table.iloc[60:]}, adata, "embedding", allow_missing_cells=True)


def test_labels_of_missing_cells_are_not_taken_for_others(adata):
    table = pd.DataFrame(adata.obsm["X_model"], index=adata.obs_names).iloc[40:][::-1]
    labels = adata.obs["cell_type"]
    with pytest.raises(ValueError, match="expected 150, got 110"):
        evaluate(table, adata, "embedding", allow_missing_cells=True, labels=labels.loc[table.index].to_numpy())
    given, mixed = (
        evaluate(table, adata, "embedding", allow_missing_cells=True, labels=one)
        for one in (labels, labels.sample(frac=1, random_state=0))
    )
    assert values(mixed) == values(given)
    table.iloc[0] += 0.5
    want = evaluate(table, adata, "clustering", allow_missing_cells=True)
    assert values(evaluate(table, adata, "clustering", allow_missing_cells=True, obs=adata.obs)) == values(want)
    listed = {"a": adata.obsm["X_model"].tolist(), "b": sp.coo_matrix(adata.obsm["X_model"]), "c": table}
    record = evaluate(listed, adata, "embedding", allow_missing_cells=True)
    assert record.result_metrics[0].value == pytest.approx(record.result_metrics[1].value)


def test_rows_in_the_callers_order_are_for_one_task():
    adata = make_perturbation()
    tasks = {
        "perturbation_expression_prediction": {"cell_index": adata.obs_names},
        "embedding": {"labels": "condition"},
    }
    with pytest.raises(ValueError, match="score them apart"):
        evaluate(adata.X, adata, tasks)


def test_named_predictions_and_indices_that_contradict_them():
    adata, key = make_perturbation(), "perturbation_expression_prediction"
    table = pd.DataFrame(adata.X, index=adata.obs_names, columns=adata.var_names)
    want = values(evaluate("@X", adata, key))
    columns, rows = table.columns[::-1], table.index[::-1]
    assert values(evaluate(table[columns], adata, key, gene_index=columns)) == want
    assert values(evaluate(table.loc[rows], adata, key, cell_index=rows)) == want
    with pytest.raises(ValueError, match="gene_index"):
        evaluate(table[columns], adata, key, gene_index="@var_index")
    with pytest.raises(ValueError, match="cell_index"):
        evaluate(table.loc[rows], adata, key, cell_index="@obs_index")
    other = evaluate(
        pd.DataFrame(adata.X, index=adata.obs_names, columns=[f"PC{i}" for i in range(8)]), adata,
        {key: None, "embedding": {"labels": "condition"}},
    )  # fmt: skip
    assert [failure.task for failure in other.failures] == [key]
    assert [score.task for score in other.result_metrics] == ["embedding"]


def test_what_draws_nothing_is_computed_once_for_all_seeds(adata, monkeypatch):
    ran = []
    results = Task.results

    def counted(self, **arguments):
        ran.append((type(self).__name__, self.random_seed))
        return results(self, **arguments)

    monkeypatch.setattr(Task, "results", counted)
    tasks = ["embedding", "batch_integration", "clustering"]
    record = evaluate("@obsm:X_model", adata, tasks, random_seed=[3, 4], baseline=True, baseline_n_top_genes=100)
    # The baseline of another seed is another embedding.
    assert sorted(ran) == sorted(
        [("EmbeddingTask", 42), ("BatchIntegrationTask", 42), ("ClusteringTask", 3), ("ClusteringTask", 4)]
        + [(name, seed) for name in ("EmbeddingTask", "BatchIntegrationTask", "ClusteringTask") for seed in (3, 4)]
    )
    for seed, place in ((3, 0), (4, 1)):
        alone = evaluate("@obsm:X_model", adata, tasks, random_seed=seed, baseline=True, baseline_n_top_genes=100)
        assert [one.values_raw[place] for one in record.result_metrics] == [one.value for one in alone.result_metrics]
    assert {one.n_values for one in record.result_metrics} == {2}


def test_a_sample_is_drawn_under_every_seed(adata):
    tasks = ["embedding", "batch_integration"]
    record = evaluate("@obsm:X_model", adata, tasks, random_seed=[3, 4], max_cells=60)
    alone = [evaluate("@obsm:X_model", adata, tasks, random_seed=seed, max_cells=60) for seed in (3, 4)]
    for i, score in enumerate(record.result_metrics):
        assert score.values_raw == [one.result_metrics[i].value for one in alone]
        assert (score.values_raw[0] == score.values_raw[1]) == (score.metric_type == "entropy_per_cell")


def test_a_subclass_says_for_itself_that_it_draws_nothing():
    code = """
from czbenchmarks.tasks import ClusteringTask, EmbeddingTask, Task
from czbenchmarks.exceptions import InputError
class Mine(EmbeddingTask):
    pass
class Same(EmbeddingTask):
    draws_nothing = True
found = [one.draws_nothing for one in (Task, EmbeddingTask, ClusteringTask, Mine, Same)]
assert found == [False, True, False, False, True]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_threads_and_memory_are_the_runs_own(adata, monkeypatch):
    monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", "2")
    monkeypatch.setenv("CZBENCHMARKS_MEMORY", "77MB")
    seen = []
    run = EmbeddingTask.run

    def looking(self, **arguments):
        seen.append((num_threads(), memory_budget(), map_blocks(lambda _: num_threads(), range(3))))
        return run(self, **arguments)

    monkeypatch.setattr(EmbeddingTask, "run", looking)
    for given, used in (({}, (2, 77 * 10**6)), ({"threads": 3, "memory": "5MB"}, (3, 5 * 10**6))):
        record = evaluate("@obsm:X_model", adata, "embedding", **given)
        assert seen.pop() == (*used, [1, 1, 1])
        assert (record.environment["threads"], record.environment["memory_budget"]) == used
    monkeypatch.setenv("CZBENCHMARKS_MEMORY", "lots")
    with pytest.raises(ValueError, match=r"^CZBENCHMARKS_MEMORY must be a size of at least 1MB"):
        evaluate("@obsm:X_model", adata, "embedding")


def test_a_seed_under_which_a_task_fails_leaves_the_others(adata, monkeypatch):
    run = EmbeddingTask.run

    def failing(self, **arguments):
        if self.random_seed == 2:
            raise InputError("Two is no seed.")
        return run(self, **arguments)

    monkeypatch.setattr(EmbeddingTask, "run", failing)
    monkeypatch.setattr(EmbeddingTask, "draws_nothing", False)
    score = evaluate("@obsm:X_model", adata, "embedding", random_seed=[1, 2, 3]).result_metrics[0]
    assert np.isnan(score.values_raw).tolist() == [False, True, False]
    assert (score.n_values, score.reason) == (2, "seed 2: Two is no seed")
    with pytest.raises(ValueError, match="Two is no seed"):
        evaluate("@obsm:X_model", adata, "embedding", random_seed=[2])


def test_the_callers_representation_is_as_before(adata):
    own = represent(adata.obsm["X_model"])
    evaluate(own, adata, THREE)
    assert own.max_neighbors == 0


def test_the_callers_representation_keeps_what_it_had_and_no_more(adata):
    own = represent(adata.obsm["X_model"])
    mine = own.once("mine", object)
    evaluate(own, adata, THREE, metrics="scib-fast")
    assert own.kept == {"mine"}
    assert own.once("mine", object) is mine


def test_what_metrics_share_goes_when_the_last_task_has_it(adata, monkeypatch):
    """Of several embeddings one graph is held at a time, not one each."""
    a, b = represent(adata.obsm["X_model"]), represent(adata.obsm["X_model"] * 2)
    at_start = []
    run = ClusteringTask.run

    def watched(self, cell_representation, task_input):
        at_start.append((bool(a.kept), bool(b.kept)))
        found = run(self, cell_representation, task_input)
        assert cell_representation.kept
        return found

    monkeypatch.setattr(ClusteringTask, "run", watched)
    evaluate({"a": a, "b": b}, adata, ["embedding", "clustering"], metrics="scib-fast", baseline=True)
    assert at_start[-2:] == [(True, True), (False, True)]
    assert not a.kept
    assert not b.kept


def test_equal_arrays_behind_scores_are_held_once(adata):
    """Labels are those of every metric, and what draws nothing is the same under every seed."""
    record = evaluate("@obsm:X_model", adata, "batch_integration", metrics="all", random_seed=[1, 2])
    alone = evaluate("@obsm:X_model", adata, "batch_integration", metrics=["clisi", "ilisi"])
    scores = {score.metric_type: score for score in record.result_metrics}
    for score in alone.result_metrics:
        for found in scores[score.metric_type].results:
            np.testing.assert_array_equal(found.units.values, score.results[0].units.values)
            for name, column in score.results[0].units.columns.items():
                np.testing.assert_array_equal(found.units.columns[name], column)
    one, two = (result.units for result in scores["clisi"].results)
    assert one.values is two.values
    assert one.ids is scores["ilisi"].results[0].units.ids
    columns = [result.units.columns for score in record.result_metrics for result in score.results if result.units]
    assert len({id(some["label"]) for some in columns if "label" in some}) == 1
    assert len({id(some["batch"]) for some in columns if "batch" in some}) == 1


def test_records_hold_no_secrets_and_the_name_in_the_catalogue():
    from czbenchmarks.datasets.utils import open_dataset
    from czbenchmarks.io.dataset import Cells
    from czbenchmarks.run.identity import data_facts

    facts = data_facts(Cells(open_dataset("baron_pancreas_human")))
    assert (facts["name"], facts["address"]) == ("baron_pancreas_human", "package://baron_pancreas_human.h5ad")


def test_the_baseline_of_the_cells_that_are_left(adata):
    part = pd.DataFrame(adata.obsm["X_model"], index=adata.obs_names).iloc[20:]
    record = evaluate(part, adata, "embedding", baseline=True, allow_missing_cells=True, baseline_n_pcs=5)
    whole = evaluate(None, adata[20:].copy(), "embedding", baseline=True, baseline_n_pcs=5)
    assert record.result_metrics[1].value == whole.result_metrics[0].value


def test_a_file_that_names_no_cells_is_said_to(adata, tmp_path):
    table = pd.DataFrame(adata.obsm["X_model"], index=adata.obs_names).rename(columns=str)
    table.to_csv(tmp_path / "bare.csv", index=False)
    table.to_csv(tmp_path / "named.csv")
    np.save(tmp_path / "array.npy", table.to_numpy())
    given = {name: tmp_path / name for name in ("bare.csv", "named.csv", "array.npy")}
    said = evaluate(given, adata, "embedding", labels="cell_type").warnings
    assert said == ["bare.csv names no cells, so its rows were taken in the order of the data"]


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_an_embedding_that_is_the_same_for_all_cells_is_said_to(adata, form):
    ones = np.ones((N, 3))
    record = evaluate({"flat": form(ones), "model": "@obsm:X_model"}, adata, "embedding", labels="cell_type")
    assert record.warnings == ["flat has the same values for every cell, so its scores say nothing of a model"]


def test_counts_of_the_baseline_may_lie_in_a_layer(adata, caplog):
    logged = adata.copy()
    logged.layers["counts"] = adata.X.copy()
    logged.X = np.log1p(adata.X.toarray())
    options = {"labels": "cell_type", "baseline": True, "baseline_n_pcs": 5}
    want = evaluate(None, adata, "embedding", **options)
    record = evaluate(None, logged, "embedding", baseline_expression="@layers:counts", **options)
    assert (values(record), record.warnings) == (values(want), [])
    assert record.run_specification.baseline["embedding"]["expression"] == "@layers:counts"
    record = evaluate(None, logged, "embedding", **options)
    assert values(record) != values(want)
    [said] = record.warnings
    assert "does not look like counts" in said
    assert caplog.text == ""
    with pytest.raises(ValueError, match="Did you mean 'counts'"):
        evaluate(None, logged, "embedding", baseline_expression="@layers:count", **options)
    with pytest.raises(ValueError, match="Did you mean 'baseline'"):
        evaluate("@obsm:X_model", adata, "embedding", compute_baseline=True)


def test_a_record_equals_what_was_written(adata, tmp_path):
    from czbenchmarks.results import RunRecord

    record = evaluate("@obsm:X_model", adata, "embedding")
    assert RunRecord.read(record.write(tmp_path / "run.json")) == record
    assert record != evaluate("@obsm:X_model", adata, "embedding", random_seed=1)


def test_tables_are_aligned_by_name(adata):
    table = pd.DataFrame(adata.obsm["X_model"], index=adata.obs_names)
    want = values(evaluate(table, adata, THREE))
    assert values(evaluate(table.sample(frac=1, random_state=1), adata, THREE)) == want
    assert values(evaluate(table.reset_index(drop=True), adata, THREE)) == want


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, czbenchmarks; "
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'numpy', 'pandas', 'pydantic', 'anndata', 'click'}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    assert {"evaluate", "__version__"} <= set(dir(czbenchmarks))


def test_an_option_under_both_of_its_names_is_refused(adata):
    with pytest.raises(ValueError, match=r"`input_labels` and `labels` are one option under two names"):
        evaluate("@obsm:X_model", adata, "embedding", labels="cell_type", input_labels="batch")


def test_the_parameters_of_the_baseline_are_recorded(adata):
    record = evaluate(None, adata, "embedding", baseline=True, baseline_n_pcs=5)
    assert record.run_specification.baseline["embedding"]["n_pcs"] == 5
    assert repr(record) == "RunRecord(1 scores, 0 failures; see to_frame())"


def test_rows_of_zeros_and_one_embedding_for_two_data_sets_are_said(adata):
    X = np.asarray(adata.obsm["X_model"]).copy()
    X[[1, 5, 7]] = 0.0
    record = evaluate({"gaps": X, "model": "@obsm:X_model"}, adata, "embedding", labels="cell_type")
    assert record.warnings == ["3 rows of gaps are all zeros, as of cells that a model left out"]
    X = np.asarray(adata.obsm["X_model"])
    task, given = "cross-species_integration", {"labels": "cell_type", "organisms": ["HUMAN", "MOUSE"]}
    twice = "twice has the same values for every data set, as of one that was given twice"
    assert twice in evaluate({"twice": [X, X]}, [adata, adata], task, **given).warnings
    assert twice not in evaluate({"twice": [X, X + 1.0]}, [adata, adata], task, **given).warnings
