"""Tables of orthologues: the formats that are read, and one sentence for whatever is none."""

import gzip
import os
import pickle

import numpy as np
import pandas as pd
import pytest

from czbenchmarks.datasets import ortholog_tables
from czbenchmarks.datasets.ortholog_tables import BUNDLED, plain_names, positions_of, read_all
from czbenchmarks.datasets.types import Organism

GOOD = "human_symbol,mouse_symbol\nINS,Ins2\nGCG,Gcg\n"


def names(table, organism="human"):
    return [list(column) for column in read_all(table).names[Organism(organism)].values()]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pairs.csv", GOOD.encode()),
        ("pairs.CSV", ("\ufeff" + GOOD).encode()),
        ("pairs.tsv", GOOD.replace(",", "\t").encode()),
        ("pairs.txt", GOOD.replace(",", "\t").replace("\n", "\r\n").encode()),
        ("pairs.csv.gz", gzip.compress(GOOD.encode(), mtime=0)),
        ("pairs.tsv.gz", gzip.compress(GOOD.replace(",", "\t").encode(), mtime=0)),
        ("more.csv", b"score,Human gene name,Mouse gene name,homology\n1,INS,Ins2,x\n1,GCG,Gcg,y\n1,GCG,Gcg,y\n"),
        ("quoted.csv", b'"homo_sapiens","MUS MUSCULUS"\n" INS","Ins2"\n"GCG","Gcg"\n'),
    ],
)
def test_files(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    for given in (path, str(path)):
        assert names(given) == [["INS", "GCG"]]
        assert names(given, "mouse") == [["Ins2", "Gcg"]]
    assert str(path) in read_all(path).called
    assert "SHA-256" in read_all(path).called


def test_headings():
    frame = pd.DataFrame(
        [list("abcdefg")],
        columns=[
            "human_symbol",
            "human_ensembl_id",
            "Mouse gene stable ID",
            "rat",
            "unheard_of_symbol",
            "human_score",
            5,
        ],
    )
    found = read_all(frame).names
    assert {organism: list(columns) for organism, columns in found.items()} == {
        Organism.HUMAN: ["human_symbol", "human_ensembl_id"],
        Organism.MOUSE: ["Mouse gene stable ID"],
        Organism.RAT: ["rat"],
    }


def test_a_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pairs.csv").write_text(GOOD)
    assert names("~/pairs.csv") == [["INS", "GCG"]]


def test_names_are_text_without_versions():
    given = pd.Series(["INS", None, np.nan, 5, " ENSG00000012345.12 ", "RP11-34P13.7", "ENSG00000182378.15_PAR_Y"])
    wanted = ["INS", "", "", "5", "ENSG00000012345", "RP11-34P13.7", "ENSG00000182378.15_PAR_Y"]
    assert plain_names(given.astype("category").to_numpy()).tolist() == wanted
    assert plain_names(pd.Categorical(given)).tolist() == wanted


def test_positions():
    def found(wanted, there):
        return positions_of(np.array(wanted, dtype=object), np.array(there, dtype=object)).tolist()

    assert found(["a", "b", "c"], ["c", "x", "a"]) == [2, -1, 0]
    assert found(["a", "a", "c"], ["c", "x", "a"]) == [-1, -1, 0]
    assert found(["a", "b", "c"], ["c", "a", "a"]) == [-1, -1, 0]
    assert found(["", "b"], ["", "b"]) == [-1, 1]
    assert found(["a"], []) == [-1]


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("was_executed",))


def deep(levels):
    content = b"0" * 60_000_000
    for _ in range(levels):
        content = gzip.compress(content, 1, mtime=0)
    return content


