"""The tasks as they are measured, and a program that runs one of them in this process.

    python benchmarks/task_cases.py clustering --cells 10000

It uses nothing but the public API, so any installation's interpreter can run it. Its last line is ``RESULT`` and JSON:
seconds of import, generation and each call, peak memory, scores.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Task -> its class in `czbenchmarks.tasks`.
TASKS = {
    "clustering": "ClusteringTask",
    "embedding": "EmbeddingTask",
    "batch_integration": "BatchIntegrationTask",
    "sequential": "SequentialOrganizationTask",
    "label_prediction": "MetadataLabelPredictionTask",
    "cross_species_integration": "CrossSpeciesIntegrationTask",
    "cross_species_label_prediction": "CrossSpeciesLabelPredictionTask",
    "perturbation": "PerturbationExpressionPredictionTask",
    "pca_baseline": "ClusteringTask",
}
CELLS_OF_A_CONDITION = 50
_SHOWN = ("neighbors", "neighbors_recall", "estimated_from", "standard_error", "engine")

Call = Callable[[], Any]


@dataclass(frozen=True)
class Setting:
    """How large the data is, and what is asked beside the defaults.

    Attributes
    ----------
    cells, dims, genes
        Size of the data; ``genes`` for counts and the screen only.
    options
        More fields of the task's input, such as ``{"engine": "fast"}``.
    search
        How neighbours are found; ``None`` hands over the plain array.
    """

    cells: int
    dims: int = 50
    genes: int = 2000
    options: dict[str, Any] = field(default_factory=dict)
    search: str | None = None


def prepare(task: str, setting: Setting) -> Call:
    """Generate the data of a task and return a function that runs it once, from array to scores."""
    import cells

    import czbenchmarks.tasks as tasks

    runner = getattr(tasks, TASKS[task])
    if task == "pca_baseline":
        counts = cells.counts(setting.cells, setting.genes)
        return lambda: runner().compute_baseline(counts)
    model = getattr(tasks, f"{TASKS[task]}Input")
    if task == "perturbation":
        conditions = max(4, setting.cells // (CELLS_OF_A_CONDITION + 10))
        adata = cells.screen(conditions, CELLS_OF_A_CONDITION, setting.genes)
        return lambda: runner().run(adata.X, model(adata=adata, pred_effect_operation="difference", **setting.options))
    made = cells.embedding(setting.cells, setting.dims)
    obs = made.obs()
    if task.startswith("cross_species"):
        half = setting.cells // 2
        return _two_species(
            runner, model, task, [made.X[:half], made.X[half:]],
            [obs["cell_type"].iloc[:half], obs["cell_type"].iloc[half:]], setting.options,
        )  # fmt: skip
    given: dict[str, dict[str, Any]] = {
        "clustering": {"obs": obs, "input_labels": obs["cell_type"]},
        "embedding": {"input_labels": obs["cell_type"]},
        "batch_integration": {"labels": obs["cell_type"], "batch_labels": obs["batch"]},
        "sequential": {"obs": obs, "input_labels": obs["time"]},
        "label_prediction": {"labels": obs["cell_type"]},
    }

    def run() -> Any:
        # The published clustering writes to `obs`, so each call gets its own.
        own = {name: value.copy() if name == "obs" else value for name, value in given[task].items()}
        return runner().run(_as_asked(made.X, setting.search), model(**own, **setting.options))

    return run


def _two_species(runner: Any, model: Any, task: str, parts: list[Any], labels: list[Any], options: Any) -> Call:
    from czbenchmarks.datasets.types import Organism

    species = [Organism.HUMAN, Organism.MOUSE]
    if task == "cross_species_integration":
        return lambda: runner().run(parts, model(labels=labels, organism_list=species, **options))
    samples = [part.index.to_series() for part in labels]
    return lambda: runner().run(
        parts, model(labels=labels, organisms=species, sample_ids=samples, aggregation_method="none", **options)
    )


def _as_asked(X: Any, search: str | None) -> Any:
    """Return what a task is given: a new one for every call, so that no call finds the last one's neighbours."""
    if search is None:
        return X
    from czbenchmarks.kernels.representation import Representation

    return Representation(X, search=search)


def values_of(results: Any) -> dict[str, Any]:
    """Return the mean of each metric's values, how many they are, and what the results say of how they were found."""
    if not isinstance(results, list):  # a baseline: its size does not depend on the signs of the components
        import numpy as np

        return {
            "metrics": {"norm of the components": {"value": float(np.linalg.norm(np.asarray(results))), "count": 1}},
            "details": {},
        }
    found: dict[str, list[float]] = {}
    details: dict[str, dict[str, Any]] = {}
    for result in results:
        name = result.metric_type.value
        found.setdefault(name, []).append(float(result.value))
        said = getattr(result, "details", None) or {}
        if shown := {key: said[key] for key in _SHOWN if key in said}:
            details[name] = shown
    metrics = {}
    for name, values in found.items():
        mean = sum(values) / len(values)
        metrics[name] = {"value": mean if math.isfinite(mean) else None, "count": len(values)}
    return {"metrics": metrics, "details": details}


def reset_peak() -> None:
    """Forget the largest memory so far (Linux), so that making the data does not count."""
    path = Path("/proc/self/clear_refs")
    if path.exists():
        path.write_text("5", encoding="ascii")


def peak_mb() -> float:
    """Return the largest memory of this process, in MB.

    Linux counts into ``ru_maxrss`` what the process that started this one held; its status file does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def measure(task: str, setting: Setting, calls: int) -> dict[str, Any]:
    """Run one task in this fresh process; times in seconds, memory in MB."""
    started = time.perf_counter()
    import pandas  # noqa: F401 - whoever calls the package has it, so it counts as import

    import czbenchmarks.tasks as tasks

    getattr(tasks, TASKS[task])
    if task == "perturbation":
        import anndata  # noqa: F401
    import_s = time.perf_counter() - started
    started = time.perf_counter()
    run = prepare(task, setting)
    generate_s = time.perf_counter() - started
    reset_peak()
    before = peak_mb()
    seconds, first_at = [], 0.0
    for _ in range(calls):
        started = time.perf_counter()
        results = run()
        seconds.append(time.perf_counter() - started)
        first_at = first_at or time.time()
    times = {
        "import_s": import_s,
        "generate_s": generate_s,
        **dict(zip(("first_s", "second_s"), seconds, strict=False)),
    }
    sizes = {"first_at": first_at, "before_mb": before, "peak_mb": peak_mb()}
    return {name: round(value, 6) for name, value in {**times, **sizes}.items()} | values_of(results)


def main() -> None:
    """Run one task and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--dims", type=int, default=50)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--calls", type=int, default=2)
    parser.add_argument("--options", type=json.loads, default={}, help="more fields of the task's input, as JSON")
    parser.add_argument("--search", choices=["auto", "exact", "approximate"])
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    setting = Setting(given.cells, given.dims, given.genes, given.options, given.search)
    print("RESULT " + json.dumps(measure(given.task, setting, given.calls)), flush=True)


if __name__ == "__main__":
    main()
