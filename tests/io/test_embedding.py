"""Reading embeddings from files, references and memory, and aligning them with the cells."""

import re
import warnings

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr

from czbenchmarks.io.dataset import Cells
from czbenchmarks.io.embedding import read_embedding
from czbenchmarks.io.files import parquet
from czbenchmarks.kernels.stored import StoredMatrix

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


def test_a_missing_file_is_caught_as_either(adata, tmp_path):
    with pytest.raises(FileNotFoundError, match="which does not exist"):
        read_embedding(tmp_path / "none.npy", adata)
    with pytest.raises(ValueError, match="which does not exist"):
        read_embedding("X_nothing", adata)


@pytest.mark.parametrize("form", ["{}", "obsm:{}"])
def test_a_key_without_its_sign_is_recognised(adata, form):
    [key] = adata.obsm
    with pytest.raises(ValueError, match=f"Did you mean '@obsm:{key}'"):
        read_embedding(form.format(key), adata)


def test_a_key_is_recognised_whether_or_not_it_can_be_read(adata, tmp_path):
    [key] = adata.obsm
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        file[f"obsm/{key}"].attrs["encoding-type"] = "martian"
    with pytest.raises(ValueError, match=f"Did you mean '@obsm:{key}'"):
        read_embedding(key, tmp_path / "cells.h5ad")
    with pytest.raises(ValueError, match=r"which anndata .* does not know; update anndata"):
        read_embedding(f"@obsm:{key}", tmp_path / "cells.h5ad")
    with pytest.raises(ValueError, match="which does not exist"):
        read_embedding("X_nothing", tmp_path / "cells.h5ad")


def test_damaged_npy_files_are_one_sentence(adata, tmp_path):
    for name in _damaged(tmp_path):
        with pytest.raises(ValueError, match="`embedding` must ") as caught:
            read_embedding(tmp_path / f"{name}.npy", adata)
        assert f"{name}.npy" in str(caught.value)
        assert "\n" not in str(caught.value)


SHUFFLED = np.random.default_rng(5).permutation(N)


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(N, 3))


