"""Files that cannot be read, and files that can though libraries stumble: each is named for what it is.

A file that is whole is never called damaged, and nobody is told to write it again.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr

import czbenchmarks

N, D = 60, 4


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Return a folder with good files of one data set: cells.h5ad, cells.zarr, emb.npy, emb.csv."""
    folder = tmp_path_factory.mktemp("good")
    rng = np.random.default_rng(0)
    kind = np.arange(N) % 3
    X = rng.normal(size=(N, D)) + 2 * kind[:, None]
    obs = pd.DataFrame({"kind": kind.astype(str), "plate": rng.integers(0, 2, N).astype(str)})
    obs.index = [f"cell{i:02}" for i in range(N)]
    counts = rng.poisson(1.0, (N, 10)).astype(float)
    adata = anndata.AnnData(counts, obs, pd.DataFrame(index=[f"gene{i}" for i in range(10)]), obsm={"X_emb": X})
    adata.strings_to_categoricals()
    adata.write_h5ad(folder / "cells.h5ad")
    with anndata.settings.override(zarr_write_format=3), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the format's future
        adata.write_zarr(folder / "cells.zarr")
    np.save(folder / "emb.npy", X)
    np.savez_compressed(folder / "emb.npz", X)
    pd.DataFrame(X, index=obs.index).to_csv(folder / "emb.csv")
    pd.DataFrame(X, index=obs.index).rename(columns=str).to_parquet(folder / "emb.parquet", engine="fastparquet")
    return folder


@pytest.fixture
def place(good, tmp_path, monkeypatch):
    shutil.copytree(good, tmp_path / "x")
    monkeypatch.chdir(tmp_path / "x")
    monkeypatch.setenv("HDF5_USE_FILE_LOCKING", "TRUE")
    return tmp_path / "x"


def hdf5(change: Callable[[Any], Any]) -> Callable[[], str]:
    def make() -> str:
        with h5py.File("cells.h5ad", "r+") as file:
            change(file)
        return "cells.h5ad"

    return make


def replaced(file: Any, values: Any, **how: Any) -> Any:
    """Write the embedding anew."""
    del file["obsm/X_emb"]
    array = file.create_dataset("obsm/X_emb", data=values, **how)
    array.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    return array


def broken_chunk(**how: Any) -> Callable[[], str]:
    def make() -> str:
        with h5py.File("cells.h5ad", "r+") as file:
            values = file["obsm/X_emb"][...]
            chunk = replaced(file, values, chunks=values.shape, **how).id.get_chunk_info(0)
        content = bytearray(Path("cells.h5ad").read_bytes())
        content[chunk.byte_offset + 40 : chunk.byte_offset + 70] = b"\xff" * 30
        Path("cells.h5ad").write_bytes(content)
        return "cells.h5ad"

    return make


def unknown_filter(file: Any) -> None:
    shape = file["obsm/X_emb"].shape
    del file["obsm/X_emb"]
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_chunk(shape)
    how.set_filter(32023, h5py.h5z.FLAG_OPTIONAL, (1,))
    space = h5py.h5s.create_simple(shape)
    array = h5py.h5d.create(file["obsm"].id, b"X_emb", h5py.h5t.IEEE_F64LE, space, how)
    array.write_direct_chunk((0, 0), b"packed" * 50, 0)
    file["obsm/X_emb"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def latin(file: Any) -> None:
    del file["obs/kind"]
    text = np.array(["b\xe9ta".encode("latin-1")] * N, dtype=object)
    column = file.create_dataset("obs/kind", data=text, dtype=h5py.string_dtype("utf-8"))
    column.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})


def latin_attribute(file: Any) -> None:
    file["obs"].attrs.create("column-order", np.array([b"kind", b"pl\xe9te"], dtype="S8"))


def newer(name: str, kind: str) -> Callable[[Any], None]:
    return lambda file: file[name].attrs.update({"encoding-type": kind, "encoding-version": "9.1.0"})


