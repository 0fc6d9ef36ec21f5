"""Every command and every import that the documentation shows is executed, and what it shows is what comes out.

A page runs in an empty folder of its own, its blocks in their order:

- ``python`` blocks run in one namespace: as doctests where they hold ``>>>``, as they stand otherwise;
- ``console`` blocks hold commands after ``$`` and what they print, ``bash`` blocks commands alone.

``...`` in shown output stands for anything; a number with a decimal point may differ by `TOLERANCE`. Comments say more:
``<!-- files: cells.h5ad -->`` (made by `FILES`), ``<!-- long -->`` (slow page), ``<!-- tolerance: 0.1 -->``, and before
a block ``<!-- exit: 2 -->`` (the status its last command must have), ``<!-- save: train.py -->`` (write the block to a
file, do not run it) and ``<!-- needs: vcp -->``.
"""

from __future__ import annotations

import doctest
import functools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anndata
import click
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import TruncatedSVD

import czbenchmarks

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md",
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts),
]  # fmt: skip
TOLERANCE = 0.01
RUN = ("python", "console", "bash")
SHOWN_ONLY = ("text", "json", "yaml")
# Commands that need what a test must not do, and why.
NOT_RUN = {
    "make demo": "sets up a virtual environment; CI runs it",
    "make test": "sets up a virtual environment; CI runs it",
    "make lint types docs": "sets up a virtual environment; CI runs it",
    "make lock": "needs a package index",
    ".ci/run": "CI runs it",
    "pip install .": "needs a package index; `make setup` does the same",
}
VCP = os.environ.get("CZBENCHMARKS_VCP")


