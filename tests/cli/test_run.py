"""``czbenchmarks run``: the numbers of ``evaluate``, the exit status, and one sentence for whatever is wrong."""

import io
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from click.testing import CliRunner

from czbenchmarks import evaluate
from czbenchmarks.cli.main import main
from czbenchmarks.exceptions import InputError
from czbenchmarks.kernels.neighbors import exact_neighbors
from czbenchmarks.results import RunRecord

N = 60


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def make_cells(seed, organism):
    rng = np.random.default_rng(seed)
    types = np.repeat([0, 1, 2], N // 3)
    obs = pd.DataFrame(
        {
            "cell_type": np.array(["B", "NK", "T"])[types],
            "batch": np.array(["one", "two"])[rng.integers(0, 2, N)],
            "same": "all",
            "organism": organism,
        },
        index=[f"cell{i}" for i in range(N)],
    )
    prefix = {"Homo sapiens": "ENSG", "Mus musculus": "ENSMUSG"}[organism]
    counts = rng.poisson(rng.gamma(1.0, 3.0, (3, 120))[types]).astype("float32")
    X = rng.normal(size=(3, 5))[types] + rng.normal(size=(N, 5))
    return ad.AnnData(
        X=sp.csr_matrix(counts),
        obs=obs,
        var=pd.DataFrame(index=[f"{prefix}{i:011d}" for i in range(120)]),
        obsm={"X_model": X},
        obsp={"distances": distances(X, 15), "near": distances(X, 5)},
    )


def distances(X, k):
    found = exact_neighbors(X, k)
    shape, indptr = (len(X), len(X)), np.arange(0, len(X) * (k - 1) + 1, k - 1)
    return sp.csr_matrix((found.distances[:, 1:].ravel(), found.indices[:, 1:].ravel(), indptr), shape=shape)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Good files and bad ones."""
    folder = tmp_path_factory.mktemp("data")
    for seed, name, organism in ((0, "human", "Homo sapiens"), (1, "mouse", "Mus musculus")):
        cells = make_cells(seed, organism)
        cells.write_h5ad(folder / f"{name}.h5ad")
        np.save(folder / f"{name}.npy", cells.obsm["X_model"])
    rng = np.random.default_rng(2)
    np.save(folder / "short.npy", rng.normal(size=(N - 1, 5)))
    np.save(folder / "flat.npy", rng.normal(size=N))
    np.save(folder / "nan.npy", np.full((N, 5), np.nan))
    np.save(folder / "text.npy", np.full((N, 5), "a"))
    np.save(folder / "objects.npy", np.array([[{}] * 2] * N), allow_pickle=True)
    (folder / "pickle.npy").write_bytes(pickle.dumps(rng.normal(size=(N, 5))))
    (folder / "cut.npy").write_bytes((folder / "human.npy").read_bytes()[:-100])
    (folder / "table.csv").write_text("a,b\n1,2\n")
    (folder / "notes.h5ad").write_text("not an h5ad file\n")
    with h5py.File(folder / "other.h5ad", "w") as file:
        file["x"] = 1
    whole = (folder / "human.h5ad").read_bytes()
    (folder / "cut.h5ad").write_bytes(whole[: len(whole) // 2])
    return folder


def described(folder, **change):
    return json.dumps(
        {
            "dataset_class": "czbenchmarks.datasets.SingleCellLabeledDataset",
            "organism": "HUMAN",
            "path": f"{folder}/human.h5ad",
            **change,
        }
    )


def scores(result):
    assert result.exit_code == 0, result.output
    return [
        (row["task"], row["embedding"], row["metric_type"], row["params"], row["value"])
        for row in json.loads(result.stdout)["result_metrics"]
    ]


def wanted(record):
    return [
        (row["task"], row["embedding"], row["metric_type"], row["params"], row["value"])
        for row in json.loads(json.dumps(record.to_dict()))["result_metrics"]
    ]


@pytest.mark.parametrize(
    ("task", "words", "options"),
    [
        ("clustering", ["--n-iterations", 3], {"n_iterations": 3}),
        (
            "clustering",
            ["--input-labels", "batch", "--flavor", "leidenalg"],
            {"labels": "batch", "flavor": "leidenalg"},
        ),
        ("clustering", ["--n_iterations", 1, "--labels", "@obs:batch"], {"labels": "batch", "n_iterations": 1}),
        ("embedding", ["-r", 3], {"random_seed": 3}),
        ("batch_integration", ["--batch-labels", "@obs:batch", "--labels", "cell_type"], {}),
        ("batch-integration", [], {}),
        ("label_prediction", ["--n-folds", 3, "--min-class-size", 5], {"n_folds": 3, "min_class_size": 5}),
        (
            "label_prediction",
            ["--groups", "batch", "--n-folds", 2, "--metrics", "all"],
            {"groups": "batch", "n_folds": 2, "metrics": "all"},
        ),
        ("label_prediction", ["--groups", "@obs:batch", "--n-folds", 2], {"groups": "batch", "n_folds": 2}),
    ],
)
def test_the_numbers_are_those_of_evaluate(folder, task, words, options):
    data = folder / "human.h5ad"
    want = wanted(evaluate(folder / "human.npy", data, task, **options))
    assert scores(run("run", task, "-u", data, "-c", folder / "human.npy", "-f", "json", *words)) == want
    assert len(want) >= 1


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("clustering", ["--threads", 1, "--memory", "1MB"]),
        ("clustering", ["--threads", 4, "--memory", "4GiB", "--neighbors", "exact"]),
        ("clustering", ["--neighbors", "@obsp:distances"]),
        ("label_prediction", ["--threads", 3, "--memory", 2_000_000, "--n-folds", 2]),
    ],
)
def test_how_it_is_computed_is_recorded_and_changes_no_number(folder, tmp_path, task, words):
    data, given = folder / "human.h5ad", dict(zip(words[::2], words[1::2], strict=True))
    options = {"n_folds": 2} if task == "label_prediction" else {}
    want = wanted(evaluate(folder / "human.npy", data, task, **options))
    out = tmp_path / "record.json"
    assert scores(run("run", task, "-u", data, "-c", folder / "human.npy", "-f", "json", "-o", out, *words)) == want
    record = RunRecord.read(out)
    assert record.run_specification.neighbors == given.get("--neighbors", "auto")
    if "--threads" in given:
        assert record.environment["threads"] == given["--threads"]
        sizes = {"1MB": 10**6, "4GiB": 2**32}
        assert record.environment["memory_budget"] == sizes.get(given["--memory"], given["--memory"])


def test_flags(folder):
    cells = ad.read_h5ad(folder / "human.h5ad")
    cells.obs["time"] = np.arange(N) // 20
    cells.write_h5ad(folder / "time.h5ad")
    words = ["run", "sequential_organization", "-u", folder / "time.h5ad", "-c", "@obsm:X_model", "-f", "json"]
    for flag, value in (("--normalize", True), ("--no-normalize", False)):
        want = wanted(
            evaluate("@obsm:X_model", cells, "sequential_organization", input_labels="time", normalize=value, k=5)
        )
        found = scores(run(*words, "--input-labels", "time", "--k", 5, flag))
        assert [row[-1] for row in found] == pytest.approx([row[-1] for row in want], abs=1e-12)


def test_several_embeddings_and_the_baseline(folder):
    data = folder / "human.h5ad"
    words = [
        "run",
        "embedding",
        "-u",
        data,
        "-c",
        folder / "human.npy",
        "-c",
        "@obsm:X_model",
        "-c",
        folder / "mouse.npy",
    ]
    found = scores(run(*words, "-B", "--baseline-n-pcs", 4, "--baseline-n-top-genes", 100, "-f", "json"))
    assert [row[1] for row in found] == ["human", "@obsm:X_model", "mouse", "baseline"]
    assert found[0][-1] == found[1][-1] > found[2][-1]
    want = evaluate(None, data, "embedding", baseline=True, baseline_n_pcs=4, baseline_n_top_genes=100)
    assert found[3:] == wanted(want)
    alone = run(
        "run", "embedding", "-u", data, "-B", "--baseline-n-pcs", 4, "--baseline-n-top-genes", 100, "-f", "json"
    )
    assert scores(alone) == wanted(want)


@pytest.mark.parametrize(
    "task", ["cross-species_integration", "cross_species_integration", "cross-species-integration"]
)
def test_several_data_sets(folder, task):
    files = [folder / "human.h5ad", folder / "mouse.h5ad"]
    arrays = [folder / "human.npy", folder / "mouse.npy"]
    want = wanted(evaluate(arrays, files, "cross-species_integration"))
    words = ["run", task, "-u", files[0], "-u", files[1], "-c", arrays[0], "-c", arrays[1], "-f", "json"]
    assert scores(run(*words)) == want
    assert scores(run(*words, "--organism-list", "HUMAN", "--organism-list", "mouse", "--labels", "cell_type")) == want
    more = [
        "--organisms",
        "HUMAN:ENSG",
        "--organisms",
        "MOUSE",
        "--labels",
        "@0:obs:cell_type",
        "--labels",
        "@1:obs:cell_type",
    ]
    assert scores(run(*words, *more)) == want


def test_data_described_in_json(folder):
    words = ["-c", folder / "human.npy", "-f", "json"]
    want = scores(run("run", "embedding", "-u", folder / "human.h5ad", *words))
    assert scores(run("run", "embedding", "-u", described(folder), *words)) == want
    by_batch = scores(run("run", "embedding", "-u", folder / "human.h5ad", "--labels", "batch", *words))
    assert scores(run("run", "embedding", "-u", described(folder, label_column_key="batch"), *words)) == by_batch
    two = ["-u", described(folder), "-u", described(folder, organism="mus_musculus", path=str(folder / "mouse.h5ad"))]
    both = ["-c", folder / "human.npy", "-c", folder / "mouse.npy", "-f", "json"]
    from_files = ["-u", folder / "human.h5ad", "-u", folder / "mouse.h5ad"]
    want = scores(run("run", "cross-species_integration", *from_files, *both))
    assert scores(run("run", "cross-species_integration", *two, *both)) == want


def test_perturbation_in_a_file(folder):
    rng = np.random.default_rng(4)
    names = [f"{group}{i}" for group in ("p", "control") for i in range(5)]
    genes = [f"gene{i}" for i in range(8)]
    adata = ad.AnnData(
        X=rng.gamma(2.0, size=(10, 8)).astype("float32"),
        obs=pd.DataFrame({"condition": [name[:-1] for name in names]}, index=names),
        var=pd.DataFrame(index=genes),
        uns={
            "de_results": pd.DataFrame({"condition": "p", "gene_id": genes, "logfoldchange": rng.normal(size=8)}),
            "control_cells_map": {"p": {f"p{i}": f"control{i}" for i in range(5)}},
            "target_conditions_dict": {"p": genes},
            "config": {"condition_key": "condition"},
        },
    )
    adata.write_h5ad(folder / "perturbed.h5ad")
    want = wanted(evaluate("@X", adata, "perturbation_expression_prediction"))
    words = ["run", "perturbation_expression_prediction", "-u", folder / "perturbed.h5ad", "-c", "@X", "-f", "json"]
    assert scores(run(*words)) == want
    assert scores(run(*words, "--adata", "@", "--gene-index", "@var_index", "--cell-index", "@obs_index")) == want
    assert len(want) == 1


def test_the_table(folder):
    words = ["run", "label_prediction", "-u", folder / "human.h5ad", "-c", folder / "human.npy"]
    result = run(*words)
    assert result.exit_code == 0
    said = "Note: label_prediction: no --labels named, so the column 'cell_type' of obs was used.\n"
    assert said in result.stderr  # beside progress, if the machine is slow
    assert run("-q", *words).stderr == ""
    assert "Note" not in run(*words, "--labels", "cell_type").stderr
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "label_prediction"
    assert re.search(r"Metric +Parameters +human", result.stdout)
    assert re.search(r"mean_fold_accuracy ↑ +classifier=lr +0\.\d{4}", result.stdout)
    assert "Reason" not in result.stdout
    assert "\x1b" not in result.stdout


def test_a_failure_is_said_and_status_1(folder, monkeypatch):
    from czbenchmarks.tasks import EmbeddingTask

    def no_baseline(self, expression_data, baseline_input=None):
        raise InputError("These counts are no counts.")

    monkeypatch.setattr(EmbeddingTask, "compute_baseline", no_baseline)
    words = ["run", "embedding", "-u", folder / "human.h5ad", "-c", folder / "human.npy", "-B", "--labels", "cell_type"]
    result = run(*words)
    assert result.exit_code == 1
    assert re.search(r"silhouette_score ↑ +0\.\d{4}", result.stdout)
    assert result.stderr == "embedding of baseline failed: These counts are no counts.\n"
    stored = json.loads(run(*words, "-f", "json").stdout)
    assert stored["failures"] == [
        {"task": "embedding", "embedding": "baseline", "reason": "These counts are no counts."}
    ]
    assert len(stored["result_metrics"]) == 1


def test_a_score_without_value_is_status_1(folder, monkeypatch):
    from czbenchmarks.metrics.types import MetricResult, MetricType
    from czbenchmarks.tasks import EmbeddingTask

    nothing = MetricResult(metric_type=MetricType.SILHOUETTE_SCORE, value=float("nan"), reason="one label only")
    monkeypatch.setattr(EmbeddingTask, "run", lambda self, cell_representation, task_input: [nothing])
    words = ["run", "embedding", "-u", folder / "human.h5ad", "-c", folder / "human.npy"]
    result = run(*words)
    assert result.exit_code == 1
    assert re.search(r"silhouette_score ↑ +none +one label only", result.stdout)
    result = run(*words, "-f", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["result_metrics"][0]["value"] is None


def test_what_a_metric_does_not_define_is_no_failure_unless_it_is_asked_for_by_name(tmp_path, monkeypatch):
    import anndata

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    obs = pd.DataFrame({"cell_type": ["a", "b"] * 30, "batch": ["x"] * 30 + ["y"] * 30}, index=map(str, range(60)))
    cells = anndata.AnnData(rng.random((60, 5)), obs, obsm={"X_model": rng.normal(size=(60, 4))})
    cells.write_h5ad("cells.h5ad")
    words = ["-q", "run", "batch_integration", "-u", "cells.h5ad", "-c", "@obsm:X_model", "--metrics"]
    result = run(*words, "scib-fast", "-o", "run.json", "--store", "runs.db")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert re.search(r"isolated_labels ↑ none no label is isolated: each occurs in all 2 batches", text)
    assert re.search(r"scib_total ↑ preset=scib-fast 0\.\d{4} without isolated_labels", text)
    assert run(*words, "isolated_labels,ilisi", "--store", "runs.db").exit_code == 1
    assert run(*words, "scib-fast,isolated_labels").exit_code == 1
    assert run("results", "show", "run.json").exit_code == 0
    assert [run("results", "show", n, "--store", "runs.db").exit_code for n in "12"] == [0, 1]
    rows = json.loads(run("results", "list", "--store", "runs.db", "-f", "json").stdout)
    assert [(row["complete"], row["failed"]) for row in rows] == [(False, False), (False, True)]
    listed = run("results", "list", "--store", "runs.db").stdout
    assert listed.index("incomplete") < listed.index("failed")
    del cells.X
    cells.write_h5ad("cells.h5ad")
    result = run(*words, "scib-fast")
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    assert "it must have --unintegrated, which was not given; pass it (--unintegrated)" in text
    assert run(*words, "all").exit_code == 0
    assert run(*words, "published").exit_code == 0


DATA = ["-u", "human.h5ad"]
ARRAY = ["-c", "human.npy"]
GOOD = [*DATA, *ARRAY]
TWO = ["-u", "human.h5ad", "-u", "mouse.h5ad"]
BOTH = [*TWO, "-c", "human.npy", "-c", "mouse.npy"]
BAD = [
    ("task unknown", ["clusterng", *GOOD], "Did you mean 'clustering'?"),
    ("no options", ["clustering", "human.h5ad", "human.npy"], "name your cells with -u and the embedding with -c"),
    ("option unknown", ["clustering", *GOOD, "--n-iteration", "3"], "'--n-iteration'. Did you mean '--n-iterations'?"),
    ("not a number", ["clustering", *GOOD, "--n-iterations", "many"], "'many' is not a valid integer"),
    ("out of range", ["clustering", *GOOD, "--n-iterations", "0"], "--n-iterations must be a positive integer"),
    ("not a choice", ["clustering", *GOOD, "--flavor", "leiden"], "is not one of 'leidenalg', 'igraph'"),
    ("no data", ["clustering", *ARRAY], "At least one data set is needed"),
    ("no embedding", ["clustering", "-u", "human.h5ad"], "An embedding or the baseline is needed"),
    ("data missing", ["clustering", "-u", "none.h5ad", *ARRAY], "'none.h5ad', which does not exist"),
    ("data of text", ["clustering", "-u", "notes.h5ad", *ARRAY], "'notes.h5ad', which is not one"),
    ("data of another kind", ["clustering", "-u", "other.h5ad", *ARRAY], "an HDF5 file without obs"),
    ("data cut", ["clustering", "-u", "cut.h5ad", *ARRAY], "'cut.h5ad'"),
    ("data an array", ["clustering", "-u", "human.npy", *ARRAY], "'human.npy', which is a NumPy array; name it .npy"),
    (
        "column unknown",
        ["clustering", *GOOD, "--input-labels", "cell_typ"],
        "Did you mean 'cell_type'? Available: batch",
    ),
    ("one label", ["embedding", *GOOD, "--input-labels", "same"], "at least two"),
    ("embedding missing", ["clustering", *DATA, "-c", "none.npy"], "'none.npy', which does not exist"),
    ("embedding too short", ["clustering", *DATA, "-c", "table.csv"], "expected 60, got 1"),
    (
        "embedding pickled",
        ["clustering", *DATA, "-c", "pickle.npy"],
        "'pickle.npy', which is a Python pickle, which would run code",
    ),
    ("embedding of objects", ["clustering", *DATA, "-c", "objects.npy"], "pickled objects"),
    ("embedding of words", ["clustering", *DATA, "-c", "text.npy"], "must hold numbers"),
    ("embedding cut", ["clustering", *DATA, "-c", "cut.npy"], "'cut.npy' declares 2,400 bytes and holds 2,300"),
    ("embedding short", ["clustering", *DATA, "-c", "short.npy"], "expected 60, got 59"),
    ("embedding flat", ["clustering", *DATA, "-c", "flat.npy"], "must have two dimensions"),
    ("embedding NaN", ["clustering", *DATA, "-c", "nan.npy"], "`nan.npy` must be finite, got 300 NaN"),
    ("one of two bad", ["clustering", *GOOD, "-c", "nan.npy"], "`nan.npy` must be finite"),
    ("key unknown", ["clustering", *DATA, "-c", "@obsm:X_modle"], "Did you mean 'X_model'?"),
    ("reference unknown", ["clustering", *DATA, "-c", "@obsx"], "Reference '@obsx' is not known"),
    ("same twice", ["clustering", *GOOD, *ARRAY], "An embedding must be given once, got 'human.npy' twice."),
    ("baseline option alone", ["clustering", *GOOD, "--baseline-n-pcs", "5"], "add -B"),
    (
        "baseline option bad",
        ["clustering", *GOOD, "-B", "--baseline-n-pcs", "0"],
        "--baseline-n-pcs must be between 1 and",
    ),
    ("seed negative", ["clustering", *GOOD, "-r", "-1"], "-r must be between 0"),
    ("threads none", ["clustering", *GOOD, "--threads", "0"], "--threads must be a whole number of at least 1"),
    ("threads in words", ["clustering", *GOOD, "--threads", "two"], "'two' is not a valid integer"),
    ("memory in words", ["clustering", *GOOD, "--memory", "lots"], "--memory must be a size of at least 1MB, such as"),
    ("memory without unit", ["clustering", *GOOD, "--memory", "2"], "1.5GiB, got '2'; leave it out for the default."),
    ("neighbors unknown", ["clustering", *GOOD, "--neighbors", "approx"], "Did you mean 'approximate'?"),
    ("neighbors missing", ["clustering", *GOOD, "--neighbors", "@obsp:dist"], "Key 'dist' is not in obsp."),
    ("neighbors too few", ["clustering", *GOOD, "--neighbors", "@obsp:near"], "must hold 15 cells per cell, itself"),
    ("neighbors of several", ["clustering", *GOOD, "-c", "@X", "--neighbors", "@obsp:near"], "got 2 embeddings"),
    ("neighbors of two", ["cross-species_integration", *BOTH, "--neighbors", "@obsp:near"], "got 2 data sets"),
    ("neighbors unused", ["label_prediction", *GOOD, "--neighbors", "exact"], "No such option '--neighbors'"),
    ("two data sets for one", ["clustering", *BOTH], "must be given one data set, got 2"),
    ("one data set for two", ["cross-species_integration", *GOOD], "at least two data sets, got 1"),
    ("one embedding for two", ["cross-species_integration", *TWO, *ARRAY], "expected 2, got 1"),
    ("no baseline", ["cross-species_integration", *TWO, "-B"], "Baseline not implemented"),
    (
        "organism unknown",
        ["cross-species_integration", *BOTH, "--organisms", "human", "--organisms", "moose"],
        "Did you mean 'mouse'?",
    ),
    ("JSON broken", ["clustering", "-u", '{"path": ', *ARRAY], "JSON that cannot be read"),
    ("JSON short", ["clustering", "-u", '{"path": "human.h5ad"}', *ARRAY], "without dataset_class, organism"),
    ("JSON of a list", ["clustering", "-u", '["human.h5ad"]', *ARRAY], "which does not exist"),
    (
        "JSON, another class",
        ["clustering", "-u", described(".", dataset_class="os.system"), *ARRAY],
        "'os.system' is not a data set class",
    ),
    (
        "JSON, no file",
        ["clustering", "-u", described(".", path="no.h5ad"), "-B"],
        "not found at path: no.h5ad",
    ),
    (
        "JSON, organism unknown",
        ["clustering", "-u", described(".", organism="HUMN"), "-B"],
        "Did you mean 'human'?",
    ),
]


@pytest.mark.parametrize(("words", "sentence"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_one_line_and_status_2(folder, monkeypatch, words, sentence):
    monkeypatch.chdir(folder)
    result = run("run", *words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert sentence in result.stderr


def test_help(folder):
    result = run("run", "--help")
    assert result.exit_code == 0
    assert "cross-species_label_prediction" in result.stdout
    assert run("run").stdout.splitlines()[2:] == result.stdout.splitlines()[2:]
    result = run("run", "clustering", "--help")
    assert result.exit_code == 0
    for text in (
        "--input-labels, --labels COLUMN",
        "[default: cell_type]",
        "--n-iterations INTEGER",
        "--flavor [leidenalg|igraph]",
        "--baseline-n-pcs INTEGER",
        "-u cells.h5ad -c embedding.npy --input-labels cell_type",
    ):
        assert text in result.stdout
    assert "--obs" not in result.stdout
    result = run("run", "sequential_organization", "-h")
    assert "--adaptive-k / --no-adaptive-k" in result.stdout


def test_the_example_of_the_help_runs(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for task in ("clustering", "cross-species_integration"):
        text = run("run", task, "--help").stdout.partition("Example:")[2]
        words = (
            text.replace("\\\n", " ").replace("cells.h5ad", "human.h5ad").replace("embedding.npy", "human.npy").split()
        )
        assert words[0] == "czbenchmarks"
        assert run(*words[1:]).exit_code == 0


def test_as_a_process(folder):
    """Nothing but the scores on stdout, no traceback on stderr, and the status of the process."""
    command = [sys.executable, "-c", "from czbenchmarks.cli.main import main; main()", "run", "embedding"]
    words = ["-u", str(folder / "human.h5ad"), "-c", str(folder / "human.npy"), "-f", "json", "--labels", "cell_type"]
    found = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert found.returncode == 0
    want = evaluate(folder / "human.npy", folder / "human.h5ad", "embedding")
    assert json.loads(found.stdout)["result_metrics"][0]["value"] == want.result_metrics[0].value
    assert found.stderr == ""
    found = subprocess.run([*command, "-u", "none.h5ad", "-B"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (2, "")
    assert (
        found.stderr
        == "Error: -u must be an existing .h5ad file or .zarr folder, got 'none.h5ad', which does not exist.\n"
    )


def test_several_seeds_and_the_baseline_side_by_side(folder):
    words = ["run", "label_prediction", "-u", folder / "human.h5ad", "-c", f"ours={folder}/human.npy", "-B"]
    words += ["-r", 1, "-r", 2, "--n-folds", 3]
    record = evaluate(
        {"ours": folder / "human.npy"}, folder / "human.h5ad", "label_prediction", random_seed=[1, 2], baseline=True,
        n_folds=3,
    )  # fmt: skip
    frame = record.to_frame()
    assert scores(run(*words, "-f", "json")) == wanted(record)
    first = frame.iloc[0]
    cell = f"{first.value:.4f} ± {first.value_std_dev:.4f} ({first.difference:+.4f})"
    table = run(*words)
    assert cell in table.stdout
    assert "in brackets: difference to the baseline" in table.stdout
    markdown = run(*words, "-f", "markdown").stdout.splitlines()
    assert f"| mean\\_fold\\_accuracy ↑ | classifier=MEAN(knn,lr,rf) | {cell} |" in markdown[4]
    assert len({line.count(" | ") for line in markdown[2:]}) == 1
    back = pd.read_csv(io.StringIO(run(*words, "-f", "csv").stdout))
    assert back["values_raw"].iloc[0] == ";".join(map(str, first.values_raw))
    np.testing.assert_allclose(back["value"], frame["value"], rtol=1e-15)
    np.testing.assert_allclose(back["difference"], frame["difference"], rtol=1e-12)


def test_the_record_is_written(folder, tmp_path):
    from czbenchmarks.results import RunRecord

    words = ["run", "embedding", "-u", folder / "human.h5ad", "-c", folder / "human.npy", "-o", tmp_path / "run.json"]
    printed = json.loads(run(*words, "-f", "json").stdout)
    assert json.loads((tmp_path / "run.json").read_text()) == printed
    assert RunRecord.read(tmp_path / "run.json").complete
    assert run(*words).exit_code == 0  # a record replaces a record
    assert os.listdir(tmp_path) == ["run.json"]


@pytest.mark.parametrize(
    ("target", "sentence"),
    [("human.npy", "must not replace another file"), ("none/run.json", "existing folder"), (".", "is a folder")],
)
def test_a_bad_place_for_the_record_is_refused_before_the_work(folder, monkeypatch, target, sentence):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("czbenchmarks.run.evaluate.evaluate", lambda *_, **__: pytest.fail("it began to work"))
    before = (folder / "human.npy").read_bytes()
    result = run("run", "embedding", *GOOD, "-o", target)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert (folder / "human.npy").read_bytes() == before


def test_missing_cells(folder):
    cells = ad.read_h5ad(folder / "human.h5ad")
    table = pd.DataFrame(cells.obsm["X_model"], index=cells.obs_names)
    table.iloc[5:].sample(frac=1, random_state=0).to_csv(folder / "part.csv")
    words = ["run", "embedding", "-u", folder / "human.h5ad", "-c", folder / "part.csv"]
    refused = run(*words)
    assert refused.exit_code == 2
    assert "5 cells have no row (cell0, cell1, cell2 and 2 more)" in refused.stderr
    result = run(*words, "--allow-missing-cells")
    assert result.exit_code == 0
    assert "5 of 60 cells of `data` are not in every embedding" in result.stderr


def test_cells_of_the_catalogue(folder):
    words = ["run", "embedding", "-d", "baron_pancreas_human", "-c", "@X", "--labels", "donor", "-f", "json"]
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["run_specification"]["data"][0]["n_cells"] > 100
    wrong = run("run", "embedding", "-d", "baron_pancreas_humam", "-c", "@X")
    assert wrong.exit_code == 2
    assert "Did you mean 'baron_pancreas_human'?" in wrong.stderr


def test_a_wide_table_is_printed_in_parts(folder):
    words = ["run", "label_prediction", "-u", folder / "human.h5ad", "-B", "--n-folds", 3]
    for i in range(5):
        words += ["-c", f"model_number_{i}={folder}/human.npy"]
    table = run(*words)
    assert max(map(len, table.stdout.splitlines())) <= 100
    assert len(re.findall(r"mean_fold_accuracy ↑ +classifier=lr ", table.stdout)) >= 2
    for i in range(5):
        assert table.stdout.count(f"model_number_{i}") == 1


def test_a_column_with_a_digit_is_for_every_data_set(folder):
    for name in ("human", "mouse"):
        cells = ad.read_h5ad(folder / f"{name}.h5ad")
        cells.obs["c1"] = cells.obs["cell_type"].to_numpy()
        cells.write_h5ad(folder / f"{name}_c1.h5ad")
    words = ["run", "cross-species_integration", "-u", folder / "human_c1.h5ad", "-u", folder / "mouse_c1.h5ad"]
    words += ["-c", folder / "human.npy", "-c", folder / "mouse.npy", "-f", "json", "--labels"]
    assert scores(run(*words, "c1")) == scores(run(*words, "cell_type"))


def test_a_record_that_cannot_be_written_after_all_leaves_the_scores(folder, monkeypatch, tmp_path):
    from czbenchmarks.results import RunRecord

    def full(*_, **__):
        raise InputError("The record must be written to a writable file.")

    monkeypatch.setattr(RunRecord, "write", full)
    result = run("run", "embedding", "-u", folder / "human.h5ad", "-c", folder / "human.npy", "-o", tmp_path / "r.json")
    assert result.exit_code == 2
    assert "silhouette_score" in result.stdout
    assert "Error: The record" in result.stderr


def test_after_a_bug_what_is_done_is_written_and_the_traceback_is_named(folder, monkeypatch, tmp_path):
    from czbenchmarks.metrics import clustering
    from czbenchmarks.results import Store

    def planted(labels_true, labels_pred):
        return np.zeros(3) + np.zeros(4)

    monkeypatch.setattr(planted, "__module__", clustering.__name__)
    monkeypatch.setattr(clustering, "adjusted_rand_index", planted)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    words = ["run", "clustering", "-u", folder / "human.h5ad", "-c", folder / "human.npy"]
    result = run(*words, "-o", tmp_path / "r.json", "--store", tmp_path / "s.db")
    assert result.exit_code == 1
    said = result.stderr.splitlines()
    assert any(line.startswith("clustering of human failed: ") for line in said)
    assert said[-1].startswith("Error: czbenchmarks itself failed (ValueError: operands could not be broadcast")
    [saved] = tmp_path.glob("czbenchmarks-*.txt")
    assert said[-1].endswith(f"please report it with {saved}.")
    assert "in planted" in saved.read_text(encoding="utf-8")
    for record in (RunRecord.read(tmp_path / "r.json"), Store(tmp_path / "s.db").get(1)):
        assert [job.state for job in record.jobs] == ["failed"]
        assert "could not be broadcast" in record.failures[0].reason


def test_units_are_kept_on_request(folder, tmp_path):
    words = ["run", "embedding", "-u", folder / "human.h5ad", "-c", folder / "human.npy"]
    assert run(*words, "-o", tmp_path / "r.json", "--keep-units").exit_code == 0
    assert RunRecord.read(tmp_path / "r.json").units("silhouette_score")["kind"].unique().tolist() == ["cell"]
    refused = run(*words, "--keep-units")
    assert refused.exit_code == 2
    assert "--keep-units needs a place to keep them" in refused.stderr
