"""Sentences name options, keywords and methods that exist: whoever follows one must not meet the next error."""

from __future__ import annotations

import ast
import functools
import pathlib
import re
from collections.abc import Iterator

import click
import pytest

import czbenchmarks
from czbenchmarks.cli.main import main

SOURCE = pathlib.Path(czbenchmarks.__file__).parent
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9]*(?:-[a-z0-9]+)*(?![\w-])")
NAME = re.compile(r"`([A-Za-z_]+)`")
KEYWORD = re.compile(r"(?<![\w.])([a-z_]{3,})=(?:True|False|None)\b")
NOT_OURS = {
    "_target_": "a key of configuration files",
    "knn": "of scanpy.pp.neighbors",
    "logfoldchange": "a column of the table of effects",
    "time": "a column of obs",
    "X": "of AnnData",
}


def sentences() -> Iterator[tuple[str, str]]:
    """Yield place and text of every string of the package that is no docstring; what is filled in becomes ``…``."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and isinstance(node.body[0], ast.Expr)
        }
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
        for node in ast.walk(tree):
            place = f"{path.relative_to(SOURCE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                yield place, "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented | inside:
                yield place, node.value


@functools.cache
def flags() -> set[str]:
    """Every option of every command."""
    found: set[str] = {"--help"}
    waiting: list[click.Command] = [main]
    while waiting:
        command = waiting.pop()
        for option in command.params:
            found |= {*option.opts, *option.secondary_opts}
        if isinstance(command, click.Group):
            context = click.Context(command)
            waiting += [one for name in command.list_commands(context) if (one := command.get_command(context, name))]
    return found


@functools.cache
def names() -> set[str]:
    """Every parameter, field, attribute and function of the package."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.arg):
                found.add(node.arg)
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
    return found


def wrong_flags(text: str) -> set[str]:
    return {flag for flag in FLAG.findall(text) if flag not in flags()}


def wrong_names(text: str) -> set[str]:
    named = {*NAME.findall(text), *KEYWORD.findall(text)}
    return {name for name in named if name not in names() and name not in NOT_OURS}


def test_options_that_sentences_name_exist():
    assert {"--threads", "--labels", "--no-normalize", "--store"} < flags()
    assert {place: wrong for place, text in sentences() if (wrong := wrong_flags(text))} == {}


def test_keywords_that_sentences_name_exist():
    assert {place: wrong for place, text in sentences() if (wrong := wrong_names(text))} == {}


@pytest.mark.parametrize(
    ("text", "flag", "name"),
    [
        ("pass --thread N", {"--thread"}, set()),
        ("name it with `control_nam`, or --labels", set(), {"control_nam"}),
        ("pass basline=True", set(), {"basline"}),
    ],
)
def test_a_wrong_name_is_found(text, flag, name):
    assert (wrong_flags(text), wrong_names(text)) == (flag, name)


def test_names_in_brackets_of_the_screen_are_settings():
    """Sentences on a screen name settings without a sign, so that they read as keys of the JSON object too."""
    import inspect

    from czbenchmarks.datasets import SingleCellPerturbationDataset

    settings = set(inspect.signature(SingleCellPerturbationDataset).parameters)
    for place, text in sentences():
        if place.startswith(("datasets/single_cell_perturbation", "datasets/target_genes", "_screens", "cli/_screen")):
            for inner in re.findall(r"\(([a-z]+_[a-z_]+)\)", text):
                assert inner in settings, place
