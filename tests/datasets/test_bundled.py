"""The cells that come with the package: what is in them, where they come from, and how they were chosen."""

import hashlib
import importlib.util
import re
import sys
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

import czbenchmarks.datasets
from czbenchmarks.datasets.utils import load_dataset

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(czbenchmarks.datasets.__file__).parent / "bundled"
SPECIES = {"human": ("Homo sapiens", "ENSG"), "mouse": ("Mus musculus", "ENSMUSG")}


@pytest.fixture(scope="module")
def cells():
    return {name: ad.read_h5ad(FOLDER / f"baron_pancreas_{name}.h5ad") for name in SPECIES}


@pytest.fixture(scope="module")
def make():
    """Return the script that makes the files, as a module."""
    spec = importlib.util.spec_from_file_location("bundle_make", ROOT / "scripts" / "bundle" / "make.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["bundle_make"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bundle_make"]


def test_at_most_three_megabytes_with_the_licence_beside_them():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 3_000_000
    notice = (FOLDER / "LICENSE.txt").read_text(encoding="utf-8")
    assert "came==0.1.13" in notice
    assert notice.count("The above copyright notice and this permission notice shall be included") == 2


def test_files_are_those_of_the_read_me(make):
    said = dict(
        reversed(line.split())
        for line in (ROOT / "scripts" / "bundle" / "README.md").read_text(encoding="utf-8").splitlines()
        if re.fullmatch(r"[0-9a-f]{64}  \S+\.h5ad", line)
    )
    assert said == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("*.h5ad")}
    assert make.TARGET == FOLDER


@pytest.mark.parametrize("name", SPECIES)
def test_raw_counts_in_csr(cells, name):
    X = cells[name].X
    assert (type(X).__name__, X.dtype, X.has_sorted_indices) == ("csr_matrix", np.float32, True)
    assert np.array_equal(X.data, np.rint(X.data))
    assert X.data.min() == 1
    assert X.shape == (812, 10673)
    assert X.sum(axis=1).min() > 500
    assert "raw counts" in cells[name].uns["X_content"]
    assert "10.1016/j.cels.2016.08.011" in cells[name].uns["source"]
    assert cells[name].uns["licence"].startswith("MIT")


@pytest.mark.parametrize("name", SPECIES)
def test_columns(cells, name):
    organism, prefix = SPECIES[name]
    obs, var = cells[name].obs, cells[name].var
    assert not obs.isna().any().any()
    assert obs.index.is_unique
    assert set(obs["organism"]) == {organism}
    assert set(obs["tissue"]) == {"pancreas"}
    assert obs["cell_ontology_id"].str.fullmatch(r"CL:\d{7}").all()
    assert obs["batch"].str.startswith(obs["donor"].astype(str).iloc[0][:5]).all()
    assert (obs.groupby("batch", observed=True)["donor"].nunique() == 1).all()
    assert var.index.str.fullmatch(prefix + r"\d{11}").all()
    assert var.index.is_unique
    assert var["gene_symbol"].is_unique


def test_both_hold_the_same_orthologues_in_the_same_order(cells):
    human, mouse = cells["human"].var, cells["mouse"].var
    assert list(human["ortholog"]) == list(mouse.index)
    assert list(mouse["ortholog"]) == list(human.index)
    pairs = dict(zip(human["gene_symbol"], mouse["gene_symbol"], strict=True))
    assert (pairs["GCG"], pairs["SST"], pairs["TTR"]) == ("Gcg", "Sst", "Ttr")
    assert "INS" not in pairs  # two genes in the mouse


@pytest.mark.parametrize(("name", "marker"), [("human", "GCG"), ("mouse", "Gcg")])
def test_rows_and_columns_are_not_mixed_up(cells, name, marker):
    one = cells[name]
    column = one.X[:, list(one.var["gene_symbol"]).index(marker)].toarray().ravel()
    means = pd.Series(column, index=one.obs_names).groupby(one.obs["cell_type"], observed=True).mean()
    assert means.idxmax() == "alpha"


def test_types_that_both_species_have(cells):
    human, mouse = (cells[name].obs["cell_type"].value_counts() for name in SPECIES)
    shared = human.index[human >= 10].intersection(mouse.index[mouse >= 10])
    assert set(shared) == {
        "activated_stellate", "alpha", "beta", "delta", "ductal", "endothelial", "gamma", "macrophage",
        "quiescent_stellate",
    }  # fmt: skip
    assert "t_cell" not in human


@pytest.mark.parametrize("name", SPECIES)
def test_valid_data_set_of_the_catalogue(cells, name, cache):
    data = load_dataset(f"baron_pancreas_{name}")
    data.validate()
    assert data.organism.prefix == SPECIES[name][1]
    assert data.labels.tolist() == cells[name].obs["cell_type"].tolist()
    assert list(data.adata.var_names) == list(cells[name].var_names)


@pytest.mark.parametrize("name", SPECIES)
def test_subset_of_the_source(cells, name, shared_data):
    source = ad.read_h5ad(shared_data / f"baron_pancreas_{name}.h5ad")
    ours = cells[name]
    same = source[ours.obs_names, ours.var["gene_symbol"]]
    assert (same.X != ours.X).nnz == 0
    theirs = same.obs[list(ours.obs)].astype(str)
    pd.testing.assert_frame_equal(theirs, ours.obs.astype(str), check_dtype=False, check_names=False)
    if name == "human":
        given = same.var["ensembl_id"].astype(str)
        assert (given[given != ""].to_numpy() == ours.var_names[given != ""]).all()
        assert (given != "").mean() > 0.99
    sizes, kept = source.obs["cell_type"].value_counts(), ours.obs["cell_type"].value_counts()
    small = sizes[sizes <= 25]
    assert (kept[small.index] == small).all()
    assert (kept >= np.minimum(sizes, 25).reindex(kept.index)).all()
    batches = pd.crosstab(source.obs["cell_type"], source.obs["batch"])
    share = batches.mul(kept.reindex(batches.index) / batches.sum(axis=1), axis=0)
    drawn = pd.crosstab(ours.obs["cell_type"], ours.obs["batch"]).reindex_like(share)
    assert (drawn - share).abs().to_numpy().max() < 1


@pytest.mark.parametrize("fewest", [0, 3])
def test_quotas(make, fewest):
    sizes = pd.Series({"a": 100, "b": 50, "c": 4, "d": 1})
    found = make.quotas(sizes, 40, fewest)
    assert found.sum() == 40
    assert (found <= sizes).all()
    assert (found >= np.minimum(sizes, fewest)).all()
    assert found["a"] > found["b"] > found["c"] >= found["d"]
    assert make.quotas(sizes, 155, fewest).tolist() == sizes.tolist()


def test_writing_is_repeatable_and_reads_back(make, cells, tmp_path):
    one = cells["human"][:60].copy()
    make.write(one, tmp_path / "a.h5ad")
    make.write(one.copy(), tmp_path / "b.h5ad")
    assert (tmp_path / "a.h5ad").read_bytes() == (tmp_path / "b.h5ad").read_bytes()
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    assert (back.X != one.X).nnz == 0
    pd.testing.assert_frame_equal(back.obs, one.obs)
    pd.testing.assert_frame_equal(back.var, one.var)
    assert dict(back.uns) == dict(one.uns)
    with h5py.File(tmp_path / "a.h5ad") as file:
        symbols = file["var/gene_symbol"]
        symbols = symbols["values"] if isinstance(symbols, h5py.Group) else symbols  # text since anndata 0.13
        assert symbols.compression == "gzip"
