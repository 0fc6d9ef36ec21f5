"""The measured table beside scib-metrics: what a process says, and what the page shows of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import report
import scib_case

PROGRAM = Path(scib_case.__file__)


def case(cells, **runs):
    return {"kind": "scib", "cells": cells, "width": 50, "date": "2026-01-02", "runs": runs}


def ran(seconds: float, **metrics: float):
    return {
        "seconds": seconds + 1, "first_s": seconds, "second_s": seconds / 2, "import_s": 0.5, "peak_mb": 100 * seconds,
        "metrics": {name: {"value": value, "count": 1} for name, value in metrics.items()}, "details": {},
    }  # fmt: skip


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def shown(**cases) -> str:
    made = {"processor": "A chip", "cores": 2, "memory_gib": 16.0, "system": "Linux", "threads": 2}
    return report.sections({"machine": made, "environments": {}, "cases": cases})["scib"]


def test_a_process_measures_our_table():
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "ours", "--cells", "300", "--dims", "8", "--calls", "1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT "))
    assert found["first_s"] > 0
    assert "second_s" not in found
    assert len(found["metrics"]) == 13
    assert 0 < found["metrics"]["Total"]["value"] < 1
    assert 0 < found["metrics"]["PCR comparison"]["value"] < 1


def test_batches_were_farther_apart_before():
    adata = scib_case.annotated(400, 5)
    batch = adata.obs["batch"]
    gaps = {key: abs(X[batch == "batch_0"].mean(0) - X[batch == "batch_1"].mean(0)) for key, X in adata.obsm.items()}
    assert gaps["X_before"] == pytest.approx(2 * gaps["X_model"], rel=1e-4)


def test_both_sides_stand_with_their_ratio_and_their_scores():
    text = shown(a=case(2000, ours=[ran(2.0, KBET=0.5)], **{"scib-metrics": [ran(30.0, KBET=0.25)]}))
    found = rows(text)
    assert ["2,000 x 50", "First call, s", "2.00", "30.0", "15"] in found
    assert ["2,000 x 50", "Peak memory of the process, MB", "200", "3,000", "15"] in found
    assert ["2,000 x 50", "KBET", "0.5", "0.25", "0.25"] in found


def test_a_side_that_took_too_long_says_so_and_has_no_ratio():
    ended = {"failed": "took longer than 900 s"}
    found = rows(shown(a=case(50_000, ours=[ran(9.0, KBET=0.5)], **{"scib-metrics": [ended]})))
    assert ["50,000 x 50", "First call, s", "9.00", "not finished in 900 s", ""] in found
    assert ["50,000 x 50", "KBET", "0.5", "–", "–"] in found
    other = rows(shown(a=case(2000, ours=[ran(2.0)], **{"scib-metrics": [{"failed": "MemoryError"}]})))
    assert ["2,000 x 50", "First call, s", "2.00", "failed", ""] in other
