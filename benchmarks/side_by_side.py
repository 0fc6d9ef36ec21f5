"""Measure this package beside another installation of it, in one run, and write the tables of docs/performance.md.

    python benchmarks/side_by_side.py start   --other PYTHON [--repeat 7]
    python benchmarks/side_by_side.py tasks   --other PYTHON [--tasks clustering embedding] [--cells 2000 10000 50000]
    python benchmarks/side_by_side.py bound   [--cells 20000]
    python benchmarks/side_by_side.py million [silhouette clustering ...]
    python benchmarks/side_by_side.py scib    --other PYTHON [--cells 2000 10000 50000] [--timeout 3600]
    python benchmarks/side_by_side.py page

Every case runs in a fresh process; with `--repeat` the two sides take turns. Measurements are merged into
docs/performance.json after every case, so that the tables can be filled over several runs; the page is written from
that file between its markers. A case that fails or takes too long is a row that says so.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import report
from machine import environment, machine, variables
from task_cases import TASKS

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
GENES = ("perturbation", "pca_baseline")  # as wide as `--genes`, the others as `--dims`
FAST = ("label_prediction", "cross_species_label_prediction")
STARTS = {
    "import czbenchmarks.tasks": ["-c", "import czbenchmarks.tasks"],
    "from czbenchmarks.tasks import ClusteringTask": ["-c", "from czbenchmarks.tasks import ClusteringTask"],
    "czbenchmarks list tasks": None,  # the program beside the interpreter
}
# Case -> task, what is asked beside the defaults; "max_cells" is filled in.
MILLION: dict[str, tuple[str, dict[str, Any]]] = {
    "silhouette": ("embedding", {}),
    "silhouette_estimated": ("embedding", {"max_cells": None}),
    "clustering": ("clustering", {"search": "approximate"}),
    "batch_integration": ("batch_integration", {"search": "approximate"}),
    "batch_integration_estimated": ("batch_integration", {"search": "approximate", "max_cells": None}),
    "sequential": ("sequential", {"search": "approximate"}),
    "sequential_estimated": ("sequential", {"search": "approximate", "max_cells": None}),
}
_BEAT = 60.0  # seconds between signs of life
_WARM_UP = 500  # cells


def run(command: list[str], timeout: float, surroundings: dict[str, str], what: str) -> dict[str, Any]:
    """Run a program in a process of its own; return what its ``RESULT`` line says, or why there is none.

    ``seconds`` is the wall time of the process; a first result's time after its start, less that of generating
    data, is ``fresh_s``.
    """
    print(f"{what} ... ", end="", flush=True)
    text = {"mode": "w+", "encoding": "utf-8", "errors": "replace"}
    with tempfile.TemporaryFile(**text) as out, tempfile.TemporaryFile(**text) as err:
        epoch, started = time.time(), time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, env=surroundings, start_new_session=True)
        try:
            failed = _wait(process, timeout)
        finally:  # workers of its own included, also when Ctrl-C ends us
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        seconds = time.perf_counter() - started
        out.seek(0)
        err.seek(0)
        lines = [line for line in out if line.startswith("RESULT ")]
        said = [line.strip() for line in err if line.strip()]
    if failed is None and process.returncode != 0:
        failed = said[-1] if said and process.returncode > 0 else f"ended by signal {-process.returncode}"
    if failed is not None:
        print(f"failed after {seconds:.1f} s: {failed}", flush=True)
        return {"failed": failed[:300]}
    found = json.loads(lines[-1].removeprefix("RESULT ")) if lines else {}
    if "first_at" in found:
        found["fresh_s"] = round(found.pop("first_at") - epoch - found["generate_s"], 6)
    print(f"{seconds:.1f} s", flush=True)
    return {"seconds": round(seconds, 6), **found}


def _wait(process: subprocess.Popen[bytes], timeout: float) -> str | None:
    """Wait for a process, with a sign of life each minute; return why it has to be ended, if it has."""
    started = time.monotonic()
    while (left := started + timeout - time.monotonic()) > 0:
        try:
            process.wait(min(left, _BEAT))
            return None
        except subprocess.TimeoutExpired:
            print(f"{time.monotonic() - started:.0f} s ... ", end="", flush=True)
    return f"took longer than {timeout:,.0f} s"


class Book:
    """The file of measurements, kept up to date case by case."""

    def __init__(self, given: argparse.Namespace, sides: dict[str, str]) -> None:
        self.path = Path(given.json)
        self.results = {} if given.fresh else report.load(self.path)
        self.head = {
            "schema": report.SCHEMA, "machine": machine(given.threads),
            "environments": {side: environment(python) for side, python in sides.items()},
        }  # fmt: skip
        self._add({})  # says at once whether the file is of this machine

    def _add(self, cases: dict[str, Any]) -> None:
        self.results = report.merge(self.results, {**self.head, "cases": cases})

    def add(self, name: str, case: dict[str, Any]) -> None:
        """Merge a case and write the file."""
        day = datetime.datetime.now(datetime.UTC).date().isoformat()
        self._add({name: {**case, "date": day}})
        report.save(self.path, self.results)


def in_turn(commands: dict[str, list[str]], given: argparse.Namespace, what: str) -> dict[str, list[dict[str, Any]]]:
    """Run each side's program `repeat` times, the sides taking turns; a side that failed once is not run again."""
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in commands}
    for i in range(given.repeat):
        for side, command in commands.items():
            if report.failure(runs[side]) is None:
                label = f"{what}, {side}, {i + 1} of {given.repeat}"
                runs[side].append(run(command, given.timeout, variables(given.threads), label))
    return runs


