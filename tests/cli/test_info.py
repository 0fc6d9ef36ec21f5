"""``czbenchmarks info``: what is in a file, and what a task, metric or data set is."""

import json
import re
import shlex
import subprocess
import sys
import warnings

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from click.testing import CliRunner

from czbenchmarks.cli._inspect import column_facts, looks_like
from czbenchmarks.cli._suits import Chosen, suitable
from czbenchmarks.cli.main import main
from czbenchmarks.metrics.catalogue import MetricType
from czbenchmarks.tasks.registry import TASK_REGISTRY
from czbenchmarks.testing import simulate_screen

N = 60


def run(*words):
    return CliRunner().invoke(main, list(words))


def info(name):
    done = run("info", str(name), "-f", "json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "n_counts": rng.normal(size=N),
            "Cell Type": pd.Categorical(np.resize(["alpha", "beta", "delta"], N)),
            "donor_id": np.resize(["d1", "d2"], N),
            "age_days": np.resize([2, 5, 9, 14], N),
            "barcode": [f"b{i}" for i in range(N)],
            "organism": "Homo sapiens",
            "treated": np.resize([True, False], N),
            "note": [None] * 10 + ["x"] * (N - 10),
        },
        index=[f"c{i}" for i in range(N)],
    )
    return ad.AnnData(
        sp.csr_matrix(rng.poisson(1, (N, 30)).astype("f4")),
        obs,
        pd.DataFrame(index=[f"ENSG{i:05d}" for i in range(30)]),
        obsm={"X_umap": rng.normal(size=(N, 2)), "X_model": rng.normal(size=(N, 8))},
        layers={"logged": np.log1p(rng.poisson(1, (N, 30)))},
    )


@pytest.fixture(params=["h5ad", "zarr"])
def file(adata, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the formats' future
        getattr(adata, f"write_{request.param}")(f"my cells.{request.param}")
    return f"my cells.{request.param}"


def test_what_is_in_a_file(file):
    found = info(file)
    assert (found["n_cells"], found["n_genes"]) == (N, 30)
    assert found["X"] == {"shape": [N, 30], "sparse": True, "looks_like": "raw counts"}
    assert found["organism"] == {"name": "homo_sapiens", "from": "column 'organism' of obs"}
    assert sorted((one["key"], one["shape"]) for one in found["obsm"]) == [("X_model", [N, 8]), ("X_umap", [N, 2])]
    assert found["layers"] == [{"key": "logged", "shape": [N, 30]}]
    columns = {one["name"]: one for one in found["obs"]}
    assert {name: one["kind"] for name, one in columns.items()} == {
        "n_counts": "numbers",
        "Cell Type": "text",
        "donor_id": "text",
        "age_days": "whole numbers",
        "barcode": "text",
        "organism": "text",
        "treated": "true/false",
        "note": "text",
    }
    assert (columns["note"]["missing"], columns["note"]["n_values"]) == (10, 1)
    assert sorted(columns["Cell Type"]["values"]) == ["alpha", "beta", "delta"]
    assert found["size_bytes"] > 1000


def test_the_commands_work_as_they_are_printed(file):
    """Every command that needs no second file is typed as shown."""
    rows = {row["task"]: row for row in info(file)["tasks"]}
    assert list(rows) == TASK_REGISTRY.list_tasks()
    shown = run("info", file).stdout
    typed = 0
    for row in rows.values():
        if row["command"] is None:
            continue
        words = shlex.split(row["command"])
        assert words[:3] == ["czbenchmarks", "run", row["task"]]
        assert words in [shlex.split(text) for text in commands_in(shown)]
        if not row["note"]:
            done = run(*words[1:])
            assert done.exit_code == 0, done.stderr
            typed += 1
    assert typed >= 5
    assert rows["batch_integration"]["command"].endswith("--labels 'Cell Type' --batch-labels donor_id")
    assert rows["sequential_organization"]["command"].endswith("--input-labels age_days")
    assert "-c @obsm:X_model" in rows["embedding"]["command"]  # not the picture
    assert rows["perturbation_expression_prediction"]["reason"].startswith("uns lacks de_results_wilcoxon, control")


def test_a_path_that_looks_like_options_stays_whole(adata, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = f"cells{'_' * 60} -u --labels x.h5ad"
    adata.write_h5ad(path)
    assert shlex.join(["-u", path]) in "\n".join(commands_in(run("info", path).stdout))


def commands_in(text):
    """The commands in a printed page, put together where they were folded."""
    joined = text.replace(" \\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip().startswith("czbenchmarks run ")]


def test_commands_for_two_species_work(adata, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    adata.write_h5ad("human.h5ad")
    adata.obs["organism"] = "Mus musculus"
    adata.write_h5ad("OTHER.h5ad")
    rows = {row["task"]: row for row in info("human.h5ad")["tasks"]}
    for task in ("cross-species_integration", "cross-species_label_prediction"):
        assert "second file" in rows[task]["note"]
        done = run(*shlex.split(rows[task]["command"])[1:])
        assert done.exit_code == 0, done.stderr
    assert "--aggregation-method none" in rows["cross-species_label_prediction"]["command"]


def test_a_page_fits_a_hundred_columns(file):
    done = run("info", file)
    assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= 100
    assert "my cells" in done.stdout
    assert "What it cannot be scored on" in done.stdout


def test_expression_is_sampled_not_read(adata, tmp_path, monkeypatch):
    n = 4000
    big = ad.AnnData(
        sp.random(n, 500, 0.2, "csr", dtype="f4", random_state=1), pd.DataFrame(index=[f"c{i}" for i in range(n)])
    )
    big.X.data[:] = np.ceil(big.X.data * 3)
    big.write_h5ad(tmp_path / "big.h5ad")
    read = []
    ours = h5py.Dataset.__getitem__

    def watched(self, key, **more):
        value = ours(self, key, **more)
        read.append((self.name, np.size(value)))
        return value

    monkeypatch.setattr(h5py.Dataset, "__getitem__", watched)
    assert info(tmp_path / "big.h5ad")["X"]["looks_like"] == "raw counts"
    assert sum(size for name, size in read if name.startswith("/X/")) <= 100_000


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0, 1, 5.0], "raw counts"),
        ([0, 0.5, 1], "normalised or logged values (not whole numbers)"),
        ([-1.0, 2], "scaled values (some are negative)"),
        ([np.nan, 1], "numbers with NaN or infinity"),
        ([0.0, 0], None),
    ],
)
def test_what_expression_looks_like(values, said):
    assert looks_like(np.array(values)) == said


