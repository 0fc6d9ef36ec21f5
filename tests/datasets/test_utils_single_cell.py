"""Differential expression against values of the published package, and against a slow twin."""

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats

from czbenchmarks.datasets import load_custom_dataset
from czbenchmarks.datasets.utils_single_cell import run_multicondition_dge_analysis

# Score, effect, p-value and adjusted p-value of the published package 0.15.1 on `small()`.
PUBLISHED = {
    ("a", "g0"): (4.9, 3.673397, 9.58366553e-07, 1.15003986e-05),
    ("a", "g5"): (-0.45, 0.2067333, 0.652710441, 0.652710441),
    ("a", "g11"): (-0.6666667, -29.92836, 0.504985075, 0.550892809),
    ("b", "g5"): (2.164007, 0.7271884, 0.0304638027, 0.365565633),
    ("b", "g11"): (-0.5410018, -29.37343, 0.588506355, 0.704315787),
    ("b", "g0"): (-0.6897773, -0.1685954, 0.490334265, 0.653779019),
}
SETTINGS = {"filter_min_cells": 1, "filter_min_genes": 3, "min_pert_cells": 20}


def small():
    """Return 60 cells x 12 genes made without chance: conditions a and b with effects, then control cells."""
    i, j = np.ogrid[:60, :12]
    x = (i * (j + 3) + j * j) % (j + 4)
    x[:20, :3] += 4
    x[20:40, 3:6] *= 2
    x[:, 11] = 0
    x[45:47, 11] = 1
    obs = pd.DataFrame({"condition": ["a"] * 20 + ["b"] * 20 + ["ctrl"] * 20}, index=[f"c{k}" for k in range(60)])
    return ad.AnnData(sp.csr_matrix(x.astype("f4")), obs=obs, var=pd.DataFrame(index=[f"g{k}" for k in range(12)]))


@pytest.fixture
def controls():
    names = [f"c{k}" for k in range(40, 60)]
    return {"a": names[:15], "b": names}


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csc_matrix, lambda x: x.toarray()])
def test_the_published_values(controls, container):
    cells = small()
    cells.X = container(cells.X)
    table, merged = run_multicondition_dge_analysis(cells, "condition", "gene", controls, **SETTINGS)
    assert merged is None
    assert list(table) == ["gene", "score", "logfoldchange", "pval", "pval_adj", "condition"]
    assert table.groupby("condition").size().to_dict() == {"a": 12, "b": 12}
    assert table["condition"].tolist() == ["a"] * 12 + ["b"] * 12
    assert all(group["score"].is_monotonic_decreasing for _, group in table.groupby("condition"))
    found = table.set_index(["condition", "gene"])
    for key, values in PUBLISHED.items():
        np.testing.assert_allclose(found.loc[key].to_numpy(float), values, rtol=2e-6)  # float32
    assert (container(small().X) != cells.X).sum() == 0, "the caller's cells are not changed"
    assert list(cells.obs) == ["condition"]
    assert not cells.uns


def test_a_slow_twin(controls):
    table, _ = run_multicondition_dge_analysis(small(), "condition", "gene", controls, **SETTINGS)
    found = table[table["condition"] == "b"].set_index("gene")
    x = small().X.toarray().astype(float)
    x = np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4)
    treated, control = x[20:40], x[40:]
    p_values = []
    for gene in range(12):
        ranks = stats.rankdata(np.r_[treated[:, gene], control[:, gene]])
        score = (ranks[:20].sum() - 20 * 41 / 2) / np.sqrt(20 * 20 * 41 / 12)
        effect = np.log2((np.expm1(treated[:, gene].mean()) + 1e-9) / (np.expm1(control[:, gene].mean()) + 1e-9))
        row = found.loc[f"g{gene}"]
        assert row["score"] == pytest.approx(score, rel=1e-5)
        assert row["logfoldchange"] == pytest.approx(effect, rel=1e-4, abs=1e-6)
        p_values.append(2 * stats.norm.sf(abs(score)))
    order = [f"g{gene}" for gene in range(12)]
    np.testing.assert_allclose(found.loc[order, "pval"], p_values, rtol=1e-6)
    np.testing.assert_allclose(found.loc[order, "pval_adj"], stats.false_discovery_control(p_values), rtol=1e-6)


