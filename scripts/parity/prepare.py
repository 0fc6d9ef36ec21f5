"""Make the inputs of the parity study from the real files, once for both packages.

    python prepare.py SHARED_DATA OUT_DIR --frozen FOLDER     use the stored embeddings
    python prepare.py SHARED_DATA OUT_DIR --freeze FOLDER     compute them, and store them there

OUT_DIR receives one `.h5ad` a case (counts in X, text columns in obs, `obsm['X_pca']`) and, for the
perturbation task, the predictions as `.npy`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from cases import SOURCES

COMPONENTS = 30
MIN_SHARED = 10  # cells of a type in each species
MIN_PERTURBED = 20  # cells of a type in each condition
GENES = 1000  # of the perturbation data set
PARTS = 4  # a library's cells of one type make this many samples


def read(shared: Path, name: str) -> ad.AnnData:
    """Read a real file with plain text columns instead of categories."""
    adata = ad.read_h5ad(shared / f"{SOURCES[name]}.h5ad")
    if "time_bin" in adata.obs:
        adata.obs["time_code"] = adata.obs["time_bin"].cat.codes.to_numpy().astype("int64") + 1
    plain = {
        column: values.astype(str).to_numpy(dtype=object)
        if isinstance(values.dtype, pd.CategoricalDtype)
        else values.to_numpy()
        for column, values in adata.obs.items()
    }
    obs = pd.DataFrame(plain, index=adata.obs_names)
    return ad.AnnData(sp.csr_matrix(adata.X), obs=obs, var=adata.var[[]].join(_gene_ids(adata)))


def _gene_ids(adata: ad.AnnData) -> pd.DataFrame:
    columns = [c for c in ("ensembl_id", "gene_symbol") if c in adata.var]
    return adata.var[columns].astype(str)


def log_normalised(adata: ad.AnnData) -> ad.AnnData:
    """Return a copy with log(1 + counts per 10,000)."""
    import scanpy as sc

    adata = adata.copy()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    return adata


def pca(adata: ad.AnnData) -> np.ndarray:
    """Return the components of the 2000 most variable genes, float32."""
    import scanpy as sc

    adata = log_normalised(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=2000)
    sc.pp.pca(adata, n_comps=COMPONENTS, random_state=0)
    return np.asarray(adata.obsm["X_pca"], dtype="float32")


def two_species(shared: Path) -> tuple[ad.AnnData, ad.AnnData]:
    """Return the two Baron files with the same genes and the same cell types."""
    human, mouse = read(shared, "cross_human"), read(shared, "cross_mouse")
    pairs = pd.read_csv(shared / "orthologs_human_mouse_1to1.csv")
    known = pairs["human_symbol"].isin(human.var_names) & pairs["mouse_symbol"].isin(mouse.var_names)
    pairs = pairs[known]
    human, mouse = human[:, pairs["human_symbol"]].copy(), mouse[:, pairs["mouse_symbol"]].copy()
    mouse.var_names = human.var_names
    counts = [adata.obs["cell_type"].value_counts() for adata in (human, mouse)]
    common = [set(c.index[c >= MIN_SHARED]) for c in counts]
    kept = []
    for adata in (human, mouse):
        adata = adata[adata.obs["cell_type"].isin(common[0] & common[1]).to_numpy()].copy()
        groups = adata.obs.groupby(["donor", "cell_type", "batch"], sort=False)
        parts = (groups.cumcount() % PARTS).astype(str)
        adata.obs["sample"] = adata.obs["batch"] + "_" + adata.obs["cell_type"] + "_" + parts
        kept.append(adata)
    return kept[0], kept[1]


def differential_expression(adata: ad.AnnData) -> dict[str, np.ndarray]:
    """Score treated against control cells of each cell type by the Wilcoxon test, per gene."""
    import scanpy as sc

    variance = np.asarray(adata.X.power(2).mean(0) - np.square(adata.X.mean(0))).ravel()
    named = adata.var["ensembl_id"].str.startswith("ENSG").to_numpy()
    genes = np.sort(np.argsort(np.where(named, variance, -1.0), kind="stable")[-GENES:])
    adata = adata[:, genes].copy()
    adata.uns["log1p"] = {"base": None}
    types, change, adjusted = [], [], []
    for cell_type in sorted(adata.obs["cell_type"].unique()):
        part = adata[(adata.obs["cell_type"] == cell_type).to_numpy()].copy()
        if min((part.obs["condition"] == c).sum() for c in ("IFNB", "control")) < MIN_PERTURBED:
            continue
        part.obs["condition"] = part.obs["condition"].astype("category")
        sc.tl.rank_genes_groups(
            part, "condition", groups=["IFNB"], reference="control", method="wilcoxon", tie_correct=True
        )
        table = sc.get.rank_genes_groups_df(part, "IFNB").set_index("names").loc[part.var_names]
        types.append(cell_type)
        change.append(table["logfoldchanges"].to_numpy("float32"))
        adjusted.append(table["pvals_adj"].to_numpy("float64"))
    return {
        "types": np.array(types, dtype=str),
        "genes": np.array(adata.var["ensembl_id"], dtype=str),
        "logfoldchange": np.array(change),
        "pval_adj": np.array(adjusted),
    }


def perturbed(adata: ad.AnnData, de: dict[str, np.ndarray]) -> ad.AnnData:
    """Return the perturbation data set: one condition a cell type, controls of the same cell type."""
    adata = adata.copy()
    adata.var_names = adata.var["ensembl_id"].to_numpy()
    position = pd.Series(np.arange(adata.n_vars), index=adata.var_names)
    adata = adata[:, position.loc[de["genes"]].to_numpy()].copy()
    adata = adata[adata.obs["cell_type"].isin(de["types"]).to_numpy()].copy()
    treated = (adata.obs["condition"] == "IFNB").to_numpy()
    condition = "IFNB " + adata.obs["cell_type"]
    adata.obs["condition"] = np.where(treated, condition, "ctrl").astype(object)
    rng = np.random.default_rng(0)
    mapping = {}
    for cell_type in de["types"]:
        own = (adata.obs["cell_type"] == cell_type).to_numpy()
        cells, controls = adata.obs_names[own & treated], adata.obs_names[own & ~treated]
        chosen = rng.choice(controls.to_numpy(dtype=object), len(cells))
        mapping[f"IFNB {cell_type}"] = {str(a): str(b) for a, b in zip(cells, chosen, strict=True)}
    adata.uns["control_cells_map"] = mapping
    adata.uns["de_results_wilcoxon"] = pd.DataFrame(
        {
            "condition": np.repeat([f"IFNB {t}" for t in de["types"]], len(de["genes"])).astype(object),
            "gene": np.tile(de["genes"], len(de["types"])).astype(object),
            "logfoldchange": de["logfoldchange"].ravel().astype("float64"),
            "pval_adj": de["pval_adj"].ravel(),
        }
    )
    return adata


def write_predictions(adata: ad.AnnData, out: Path) -> None:
    """Write three predictions: all positive, with the zeros kept, and the first in another order."""
    rng = np.random.default_rng(1)
    values = adata.X.toarray().astype("float64")
    noisy = np.abs(values + rng.normal(0, 0.5, values.shape)) + 0.01
    sparse = values * rng.lognormal(0, 1.0, values.shape)
    rows, columns = rng.permutation(adata.n_obs), rng.permutation(adata.n_vars)
    np.save(out / "noisy.npy", noisy.astype("float32"))
    np.save(out / "sparse.npy", sparse.astype("float32"))
    np.save(out / "reordered.npy", noisy[rows][:, columns].astype("float32"))
    (out / "reordered_cells.txt").write_text("\n".join(adata.obs_names[rows]))
    (out / "reordered_genes.txt").write_text("\n".join(adata.var_names[columns]))


def prepare(shared: Path, out: Path, frozen: Path | None = None, freeze: Path | None = None) -> None:
    """Write the inputs of every case to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    cells = {name: read(shared, name) for name in SOURCES if not name.startswith("cross")}
    cells["cross_human"], cells["cross_mouse"] = two_species(shared)
    expression = log_normalised(cells.pop("kang_ifnb"))
    if frozen is not None:
        with np.load(frozen / "embeddings.npz") as stored:
            embeddings = {name: stored[name] for name in cells}
        with np.load(frozen / "perturbation.npz") as stored:
            de = {name: stored[name] for name in stored.files}
    else:
        one = {name: pca(adata) for name, adata in cells.items() if not name.startswith("cross")}
        joint = pca(ad.concat([cells["cross_human"], cells["cross_mouse"]], index_unique="-", keys=["h", "m"]))
        cut = cells["cross_human"].n_obs
        embeddings = {**one, "cross_human": joint[:cut], "cross_mouse": joint[cut:]}
        de = differential_expression(expression)
    if freeze is not None:
        freeze.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(freeze / "embeddings.npz", **embeddings)
        np.savez_compressed(freeze / "perturbation.npz", **de)
    for name, adata in cells.items():
        if len(embeddings[name]) != adata.n_obs:
            raise ValueError(f"{name}: {adata.n_obs} cells, but a stored embedding of {len(embeddings[name])}")
        adata.obsm["X_pca"] = embeddings[name]
        adata.write_h5ad(out / f"{name}.h5ad")
    dataset = perturbed(expression, de)
    dataset.write_h5ad(out / "kang_ifnb.h5ad")
    write_predictions(dataset, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("shared_data", type=Path)
    parser.add_argument("out_dir", type=Path)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--frozen", type=Path, help="folder with embeddings.npz and perturbation.npz to use")
    group.add_argument("--freeze", type=Path, help="folder to write them to")
    given = parser.parse_args()
    prepare(given.shared_data, given.out_dir, given.frozen, given.freeze)
