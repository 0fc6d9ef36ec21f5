"""What integration conserves, against scib 1.1.7 (scanpy 1.11.5) on real cells.

The "integration" is made here, so that both sides see the same: the logarithms less each batch's mean of every gene,
plus the overall one; the embedding is their 30 principal components on the 500 genes that vary most.
"""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from czbenchmarks.metrics.conservation import cell_cycle_conservation, hvg_conservation, trajectory_conservation

SHARED = Path(os.environ.get("CZBENCHMARKS_SHARED") or Path(__file__).resolve().parents[3] / "shared")


def integrated(name, batch):
    import anndata

    path = SHARED / "data" / f"{name}.h5ad"
    if not path.is_file():
        pytest.skip(f"no real data at {path.parent}; set CZBENCHMARKS_SHARED to the folder that holds `data`")
    adata = anndata.read_h5ad(path)
    counts = adata.X.toarray().astype(float)
    totals = counts.sum(axis=1, keepdims=True)
    logged = np.log1p(counts / np.where(totals > 0, totals, 1) * 1e4)
    batches = adata.obs[batch].astype(str).to_numpy()
    corrected = logged.copy()
    for one in np.unique(batches):
        corrected[batches == one] += logged.mean(axis=0) - logged[batches == one].mean(axis=0)
    variable = corrected[:, np.argsort(-logged.var(axis=0), kind="stable")[:500]]
    variable = variable - variable.mean(axis=0)
    loadings = np.linalg.eigh(variable.T @ variable)[1][:, ::-1][:, :30]
    return SimpleNamespace(
        counts=adata.X, corrected=corrected, batch=batches, X=variable @ loadings, obs=adata.obs, genes=adata.var_names
    )


@pytest.fixture(scope="module")
def mouse():
    return integrated("baron_pancreas_mouse", "donor")


@pytest.fixture(scope="module")
def worm():
    return integrated("worm_embryo_time", "batch")


def test_variable_genes(mouse):
    # The same genes of each batch, counted: nothing is rounded.
    assert hvg_conservation(mouse.counts, mouse.corrected, mouse.batch).value == pytest.approx(0.499, abs=1e-12)
    kang = integrated("kang_pbmc_two_donors", "batch")
    assert hvg_conservation(kang.counts, kang.corrected, kang.batch).value == pytest.approx(0.5545, abs=1e-12)


def test_variable_genes_where_corrected_ones_are_constant(worm):
    # Genes that a batch does not express are a constant after this correction. In scib their variance is rounding, and
    # what is divided by it decides: it gives 0.072. Here they have no variance and are not chosen.
    found = hvg_conservation(worm.counts, worm.corrected, worm.batch).value
    assert found == pytest.approx(0.1763, abs=1e-3)
    order = np.random.default_rng(0).permutation(len(worm.batch))
    assert hvg_conservation(worm.counts[order], worm.corrected[order], worm.batch[order]).value == found


def test_cell_cycle(mouse):
    # scib knows the former symbol of this gene only; its components, and ours of wide data, are in single precision.
    names = ["unknown there" if name == "Cenpu" else name for name in mouse.genes]
    found = cell_cycle_conservation(mouse.X, mouse.batch, mouse.counts, names, "MOUSE", random_seed=0)
    assert found.value == pytest.approx(0.8082887333758317, abs=5e-5)
    assert (found.details["s_genes"], found.details["g2m_genes"]) == (38, 39)


# Where three votes go to three cells, scib starts from the one that is first in the file; here the slowest component
# decides, in the plane another one. From the same root only cells that nearly tie differ: scib's components are in
# single precision.
@pytest.mark.parametrize(
    ("dimensions", "root", "expected", "by_batch"),
    [
        (2, 153, 0.6973420102900045, 0.6971529535323695),
        (5, None, 0.8269805344149612, 0.8306279131427721),
        (30, None, 0.6586624704889938, 0.6928151109859273),
    ],
)
def test_trajectory(worm, dimensions, root, expected, by_batch):
    given = (worm.X[:, :dimensions], worm.obs["cell_type"], worm.obs["time"])
    assert trajectory_conservation(*given, root=root).value == pytest.approx(expected, abs=1e-5)
    assert trajectory_conservation(*given, worm.batch, root=root).value == pytest.approx(by_batch, abs=1e-5)
    if root is not None:
        own = trajectory_conservation(*given)
        assert own.details["root"] != root
        assert worm.obs["cell_type"].iloc[own.details["root"]] == worm.obs["cell_type"].iloc[root]
