"""The table that stands for the Benchmarker's: its form, its means, what it refuses, and that nothing is changed."""

import math
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from czbenchmarks import evaluate
from czbenchmarks.metrics.isolated import isolated_labels
from czbenchmarks.scib import _scores, benchmark

N = 160
KEYS = ["model", "noise"]
COLUMNS = [
    "Isolated labels", "KMeans NMI", "KMeans ARI", "Silhouette label", "cLISI", "BRAS", "iLISI", "KBET",
    "Graph connectivity", "PCR comparison", "Batch correction", "Bio conservation", "Total",
]  # fmt: skip


@pytest.fixture(scope="module")
def adata():
    rng = np.random.default_rng(3)
    labels, batch = np.repeat(["B", "T"], N // 2), np.tile(["x", "y", "y", "x"], N // 4).astype(object)
    batch[:20] = "z"
    obs = pd.DataFrame({"cell_type": labels, "batch": batch}, index=[f"c{i}" for i in range(N)])
    made = ad.AnnData(rng.normal(size=(N, 3)), obs)
    made.obsm["noise"] = rng.normal(size=(N, 5))
    made.obsm["model"] = made.obsm["noise"] + 8.0 * (labels == "B")[:, None]
    made.obsm["before"] = made.obsm["model"] + 3.0 * (batch == "x")[:, None]
    return made


@pytest.fixture(scope="module")
def table(adata):
    return benchmark(adata, "batch", "cell_type", KEYS, pre_integrated_embedding_obsm_key="before")


def test_rows_columns_and_kinds(table):
    assert list(table.index) == [*KEYS, "Metric Type"]
    assert table.index.name == "Embedding"
    assert list(table.columns) == COLUMNS
    types = ["Bio conservation"] * 5 + ["Batch correction"] * 5 + ["Aggregate score"] * 3
    assert list(table.loc["Metric Type"]) == types
    assert all(isinstance(value, float) for key in KEYS for value in table.loc[key])
    assert table.loc["model", "Silhouette label"] > 0.8 > table.loc["noise", "Silhouette label"]


def test_means_are_of_what_is_shown(table):
    for key in KEYS:
        row = table.loc[key]
        assert row["Bio conservation"] == pytest.approx(np.mean([row[name] for name in COLUMNS[:5]]))
        assert row["Batch correction"] == pytest.approx(np.mean([row[name] for name in COLUMNS[5:10]]))
        assert row["Total"] == pytest.approx(0.6 * row["Bio conservation"] + 0.4 * row["Batch correction"])


def test_scores_are_those_of_evaluate(adata, table):
    record = evaluate(
        {key: f"@obsm:{key}" for key in KEYS}, adata, "batch_integration", metrics="scib", labels="cell_type",
        batch_labels="batch", unintegrated="@obsm:before",
    )  # fmt: skip
    found = {(score.embedding, score.metric_type): score.value for score in record.result_metrics}
    for key in KEYS:
        assert table.loc[key, "KBET"] == found[key, "kbet"]
        assert table.loc[key, "Total"] == pytest.approx(found[key, "scib_total"])


def test_scaled_columns_go_from_the_worst_to_the_best_and_equal_ones_are_0(adata):
    adata = adata.copy()
    adata.obsm["again"] = adata.obsm["model"].copy()
    given = {"metrics": ["silhouette_score", "iLISI"], "min_max_scale": True}
    two = benchmark(adata, "batch", "cell_type", KEYS, **given)
    assert list(two["Silhouette label"])[:2] == [1.0, 0.0]
    row = two.loc["model"]
    assert list(row) == [row["Bio conservation"], row["Batch correction"], *list(row)[2:]]
    assert row["Total"] == pytest.approx(0.6 + 0.4 * row["iLISI"])
    same = benchmark(adata, "batch", "cell_type", ["model", "again"], **given)
    assert (same.iloc[:2].to_numpy() == 0).all()


def test_names_of_functions(adata):
    found = benchmark(adata, "batch", "cell_type", ["model"], metrics=["cLISI", "kbet", "ksim"], clean_names=False)
    assert list(found.columns)[:3] == ["clisi_knn", "ksim", "kbet_per_label"]


def test_a_single_part_has_no_total(adata):
    found = benchmark(adata, "batch", "cell_type", ["model"], metrics=["cLISI", "knn_purity"])
    assert list(found.columns) == ["cLISI", "knn_purity", "Bio conservation"]


def test_without_an_isolated_label_that_score_stays_out_unless_all_are_asked_for(adata):
    everywhere = adata[adata.obs["batch"] != "z"].copy()
    given = {"metrics": ["isolated_labels", "silhouette_score", "iLISI"]}
    found = benchmark(everywhere, "batch", "cell_type", KEYS, **given)
    assert math.isnan(found.loc["model", "Isolated labels"])
    assert "isolated" in found.attrs["reasons"]["model"]["Isolated labels"]
    assert found.loc["model", "Bio conservation"] == found.loc["model", "Silhouette label"]
    given["every_label_if_none"] = True
    as_there = benchmark(everywhere, "batch", "cell_type", KEYS, **given)
    assert as_there.attrs["reasons"] == {"model": {}, "noise": {}}
    # Both labels have nearly the same number of cells, so the mean over labels is nearly that over cells.
    row = as_there.loc["model"]
    assert row["Isolated labels"] == pytest.approx(row["Silhouette label"], abs=0.02)
    obs = everywhere.obs
    own = isolated_labels(everywhere.obsm["model"], obs["cell_type"], obs["batch"], every_label_if_none=True)
    assert row["Isolated labels"] == pytest.approx(own.value, abs=1e-15)
    over_seeds = benchmark(everywhere, "batch", "cell_type", KEYS, **given, random_seed=[1, 2])
    pd.testing.assert_frame_equal(over_seeds, as_there)


def test_the_total_is_that_of_the_preset_where_no_label_is_isolated(adata):
    everywhere = adata[adata.obs["batch"] != "z"].copy()
    before = {"pre_integrated_embedding_obsm_key": "noise"}
    table = benchmark(everywhere, "batch", "cell_type", KEYS, metrics="scib-fast", **before)
    record = evaluate(
        {key: f"@obsm:{key}" for key in KEYS}, everywhere, "batch_integration", metrics="scib-fast",
        unintegrated="@obsm:noise",
    )  # fmt: skip
    totals = {score.embedding: score for score in record.result_metrics if score.metric_type == "scib_total"}
    for key in KEYS:
        assert table.loc[key, "Total"] == totals[key].value
        others = [table.loc[key, name] for name in ("Silhouette label", "cLISI")]
        assert table.loc[key, "Bio conservation"] == pytest.approx(np.mean(others), abs=1e-15)
        assert totals[key].details["scores_left_out"] == ["isolated_labels"]
    [isolated, *_] = [score for score in record.result_metrics if score.metric_type == "isolated_labels"]
    assert math.isnan(isolated.value)
    assert not isolated.failed
    assert not record.failed
    assert not record.complete
    [said] = [line for line in record.warnings if "isolated_labels" in line]
    assert said.startswith("batch_integration: isolated_labels has no value (no label is isolated: each occurs in all ")
    assert said.endswith(", so the means and the total of scib-fast leave it out")
    frame = record.to_frame().set_index(["embedding", "metric"])
    assert frame.loc[("model", "scib_total"), "note"] == "without isolated_labels"


def test_what_has_no_value_says_why_and_stays_out_of_the_means(adata):
    one = adata.copy()
    one.obs["batch"] = "x"
    found = benchmark(one, "batch", "cell_type", ["model"], metrics=["cLISI", "iLISI"])
    reasons = found.attrs["reasons"]["model"]
    assert "one batch" in reasons["iLISI"]
    assert math.isnan(found.loc["model", "Total"])
    assert set(reasons) == {"iLISI", "Batch correction", "Total"}
    assert found.loc["model", "Bio conservation"] == found.loc["model", "cLISI"]


def test_an_embedding_that_fails_is_a_row_of_reasons():
    score = SimpleNamespace(metric_type="clisi", embedding="good", value=0.5, reason=None)
    failure = SimpleNamespace(embedding="bad", reason="it cannot be read")
    table, reasons = _scores(SimpleNamespace(result_metrics=[score], failures=[failure]), ["good", "bad"])
    assert table["clisi"]["good"] == 0.5
    assert math.isnan(table["clisi"]["bad"])
    assert reasons == {"good": {}, "bad": {"clisi": "it cannot be read"}}


def test_a_metric_that_refuses_an_embedding_leaves_the_others(adata):
    bad = adata.copy()
    bad.obsm["bad"] = bad.obsm["noise"].copy()
    bad.obsm["bad"][:2] = 0.0  # no direction, which BRAS refuses
    found = benchmark(bad, "batch", "cell_type", ["model", "bad"], metrics=["cLISI", "BRAS"])
    assert math.isnan(found.loc["bad", "BRAS"])
    assert "2 of 160 cells" in found.attrs["reasons"]["bad"]["BRAS"]
    assert found.loc["model", "BRAS"] > 0.5
    assert 0 <= found.loc["bad", "cLISI"] <= 1


def test_a_file_gives_the_table_of_the_data_in_memory(adata, tmp_path):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    given = {"metrics": ["cLISI", "isolated_labels"], "every_label_if_none": True}
    there = benchmark(tmp_path / "cells.h5ad", "batch", "cell_type", KEYS, **given)
    pd.testing.assert_frame_equal(there, benchmark(adata, "batch", "cell_type", KEYS, **given))


def test_nothing_is_changed(adata):
    before = adata.copy()
    benchmark(adata, "batch", "cell_type", KEYS, metrics="scib-fast")
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    assert list(adata.obsm) == list(before.obsm)
    assert list(adata.uns) == list(adata.obsp) == []
    assert all((adata.obsm[key] == before.obsm[key]).all() for key in adata.obsm)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"batch_key": "batc"}, ValueError, "'batc' is not in obs. Did you mean 'batch'"),
        ({"label_key": "label"}, ValueError, "'label' is not in obs. Available: batch, cell_type"),
        ({"embedding_obsm_keys": ["modle"]}, ValueError, "modle.*(Did you mean|Available).*model"),
        ({"pre_integrated_embedding_obsm_key": "befor"}, ValueError, "befor.*before"),
        ({"embedding_obsm_keys": "model"}, TypeError, r"must be a list of keys .*; write \['model'\]"),
        ({"embedding_obsm_keys": [1]}, TypeError, "must hold text, got int"),
        ({"embedding_obsm_keys": []}, ValueError, "every embedding once, got none"),
        ({"embedding_obsm_keys": ["model", "model"]}, ValueError, "every embedding once, got model, model"),
        ({"metrics": "scip"}, ValueError, "Did you mean 'scib'"),
    ],
)
def test_bad_input_is_one_sentence(adata, change, error, said):
    given = {"batch_key": "batch", "label_key": "cell_type", "embedding_obsm_keys": KEYS, **change}
    with pytest.raises(error, match=said) as caught:
        benchmark(adata, **given)
    assert "\n" not in str(caught.value)
