"""Time and peak memory of every kernel and every task: ``make bench``, or

    python -m pytest benchmarks/bench.py --benchmark-quiet --sizes 1000 5000 20000 -k neighbors

Times are pytest-benchmark's, of calls after a first one that compiles; memory is that of one call in a process of its
own. The run ends in a table; ``--benchmark-json`` keeps everything, ``--benchmark-compare`` compares.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from task_cases import TASKS, Setting, prepare

from kernels import KERNELS

HERE = Path(__file__).resolve().parent
GENES = 1000


def memory(program: str, name: str, cells: int, *more: str) -> dict[str, float]:
    """Return memory before and at most, in MB, of one call in a process of its own."""
    command = [sys.executable, "-W", "ignore", str(HERE / program), name, "--cells", str(cells), *more]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT "))
    return {measure: found[measure] for measure in ("before_mb", "peak_mb")}


def measure(benchmark: Any, name: str, cells: int, call: Any, used: dict[str, float]) -> None:
    """Time a call as often as is worth it, and put down what it is."""
    started = time.perf_counter()
    call()
    first = time.perf_counter() - started
    benchmark.extra_info.update(name=name, cells=cells, first_s=first, **used)
    benchmark.pedantic(call, rounds=7 if first < 1 else 3 if first < 10 else 1)


@pytest.mark.parametrize("name", KERNELS)
def test_kernel(benchmark: Any, name: str, cells: int) -> None:
    """Measure a kernel."""
    used = memory("kernels.py", name, cells)
    measure(benchmark, f"kernel {name}", cells, KERNELS[name](cells), used)


@pytest.mark.parametrize("name", TASKS)
def test_task(benchmark: Any, name: str, cells: int) -> None:
    """Measure a task, from array to scores."""
    used = memory("task_cases.py", name, cells, "--genes", str(GENES), "--calls", "1")
    measure(benchmark, f"task {name}", cells, prepare(name, Setting(cells, genes=GENES)), used)