def write(folder, form, values, names):
    """Write an embedding in one of the forms; where it holds names, the cells are shuffled."""
    table = pd.DataFrame(values, index=names)
    mixed = table.iloc[SHUFFLED]
    obs = pd.DataFrame(index=mixed.index)
    path = folder / form
    text = {
        "named.csv": mixed.to_csv,
        "named headings.csv": mixed.add_prefix("d").rename_axis("cell").to_csv,
        "position index.csv": table.reset_index(drop=True).to_csv,
        "position headings.csv": lambda out: table.add_prefix("d").to_csv(out, index=False),
        "position numbered.csv": lambda out: table.to_csv(out, index=False),
        "position savetxt.csv": lambda out: np.savetxt(out, values, delimiter=","),
        "named without headings.csv": lambda out: mixed.to_csv(out, header=False),
        "named.tsv": lambda out: mixed.to_csv(out, sep="\t"),
        "named.tsv.gz": lambda out: mixed.to_csv(out, sep="\t"),
        "named.csv.gz": mixed.to_csv,
        "named utf-8 mark.csv": lambda out: mixed.to_csv(out, encoding="utf-8-sig"),
        "named.parquet": mixed.rename(columns=str).to_parquet,
        "named column.parquet": mixed.rename(columns=str).rename_axis("cell").reset_index().to_parquet,
        "position.parquet": table.reset_index(drop=True).rename(columns=str).to_parquet,
        "position.npy": lambda out: np.save(out, values),
        "position fortran.npy": lambda out: np.save(out, np.asfortranarray(values)),
        "position.npz": lambda out: np.savez(out, values),
        "position compressed.npz": lambda out: np.savez_compressed(out, x=values),
        "position sparse.npz": lambda out: sp.save_npz(out, sp.csc_matrix(values)),
        "named.h5ad": ad.AnnData(mixed.to_numpy(), obs).write_h5ad,
        "named.zarr": ad.AnnData(mixed.to_numpy(), obs).write_zarr,
        "position.zarr": lambda out: zarr.save_array(str(out), values),
    }
    keyed = {
        "named obsm.h5ad": ad.AnnData(np.zeros((N, 2)), obs, obsm={"X": mixed.to_numpy()}).write_h5ad,
        "position obsm.h5ad": ad.AnnData(np.zeros((N, 2)), obsm={"X_a": values}).write_h5ad,
        "named obsm.zarr": ad.AnnData(np.zeros((N, 2)), obs, obsm={"X_a": mixed.to_numpy()}).write_zarr,
        "named layer.h5ad": ad.AnnData(np.zeros((N, 3)), obs, layers={"a": mixed.to_numpy()}).write_h5ad,
        "position keyed.npz": lambda out: np.savez(out, a=values, b=values[:2]),
        "position keyed.zarr": lambda out: zarr.save_group(str(out), a=values),
        "R.csv": lambda out: out.write_text(_as_r_writes(mixed, corner="")),
        "R corner.csv": lambda out: out.write_text(_as_r_writes(mixed, corner='"",')),
        "position R numbers.csv": lambda out: out.write_text(
            _as_r_writes(table.set_axis(range(1, N + 1)), corner='"",')
        ),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats' futures
        {**text, **keyed}[form](path)
    keys = {
        "named obsm.zarr": ":X_a",
        "position obsm.h5ad": ":X_a",
        "named layer.h5ad": ":layers:a",
        "position keyed.npz": ":a",
        "position keyed.zarr": ":a",
        "named obsm.h5ad": ":obsm:X",
    }
    return f"{path}{keys.get(form, '')}"


def _as_r_writes(table, corner):
    rows = [
        f'"{name}",' + ",".join(map(repr, row.tolist()))
        for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    return corner + ",".join(f'"V{i}"' for i in range(3)) + "\n" + "\n".join(rows) + "\n"


FORMS = """
named.csv|named headings.csv|position index.csv|position headings.csv|position numbered.csv|position savetxt.csv
named without headings.csv|named.tsv|named.tsv.gz|named.csv.gz|named utf-8 mark.csv|named.parquet|named column.parquet
position.parquet|position.npy|position fortran.npy|position.npz|position compressed.npz|position sparse.npz|named.h5ad
named.zarr|position.zarr|named obsm.h5ad|position obsm.h5ad|named obsm.zarr|named layer.h5ad|position keyed.npz
position keyed.zarr|R.csv|R corner.csv|position R numbers.csv
"""


@pytest.mark.parametrize("form", FORMS.strip().replace("\n", "|").split("|"))
def test_every_form_gives_the_same_numbers(adata, tmp_path, values, form):
    source = write(tmp_path, form, values, adata.obs_names)
    found = read_embedding(source, adata)
    value = found.value.toarray() if sp.issparse(found.value) else np.asarray(found.value)
    np.testing.assert_array_equal(value, values)  # to the last bit
    assert found.rows is None
    assert (found.missing_from_embedding, found.missing_from_data) == (0, 0)
    aligned = "position" if form.startswith("position") else "name"
    key = {"key": source.partition(form)[2][1:]} if source.partition(form)[2] else {}
    assert found.origin == {"path": str(tmp_path / form), **key, "aligned": aligned}
    assert type(read_embedding(tmp_path / form if not key else source, adata)).__name__ == "LoadedEmbedding"


def test_float32_stays_float32(adata, tmp_path, values):
    np.save(tmp_path / "x.npy", values.astype("f4"))
    assert read_embedding(str(tmp_path / "x.npy"), adata).value.dtype == np.float32


def test_names_that_look_like_numbers_stay_text(tmp_path, values):
    obs = pd.DataFrame({"a": range(N)}, index=[f"{i:03d}" for i in range(N)])
    for source in (tmp_path / "x.csv", tmp_path / "y.csv"):
        mixed = pd.DataFrame(values, index=obs.index).iloc[SHUFFLED]
        mixed.to_csv(source, header=source.name == "x.csv", index_label="plate")
        found = read_embedding(source, obs)
        np.testing.assert_array_equal(found.value, values)
        assert found.origin["aligned"] == "name"


@pytest.mark.parametrize("heading", ["", "Cell ID", "cell_id", "# barcode", "CellID"])
def test_some_numbered_columns_of_many(adata, tmp_path, values, heading):
    mixed = pd.DataFrame(values, index=adata.obs_names, columns=[10, 672, 7157]).iloc[SHUFFLED]
    mixed.to_csv(tmp_path / "x.csv", index_label=heading)
    found = read_embedding(tmp_path / "x.csv", adata)
    np.testing.assert_array_equal(found.value, values)
    assert found.columns == ["10", "672", "7157"]
    assert read_embedding(tmp_path / "x.csv", adata, any_length=True).value.shape == (N, 3)


@pytest.mark.parametrize("d", [1, 3])
def test_a_first_cell_that_counts_is_no_heading(adata, tmp_path, d):
    first = np.arange(N * d).reshape(N, d)  # its first row is 0, 1, 2
    pd.DataFrame(first, index=adata.obs_names).to_csv(tmp_path / "x.csv", header=False)
    found = read_embedding(tmp_path / "x.csv", adata)
    np.testing.assert_array_equal(found.value, first)
    assert found.columns == [str(i) for i in range(d)]


def test_names_that_are_numbers_are_no_dimension(tmp_path, values):
    obs = pd.DataFrame({"a": range(N)}, index=[str(1000 + i) for i in range(N)])
    names = [*obs.index[1:], "999"]  # most are known
    pd.DataFrame(values, index=names).to_csv(tmp_path / "x.csv", index_label="plate")
    with pytest.raises(ValueError, match=r"1 cell has no row \(1000\) and 1 row is of a cell not in the data \(999\)"):
        read_embedding(tmp_path / "x.csv", obs)
    pd.DataFrame(values, index=range(500, 500 + N)).to_csv(tmp_path / "y.csv", index_label="CellID")
    with pytest.raises(ValueError, match="got none of its 12 names: '500' where the data have '1000'"):
        read_embedding(tmp_path / "y.csv", obs)


def test_a_long_line_of_headings(adata, tmp_path):
    columns = [f"gene{i:020d}" for i in range(50_000)]  # more than a megabyte
    wide = pd.DataFrame(np.resize([0.5, 1.5, 2.5], (N, 50_000)), index=adata.obs_names, columns=columns)
    wide.iloc[SHUFFLED].to_csv(tmp_path / "x.csv")
    found = read_embedding(tmp_path / "x.csv", adata)
    np.testing.assert_array_equal(found.value, wide)
    assert found.columns == columns


def test_lines_end_in_three_ways(adata, tmp_path, values):
    text = pd.DataFrame(values, index=adata.obs_names).iloc[SHUFFLED].to_csv(index_label='a "b"\nc')
    for start, end in (("\n\n", "\n"), ("\n\n", "\r\n"), ("", "\r")):
        (tmp_path / "x.csv").write_text((start + text).replace("\n", end), newline="")
        np.testing.assert_array_equal(read_embedding(tmp_path / "x.csv", adata).value, values)


def test_names_in_the_last_column_of_a_parquet_file(adata, tmp_path, values):
    mixed = pd.DataFrame(values, columns=list("xyz"), index=adata.obs_names).iloc[SHUFFLED]
    mixed.assign(cell=mixed.index).reset_index(drop=True).to_parquet(tmp_path / "x.parquet")
    found = read_embedding(tmp_path / "x.parquet", adata)
    np.testing.assert_array_equal(found.value, values)
    assert (found.columns, found.origin["aligned"]) == (["x", "y", "z"], "name")


def test_a_damaged_parquet_file_is_one_sentence(adata, tmp_path, capfd, values, monkeypatch):
    """Damage in the pages crashes what decodes them, or makes it go on forever."""
    monkeypatch.setattr(parquet, "_PATIENCE", 5.0)
    pd.DataFrame(values, index=adata.obs_names, columns=list("xyz")).to_parquet(tmp_path / "x.parquet")
    content = (tmp_path / "x.parquet").read_bytes()
    endless, crashing = bytearray(content), bytearray(content)
    endless[14] ^= 0x0F
    crashing[31] ^= 0x0F
    for damaged in (endless, crashing, content[:-20]):
        (tmp_path / "y.parquet").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"`embedding` must") as caught:
            read_embedding(tmp_path / "y.parquet", adata)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_rows_turned_round_are_not_taken_by_position(adata, values):
    turned = pd.DataFrame(values).iloc[::-1]  # its index is a range still
    numbered = pd.DataFrame({"a": range(N)}, index=[str(i) for i in range(N)])
    np.testing.assert_array_equal(read_embedding(turned, numbered).value, values)
    with pytest.raises(ValueError, match=r"got none of its 12 names: '11' where the data have 'cell0'"):
        read_embedding(turned, adata)


def test_numbers_are_not_headings(adata, tmp_path):
    first = np.arange(N * 3).reshape(N, 3)  # its first row is 0, 1, 2
    np.savetxt(tmp_path / "x.csv", first, delimiter=",", fmt="%d")
    np.testing.assert_array_equal(read_embedding(tmp_path / "x.csv", adata).value, first)


def test_data_with_plain_names_are_found_by_them(values):
    obs = pd.DataFrame({"a": range(N)}, index=[str(i) for i in range(N)])
    mixed = pd.DataFrame(values, index=obs.index).iloc[SHUFFLED]
    np.testing.assert_array_equal(read_embedding(mixed, obs).value, values)
    part = obs.iloc[[7, 2, 5]]
    found = read_embedding(mixed.sort_index(), part, allow_missing_cells=True)
    np.testing.assert_array_equal(found.value, values[[7, 2, 5]])


def test_tables_in_memory(adata, values):
    table = pd.DataFrame(values, index=adata.obs_names)
    before = table.iloc[SHUFFLED].copy()
    mixed = before.copy()
    found = read_embedding(mixed, adata)
    pd.testing.assert_frame_equal(found.value, table)
    pd.testing.assert_frame_equal(mixed, before)
    assert found.origin == {"kind": "DataFrame", "aligned": "name"}
    plain = table.reset_index(drop=True)
    assert read_embedding(plain, adata).origin["aligned"] == "position"
    assert read_embedding(table, adata).value is table
    with pytest.raises(ValueError, match=r"got none of its 12 names: 'z0' where the data have 'cell0'; rename"):
        read_embedding(table.set_axis([f"z{i}" for i in range(N)]), adata)


def test_missing_cells(adata, tmp_path, values):
    names = [*adata.obs_names[4:], "new1", "new2"]
    table = pd.DataFrame(np.vstack([values[4:], values[:2]]), index=names).iloc[::-1]
    table.to_csv(tmp_path / "x.csv")
    sentence = (
        f"`{tmp_path / 'x.csv'}` must have one row per cell of `data`: 4 cells have no row (cell0, cell1, cell2 and 1 "
        "more) and 2 rows are of cells not in the data (new2, new1); complete it, or score the 8 shared cells with "
        "allow_missing_cells (--allow-missing-cells)."
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        read_embedding(tmp_path / "x.csv", adata)
    for source in (tmp_path / "x.csv", table):
        found = read_embedding(source, adata, allow_missing_cells=True)
        np.testing.assert_array_equal(found.value, values[4:])
        np.testing.assert_array_equal(found.rows, np.arange(4, N))
        assert (found.missing_from_embedding, found.missing_from_data) == (4, 2)
    more = read_embedding(
        pd.DataFrame(np.ones((N + 1, 2)), index=[*adata.obs_names, "x"]), adata, allow_missing_cells=True
    )
    assert more.rows is None
    assert (more.value.shape, more.missing_from_data) == ((N, 2), 1)
    with pytest.raises(ValueError, match="expected 12, got 11"):  # a bare array has no names to go by
        read_embedding(values[:-1], adata, allow_missing_cells=True)


def test_names_that_occur_twice(adata, values):
    twice = list(adata.obs_names)
    twice[3] = twice[2]
    same = pd.DataFrame(values, index=twice)
    with pytest.raises(ValueError, match=r"must be unique to be aligned, `embedding` has 1 more than once \(cell2\)"):
        read_embedding(same, adata)
    data = pd.DataFrame({"a": range(N)}, index=twice)
    assert read_embedding(same, data).value is same  # the same order: nothing to align
    assert read_embedding(values, data).value is values
    with pytest.raises(ValueError, match=r"`data` has 1 more than once \(cell2\)"):
        read_embedding(pd.DataFrame(values, index=adata.obs_names), data)


def test_any_length_leaves_it_to_the_caller(adata, tmp_path, values):
    pd.DataFrame(values[:5], index=[f"p{i}" for i in range(5)], columns=list("abc")).to_csv(tmp_path / "x.csv")
    found = read_embedding(tmp_path / "x.csv", adata, any_length=True)
    assert list(found.value.index) == [f"p{i}" for i in range(5)]
    assert list(found.value.columns) == found.columns == ["a", "b", "c"]
    assert found.origin["aligned"] == "caller"
    np.save(tmp_path / "x.npy", values[:-1])
    assert read_embedding(tmp_path / "x.npy", adata, any_length=True).value.shape == (N - 1, 3)
    with pytest.raises(ValueError, match=r"x.npy` must have the same length .* expected 12, got 11"):
        read_embedding(tmp_path / "x.npy", adata)


def test_references_and_what_is_no_embedding(adata, values):
    found = read_embedding("@obsm:X_pca", adata)
    assert found.origin == {"reference": "@obsm:X_pca", "aligned": "position"}
    assert found.value is adata.obsm["X_pca"]
    assert read_embedding(values.tolist(), Cells(adata)).origin == {"kind": "list", "aligned": "position"}
    with pytest.raises(TypeError, match="got an AnnData; pass its"):
        read_embedding(adata, adata)
    with pytest.raises(ValueError, match="transpose it"):
        read_embedding(values.T, adata)


BAD_TABLES = {
    "text.csv": ("cell,a,b\nx,1,high\ny,2,low\n", "has text in column b; drop or convert it"),
    "gap.csv": (",a,b\ncell0,1,\ncell1,2,3\n", "has 1 empty or NaN values in 1 rows"),
    "nan.csv": ("1.5,nan\n2.5,3\n", "has 1 empty or NaN values in 1 rows"),
    "wide.csv": (",a,b\ncell0,1,2\ncell1,2,3,4\n", "must have rows of equal length"),
    "narrow.csv": (",a,b\ncell0,1,2\ncell1,2\n", "has 1 empty or NaN values"),
    "semicolons.csv": (
        "cell;a\ncell0;1\n",
        "separated by commas, the first line of .* has one column, but has semicol",
    ),
    "tabs.csv": ("cell\ta\ncell0\t1\n", "has one column, but has tabs"),
    "spaces.csv": ("0.5 1.5\n2.5 3.5\n", "has one column, but has spaces"),
    "commas.tsv": ("cell,a\ncell0,1\n", "separated by tabs, .* but has commas"),
    "names only.csv": ("cell0\ncell1\n", "has one column; save it with commas"),
    "empty.csv": ("", "which is empty"),
    "blank.csv": ("\n\n\n", "which is empty"),
    "headings only.csv": ("cell,a,b\n", "must hold a row per cell, got .* which has none"),
    "counted.csv": ("n,x\n0,0.5\n1,0.25\n2,0.5\n", "the first column of .* counts the rows; drop it, or leave"),
    "counted savetxt.csv": ("0,0.5\n1,0.25\n2,0.5\n", "the first column of .* counts the rows"),
    "nameless.csv": (",0.5,0.25\ncell1,1,2\n", "begins with nothing and goes on with numbers"),
    "headings.csv": ("a,b,c,d\n1,2\n3,4\n", "has 4 headings and 2 columns"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_tables(adata, tmp_path, name):
    text, sentence = BAD_TABLES[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=sentence) as caught:
        read_embedding(tmp_path / name, adata)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_keys_and_colons(adata, tmp_path, values):
    np.savez(tmp_path / "x.npz", a=values, b=values)
    with pytest.raises(ValueError, match=r"holds 2: a, b; name one as x.npz:KEY"):
        read_embedding(tmp_path / "x.npz", adata)
    with pytest.raises(ValueError, match=r"Array 'c' is not in .* Available: a, b"):
        read_embedding(f"{tmp_path}/x.npz:c", adata)
    odd = tmp_path / "run.npz:2.npy"
    np.save(odd, values)
    assert read_embedding(str(odd), adata).value.shape == (N, 3)
    with pytest.raises(ValueError, match=r"got 'C:\\data\\x.npy', which does not exist"):
        read_embedding("C:\\data\\x.npy", adata)
    ad.AnnData(None, adata.obs, obsm={"X_a": values}).write_h5ad(tmp_path / "no x.h5ad")
    with pytest.raises(ValueError, match=r"`embedding` must hold X for this, got none; name an entry of obsm as FILE"):
        read_embedding(tmp_path / "no x.h5ad", adata)
    with pytest.raises(ValueError, match=r"Key 'X_b' is not in obsm. Did you mean 'X_a'"):
        read_embedding(f"{tmp_path / 'no x.h5ad'}:X_b", adata)
    (tmp_path / "x.docx").write_text("x")
    with pytest.raises(ValueError, match=r"must be a .npy, .npz, .csv, .* got '.*x.docx'; convert it"):
        read_embedding(tmp_path / "x.docx", adata)


def test_a_link_in_place_of_an_array_is_refused(adata, file, tmp_path):
    with h5py.File(tmp_path / "x.h5ad", "w") as handle:
        handle["a"] = h5py.ExternalLink(str(file), "/obsm/X_pca")
    with pytest.raises(ValueError, match=r"`embedding` must hold its data itself, /a of '.*x.h5ad' is a link"):
        read_embedding(f"{tmp_path / 'x.h5ad'}:a", adata)


def test_the_home_folder(adata, tmp_path, values, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "x.npy", values)
    assert read_embedding("~/x.npy", adata).origin["path"] == str(tmp_path / "x.npy")


def test_an_address_is_fetched(adata, tmp_path, values, monkeypatch):
    fetching = pytest.importorskip("czbenchmarks.datasets.download.fetching")
    np.savez(tmp_path / "cached.npz", a=values, b=values)
    monkeypatch.setattr(fetching, "fetch", lambda address, **_: tmp_path / "cached.npz")
    found = read_embedding("https://example.org/x.npz:a", adata)
    assert found.origin == {
        "path": str(tmp_path / "cached.npz"),
        "address": "https://example.org/x.npz",
        "key": "a",
        "aligned": "position",
    }


def test_a_large_table_is_read_in_bounded_memory(tmp_path):
    import tracemalloc

    n, d = 10_000, 50
    values = np.random.default_rng(0).normal(size=(n, d))
    names = [f"cell{i}" for i in range(n)]
    pd.DataFrame(values, index=names).to_csv(tmp_path / "x.csv")
    obs = pd.DataFrame({"a": 1}, index=names)
    tracemalloc.start()
    found = read_embedding(tmp_path / "x.csv", obs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found.value, values)
    assert peak < 8 * values.nbytes


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_a_matrix_left_in_its_file(kind, tmp_path):
    values = np.random.default_rng(3).poisson(1.0, (6, 4)).astype("float32")
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(6)])
    path = tmp_path / "prediction.h5ad"
    ad.AnnData(kind(values[::-1]), obs=obs.iloc[::-1]).write_h5ad(path)
    found = read_embedding(path, obs, in_file=True)
    assert isinstance(found.value, StoredMatrix)
    assert found.origin["aligned"] == "name"
    np.testing.assert_array_equal(found.value.toarray(), values)
    assert not isinstance(read_embedding(path, obs).value, StoredMatrix)
    part = read_embedding(path, obs.iloc[1:4], in_file=True, allow_missing_cells=True)
    np.testing.assert_array_equal(part.value.toarray(), values[1:4])


def test_a_file_without_a_matrix_to_leave_there(tmp_path):
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(6)])
    ad.AnnData(obs=obs).write_h5ad(tmp_path / "empty.h5ad")
    with pytest.raises(ValueError, match="must hold X for this, got none"):
        read_embedding(tmp_path / "empty.h5ad", obs, in_file=True)
