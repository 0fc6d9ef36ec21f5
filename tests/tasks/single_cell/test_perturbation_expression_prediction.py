import json
import tracemalloc

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import spearmanr

from czbenchmarks.kernels.parallel import resources
from czbenchmarks.metrics.types import MetricType, metrics_registry
from czbenchmarks.tasks import PerturbationExpressionPredictionTask, PerturbationExpressionPredictionTaskInput
from czbenchmarks.tasks.single_cell.perturbation_expression_prediction import build_task_input_from_predictions


@pytest.fixture
def data():
    """Return 24 cells of two conditions and 10 controls, with 30 genes of which some are targets."""
    rng = np.random.default_rng(0)
    genes = [f"ENSG{i:011d}" for i in range(30)]
    names = [f"{c}_{i}" for c in ("p1", "p2") for i in range(12)] + [f"ctrl_{i}" for i in range(10)]
    conditions = ["p1"] * 12 + ["p2"] * 12 + ["ctrl"] * 10
    adata = anndata.AnnData(
        sp.csr_matrix(rng.gamma(2, 1, size=(34, 30))),
        obs=pd.DataFrame({"condition": pd.Categorical(conditions)}, index=names),
        var=pd.DataFrame(index=genes),
    )
    targets = {c: rng.choice(genes, n, replace=False).tolist() for c, n in (("p2", 9), ("p1", 12))}
    # Tables of single conditions, one below the other: the index repeats.
    table = pd.concat(
        [pd.DataFrame({"condition": c, "gene_id": genes, "logfoldchange": rng.normal(0, 2, 30)}) for c in ("p1", "p2")]
    )
    adata.uns = {
        "de_results": table,
        "metric_column": "logfoldchange",
        "target_conditions_dict": targets,
        "control_cells_map": {
            "p1": {f"p1_{i}": f"ctrl_{rng.integers(10)}" for i in range(12)},
            "p2": {f"p2_{i}": [f"ctrl_{j}" for j in rng.choice(10, 3, replace=False)] for i in range(12)},
        },
        "config": {"condition_key": "condition", "de_gene_col": "gene_id"},
    }
    return adata


@pytest.fixture
def predictions(data):
    return np.random.default_rng(1).gamma(2, 1, size=data.shape)


def run(X, adata, **options):
    return PerturbationExpressionPredictionTask().run(
        X, PerturbationExpressionPredictionTaskInput(adata=adata, **options)
    )


def slow_scores(X, adata, operation):
    """Loop over conditions, pairs and genes."""
    cells, genes = list(adata.obs_names), list(adata.var_names)
    scores = {}
    for condition, targets in adata.uns["target_conditions_dict"].items():
        table = adata.uns["de_results"]
        table = table[table["condition"] == condition].set_index("gene_id")["logfoldchange"]
        treated, controls = np.zeros(len(targets)), np.zeros(len(targets))
        pairs = adata.uns["control_cells_map"][condition]
        for cell, mapped in pairs.items():
            mapped = [mapped] if isinstance(mapped, str) else mapped
            for g, gene in enumerate(targets):
                treated[g] += X[cells.index(cell), genes.index(gene)] / len(pairs)
                controls[g] += np.mean([X[cells.index(m), genes.index(gene)] for m in mapped]) / len(pairs)
        if operation == "ratio" and min(treated.min(), controls.min()) > 0:
            change = np.log((treated + 1e-8) / (controls + 1e-8))
        else:
            change = treated - controls
        scores[condition] = spearmanr(table[targets], change).statistic
    return scores


@pytest.mark.parametrize("operation", ["ratio", "difference"])
def test_values_agree_with_the_twin(data, predictions, operation, run_twice):
    task_input = PerturbationExpressionPredictionTaskInput(adata=data, pred_effect_operation=operation)
    results = run_twice(PerturbationExpressionPredictionTask(), predictions, task_input)
    expected = slow_scores(predictions, data, operation)
    assert [(r.metric_type, r.params) for r in results] == [
        (MetricType.SPEARMAN_CORRELATION_CALCULATION, {"condition": "p2"}),
        (MetricType.SPEARMAN_CORRELATION_CALCULATION, {"condition": "p1"}),
    ]
    for result in results:
        condition = result.params["condition"]
        targets = data.uns["target_conditions_dict"][condition]
        assert result.value == pytest.approx(expected[condition], abs=1e-12)
        assert result.counts == {"used": len(targets), "left_out": 0, "pairs": 12, "pairs_left_out": 0}
        assert result.units.kind == "gene"
        assert result.units.ids.tolist() == targets
        assert spearmanr(result.units.columns["true"], result.units.columns["predicted"]).statistic == pytest.approx(
            result.value, abs=1e-12
        )
        assert result.details is None


