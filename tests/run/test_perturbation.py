"""Perturbation screens in a run: seeds, what the record says, what is left out."""

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from czbenchmarks import evaluate
from czbenchmarks.datasets import SingleCellPerturbationDataset
from czbenchmarks.results import RunRecord
from czbenchmarks.tasks import PerturbationExpressionPredictionTask, PerturbationExpressionPredictionTaskInput
from czbenchmarks.testing import simulate_screen

from ..cli.test_run import run as typed

KEY = "perturbation_expression_prediction"


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(n_conditions=3, n_cells_per_condition=20, n_genes=60, n_affected_genes=30)


@pytest.fixture
def path(screen, tmp_path):
    screen.write_h5ad(tmp_path / "screen.h5ad")
    return tmp_path / "screen.h5ad"


@pytest.fixture
def predicted(screen):
    rng = np.random.default_rng(3)
    return screen.layers["perfect_prediction"] * rng.lognormal(0, 0.5, screen.shape)


def opened(path, **settings):
    return SingleCellPerturbationDataset(path, "human", **settings)


def by_hand(path, predicted, **settings):
    """Load the data set under its own seed and run the task, as the published package does."""
    data = opened(path, **settings)
    data.load_data()
    results = PerturbationExpressionPredictionTask().run(
        predicted, PerturbationExpressionPredictionTaskInput(adata=data.adata)
    )
    return {result.params["condition"]: result.value for result in results}


def values(record):
    return {score.params["condition"]: score.value for score in record.result_metrics}


def test_seeds_that_are_given_draw_the_target_genes(path, predicted):
    want = {seed: by_hand(path, predicted, random_seed=seed) for seed in (1, 2, 42)}
    assert want[1] != want[2]
    loaded = opened(path, random_seed=7)
    loaded.load_data()
    before = dict(loaded.target_genes)
    for data in (opened(path), opened(path, random_seed=7), loaded):
        record = evaluate(predicted, data, KEY, random_seed=[1, 2])
        for score in record.result_metrics:
            raw = [want[seed][score.params["condition"]] for seed in (1, 2)]
            assert score.values_raw == raw
            assert score.value_std_dev == pytest.approx(np.std(raw, ddof=1))
        assert record.run_specification.data[0]["target_gene_seeds"] == [1, 2]
        assert values(evaluate(predicted, data, KEY, random_seed=42)) == want[42]
    assert loaded.target_genes == before


def test_without_a_seed_that_of_the_data_set_holds(path, predicted):
    for seed in (7, 42):
        record = evaluate(predicted, opened(path, random_seed=seed), KEY)
        assert values(record) == by_hand(path, predicted, random_seed=seed)
        assert record.run_specification.random_seeds == [42]
        assert "target_gene_seeds" not in record.run_specification.data[0]


def test_the_seeds_of_the_command_line(path, predicted, tmp_path):
    np.save(tmp_path / "predicted.npy", predicted)
    described = {"dataset_class": "SingleCellPerturbationDataset", "organism": "HUMAN", "path": str(path)}

    def scores(*words, **settings):
        data = json.dumps({**described, **settings})
        done = typed("run", KEY, "-u", data, "-c", tmp_path / "predicted.npy", "-f", "json", *words)
        assert done.exit_code == 0, done.stderr
        found = json.loads(done.stdout)["result_metrics"]
        return {score["params"]["condition"]: score["value"] for score in found}

    assert scores() == scores("-r", "42") == by_hand(path, predicted)
    assert scores(random_seed=7) == by_hand(path, predicted, random_seed=7)
    assert scores("-r", "5", random_seed=7) == by_hand(path, predicted, random_seed=5)


def test_target_genes_that_are_fixed_have_no_deviation(path, predicted, screen, tmp_path):
    genes = {"simulated_perturbation_1": list(screen.var_names[:20])}
    prepared = opened(path, random_seed=7)
    prepared.load_data()
    stored = opened(path, random_seed=7, task_inputs_dir=tmp_path / "stored")
    stored.load_data()
    folder = stored.store_task_inputs()
    for data in (
        prepared.adata,
        folder / "perturbation_task_inputs.h5ad",
        opened(path, target_conditions_override=genes),
    ):
        record = evaluate(predicted, data, KEY, random_seed=[1, 2])
        score = record.result_metrics[0]
        assert (score.n_values, score.value_std_dev) == (2, None)
        assert "the target genes are fixed in the data, so the seeds change nothing" in record.warnings[0]
        assert record.run_specification.data[0]["prepared_with"]["random_seed"] in (7, 42)
        assert not any("fixed" in said for said in evaluate(predicted, data, KEY, random_seed=1).warnings)


@pytest.mark.parametrize(
    ("settings", "seed"),
    [
        ({}, None),
        ({"random_seed": 7, "percent_genes_to_mask": 0.3, "min_de_genes_to_mask": 3}, None),
        ({"pval_threshold": float("inf"), "min_logfoldchange": 1.4, "random_seed": 7}, 5),
        ({"target_conditions_override": {"simulated_perturbation_2": ["ENSG00000000003", "ENSG00000000004"]}}, None),
    ],
)
def test_a_score_can_be_made_again_from_the_record(path, predicted, screen, tmp_path, settings, seed):
    if "target_conditions_override" in settings:
        settings = {"target_conditions_override": {"simulated_perturbation_2": list(screen.var_names[::3])}}
    record = evaluate(predicted, opened(path, **settings), KEY, random_seed=seed, pred_effect_operation="difference")
    read = RunRecord.read(record.write(tmp_path / "record.json"))
    facts, asked = read.run_specification.data[0], read.run_specification.tasks[KEY]
    given = {name: float(value) if value == "inf" else value for name, value in facts["settings"].items()}
    for drawn_by in facts.get("target_gene_seeds", [given["random_seed"]]):
        again = opened(facts["path"], **{**given, "random_seed": drawn_by})
        again.load_data()
        task_input = PerturbationExpressionPredictionTaskInput(adata=again.adata, **asked.given)
        results = PerturbationExpressionPredictionTask().run(predicted, task_input)
        assert {result.params["condition"]: result.value for result in results} == values(read)


