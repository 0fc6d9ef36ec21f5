"""The cases of the scIB parity study: four real files, what integration is to correct, and the embeddings.

Nothing but NumPy and anndata is used, so every environment makes the same inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[3]
STORED = ROOT / "tests" / "parity" / "data" / "embeddings.npz"
LABEL = "cell_type"
# Key of a case -> its file, the column of the batches.
FILES = {
    "baron": ("baron_pancreas_human", "donor"),
    "mixology": ("mixology_cell_lines", "batch"),
    "kang": ("kang_pbmc_two_donors", "batch"),
    "worm": ("worm_embryo_time", "batch"),
}
_STORED_AS = {"baron": "baron_human", "kang": "kang_two_donors"}
EMBEDDINGS = ("pca", "corrected")
COMPONENTS = 20
THRESHOLD = 3  # batches that a label may be in and count as isolated, where a threshold is given
RESOLUTIONS = tuple(round(0.2 * i, 1) for i in range(1, 11))


@dataclass(frozen=True)
class Case:
    """A real file: labels and batches as plain text, the embedding before integration, those to score."""

    name: str
    path: Path
    labels: NDArray[np.object_]
    batch: NDArray[np.object_]
    unintegrated: NDArray[np.float32]

    @cached_property
    def embeddings(self) -> dict[str, NDArray[np.float32]]:
        """The first 20 components as they are, and moved halfway to where the batches have the same mean.

        All the way would make some scores exactly 1, which compares little.
        """
        pca = self.unintegrated[:, :COMPONENTS]
        corrected = pca.astype(np.float64)
        for name in np.unique(self.batch.astype(str)):
            cells = self.batch == name
            corrected[cells] -= 0.5 * corrected[cells].mean(axis=0)
        return {"pca": np.ascontiguousarray(pca), "corrected": corrected.astype(np.float32)}

    @property
    def time(self) -> NDArray[np.float64]:
        """The column `time`, a pseudotime before integration."""
        import anndata as ad

        return np.asarray(ad.read_h5ad(self.path, backed="r").obs["time"], dtype=np.float64)

    def adata(self, expression: bool = False) -> Any:
        """Return an AnnData as users have it: the embeddings in `obsm`, text columns, counts only if asked for."""
        import anndata as ad
        import pandas as pd

        whole = ad.read_h5ad(self.path) if expression else None
        obs = pd.DataFrame({LABEL: self.labels, "batch": self.batch}, index=[f"c{i}" for i in range(len(self.batch))])
        if whole is None:
            made = ad.AnnData(X=np.zeros((len(obs), 1), dtype=np.float32), obs=obs)
        else:
            symbols = whole.var["gene_symbol"].astype(str) if "gene_symbol" in whole.var else whole.var_names
            names = [symbol or other for symbol, other in zip(symbols, whole.var_names, strict=True)]
            made = ad.AnnData(X=whole.X, obs=obs, var=pd.DataFrame(index=names))
            made.var_names_make_unique()
        made.obsm["unintegrated"] = self.unintegrated
        for name, embedding in self.embeddings.items():
            made.obsm[name] = embedding
        return made


def read(shared: Path, name: str) -> Case:
    """Read a case from the folder of real files and the stored components."""
    import anndata as ad

    file, batch = FILES[name]
    path = shared / f"{file}.h5ad"
    obs = ad.read_h5ad(path, backed="r").obs
    columns = [obs[column].astype(str).to_numpy(dtype=object) for column in (LABEL, batch)]
    with np.load(STORED) as stored:
        unintegrated = stored[_STORED_AS.get(name, name)]
    if len(unintegrated) != len(obs):
        raise ValueError(f"{name}: {len(obs)} cells, but a stored embedding of {len(unintegrated)}")
    return Case(name, path, *columns, unintegrated)


def corrected_expression(case: Case) -> tuple[list[str], NDArray[np.float32], NDArray[np.float32]]:
    """Return gene names, log-normalised expression, and the same moved to where all batches have the same mean.

    Negative values become 0, as those of methods that correct expression mostly are not.
    """
    adata = case.adata(expression=True)
    counts = adata.X.toarray().astype(np.float64)
    logged = np.log1p(1e4 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    corrected = logged.copy()
    for name in np.unique(case.batch.astype(str)):
        cells = case.batch == name
        corrected[cells] -= corrected[cells].mean(axis=0) - logged.mean(axis=0)
    made = [X.astype(np.float32) for X in (logged, np.maximum(corrected, 0))]
    return [str(gene) for gene in adata.var_names], made[0], made[1]


def key(*parts: object) -> str:
    """Name a value: file, embedding, metric and, for values of a label, the label."""
    return " | ".join(str(part) for part in parts)


def number(value: Any) -> float | None:
    """Return a plain number, None where there is none."""
    return float(value) if value is not None and np.isfinite(float(value)) else None


def graph_error(path: Path, k: int = 15) -> float:
    """Return how far the weights of the neighbour graph of this environment's umap-learn are from their definition.

    The weights of a cell's other k - 1 neighbours sum to log2(k), so the largest difference over the cells of the
    mixology file is returned; umap-learn 0.5.9 with a recent numba is off by up to 10.
    """
    from sklearn.neighbors import NearestNeighbors
    from umap.umap_ import fuzzy_simplicial_set

    cells = read(path, "mixology").embeddings["pca"].astype(np.float32)
    distances, indices = NearestNeighbors(n_neighbors=k).fit(cells).kneighbors(cells)
    weights = fuzzy_simplicial_set(
        cells, k, np.random.RandomState(0), "euclidean", knn_indices=indices,
        knn_dists=distances.astype(np.float32), apply_set_operations=False,
    )[0]  # fmt: skip
    return float(np.abs(np.asarray(weights.sum(axis=1)).ravel() - np.log2(k)).max())