def test_the_log_ratio_is_the_default(data, predictions):
    assert [r.value for r in run(predictions, data)] == [
        r.value for r in run(predictions, data, pred_effect_operation="ratio")
    ]


def test_a_mean_that_is_not_positive_switches_to_the_difference_and_says_so(data, predictions):
    gene = data.var_names.get_loc(data.uns["target_conditions_dict"]["p1"][0])
    others = set(data.uns["target_conditions_dict"]["p2"])
    predictions[:, gene] = -1
    results = {r.params["condition"]: r for r in run(predictions, data)}
    expected = slow_scores(predictions, data, "ratio")
    assert {c: r.value for c, r in results.items()} == pytest.approx(expected, abs=1e-12)
    note = "the effect is the difference of means, not their ratio: a mean is 0 or negative"
    switched = {"pred_effect_operation": "difference", "note": note}
    assert results["p1"].details == switched
    assert results["p2"].details == (switched if data.var_names[gene] in others else None)


def test_containers_orders_and_subsets(data, predictions):
    rng = np.random.default_rng(2)
    expected = [r.value for r in run(predictions, data)]
    for same in (sp.csr_matrix(predictions), sp.csc_array(predictions), pd.DataFrame(predictions)):
        np.testing.assert_allclose([r.value for r in run(same, data)], expected, atol=1e-12)
    cells, genes = rng.permutation(34), rng.permutation(30)
    moved = predictions[cells][:, genes]
    indices = {"cell_index": data.obs_names[cells], "gene_index": data.var_names[genes].tolist()}
    np.testing.assert_allclose([r.value for r in run(moved, data, **indices)], expected, atol=1e-12)
    frame = anndata.AnnData(moved, obs=data.obs.iloc[cells], var=data.var.iloc[genes])
    task_input = build_task_input_from_predictions(frame, data, "difference")
    assert task_input.pred_effect_operation == "difference"
    np.testing.assert_allclose(
        [r.value for r in PerturbationExpressionPredictionTask().run(moved, task_input)],
        list(slow_scores(predictions, data, "difference").values()),
        atol=1e-12,
    )


def test_what_is_not_predicted_is_left_out_and_counted(data, predictions):
    # Without the first five cells (of p1) and the last ten genes.
    results = run(predictions[5:, :20], data, cell_index=data.obs_names[5:], gene_index=data.var_names[:20])
    less = data.copy()
    less.uns["control_cells_map"]["p1"] = dict(list(data.uns["control_cells_map"]["p1"].items())[5:])
    kept = set(data.var_names[:20])
    targets = data.uns["target_conditions_dict"]
    less.uns["target_conditions_dict"] = {c: [g for g in genes if g in kept] for c, genes in targets.items()}
    expected = slow_scores(predictions, less, "ratio")
    for result in results:
        condition = result.params["condition"]
        assert result.value == pytest.approx(expected[condition], abs=1e-12)
        used = len(less.uns["target_conditions_dict"][condition])
        assert result.counts == {
            "used": used,
            "left_out": len(targets[condition]) - used,
            "pairs": 7 if condition == "p1" else 12,
            "pairs_left_out": 5 if condition == "p1" else 0,
        }


def test_reasons_of_undefined_conditions(data, predictions):
    adata = data.copy()
    one = adata.uns["target_conditions_dict"]["p1"]
    adata.uns["target_conditions_dict"] = {"p2": adata.uns["target_conditions_dict"]["p2"], "p1": one[:1], "p3": one}
    p2, p1, p3 = run(predictions, adata)
    assert p2.reason is None
    assert np.isnan([p1.value, p3.value]).all()
    assert p1.reason == "1 of its 1 target genes can be compared, two are needed to rank"
    assert p3.reason == "no controls are mapped to its cells in adata.uns['control_cells_map']"
    assert json.loads(p1.model_dump_json())["value"] is None
    genes = data.uns["target_conditions_dict"]["p1"]
    flat = predictions.copy()
    flat[:, data.var_names.get_indexer(genes)] = 3.0
    found = {r.params["condition"]: r for r in run(flat, data)}
    assert found["p1"].reason == "the predicted change is the same for all target genes"
    assert found["p1"].counts["used"] == 12
    assert found["p2"].reason is None