def chosen(n=N, obsm=(), **columns):
    facts = {
        "n_cells": n,
        "obs": [column_facts(name, pd.Series(values)) for name, values in columns.items()],
        "obsm": [{"key": key, "shape": [n, 2]} for key in obsm],
        "organism": None,
        "screen": {"settings": {}, "problem": "none"},
    }
    return Chosen(facts), {row["task"]: row for row in suitable(facts, "x.h5ad")}


def test_categories_that_are_numbers_can_be_labels():
    found, _ = chosen(leiden=pd.Categorical(np.resize([1, 2, 3], N)), donor=pd.Categorical(np.resize([7.0, 8.0], N)))
    assert (name_of(found.labels), name_of(found.batch)) == ("leiden", "donor")
    kinds = [column_facts("x", pd.Series(pd.Categorical(one)))["kind"] for one in ([1, None], [0.5, 1], [True], ["1"])]
    assert kinds == ["whole numbers", "numbers", "true/false", "text"]


def name_of(column):
    return column and column["name"]


def test_columns_are_chosen_by_evidence():
    two, many = np.resize(["a", "b"], N), [f"u{i}" for i in range(N)]
    found, _ = chosen(many=many, kind=two, leiden=two, celltype=many)
    assert name_of(found.labels) == "leiden"  # celltype names every cell by itself
    found, _ = chosen(image=two, percentage=np.arange(N), sample=two)
    assert (name_of(found.labels), name_of(found.batch), name_of(found.time)) == ("image", "sample", None)
    found, _ = chosen(day=np.resize(["1", "4"], N), stage=np.resize(["E7", "E8"], N))
    assert name_of(found.time) == "day"
    found, _ = chosen(cell_type=np.resize([1, 2, 3], N), batch=[1] * N, plate=np.resize([1, 2], N))
    assert (name_of(found.labels), name_of(found.batch)) == ("cell_type", "plate")
    found, rows = chosen(cell_type=["a"] * (N - 1) + [None])
    assert found.labels is None
    assert "no column of obs names groups of cells" in rows["embedding"]["reason"]
    _, rows = chosen(donor=two, batch=two, depth=np.arange(N) / 7)
    said = "no column of obs looks like labels; name one with {} COLUMN if there is: donor, batch name groups of cells"
    assert rows["embedding"]["reason"] == said.format("--input-labels")
    assert rows["label_prediction"]["reason"] == said.format("--labels")
    _, rows = chosen(cell_type=np.resize([f"t{i}" for i in range(20)], N))
    assert "have 10 cells" in rows["label_prediction"]["reason"]
    assert rows["embedding"]["command"]
    _, rows = chosen()
    assert rows["clustering"]["reason"].startswith("obs has no columns")
    assert chosen(obsm=["X_umap", "X_pca"])[0].embedding == "@obsm:X_pca"
    assert chosen(obsm=["X_umap"])[0].embedding == "@obsm:X_umap"


