"""The suite runs and ends in its table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def suite(*arguments: str) -> str:
    pytest.importorskip("pytest_benchmark")
    command = [
        sys.executable, "-m", "pytest", "benchmarks/bench.py", "-p", "no:xdist", "-p", "no:cacheprovider",
        "--benchmark-quiet", *arguments,
    ]  # fmt: skip
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_case_is_a_line_of_time_and_memory_for_each_size():
    out = suite("--sizes", "60", "240", "-k", "test_kernel and entropy")
    lines = [line.split() for line in out.splitlines() if line.startswith("kernel")]
    assert [line[:3] for line in lines] == [["kernel", "entropy", "60"], ["kernel", "entropy", "240"]]
    assert all(float(line[4]) > 0 and float(line[6]) > 0 for line in lines)
    assert [len(line) for line in lines] == [7, 8]  # the exponent is told once


@pytest.mark.long
def test_every_case_runs():
    out = suite("--sizes", "400")
    from task_cases import TASKS

    from kernels import KERNELS

    lines = {" ".join(line.split()[:2]) for line in out.splitlines() if line.startswith(("kernel", "task"))}
    assert lines == {f"kernel {name}" for name in KERNELS} | {f"task {name}" for name in TASKS}
