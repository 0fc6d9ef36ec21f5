"""The baseline of several species through ``evaluate`` and the command line: asked for by name, shared, recorded."""

import json
import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from click.testing import CliRunner

from czbenchmarks import evaluate
from czbenchmarks.cli.main import main
from czbenchmarks.results import RunRecord
from czbenchmarks.tasks import CrossSpeciesIntegrationTask, OrthologBaselineInput
from czbenchmarks.tasks.single_cell._orthologs import OrthologBaselineTask

BOTH = {
    "cross-species_integration": None,
    "cross-species_label_prediction": {"aggregation_method": "none", "n_folds": 2},
}
SMALL = {"baseline": True, "baseline_n_top_genes": 100, "baseline_n_pcs": 5}


def make_cells(organism, n, genes):
    rng = np.random.default_rng(n)
    types = np.arange(n) % 3
    rates = np.random.default_rng(0).gamma(1.0, 3.0, (3, 160))[:, genes]
    obs = pd.DataFrame(
        {"cell_type": np.array(list("abc"))[types], "organism": organism}, [f"cell{i}" for i in range(n)]
    )
    prefix = {"Homo sapiens": "G", "Mus musculus": "g"}[organism]
    return ad.AnnData(
        sp.csr_matrix(rng.poisson(rates[types]), dtype="float32"),
        obs,
        pd.DataFrame(index=[f"{prefix}{gene}" for gene in genes]),
        obsm={"X_model": rng.normal(size=(n, 4)) + types[:, None]},
    )


@pytest.fixture
def cells():
    rng = np.random.default_rng(1)
    return [
        make_cells("Homo sapiens", 60, rng.permutation(150)),
        make_cells("Mus musculus", 45, rng.permutation(np.arange(10, 160))),
    ]


@pytest.fixture
def folder(cells, tmp_path):
    for name, one in zip(("human", "mouse"), cells, strict=True):
        one.write_h5ad(tmp_path / f"{name}.h5ad")
    pd.DataFrame({"human_symbol": [f"G{i}" for i in range(160)], "mouse_symbol": [f"g{i}" for i in range(160)]}).to_csv(
        tmp_path / "pairs.csv", index=False
    )
    return tmp_path


def data_of(folder):
    return [folder / "human.h5ad", folder / "mouse.h5ad"]


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def test_both_tasks_share_one_baseline(cells, folder, monkeypatch):
    calls = []
    original = OrthologBaselineTask.compute_baseline

    def counted(self, *given):
        calls.append(1)
        return original(self, *given)

    monkeypatch.setattr(OrthologBaselineTask, "compute_baseline", counted)
    record = evaluate(
        ["@obsm:X_model"] * 2, data_of(folder), BOTH, baseline_orthologs=str(folder / "pairs.csv"), **SMALL
    )
    assert record.complete
    assert len(calls) == 1
    assert {score.embedding for score in record.result_metrics} == {"@obsm:X_model", "baseline"}
    asked = OrthologBaselineInput(orthologs=folder / "pairs.csv", n_top_genes=100, n_pcs=5)
    by_hand = CrossSpeciesIntegrationTask().compute_baseline(cells, asked)
    wanted = evaluate(by_hand, cells, "cross-species_integration")
    got = [s.value for s in record.result_metrics if (s.task, s.embedding) == ("cross-species_integration", "baseline")]
    assert got == [score.value for score in wanted.result_metrics]
    assert len(got) == 2


def test_the_record_says_what_was_matched_and_the_log_does_not(folder, caplog):
    caplog.set_level(logging.INFO)
    logger = logging.getLogger("czbenchmarks.datasets.orthologs")
    before = (logger.level, logger.propagate, list(logger.handlers))
    table = str(folder / "pairs.csv")
    record = evaluate(None, data_of(folder), "cross-species_integration", baseline_orthologs=table, **SMALL)
    notes = [note for note in record.warnings if note.startswith("baseline: ")]
    assert notes[-1].startswith("baseline: 140 one-to-one orthologues of ")
    assert notes[0].startswith("baseline: data[0] (human): 150 of 150 genes are in ")
    assert "by var_names and its column mouse_symbol" in notes[1]
    assert "SHA-256" in notes[-1]
    assert "orthologues" not in caplog.text
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
    asked = record.run_specification.baseline["cross-species_integration"]
    assert (asked["orthologs"], asked["n_pcs"], asked["expression"]) == (table, 5, "@X")
    assert RunRecord.model_validate_json(record.model_dump_json()).run_specification == record.run_specification