def only(**groups: Any) -> Callable[[], str]:
    def make() -> str:
        with h5py.File("other.h5ad", "w") as file:
            for name, value in groups.items():
                file[name.replace("__", "/")] = value
        return "other.h5ad"

    return make


def cut(name: str, part: float) -> Callable[[], str]:
    def make() -> str:
        content = Path(name).read_bytes()
        Path(name).write_bytes(content[: int(len(content) * part)])
        return name

    return make


def described(change: Callable[[dict[str, Any]], Any], where: str = "obsm/X_emb") -> Callable[[], str]:
    """Change what a zarr array says of itself."""

    def make() -> str:
        file = Path("cells.zarr", where, "zarr.json")
        about = json.loads(file.read_text())
        change(about)
        file.write_text(json.dumps(about))
        return "cells.zarr"

    return make


def in_zarr(change: Callable[[Path], Any], file: str) -> Callable[[], str]:
    def make() -> str:
        change(Path("cells.zarr", file))
        return "cells.zarr"

    return make


def chunk() -> str:
    return next(
        str(one.relative_to("cells.zarr")) for one in Path("cells.zarr/obsm/X_emb/c").rglob("*") if one.is_file()
    )


def linked(name: str | None) -> Callable[[], str]:
    def make() -> str:
        file = Path("cells.zarr", name or chunk())
        shutil.move(file, "elsewhere")
        file.symlink_to(Path("elsewhere").resolve())
        return "cells.zarr"

    return make


def overwritten_chunk() -> str:
    file = Path("cells.zarr", chunk())
    file.write_bytes(file.read_bytes()[:12] + b"\xff" * 30)
    return "cells.zarr"


def spatial() -> str:
    root = zarr.open_group("sample.zarr", mode="w")
    root.create_group("images")
    root.create_group("tables")
    shutil.move("cells.zarr", "sample.zarr/tables/table")
    return "sample.zarr"


def zipped() -> str:
    shutil.make_archive("cells.zarr", "zip", "cells.zarr")
    return "cells.zarr.zip"


def file_of(name: str, content: bytes | Callable[[], bytes]) -> Callable[[], str]:
    def make() -> str:
        Path(name).write_bytes(content if isinstance(content, bytes) else content())
        return name

    return make


def table(**how: Any) -> Callable[[], str]:
    def make() -> str:
        name = f"table{how.pop('suffix', '.csv')}"
        pd.read_csv("emb.csv", index_col=0).to_csv(name, **how)
        return name

    return make


def edited(name: str, change: Callable[[bytearray], Any]) -> Callable[[], str]:
    def make() -> str:
        content = bytearray(Path(name).read_bytes())
        change(content)
        Path(name).write_bytes(content)
        return name

    return make


def zip_method(content: bytearray) -> None:
    content[8:10] = struct.pack("<H", 93)  # zstd, of 2020
    where = content.find(b"PK\x01\x02")
    content[where + 10 : where + 12] = struct.pack("<H", 93)


def zip_password(content: bytearray) -> None:
    content[6] |= 1
    content[content.find(b"PK\x01\x02") + 8] |= 1


def of_torch() -> str:
    with zipfile.ZipFile("model.npz", "w") as file:
        file.writestr("archive/data.pkl", b"x")
        file.writestr("archive/data/0", b"1234")
    return "model.npz"


def spreadsheet() -> bytes:
    with zipfile.ZipFile("book.zip", "w") as file:
        file.writestr("xl/workbook.xml", "x\0y")
    return Path("book.zip").read_bytes()


def garbage(content: bytearray) -> None:
    content[80:140] = b"\xff" * 60


