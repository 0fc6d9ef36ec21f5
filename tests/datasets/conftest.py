import os
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data sets beside the repository."""
    shared = os.environ.get("CZBENCHMARKS_SHARED") or Path(__file__).resolve().parents[2].parent / "shared"
    folder = Path(shared) / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CZBENCHMARKS_SHARED to the folder that holds `data`")
    return folder


def small_cells() -> ad.AnnData:
    """Return 56 cells x 60 genes: conditions p2, p1, p3 with 12 cells each and 20 control cells."""
    rng = np.random.default_rng(3)
    genes = [f"ENSG{i:011d}" for i in range(60)]
    conditions = ["p1"] * 12 + ["p2"] * 12 + ["p3"] * 12 + ["ctrl"] * 20
    names = [f"{c}_{i}" for c, n in (("p1", 12), ("p2", 12), ("p3", 12), ("ctrl", 20)) for i in range(n)]
    table = pd.concat(
        [
            pd.DataFrame(
                {
                    "condition": condition,
                    "gene": rng.choice(genes, 30, replace=False),
                    "logfoldchange": rng.normal(0, 3, 30),
                    "pval_adj": rng.choice([1e-6, 1e-3], 30, p=[0.9, 0.1]),
                }
            )
            for condition in ("p2", "p1", "p3")
        ],
        ignore_index=True,
    )
    adata = ad.AnnData(
        sp.csr_matrix(rng.gamma(2, 1, size=(56, 60)).astype("f4")),
        obs=pd.DataFrame({"condition": conditions, "cell_type": conditions}, index=names),
        var=pd.DataFrame(index=genes),
    )
    adata.uns["de_results_wilcoxon"] = table
    adata.uns["control_cells_map"] = {
        c: {f"{c}_{i}": f"ctrl_{rng.integers(20)}" for i in range(12)} for c in ("p1", "p2", "p3")
    }
    return adata


def kang_cells(folder: Path) -> ad.AnnData:
    """Return interferon-treated and control blood cells, two treated cell types as their own conditions."""
    cells = ad.read_h5ad(folder / "kang_pbmc_ifnb.h5ad")
    ids = cells.var["ensembl_id"].astype(str)
    counts = np.asarray(cells.X.sum(axis=0)).ravel()
    keep = (ids != "") & ~ids.duplicated(keep=False) & (counts > 500)
    cells = cells[:, keep.to_numpy()].copy()
    cells.var_names = ids[keep].tolist()
    types = cells.obs["cell_type"].astype(str)
    treated = cells.obs["condition"].astype(str) != "control"
    cells = cells[(~treated | types.isin(["B", "CD14 Mono"])).to_numpy()].copy()
    treated, types = treated[cells.obs_names], types[cells.obs_names]
    cells.obs["condition"] = pd.Categorical(np.where(treated, "IFNB " + types, "control"))
    x = cells.X.toarray().astype("f8")
    x = np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4)
    control = (cells.obs["condition"] == "control").to_numpy()
    tables, controls = [], {}
    for condition in ("IFNB CD14 Mono", "IFNB B"):
        mine = (cells.obs["condition"] == condition).to_numpy()
        effect = np.log2((np.expm1(x[mine]).mean(0) + 1e-9) / (np.expm1(x[control]).mean(0) + 1e-9))
        pval = stats.ttest_ind(x[mine], x[control], equal_var=False).pvalue
        table = {"condition": condition, "gene": cells.var_names, "logfoldchange": effect, "pval_adj": pval}
        tables.append(pd.DataFrame(table))
        own = cells.obs_names[control]
        controls[condition] = {cell: own[(7 * i) % len(own)] for i, cell in enumerate(cells.obs_names[mine])}
    cells.uns["de_results_wilcoxon"] = pd.concat(tables, ignore_index=True)
    cells.uns["control_cells_map"] = controls
    return cells


@pytest.fixture
def cells() -> ad.AnnData:
    return small_cells()


@pytest.fixture
def write(tmp_path):
    """Return a function that writes cells to an .h5ad file and returns its path."""

    def to_file(adata: ad.AnnData, name: str = "cells.h5ad") -> Path:
        path = tmp_path / name
        adata.write_h5ad(path)
        return path

    return to_file
