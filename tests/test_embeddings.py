"""Reading data sets piece by piece, references and embeddings."""

import re

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from czbenchmarks.embeddings import Cells, read_embedding, reference_for

N = 12


@pytest.fixture
def adata():
    rng = np.random.default_rng(3)
    obs = pd.DataFrame({"cell_type": list("abc") * 4}, index=[f"cell{i}" for i in range(N)])
    return ad.AnnData(
        X=sp.csr_matrix(rng.poisson(1, (N, 5)).astype("float32")),
        obs=obs,
        var=pd.DataFrame({"ensembl": list("vwxyz")}, index=[f"gene{i}" for i in range(5)]),
        obsm={"X_pca": rng.normal(size=(N, 3))},
        layers={"dense": rng.normal(size=(N, 5))},
    )


@pytest.fixture
def file(adata, tmp_path):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


@pytest.mark.parametrize("form", ["memory", "file", "text", "backed"])
def test_pieces_are_the_same_however_the_data_are_held(adata, file, form):
    source = {"memory": adata, "file": file, "text": str(file)}.get(form)
    backed = ad.read_h5ad(file, backed="r") if form == "backed" else None
    cells = Cells(backed if source is None else source)
    assert cells.n == N
    np.testing.assert_array_equal(cells.look_up("@obsm:X_pca"), adata.obsm["X_pca"])
    np.testing.assert_array_equal(cells.look_up("@layers:dense"), adata.layers["dense"])
    np.testing.assert_array_equal(cells.look_up("@X").toarray(), adata.X.toarray())
    assert list(cells.look_up("cell_type")) == list(cells.look_up("@obs:cell_type")) == list("abc") * 4
    assert list(cells.look_up("@var:ensembl")) == list("vwxyz")
    assert list(cells.look_up("@obs_index"))[:2] == ["cell0", "cell1"]
    assert list(cells.look_up("@var_index"))[:2] == ["gene0", "gene1"]
    assert cells.look_up("@").shape == (N, 5)
    if backed is not None:
        backed.file.close()


def test_only_what_is_asked_for_is_read(file):
    with h5py.File(file, "a") as handle:
        del handle["X"], handle["layers"]
    cells = Cells(file)
    assert read_embedding("@obsm:X_pca", cells).shape == (N, 3)
    with pytest.raises(ValueError, match="`data` must hold X"):
        cells.look_up("@X")


def test_what_was_read_whole_is_not_read_again(file):
    cells = Cells(file)
    assert cells.look_up("@") is cells.adata
    assert cells.look_up("@X") is cells.adata.X


