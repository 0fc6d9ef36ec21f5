import hashlib
import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from czbenchmarks.datasets import SingleCellPerturbationDataset
from czbenchmarks.datasets.single_cell_perturbation import data_under_seeds
from czbenchmarks.datasets.target_genes import redraw

from .conftest import kang_cells


def load(path, **settings):
    data = SingleCellPerturbationDataset(path, "human", **settings)
    data.load_data()
    return data


def numbers(genes):
    return [int(gene.removeprefix("ENSG")) for gene in genes]


def test_the_published_target_genes(cells, write):
    path = write(cells)
    assert {c: numbers(g) for c, g in load(path).target_genes.items()} == {
        "p2": [26, 18, 35, 23, 8, 54, 34, 44, 48],
        "p1": [50, 26, 30, 42, 29, 37, 28, 24, 58, 49],
        "p3": [6, 49, 0, 18, 33, 24, 29, 55],
    }
    assert list(load(path, min_de_genes_to_mask=9).target_genes) == ["p2", "p1"]
    assert numbers(load(path, random_seed=7).target_genes["p3"]) == [45, 0, 26, 13, 15, 49, 18, 55]


def test_what_loading_writes_into_uns(cells, write):
    path = write(cells)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    data = load(path)
    table = cells.uns["de_results_wilcoxon"]
    kept = table[(table["pval_adj"] < 1e-4) & (table["logfoldchange"].abs() >= 1)]
    expected = kept[["condition", "gene", "logfoldchange"]].rename(columns={"gene": "gene_id"})
    pd.testing.assert_frame_equal(data.de_results, expected, check_dtype=False)
    assert len(data.de_results) == 55
    assert data.metric_column == "logfoldchange"
    assert data.adata.uns["random_seed"] == 42
    assert data.adata.uns["control_cells_map"] == cells.uns["control_cells_map"]
    assert data.adata.uns["target_conditions_dict"] == data.target_genes
    assert data.adata.uns["config"] == {
        "condition_key": "condition",
        "control_name": "ctrl",
        "de_gene_col": "gene_id",
        "de_metric_col": "logfoldchange",
        "de_pval_col": "pval_adj",
        "pval_threshold": 1e-4,
        "min_logfoldchange": 1.0,
        "percent_genes_to_mask": 0.5,
        "min_de_genes_to_mask": 5,
    }
    data.validate()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_thresholds_are_strict_for_p_and_inclusive_for_the_effect(cells, write):
    cells.uns["de_results_wilcoxon"] = pd.DataFrame(
        {
            "condition": "p1",
            "gene_id": cells.var_names[:5],
            "logfoldchange": [1.0, -1.0, 0.999, 2.0, np.nan],
            "pval_adj": [1e-6, 9.9e-5, 1e-6, 1e-4, 1e-6],
        }
    )
    data = load(write(cells), percent_genes_to_mask=1.0, min_de_genes_to_mask=1)
    assert sorted(numbers(data.target_genes["p1"])) == [0, 1]
    assert data.de_results.columns.tolist() == ["condition", "gene_id", "logfoldchange"]


@pytest.mark.parametrize("form", ["records", "columns", "effect"])
def test_other_forms_of_the_table(cells, write, form):
    table = cells.uns["de_results_wilcoxon"]
    targets, settings = load(write(cells)).target_genes, {}
    if form == "records":
        cells.uns["de_results_wilcoxon"] = table.to_records(index=False)
    elif form == "columns":
        cells.uns["de_results_wilcoxon"] = {name: table[name].to_numpy() for name in table}
    else:
        cells.uns["de_results_wilcoxon"] = table.rename(columns={"logfoldchange": "score"})
        settings = {"de_metric_col": "score"}
    assert load(write(cells), **settings).target_genes == targets


def test_targets_may_be_given(cells, write):
    path, genes = write(cells), cells.var_names[:3].tolist()
    assert load(path, target_conditions_override={"p1": genes}).target_genes == {"p1": genes}
    with pytest.raises(
        ValueError, match=r"Condition 'p11' of `target_conditions_override` is not in the data. Did you"
    ):
        load(path, target_conditions_override={"p11": genes})
    with pytest.raises(TypeError, match=r"`target_conditions_override` must map conditions to genes, got list"):
        load(path, target_conditions_override=genes)