def test_a_perfect_prediction_beats_a_shuffled_one(data):
    truth = data.uns["de_results"]
    X = np.ones(data.shape)
    for condition in ("p1", "p2"):
        change = truth[truth["condition"] == condition].set_index("gene_id")["logfoldchange"][data.var_names]
        X[data.obs["condition"].to_numpy() == condition] = np.exp(change)
    assert [r.value for r in run(X, data)] == [1.0, 1.0]
    shuffled = X[:, np.random.default_rng(0).permutation(30)]
    assert max(abs(r.value) for r in run(shuffled, data)) < 0.8


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("control_cells_map", r"adata.uns\['control_cells_map'\] is required and must be a dict"),
        ("de_results", r"adata.uns\['de_results'\] is required"),
        ("target_conditions_dict", r"adata.uns\['target_conditions_dict'\] is required"),
    ],
)
def test_missing_pieces(data, predictions, key, message):
    del data.uns[key]
    with pytest.raises(ValueError, match=message):
        run(predictions, data)


def test_bad_input(data, predictions):
    for part, what in ((predictions[:5], "expected 34 cells, got 5"), (predictions[:, :5], "expected 30 genes, got 5")):
        with pytest.raises(ValueError, match=rf"Predictions must match adata shape .*{what}"):
            run(part, data)
    with pytest.raises(ValueError, match=r"`gene_index` must hold names of adata only, got 30 unknown genes: q0"):
        run(predictions, data, gene_index=[f"q{i}" for i in range(30)])
    with pytest.raises(ValueError, match=r"`cell_index` must hold each name once, got p1_0"):
        run(predictions, data, cell_index=["p1_0"] * 34)
    with pytest.raises(TypeError, match=r"`adata` must be an anndata.AnnData, got DataFrame"):
        run(predictions, data.obs)
    with pytest.raises(ValueError, match=r"`pred_effect_operation` must be 'difference' or 'ratio'"):
        run(predictions, data, pred_effect_operation="log")
    with pytest.raises(NotImplementedError, match=r"Baseline not implemented"):
        PerturbationExpressionPredictionTask().compute_baseline(predictions)


def test_a_table_of_predictions_in_another_order_is_refused(data, predictions):
    table = pd.DataFrame(predictions, index=data.obs_names, columns=data.var_names)
    expected = [r.value for r in run(predictions, data)]
    np.testing.assert_allclose([r.value for r in run(table, data)], expected, atol=1e-12)
    for moved in (table.iloc[::-1], table.iloc[:, ::-1]):
        with pytest.raises(ValueError, match=r"`cell_representation` must follow the order of `adata`"):
            run(moved, data)
    named = run(table.iloc[::-1], data, cell_index=data.obs_names[::-1])
    np.testing.assert_allclose([r.value for r in named], expected, atol=1e-12)


def test_a_prediction_without_effect_has_no_score(data):
    profile = np.random.default_rng(4).gamma(2.0, 1.0, data.n_vars)
    same = np.tile(profile, (data.n_obs, 1))
    for operation in ("ratio", "difference"):
        with pytest.raises(ValueError, match=r"the predicted change is the same for all target genes"):
            run(same, data, pred_effect_operation=operation)


KINDS = {"dense": np.asarray, "csr": sp.csr_matrix, "csc": sp.csc_matrix}


@pytest.fixture
def backed(tmp_path):
    """Return a function that writes an AnnData and opens it again, its matrix left in the file."""
    opened = []

    def write(adata):
        path = tmp_path / f"{len(opened)}.h5ad"
        adata.write_h5ad(path)
        opened.append(anndata.read_h5ad(path, backed="r"))
        return opened[-1]

    yield write
    for one in opened:
        one.file.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", ["ratio", "difference"])
def test_predictions_left_in_their_file_give_the_same_bits(kind, operation, data, predictions, backed, monkeypatch):
    predictions[predictions < 0.7] = 0
    task = PerturbationExpressionPredictionTask()
    task_input = PerturbationExpressionPredictionTaskInput(adata=data, pred_effect_operation=operation)
    held = backed(anndata.AnnData(KINDS[kind](predictions), obs=data.obs, var=data.var))
    in_memory = task._run_task(predictions, task_input)
    for block in (2**26, 1000):
        monkeypatch.setattr("czbenchmarks.kernels.stored._BLOCK", block)
        for same in (KINDS[kind](predictions), held.X):
            found = task._run_task(same, task_input)
            for condition, change in in_memory.pred_mean_change_dict.items():
                np.testing.assert_array_equal(found.pred_mean_change_dict[condition], change)
            assert task.run(same, task_input) == task.run(predictions, task_input)
    expected = slow_scores(predictions, data, operation)
    assert {r.params["condition"]: r.value for r in task.run(held.X, task_input)} == pytest.approx(expected, abs=1e-12)