def test_a_table_is_obs(adata):
    cells = Cells(adata.obs)
    assert cells.obs is adata.obs
    with pytest.raises(ValueError, match="table of obs and holds no obsm"):
        cells.look_up("@obsm:X_pca")
    with pytest.raises(ValueError, match="got a table of obs"):
        cells.look_up("@")


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("@obsm:X_pac", "Key 'X_pac' is not in obsm. Did you mean 'X_pca'? Available: X_pca."),
        ("@layers:x", "Key 'x' is not in layers. Available: dense."),
        ("cell_typ", "Column 'cell_typ' is not in obs. Did you mean 'cell_type'? Available: cell_type."),
        ("@var:gene", "Column 'gene' is not in var. Available: ensembl."),
        ("@obsp:d", "Reference '@obsp:d' is not known; write @X, "),
        ("@obsm", "Reference '@obsm' is not known; write @X, "),
        ("@X:1", "Reference '@X:1' is not known; write @X, "),
    ],
)
@pytest.mark.parametrize("form", ["memory", "file"])
def test_wrong_references(adata, file, form, reference, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Cells(adata if form == "memory" else file).look_up(reference)


def test_a_number_names_the_data_set(adata):
    cells = [Cells(adata.obs), Cells(adata)]
    assert reference_for("@1:obs:cell_type", cells, 0) == (cells[1], "@obs:cell_type")
    assert reference_for("@0", cells, 1) == (cells[0], "@")
    assert reference_for("cell_type", cells, 1) == (cells[1], "cell_type")
    with pytest.raises(ValueError, match="counted from 0, got 2 data sets"):
        reference_for("@2:obs:cell_type", cells, 0)
    with pytest.raises(ValueError, match="counted from 0, got 1 data set"):
        reference_for("@1:X", cells[:1], 0)


def test_npy_is_read_as_it_is(adata, tmp_path):
    values = np.random.default_rng(0).normal(size=(N, 4)).astype("float32")
    np.save(tmp_path / "x.npy", values)
    for source in (tmp_path / "x.npy", str(tmp_path / "x.npy")):
        found = read_embedding(source, adata)
        np.testing.assert_array_equal(found, values)
        assert found.dtype == np.float32


def _damaged(folder):
    good = np.zeros((N, 4))
    np.save(folder / "good.npy", good)
    content = (folder / "good.npy").read_bytes()
    np.save(folder / "objects.npy", np.array([{"a": 1}] * N), allow_pickle=True)
    files = {
        "truncated": content[:-40],
        "header only": content[:60],
        "magic only": content[:6],
        "huge": content.replace(b"(12, 4)", b"(12000000000000, 4)".ljust(7)),
        "empty": b"",
        "text": b"1 2 3\n",
        "zip": b"PK\x03\x04",
    }
    for name, data in files.items():
        (folder / f"{name}.npy").write_bytes(data)
    return [*files, "objects"]


def test_damaged_npy_files_are_one_sentence(adata, tmp_path):
    for name in _damaged(tmp_path):
        with pytest.raises(ValueError, match="`embedding` must be a") as caught:
            read_embedding(tmp_path / f"{name}.npy", adata)
        assert f"{name}.npy" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_missing_file_is_caught_as_either(adata, tmp_path):
    with pytest.raises(FileNotFoundError, match="which does not exist"):
        read_embedding(tmp_path / "none.npy", adata)
    with pytest.raises(ValueError, match="which does not exist"):
        read_embedding("X_pca", adata)


def test_rows_must_be_the_cells(adata, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((N - 1, 4)))
    with pytest.raises(ValueError, match=r"x.npy` must have the same length .* expected 12, got 11"):
        read_embedding(tmp_path / "x.npy", adata)
    assert read_embedding(tmp_path / "x.npy", adata, any_length=True).shape == (N - 1, 4)
    table = pd.DataFrame(np.zeros((N, 2)), index=adata.obs_names[::-1])
    with pytest.raises(ValueError, match="must follow the order of `obs`"):
        read_embedding(table, adata)
    assert read_embedding(table.reset_index(drop=True), adata).shape == (N, 2)
    assert read_embedding(table.loc[adata.obs_names].rename(columns={0: "n"}), adata).shape == (N, 2)


def test_bad_data(tmp_path):
    (tmp_path / "text.h5ad").write_text("not this")
    with h5py.File(tmp_path / "other.h5ad", "w") as handle:
        handle["x"] = 1
    with h5py.File(tmp_path / "broken.h5ad", "w") as handle:
        handle.create_group("obs").attrs["encoding-type"] = "dataframe"
    for name, sentence in {
        "text.h5ad": "which is not one",
        "other.h5ad": "an HDF5 file without obs",
        "none.h5ad": "which does not exist",
        "broken.h5ad": "could not be read",
        ".": "which is a folder",
    }.items():
        with pytest.raises(ValueError, match=sentence) as caught:
            Cells(tmp_path / name).obs  # noqa: B018
        assert "\n" not in str(caught.value)
    for value in (7, None, np.zeros((3, 2))):
        with pytest.raises(TypeError, match="`data` must be an AnnData"):
            Cells(value).obs  # noqa: B018


def test_organism_of_the_data():
    obs = pd.DataFrame({"organism": ["Homo sapiens"] * 3})
    assert Cells(obs).organism == "Homo sapiens"
    obs.loc[0, "organism"] = "Mus musculus"
    with pytest.raises(ValueError, match="one organism per data set, got 2"):
        Cells(obs).organism  # noqa: B018
    with pytest.raises(ValueError, match="name it with `organisms`"):
        Cells(obs[[]], "data[1]").organism  # noqa: B018
