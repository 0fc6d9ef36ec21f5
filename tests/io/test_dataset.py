"""Reading data sets piece by piece, and references."""

import json
import re
import shutil
import warnings

import anndata as ad
import h5py
import numcodecs
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr

from czbenchmarks.datasets import SingleCellLabeledDataset, SingleCellPerturbationDataset
from czbenchmarks.io.dataset import Cells
from czbenchmarks.io.embedding import read_embedding
from czbenchmarks.io.references import look_up, reference_for
from czbenchmarks.io.view import View

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


@pytest.fixture(params=[2, 3], ids=["zarr 2", "zarr 3"])
def folder(adata, tmp_path, request):
    with ad.settings.override(zarr_write_format=request.param), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the format's future
        adata.write_zarr(tmp_path / "cells.zarr")
    return tmp_path / "cells.zarr"


def chunks(array):
    """The files of an array in a zarr folder that hold its values."""
    return sorted(
        file for file in array.rglob("*") if file.is_file() and file.name not in (".zarray", ".zattrs", "zarr.json")
    )


@pytest.mark.parametrize(
    "form", ["memory", "file", "text", "backed", "folder", "unloaded", "loaded", "unloaded folder"]
)
def test_pieces_are_the_same_however_the_data_are_held(adata, file, folder, form):
    source = {"memory": adata, "file": file, "text": str(file), "folder": str(folder)}.get(form)
    if "loaded" in form:
        source = SingleCellLabeledDataset(folder if form == "unloaded folder" else file, "human")
        if form == "loaded":
            source.load_data()
    backed = ad.read_h5ad(file, backed="r") if form == "backed" else None
    cells = Cells(backed if source is None else source)
    assert cells.n == N
    np.testing.assert_array_equal(look_up(cells, "@obsm:X_pca"), adata.obsm["X_pca"])
    np.testing.assert_array_equal(look_up(cells, "@layers:dense"), adata.layers["dense"])
    np.testing.assert_array_equal(look_up(cells, "@X").toarray(), adata.X.toarray())
    assert list(look_up(cells, "cell_type")) == list(look_up(cells, "@obs:cell_type")) == list("abc") * 4
    assert list(look_up(cells, "@var:ensembl")) == list("vwxyz")
    assert list(look_up(cells, "@obs_index"))[:2] == ["cell0", "cell1"]
    assert list(look_up(cells, "@var_index"))[:2] == ["gene0", "gene1"]
    assert look_up(cells, "@").shape == (N, 5)
    if backed is not None:
        backed.file.close()


def test_only_what_is_asked_for_is_read(file, folder):
    with h5py.File(file, "a") as handle:
        del handle["X"], handle["layers"]
    shutil.rmtree(folder / "X")
    shutil.rmtree(folder / "layers")
    for cells in (Cells(file), Cells(folder)):
        assert look_up(cells, "@obsm:X_pca").shape == (N, 3)
        with pytest.raises(ValueError, match="`data` must hold X"):
            look_up(cells, "@X")


def test_what_was_read_whole_is_not_read_again(file):
    cells = Cells(file)
    assert look_up(cells, "@") is cells.adata
    assert look_up(cells, "@X") is cells.adata.X