def slow_indices(data, mapping, condition, treated):
    """Walk through the cells one by one."""
    names = data.adata.obs_names.tolist()
    if treated is None:
        treated = [n for n, c in zip(names, data.adata.obs["condition"], strict=True) if c == condition]
    wanted = set()
    for cell in treated:
        wanted.update(mapping[condition].get(cell, [c for one in mapping[condition].values() for c in one]))
    return [names.index(cell) for cell in treated], [names.index(cell) for cell in sorted(wanted)]


@pytest.mark.parametrize("seed", range(10))
def test_indices_against_a_slow_twin(cells, write, seed):
    rng = np.random.default_rng(seed)
    data = load(write(cells))
    controls = cells.obs_names[cells.obs["condition"] == "ctrl"]
    mapping = {
        c: {
            f"{c}_{i}": rng.choice(controls, rng.integers(1, 4), replace=False).tolist()
            for i in rng.choice(12, rng.integers(6, 13), replace=False)
        }
        for c in ("p1", "p2", "p3")
    }
    data.set_control_mapping(mapping)
    assert data.control_mapping == mapping
    treated = [f"p2_{i}" for i in rng.choice(12, 4, replace=False)]
    for condition, chosen in (("p1", None), ("p3", None), ("p2", treated), ("p2", treated[:1]), ("p2", [])):
        found = data.get_indices_for(condition, chosen)
        assert [rows.tolist() for rows in found] == list(slow_indices(data, mapping, condition, chosen))
        assert all(rows.dtype == np.int64 for rows in found)


def test_controls(cells, write):
    data = load(write(cells))
    mapped = cells.uns["control_cells_map"]["p1"]
    assert data.get_controls("p1") == sorted(set(mapped.values()))
    assert data.get_controls("p1", "p1_3") == [mapped["p1_3"]]
    assert data.get_controls("p1", "unmapped") == data.get_controls("p1")
    assert data.control_mapping["p1"] == {cell: [control] for cell, control in mapped.items()}
    data.set_control_mapping({"p1": ["ctrl_3", "ctrl_1"], "p2": {"p2_0": np.array(["ctrl_5"]), "p2_1": "ctrl_6"}})
    assert data.control_mapping["p1"] == {f"p1_{i}": ["ctrl_3", "ctrl_1"] for i in range(12)}
    assert data.adata.uns["control_cells_map"]["p2"] == {"p2_0": ["ctrl_5"], "p2_1": ["ctrl_6"]}
    for call in (data.get_controls, data.get_indices_for):
        with pytest.raises(ValueError, match=r"^Condition zz not found in control mapping"):
            call("zz")
    with pytest.raises(ValueError, match=r"`treated_barcodes` must be cells of adata.obs_names, got 1 unknown: zz"):
        data.get_indices_for("p1", ["p1_0", "zz"])


@pytest.mark.parametrize(
    ("raw", "error", "words"),
    [
        ([1], TypeError, "control_cells_map must map conditions .* got list"),
        ({"p1": 3}, TypeError, r"control_cells_map\['p1'\] must be a name or a list of names, got int"),
        ({"p1": {"p1_0": 3}}, TypeError, r"control_cells_map\['p1'\]\['p1_0'\] must be a name or a list"),
        ({"p1": {"a": {"b": "ctrl_1"}}}, TypeError, "store the map as JSON text"),
        ({"p1_0": "ctrl_0"}, ValueError, "'p1_0' must be a condition of the data"),
        (
            {"p1": {"p1_0": ["nope"]}},
            ValueError,
            "must name control cells of adata.obs_names, got 1 unknown: nope",
        ),
    ],
)
def test_bad_control_maps(cells, write, raw, error, words):
    data = load(write(cells))
    before = data.control_mapping
    with pytest.raises(error, match=words):
        data.set_control_mapping(raw)
    assert data.control_mapping == before


def test_several_controls_per_cell_in_a_file(cells, write):
    cells.uns["control_cells_map"] = {"p1": {"p1_0": ["ctrl_2", "ctrl_1"]}, "p2": ["ctrl_3"], "p3": {}}
    data = load(write(cells))
    assert data.adata.uns["control_cells_map"]["p1"] == {"p1_0": ["ctrl_2", "ctrl_1"]}
    assert data.control_mapping["p2"]["p2_7"] == ["ctrl_3"]