def _sides(given: argparse.Namespace) -> dict[str, str]:
    return {"ours": given.python, **({"other": given.other} if given.other else {})}


def _case(python: str, task: str, cells: int, *more: str, **options: Any) -> list[str]:
    given = ["--options", json.dumps(options)] if options else []
    return [python, str(HERE / "task_cases.py"), task, "--cells", str(cells), *given, *more]


def measure_start(given: argparse.Namespace) -> None:
    """Time whole processes that only begin."""
    sides = _sides(given)
    book = Book(given, sides)
    for what, arguments in STARTS.items():
        commands = {
            side: [python, *arguments] if arguments else [str(Path(python).with_name("czbenchmarks")), "list", "tasks"]
            for side, python in sides.items()
        }
        for side, command in commands.items():  # whatever the disk has to read
            run(command, given.timeout, variables(given.threads), f"{what}, {side}, to warm up")
        runs = in_turn(commands, given, what)
        book.add(f"start/{what}", {"kind": "start", "what": what, "runs": runs})


def measure_tasks(given: argparse.Namespace) -> None:
    """Time every task at every size, the sides taking turns."""
    sides = _sides(given)
    book = Book(given, sides)
    size = ["--dims", str(given.dims), "--genes", str(given.genes), "--calls", str(given.calls)]
    for task in given.tasks:
        for side, python in sides.items():
            if given.warm_up and side in given.sides:  # caches on disk: files, and what numba compiled
                command = _case(python, task, _WARM_UP, *size[:-1], "1")
                run(command, given.timeout, variables(given.threads), f"{task}, {side}, to warm up")
        width, columns = (given.genes, "genes") if task in GENES else (given.dims, "dimensions")
        for cells in given.cells:
            commands = {side: _case(python, task, cells, *size) for side, python in sides.items()}
            if task in FAST and given.fast:
                commands["fast"] = _case(given.python, task, cells, *size, engine="fast")
            commands = {side: command for side, command in commands.items() if side in given.sides}
            runs = in_turn(commands, given, f"{task}, {cells:,} cells")
            case = {"kind": "task", "task": task, "cells": cells, "width": width, "columns": columns, "runs": runs}
            book.add(f"task/{task}/{cells:08d}x{width}", case)


def measure_bound(given: argparse.Namespace) -> None:
    """Compare the silhouette with what its arithmetic alone costs."""
    book = Book(given, {"ours": given.python})
    for cells in given.cells:
        command = [
            given.python, str(HERE / "bound.py"), "--cells", str(cells), "--dims", str(given.dims),
            "--repeat", str(given.repeat),
        ]  # fmt: skip
        runs = {"ours": [run(command, given.timeout, variables(given.threads), f"silhouette, {cells:,} cells")]}
        case = {"kind": "bound", "cells": cells, "width": given.dims, "runs": runs}
        book.add(f"bound/{cells:08d}x{given.dims}", case)


def measure_million(given: argparse.Namespace) -> None:
    """Run the cases of a million cells, one call each."""
    book = Book(given, {"ours": given.python})
    for name in given.cases or MILLION:
        task, asked = MILLION[name]
        options = {key: given.max_cells for key in asked if key == "max_cells"}
        more = ["--dims", str(given.dims), "--calls", "1"]
        if "search" in asked:
            more += ["--search", asked["search"]]
        command = _case(given.python, task, given.cells, *more, **options)
        runs = {"ours": [run(command, given.timeout, variables(given.threads), f"{name}, {given.cells:,} cells")]}
        case = {"kind": "million", "case": name, "cells": given.cells, "width": given.dims, "runs": runs, **options}
        book.add(f"million/{name}/{given.cells:08d}x{given.dims}", case)


