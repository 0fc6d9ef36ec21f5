"""Check what the documents promise, row by row of promises.toml: ``make acceptance``, ``make acceptance ROW=NAME``.

    python tests/acceptance/runner.py [NAME ...] [--json FILE]

Prints ``name | promise | passed, failed or not run: WHY | figure`` for every row and writes the same to a file. The
exit status is 1 if a row failed; with ``CZBENCHMARKS_ACCEPTANCE_STRICT=1`` also if one was not run, unless its row says
that this may be.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import json
import os
import re
import shlex
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from world import Failed, NotRun, World  # noqa: E402 (beside this file)


@dataclass(frozen=True)
class Promise:
    """A row of promises.toml."""

    name: str
    promise: str
    document: str
    check: str
    optional: str = ""


@dataclass(frozen=True)
class Result:
    """What became of a row: "passed", "failed: WHY" or "not run: WHY", the figure that was measured, and seconds."""

    name: str
    promise: str
    result: str
    figure: str
    seconds: float

    @property
    def line(self) -> str:
        """The row as it is printed."""
        return f"{self.name} | {self.promise} | {self.result} | {self.figure}"


def read_promises(path: Path = HERE / "promises.toml") -> list[Promise]:
    """Read the rows; a name stands once."""
    rows = [Promise(**row) for row in tomllib.loads(path.read_text(encoding="utf-8"))["row"]]
    if len({row.name for row in rows}) < len(rows):
        raise ValueError(f"Names of promises must differ, in {path} one stands twice.")
    return rows


def stands_in_its_document(row: Promise, root: Path = ROOT) -> bool:
    """Tell whether the words of a promise are still in its document, line breaks aside."""
    text = " ".join((root / row.document).read_text(encoding="utf-8").split())
    return " ".join(row.promise.split()) in text


def run(row: Promise, world: World) -> Result:
    """Check one promise; whatever its check raises is a failure."""
    started = time.perf_counter()
    figure, result = "", "passed"
    try:
        if not stands_in_its_document(row, world.root):
            raise Failed(f"{row.document} does not say so")
        name, *words = shlex.split(row.check)
        module, _, function = name.partition(":")
        figure = getattr(importlib.import_module(f"checks.{module}"), function)(world, *words)
    except NotRun as why:
        result = f"not run: {why}"
    except Exception as error:
        said = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
        print(f"--- {row.name}\n{said}", file=sys.stderr, flush=True)
        result = "failed: " + " ".join((said.strip().splitlines() or ["no reason"])[-1].split())[:300]
    return Result(row.name, row.promise, result, figure, round(time.perf_counter() - started, 1))


def status(rows: Sequence[Promise], results: Iterable[Result], strict: bool) -> int:
    """Return the exit status: 1 if a row failed, in strict mode also if one was not run and must have been."""
    optional = {row.name: row.optional for row in rows}
    for one in results:
        left_out = re.match(r"not run: (.*)", one.result)
        allowed = left_out and optional[one.name] and left_out[1].startswith(optional[one.name])
        if one.result.startswith("failed") or (left_out and strict and not allowed):
            return 1
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Check the rows that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--json", type=Path, default=ROOT / "acceptance.json")
    given = parser.parse_args(words)
    promises = {row.name: row for row in read_promises()}
    for name in given.names:
        if name not in promises:
            near = difflib.get_close_matches(name, promises, 1)
            parser.error(f"no row {name!r}; {f'did you mean {near[0]}?' if near else f'there are {list(promises)}'}")
    rows = [promises[name] for name in given.names or promises]
    results = []
    with tempfile.TemporaryDirectory(prefix="acceptance-") as folder:
        world = World(ROOT, Path(folder))
        for row in rows:
            results.append(run(row, world))
            print(results[-1].line, flush=True)
    given.json.write_text(json.dumps([asdict(one) for one in results], indent=1) + "\n", encoding="utf-8")
    return status(rows, results, strict=os.environ.get("CZBENCHMARKS_ACCEPTANCE_STRICT") == "1")


if __name__ == "__main__":
    sys.exit(main())