@dataclass
class Block:
    """A fenced block with the comments before it."""

    language: str
    text: str
    line: int
    notes: dict[str, str] = field(default_factory=dict)


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page."""
    found: list[Block] = []
    notes: dict[str, str] = {}
    fence = inside = None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        opened = re.match(r"(`{3,}|:{3,})(.*)", line)
        if fence is not None and inside is not None:
            if line.strip() == fence:
                fence = None
            else:
                inside.append(line)
                found[-1].text = "\n".join(inside) + "\n"
        elif opened:
            fence, inside = opened[1], []
            found.append(Block(opened[2].strip(), "", number, notes))
            notes = {}
        elif comment := re.fullmatch(r"<!-- (exit|save|needs): (.+) -->", line.strip()):
            notes[comment[1]] = comment[2]
        elif line.strip():
            notes = {}
    assert fence is None, f"{page}: a block is not closed"
    return found


def note(page: Path, name: str) -> str | None:
    """Return what a page says of itself in a comment."""
    found = re.search(rf"^<!-- {name}(?:: (.+))? -->$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return None if found is None else found[1] or ""


def commands(block: Block) -> Iterator[tuple[str, str | None]]:
    """Return the commands of a block, each with what it is said to print (None where nothing is said)."""
    if block.language == "bash":
        for line in re.sub(r"\\\n", "\\\\\0", block.text).splitlines():
            if command := line.replace("\0", "\n").partition("  # ")[0].strip():
                yield command, None
        return
    command, output = "", []
    more = False
    for line in block.text.splitlines():
        if more:
            command += "\n" + line.removeprefix("> ")
        elif line.startswith("$ "):
            if command:
                yield command, "\n".join(output)
            command, output = line.removeprefix("$ "), []
        else:
            output.append(line)
            continue
        more = line.endswith("\\") or command.count("'") % 2 == 1
    if command:
        yield command, "\n".join(output)


BUNDLED = Path(czbenchmarks.__file__).parent / "datasets" / "bundled"


@functools.cache
def embedded(species: str) -> anndata.AnnData:
    """Return bundled cells with embeddings a model could have made; both species share the dimensions."""
    cells = anndata.read_h5ad(BUNDLED / f"baron_pancreas_{species}.h5ad")
    counts = cells.X.tocsr()
    logged = counts.multiply(1e4 / counts.sum(axis=1)).tocsr().log1p()
    if species == "human":
        cells.uns["axes"] = TruncatedSVD(30, random_state=0).fit(logged).components_.T
    cells.obsm["X_model"] = logged @ embedded("human").uns["axes"] if species != "human" else logged @ cells.uns["axes"]
    cells.obsm["X_svd"] = cells.obsm["X_model"][:, :5]
    return cells


def cells_file(species: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        cells = embedded(species).copy()
        cells.uns.pop("axes", None)
        del cells.obsm["X_model"]
        cells.write_h5ad(path)

    return make


def shuffled_table(path: Path) -> None:
    """Write the embedding as a table with cell names, its rows in another order."""
    cells = embedded("human")
    table = pd.DataFrame(cells.obsm["X_model"], index=cells.obs_names)
    table.sample(frac=1, random_state=0).to_csv(path)


# What pages may name as their files, and how each is made.
FILES: dict[str, Callable[[Path], None]] = {
    "cells.h5ad": cells_file("human"),
    "human.h5ad": cells_file("human"),
    "mouse.h5ad": cells_file("mouse"),
    "cells.csv": shuffled_table,
    "embedding.npy": lambda path: np.save(path, embedded("human").obsm["X_model"]),
    "human.npy": lambda path: np.save(path, embedded("human").obsm["X_model"]),
    "mouse.npy": lambda path: np.save(path, embedded("mouse").obsm["X_model"]),
}


class Close(doctest.OutputChecker):
    """Compares output: ``...`` stands for anything, numbers with a decimal point may differ a little."""

    NUMBER = r"(?<![\w.])-?\d+\.\d+(?:e[-+]?\d+)?(?![\w.])"

    def __init__(self, tolerance: float = TOLERANCE) -> None:
        self.tolerance = tolerance

    def check_output(self, want: str, got: str, optionflags: int = 0) -> bool:
        """Tell whether the output is as shown."""
        pattern, shown, last, text = "", [], 0, want.strip()
        for part in re.finditer(rf"{self.NUMBER}|\.\.\.|\s+", text):
            pattern += re.escape(text[last : part.start()])
            last = part.end()
            if part[0].isspace():
                pattern += r"\s+"
            elif part[0] == "...":
                pattern += r"[\s\S]*?"
            else:
                shown.append(float(part[0]))
                pattern += rf"({self.NUMBER})"
        found = re.fullmatch(pattern + re.escape(text[last:]), got.strip())
        return found is not None and all(
            abs(float(number) - wanted) <= self.tolerance * max(1.0, abs(wanted))
            for number, wanted in zip(found.groups(), shown, strict=True)
        )


class Page:
    """A page that runs in a folder of its own."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = path
        self.folder = folder
        self.checker = Close(float(note(path, "tolerance") or TOLERANCE))
        self.namespace: dict[str, object] = {"__name__": "__main__"}
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"},
            "PATH": os.pathsep.join(
                [str(Path(sys.executable).parent), os.environ["PATH"], *([str(Path(VCP).parent)] if VCP else [])]
            ),
            "COLUMNS": "100", "NO_COLOR": "1", "CZBENCHMARKS_CACHE": str(folder / "cache"), "PYTHONUTF8": "1",
        }  # fmt: skip
        self.environment.pop("DATASETS_CACHE_PATH", None)

    def where(self, block: Block) -> str:
        return f"{self.path.relative_to(ROOT)}:{block.line}"

    def run(self) -> None:
        for name in (note(self.path, "files") or "").split():
            FILES[name](self.folder / name)
        for block in blocks(self.path):
            if "save" in block.notes:
                (self.folder / block.notes["save"]).write_text(block.text, encoding="utf-8")
            elif block.notes.get("needs") == "vcp" and not VCP:
                continue
            elif block.language == "python":
                self.python(block)
            elif block.language in RUN:
                self.shell(block)

    def python(self, block: Block) -> None:
        if ">>>" not in block.text:
            code = compile("\n" * block.line + block.text, self.path, "exec", dont_inherit=True)
            exec(code, self.namespace)
            return
        name = self.where(block)
        test = doctest.DocTestParser().get_doctest(block.text, self.namespace, name, str(self.path), block.line)
        test.globs = self.namespace
        runner = doctest.DocTestRunner(checker=self.checker, verbose=False, optionflags=doctest.REPORT_NDIFF)
        said: list[str] = []
        runner.run(test, out=said.append, clear_globs=False)
        assert not runner.failures, "".join(said)

    def shell(self, block: Block) -> None:
        todo = [(command, shown) for command, shown in commands(block) if command not in NOT_RUN]
        for i, (command, shown) in enumerate(todo):
            expected = int(block.notes.get("exit", 0)) if i == len(todo) - 1 else 0
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command], cwd=self.folder, env=self.environment, text=True,
                capture_output=True, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            said = f"{self.where(block)}\n$ {command}\n{done.stdout}{done.stderr}"
            assert done.returncode == expected, f"{said}\nexit status {done.returncode}, not {expected}"
            assert "Traceback" not in done.stderr, said
            printed = (done.stdout, done.stdout + done.stderr)  # a page may leave out what goes to stderr
            assert shown is None or any(self.checker.check_output(shown, one) for one in printed), (
                f"{said}\nThe page shows:\n{shown}"
            )


