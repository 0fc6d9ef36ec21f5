"""Runs a page of the documentation: ``python tests/docs/pages.py docs/tutorial.md``.

A page runs in an empty folder of its own, its blocks in their order:

- ``python`` blocks run in one namespace: as doctests where they hold ``>>>``, as they stand otherwise;
- ``console`` blocks hold commands after ``$`` and what they print, ``bash`` blocks commands alone.

``...`` in shown output stands for anything; a number with a decimal point may differ by `TOLERANCE`. Comments say more:
``<!-- files: cells.h5ad -->`` (made by `FILES`), ``<!-- tolerance: 0.1 -->``, and before
a block ``<!-- exit: 2 -->`` (the status its last command must have), ``<!-- save: train.py -->`` (write the block to a
file, do not run it) and ``<!-- needs: vcp -->``.

A page has a process of its own: what it registers (metrics, tasks) must not be there for other tests.
"""

from __future__ import annotations

import doctest
import functools
import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD

import czbenchmarks

ROOT = Path(__file__).parents[2]
TOLERANCE = 0.01  # pages that show clusters allow more: rounding in the libraries can move a cell
RUN = ("python", "console", "bash")
# Commands that need what a test must not do, and why.
NOT_RUN = {
    "make demo": "sets up a virtual environment; CI runs it",
    "make test": "sets up a virtual environment; CI runs it",
    "make acceptance": "makes environments; CI runs it",
    "make lint types docs": "sets up a virtual environment; CI runs it",
    "make lock": "needs a package index",
    ".ci/run": "CI runs it",
    "pip install .": "needs a package index; `make setup` does the same",
    "pip install vcp-cli": "needs a package index, and an environment of its own",
    **dict.fromkeys(
        [
            "python -m venv .venv-published",
            '.venv-published/bin/pip install cz-benchmarks==0.15.1 "pynndescent<0.6" "umap-learn>=0.5.12"',
            "$OURS benchmarks/side_by_side.py start --other $PUBLISHED --fresh",
            "$OURS benchmarks/side_by_side.py tasks --other $PUBLISHED --cells 2000 10000",
            "$OURS benchmarks/side_by_side.py tasks --other $PUBLISHED --cells 50000 --repeat 1",
            "$OURS benchmarks/side_by_side.py bound",
            "$OURS benchmarks/side_by_side.py million",
            "python -m venv .venv-scib",
            '.venv-scib/bin/pip install scib-metrics==0.5.10 "umap-learn>=0.5.12"',
            "$OURS benchmarks/side_by_side.py scib --other .venv-scib/bin/python",
        ],
        "takes hours beside an installed published package; tests/benchmarks runs the script on few cells",
    ),
    "make bench": "takes an hour",
    'make bench SIZES="500 2000 8000" ONLY=neighbors': "takes minutes",
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
        if command and (more or line.startswith("> ")):
            command += "\n" + line.removeprefix("> ")
        elif line.startswith("$ "):
            if command:
                yield command, "\n".join(output)
            command, output = line.removeprefix("$ "), []
        else:
            output.append(line)
            continue
        more = line.endswith("\\")
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
        return f"{os.path.relpath(self.path, ROOT)}:{block.line}"

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


def main(page: Path) -> None:
    """Run a page; an `AssertionError` says what differs."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        # anndata 0.13 sets them; pandas 3.1 warns of that
        options = "The '(future.infer_string|mode.chained_assignment)' option"
        warnings.filterwarnings("ignore", options, DeprecationWarning)
        warnings.filterwarnings("ignore", "The 'fastparquet' engine is deprecated")
        warnings.filterwarnings("ignore", "Writing zarr v2 data will no longer be the default", UserWarning)
        shown = Page(page, Path(folder))
        os.environ.update(shown.environment)
        os.chdir(folder)
        shown.run()
        os.chdir(ROOT)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
