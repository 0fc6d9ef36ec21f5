"""Score every parity case with whichever `czbenchmarks` is importable.

    python score.py OUT_DIR --output values.json [--only TEXT] [--no-seeds]

Only the API that the published package and ours share is used. Values are keyed
`case | task | metric type | params`.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import math
import time
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from cases import CASES, CLASSES, ORGANISMS, PERTURBATION, SEEDS, SYNTHETIC, Case

VERSIONS = ("numpy", "scipy", "scikit-learn", "scanpy", "anndata", "igraph", "umap-learn", "pynndescent")


def key(case: str, task: str, metric: Any) -> str:
    """Name a metric result within the whole study."""
    params = ", ".join(f"{k}={v}" for k, v in sorted((metric.params or {}).items()))
    return f"{case} | {task} | {metric.metric_type.value} | {params}"


def number(value: Any) -> float | None:
    """Return the value, None where it is not defined."""
    return None if value is None or not math.isfinite(value) else float(value)


def column(adata: ad.AnnData, name: str) -> np.ndarray:
    """Return an obs column as a plain array: numbers, or text."""
    values = adata.obs[name]
    return values.to_numpy() if pd.api.types.is_numeric_dtype(values) else values.to_numpy().astype(str)


def perturbation_call(case: Case, folder: Path) -> tuple[Any, dict[str, Any]]:
    """Load the perturbation data set and the predictions."""
    from czbenchmarks.datasets import Organism, SingleCellPerturbationDataset

    dataset = SingleCellPerturbationDataset(folder / "kang_ifnb.h5ad", Organism.HUMAN)
    dataset.load_data()
    fields: dict[str, Any] = {"adata": dataset.adata, **case.options}
    if case.predictions == "reordered":
        fields["cell_index"] = pd.Index((folder / "reordered_cells.txt").read_text().split("\n"))
        fields["gene_index"] = pd.Index((folder / "reordered_genes.txt").read_text().split("\n"))
    return np.load(folder / f"{case.predictions}.npy"), fields


def embedding_call(case: Case, folder: Path) -> tuple[Any, dict[str, Any]]:
    """Load the embedding (a list of them for several species) and the columns."""
    from czbenchmarks.datasets import Organism

    parts = [ad.read_h5ad(folder / f"{name}.h5ad") for name in case.files]
    embeddings = [np.asarray(adata.obsm["X_pca"]) for adata in parts]
    fields: dict[str, Any] = {name: [column(adata, source) for adata in parts] for name, source in case.columns.items()}
    if len(parts) > 1:
        organisms = "organism_list" if case.task == "cross-species_integration" else "organisms"
        fields[organisms] = [getattr(Organism, ORGANISMS[name][0]) for name in case.files]
        return embeddings, {**fields, **case.options}
    fields = {name: values[0] for name, values in fields.items()}
    if case.task in ("clustering", "sequential_organization"):
        fields["obs"] = parts[0].obs.copy()
    return embeddings[0], {**fields, **case.options}


def score_case(case: Case, folder: Path) -> dict[str, float | None]:
    """Run one case and return its values by key."""
    import czbenchmarks.tasks as tasks

    representation, fields = (perturbation_call if case.task == PERTURBATION else embedding_call)(case, folder)
    task = getattr(tasks, f"{CLASSES[case.task]}Task")()
    task_input = getattr(tasks, f"{CLASSES[case.task]}TaskInput")(**fields)
    return {key(case.name, case.task, m): number(m.value) for m in task.run(representation, task_input)}


def make_cells(n: int, d: int, n_types: int = 20, n_batches: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Make a Gaussian mixture with types of unequal size and batch shifts; return it and the types."""
    rng = np.random.default_rng(7)
    p = 0.5 / n_types + 0.5 * rng.dirichlet(np.full(n_types, 2.0))
    types = rng.choice(n_types, n, p=p)
    batches = rng.integers(0, n_batches, n)
    centers = rng.normal(0, 0.62, (n_types, d))
    shift = rng.normal(0, 0.35, (n_batches, d))
    scale = 1.0 / (1 + np.arange(d) / 10.0)
    cells = (centers[types] + shift[batches] + rng.normal(0, 1.0, (n, d))) * scale
    return cells.astype("float32"), np.array([f"type_{t:02d}" for t in types])


def score_seeds() -> dict[str, float | None]:
    """Cluster the synthetic cells with several seeds; the table compares medians."""
    import czbenchmarks.tasks as tasks

    cells, types = make_cells(10_000, 50)
    obs = pd.DataFrame({"cell_type": types}, index=[f"c{i}" for i in range(len(types))])
    found = {}
    for seed in SEEDS:
        task_input = tasks.ClusteringTaskInput(obs=obs.copy(), input_labels=types)
        metrics = tasks.ClusteringTask(random_seed=seed).run(cells, task_input)
        found |= {key(f"{SYNTHETIC} [seed={seed}]", "clustering", m): number(m.value) for m in metrics}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="what prepare.py wrote")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", default="", help="only cases with this text in `data task`")
    parser.add_argument("--no-seeds", action="store_true", help="leave out the 11 seeds of clustering")
    given = parser.parse_args()
    values: dict[str, float | None] = {}
    for case in CASES:
        if given.only in f"{case.name} {case.task}":
            start = time.perf_counter()
            values |= score_case(case, given.folder)
            print(f"{time.perf_counter() - start:7.1f} s  {case.name} {case.task}", flush=True)
    if not given.no_seeds and given.only in f"{SYNTHETIC} clustering":
        values |= score_seeds()
    about = {
        "package": f"cz-benchmarks {importlib.metadata.version('cz-benchmarks')}",
        "made": datetime.date.today().isoformat(),
        "versions": {name: _version(name) for name in VERSIONS},
    }
    given.output.write_text(json.dumps({**about, "values": values}, indent=1) + "\n")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
