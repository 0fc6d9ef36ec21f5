"""Files that can be read in one sitting, functions that fit a screen."""

from __future__ import annotations

import ast
import pathlib

import czbenchmarks

SOURCE = pathlib.Path(czbenchmarks.__file__).parent
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
# "file" or "file:function" -> why it may be longer.
ALLOWED: dict[str, str] = {
    "kernels/compiled.py": "a result kept on disk follows the file of its function only, so what it calls is there too",
    "metrics/catalogue.py": "a table: one row per metric, to be found in one place",
}


def too_long() -> dict[str, int]:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        text, name = path.read_text(encoding="utf-8"), path.relative_to(SOURCE).as_posix()
        if (lines := text.count("\n")) > MOST_LINES_OF_A_FILE:
            found[name] = lines
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = node.body[0]
                documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
                # A docstring's parameters are to be read, not to be counted.
                start = first.end_lineno if documented else node.lineno - 1
                if (lines := (node.end_lineno or 0) - (start or 0)) > MOST_LINES_OF_A_FUNCTION:
                    found[f"{name}:{node.name}"] = lines
    return found


def test_nothing_is_too_long():
    assert {name: lines for name, lines in too_long().items() if name not in ALLOWED} == {}


def test_exceptions_are_still_needed():
    assert set(ALLOWED) - set(too_long()) == set()