def test_options(controls):
    table, _ = run_multicondition_dge_analysis(
        small(), "condition", "gene", controls, **SETTINGS, remove_avg_zeros=True, store_dge_metadata=True
    )
    assert "g11" not in set(table["gene"])  # absent from treated cells
    assert json.loads(table["dge_params"][0]) == {**SETTINGS, "remove_avg_zeros": True}
    table, _ = run_multicondition_dge_analysis(
        small(), "condition", "gene", controls, **{**SETTINGS, "filter_min_cells": 10}
    )
    assert "g11" not in set(table["gene"])


def test_merged_cells(controls):
    _, merged = run_multicondition_dge_analysis(
        small(), "condition", "gene", controls, **SETTINGS, return_merged_adata=True
    )
    assert merged.shape == (20 + 15 + 20 + 20, 12)
    assert merged.obs["comparison_group"].value_counts().to_dict() == {"control": 35, "a": 20, "b": 20}
    np.testing.assert_allclose(np.expm1(merged.X.toarray()).sum(axis=1), 1e4, rtol=1e-4)


@pytest.mark.parametrize("setting", ["min_pert_cells", "filter_min_genes", "filter_min_cells"])
def test_what_is_too_small_is_left_out(controls, setting, caplog):
    table, merged = run_multicondition_dge_analysis(
        small(), "condition", "gene", controls, **{**SETTINGS, setting: 100}, return_merged_adata=True
    )
    assert (len(table), merged) == (0, None)
    assert list(table) == ["gene", "score", "logfoldchange", "pval", "pval_adj", "condition"]
    assert caplog.text.count("is left out") == 2


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"condition_key": "conditoin"}, ValueError, "Did you mean 'condition'"),
        ({"control_cells_ids": {"z": ["c40"]}}, ValueError, "Condition 'z' is not in obs"),
        ({"control_cells_ids": {}}, TypeError, "must be a dict of condition to names of control cells"),
        ({"control_cells_ids": {"a": []}}, ValueError, "no cell at all"),
        ({"control_cells_ids": {"a": ["c40", "x"]}}, ValueError, r"got 1 of 2 others for 'a' \(x\)"),
        ({"control_cells_ids": {"a": ["c40", "c0"]}}, ValueError, r"got 1 of 2 others for 'a' \(c0\)"),
    ],
)
def test_bad_input(controls, change, error, words):
    given = {"condition_key": "condition", "de_gene_col": "gene", "control_cells_ids": controls, **change}
    with pytest.raises(error, match=words) as caught:
        run_multicondition_dge_analysis(small(), **given)
    assert "\n" not in str(caught.value)


def test_bad_cells(controls):
    cells = small()
    cells.X = cells.X - 1 * (cells.X == 3).multiply(4)
    with pytest.raises(ValueError, match="must hold counts, none below 0, got -1"):
        run_multicondition_dge_analysis(cells, "condition", "gene", controls, **SETTINGS)
    cells = small()
    cells.var_names = ["g"] * 12
    with pytest.raises(ValueError, match="Gene names must be unique, got g, g, g and 8 more repeated"):
        run_multicondition_dge_analysis(cells, "condition", "gene", controls, **SETTINGS)


def test_a_data_set_reads_the_table(controls, tmp_path):
    cells = small()
    cells.var_names = [f"ENSG{k:011d}" for k in range(12)]
    table, _ = run_multicondition_dge_analysis(cells, "condition", "gene", controls, **SETTINGS)
    cells.uns["de_results_wilcoxon"] = table
    treated = {"a": cells.obs_names[:20], "b": cells.obs_names[20:40]}
    cells.uns["control_cells_map"] = {c: dict.fromkeys(treated[c], controls[c][0]) for c in controls}
    cells.write_h5ad(tmp_path / "screen.h5ad")
    given = {"_target_": "SingleCellPerturbationDataset", "organism": "HUMAN", "path": str(tmp_path / "screen.h5ad")}
    data = load_custom_dataset("mine", None, {**given, "min_de_genes_to_mask": 1, "percent_genes_to_mask": 1.0})
    assert set(data.target_genes) == {"a"}
    assert set(data.target_genes["a"]) <= set(cells.var_names[:3])