def test_names_with_a_slash_travel_as_json(cells, write):
    renamed = {"p1": "p/1"}
    cells.obs["condition"] = cells.obs["condition"].replace(renamed)
    table = cells.uns["de_results_wilcoxon"]
    cells.uns["de_results_wilcoxon"] = table.assign(condition=table["condition"].replace(renamed))
    mapping = {renamed.get(c, c): m for c, m in cells.uns["control_cells_map"].items()}
    cells.uns["control_cells_map"] = json.dumps(mapping)
    data = load(write(cells))
    assert data.adata.uns["control_cells_map"] == mapping
    assert numbers(data.target_genes["p/1"]) == [50, 26, 30, 42, 29, 37, 28, 24, 58, 49]
    stored = ad.read_h5ad(data.store_task_inputs() / "perturbation_task_inputs.h5ad")
    assert json.loads(stored.uns["control_cells_map"]) == mapping
    assert json.loads(stored.uns["target_conditions_dict"]) == data.target_genes
    assert isinstance(data.adata.uns["control_cells_map"], dict)
    for text in ("{", "[1]", "3"):
        cells.uns["control_cells_map"] = text
        with pytest.raises((ValueError, TypeError), match=r"control_cells_map.* must"):
            load(write(cells))


def test_stored_task_inputs(cells, write, tmp_path):
    cells.layers["counts"] = cells.X.copy()
    cells.obsm["X_pca"] = np.ones((56, 2))
    cells.raw = cells.copy()
    data = load(write(cells))
    data.adata.obs["note"] = ["a", "b"] * 28
    dtype = data.adata.obs["note"].dtype
    assert [p.name for p in tmp_path.iterdir()] == ["cells.h5ad"]
    folder = data.store_task_inputs()
    assert folder == tmp_path / "cells_task_inputs" / "single_cell_perturbation"
    assert [p.name for p in folder.iterdir()] == ["perturbation_task_inputs.h5ad"]
    assert data.adata.obs["note"].dtype == dtype
    stored = ad.read_h5ad(folder / "perturbation_task_inputs.h5ad")
    assert np.array_equal(stored.X.toarray(), cells.X.toarray())
    assert ([name for name in stored.layers if name], list(stored.obsm), stored.raw.shape) == (
        ["counts"],
        ["X_pca"],
        (56, 60),
    )
    assert stored.uns["control_cells_map"] == cells.uns["control_cells_map"]
    assert {c: list(g) for c, g in stored.uns["target_conditions_dict"].items()} == data.target_genes
    pd.testing.assert_frame_equal(stored.uns["de_results"], data.de_results, check_dtype=False)
    assert load(folder / "perturbation_task_inputs.h5ad").target_genes == data.target_genes


def drop(key):
    return lambda cells: cells.uns.pop(key)


def table(**columns):
    def change(cells):
        cells.uns["de_results_wilcoxon"] = cells.uns["de_results_wilcoxon"].assign(**columns)

    return change