def test_a_data_frame_organisms_and_a_layer(cells, folder):
    table = pd.read_csv(folder / "pairs.csv")
    wanted = evaluate(None, cells, "cross-species_integration", baseline_orthologs=table, **SMALL)
    for one in cells:
        one.layers["counts"] = one.X.copy()
        one.X = one.X.copy()
        one.X.data[:] = 1.5
        del one.obs["organism"]
    options = {"organisms": ["mouse", "human"][::-1], "baseline_expression": "@layers:counts"}
    record = evaluate(None, cells, "cross-species_integration", baseline_orthologs=table, **SMALL, **options)
    assert [s.value for s in record.result_metrics] == [s.value for s in wanted.result_metrics]
    asked = record.run_specification.baseline["cross-species_integration"]["orthologs"]
    assert asked.startswith("table of 160 rows (SHA-256 ")
    assert json.loads(record.model_dump_json())["run_specification"]["baseline"]
    noted = evaluate(
        None, cells, "cross-species_integration", baseline_orthologs=table, organisms=["human", "mouse"], **SMALL
    )
    assert any("does not look like counts" in note and "--baseline-expression" in note for note in noted.warnings)


def test_the_cells_that_are_left(cells, folder):
    kept = [one.obs_names[5:] for one in cells]
    tables = [pd.DataFrame(one[names].obsm["X_model"], index=names) for one, names in zip(cells, kept, strict=True)]
    options = {"baseline_orthologs": str(folder / "pairs.csv"), **SMALL}
    record = evaluate(tables, cells, "cross-species_integration", allow_missing_cells=True, **options)
    wanted = evaluate(None, [one[5:].copy() for one in cells], "cross-species_integration", **options)
    got = [score.value for score in record.result_metrics if score.embedding == "baseline"]
    assert got == [score.value for score in wanted.result_metrics]


def test_without_the_option_there_is_none(folder, monkeypatch):
    data = data_of(folder)
    with pytest.raises(NotImplementedError, match=r"Baseline not implemented for cross-species integration without a"):
        evaluate(["@obsm:X_model"] * 2, data, "cross-species_integration", baseline=True)
    record = evaluate(["@obsm:X_model"] * 2, data, BOTH, baseline=True)
    assert {(failure.embedding, failure.reason[:24]) for failure in record.failures} == {
        ("baseline", "Baseline not implemented")
    }
    assert {score.embedding for score in record.result_metrics} == {"@obsm:X_model"}
    with pytest.raises(ValueError, match="pass baseline=True"):
        evaluate(["@obsm:X_model"] * 2, data, "cross-species_integration", baseline_orthologs="human-mouse")
    with pytest.raises(ValueError, match=r"'baseline_ortholog' .* Did you mean 'baseline_orthologs'"):
        evaluate(["@obsm:X_model"] * 2, data, "cross-species_integration", baseline=True, baseline_ortholog="x")


def test_a_table_that_does_not_suit_leaves_the_scores(folder):
    for table, sentence in (("human-mouse", "share at least 100"), ("human-mose", "which does not exist")):
        record = evaluate(
            ["@obsm:X_model"] * 2, data_of(folder), "cross-species_integration", baseline=True, baseline_orthologs=table
        )
        assert [(failure.embedding, sentence in failure.reason) for failure in record.failures] == [("baseline", True)]
        assert {score.embedding for score in record.result_metrics} == {"@obsm:X_model"}


def test_on_the_command_line(folder):
    data = ["-u", folder / "human.h5ad", "-u", folder / "mouse.h5ad"]
    words = ["run", "cross-species_integration", *data, "-B", "--baseline-n-top-genes", 100, "--baseline-n-pcs", 5]
    result = run(
        *words, "--baseline-orthologs", folder / "pairs.csv", "-c", "@obsm:X_model", "-c", "@obsm:X_model", "-f", "json"
    )
    assert result.exit_code == 0, result.output
    record = RunRecord.model_validate_json(result.stdout)
    options = {"baseline_orthologs": str(folder / "pairs.csv"), **SMALL}
    wanted = evaluate(["@obsm:X_model"] * 2, data_of(folder), "cross-species_integration", **options)
    assert [s.value for s in record.result_metrics] == [s.value for s in wanted.result_metrics]
    assert "140 one-to-one orthologues" in result.stderr
    refused = run(*words)
    assert refused.exit_code != 0
    assert refused.stderr.strip().splitlines()[-1].startswith("Error: Baseline not implemented for cross-species integ")
    assert "--baseline-orthologs human-mouse" in refused.stderr
    refused = run(
        "run", "cross-species_integration", *data, "--baseline-orthologs", "human-mouse", "-c", "x", "-c", "y"
    )
    assert "Options of the baseline need the baseline itself; add -B." in refused.stderr


def test_help_and_info_say_so():
    for task in BOTH:
        told = " ".join(run("run", task, "--help").stdout.split())
        assert "With --baseline-orthologs, score a baseline too, or alone" in told
        assert "--baseline-orthologs TEXT" in told
        assert "--baseline-expression" in told
        assert "--baseline-gene-names" not in told
        assert "--baseline-organisms" not in told
        assert "It has a baseline with --baseline-orthologs only." in run("info", task).stdout
        found = json.loads(run("info", task, "-f", "json").stdout)
        assert (found["has_baseline"], found["baseline_needs"]) == (True, "--baseline-orthologs")
    assert "It has no baseline." in run("info", "perturbation_expression_prediction").stdout
    assert json.loads(run("info", "clustering", "-f", "json").stdout)["baseline_needs"] is None