def test_settings_of_other_data_sets_are_in_the_record(path, predicted):
    from czbenchmarks.datasets import SingleCellLabeledDataset

    data = SingleCellLabeledDataset(path, "human", label_column_key="condition")
    facts = evaluate(predicted, data, "embedding").run_specification.data[0]
    assert (facts["organism"], facts["settings"]) == ("homo_sapiens", {"label_column_key": "condition"})


def test_conditions_that_fall_out_are_counted_by_reason(screen, predicted, tmp_path):
    table = screen.uns["de_results_wilcoxon"].copy()
    first, second, third = (f"simulated_perturbation_{i}" for i in (1, 2, 3))
    table.loc[table["condition"] == second, "pval_adj"] = 1.0
    few = table.index[table["condition"] == third][5:]
    table.loc[few, "pval_adj"] = 1.0
    some = screen.copy()
    some.obs["condition"] = some.obs["condition"].astype(str)
    some.obs.loc[some.obs_names[:4], "condition"] = "untested"
    some.uns["de_results_wilcoxon"] = table
    controls = some.uns["control_cells_map"]
    controls[first] = dict(list(controls[first].items())[4:])
    some.write_h5ad(tmp_path / "some.h5ad")
    record = evaluate(predicted, opened(tmp_path / "some.h5ad"), KEY)
    assert record.warnings == [
        f"{KEY}: 1 of 4 conditions scored, the others left out (1: no gene passes pval_threshold and "
        "min_logfoldchange; 1: fewer than 5 target genes (min_de_genes_to_mask); 1: not in the table of differential "
        "expression)"
    ]
    del controls[first]
    fewer = opened(tmp_path / "some.h5ad", pval_threshold=2.0, min_de_genes_to_mask=1)
    fewer.load_data()
    del fewer.adata.uns["control_cells_map"][second]
    said = evaluate(predicted, fewer, KEY).warnings
    assert said == [
        f"{KEY}: 2 of 4 conditions scored, the others left out (1: not in the table of differential expression; "
        "1: no controls are mapped to its cells in adata.uns['control_cells_map'])"
    ]


def test_pairs_and_genes_that_fall_out_are_counted(path, predicted, screen):
    data = opened(path)
    whole = evaluate(predicted, data, KEY)
    assert whole.warnings == []
    table = pd.DataFrame(predicted, index=screen.obs_names, columns=screen.var_names).iloc[7:]
    record = evaluate(table, data, KEY, allow_missing_cells=True)
    assert (
        f"{KEY}: 7 of 60 pairs of a treated cell and its control are not among the predictions and were left out"
        in (record.warnings)
    )
    genes = screen.var_names[:40]
    record = evaluate(predicted[:, :40], data, KEY, cell_index=screen.obs_names, gene_index=genes)
    left, of = (sum(score.counts[name] for score in record.result_metrics) for name in ("left_out", "used"))
    assert any(said.startswith(f"{KEY}: {left} of {left + of} target genes are not among") for said in record.warnings)
    assert of + left == sum(score.counts["used"] for score in whole.result_metrics)


def test_predictions_of_treated_cells_alone(path, predicted, screen, tmp_path):
    treated = (screen.obs["condition"] != "ctrl").to_numpy()
    table = pd.DataFrame(predicted, index=screen.obs_names, columns=screen.var_names)
    for alone in (table[treated], predicted[treated]):
        with pytest.raises(ValueError, match="predictions need the control cells too, in the same units"):
            evaluate(alone, opened(path), KEY)
    reason = "none of its control cells is among the predictions; give the predictions a row for each control cell too"
    with pytest.raises(ValueError, match=reason):
        evaluate(table[treated], opened(path), KEY, allow_missing_cells=True)
    with pytest.raises(ValueError, match=reason):
        evaluate(predicted[treated], opened(path), KEY, cell_index=screen.obs_names[treated])
    with pytest.raises(ValueError, match="none of its treated cells is among the predictions"):
        evaluate(table[~treated], opened(path), KEY, allow_missing_cells=True)
    completed = pd.concat([table[treated], table[~treated]])  # as the sentence says
    assert values(evaluate(completed, opened(path), KEY)) == values(evaluate(predicted, opened(path), KEY))


def test_a_raw_file_is_told_how_it_is_loaded(path, predicted, screen):
    shared = screen.copy()
    shared.uns["control_cells_map"] = {name: list(screen.obs_names[-20:]) for name in screen.uns["control_cells_map"]}
    for data in (screen, shared, path):
        with pytest.raises(ValueError, match="load the data with SingleCellPerturbationDataset"):
            evaluate(predicted, data, KEY)


def test_what_a_task_of_ones_own_says_of_other_data_is_left_alone(screen, predicted):
    """Notes on screens are for scores by condition."""
    from czbenchmarks.run.perturbation import notes_of_screens

    class Plan:
        key, screen, targets_fixed = "own", ad.AnnData(np.ones((1, 1))), True

    assert notes_of_screens([Plan()], []) == []
