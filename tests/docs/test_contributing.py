"""The row that the contributor's guide shows is all there is to a metric: the test adds it and uses it everywhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from pages import ROOT

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
metric = MetricType.extend(key, declaration)
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


def test_the_row_of_the_guide_is_a_metric():
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = guide.partition("## Add a metric")[2].partition("\n## ")[0]
    block = re.search(r"```text\n(.*?)```", section, re.DOTALL)
    assert block is not None
    row = "\n".join(line.removeprefix("    ") for line in block[1].splitlines())
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=row, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["evaluate"] == found["all"] == found["expected"]
    assert 0.5 < found["expected"] <= 1
    [listed] = found["listed"]
    assert listed["direction"] == "higher"
    assert listed["rewards"] == "biology"
    assert "Fowlkes and Mallows 1983" in found["info"]