def test_backed_data_and_named_rows(data, predictions, backed):
    targets = data.uns["target_conditions_dict"]
    data.uns["target_conditions_dict"] = {c: targets[c] for c in sorted(targets)}  # as they come out of a file
    expected = run(predictions, data)
    cells, genes = np.random.default_rng(5).permutation(34), np.random.default_rng(6).permutation(30)
    moved = anndata.AnnData(predictions[cells][:, genes], obs=data.obs.iloc[cells], var=data.var.iloc[genes])
    truth, held = backed(data), backed(moved)
    assert run(predictions, truth) == expected
    task_input = build_task_input_from_predictions(held, truth)
    assert isinstance(held.X, h5py.Dataset)
    assert PerturbationExpressionPredictionTask().run(held.X, task_input) == expected
    assert run(moved.X, data, cell_index=moved.obs_names, gene_index=moved.var_names) == expected


def test_neither_threads_nor_budget_nor_the_order_of_the_pairs_changes_a_bit(data, predictions):
    expected = run(predictions, data)
    for threads, memory in ((1, "1MB"), (2, "3MB"), (4, "1GB")):
        with resources(threads, memory):
            for same in (predictions, np.asfortranarray(predictions), sp.csr_matrix(predictions)):
                assert run(same, data) == expected
    pairs = data.uns["control_cells_map"]
    data.uns["control_cells_map"] = {c: dict(list(cells.items())[::-1]) for c, cells in list(pairs.items())[::-1]}
    data.uns["de_results"] = data.uns["de_results"].sample(frac=1, random_state=0)
    assert run(predictions, data) == expected


