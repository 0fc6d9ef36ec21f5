"""What is seen of long work: bars on a terminal, lines elsewhere, nothing with ``--quiet``."""

from __future__ import annotations

import functools
import io
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from czbenchmarks import _progress
from czbenchmarks._progress import Work, listening, track, work
from czbenchmarks.cli.progress import AFTER, Display, described, one_line, showing

SLOW = pathlib.Path(__file__).with_name("slow.py")
posix = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
PLAIN = {name: value for name, value in os.environ.items() if not name.endswith(("_COLOR", "COLUMNS", "CLICOLOR"))}


def run(*words, **variables):
    return subprocess.run(
        [sys.executable, SLOW, *words], capture_output=True, text=True, check=True, env={**PLAIN, **variables}
    )


@pytest.fixture
def on_terminal(start, tmp_path):
    """Return a function that runs with stderr on a terminal and stdout in a pipe.

    It returns status, stdout and what the terminal got.
    """
    return functools.partial(_on_terminal, start, tmp_path)


def _on_terminal(start, folder, *words, interrupt=False, **variables):
    import pty

    mine, its = pty.openpty()
    environment = {**PLAIN, "TERM": "xterm-256color", "COLUMNS": "100", **variables}
    process = start([sys.executable, SLOW, *words], stdout=-1, stderr=its, env=environment, cwd=folder)
    os.close(its)
    shown = bytearray()

    def read():
        try:
            while piece := os.read(mine, 4096):
                shown.extend(piece)
        except OSError:  # how Linux says that the other side is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    out = b""
    if interrupt:
        out = process.stdout.readline()
        process.send_signal(signal.SIGINT)
    out += process.communicate(timeout=20)[0]
    reader.join()
    os.close(mine)
    return process.returncode, out.decode(), shown.decode()


# Without a terminal


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}, {"NO_COLOR": "1"}])
def test_lines_where_there_is_no_terminal(variables):
    found = run("count", **variables)
    assert found.stdout == "the table\n"
    lines = found.stderr.splitlines()
    assert re.fullmatch(r"run 1 of 2: task of a: blocks, \d+%, about \d s left", lines[0])
    assert [line for line in lines if not line.startswith("run ")] == ["WARNING czbenchmarks: half of it", "a note"]


@pytest.mark.parametrize("words", [["-q", "count"], ["count", "--quiet"]])
def test_quiet_shows_neither_progress_nor_notes(words):
    found = run(*words)
    assert (found.stdout, found.stderr) == ("the table\n", "WARNING czbenchmarks: half of it\n")


def test_lines_come_after_a_while_and_seldom():
    stream = io.StringIO()
    display = Display(stream, after=0.3, gaps=(0.5, 60.0))
    with listening(display):
        for _ in track(range(3), "short"):
            time.sleep(0.02)
        assert stream.getvalue() == ""
        with work("long"):
            for _ in track(range(30), "steps"):
                time.sleep(0.06)
    display.close()
    assert len(stream.getvalue().splitlines()) == 2
    assert all(re.fullmatch(r"long: steps, \d+%, about \d s left", line) for line in stream.getvalue().splitlines())


def test_users_of_python_can_show_it_too(capsys, monkeypatch):
    monkeypatch.setattr("czbenchmarks.cli.progress.AFTER", 0.1)
    with showing():
        for _ in track(range(8), "steps"):
            time.sleep(0.1)
    with showing(quiet=True):
        for _ in track(range(8), "unseen"):
            time.sleep(0.1)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.fullmatch(r"steps, \d+%, about \d s left\n", shown.err)


def test_a_stream_that_breaks_does_not_stop_the_work():
    class Broken(io.StringIO):
        def write(self, text):
            raise OSError("nobody reads")

    display = Display(Broken(), after=0.0)
    with listening(display):
        for _ in track(range(5), "steps"):
            time.sleep(0.1)
    assert not display._thread.is_alive()  # it gave up
    display.close()


def test_two_seconds_are_not_mentioned():
    assert AFTER == 2.0


# What a line says


