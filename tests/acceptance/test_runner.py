"""The runner of the promises: what a row becomes, the exit status, and that every promise stands in its document."""

import importlib
import json
import shlex

import pytest
import runner
from runner import ROOT, Promise, Result, read_promises, stands_in_its_document, status
from world import Failed, NotRun, World, call

PROMISES = read_promises()
ROW = Promise("row", "make demo", "README.md", "suite:nothing")


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row.name)
def test_every_promise_stands_in_its_document_and_has_its_check(row):
    assert stands_in_its_document(row), f"{row.document} does not say {row.promise!r}"
    module, _, function = shlex.split(row.check)[0].partition(":")
    assert callable(getattr(importlib.import_module(f"checks.{module}"), function))


def test_a_row_of_words_that_no_document_holds_fails(tmp_path):
    row = Promise("row", "no such promise", "README.md", "suite:nothing")
    assert runner.run(row, World(ROOT, tmp_path)).result == "failed: README.md does not say so"


@pytest.mark.parametrize(
    ("check", "result", "figure"),
    [
        (lambda world: "3 values", "passed", "3 values"),
        (Failed("the file is gone\nand nobody knows why"), "failed: and nobody knows why", ""),
        (NotRun("no real cells"), "not run: no real cells", ""),
        (KeyError("x"), "failed: KeyError: 'x'", ""),
    ],
)
def test_what_becomes_of_a_row(tmp_path, monkeypatch, check, result, figure):
    def checked(world):
        if isinstance(check, Exception):
            raise check
        return check(world)

    monkeypatch.setattr(importlib.import_module("checks.suite"), "nothing", checked, raising=False)
    one = runner.run(ROW, World(ROOT, tmp_path))
    assert (one.result, one.figure) == (result, figure)
    assert one.line == f"row | make demo | {result} | {figure}"


@pytest.mark.parametrize(
    ("result", "strict", "expected"),
    [
        ("passed", True, 0),
        ("failed: it broke", False, 1),
        ("not run: no root", False, 0),
        ("not run: no root", True, 1),
        ("not run: second Python", True, 0),
    ],
)
def test_exit_status(result, strict, expected):
    row = Promise("row", "", "", "", optional="second Python")
    passed = Promise("other", "", "", "")
    results = [Result("other", "", "passed", "", 0.1), Result("row", "", result, "", 0.1)]
    assert status([passed, row], results, strict) == expected


def test_the_command_prints_rows_and_writes_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.import_module("checks.suite"), "nothing", lambda world: "all", raising=False)
    monkeypatch.setattr(runner, "read_promises", lambda: [ROW])
    assert runner.main(["row", "--json", str(tmp_path / "rows.json")]) == 0
    assert capsys.readouterr().out == "row | make demo | passed | all\n"
    [row] = json.loads((tmp_path / "rows.json").read_text())
    assert row["result"] == "passed"
    with pytest.raises(SystemExit, match="2"):
        runner.main(["rows"])
    assert "did you mean row?" in capsys.readouterr().err


def test_another_exit_status_is_a_failure_with_what_was_printed():
    with pytest.raises(Failed, match=r"exit status 3\n.*out\n.*err|out"):
        call(["bash", "-c", "echo out; echo err >&2; exit 3"])
    with pytest.raises(Failed, match="took longer than 0 s"):
        call(["sleep", "5"], timeout=0.1)


def test_commands_of_the_readme():
    from checks.installs import readme_commands

    first, second = readme_commands((ROOT / "README.md").read_text(encoding="utf-8"))[:2]
    assert first == ["make demo", "make test"]
    assert second[0] == "pip install ."
