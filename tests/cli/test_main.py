"""The program: help, near misses, exit statuses, signals, and stdout that cannot be written."""

from __future__ import annotations

import logging
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from czbenchmarks._lazy import load
from czbenchmarks.cli import main as program
from czbenchmarks.cli.main import COMMANDS, main
from czbenchmarks.exceptions import InputError, InputTypeError

SLOW = pathlib.Path(__file__).with_name("slow.py")
NAMES = [name for section in COMMANDS.values() for name in section]
START = [sys.executable, "-c", "from czbenchmarks.cli.main import main; main()"]
posix = pytest.mark.skipif(os.name == "nt", reason="signals and /dev of POSIX")


def run(*words):
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def command(monkeypatch):
    """Give the program one more command, which does what the function passed does."""

    def give(function):
        name = "extra"
        monkeypatch.setitem(program._ROWS, name, ("unused:here", "An extra."))
        made = click.command(name)(function)
        monkeypatch.setattr(program, "load", lambda reference: made if reference == "unused:here" else load(reference))
        return name

    return give


# Help and near misses


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_there(name):
    [(reference, text)] = [rows[name] for rows in COMMANDS.values() if name in rows]
    found = load(reference)
    assert isinstance(found, click.Command)
    assert found.name == name
    assert text.endswith(".")
    shown = run(name, "--help")
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"Usage: czbenchmarks {name}")


def test_help_lists_the_commands_under_headings_with_examples():
    shown = run("--help").stdout
    places = [shown.index(f"\n{heading}:\n") for heading in COMMANDS]
    assert places == sorted(places)
    for name in NAMES:
        assert re.search(rf"^  {name} ", shown, re.MULTILINE)
    examples = re.findall(r"^ +czbenchmarks (\w+)", shown, re.MULTILINE)
    assert examples
    assert set(examples) <= set(NAMES)


@pytest.mark.parametrize("words", [["--help"], ["--version"], [], ["lst"], ["completion", "--help"]])
def test_help_imports_no_command(words):
    code = (
        "import sys; from czbenchmarks.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(sorted(m for m in sys.modules if m.startswith('czbenchmarks.cli.') or m in ('numpy', 'rich')),"
        " file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    loaded = {"_signals", "_streams", "main", "progress", *(["completion"] if "completion" in words else [])}
    assert found.stderr.splitlines()[-1] == str(sorted(f"czbenchmarks.cli.{name}" for name in loaded))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("lst", "No such command 'lst'. Did you mean 'list'? Commands: "),
        ("clustering -u cells.h5ad", "No such command 'clustering'. Did you mean 'run clustering'? Commands: "),
        ("xyzzy", f"No such command 'xyzzy'. Commands: {', '.join(NAMES)}."),
        ("run clusterng", "Did you mean 'clustering'?"),
        ("run label-prediction --n-fold 3", "No such option '--n-fold'. Did you mean '--n-folds'?"),
        ("run clustering --quite", "No such option '--quite'. Did you mean '--quiet'?"),
        ("run clustering -Z", "No such option '-Z'. 'czbenchmarks run clustering --help' lists the options."),
        ("--verson", "No such option '--verson'. Did you mean '--version'?"),
        ("list tasks -ll loud", "'loud' is not one of 'debug', "),
        ("list tasks -ll", "'' is not one of 'debug', "),
        ("completion", "Missing argument"),
    ],
)
def test_a_near_miss_is_named(words, sentence):
    result = run(*words.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert sentence in result.stderr


def test_own_options_may_stand_anywhere(command):
    def show():
        click.echo(str(sorted(click.get_current_context().find_root().params.items())))

    name = command(click.argument("words", nargs=-1)(lambda words: show()))
    want = "[('log_level', 'error'), ('quiet', True)]\n"
    for words in (["-q", "-ll", "error", name], [name, "-q", "-ll", "error"], [name, "--log-level=error", "--quiet"]):
        assert run(*words).stdout == want
    assert run(name, "--", "-q").stdout == "[('log_level', 'warning'), ('quiet', False)]\n"


# What went wrong


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (InputError("`x` must\n  be y."), 2, "`x` must be y."),
        (ImportError("No module named 'tomato'"), 2, "No module named 'tomato'"),
        (FileNotFoundError(2, "No such file or directory", "a.h5ad"), 2,
         "'a.h5ad' cannot be used: No such file or directory."),
        (OSError(28, "No space left on device"), 2, "Reading or writing failed: No space left on device."),
        (EOFError(), 2, "The input ended before it was complete."),
        (InputTypeError("label \x1b[31mred\x07"), 2, "label \\x1b[31mred\\x07"),
        (click.UsageError("Pass one."), 2, "Pass one."),
        (MemoryError("Unable to allocate 9 TiB"), 1,
         "The memory of this machine does not suffice (Unable to allocate 9 TiB); score fewer cells or use a larger "
         "machine."),
    ],
)  # fmt: skip
def test_errors_are_one_line(command, error, status, sentence):
    def fail():
        raise error

    name = command(fail)
    result = run(name)
    assert (result.exit_code, result.stdout, result.stderr) == (status, "", f"Error: {sentence}\n")
    full = run(name, "-ll", "debug")
    assert full.exit_code == status
    assert full.stderr.splitlines()[-1] == f"Error: {sentence}"
    known = isinstance(error, (click.UsageError, EOFError))
    assert ("Traceback" in full.stderr) is not known


