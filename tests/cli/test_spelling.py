"""Whoever typed a command is told its options, whoever called a function its arguments."""

import re

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import czbenchmarks
from czbenchmarks.cli._spelling import as_typed, options_of
from czbenchmarks.cli.main import main
from czbenchmarks.cli.run import _task_command
from czbenchmarks.results import RunRecord

N = 30


def run(*words):
    return CliRunner().invoke(main, ["run", *(str(word) for word in words)])


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    kinds = np.arange(N) % 3
    X = rng.poisson(rng.gamma(1.0, 3.0, (3, 28))[kinds]).astype("float32")
    X[:, :3] = 0  # genes that do not vary
    obs = pd.DataFrame({"cell_type": np.array(["a", "b", "c"])[kinds]}, index=[f"c{i}" for i in range(N)])
    obs["batch"] = np.array(["x", "y"])[rng.integers(0, 2, N)]
    return ad.AnnData(X, obs=obs, obsm={"X_model": np.eye(3)[kinds] + rng.normal(0, 0.2, (N, 3))})


@pytest.fixture(scope="module")
def data(cells, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "cells.h5ad"
    cells.write_h5ad(path)
    return ["-u", path, "-c", "@obsm:X_model"]


@pytest.mark.parametrize(
    ("task", "words", "said", "options"),
    [
        ("label_prediction", ["--n-folds", 1], "--n-folds must be at least 2, got 1.", {"n_folds": 1}),
        ("clustering", ["--n-iterations", 0], "--n-iterations must be", {"n_iterations": 0}),
        ("embedding", ["--max-cells", 1], "--max-cells must be", {"max_cells": 1}),
        ("clustering", ["--threads", 0], "--threads must be", {"threads": 0}),
        ("clustering", ["--neighbors", "exakt"], "--neighbors 'exakt' is not known", {"neighbors": "exakt"}),
        ("clustering", ["-r", -1], "-r must be", {"random_seed": -1}),
        (
            "embedding",
            ["-B", "--baseline-n-pcs", 0],
            "--baseline-n-pcs must be",
            {"baseline_n_pcs": 0, "baseline": True},
        ),
    ],
)
def test_the_option_in_the_command_and_the_argument_in_python(cells, data, task, words, said, options):
    refused = run(task, *data, *words)
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert "`" not in refused.stderr
    with pytest.raises((ValueError, TypeError), match=r"`[a-z_]+`") as raised:
        czbenchmarks.evaluate("@obsm:X_model", cells, task, **options)
    assert "--" not in str(raised.value)


def test_notes_and_failures_name_options(data, tmp_path):
    """What is printed has options, what is stored has arguments, and a shown record is as the run was."""
    words = ["clustering", *data, "-B", "--baseline-n-pcs", 28]
    told = run(*words, "-o", tmp_path / "run.json")
    assert told.exit_code == 1
    assert "no --input-labels named" in told.stderr
    assert "failed: --baseline-n-pcs must be less than" in told.stderr
    record = RunRecord.read(tmp_path / "run.json")
    assert "`n_pcs`" in record.failures[0].reason
    shown = CliRunner().invoke(main, ["results", "show", str(tmp_path / "run.json")])
    assert "failed: --baseline-n-pcs must be less than" in shown.stderr
    assert "no --input-labels named" in shown.stderr


FLAGS = {"n_folds": "--n-folds", "metrics": "--metrics", "input_labels": "--input-labels", "checks": "--checks"}


@pytest.mark.parametrize(
    ("sentence", "typed"),
    [
        ("`n_folds` must be at least 2.", "--n-folds must be at least 2."),
        ("pass n_folds=3 or metrics='scib'", "pass --n-folds 3 or --metrics scib"),
        ("add checks (--checks).", "add checks (--checks)."),
        ("name it with input_labels (--input-labels COLUMN).", "name it with --input-labels COLUMN."),
        ("add checks=True, or checks=False", "add --checks, or --no-checks"),
        # Names in the data are left alone, whatever they look like.
        ("Column 'n_folds' is not in obs", "Column 'n_folds' is not in obs"),
        ("got '/data/n_folds.h5ad' and @obs:n_folds", "got '/data/n_folds.h5ad' and @obs:n_folds"),
        ("my_n_folds, n_folds_2, metrics of checks", "my_n_folds, n_folds_2, metrics of checks"),
    ],
)
def test_what_is_an_argument_and_what_is_not(sentence, typed):
    assert as_typed(sentence, FLAGS) == typed


def test_the_spelling_that_was_typed():
    flags = options_of(_task_command("clustering"))
    assert as_typed("`input_labels` must", flags) == "--input-labels must"
    assert as_typed("`input_labels` must", flags, ["--labels", "x"]) == "--labels must"
    assert as_typed("`input_labels` must", flags, ["--labels=x"]) == "--labels must"


def test_every_field_of_every_task_has_its_option():
    from czbenchmarks.tasks import TASK_REGISTRY

    for task in TASK_REGISTRY.list_tasks():
        command = _task_command(task)
        offered = {flag for one in command.params if not one.hidden for flag in one.opts}
        flags = options_of(command)
        assert set(flags.values()) <= offered
        fields = [one.name for one in command.params if not one.hidden]
        assert set(fields) <= set(flags)


def test_components_that_nobody_asked_for_are_as_many_as_there_are(cells, data):
    """The default is lowered and said; a number that was given is refused, with the true limit."""
    told = run("clustering", *data, "-B")
    assert told.exit_code == 0
    note = re.search(r"--baseline-n-pcs was lowered from its default 50 to (\d+)", told.stderr)
    most = int(note[1])
    assert most < 27, "genes that do not vary are none of the variable ones"
    with pytest.raises(ValueError, match=rf"`n_pcs` must be less than .* at most {most}, got {most + 1}\."):
        czbenchmarks.evaluate(None, cells, "clustering", baseline=True, baseline_n_pcs=most + 1)
    record = czbenchmarks.evaluate(None, cells, "clustering", baseline=True, baseline_n_pcs=most)
    assert not any("lowered" in note for note in record.warnings)