def parameter(page: Path) -> object:
    marks = [pytest.mark.long] if note(page, "long") is not None else []
    return pytest.param(page, id=str(page.relative_to(ROOT)), marks=marks)


@pytest.mark.parametrize("page", [parameter(page) for page in PAGES])
def test_what_a_page_shows_is_what_happens(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = Page(page, tmp_path)
    for name in ("CZBENCHMARKS_CACHE", "COLUMNS", "NO_COLOR"):
        monkeypatch.setenv(name, shown.environment[name])
    shown.run()


@pytest.mark.skipif(not VCP, reason="needs vcp-cli: CZBENCHMARKS_VCP is the path of its program `vcp`")
def test_the_client_is_there():
    assert VCP is not None
    assert os.access(VCP, os.X_OK)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_run_or_plainly_text(page):
    for block in blocks(page):
        where = f"{page}:{block.line}"
        language = block.language
        assert language in (*RUN, *SHOWN_ONLY) or language.startswith("{") or "save" in block.notes, where
        if language == "text":
            assert not re.search(r"^(\$|>>>|czbenchmarks|vcp|make|pip|python) ", block.text, re.MULTILINE), where
        if language == "console":
            assert block.text.startswith("$ "), where


def test_what_is_not_run_is_still_shown():
    shown = {command for page in PAGES for block in blocks(page) if block.language in RUN[1:]
             for command, _ in commands(block)}  # fmt: skip
    assert set(NOT_RUN) <= shown


def inline(pattern: str) -> set[str]:
    return {
        " ".join(found.split())
        for page in PAGES
        for found in re.findall(rf"(?<!`)`({pattern}[^`]*)`(?!`)", page.read_text(encoding="utf-8"))
    }


@pytest.mark.parametrize("command", sorted(inline("czbenchmarks ")))
def test_a_command_in_a_sentence_exists(command):
    from czbenchmarks.cli.main import main

    words = shlex.split(command.replace("…", "").replace("TASK", "clustering"))[1:]
    found: click.Command = main
    context = click.Context(main)
    while words and isinstance(found, click.Group) and not words[0].startswith("-"):
        below = found.get_command(context, words[0])
        assert below is not None, f"{words[0]!r} is no command"
        found, context = below, click.Context(below, parent=context)
        words = words[1:]
    options = {"--help", "-h"}
    for option in found.params:
        options |= {*option.opts, *option.secondary_opts}
    assert {word for word in words if word.startswith("-")} <= options


def test_a_make_target_in_a_sentence_exists():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = {word for command in inline("make ") for word in command.split()[1:] if "=" not in word}
    assert wanted <= set(targets)


def test_the_checker_can_fail():
    close = Close(0.01)
    assert close.check_output("a  0.50 b\n", "a 0.505\nb")
    assert close.check_output("saved ... in", "saved 3 files in")
    assert close.check_output("Done in 3 s", "Done in 3 s")
    assert not close.check_output("a 0.50", "a 0.52")
    assert not close.check_output("a 0.50", "b 0.50")
    assert not close.check_output("0.5 0.6", "0.5")
    assert not close.check_output("n = 3", "n = 4")
    assert not close.check_output("", "something")
    assert not close.check_output("1.0.2", "1.0.3")


def test_commands_of_a_block():
    block = Block("console", "$ a \\\n>   b\nout\nmore\n$ c '{\n  x}'\n", 1)
    assert list(commands(block)) == [("a \\\n  b", "out\nmore"), ("c '{\n  x}'", "")]
    block = Block("bash", "make a  # why\nb \\\n  c\n", 1)
    assert list(commands(block)) == [("make a", None), ("b \\\n  c", None)]


def build(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-d", str(folder / "doctrees"),
         "-b", "html", str(ROOT / "docs"), str(folder / "html")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    assert build(tmp_path) == ""
    pages = sorted((tmp_path / "html").rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<!-- generated" not in text, page
        for tag in re.findall(r"<(?:script|link|img|iframe)[^>]*>", text):
            assert not re.search(r"(?:src|href)=\"(?:https?:)?//", tag), f"{page}: {tag}"
    for sheet in (tmp_path / "html").rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(?:https?:)?//|@import", sheet.read_text(encoding="utf-8")), sheet