BAD = [
    ("missing.csv", None, "an existing file, got '.*missing.csv', which does not exist"),
    ("human-rat", None, "must be 'human-mouse', a DataFrame or an existing file, got 'human-rat'"),
    ("x" * 5000 + ".csv", None, "must be readable, got 'x+.csv' .File name too long"),
    ("nul\0.csv", None, r"got 'nul\\x00.csv', which does not exist"),
    ("pairs.pkl", pickle.dumps(Evil()), "must be text, got '.*pairs.pkl'; pass a .csv or .tsv file"),
    ("pairs.csv", pickle.dumps(Evil()), "of moderate size, got '.*pairs.csv' with NUL characters|headings|columns of"),
    ("pairs.xlsx", b"PK", "must be text, got '.*pairs.xlsx'"),
    ("empty.csv", b"", r"must have a row of headings .*\(No columns to parse from file\)"),
    ("blank.csv", b"\n\n\n", r"must have a row of headings"),
    ("utf16.csv", GOOD.encode("utf-16"), "NUL characters"),
    ("latin.csv", b"human_symbol,mouse_symbol\nIN\xe9,Ins2\n", r"in UTF-8, got .*latin.csv.*can't decode"),
    ("ragged.csv", b"human_symbol,mouse_symbol\nINS,Ins2,x,y\n", "rows of equal length"),
    ("ragged2.csv", b"human_symbol,mouse_symbol\nINS,Ins2\nINS,Ins2,x\n", "rows of equal length"),
    ("quote.csv", b'human_symbol,mouse_symbol\n"INS,Ins2\n', "rows of equal length.*EOF inside string"),
    ("one.csv", b"human_symbol\nINS\n", "columns of at least two organisms.*with the columns human_symbol"),
    ("tabs.csv", GOOD.replace(",", "\t").encode(), "columns of at least two organisms"),
    ("none.csv", b"a,b\n1,2\n", "columns of at least two organisms.*with the columns a, b; rename them"),
    ("escape.csv", b"a\x1b[2J,b\n1,2\n", r"with the columns a\\x1b\[2J, b"),
    ("cut.csv.gz", gzip.compress(GOOD.encode(), mtime=0)[:-12], "must be readable.*Compressed file ended"),
    ("plain.csv.gz", GOOD.encode(), "must be readable.*Not a gzipped file"),
    ("damaged.csv.gz", gzip.compress(GOOD.encode(), mtime=0)[:12] + b"\xff" * 30, "must be readable"),
    ("bomb.csv.gz", deep(1), "more than 50,000,000 characters"),
    ("rows.csv.gz", gzip.compress(GOOD.encode() + b"a,b\n" * 1_000_001, mtime=0), "more than 1,000,000 rows"),
    ("wide.csv", b"human_symbol," + b"a," * 300 + b"mouse_symbol\n", "more than 200 columns"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "sentence"), BAD, ids=[case[0][:12].replace("\0", "") for case in BAD])
def test_bad_files(tmp_path, monkeypatch, name, content, sentence):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=sentence) as caught:
        read_all(name)
    assert str(caught.value).isprintable(), "one line, nothing that moves a terminal's cursor"
    assert str(caught.value).startswith("The table of orthologues must ")
    assert len(str(caught.value)) < 600 + len(name)
    assert not (tmp_path / "was_executed").exists()


def test_folders_and_pipes(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("folder.csv", "pipe.csv"):
        with pytest.raises(ValueError, match=f"got '.*{name}', which is no file"):
            read_all(tmp_path / name)


def test_other_kinds():
    for given in (5, {"human": ["INS"]}, np.zeros((2, 2))):
        with pytest.raises(TypeError, match="must be 'human-mouse', a DataFrame or the path"):
            read_all(given)
    with pytest.raises(ValueError, match="at least one table of orthologues, got an empty list"):
        read_all([])
    with pytest.raises(ValueError, match="must each have a column of human genes"):
        read_all([pd.DataFrame({"human": ["A"], "mouse": ["a"]}), pd.DataFrame({"rat": ["A"], "mouse": ["a"]})])


def test_what_a_data_frame_holds_is_not_changed():
    frame = pd.DataFrame({"human": ["A", None, "A"], "mouse": ["a", "b", "a"]})
    before = frame.copy()
    assert names(frame) == [["A", ""]]
    assert frame.equals(before)


def test_the_bundled_tables_are_there_and_within_the_limits():
    for name in BUNDLED:
        table = read_all(name)
        assert len(table.labels()) > 10_000
        assert table.called == f"the table {name}"
    assert read_all(None).called == "the table human-mouse"
    assert ortholog_tables._LARGEST > 10_000_000
