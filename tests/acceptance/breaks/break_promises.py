"""Break promises one at a time, and see that the row of each fails: that the acceptance suite would notice.

    python tests/acceptance/breaks/break_promises.py [NAME ...]

A clone of the last commit has an environment of its own; each break is one edit there, committed, checked by
``make acceptance ROW=NAME`` and taken back. Prints ``NAME | what is broken | what its row then said``; the exit status
is 1 if a row did not fail. Takes about half an hour.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent))

from world import World, call, surroundings  # noqa: E402 (in the folder above)


@dataclass(frozen=True)
class Break:
    """An edit that breaks the promise of a row."""

    row: str
    what: str
    file: str
    old: str
    new: str


BREAKS = [
    Break("client", "an optional field refuses an empty list", "src/czbenchmarks/tasks/models.py",
          "if k not in optional or is_given(value)", "if k not in optional or value is not None"),
    Break("options-left-out", "an empty tuple counts as given", "src/czbenchmarks/_check/words.py",
          "isinstance(value, (list, tuple)) and len(value) == 0", "isinstance(value, list) and len(value) == 0"),
    Break("names-and-fields", "another default", "src/czbenchmarks/constants.py",
          "RANDOM_SEED = 42", "RANDOM_SEED = 43"),
    Break("containers", "polars is not known", "src/czbenchmarks/_check/containers.py",
          '    "polars": _of_polars,\n', ""),
    Break("parity-stored", "the entropy takes other neighbours", "src/czbenchmarks/metrics/integration.py",
          "ENTROPY_NEIGHBORS = 200", "ENTROPY_NEIGHBORS = 150"),
    Break("scib-stored", "LISI takes other neighbours", "src/czbenchmarks/metrics/lisi.py",
          "NEIGHBORS = 90", "NEIGHBORS = 60"),
    Break("two-commands", "a dependency is not declared", "pyproject.toml",
          '    "igraph>=0.11.8",\n    "leidenalg>=0.10.2",\n', ""),
    Break("wheel", "the wheel holds the tests", "pyproject.toml",
          'packages = ["src/czbenchmarks"]', 'packages = ["src/czbenchmarks", "tests"]'),
    Break("threads", "a score depends on the number of threads", "src/czbenchmarks/tasks/clustering.py",
          "leiden(graph, self.random_seed,",
          "leiden(graph, __import__('czbenchmarks.kernels.parallel').kernels.parallel.num_threads(),"),
    Break("kill", "a record is written where it stands", "src/czbenchmarks/results/_files.py",
          "                os.replace(part, target)\n",
          "                target.write_text(text[:99])\n                __import__('time').sleep(2)\n"
          "                os.replace(part, target)\n"),
    Break("full-disk", "scores that cannot be written are not printed", "src/czbenchmarks/cli/run.py",
          "stack.callback(print_record, record, output_format)",
          "stack.push(lambda kind, *_: None if kind else print_record(record, output_format))"),
    Break("exit-status", "what a metric does not define is a failure", "src/czbenchmarks/cli/run.py",
          "return int(record.failed)", "return int(not record.complete)"),
    Break("jobs", "the seed is not in the id", "src/czbenchmarks/run/job.py",
          '"parameters", "defaults", "seed")', '"parameters", "defaults")'),
    Break("units", "units are kept without their values", "src/czbenchmarks/results/units.py",
          'None if units.values is None else kept(units.values)', "None"),
    Break("one-place", "files of tasks are not looked for", "src/czbenchmarks/tasks/registry.py",
          "                rows |= _read(module.name)\n", "                continue\n"),
]  # fmt: skip


def apply(one: Break, root: Path) -> None:
    """Make the edit; its old text must stand once in the file."""
    path = root / one.file
    text = path.read_text(encoding="utf-8")
    if text.count(one.old) != 1:
        raise ValueError(f"{one.old!r} must stand once in {one.file}, got {text.count(one.old)}; mend the break.")
    path.write_text(text.replace(one.old, one.new), encoding="utf-8")


def result_of(one: Break, clone: Path) -> str:
    """Break the promise in the clone, check its row and take the break back; return what the row said."""
    apply(one, clone)
    author = ["-c", "user.name=break", "-c", "user.email=break@localhost"]
    call(["git", *author, "commit", "-qam", one.what], cwd=clone)
    try:
        done = subprocess.run(
            ["make", "acceptance", f"ROW={one.row}"], cwd=clone, env=surroundings(), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        [row] = json.loads((clone / "acceptance.json").read_text(encoding="utf-8"))
        return str(row["result"]) if done.returncode else f"status 0: {row['result']}"
    finally:
        (clone / "acceptance.json").unlink(missing_ok=True)
        call(["git", "reset", "-q", "--hard", "HEAD~1"], cwd=clone)


def main() -> int:
    """Break what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(one.row for one in BREAKS))
    names = parser.parse_args().names
    unnoticed = 0
    with tempfile.TemporaryDirectory(prefix="breaks-") as folder:
        world = World(ROOT, Path(folder))
        data = world.shared_data.parent  # refused here, not in every row
        clone = world.clone("clone")
        (Path(folder) / "shared").symlink_to(data)
        call(["make", "dev"], cwd=clone, timeout=1800)
        for one in BREAKS:
            if not names or one.row in names:
                result = result_of(one, clone)
                unnoticed += not result.startswith("failed")
                print(f"{one.row} | {one.what} | {result}", flush=True)
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main())