def screen_row(path):
    return {row["task"]: row for row in info(path)["tasks"]}["perturbation_expression_prediction"]


def renamed(screen, column="condition", control="ctrl"):
    names = screen.obs["condition"].astype(str).replace("ctrl", control)
    screen.obs = pd.DataFrame({column: names})
    screen.uns["de_results_wilcoxon"] = screen.uns["de_results_wilcoxon"].rename(columns={"condition": column})


@pytest.mark.parametrize(
    ("column", "control", "settings"),
    [
        ("condition", "ctrl", {}),
        ("perturbation", "ctrl", {"condition_key": "perturbation"}),
        ("guide_condition", "Non-Targeting", {"condition_key": "guide_condition", "control_name": "Non-Targeting"}),
    ],
)
def test_the_command_for_a_screen_works(tmp_path, monkeypatch, column, control, settings):
    monkeypatch.chdir(tmp_path)
    screen = simulate_screen(n_conditions=2, n_cells_per_condition=15, n_genes=40, n_affected_genes=30)
    renamed(screen, column, control)
    screen.write_h5ad("screen.h5ad")
    np.save("predicted.npy", screen.layers["perfect_prediction"])
    words = shlex.split(screen_row("screen.h5ad")["command"])
    assert json.loads(words[words.index("-u") + 1]) == {
        "dataset_class": "SingleCellPerturbationDataset",
        "organism": "homo_sapiens",
        "path": "screen.h5ad",
        **settings,
    }
    done = run(*words[1:])
    assert done.exit_code == 0, done.stderr


def without_columns(screen):
    screen.obs = screen.obs[[]]


def without_passing_rows(screen):
    screen.uns["de_results_wilcoxon"]["pval_adj"] = 1.0


def with_few_genes(screen):
    table = screen.uns["de_results_wilcoxon"].iloc[[0, 1]]
    screen.uns["de_results_wilcoxon"] = table.assign(pval_adj=0.0, logfoldchange=2.0)


def without_effects(screen):
    screen.uns["de_results_wilcoxon"] = screen.uns["de_results_wilcoxon"].drop(columns="logfoldchange")


def with_a_number_for_a_table(screen):
    screen.uns["de_results_wilcoxon"] = 3


def with_other_controls(screen):
    screen.uns["control_cells_map"] = {"another": {"a": "b"}}


def with_other_controls_as_text(screen):
    screen.uns["control_cells_map"] = json.dumps({"a/b": {"a": "b"}})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda screen: screen.uns.pop("control_cells_map"), "uns lacks control_cells_map"),
        (without_columns, "no column of obs is called condition or perturbation"),
        (lambda screen: renamed(screen, control="somewhat"), "looks like the control cells (control_name)"),
        (without_passing_rows, "No differential expression results remain after filtering"),
        (with_few_genes, "no condition has 5 target genes (min_de_genes_to_mask)"),
        (without_effects, "logfoldchange column not found in de_results"),
        (with_a_number_for_a_table, "must be a table of differential expression, got"),
        (with_other_controls, "has no controls for "),
        (with_other_controls_as_text, "the conditions with target genes; it has a/b"),
    ],
)
def test_a_screen_that_cannot_be_scored_is_not_advertised(tmp_path, change, reason):
    screen = simulate_screen(n_conditions=2, n_cells_per_condition=15, n_genes=40, n_affected_genes=30)
    change(screen)
    screen.write_h5ad(tmp_path / "screen.h5ad")
    row = screen_row(tmp_path / "screen.h5ad")
    assert row["command"] is None
    assert reason in row["reason"]
    assert "run perturbation_expression_prediction" not in run("info", str(tmp_path / "screen.h5ad")).stdout


@pytest.mark.parametrize(("prefix", "name"), [("ENSG0", "homo_sapiens"), ("ENSGGOG0", "gorilla_gorilla"), ("A", None)])
def test_organism_by_genes(adata, tmp_path, prefix, name):
    del adata.obs["organism"]
    adata.var_names = [f"{prefix}{i}" for i in range(30)]
    adata.write_h5ad(tmp_path / "x.h5ad")
    found = info(tmp_path / "x.h5ad")
    assert found["organism"] == (name and {"name": name, "from": "gene identifiers"})
    assert "--organisms" in {row["task"]: row for row in found["tasks"]}["cross-species_integration"]["command"]