@pytest.mark.parametrize("error", [KeyError("neighbors"), ValueError("operands could not be broadcast"), ValueError()])
def test_a_bug_is_one_line_that_names_the_saved_traceback(command, error, monkeypatch, tmp_path):
    def fail():
        raise error

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = run(command(fail))
    assert (result.exit_code, result.stdout) == (1, "")
    [saved] = tmp_path.iterdir()
    said = f"czbenchmarks itself failed ({type(error).__name__}: {error}); please report it with {saved}."
    assert result.stderr == f"Error: {said}\n"
    assert "in fail" in saved.read_text(encoding="utf-8")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert run(command(fail)).stderr.endswith("report it with what the same command prints with -ll debug.\n")


def test_the_status_is_the_commands(command):
    assert run(command(lambda: 1)).exit_code == 1
    assert run(command(lambda: None)).exit_code == 0
    assert run(command(lambda: click.get_current_context().exit(3))).exit_code == 3


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("warning", ["WARNING czbenchmarks.tasks: ours", "WARNING other: theirs"]),
        ("info", ["INFO czbenchmarks.tasks: ours", "WARNING czbenchmarks.tasks: ours", "WARNING other: theirs"]),
        ("error", []),
    ],
)
def test_the_log_tells_our_decisions_and_others_warnings(command, level, shown):
    def tell():
        for name, what in (("czbenchmarks.tasks", "ours"), ("other", "theirs")):
            for at in (logging.DEBUG, logging.INFO, logging.WARNING):
                logging.getLogger(name).log(at, what)

    before = list(logging.root.handlers), logging.getLogger("czbenchmarks").level
    assert run(command(tell), "-ll", level).stderr.splitlines() == shown
    assert (list(logging.root.handlers), logging.getLogger("czbenchmarks").level) == before


# Signals


@posix
@pytest.mark.parametrize(
    ("number", "words", "status", "least"),
    [
        (signal.SIGINT, [], 130, 0),
        (signal.SIGTERM, [], 143, 0),
        (signal.SIGINT, ["--clumsy"], 130, 0),
        (signal.SIGINT, ["--deaf"], 130, 0.9),
        (signal.SIGTERM, ["--deaf"], 143, 0.9),
    ],
)
def test_a_signal_stops_at_once(tmp_path, start, number, words, status, least):
    process = start([sys.executable, SLOW, "wait", *words], cwd=tmp_path, stdout=-1, stderr=-1, text=True)
    assert process.stdout.readline() == "ready\n"
    assert len(list(tmp_path.iterdir())) == 1
    sent = time.monotonic()
    process.send_signal(number)
    out, error = process.communicate(timeout=10)
    took = time.monotonic() - sent
    assert (process.returncode, out) == (status, "")
    assert error.splitlines()[-1] == "Stopped."
    assert "Traceback" not in error
    assert least <= took < least + 3
    if not least:  # it was heard, so what was open could be closed
        assert list(tmp_path.iterdir()) == []


