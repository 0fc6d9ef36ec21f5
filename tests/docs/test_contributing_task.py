"""The file that the contributor's guide shows is all there is to a task: put into the package, everything has it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData
from pages import ROOT

import czbenchmarks

KEY = "cluster_purity"


def test_the_file_of_the_guide_is_a_task(package, tmp_path):
    labels = np.repeat(["B", "T"], 30)
    X = np.random.default_rng(0).normal(size=(60, 3)) + 9.0 * (labels == "T")[:, None]
    AnnData(X, obs={"cell_type": labels}).write_h5ad(tmp_path / "cells.h5ad")
    np.save(tmp_path / "X.npy", X)
    listed = {row["key"]: row for row in json.loads(package("list", "tasks", "-f", "json"))}
    assert listed[KEY]["description"] == "Two clusters along the first dimension, against the labels."
    assert len(listed) > 8
    info = json.loads(package("info", KEY, "-f", "json"))
    assert info["metrics"] == ["adjusted_rand_index"]
    assert "--labels" in package("info", KEY)
    assert "Labels of the cells. [default: cell_type]" in " ".join(package("run", KEY, "--help").split())
    suited = {row["task"]: row["command"] for row in json.loads(package("info", "cells.h5ad", "-f", "json"))["tasks"]}
    assert suited[KEY] == f"czbenchmarks run {KEY} -u cells.h5ad -c embedding.npy --labels cell_type"
    record = json.loads(package("run", KEY, "-u", "cells.h5ad", "-c", "X.npy", "--metrics", "all", "-f", "json"))
    scores = {row["metric_type"]: row["value"] for row in record["result_metrics"]}
    assert scores["adjusted_rand_index"] == scores["homogeneity"] == 1.0


@pytest.fixture
def package(tmp_path):
    """Return a function that calls the command line of a copy of the package that has the guide's file."""
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = re.search(r"## Add a task\n.*?```python\n(.*?)```", guide, re.DOTALL)
    assert block is not None
    source = Path(czbenchmarks.__file__).parent
    copy = tmp_path / "copy" / "czbenchmarks"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "bundled"))
    (copy / "tasks" / f"{KEY}.py").write_text(block[1], encoding="utf-8")

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", "from czbenchmarks.cli.main import main; main()", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(copy.parent)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
