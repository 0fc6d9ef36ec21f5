"""Streams that are not UTF-8 get plain characters, and nothing is lost for want of a letter."""

import io
import json
import os
import subprocess
import sys

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from czbenchmarks.cli._streams import Plain, all_text, exactly, plain
from czbenchmarks.cli.output import as_csv
from czbenchmarks.results import RunRecord


def command(*words, **variables):
    """Run the program as a process; what it writes is read as Latin-1, so that any byte is a character."""
    names = ("PYTHONUTF8", "PYTHONIOENCODING", "LC_ALL", "LANG", "COLUMNS")
    environment = {**{name: value for name, value in os.environ.items() if name not in names}, **variables}
    code = "from czbenchmarks.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, env=environment, check=False
    )


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    labels = np.array(["γδ T", "B–cell", "细胞"])[np.arange(30) % 3]
    X = np.eye(3)[np.arange(30) % 3] + np.random.default_rng(0).normal(0, 0.1, (30, 3))
    obs = pd.DataFrame({"cell_type": labels}, index=[f"c{i}" for i in range(30)])
    ad.AnnData(X=X.astype("float32"), obs=obs, obsm={"X_model": X, "X_größe": X}).write_h5ad(path)
    return path


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "utf-8"])
def test_every_character_can_be_written(encoding):
    text = "".join(map(chr, [*range(32, 0x2600), 0x7EC6, 0x1F9EC, 0xDCC3]))
    plain(text, encoding).encode(encoding)


def test_plain_characters_and_escapes():
    assert plain("0.5 ± 0.1 … ↑ – ─", "ascii") == "0.5 +- 0.1 ... ^ - -"
    assert plain("Größe ±", "latin-1") == "Größe ±"
    assert plain("γ", "latin-1") == r"\u03b3"


def test_streams_are_as_before_afterwards(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    with all_text():
        print("±", flush=True)
        assert isinstance(sys.stdout, Plain)
    assert sys.stdout is stream
    assert stream.buffer.getvalue() == b"+-" + os.linesep.encode()


def test_a_table_in_ascii(cells, tmp_path):
    """The scores of several seeds have a ±; the record holds what the table shows."""
    words = ["-q", "run", "embedding", "-u", cells, "-c", "Größe=@obsm:X_größe", "-r", "1", "-r", "2"]
    done = command(*words, "-o", tmp_path / "run.json", **ASCII)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"+- 0.0000" in done.stdout
    assert b"silhouette_score (higher)" in done.stdout
    assert b"-----" in done.stdout
    assert rb"Gr\xf6\xdfe" in done.stdout, "the name is the one that was typed, not its bytes"
    assert RunRecord.read(tmp_path / "run.json").result_metrics[0].embedding == "Größe"


def test_labels_and_help_in_ascii(cells):
    told = command("info", cells, **ASCII)
    assert told.returncode == 0
    assert rb"\u03b3\u03b4 T" in told.stdout
    help_ = command("run", "embedding", "--help", **ASCII)
    assert help_.returncode == 0
    assert b"mean +- standard deviation" in b" ".join(help_.stdout.split())


def test_latin_1_keeps_its_letters(cells):
    done = command(
        "-q", "run", "embedding", "-u", cells, "-c", "Größe=@X", PYTHONIOENCODING="latin-1", LC_ALL="C.UTF-8"
    )
    assert "Größe".encode("latin-1") in done.stdout


def test_what_cannot_be_printed_is_written(cells, tmp_path):
    """Records and stores do not wait for the terminal."""
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no full disk here")
    words = [
        "-q",
        "run",
        "embedding",
        "-u",
        cells,
        "-c",
        "@X",
        "-o",
        tmp_path / "run.json",
        "--store",
        tmp_path / "s.db",
    ]
    code = "from czbenchmarks.cli.main import main; main()"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code, *map(str, words)], stdout=full, stderr=full, check=False)
    assert done.returncode == 2
    assert len(json.loads((tmp_path / "run.json").read_text())["result_metrics"]) == 1
    from czbenchmarks.results import Store

    assert len(Store(tmp_path / "s.db").runs()) == 1


def test_a_record_that_cannot_be_written_is_stored(cells, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from czbenchmarks.cli.main import main
    from czbenchmarks.results import Store

    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.setattr("czbenchmarks.results._files.os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    words = ["run", "embedding", "-u", cells, "-c", "@X", "-o", folder / "run.json", "--store", tmp_path / "s.db"]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 2
    assert "must be written to a writable file" in done.stderr
    assert "silhouette_score" in done.stdout
    assert len(Store(tmp_path / "s.db").runs()) == 1


LABELS = [
    "a",
    "a\x1b",
    r"a\x1b",
    r"a\x5cx1b",
    "a\x1b[31m",
    "a\n",
    "a\r\n",
    "\x07",
    "a\x9b",
    "a\u202e",
    "a\u2028",
    "\ud800",
]


def test_csv_holds_no_control_characters_and_merges_no_labels():
    table = as_csv(pd.DataFrame({"label": LABELS, "a\x1bb": range(len(LABELS))}))
    assert all(c.isprintable() or c == "\n" for c in table)
    rows = table.splitlines()
    assert len({row.split(",")[0] for row in rows[1:]}) == len(LABELS)
    assert rows[0] == r"label,a\x1bb"
    assert rows[2] == r"a\x1b,1"


@pytest.mark.parametrize("text", [r"C:\users\x", "γδ T", "a\xa0b", "a,b", "±"])
def test_csv_keeps_any_other_text(text):
    assert pd.read_csv(io.StringIO(as_csv(pd.DataFrame({"label": [text, None]}))))["label"].tolist()[0] == text


def test_programs_get_no_replacement(monkeypatch):
    """A dash of another kind is another label."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert exactly("B–cell,B-cell") == r"B\u2013cell,B-cell"