@posix
def test_an_ignored_interruption_stays_ignored(tmp_path, start):
    """As under nohup."""
    code = "import signal, runpy, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.argv = sys.argv[1:]; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    process = start([sys.executable, "-c", code, SLOW, "count"], cwd=tmp_path, stdout=-1, stderr=-1, text=True)
    assert process.stderr.readline().startswith("run 1 of 2")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "the table\n")


@posix
def test_ctrl_c_in_a_long_run_leaves_nothing_behind(tmp_path, start):
    import anndata as ad

    rng = np.random.default_rng(0)
    n = 20_000
    obs = pd.DataFrame({"cell_type": rng.choice(list("abcdef"), n)}, index=[f"c{i}" for i in range(n)])
    ad.AnnData(obs=obs, obsm={"X_m": rng.normal(size=(n, 50)).astype(np.float32)}).write_h5ad(tmp_path / "cells.h5ad")
    out = tmp_path / "out"
    out.mkdir()
    words = ["run", "label_prediction", "-u", "../cells.h5ad", "-c", "@obsm:X_m", "-o", "record.json"]
    environment = {**os.environ, "TMPDIR": str(out)}
    process = start([*START, *words], cwd=out, stdout=-1, stderr=-1, text=True, env=environment)
    assert "label_prediction of @obsm:X_m" in process.stderr.readline()  # after two seconds of work
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    printed, error = process.communicate(timeout=10)
    assert time.monotonic() - sent < 2
    assert (process.returncode, printed) == (130, "")
    assert error.splitlines()[-1] == "Stopped."
    assert list(out.iterdir()) == []


# stdout and stderr


def shell(command):
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)


@posix
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["--help", "list metrics -f json"])
def test_a_full_disk_is_one_line(words, unbuffered):
    found = shell(f"PYTHONUNBUFFERED={unbuffered} {sys.executable} {SLOW} {words} > /dev/full")
    assert found.returncode == 2
    assert found.stderr == "Error: Reading or writing failed: No space left on device.\n"


@posix
@pytest.mark.parametrize("where", ["/dev/full", "&-"])
def test_stderr_that_cannot_be_written_changes_no_status(where):
    assert shell(f"{sys.executable} {SLOW} lst 2>{where}").returncode == 2
    found = shell(f"{sys.executable} {SLOW} count 2>{where}")
    assert (found.returncode, found.stdout, found.stderr) == (0, "the table\n", "")


@posix
@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ("", False),
        ("FORCE_COLOR=1", True),
        ("CLICOLOR_FORCE=1", True),
        ("CLICOLOR_FORCE=0", False),
        ("CLICOLOR=0", False),
    ],
)
def test_a_table_in_a_file_is_plain_unless_asked(variables, coloured):
    found = shell(f"unset FORCE_COLOR NO_COLOR CLICOLOR; {variables} {sys.executable} {SLOW} list tasks")
    assert found.returncode == 0
    assert ("\x1b[" in found.stdout) is coloured


@posix
def test_no_colour_wins():
    found = shell(f"NO_COLOR=1 FORCE_COLOR=1 {sys.executable} {SLOW} list tasks")
    assert re.search(r"\x1b\[[\d;]*[349]\d", found.stdout) is None


@pytest.mark.parametrize("name", ["demo", "list", "info", "run", "cache", "completion"])
def test_every_command_s_help_has_an_example(name):
    done = CliRunner().invoke(main, [name, "--help"])
    assert f"  czbenchmarks {name}" in done.stdout or f"$(czbenchmarks {name}" in done.stdout
