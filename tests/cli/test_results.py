"""``czbenchmarks results``: what ``run`` kept is shown as ``run`` showed it."""

import io
import json
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from czbenchmarks.cli.main import main
from czbenchmarks.datasets.utils import open_dataset


def run(*words, **more):
    return CliRunner().invoke(main, ["-q", *(str(word) for word in words)], **more)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Two runs in a store, the first also as a file, and what was printed."""
    folder = tmp_path_factory.mktemp("runs")
    cells = open_dataset("baron_pancreas_human").path
    np.save(folder / "noise.npy", np.random.default_rng(0).normal(size=(812, 4)))
    words = ["-u", cells, "-c", folder / "noise.npy", "--store", folder / "runs.db"]
    first = run("run", "embedding", *words, "-o", folder / "first.json")
    second = run("run", "embedding", *words, "--labels", "donor", "-r", 1, "-r", 2)
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    return folder, [first.stdout, second.stdout]


def test_show_prints_what_run_printed(kept):
    folder, printed = kept
    for number in (1, 2):
        assert run("results", "show", number, "--store", folder / "runs.db").stdout == printed[number - 1]
    assert run("results", "show", folder / "first.json").stdout == printed[0]
    shown = run("results", "show", "1", "-f", "json", env={"CZBENCHMARKS_STORE": str(folder / "runs.db")})
    assert json.loads(shown.stdout) == json.loads((folder / "first.json").read_text())


def test_list(kept):
    folder, _ = kept
    table = run("results", "list", "--store", folder / "runs.db").stdout
    assert table.count("embedding") == 2
    rows = json.loads(run("results", "list", "--store", folder / "runs.db", "-f", "json").stdout)
    assert [(row["id"], row["embeddings"], row["scores"]) for row in rows] == [(1, "noise", 1), (2, "noise", 1)]


def test_export_is_one_table(kept):
    folder, _ = kept
    table = pd.read_csv(io.StringIO(run("results", "export", "--store", folder / "runs.db").stdout))
    assert list(table["run"]) == [1, 2]
    assert list(table.columns[:6]) == ["run", "timestamp", "task", "embedding", "metric", "value"]
    assert list(table.columns[-3:]) == ["key", "dataset", "better"], "what is new is behind what there was"
    assert set(table["dataset"]) == {str(open_dataset("baron_pancreas_human").path)}
    assert set(table["better"]) == {"higher"}
    files = json.loads(run("results", "export", folder / "first.json", "-f", "json").stdout)
    assert files == [json.loads((folder / "first.json").read_text())]


def damage(folder, name, content):
    """Return a copy of the store in which the record of the first run is damaged."""
    path = folder / name
    shutil.copy(folder / "runs.db", path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE runs SET record = {content} WHERE id = 1")
        connection.commit()
    return path


@pytest.mark.parametrize(
    "content",
    ["substr(record, 1, 300)", "'{}'", "''", "X'FFFE00'", "CAST(X'7B22FF' AS TEXT)", "'[1, 2]'"],
)
def test_a_damaged_record_hides_no_other(kept, content):
    folder, _ = kept
    store = damage(folder, "damaged.db", content)
    exported = run("results", "export", "--store", store)
    assert exported.exit_code == 1
    assert set(pd.read_csv(io.StringIO(exported.stdout))["run"]) == {2}
    assert exported.stderr.count("\n") == 1
    assert f"run 1 of {store}" in exported.stderr
    as_json = run("results", "export", "--store", store, "-f", "json")
    assert (as_json.exit_code, len(json.loads(as_json.stdout))) == (1, 1)
    listed = run("results", "list", "--store", store)
    assert listed.exit_code == 1
    assert listed.stdout.count("damaged") == 1
    assert listed.stdout.count("embedding") == 2
    assert listed.stderr.count("run 1 is damaged") == 1
    rows = json.loads(run("results", "list", "--store", store, "-f", "json").stdout)
    assert [row["damaged"] for row in rows] == [True, False]
    shown = run("results", "show", 1, "--store", store)
    assert (shown.exit_code, shown.stdout, shown.stderr.count("\n")) == (2, "", 1)
    assert run("results", "show", 2, "--store", store).exit_code == 0


def test_a_damaged_file_hides_no_other(kept, tmp_path):
    folder, _ = kept
    (tmp_path / "cut.json").write_text((folder / "first.json").read_text()[:200])
    exported = run("results", "export", tmp_path / "cut.json", folder / "first.json")
    assert exported.exit_code == 1
    assert len(exported.stdout.splitlines()) == 2
    assert "cut.json" in exported.stderr
    missing = run("results", "export", tmp_path / "none.json", folder / "first.json")
    assert (missing.exit_code, missing.stdout) == (2, "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["show", "1"], "--store FILE"),
        (["show", "none.json"], "does not exist"),
        (["export"], "At least one run"),
        (["list"], "Missing option '--store'"),
        (["list", "--store", "none.db"], "must exist"),
        (["shwo"], "No such command"),
    ],
)
def test_bad_usage_is_one_line(words, says, monkeypatch):
    monkeypatch.delenv("CZBENCHMARKS_STORE", raising=False)
    result = run("results", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_bad_store_is_refused_before_the_work(kept, monkeypatch):
    folder, _ = kept
    monkeypatch.setattr("czbenchmarks.run.evaluate.evaluate", lambda *_, **__: pytest.fail("it began to work"))
    result = run("run", "embedding", "-u", "cells.h5ad", "-c", "@X", "--store", folder / "noise.npy")
    assert result.exit_code == 2
    assert "must be an SQLite file" in result.stderr


def test_tables_behind_scores_and_checks(kept):
    """By label and by check; an unknown one is told from those there are; without a value the status is 1."""
    folder, _ = kept
    cells = open_dataset("baron_pancreas_human").path
    words = ["-u", cells, "-c", folder / "noise.npy", "--batch-labels", "donor", "--metrics", "clisi,isolated_labels"]
    scored = run("run", "batch_integration", *words, "--checks", "-o", folder / "parts.json")
    record = json.loads((folder / "parts.json").read_text())
    assert scored.exit_code == int(any(score["reason"] for score in record["result_metrics"]))
    parts = json.loads(run("results", "show", folder / "parts.json", "--breakdown", "clisi", "-f", "json").stdout)
    [clisi] = [score for score in record["result_metrics"] if score["metric_type"] == "clisi"]
    assert [{key: row[key] for key in clisi["breakdowns"][0]} for row in parts] == clisi["breakdowns"]
    by_check = run("results", "show", folder / "parts.json", "--check", "scale_and_dimension")
    assert "every dimension to variance 1" in by_check.stdout
    for words, says in (
        (["--breakdown", "clisj"], "Did you mean 'clisi'?"),
        (["--breakdown", ""], "Breakdown '' is not in the run."),
        (["--check", "scale_and_dimensions"], "Did you mean 'scale_and_dimension'?"),
        (["--check", "scale_and_dimension", "--breakdown", "clisi"], "pass one of them"),
    ):
        refused = run("results", "show", folder / "parts.json", *words)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert says in refused.stderr