WHOLE: dict[str, tuple[Callable[[], str], str]] = {
    "a filter that is not installed": (
        hdf5(unknown_filter),
        r"obsm/X_emb of '.*' is by sperr \(number 32023\); install it: pip install hdf5plugin",
    ),
    "text that is not UTF-8": (hdf5(latin), r"obs/kind of '.*' holds text that is not UTF-8 \(the byte 0xe9\)"),
    "an attribute that is not UTF-8": (hdf5(latin_attribute), "text.* UTF-8"),
    "a newer encoding of an embedding": (
        hdf5(newer("obsm/X_emb", "ragged-array")),
        r"the encoding 'ragged-array' 9.1.0, which anndata [\d.]+\S* does not know; update anndata",
    ),
    "a newer encoding of labels": (hdf5(newer("obs/kind", "ontology")), "the encoding 'ontology' 9.1.0, which anndata"),
    "an embedding without values": (
        hdf5(lambda file: replaced(file, h5py.Empty("f8"))),
        "h5py.Empty; the file holds no values there",
    ),
    "an embedding of records": (
        hdf5(lambda file: replaced(file, np.zeros(N, dtype=[("a", "f4"), ("b", "f4")]))),
        "must hold numbers, got dtype|one row per cell",
    ),
    "an embedding of references": (
        hdf5(lambda file: replaced(file, [file["X"].ref] * N, dtype=h5py.ref_dtype)),
        "must hold numbers, got|could not be read",
    ),
    "loom": (only(matrix=np.ones((2, 3)), row_attrs__a=[1], col_attrs__a=[1]), r"a loom file; convert it: anndata.io"),
    "10x Genomics": (only(matrix__barcodes=[b"a"], matrix__data=[1]), "a matrix of 10x Genomics; convert it: scanpy."),
    "Seurat": (only(reductions__pca=[1]), "a file of Seurat; convert it to .h5ad"),
    "another HDF5 file": (only(values=[1]), "an HDF5 file without obs"),
    "SpatialData": (spatial, r"a SpatialData store; name one of its tables: sample.zarr/tables/table"),
    "a zipped zarr folder": (zipped, "a zip archive; unzip it into a folder"),
    "a zarr codec that is not installed": (
        described(lambda about: about["codecs"].append({"name": "jpegxl", "configuration": {}})),
        "is packed by the zarr codec 'jpegxl', which is not installed; install the package that has it",
    ),
    "a newer zarr format": (
        described(lambda about: about.update(zarr_format=9), "."),
        "is of zarr format 9, which zarr .* does not read; update zarr",
    ),
    "a linked chunk": (linked(None), "obsm/X_emb of '.*' has links in it .*copy the data in"),
    "a linked description": (linked("obsm/X_emb/zarr.json"), "obsm/X_emb of '.*' is a link; copy the data in"),
    "latin-1 table": (
        file_of("latin.csv", lambda: Path("emb.csv").read_bytes().replace(b"cell01", b"c\xe9ll1")),
        r"holds text that is not UTF-8 \(the byte 0xe9\); write its text in UTF-8",
    ),
    "UTF-16 table": (
        file_of("wide.csv", lambda: Path("emb.csv").read_text().encode("utf-16")), "UTF-16; save it as UTF-8"),
    "semicolons and decimal commas": (
        table(sep=";", decimal=","),
        "has semicolons; save it with commas and decimal points",
    ),
    "tabs and decimal commas": (
        table(sep="\t", decimal=",", suffix=".tsv"),
        r"has decimal commas \('-?\d,\d+'\) in 4 columns; save it with decimal points",
    ),
    "quoted decimal commas": (table(decimal=","), "has decimal commas .* save it with decimal points"),
    "a spreadsheet named .csv": (file_of("book.csv", spreadsheet), r"a zip archive, such as .*\.xlsx.*; convert it"),
    "text named .gz": (
        file_of("emb.csv.gz", lambda: Path("emb.csv").read_bytes()), "is not gzip-compressed, though named .gz"),
    "a newer .npy format": (
        edited("emb.npy", lambda content: content.__setitem__(6, 9)),
        r"of a format that NumPy .* reads, 'emb.npy' is of version 9.0; update NumPy",
    ),
    "numbers of bfloat16": (
        lambda: np.save("half.npy", np.zeros((N, D), "V2")) or "half.npy",
        "as NumPy writes bfloat16; save them as float32",
    ),
    "pickled objects": (
        lambda: np.save("objects.npy", np.array([{}] * N), allow_pickle=True) or "objects.npy",
        "holds pickled objects, and reading those would run code",
    ),
    "a newer zip method": (edited("emb.npz", zip_method), "packed by a method that Python's zipfile does not read"),
    "a zip with a password": (edited("emb.npz", zip_password), "is encrypted; write it without a password"),
    "a model of PyTorch": (of_torch, "which PyTorch wrote, .*load it with torch.load and save the array"),
    "feather named .parquet": (file_of("emb.parquet", b"ARROW1\0\0" + b"0" * 99), r"an Arrow \(feather\) file"),
    "encrypted parquet": (file_of("emb.parquet", b"PARE" + b"0" * 99 + b"PARE"), "an encrypted parquet file"),
    "HDF5 named .npy": (file_of("emb.npy", lambda: Path("cells.h5ad").read_bytes()), "an HDF5 file; name it .h5ad"),
    "NumPy named .h5ad": (file_of("emb.h5ad", lambda: Path("emb.npy").read_bytes()), "a NumPy array; name it .npy"),
    "a web page": (file_of("emb.h5ad", b"<!DOCTYPE html><html>"), "a web page, so the download went wrong"),
    "a pointer of Git LFS": (
        file_of("emb.npy", b"version https://git-lfs.github.com/spec/v1\noid"), "a Git LFS pointer: .*git lfs pull"),
    "a folder": (lambda: os.mkdir("emb2.npy") or "emb2.npy", "which is a folder and no .zarr"),
}  # fmt: skip

