"""The map of CONTRIBUTING.md: every path and every name on it exists."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "czbenchmarks"
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAP = TEXT[TEXT.index("```text\n") : TEXT.index("## What is promised")]


def paths() -> list[pathlib.Path]:
    tree = MAP.split("```")[1].splitlines()[1:]
    found = []
    for line in tree:
        names = re.match(r" *((?:[\w./]+ )*[\w./]+)(?:  |$)", line)
        base = SOURCE if line.startswith("  ") else ROOT
        found += [base / name for name in names[1].split()] if names else []
    return found


def named() -> list[tuple[str, str]]:
    """Return file and function, class or method of every row of the way of the data."""
    rows = [line for line in MAP.splitlines() if line.startswith("|") and ".py`" in line]
    found = []
    for row in rows:
        file = ""
        for name in re.findall(r"`([\w./]+)`", row.split("|")[2]):
            file = name if name.endswith(".py") else file
            found.append((file, "" if name.endswith(".py") else name))
    return found


def test_every_path_exists():
    found = paths()
    assert len(found) > 15
    assert [str(path) for path in found if not path.exists()] == []


def test_every_folder_is_on_the_map():
    folders = {path for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(paths())


@pytest.mark.parametrize(("file", "name"), named())
def test_the_way_of_the_data_is_there(file, name):
    tree = ast.parse((SOURCE / file).read_text(encoding="utf-8"))
    for part in filter(None, name.split(".")):
        inside = [node for node in ast.iter_child_nodes(tree) if getattr(node, "name", None) == part]
        assert inside, f"{file} has no {name}"
        tree = inside[0]
