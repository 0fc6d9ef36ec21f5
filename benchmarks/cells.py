"""Generated cells: the same bits for the same arguments, whichever package is measured on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 7
LABELS = 20
BATCHES = 4
TIMES = 6
_ROWS = 1 << 16  # generated at a time; the stream of random numbers does not depend on it


@dataclass(frozen=True)
class Cells:
    """An embedding and what is known of its cells."""

    X: NDArray[np.float32]
    labels: NDArray[Any]
    batches: NDArray[Any]
    times: NDArray[np.int64]

    def obs(self) -> Any:
        """Return a DataFrame of labels, batches and time points, one row per cell."""
        import pandas as pd

        columns = {"cell_type": self.labels, "batch": self.batches, "time": self.times}
        return pd.DataFrame(columns, index=[f"c{i}" for i in range(len(self.X))])


def embedding(n: int, d: int = 50, labels: int = LABELS, batches: int = BATCHES, seed: int = SEED) -> Cells:
    """Return a Gaussian mixture: types of unequal size, batches that are shifted, axes of falling variance.

    Parameters
    ----------
    n, d
        Cells and dimensions.
    labels, batches
        Types and batches; the time point of a cell follows from its type.
    seed
        Seed of everything that is drawn.
    """
    rng = np.random.default_rng(seed)
    shares = 0.5 / labels + 0.5 * rng.dirichlet(np.full(labels, 2.0))
    label = rng.choice(labels, n, p=shares)
    batch = rng.integers(0, batches, n)
    centres = rng.normal(0, 0.62, (labels, d))
    shifts = rng.normal(0, 0.35, (batches, d))
    scale = 1.0 / (1 + np.arange(d) / 10.0)
    X = np.empty((n, d), dtype=np.float32)
    for start in range(0, n, _ROWS):
        rows = slice(start, min(start + _ROWS, n))
        noise = rng.normal(0, 1.0, (rows.stop - start, d))
        X[rows] = (centres[label[rows]] + shifts[batch[rows]] + noise) * scale
    label_names = np.array([f"type_{i:02d}" for i in range(labels)])
    batch_names = np.array([f"batch_{i}" for i in range(batches)])
    return Cells(X, label_names[label], batch_names[batch], (label % TIMES) + 1)


def counts(n: int, genes: int, labels: int = LABELS, seed: int = SEED) -> Any:
    """Return a csr matrix of counts, float32: genes of very different abundance, a tenth of them differing by type."""
    import scipy.sparse as sp

    rng = np.random.default_rng(seed)
    label = rng.integers(0, labels, n)
    abundance = rng.gamma(0.35, 1.0, genes) * 0.48
    fold = np.exp(rng.normal(0, 0.8, (labels, genes)) * (rng.random((labels, genes)) < 0.1))
    blocks = []
    for start in range(0, n, 2000):
        part = label[start : start + 2000]
        depth = rng.lognormal(0, 0.35, (len(part), 1))
        blocks.append(sp.csr_matrix(rng.poisson(abundance * fold[part] * depth).astype(np.float32)))
    return sp.vstack(blocks).tocsr()


def screen(conditions: int, cells_per: int, genes: int, seed: int = SEED) -> Any:
    """Return a perturbation screen as an AnnData with what the task reads from ``uns``; ``X`` are its predictions too.

    Each condition changes 40 genes; 20 of them are the targets. Controls: four times the cells of a condition.
    """
    import anndata as ad
    import pandas as pd

    rng = np.random.default_rng(seed)
    names = pd.Index([f"ENSG{i:011d}" for i in range(genes)])
    base = rng.gamma(2.0, 1.0, genes) + 0.05
    controls = [f"ctrl_{i}" for i in range(4 * cells_per)]
    X = np.empty((conditions * cells_per + len(controls), genes), dtype=np.float32)
    obs_names: list[str] = []
    changed, mapped, targets = [], {}, {}
    for i in range(conditions):
        condition = f"pert_{i:04d}"
        cells = [f"{condition}_{j}" for j in range(cells_per)]
        hit = rng.choice(genes, 40, replace=False)
        change = rng.normal(0, 1.5, 40)
        mean = base.copy()
        mean[hit] *= np.exp(change)
        X[i * cells_per : (i + 1) * cells_per] = rng.normal(mean, 0.2 * mean, (cells_per, genes)).clip(1e-3)
        changed.append(pd.DataFrame({"condition": condition, "gene_id": names[hit], "logfoldchange": change}))
        mapped[condition] = {
            cell: str(control) for cell, control in zip(cells, rng.choice(controls, cells_per), strict=True)
        }
        targets[condition] = list(names[hit[:20]])
        obs_names += cells
    X[conditions * cells_per :] = rng.normal(base, 0.2 * base, (len(controls), genes)).clip(1e-3)
    column = [name.rsplit("_", 1)[0] for name in obs_names] + ["ctrl"] * len(controls)
    adata = ad.AnnData(
        X=X, obs=pd.DataFrame({"condition": column}, index=obs_names + controls), var=pd.DataFrame(index=names)
    )
    adata.uns.update(
        de_results=pd.concat(changed, ignore_index=True), control_cells_map=mapped, target_conditions_dict=targets,
        metric_column="logfoldchange", config={"condition_key": "condition"},
    )  # fmt: skip
    return adata