DAMAGED: dict[str, tuple[Callable[[], str], str]] = {
    "a cut .h5ad": (cut("cells.h5ad", 0.5), r"is damaged or incomplete \(.*truncated file"),
    "a chunk that does not unpack": (broken_chunk(compression="gzip"), "is damaged or incomplete"),
    "a wrong checksum": (broken_chunk(fletcher32=True), "is damaged or incomplete"),
    "a cut description": (
        in_zarr(lambda file: file.write_text(file.read_text()[:30]), "obsm/X_emb/zarr.json"),
        "is damaged or incomplete",
    ),
    "a zarr chunk that does not unpack": (overwritten_chunk, r"obsm/X_emb of '.*' is damaged or incomplete"),
    "a cut gzip": (
        lambda: Path("t.csv.gz").write_bytes(gzip.compress(Path("emb.csv").read_bytes())[:-900]) and "t.csv.gz",
        "is damaged or incomplete",
    ),
    "a cut .npy": (cut("emb.npy", 0.5), "declares 1,920 bytes and holds"),
    "a .npz that does not unpack": (edited("emb.npz", garbage), "is damaged or incomplete"),
    "a cut parquet": (cut("emb.parquet", 0.5), "breaks off; copy or write it again"),
    "unequal rows": (
        file_of("t.csv", lambda: Path("emb.csv").read_bytes() + b"x,1,2,3,4,5,6\n"),
        "rows of equal length, .*correct it",
    ),
    "an open quotation mark": (
        file_of("t.csv", lambda: Path("emb.csv").read_bytes().replace(b"cell07", b'"cell07')),
        "has a quotation mark that is not closed",
    ),
    "an empty table": (file_of("t.csv", b""), "which is empty"),
}  # fmt: skip


def score(name: str) -> Any:
    if name.endswith((".h5ad", ".zarr", ".zip", "/table")):
        return czbenchmarks.evaluate("@obsm:X_emb", name, "embedding", labels="kind")
    return czbenchmarks.evaluate(name, "cells.h5ad", "embedding", labels="kind")


def said(name: str) -> str:
    with pytest.raises((ValueError, TypeError)) as caught:
        score(name)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.isprintable()
    assert sentence.endswith(".")
    assert re.match(r"`[^`]+` must", sentence), sentence
    return sentence


