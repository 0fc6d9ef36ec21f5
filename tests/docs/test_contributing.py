"""The row that the contributor's guide shows is all there is to a metric: the tests add it and use it everywhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from pages import ROOT

# A plugin of pytest: the row is in the catalogue before a test is collected.
PLUGIN = """
import os
from czbenchmarks.metrics.catalogue import MetricType, declare
row = {"declare": declare}
exec(os.environ["METRIC_ROW"], row)
[(key, declaration)] = [value for value in row.values() if isinstance(value, tuple)]
if key not in [metric.value for metric in MetricType]:
    MetricType.extend(key, declaration)
"""
# The generic tests: those that pick the metric by name, and those of which each looks at all metrics.
BY_METRIC = [
    "contract/test_every_metric.py", "contract/test_shared_work.py", "metrics/test_catalogue.py",
    "metrics/test_registry.py", "cli/test_info.py",
]  # fmt: skip
OF_ALL = [
    "contract/test_degenerate.py", "metrics/test_presets.py", "cli/test_catalogue.py::test_list_metrics",
    "docs/test_docs.py::test_every_metric_and_every_command_is_on_its_page",
    "contract/test_every_metric.py::test_abouts_and_keys_differ",
    "tasks/test_metrics.py::test_all_is_what_the_arguments_allow",
]  # fmt: skip

# One process: it changes the catalogue.
PROGRAM = """
import json, sys
import numpy as np, pandas as pd
from click.testing import CliRunner
from sklearn.metrics import fowlkes_mallows_score
from czbenchmarks.metrics.catalogue import MetricType, declare
row = {"declare": declare}
exec(sys.stdin.read(), row)
[(name, (key, declaration))] = [(k, v) for k, v in row.items() if isinstance(v, tuple)]
metric = MetricType.__members__.get(name) or MetricType.extend(key, declaration)
assert metric.name == name and MetricType[name] is metric

from czbenchmarks import evaluate
from czbenchmarks.cli.main import main as cli
from czbenchmarks.tasks import ClusteringTask, ClusteringTaskInput
rng = np.random.default_rng(0)
labels = np.repeat(["B", "T"], 60)
X = rng.normal(size=(120, 5)) + 3.0 * (labels == "T")[:, None]
obs = pd.DataFrame({"cell_type": labels})
record = evaluate(X, obs, "clustering", metrics=key)
task_input = ClusteringTaskInput(obs=obs, input_labels=labels, metrics=["all"])
task = ClusteringTask()
everything = {result.metric_type.value: result.value for result in task.run(X, task_input)}
clusters = task._run_task(X, task_input).predicted_labels
listed = json.loads(CliRunner().invoke(cli, ["list", "metrics", "-f", "json"]).stdout)
print(json.dumps({
    "evaluate": record.result_metrics[0].value,
    "all": everything[key],
    "expected": float(fowlkes_mallows_score(labels, clusters)),
    "listed": [row for row in listed if row["name"] == key],
    "info": CliRunner().invoke(cli, ["info", key]).stdout,
}))
"""


def row_of_the_guide() -> str:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = guide.partition("## Add a metric")[2].partition("\n## ")[0]
    block = re.search(r"```text\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return "\n".join(line.removeprefix("    ") for line in block[1].splitlines())


@pytest.mark.parametrize("chosen", [["-k", "fowlkes_mallows", *BY_METRIC], OF_ALL], ids=["by metric", "of all"])
def test_the_row_of_the_guide_passes_the_generic_tests(chosen, tmp_path):
    (tmp_path / "row_of_the_guide.py").write_text(PLUGIN, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "row_of_the_guide", "-p", "no:cacheprovider", "-n", "0", "-q", *chosen],
        cwd=ROOT / "tests", env={**os.environ, "PYTHONPATH": path, "METRIC_ROW": row_of_the_guide()},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_the_row_of_the_guide_is_a_metric():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=row_of_the_guide(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["evaluate"] == found["all"] == found["expected"]
    assert 0.5 < found["expected"] <= 1
    [listed] = found["listed"]
    assert listed["direction"] == "higher"
    assert listed["rewards"] == "biology"
    assert "Fowlkes and Mallows 1983" in found["info"]
