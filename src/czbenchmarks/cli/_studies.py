"""What the demo scores: which cells, which embeddings, which tasks. Files in, records out; nothing is printed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from czbenchmarks._progress import work
from czbenchmarks.constants import RANDOM_SEED

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from czbenchmarks.results import RunRecord

EMBEDDINGS = ("PCA", "shuffled", "perfect")
N_COMPONENTS = 20
"""Components from which the screen is reconstructed."""
_FEWEST_SHARED = 10
"""Cells a type must have in both species to be compared across them."""


@dataclass(frozen=True)
class Study:
    """Cells, and the tasks they are scored on."""

    name: str
    about: str
    data: tuple[str, ...]  # names of its files without suffix; embeddings are ``<name>_<embedding>.npy``
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)  # task to its options
    weight: int = 1  # about how long it takes, beside the others

    @property
    def files(self) -> list[str]:
        """Names of all its files, the record too."""
        embeddings = [f"{name}_{kind.lower()}.npy" for name in self.data for kind in EMBEDDINGS]
        return [*(f"{name}.h5ad" for name in self.data), *embeddings, self.record]

    @property
    def record(self) -> str:
        """Name of the file of its record."""
        return f"record_{self.name}.json"

    @property
    def is_screen(self) -> bool:
        """Whether expression is predicted, not embedded."""
        return "perturbation_expression_prediction" in self.tasks


STUDIES = (
    Study(
        "human",
        "human pancreas",
        ("human",),
        {
            "clustering": {"input_labels": "cell_type"},
            "embedding": {"input_labels": "cell_type"},
            "label_prediction": {"labels": "cell_type"},
            "batch_integration": {"labels": "cell_type", "batch_labels": "donor"},
        },
        weight=6,
    ),
    Study(
        "species",
        "human and mouse pancreas",
        ("human_shared", "mouse_shared"),
        {
            "cross-species_integration": {"labels": "cell_type"},
            "cross-species_label_prediction": {"labels": "cell_type", "aggregation_method": "none"},
        },
        weight=12,
    ),
    Study(
        "time_course",
        "SIMULATED time course",
        ("simulated_time_course",),
        {"sequential_organization": {"input_labels": "time"}},
    ),
    Study(
        "screen",
        "SIMULATED screen",
        ("simulated_screen",),
        {"perturbation_expression_prediction": {}},
    ),
)


def prepare(folder: Path, *, random_seed: int = RANDOM_SEED, most_cells: int | None = None) -> None:
    """Write the cells (`most_cells` of each species at most) and embeddings of all studies into a folder."""
    from czbenchmarks.testing import simulate_screen, simulate_time_course

    with work("cells and embeddings", len(STUDIES)) as advance:
        human, mouse = (_bundled(name, most_cells) for name in ("human", "mouse"))
        _write_embedded(folder, {"human": human}, "cell_type", random_seed)
        advance(1)
        types = [set(one.value_counts().loc[lambda n: n >= _FEWEST_SHARED].index) for one in _types(human, mouse)]
        shared = {
            f"{name}_shared": cells[cells.obs["cell_type"].isin(types[0] & types[1])]
            for name, cells in (("human", human), ("mouse", mouse))
        }
        _write_embedded(folder, shared, "cell_type", random_seed)
        advance(1)
        course = simulate_time_course(min(600, most_cells or 600), random_seed=random_seed)
        _write_embedded(folder, {"simulated_time_course": course}, "time", random_seed)
        advance(1)
        screen = simulate_screen(4 if most_cells else 16, 40, 300, 100, random_seed=random_seed)
        _write_screen(folder, screen, random_seed)
        advance(1)


def score(study: Study, folder: Path, *, random_seed: int = RANDOM_SEED) -> RunRecord:
    """Score the three embeddings of a study; each must have been written by `prepare`."""
    from czbenchmarks.datasets import SingleCellPerturbationDataset
    from czbenchmarks.run.evaluate import evaluate

    paths = [folder / f"{name}.h5ad" for name in study.data]
    data: list[Any] = [str(path) for path in paths]
    if study.is_screen:
        data = [SingleCellPerturbationDataset(path, "human") for path in paths]
        for one in data:
            one.load_data()
    embeddings = {kind: [str(folder / f"{name}_{kind.lower()}.npy") for name in study.data] for kind in EMBEDDINGS}
    return evaluate(embeddings, data, study.tasks, random_seed=random_seed)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path` and move it into place: it is there complete or not at all."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _bundled(name: str, most_cells: int | None) -> AnnData:
    from czbenchmarks.datasets.utils import load_dataset

    cells: AnnData = load_dataset(f"baron_pancreas_{name}").adata  # type: ignore[attr-defined]
    if most_cells is not None and most_cells < cells.n_obs:
        cells = cells[np.linspace(0, cells.n_obs - 1, most_cells).astype(int)].copy()
    return cells


def _types(*several: AnnData) -> list[Any]:
    return [cells.obs["cell_type"].astype(str) for cells in several]


def _write_embedded(folder: Path, data: dict[str, AnnData], labels: str, random_seed: int) -> None:
    """Write data sets that are embedded together: their principal components, shuffled, and the perfect control."""
    from scipy import sparse

    from czbenchmarks.tasks.clustering import ClusteringTask
    from czbenchmarks.testing import perfect_embedding, shuffled_embedding

    counts = sparse.vstack([cells.X for cells in data.values()]).tocsr()
    pca = np.asarray(ClusteringTask(random_seed=random_seed).compute_baseline(counts), dtype=np.float32)
    known = np.concatenate([cells.obs[labels].to_numpy() for cells in data.values()])
    embeddings = {
        "PCA": pca,
        "shuffled": shuffled_embedding(pca, random_seed=random_seed),
        "perfect": perfect_embedding(known, ordered=labels == "time", random_seed=random_seed),
    }
    start = 0
    for name, cells in data.items():
        rows = slice(start, start + cells.n_obs)
        start += cells.n_obs
        _write(folder, name, cells, {kind: values[rows] for kind, values in embeddings.items()})


def _write_screen(folder: Path, screen: AnnData, random_seed: int) -> None:
    """Write the screen and three predictions: from its own components, those shuffled, and the true effects."""
    from czbenchmarks.testing import shuffled_embedding

    counts = screen.X.toarray().astype(np.float64)
    logged = np.log1p(counts / counts.sum(axis=1, keepdims=True) * np.median(counts.sum(axis=1)))
    centre = logged.mean(axis=0)
    u, s, v = np.linalg.svd(logged - centre, full_matrices=False)
    m = N_COMPONENTS
    rebuilt = np.maximum(np.expm1(u[:, :m] * s[:m] @ v[:m] + centre), 0).astype(np.float32)
    predictions = {
        "PCA": rebuilt,
        "shuffled": shuffled_embedding(rebuilt, random_seed=random_seed),
        "perfect": screen.layers["perfect_prediction"],
    }
    _write(folder, "simulated_screen", screen, predictions)


def _write(folder: Path, name: str, cells: AnnData, embeddings: dict[str, NDArray[Any]]) -> None:
    target = folder / f"{name}.h5ad"
    # A copy: writing turns text columns into categories.
    write_whole(target, lambda part: cells.copy().write_h5ad(part, compression="gzip"))
    for kind, values in embeddings.items():
        write_whole(folder / f"{name}_{kind.lower()}.npy", partial(np.save, arr=values))