def test_an_organism_that_cannot_be_told_says_why(adata, tmp_path):
    adata.obs["organism"] = np.resize(["human", "mouse"], N)
    adata.write_h5ad(tmp_path / "x.h5ad")
    found = info(tmp_path / "x.h5ad")
    assert found["organism"] is None
    assert "must hold one organism per data set, got 2" in found["organism_problem"]
    assert "must hold one organism per data set" in " ".join(run("info", str(tmp_path / "x.h5ad")).stdout.split())


def test_a_file_without_expression_and_of_before_2020(adata, tmp_path):
    ad.AnnData(None, adata.obs, adata.var).write_h5ad(tmp_path / "no.h5ad")
    assert info(tmp_path / "no.h5ad")["X"] is None
    assert info(tmp_path / "no.h5ad")["n_genes"] == 30
    with h5py.File(tmp_path / "old.h5ad", "w") as handle:
        handle["obs"] = np.array([(b"c1", 1), (b"c2", 2)], dtype=[("index", "S2"), ("g", "i8")])
        handle["var"] = np.array([(b"g1",)], dtype=[("index", "S2")])
        handle["X"] = np.ones((2, 1), "f4")
    found = info(tmp_path / "old.h5ad")
    assert (found["n_cells"], found["n_genes"], found["X"]["looks_like"]) == (2, 1, "raw counts")


def test_control_characters_are_escaped(adata, tmp_path):
    adata.obs["x\x1b[2J"] = "\x1b]0;title\x07"
    adata.obsm["X\r\n"] = adata.obsm["X_model"]
    adata.write_h5ad(tmp_path / "x.h5ad")
    shown = run("info", str(tmp_path / "x.h5ad")).stdout
    assert shown.replace("\n", "").isprintable()
    assert "x\\x1b[2J" in shown


@pytest.mark.parametrize("key", TASK_REGISTRY.list_tasks())
def test_tasks(key):
    found = info(key)
    assert (found["kind"], found["name"]) == ("task", key)
    assert {field["name"] for field in found["fields"]} == set(TASK_REGISTRY.get_task_info(key).task_params)
    assert found["metrics"]
    assert set(found["metrics"]) <= {metric.value for metric in MetricType}
    shown = run("info", key).stdout
    assert f"czbenchmarks run {key} --help" in shown
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 100


def test_the_metrics_of_tasks():
    assert info("clustering")["metrics"] == ["adjusted_rand_index", "normalized_mutual_info"]
    within = ["mean_fold_accuracy", "mean_fold_f1", "mean_fold_precision", "mean_fold_recall", "mean_fold_auroc"]
    assert info("label_prediction")["metrics"][:5] == within
    assert set(within) < set(info("cross-species_label_prediction")["metrics"])


@pytest.mark.parametrize("metric", [metric.value for metric in MetricType])
def test_metrics(metric):
    found = info(metric)
    assert (found["kind"], found["name"]) == ("metric", metric)
    assert found["arguments"]
    shown = run("info", metric).stdout
    assert found["description"].split()[0] in shown
    assert "Range" in shown


def test_data_sets():
    found = info("baron_pancreas_human")
    assert (found["kind"], found["organism"], found["where"]) == ("dataset", "homo_sapiens", "here")
    assert "czbenchmarks run TASK -d baron_pancreas_human" in run("info", "baron_pancreas_human").stdout


def test_names_are_forgiving():
    assert info("cross_species_integration")["name"] == "cross-species_integration"
    assert info("Label Prediction")["name"] == "label_prediction"
    for typed, meant in {
        "clusterin": "clustering",
        "silhouete_score": "silhouette_score",
        "baron_pancreas_humn": "",
    }.items():
        done = run("info", typed)
        assert done.exit_code == 2
        assert re.fullmatch(rf"Error: Name '{typed}' is no file, .* Did you mean '{meant}.*\n", done.stderr)
    done = run("info", "nowhere.h5ad")
    assert done.exit_code == 2
    assert (
        done.stderr
        == "Error: `data` must be an existing .h5ad file or .zarr folder, got 'nowhere.h5ad', which does not exist.\n"
    )


def test_a_file_wins_over_a_name(adata, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    adata.write_h5ad("cells.h5ad")
    (tmp_path / "cells.h5ad").rename(tmp_path / "clustering")
    assert info("clustering")["kind"] == "data"


def test_tasks_and_metrics_load_nothing_heavy():
    code = """
import sys
from czbenchmarks.cli.main import main
try:
    main(["info", sys.argv[1]])
except SystemExit:
    pass
heavy = {"scanpy", "sklearn", "anndata", "numba", "h5py", "zarr", "s3fs", "fsspec", "faiss"} & set(sys.modules)
sys.exit(str(sorted(heavy)) if heavy else 0)
"""
    for name in ("clustering", "silhouette_score", "baron_pancreas_human"):
        done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
