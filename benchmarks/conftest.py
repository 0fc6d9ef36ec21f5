"""Sizes of the suite, and the table it ends in."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import report

SIZES = (1_000, 5_000, 20_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the sizes be chosen."""
    parser.addoption("--sizes", type=int, nargs="+", default=SIZES, help="numbers of cells")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Measure every case at every size."""
    if "cells" in metafunc.fixturenames:
        metafunc.parametrize("cells", metafunc.config.getoption("sizes"))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print one line for every case and size, with the exponent over the sizes."""
    measured: dict[str, dict[int, Any]] = {}
    session = getattr(config, "_benchmarksession", None)
    for done in session.benchmarks if session else ():
        if done.extra_info and done.stats.data:
            measured.setdefault(done.extra_info["name"], {})[done.extra_info["cells"]] = done
    rows = []
    for name, by_size in sorted(measured.items()):
        seconds = {size: statistics.median(done.stats.data) for size, done in sorted(by_size.items())}
        slope = report.exponent(list(seconds), list(seconds.values()))
        for size, taken in seconds.items():
            used = by_size[size].extra_info
            rows.append([
                name, f"{size:,}", report.number(used["first_s"]), report.number(taken),
                report.number(used["peak_mb"] - used["before_mb"]), report.number(used["peak_mb"]),
                f"{slope:.2f}" if slope is not None and size == max(seconds) else "",
            ])  # fmt: skip
    if rows:
        header = ["Case", "Cells", "First, s", "Median, s", "Peak added, MB", "Peak, MB", "Exponent"]
        terminalreporter.write_line("\n" + report.aligned(header, rows))