def test_memory_follows_the_budget_not_the_file(data, tmp_path):
    n_genes, n = 5000, data.n_obs
    with h5py.File(tmp_path / "x.h5", "w") as file:
        wide = np.tile(np.random.default_rng(0).gamma(2, 1, size=(n * 20, 30)).astype("float32"), (1, n_genes // 30))
        file["X"] = wide
        size = wide.nbytes
        cells = [f"{name}:{i}" for i in range(20) for name in data.obs_names]
        genes = [*data.var_names, *(f"other{i}" for i in range(wide.shape[1] - 30))]
        many = anndata.AnnData(
            sp.csr_matrix(wide.shape, dtype="float32"), obs=pd.DataFrame(index=cells), var=pd.DataFrame(index=genes)
        )
        many.uns = dict(data.uns)
        pairs = data.uns["control_cells_map"]["p1"]
        many.uns["control_cells_map"] = {
            "p1": {f"{cell}:{i}": f"{mapped}:{i}" for i in range(20) for cell, mapped in pairs.items()}
        }
        many.uns["target_conditions_dict"] = {"p1": data.uns["target_conditions_dict"]["p1"]}
        expected = run(wide, many)
        del wide

        def peak(values):
            tracemalloc.start()
            try:
                with resources(memory="6MB"):
                    assert run(values(), many) == expected
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        assert size > 10_000_000
        assert peak(lambda: file["X"]) < size / 2 < size < peak(lambda: file["X"][()])


def test_bad_predictions_in_a_file(data, predictions, backed):
    predictions[3, 4] = np.nan
    for container in KINDS.values():
        held = backed(anndata.AnnData(container(predictions), obs=data.obs, var=data.var))
        with pytest.raises(ValueError, match=r"^`cell_representation` must be finite, got 1 NaN or infinite values"):
            run(held.X, data)
        with pytest.raises(ValueError, match=r"^Predictions must match adata shape .*expected 33 cells, got 34"):
            run(held.X, data[:33])
        X = held.X
        held.file.close()
        with pytest.raises(ValueError, match=r"^`cell_representation` must be in an open "):
            run(X, data)


def test_a_gene_that_the_table_has_twice_is_left_out(data, predictions):
    gene = data.uns["target_conditions_dict"]["p1"][4]
    table = data.uns["de_results"]
    twice = table[(table["gene_id"] == gene) & (table["condition"] == "p1")]
    data.uns["de_results"] = pd.concat([table, twice])
    p1 = next(r for r in run(predictions, data) if r.params["condition"] == "p1")
    assert (p1.counts["used"], p1.counts["left_out"]) == (11, 1)
    assert gene not in p1.units.ids.tolist()


def test_a_function_that_was_put_in_place_of_the_metric_is_called(data, predictions, monkeypatch):
    metric = MetricType.SPEARMAN_CORRELATION_CALCULATION
    monkeypatch.setattr(metrics_registry, "_rows", {})
    metrics_registry.register(metric, lambda a, b: float(len(a) - len(b)) + 0.5, {"a", "b"})
    assert [r.value for r in run(predictions, data)] == [0.5, 0.5]


FLAT = "the treated cells are predicted with one value for all target genes"
FLAT_CONTROL = "the control cells are predicted with one value for all target genes"
ALIKE = "the treated cells are predicted alike for all conditions"


def notes(X, adata, **options):
    return {r.params["condition"]: (r.details or {}).get("note") for r in run(X, adata, **options)}


@pytest.mark.parametrize("value", [0.0, 0.1, 3.0])
@pytest.mark.parametrize("operation", ["ratio", "difference"])
def test_a_constant_treated_profile_is_scored_by_the_controls_alone_and_says_so(data, predictions, value, operation):
    predictions = predictions.astype("float32")
    treated = (data.obs["condition"] != "ctrl").to_numpy()
    flat = predictions.copy()
    flat[treated] = value
    expected = slow_scores(flat.astype(float), data, operation)
    results = run(flat, data, pred_effect_operation=operation)
    assert {r.params["condition"]: r.value for r in results} == pytest.approx(expected, abs=1e-12)
    for result in results:
        said = result.details["note"].split("; ")
        assert said[-1].startswith(FLAT)
        assert len(said) == 1 + (operation == "ratio" and value == 0)
    one = predictions.copy()
    one[(data.obs["condition"] == "p1").to_numpy()] = value
    assert [bool(note) for note in notes(one, data, pred_effect_operation="difference").values()] == [False, True]


def test_constant_controls_are_told(data, predictions):
    predictions[(data.obs["condition"] == "ctrl").to_numpy()] = 0
    assert all(
        note.startswith(FLAT_CONTROL) for note in notes(predictions, data, pred_effect_operation="difference").values()
    )


def test_one_treated_profile_for_all_conditions_is_told(data, predictions):
    treated = (data.obs["condition"] != "ctrl").to_numpy()
    assert set(notes(predictions, data).values()) == {None}
    for dtype in ("float32", "float64"):
        same = predictions.astype(dtype)
        same[treated] = same[treated].mean(axis=0)
        assert all(note.startswith(ALIKE) for note in notes(same, data).values())
        assert all(note.startswith(ALIKE) for note in notes(sp.csr_matrix(same), data).values())
        assert list(run(same, data)[0].details) == ["note"]
        gene = data.var_names.get_loc(data.uns["target_conditions_dict"]["p2"][0])
        same[0, gene] += 0.01  # one cell of p1, so the profiles differ
        assert set(notes(same, data).values()) == {None}
    # One condition is no other's double.
    data.uns["target_conditions_dict"] = {"p1": data.uns["target_conditions_dict"]["p1"]}
    same = predictions.copy()
    same[treated] = same[treated].mean(axis=0)
    assert set(notes(same, data).values()) == {None}


def test_an_effect_that_only_single_precision_makes_is_none(data, predictions):
    """The mean of the controls, rounded as it was stored, is predicted for every treated cell."""
    controls = (data.obs["condition"] == "ctrl").to_numpy()
    names = list(data.obs_names[controls])
    data.uns["control_cells_map"] = {c: {f"{c}_{i}": names for i in range(12)} for c in ("p1", "p2")}
    for dtype in ("float32", "float64"):
        same = predictions.astype(dtype)
        same[~controls] = same[controls].mean(axis=0)
        for X in (same, sp.csr_matrix(same), sp.csc_matrix(same)):
            with pytest.raises(ValueError, match=r"the predicted change is the same for all target genes"):
                run(X, data, pred_effect_operation="difference")
    single, double = (run(predictions.astype("float32").astype(dtype), data) for dtype in ("float32", "float64"))
    assert [r.value for r in single] == [r.value for r in double]
