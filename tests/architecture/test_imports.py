"""Importing does nothing visible, and loads nothing heavy. Each import runs in a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

HEAVY = ["scanpy", "sklearn", "anndata", "numba", "matplotlib", "faiss", "boto3", "torch"]
LIGHT = {
    "import czbenchmarks": [],
    "import czbenchmarks.tasks": [],
    "import czbenchmarks.metrics": [],
    "import czbenchmarks.datasets": [],
    "import czbenchmarks.cli.main": [],
    "from czbenchmarks.tasks.task import TASK_REGISTRY": [],
    "from czbenchmarks.metrics import metrics_registry": [],
    "from czbenchmarks.datasets import Organism": [],
    "from czbenchmarks.tasks import ClusteringTask": [],
    "from czbenchmarks.tasks import *": [],
    "from czbenchmarks.tasks.task import TASK_REGISTRY; assert len(TASK_REGISTRY.list_tasks()) >= 8": [],
    "from czbenchmarks.tasks.task import TASK_REGISTRY as t; [t.get_task_info(k) for k in t.list_tasks()]": [],
    "from czbenchmarks.tasks.task import TASK_REGISTRY as t; t.summaries()": [],
}
WATCH = """
import json, logging, os, sys, warnings
seen, owner = [], {}
class Watch:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in HEAVY and top not in owner:
            frame, chain = sys._getframe(1), []
            while frame is not None:
                file = frame.f_code.co_filename
                if "importlib" not in file and not file.startswith("<"):
                    chain.append(f"{file}:{frame.f_lineno}")
                frame = frame.f_back
            owner[top] = chain[:4]
sys.meta_path.insert(0, Watch())
import numpy as np
np.random.seed(97531)  # no value anyone would choose
before = np.random.get_state()[1].tolist(), np.random.get_state()[2]
filters, handlers, level = list(warnings.filters), list(logging.root.handlers), logging.root.level
hook, environment, printing = sys.excepthook, dict(os.environ), np.get_printoptions()
"""
REPORT = """
guilty = {name: owner.get(name, []) for name in HEAVY if name in sys.modules}
after = np.random.get_state()[1].tolist(), np.random.get_state()[2]
named = {n: [str(h) for h in l.handlers] for n, l in logging.root.manager.loggerDict.items()
         if n.startswith("czbenchmarks") and getattr(l, "handlers", [])}
levels = {n: l.level for n, l in logging.root.manager.loggerDict.items()
          if n.startswith("czbenchmarks") and getattr(l, "level", 0)}
added = [str(f) for f in warnings.filters if f not in filters]
print(json.dumps({
    "guilty": guilty, "random": before == after, "handlers": logging.root.handlers == handlers,
    "level": logging.root.level == level, "named handlers": named, "named levels": levels,
    "hook": sys.excepthook is hook, "environment": dict(os.environ) == environment,
    "printing": np.get_printoptions() == printing, "filters": added,
}))
"""


def fresh(statement: str, folder: os.PathLike[str]) -> dict[str, object]:
    """Run a statement in a fresh interpreter whose home and working folder is `folder`; say what changed."""
    code = f"HEAVY = {HEAVY!r}{WATCH}\n{textwrap.dedent(statement)}\n{REPORT}"
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "COV_", "COVERAGE"))},
        "HOME": str(folder),
        "TMPDIR": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize("statement", LIGHT)
def test_import_is_light_and_silent(statement, tmp_path):
    report = fresh(statement, tmp_path)
    guilty = report.pop("guilty")
    assert guilty == {}, "\n".join(f"{name} imported by {' < '.join(chain)}" for name, chain in guilty.items())
    # NumPy, SciPy, pandas and pydantic add filters of their own; ours would name czbenchmarks.
    assert [line for line in report.pop("filters") if "czbenchmarks" in line] == []
    assert report == {
        "random": True,
        "handlers": True,
        "level": True,
        "named handlers": {},
        "named levels": {},
        "hook": True,
        "environment": True,
        "printing": True,
    }
    assert list(tmp_path.iterdir()) == [], "importing made files"


def test_registry_knows_all_tasks_without_importing_one(tmp_path):
    report = fresh(
        """
        from czbenchmarks.tasks.task import TASK_REGISTRY
        assert set(TASK_REGISTRY.list_tasks()) >= {
            "batch_integration", "clustering", "cross-species_integration", "cross-species_label_prediction",
            "embedding", "label_prediction", "perturbation_expression_prediction", "sequential_organization",
        }, TASK_REGISTRY.list_tasks()
        assert "czbenchmarks.tasks.clustering" not in sys.modules
        assert "czbenchmarks.tasks.single_cell.cross_species_integration" not in sys.modules
        """,
        tmp_path,
    )
    assert report["guilty"] == {}


def test_source_adds_no_warning_filter_on_import(tmp_path):
    """All filters that importing the package adds come from what it imports."""
    others = "import numpy, pandas, scipy.sparse, pydantic, click, rich.console"
    own = fresh(
        f"{others}\nfilters[:] = warnings.filters\nfrom czbenchmarks.tasks import *\nimport czbenchmarks.cli.main",
        tmp_path,
    )
    assert own["filters"] == []