def test_there_are_forty():
    assert len(WHOLE) + len(DAMAGED) >= 40


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_is_not_called_damaged(place, name):
    make, sentence = WHOLE[name]
    found = said(make())
    assert re.search(sentence, found), found
    assert "write it again" not in found
    assert "damaged" not in found


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is(place, name):
    make, sentence = DAMAGED[name]
    found = said(make())
    assert re.search(sentence, found), found


OPEN = "import h5py, sys; file = h5py.File('cells.h5ad', 'r+'); print(1, flush=True); sys.stdin.read()"
CRASHED = "import h5py, os; file = h5py.File('cells.h5ad', 'r+', libver='latest'); file.swmr_mode = True; os._exit(0)"


def test_a_file_that_another_program_writes(place, start):
    other = start([sys.executable, "-c", OPEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout.readline()
    found = said("cells.h5ad")
    assert "is open in another program; close it there, or copy the file" in found
    assert "again" not in found
    other.communicate()
    assert score("cells.h5ad").result_metrics[0].value > 0


def test_a_file_whose_writer_ended_early(place):
    with h5py.File("new.h5ad", "w", libver="latest") as file, h5py.File("cells.h5ad") as cells:
        for name in cells:
            cells.copy(name, file)
    os.replace("new.h5ad", "cells.h5ad")
    subprocess.run([sys.executable, "-c", CRASHED], check=True)
    assert "clear the mark with h5clear -s FILE" in said("cells.h5ad")


def test_what_is_legal_is_read(place):
    """Named datatypes, text of fixed length, one column that nobody asked for: the same value."""
    expected = score("cells.h5ad").result_metrics[0].value
    with h5py.File("cells.h5ad", "r+") as file:
        for name in ("own", "obs/own", "obsm/own", "uns/own"):
            file[name] = np.dtype("f8")
        newer("obs/plate", "of-the-future")(file)
        for name in ("obs", "obs/kind", "obsm/X_emb", "var"):
            attributes = file[name].attrs
            for key in list(attributes):
                if isinstance(attributes[key], str):
                    value = attributes[key]
                    del attributes[key]
                    attributes.create(key, np.bytes_(value))
    assert score("cells.h5ad").result_metrics[0].value == expected


def test_a_table_of_a_spatialdata_store(place):
    expected = score("cells.zarr").result_metrics[0].value
    assert score(f"{spatial()}/tables/table").result_metrics[0].value == expected


def test_an_embedding_of_hdf5plugin(place):
    plugin = pytest.importorskip("hdf5plugin")
    expected = score("cells.h5ad").result_metrics[0].value
    with h5py.File("cells.h5ad", "r+") as file:
        replaced(file, file["obsm/X_emb"][...], **plugin.Zstd())
    code = "import czbenchmarks as c; print(c.evaluate('@obsm:X_emb', 'cells.h5ad', 'embedding', labels='kind')"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}.result_metrics[0].value)"], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) == expected


def test_chunks_that_zarr_leaves_out(place):
    """Zeros are not stored: an embedding of which a block is zero is read, and the run says what it took for zeros."""
    X = np.load("emb.npy")
    X[:20, :] = 0
    for name, group in (("bare.zarr", None), ("cells.zarr", "obsm/X_emb")):
        where = name if group is None else f"{name}/{group}"
        shutil.rmtree(where, ignore_errors=True)
        array = zarr.create_array(where, shape=X.shape, chunks=(10, 4), dtype="f8", zarr_format=3)
        array[...] = X
        array.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    expected = czbenchmarks.evaluate(X, "cells.h5ad", "embedding", labels="kind").result_metrics[0].value
    for record in (
        czbenchmarks.evaluate("bare.zarr", "cells.h5ad", "embedding", labels="kind"),
        czbenchmarks.evaluate("cells.zarr:X_emb", "cells.h5ad", "embedding", labels="kind"),
        score("cells.zarr"),
    ):
        assert record.result_metrics[0].value == expected
        [note] = [one for one in record.warnings if "chunks of" in one]
        assert "2 of 6 chunks of" in note
        assert "were read as zeros; copy the folder again unless it is whole" in note