@pytest.mark.parametrize(
    ("change", "settings", "error", "words"),
    [
        (
            None,
            {"condition_key": "conditon"},
            ValueError,
            "^Condition key 'conditon' not found in adata.obs. Did you",
        ),
        (
            None,
            {"control_name": "zz"},
            ValueError,
            "^Data in condition key 'condition' column does not contain control condition 'zz'; name one",
        ),
        (None, {"condition_key": ["a"]}, ValueError, r"^Condition key \['a'\] not found in adata.obs"),
        (
            None,
            {"de_gene_col": "zz"},
            ValueError,
            "^zz column not found in de_results and required for wilcoxon test",
        ),
        (None, {"de_metric_col": "zz"}, ValueError, "^zz column not found in de_results"),
        (None, {"de_pval_col": "zz"}, ValueError, "^zz column not found in de_results"),
        (None, {"percent_genes_to_mask": 0}, ValueError, "`percent_genes_to_mask` must be a share above 0"),
        (None, {"percent_genes_to_mask": 2}, ValueError, "`percent_genes_to_mask` must be a share above 0"),
        (None, {"pval_threshold": "a"}, TypeError, "`pval_threshold` must be a number, got 'a'"),
        (None, {"min_logfoldchange": None}, TypeError, "`min_logfoldchange` must be a number, got None"),
        (
            None,
            {"pval_threshold": -1},
            ValueError,
            "^No differential expression results remain after filtering",
        ),
        (drop("control_cells_map"), {}, ValueError, "^Key 'control_cells_map' not found in adata.uns"),
        (drop("de_results_wilcoxon"), {}, ValueError, "^Key 'de_results_wilcoxon' not found in adata.uns"),
        (
            lambda cells: cells.uns.update(de_results_wilcoxon="zz"),
            {},
            TypeError,
            "must be a table of differential",
        ),
        (table(pval_adj="low"), {}, TypeError, "pval_adj of .* must hold numbers"),
        (
            table(condition="zz"),
            {},
            ValueError,
            r"^de_results\[condition\] contains conditions not in adata.obs\[cond",
        ),
        (
            lambda cells: cells.uns["control_cells_map"]["p1"].update(p1_0="nope"),
            {},
            ValueError,
            "must name control cells of adata.obs_names, got 1 unknown: nope",
        ),
    ],
)
def test_bad_input_gets_one_sentence(cells, write, change, settings, error, words):
    if change is not None:
        change(cells)
    with pytest.raises(error, match=words) as caught:
        load(write(cells), **settings)
    assert "\n" not in str(caught.value)


def test_doubled_cell_names(cells, write):
    cells.obs_names = ["twice", "twice", *cells.obs_names[2:]]
    path = write(cells)
    with (
        pytest.warns(UserWarning, match=r"not unique"),
        pytest.raises(ValueError, match=r"Cell names must be unique"),
    ):
        load(path)


def test_real_cells_give_the_published_targets(shared_data, write):
    data = load(write(kang_cells(shared_data)), control_name="control")
    data.validate()
    assert data.de_results["condition"].value_counts().to_dict() == {"IFNB CD14 Mono": 665, "IFNB B": 333}
    assert {c: len(g) for c, g in data.target_genes.items()} == {"IFNB CD14 Mono": 332, "IFNB B": 166}
    assert numbers(data.target_genes["IFNB CD14 Mono"][:5]) == [128609, 196329, 129515, 225921, 91039]
    assert numbers(data.target_genes["IFNB B"][:5]) == [142227, 170296, 197405, 158869, 162654]
    treated, controls = data.get_indices_for("IFNB CD14 Mono")
    assert (len(treated), treated[0], len(controls), controls.sum()) == (435, 1310, 435, 258595)


def one_condition(cells, with_column):
    table = cells.uns["de_results_wilcoxon"]
    table = table[table["condition"] == "p1"]
    one = cells[cells.obs["condition"].isin(["p1", "ctrl"]).to_numpy()].copy()
    one.uns["de_results_wilcoxon"] = table if with_column else table.drop(columns="condition")
    one.uns["control_cells_map"] = {"p1": cells.uns["control_cells_map"]["p1"]}
    return one


def test_the_table_of_a_single_condition_needs_no_column_of_it(cells, write):
    """As scanpy writes it."""
    want = load(write(one_condition(cells, True)))
    data = load(write(one_condition(cells, False)))
    assert data.target_genes == want.target_genes
    pd.testing.assert_frame_equal(data.de_results, want.de_results, check_dtype=False)
    cells.uns["de_results_wilcoxon"] = cells.uns["de_results_wilcoxon"].drop(columns="condition")
    with pytest.raises(ValueError, match=r"^condition column not found in .*another by the data set's `condition_key`"):
        load(write(cells))


def test_drawing_again(cells, write):
    path = write(cells)
    data = load(path, random_seed=3)
    assert redraw(data.adata.uns, 9) == load(path, random_seed=9).target_genes
    data.adata.uns["target_conditions_dict"] = {"p1": ["ENSG00000000001"]}
    assert redraw(data.adata.uns, 9) is None
    assert redraw({}, 9) is None
    assert data_under_seeds(data, data.adata) is None
    assert data_under_seeds(data.adata, data.adata) is None
    again = load(path)
    other = data_under_seeds(again, again.adata)(9)
    assert other.uns["target_conditions_dict"] == load(path, random_seed=9).target_genes
    assert again.adata.uns["target_conditions_dict"] == load(path).target_genes