def measure_scib(given: argparse.Namespace) -> None:
    """Time the table of ten metrics beside scib-metrics, whose interpreter is `other`."""
    sides = {"ours": given.python, **({"scib-metrics": given.other} if given.other else {})}
    book = Book(given, sides)
    for cells in given.cells:
        commands = {
            side: [python, str(HERE / "scib_case.py"), side, "--dims", str(given.dims), "--calls", str(given.calls)]
            for side, python in sides.items()
        }
        if given.warm_up and cells == given.cells[0]:  # caches on disk: files, and what numba compiled
            for side, command in commands.items():
                warm = [*command, "--cells", str(_WARM_UP)]
                run(warm, given.timeout, variables(given.threads), f"scib, {side}, to warm up")
        commands = {side: [*command, "--cells", str(cells)] for side, command in commands.items()}
        runs = in_turn(commands, given, f"scib, {cells:,} cells")
        book.add(f"scib/{cells:08d}x{given.dims}", {"kind": "scib", "cells": cells, "width": given.dims, "runs": runs})


def write_page(given: argparse.Namespace) -> None:
    """Write the tables into the page."""
    path = Path(given.page)
    page = report.replace_sections(path.read_text(encoding="utf-8"), report.sections(report.load(Path(given.json))))
    path.write_text(page, encoding="utf-8")


def _million_case(name: str) -> str:
    if name not in MILLION:
        raise argparse.ArgumentTypeError(f"{name!r} is no case; there are {', '.join(MILLION)}.")
    return name


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", default=DOCS / "performance.json", help="the file of measurements")
    shared.add_argument("--page", default=DOCS / "performance.md", help="the page whose tables are written")
    measured = argparse.ArgumentParser(add_help=False, parents=[shared])
    measured.add_argument("--python", default=sys.executable, help="the interpreter of our side")
    measured.add_argument("--fresh", action="store_true", help="forget what the file holds")
    measured.add_argument("--threads", type=int, help="hold both sides to so many threads; default: all cores")
    measured.add_argument("--timeout", type=float, default=3600, help="seconds for one process")
    both = argparse.ArgumentParser(add_help=False, parents=[measured])
    both.add_argument("--other", help="the interpreter of the other side; without it, ours alone is measured")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True, metavar="start|tasks|bound|million|scib|page")

    start = kinds.add_parser("start", parents=[both], help="time to start")
    start.add_argument("--repeat", type=int, default=7)
    start.set_defaults(measure=measure_start)

    tasks = kinds.add_parser("tasks", parents=[both], help="every task")
    tasks.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK", help=", ".join(TASKS))
    tasks.add_argument("--cells", type=int, nargs="+", default=[2_000, 10_000, 50_000])
    tasks.add_argument("--dims", type=int, default=50)
    tasks.add_argument("--genes", type=int, default=2_000, help="of the counts and of the screen")
    tasks.add_argument("--repeat", type=int, default=3)
    tasks.add_argument("--calls", type=int, choices=[1, 2], default=2, help="calls in each process")
    tasks.add_argument("--sides", nargs="+", choices=report.SIDES, default=list(report.SIDES), help="run only these")
    tasks.add_argument("--no-fast", dest="fast", action="store_false", help="leave the fast engine out")
    tasks.add_argument("--no-warm-up", dest="warm_up", action="store_false", help="no small run before each task")
    tasks.set_defaults(measure=measure_tasks)

    bound = kinds.add_parser("bound", parents=[measured], help="the silhouette against its bound")
    bound.add_argument("--cells", type=int, nargs="+", default=[20_000])
    bound.add_argument("--dims", type=int, default=50)
    bound.add_argument("--repeat", type=int, default=9)
    bound.set_defaults(measure=measure_bound)

    million = kinds.add_parser("million", parents=[measured], help="a million cells")
    million.add_argument("cases", nargs="*", type=_million_case, metavar="CASE", help=", ".join(MILLION))
    million.add_argument("--cells", type=int, default=1_000_000)
    million.add_argument("--dims", type=int, default=50)
    million.add_argument("--max-cells", type=int, default=20_000, help="sample of the estimated silhouettes")
    million.set_defaults(measure=measure_million, timeout=4 * 3600)

    scib = kinds.add_parser("scib", parents=[both], help="the ten metrics of scib-metrics' table")
    scib.add_argument("--cells", type=int, nargs="+", default=[2_000, 10_000, 50_000])
    scib.add_argument("--dims", type=int, default=50)
    scib.add_argument("--repeat", type=int, default=1)
    scib.add_argument("--calls", type=int, choices=[1, 2], default=2, help="calls in each process")
    scib.add_argument("--no-warm-up", dest="warm_up", action="store_false", help="no small run before")
    scib.set_defaults(measure=measure_scib)

    page = kinds.add_parser("page", parents=[shared], help="write the page again from the file")
    page.set_defaults(measure=None)
    return parser


def main() -> None:
    """Measure what was asked for, and write the page."""
    given = _parser().parse_args()
    try:
        if given.measure is not None:
            given.measure(given)
        write_page(given)
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