@pytest.fixture
def at(monkeypatch):
    """Make work that began at second 0 and advanced at second 10."""

    def make(what, total=None, done=0, **more):
        with monkeypatch.context() as patch:
            patch.setattr(_progress.time, "monotonic", lambda: 0.0)
            one = Work(what, total, **more)
            patch.setattr(_progress.time, "monotonic", lambda: 10.0)
            if done:
                one.advance(done)
        return one

    return make


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"total": 8, "done": 2}, "fits, 25%, about 30 s left"),
        ({"total": 8, "done": 8}, "fits, 100%, about 1 s left"),
        ({"total": 1000, "done": 10}, "fits, 1%, about 16 min left"),
        ({"total": 1000, "done": 1}, "fits, 0%, about 2 h 46 min left"),
        ({"total": 8}, "fits, 0%"),
        ({}, "fits, 10 s so far"),
        ({"total": 0}, "fits, 10 s so far"),
        ({"total": 8e6, "done": 2e6, "unit": "B"}, "fits, 2.0 of 8.0 MB, about 30 s left"),
        ({"done": 2e6, "unit": "B"}, "fits, 10 s so far, 2.0 MB"),
    ],
)
def test_a_line_says_how_far_it_is_and_how_long_it_takes(at, given, line):
    assert described(at("fits", **given), 10.0) == line


def test_a_line_names_what_the_work_is_a_part_of(at):
    outer = at("run", 8, 3)
    task = at("label_prediction of X_pca", outer=outer)
    assert described(at("classifiers", 10, 5, outer=task), 10.0) == (
        "run 4 of 8: label_prediction of X_pca: classifiers, 50%, about 10 s left"
    )
    alone = at("embedding of X_pca", outer=at("run", 1))
    assert described(alone, 10.0) == "embedding of X_pca, 10 s so far"


def test_names_do_not_steer_the_terminal():
    assert one_line("a\x1b[2J\nb\u202e é…") == "a\\x1b[2J b\\u202e é…"


# On a terminal


def plain(shown):
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown)


@posix
@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}])
def test_bars_on_a_terminal_that_vanish(variables, on_terminal):
    status, out, shown = on_terminal("count", **variables)
    assert (status, out) == (0, "the table\n")
    assert re.search(r"run +\S* +0%", plain(shown))
    assert re.search(r"  task of a .*━.* \d s so far", plain(shown))
    assert re.search(r"    blocks .*━.* \d+%, about \d s left", plain(shown))
    assert "task of [bold]b\\x1b[31m" in plain(shown)  # as it is: neither markup nor an escape
    assert "\x1b[31m" not in shown
    assert "WARNING czbenchmarks: half of it" in shown
    # The cursor is back, the lines of the bars are erased, and the note is the last that is seen.
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
    end = shown.partition("\x1b[?25h")[2]
    assert re.fullmatch(r"\r(\x1b\[1A\x1b\[2K)+a note\r\n", end)
    coloured = re.search(r"\x1b\[[\d;]*[349]\d", shown) is not None
    assert coloured is ("NO_COLOR" not in variables)


@posix
@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": "dumb", "FORCE_COLOR": "1"}])
def test_lines_on_a_terminal_that_cannot_do_more(variables, on_terminal):
    status, out, shown = on_terminal("count", **variables)
    assert (status, out) == (0, "the table\n")
    assert shown.startswith("run 1 of 2: task of a: blocks, ")
    assert "\x1b" not in shown


@posix
def test_quiet_on_a_terminal(on_terminal):
    assert on_terminal("count", "-q") == (0, "the table\n", "WARNING czbenchmarks: half of it\r\n")


@posix
@pytest.mark.parametrize("words", [["wait"], ["wait", "--deaf"]])
def test_ctrl_c_gives_the_terminal_back(words, on_terminal):
    status, out, shown = on_terminal(*words, interrupt=True)
    assert (status, out) == (130, "ready\n")
    assert "waiting" in shown
    assert shown.count("\x1b[?25l") == 1
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    assert shown.endswith("Stopped.\r\n")