def test_a_table_is_obs(adata):
    cells = Cells(adata.obs)
    assert cells.obs is adata.obs
    with pytest.raises(ValueError, match="table of obs and holds no obsm"):
        look_up(cells, "@obsm:X_pca")
    with pytest.raises(ValueError, match="got a table of obs"):
        look_up(cells, "@")


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("@obsm:X_pac", "Key 'X_pac' is not in obsm. Did you mean 'X_pca'? Available: X_pca."),
        ("@layers:x", "Key 'x' is not in layers. Available: dense."),
        ("cell_typ", "Column 'cell_typ' is not in obs. Did you mean 'cell_type'? Available: cell_type."),
        ("@var:gene", "Column 'gene' is not in var. Available: ensembl."),
        ("@obsp", "Reference '@obsp' is not known; write @X, "),
        ("@obsp:d", "Reference '@obsp:d' names pairs of cells, which only `neighbors` (--neighbors) takes."),
        ("@obsm", "Reference '@obsm' is not known; write @X, "),
        ("@X:1", "Reference '@X:1' is not known; write @X, "),
    ],
)
@pytest.mark.parametrize("form", ["memory", "file"])
def test_wrong_references(adata, file, form, reference, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        look_up(Cells(adata if form == "memory" else file), reference)


def test_a_number_names_the_data_set(adata):
    cells = [Cells(adata.obs), Cells(adata)]
    assert reference_for("@1:obs:cell_type", cells, 0) == (cells[1], "@obs:cell_type")
    assert reference_for("@0", cells, 1) == (cells[0], "@")
    assert reference_for("cell_type", cells, 1) == (cells[1], "cell_type")
    with pytest.raises(ValueError, match="counted from 0, got 2 data sets"):
        reference_for("@2:obs:cell_type", cells, 0)
    with pytest.raises(ValueError, match="counted from 0, got 1 data set"):
        reference_for("@1:X", cells[:1], 0)


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
        "broken.h5ad": "the encoding 'dataframe' without its version, so it is incomplete",
        ".": "which is a folder and no .zarr",
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


def test_a_data_set_that_is_not_loaded_is_not_touched(file, adata):
    data = SingleCellLabeledDataset(file, "mouse", label_column_key="kind")
    cells = Cells(data)
    assert cells.organism.name == "mus_musculus"
    assert cells.label_column == "kind"
    assert look_up(cells, "@obsm:X_pca").shape == (N, 3)
    assert cells.path == file
    with pytest.raises(ValueError, match="kind"):  # the copy is loaded as the data set loads itself
        look_up(cells, "@")
    assert not hasattr(data, "adata")


def test_the_copy_of_a_screen_holds_what_loading_adds(tmp_path):
    obs = pd.DataFrame({"condition": ["ctrl"] * 3 + ["g1"] * 3}, index=[f"c{i}" for i in range(6)])
    screen = ad.AnnData(np.ones((6, 10), "f4"), obs, pd.DataFrame(index=[f"ENSG{i}" for i in range(10)]))
    screen.uns["de_results_wilcoxon"] = pd.DataFrame(
        {
            "condition": ["g1"] * 10,
            "gene": screen.var_names.to_numpy(),
            "logfoldchange": np.full(10, 2.0),
            "pval_adj": np.full(10, 1e-9),
        }
    )
    screen.uns["control_cells_map"] = {"g1": {"c3": "c0", "c4": "c1", "c5": "c2"}}
    screen.write_h5ad(tmp_path / "screen.h5ad")
    data = SingleCellPerturbationDataset(tmp_path / "screen.h5ad", "human")
    found = look_up(Cells(data), "@")
    assert len(found.uns["target_conditions_dict"]["g1"]) == 5
    assert not hasattr(data, "adata")


@pytest.mark.parametrize("form", ["memory", "file", "folder", "table"])
def test_a_part_of_the_cells(adata, file, folder, form):
    cells = Cells({"memory": adata, "file": file, "folder": folder, "table": adata.obs}[form])
    rows = np.array([1, 4, 5])
    part = View(cells, rows)
    assert (part.n, part.path, part.label_column) == (3, cells.path, "cell_type")
    assert list(look_up(part, "cell_type")) == ["b", "b", "c"]
    assert list(look_up(part, "@obs_index")) == ["cell1", "cell4", "cell5"]
    assert list(look_up(part, "index")) == ["cell1", "cell4", "cell5"]
    if form != "table":
        np.testing.assert_array_equal(look_up(part, "@obsm:X_pca"), adata.obsm["X_pca"][rows])
        np.testing.assert_array_equal(look_up(part, "@X").toarray(), adata.X[rows].toarray())
        assert list(look_up(part, "@var:ensembl")) == list("vwxyz")
        assert list(look_up(part, "@var_index")) == list(adata.var_names)
        assert look_up(part, "@").shape == (3, 5)
    assert cells.n == N
    again = View(part, np.array([0, 2]))
    assert list(look_up(again, "@obs_index")) == ["cell1", "cell5"]


def test_a_remote_address_is_fetched_once_it_is_needed(file, monkeypatch):
    fetching = pytest.importorskip("czbenchmarks.datasets.download.fetching")
    asked = []
    monkeypatch.setattr(fetching, "fetch", lambda address, **_: asked.append(address) or file)
    cells = Cells("s3://bucket/cells.h5ad")
    assert asked == []
    assert cells.n == N
    assert look_up(cells, "@obsm:X_pca").shape == (N, 3)
    assert asked == ["s3://bucket/cells.h5ad"]


def test_a_file_of_before_2020(adata, tmp_path):
    """Then obs was one compound array, and pieces had no encoding."""
    table = np.array(
        [(name.encode(), i % 2) for i, name in enumerate(adata.obs_names)], dtype=[("index", "S8"), ("group", "i8")]
    )
    genes = np.array([(name.encode(),) for name in adata.var_names], dtype=[("index", "S8")])
    with h5py.File(tmp_path / "old.h5ad", "w") as handle:
        handle["obs"], handle["var"], handle["X"] = table, genes, adata.X.toarray()
        handle["obsm"] = np.array([(row,) for row in adata.obsm["X_pca"]], dtype=[("X_pca", "f8", 3)])
    cells = Cells(tmp_path / "old.h5ad")
    assert list(look_up(cells, "group")) == [0, 1] * 6
    np.testing.assert_array_equal(look_up(cells, "@obsm:X_pca"), adata.obsm["X_pca"])


@pytest.fixture
def file_of_2021(file):
    """In anndata 0.7 a column of text is codes, which refer to the text in a group beside."""
    with h5py.File(file, "a") as handle:
        obs = handle["obs"]
        text, codes = obs["cell_type/categories"][...], obs["cell_type/codes"][...]
        del obs["cell_type"]
        obs.attrs["encoding-version"] = "0.1.0"
        obs["cell_type"] = codes
        obs.create_dataset("__categories/cell_type", data=text, dtype=h5py.string_dtype())
        obs["cell_type"].attrs["categories"] = obs["__categories/cell_type"].ref
    return file


def test_a_file_of_2021(adata, file_of_2021):
    cells = Cells(file_of_2021)
    for labels in (look_up(cells, "cell_type"), look_up(View(cells, np.arange(N)), "@obs:cell_type")):
        assert list(labels) == list(adata.obs["cell_type"])
    assert list(Cells(file_of_2021).obs["cell_type"]) == list(adata.obs["cell_type"])


@pytest.mark.parametrize("kind", ["reference", "path"])
def test_categories_elsewhere_are_refused(file_of_2021, tmp_path, kind):
    (tmp_path / "secret.bin").write_bytes(b"secret1secret2secret3")
    with h5py.File(file_of_2021, "a") as handle:
        secret = handle.create_dataset("secret", (3,), "S7", external=[(str(tmp_path / "secret.bin"), 0, 21)])
        handle["obs/cell_type"].attrs["categories"] = secret.ref if kind == "reference" else "/secret"
    for ask in (lambda cells: cells.obs, lambda cells: look_up(cells, "cell_type")):
        with pytest.raises(ValueError, match=r"`data` must hold its data itself"):
            ask(Cells(file_of_2021))


ARRAYS = ["obsm/X_pca", "X/data", "X/indices", "X/indptr", "layers/dense", "obs/_index", "obs/cell_type/categories"]


def place_of(folder, array):
    """Return where an array of text lies: since anndata 0.13 its values are an array beside a mask."""
    return f"{array}/values" if (folder / array / "values").exists() else array


@pytest.mark.parametrize("array", ARRAYS)
def test_a_missing_chunk_is_not_zeros(folder, array):
    array = place_of(folder, array)
    (chunk,) = chunks(folder / array)
    chunk.unlink()
    reference = {"obsm": "@obsm:X_pca", "X": "@X", "layers": "@layers:dense", "obs": "cell_type"}[array.split("/")[0]]
    with pytest.raises(ValueError, match=f"1 of 1 chunks of {array} of '.*' are missing; copy the folder again"):
        look_up(Cells(folder), reference)


def test_a_missing_chunk_of_codes(folder):
    chunks(folder / "obs/cell_type/codes")[0].unlink()
    with pytest.raises(ValueError, match=r"chunks of column 'cell_type' of obs of '.*' are missing"):
        look_up(Cells(folder), "cell_type")


def columns_in_chunks(path, **columns):
    """A zarr folder whose columns of `obs` are written in chunks of 50."""
    group = zarr.open_group(str(path), mode="w")
    n = len(next(iter(columns.values())))
    obs = group.create_group("obs")
    obs.attrs.update(
        {
            "encoding-type": "dataframe",
            "encoding-version": "0.2.0",
            "_index": "_index",
            "column-order": list(columns),
        }
    )
    for name, values in {"_index": np.arange(1, n + 1), **columns}.items():
        array = obs.create_array(name, shape=(n,), chunks=(50,), dtype="i8")
        array[:] = values
        array.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    return path


def test_chunks_of_zeros_that_zarr_leaves_out_are_zeros(tmp_path):
    """Cells sorted by batch: the first chunks are all batch 0, and zarr writes none of them."""
    batch = np.repeat([0, 1, 2], 200)
    path = columns_in_chunks(tmp_path / "x.zarr", batch=batch, constant=np.zeros(600, int), code=np.arange(600) % 7)
    assert len(chunks(path / "obs/batch")) == 8
    assert len(chunks(path / "obs/constant")) == 0
    for name, values in {"batch": batch, "constant": np.zeros(600), "code": np.arange(600) % 7}.items():
        np.testing.assert_array_equal(look_up(Cells(path), name), values)
    chunks(path / "obs/code")[3].unlink()
    np.testing.assert_array_equal(look_up(Cells(path), "batch"), batch)  # another column is no concern
    with pytest.raises(ValueError, match="chunks of column 'code'"):
        look_up(Cells(path), "code")


@pytest.mark.parametrize("form", ["file", "folder"])
def test_rows_of_a_piece_must_be_the_cells(file, folder, form):
    with h5py.File(file, "a") as handle:
        del handle["obsm/X_pca"]
        handle["obsm/X_pca"] = np.ones((N - 1, 3))
        handle["obsm/X_pca"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    array = zarr.open_array(str(folder / "obsm/X_pca"), mode="r+")
    array.resize((N - 1, 3))
    with pytest.raises(ValueError, match="one row per cell in @obsm:X_pca: expected 12, got 11"):
        look_up(Cells(file if form == "file" else folder), "@obsm:X_pca")


def test_indices_that_point_outside_are_refused(file, folder):
    with h5py.File(file, "a") as handle:
        handle["X/indices"][0] = 10**6
    zarr.open_array(str(folder / "X/indices"), mode="r+")[0] = 10**6
    for source in (file, folder):
        for reference in ("@X", "@"):
            with pytest.raises(ValueError, match=r"is damaged or incomplete \(indices must be < 5\)"):
                look_up(Cells(source), reference)


@pytest.mark.parametrize("shards", [(4, 2), (8, 3), (8, 4), (12, 3)])
def test_shards(tmp_path, shards):
    values = np.random.default_rng(0).normal(size=(N, 3))
    path = tmp_path / "x.zarr"
    with ad.settings.override(zarr_write_format=3), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the format's future
        ad.AnnData(values).write_zarr(path)
        group = zarr.open_group(path, use_consolidated=False)
        chunk = (4, 2) if shards[1] % 2 == 0 else (4, 3)
        array = group.create_array("obsm/a", shape=(N, 3), chunks=chunk, shards=shards, dtype="f8")
        array[...] = values
        array.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        blosc = group.create_array(
            "obsm/b", shape=(N, 3), chunks=chunk, shards=shards, dtype="f8", compressors=zarr.codecs.BloscCodec()
        )
        blosc[...] = values
    np.testing.assert_array_equal(look_up(Cells(path), "@obsm:a"), values)
    with pytest.raises(ValueError, match=r"blosc inside of shards or other codecs \(obsm/b of"):
        look_up(Cells(path), "@obsm:b")
    files = chunks(path / "obsm/a/c")
    files[-1].unlink()
    cells = Cells(path)
    if len(files) == 1:
        with pytest.raises(ValueError, match="complete, 1 of 1 chunks of obsm/a of"):
            look_up(cells, "@obsm:a")
        return
    found = look_up(cells, "@obsm:a")
    rows = (found != values).any(axis=1)
    assert 0 < rows.sum() <= shards[0]
    assert (found[found != values] == 0).all()
    parts = f"1 of {len(files)} chunks of obsm/a"
    again = "copy the folder again unless it is whole"
    assert cells.notes == [f"`data`: {parts} are not stored and were read as zeros; {again}"]


def test_blosc_under_another_codec(tmp_path):
    """What the outer codec unpacks was not looked at, and blosc believes what it says of its length."""
    values = np.random.default_rng(0).normal(size=(N, 3))
    array = zarr.create_array(
        tmp_path / "x.zarr",
        data=values,
        zarr_format=2,
        filters=[numcodecs.Blosc()],
        compressors=[numcodecs.GZip()],
    )
    assert array.shape == (N, 3)
    with pytest.raises(ValueError, match=r"blosc inside of shards or other codecs"):
        read_embedding(tmp_path / "x.zarr", pd.DataFrame({"a": range(N)}))


@pytest.mark.parametrize("form", [2, 3])
def test_a_large_matrix_of_ones_is_no_damage(tmp_path, monkeypatch, form):
    monkeypatch.setattr("czbenchmarks.io.files.files.PLAIN", 2**16)  # in place of 268 MB
    n, genes = 4000, 1000
    ones = sp.csr_matrix(
        (np.ones(n * genes // 2, "f4"), np.resize(np.arange(0, genes, 2), n * genes // 2), np.arange(n + 1) * 500),
        shape=(n, genes),
    )
    with ad.settings.override(zarr_write_format=form), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the format's future
        ad.AnnData(ones).write_zarr(tmp_path / "x.zarr")
    stored = sum(file.stat().st_size for file in chunks(tmp_path / "x.zarr/X/data"))
    assert stored * (1100 if form == 3 else 100) < ones.data.nbytes
    assert Cells(tmp_path / "x.zarr").piece("X").sum() == n * genes / 2


@pytest.mark.parametrize("array", ["obs/_index", "obs/a"])
def test_a_pickled_zarr_array_is_not_read(tmp_path, array):

    canary = tmp_path / "canary"

    class Bomb:
        def __reduce__(self):
            return (open, (str(canary), "w"))

    path = tmp_path / "cells.zarr"
    with ad.settings.override(zarr_write_format=2), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ad.AnnData(np.ones((2, 2), "f4"), pd.DataFrame({"a": [1, 2]}, index=["x", "y"])).write_zarr(path)
    array = place_of(path, array)
    metadata = path / array / ".zarray"
    described = json.loads(metadata.read_text())
    described.update(filters=[{"id": "pickle"}], compressor=None)
    metadata.write_text(json.dumps(described))
    (path / array / "0").write_bytes(numcodecs.Pickle().encode(np.array([Bomb(), Bomb()], dtype=object)))
    with pytest.raises(ValueError, match=r"must not be pickled|could not be read"):
        Cells(path).obs  # noqa: B018
    assert not canary.exists()


@pytest.mark.parametrize("kind", ["external", "soft", "raw", "itself"])
def test_links_are_refused(file, tmp_path, kind):
    (tmp_path / "secret.bin").write_bytes(b"12345678" * N * 3)
    with h5py.File(file, "a") as handle:
        del handle["obsm/X_pca"]
        if kind == "external":
            handle["obsm/X_pca"] = h5py.ExternalLink("other.h5ad", "/obsm/X_pca")
        elif kind == "soft":
            handle["obsm/X_pca"] = h5py.SoftLink("/layers/dense")
        elif kind == "itself":
            handle["obsm/X_pca"] = handle["obsm"]
        else:
            handle.create_dataset("obsm/X_pca", (N, 3), "f8", external=[(str(tmp_path / "secret.bin"), 0, N * 24)])
    with pytest.raises(ValueError, match="holds itself" if kind == "itself" else "must hold its data itself"):
        look_up(Cells(file), "@obsm:X_pca")


@pytest.mark.parametrize("attribute", ["column-order", "_index"])
@pytest.mark.parametrize("place", ["/elsewhere/link/group", "beside/link/group"])
def test_a_table_that_names_a_path_is_refused(adata, file, tmp_path, attribute, place):
    """Names of columns are attributes, and anndata follows them, links in them as well."""
    shutil.copy(file, tmp_path / "secret.h5ad")
    with h5py.File(file, "a") as handle:
        obs = handle["obs"]
        target = h5py.ExternalLink(str(tmp_path / "secret.h5ad"), "/obs/cell_type")
        handle.create_group("elsewhere")["link"] = target
        handle.create_group("obs/beside")
        handle["obs/beside/link"] = target
        name = place.replace("group", "categories")
        obs.attrs[attribute] = name if attribute == "_index" else np.array([name], dtype=object)
    for ask in (lambda cells: cells.obs, lambda cells: look_up(cells, name), lambda cells: cells.adata):
        with pytest.raises(ValueError, match=r"`data` must hold its data (itself|where they belong)"):
            ask(Cells(file))


def test_a_zarr_table_that_names_a_path_is_refused(folder, tmp_path):
    (folder / "obs/plain").mkdir()  # no group: a look at all members passes it
    (folder / "obs/cell_type/codes").rename(tmp_path / "secret")
    (folder / "obs/plain/link").symlink_to(tmp_path / "secret")
    if (folder / "zarr.json").exists():
        described = json.loads((folder / "obs/zarr.json").read_text())
        described["attributes"]["column-order"] = ["plain/link"]
        (folder / "obs/zarr.json").write_text(json.dumps(described))
    else:
        described = json.loads((folder / "obs/.zattrs").read_text()) | {"column-order": ["plain/link"]}
        (folder / "obs/.zattrs").write_text(json.dumps(described))
    shutil.rmtree(folder / "obs/cell_type")
    for ask in (lambda cells: cells.obs, lambda cells: look_up(cells, "plain/link")):
        with pytest.raises(ValueError, match=r"obs/plain/link of '.*' is a link"):
            ask(Cells(folder))


def test_a_column_whose_name_holds_a_slash(adata, file):
    with h5py.File(file, "a") as handle:  # as anndata before 0.12 wrote it
        handle.create_group("obs/G1")
        handle.move("obs/cell_type", "obs/G1/S")
        handle["obs"].attrs["column-order"] = np.array(["G1/S"], dtype=object)
    assert list(look_up(Cells(file), "G1/S")) == list(Cells(file).obs["G1/S"]) == list(adata.obs["cell_type"])


def test_a_link_inside_a_zarr_folder_is_refused(folder, tmp_path):
    (folder / "obsm/X_pca").rename(tmp_path / "elsewhere")
    (folder / "obsm/X_pca").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"X_pca of '.*' is a link"):
        look_up(Cells(folder), "@obsm:X_pca")
    folder.rename(tmp_path / "real.zarr")  # the folder itself may be one
    folder.symlink_to(tmp_path / "real.zarr")
    assert Cells(folder).n == N


def test_what_was_never_written_is_refused(file):
    with h5py.File(file, "a") as handle:
        handle.create_dataset("obsm/huge", (N, 10**8), "f8", chunks=(1, 10**6))
        handle.create_dataset("obsm/hollow", (N, 4), "f8")
        part = handle.create_dataset("obsm/part", (N, 4), "f8", chunks=(6, 4))
        part[:6] = 1.0
        for name in ("huge", "hollow", "part"):
            handle["obsm"][name].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    with pytest.raises(ValueError, match=r"obsm/huge of '.*' declares 9.6 GB and has 0 bytes"):
        look_up(Cells(file), "@obsm:huge")
    for name in ("hollow", "part"):
        with pytest.raises(ValueError, match=f"parts of obsm/{name} of '.*' were never written"):
            look_up(Cells(file), f"@obsm:{name}")


def test_compressed_files_are_read(adata, tmp_path):
    adata.write_h5ad(tmp_path / "gz.h5ad", compression="gzip")
    np.testing.assert_array_equal(look_up(Cells(tmp_path / "gz.h5ad"), "@layers:dense"), adata.layers["dense"])


def test_names_with_control_characters_are_escaped(adata):
    adata.obs["bad\x1b[2Jname"] = 1
    with pytest.raises(ValueError, match=r"bad\\x1b\[2Jname"):
        look_up(Cells(adata), "nothing")


@pytest.mark.parametrize("form", ["file", "folder"])
def test_one_column_is_read_and_no_other(file, folder, form):
    with h5py.File(file, "a") as handle:
        del handle["obs/cell_type/codes"]
        handle["obs/n"] = np.arange(N)
        handle["obs/n"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        handle["obs"].attrs["column-order"] = ["cell_type", "n"]
    shutil.rmtree(folder / "obs/cell_type/codes")
    obs = zarr.open_group(str(folder / "obs"), mode="r+", use_consolidated=False)
    obs.create_array("n", data=np.arange(N)).attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    obs.attrs["column-order"] = ["cell_type", "n"]
    cells = Cells(file if form == "file" else folder)
    assert cells.columns == ["cell_type", "n"]
    assert list(look_up(cells, "n")) == list(range(N))
    assert (cells.n, list(cells.names[:2])) == (N, ["cell0", "cell1"])
    assert list(look_up(View(cells, np.array([3])), "n")) == [3]
    for broken in ("cell_type", "@obs"):
        with pytest.raises(ValueError, match="is damaged or incomplete"):
            look_up(cells, broken)


def test_columns_are_what_the_whole_table_holds(adata, file, folder):
    adata.obs["flag"] = pd.array([True, None] * 6, dtype="boolean")
    adata.obs["number"] = np.arange(N) / 3
    adata.obs["text"] = [f"t{i}" for i in range(N)]
    for path in (file, folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (adata.write_h5ad if path is file else adata.write_zarr)(path)
        table = Cells(path).obs
        for name in table.columns:
            pd.testing.assert_series_equal(look_up(Cells(path), name), table[name])
        assert Cells(path).names.equals(table.index)


def test_a_column_that_is_in_obs_twice(adata):
    adata.obs = pd.concat([adata.obs, adata.obs[["cell_type"]]], axis=1)
    with pytest.raises(
        ValueError, match="Column 'cell_type' must be in obs of `data` once, got 2 of that name; rename"
    ):
        look_up(Cells(adata), "cell_type")
