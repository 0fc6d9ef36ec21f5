"""AnnData in HDF5 files and zarr folders: opened, and every piece looked at before it is read.

Both formats let a small header claim anything. A piece is refused if it links to other files, declares more
than is stored for it, or would run code. zarr leaves out a chunk of nothing but zeros when it writes, and fills a chunk
that was lost with zeros without a word. So numbers of which chunks are missing are read, and `left_out` says so beside
the scores; text of which chunks are missing, and a matrix of which all are, are refused. For a column of `obs`, see
`missing_chunks_matter`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from czbenchmarks import _check
from czbenchmarks._text import as_text

from .causes import kind_by_content
from .files import Refused, affordable, existing, reading, shown

_MAY_BE_ZERO = ("obs", "var", "uns", "varm", "obsp", "varp", "raw")
"""Groups in which a whole chunk of zeros is nothing strange, or no concern."""

_DESCRIBED = (".zarray", ".zattrs", ".zgroup", "zarr.json", ".zmetadata")
"""Files of a zarr folder that describe it."""

_FILTERS = {
    307: "bzip2", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32017: "sz",
    32018: "fcidecomp", 32023: "sperr", 32024: "sz3", 32026: "blosc2",
}  # fmt: skip
"""What registered filters of HDF5 are called."""

_DENSITY_OF_ZARR = 1 / 33_000
"""zstd packs a block of 131,072 equal bytes into four; the values of a binarised matrix are such blocks."""

H5AD = "an .h5ad file or .zarr folder"


def kind_of_store(path: Path) -> str:
    """Return how a sentence calls the format."""
    return ".zarr" if path.is_dir() else ".h5ad"


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a zarr group or array."""
    return path.is_dir() and any((path / name).is_file() for name in (".zgroup", ".zarray", "zarr.json", ".zattrs"))


def check_store(path: Path, name: str, *, needs_obs: bool = True) -> Path:
    """Refuse what is neither an HDF5 file nor a zarr folder, with `obs`, before anything is computed."""
    existing(path, name, H5AD.removeprefix("an "))
    if path.is_dir():
        if not is_zarr(path):
            zarr = path.suffix == ".zarr"
            what = "a .zarr folder without metadata; copy all of it" if zarr else "a folder and no .zarr"
            raise Refused(f"`{name}` must be {H5AD}, got {shown(path)}, which is {what}.")
    else:
        _check_hdf5(path, name)
    with opened(path, name) as root:
        if needs_obs and "obs" not in root:
            raise Refused(f"`{name}` must be {H5AD}, got {shown(path)}, {_without_obs(root, path)}.")
    return path


def _without_obs(root: Any, path: Path) -> str:
    """Say what a store without `obs` is, and how to get at its cells: other packages write their own layouts."""
    keys = set(entries(root, path))
    if "tables" in keys:
        tables = entries(root["tables"], path) if not is_array(root["tables"]) else []
        names = _check.listing([str(path / "tables" / table) for table in tables])
        return f"a SpatialData store; name one of its tables: {names or 'it has none'}"
    if {"row_attrs", "col_attrs"} <= keys:
        return "a loom file; convert it: anndata.io.read_loom(FILE).write_h5ad(...)"
    if "matrix" in keys and not is_array(root["matrix"]) and "barcodes" in root["matrix"]:
        return "a matrix of 10x Genomics; convert it: scanpy.read_10x_h5(FILE).write_h5ad(...)"
    if {"meta.data", "reductions"} & keys:
        return "a file of Seurat; convert it to .h5ad"
    return "a zarr folder without obs" if path.is_dir() else "an HDF5 file without obs"


def _check_hdf5(path: Path, name: str) -> None:
    import h5py

    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise Refused(f"`{name}` must be a readable .h5ad file, got {shown(path)}: {error.strerror}.") from None
    if not start:
        raise Refused(f"`{name}` must be {H5AD}, got {shown(path)}, which is empty; write it again.")
    if start == b"\x1f\x8b":
        raise Refused(f"`{name}` must be {H5AD}, got {shown(path)}, which is gzip-compressed; gunzip it first.")
    if start == b"PK" and ".zarr" in path.suffixes:
        raise Refused(f"`{name}` must be {H5AD}, got {shown(path)}, which is a zip archive; unzip it into a folder.")
    if not h5py.is_hdf5(path):
        what = kind_by_content(path, "not one; write it with AnnData.write_h5ad")
        raise Refused(f"`{name}` must be {H5AD}, got {shown(path)}, which is {what}.")


@contextmanager
def opened(path: Path, name: str) -> Iterator[Any]:
    """Open an HDF5 file or a zarr folder for reading; what goes wrong inside is one sentence."""
    with reading(path, name, kind_of_store(path)):
        if not path.is_dir():
            import h5py

            with h5py.File(path, "r") as file:
                yield file
            return
        import inspect

        import zarr

        if (path / ".zarray").is_file() or _is_zarr_array(path):
            yield {"": zarr.open_array(str(path), mode="r")}
            return
        # A second, consolidated description of the arrays could differ from what is checked.
        plain = (
            {"use_consolidated": False} if "use_consolidated" in inspect.signature(zarr.open_group).parameters else {}
        )
        yield zarr.open_group(str(path), mode="r", **plain)


def _is_zarr_array(path: Path) -> bool:
    import json

    file = path / "zarr.json"
    return file.is_file() and json.loads(file.read_text(encoding="utf-8")).get("node_type") == "array"


def declared_shape(element: Any) -> list[int] | None:
    """Return the shape that an array, a sparse matrix or a table says it has; None if it says none."""
    if is_array(element):
        return [int(n) for n in element.shape or ()]
    if "shape" in element.attrs:
        return [int(n) for n in element.attrs["shape"]]
    if "column-order" in element.attrs:  # a table
        columns = list(element.attrs["column-order"])
        index = element[as_text(element.attrs["_index"])]
        return [int(index.shape[0]), len(columns)] if is_array(index) else None
    return None


def is_array(element: Any) -> bool:
    """Tell an array from a group."""
    return hasattr(element, "shape") and hasattr(element, "dtype")


def entries(group: Any, path: Path) -> list[str]:
    """Return the names of what a group holds, sorted, and open none of it: one array may need a codec that is missing.

    Named datatypes are left out.
    """
    if hasattr(group, "file"):
        import h5py

        hard = [isinstance(group.get(key, getlink=True), h5py.HardLink) for key in group]  # a link is not followed
        return sorted(
            key
            for key, own in zip(group, hard, strict=True)
            if not (own and group.get(key, getclass=True) is h5py.Datatype)
        )
    folder = path.joinpath(*[part for part in str(group.name or "").split("/") if part])
    return sorted(one.name for one in folder.iterdir() if any((one / file).is_file() for file in _DESCRIBED))


def is_named_type(element: Any) -> bool:
    """Tell a named datatype, which some writers leave beside the data and which holds none."""
    return type(element).__name__ == "Datatype"


def child(group: Any, key: str, path: Path, name: str) -> Any:
    """Return an element of a group; a link to another place is refused, since it may lead to any file.

    A name may hold a slash (the column ``G1/S``): the element is then in a group, which may be a link as well.
    """
    where = f"{getattr(group, 'name', '')}/{key}".replace("//", "/")
    parts = key.split("/")
    if hasattr(group, "file"):  # HDF5
        import h5py

        if len(parts) > 1:
            if "" in parts:
                raise Refused(
                    f"`{name}` must hold its data where they belong, {shown(path)} has them in {shown(key)}; "
                    "write the file again."
                )
            return child(child(group, parts[0], path, name), "/".join(parts[1:]), path, name)
        link = group.get(key, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise Refused(
                f"`{name}` must hold its data itself, {where} of {shown(path)} is a link to another file, "
                f"{shown(link.filename)}; copy the data in."
            )
        if isinstance(link, h5py.SoftLink):
            raise Refused(
                f"`{name}` must hold its data itself, {where} of {shown(path)} is a link to {shown(link.path)}; "
                "copy the data in."
            )
        return group[key]
    place = path.joinpath(*where.strip("/").split("/"))
    described = (place / file for file in _DESCRIBED)
    if any(one.is_symlink() for one in (place, *place.parents[: len(parts) - 1], *described)):
        raise Refused(f"`{name}` must hold its data itself, {where} of {shown(path)} is a link; copy the data in.")
    return group[key]


def guard(element: Any, path: Path, name: str, seen: frozenset[Any] = frozenset()) -> None:
    """Refuse an element of which a part is elsewhere, is not there, or would run code."""
    if is_named_type(element):
        return
    if is_array(element):
        if not hasattr(element, "file"):
            _guard_zarr(element, path, name)
            return
        _guard_hdf5(element, path, name)
        if "categories" in element.attrs:  # before anndata 0.8: where the text of these codes is
            guard(_referred(element, path, name), path, name, seen)
        return
    if hasattr(element, "file"):
        import h5py

        place = h5py.h5o.get_info(element.id).addr
        if place in seen:
            raise Refused(f"`{name}` must be a tree, {element.name} of {shown(path)} holds itself; write it again.")
        seen |= {place}
    named = [*element.attrs.get("column-order", ()), element.attrs.get("_index", "")]
    for key in [
        *entries(element, path),
        *(one for one in map(as_text, named) if "/" in one),
    ]:  # a name of a table may be a path
        guard(child(element, key, path, name), path, name, seen)


def _referred(array: Any, path: Path, name: str) -> Any:
    """Return the element that holds a column's categories; a path in place of a reference could follow links."""
    import h5py

    reference = array.attrs["categories"]
    if not isinstance(reference, h5py.Reference):
        raise Refused(
            f"`{name}` must hold its data itself, the categories of {what_of(array)} of {shown(path)} are "
            f"{shown(reference)}; write the file again."
        )
    return array.file[reference]


def what_of(array: Any) -> str:
    return _check.printable((getattr(array, "name", "") or "").lstrip("/") or "the array")


def _guard_hdf5(array: Any, path: Path, name: str) -> None:
    what = what_of(array)
    if array.external or array.is_virtual:
        raise Refused(f"`{name}` must hold its data itself, {what} of {shown(path)} is in other files; copy it in.")
    if array.shape is None or not array.size:
        return
    _check_filters(array, path, name)
    stored = array.id.get_storage_size()
    affordable(math.prod(array.shape) * array.dtype.itemsize, stored, path, name, what)
    if array.chunks is not None:
        expected = math.prod(math.ceil(n / step) for n, step in zip(array.shape, array.chunks, strict=True))
        incomplete = array.id.get_num_chunks() < expected
    else:
        incomplete = stored == 0
    if incomplete:
        raise Refused(
            f"`{name}` must be complete, parts of {what} of {shown(path)} were never written; write the file again."
        )


def _check_filters(array: Any, path: Path, name: str) -> None:
    """Refuse what is packed by a filter that is not installed; those of hdf5plugin are there once it is imported."""
    import h5py

    properties = array.id.get_create_plist()
    for i in range(properties.get_nfilters()):
        number, _, _, said = properties.get_filter(i)
        if not h5py.h5z.filter_avail(number):
            with contextlib.suppress(ImportError):
                import hdf5plugin  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
        if not h5py.h5z.filter_avail(number):
            named = _FILTERS.get(number) or _check.printable(as_text(said).split(";")[0].strip())
            raise Refused(
                f"`{name}` must be packed by an HDF5 filter that is installed, {what_of(array)} of {shown(path)} is by "
                f"{named or 'one without a name'} (number {number}); install it: pip install hdf5plugin."
            )


def _guard_zarr(array: Any, path: Path, name: str) -> None:
    what = what_of(array)
    folder = _folder(array, path)
    links = [file for file in (folder, *folder.rglob("*")) if file != path and file.is_symlink()]
    if links:
        raise Refused(
            f"`{name}` must hold its data itself, {what} of {shown(path)} has links in it "
            f"({_check.listing([file.name for file in links])}); copy the data in."
        )
    codecs = [
        str(getattr(codec, "codec_id", codec)).lower() for codec in (*(array.filters or ()), *_compressors(array))
    ]
    if any("pickle" in codec for codec in codecs):
        raise Refused(
            f"`{name}` must not be pickled, {what} of {shown(path)} is, and reading it would run code; write it again."
        )
    if not math.prod(array.shape):
        return
    text = array.dtype.kind not in "biufc"
    if any("blosc" in codec for codec in codecs):
        if getattr(array, "shards", None) or any("blosc" in codec for codec in codecs[:-1]):
            raise Refused(
                f"`{name}` must be such that damage is seen, which blosc inside of shards or other codecs ({what} of "
                f"{shown(path)}) is not; write it with zstd."
            )
        _guard_blosc(array, path, name, what, text)
    claimed = math.prod(array.shape) * array.dtype.itemsize
    affordable(claimed, _stored(array, path), path, name, what, _DENSITY_OF_ZARR)
    missing = missing_chunks(array)
    nothing = missing == _grid(array) and what.split("/")[0] not in _MAY_BE_ZERO
    if missing and (text or nothing):
        raise Refused(
            f"`{name}` must be complete, {missing:,} of {_grid(array):,} chunks of {what} of "
            f"{shown(path)} are missing; copy the folder again, or, if they hold zeros, write it with zarr's "
            "option write_empty_chunks."
        )


def _guard_blosc(array: Any, path: Path, name: str, what: str, text: bool) -> None:
    """Refuse a chunk whose length is not what it says: blosc believes it, and would read what comes after in memory."""
    expected = math.prod(array.chunks) * array.dtype.itemsize
    for file in _files(array, path):
        with file.open("rb") as chunk:
            header = chunk.read(16)
        unpacked, packed = int.from_bytes(header[4:8], "little"), int.from_bytes(header[12:16], "little")
        if len(header) < 16 or packed != file.stat().st_size or (unpacked != expected and not text):
            raise Refused(
                f"`{name}` must be complete, a chunk of {what} of {shown(path)} is damaged ({file.name}); "
                "copy the folder again."
            )


def _files(array: Any, path: Path) -> list[Path]:
    """Return the files that hold an array's chunks."""
    return [file for file in _folder(array, path).rglob("*") if file.is_file() and file.name not in _DESCRIBED]


def _folder(array: Any, path: Path) -> Path:
    return path.joinpath(*[part for part in str(array.name or "").split("/") if part])


def _compressors(array: Any) -> list[Any]:
    if hasattr(array, "compressors"):
        return list(array.compressors or ())
    return [array.compressor] if getattr(array, "compressor", None) is not None else []


def _stored(array: Any, path: Path) -> int:
    """Return the bytes in an array's chunks."""
    return sum(file.stat().st_size for file in _files(array, path))


def _grid(array: Any) -> int:
    """Return how many chunks, or shards of chunks, make a zarr array."""
    steps = getattr(array, "shards", None) or array.chunks
    return math.prod(math.ceil(n / step) for n, step in zip(array.shape, steps, strict=True))


def missing_chunks(array: Any) -> int:
    """Return how many chunks, or shards of chunks, of a zarr array are not there."""
    if not array.shape:
        return 0
    shards = getattr(array, "shards", None) or array.chunks
    in_one = math.prod(shard // chunk for shard, chunk in zip(shards, array.chunks, strict=True))
    return _grid(array) - int(array.nchunks_initialized) // in_one  # zarr counts the chunks of a shard beyond the edge


def left_out(element: Any) -> str:
    """Say which chunks of an array, or of the arrays of a group, are not stored and were read as zeros; else nothing.

    Parameters
    ----------
    element
        An array or group; of HDF5 nothing is said, which stores zeros.
    """
    if hasattr(element, "file") or is_named_type(element):
        return ""
    arrays = [element] if is_array(element) else [one for _, one in element.arrays()]
    parts = [
        f"{missing_chunks(one):,} of {_grid(one):,} chunks of {what_of(one)}" for one in arrays if missing_chunks(one)
    ]
    if not parts:
        return ""
    return f"{' and '.join(parts)} are not stored and were read as zeros; copy the folder again unless it is whole"


def missing_chunks_matter(column: Any, values: Any) -> bool:
    """Tell whether missing chunks of a column of `obs` are damage, not chunks of zeros that zarr left out.

    A column of one chunk is then constant, which every task refuses by itself, unless it has categories that no cell
    has: anndata writes none of those. In a column of several chunks, a whole chunk of zeros is believable where
    values come in runs (cells sorted by batch), and not where they change from cell to cell.

    Parameters
    ----------
    column
        The zarr array, or the group of a categorical column.
    values
        What was read.
    """
    arrays = [column] if is_array(column) else [column[key] for key in column if is_array(column[key])]
    missing = sum(missing_chunks(array) for array in arrays)
    if not missing:
        return False
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        used = values.cat.remove_unused_categories().cat.categories
        if len(used) < len(values.cat.categories):
            return True
    if all(_grid(array) == missing_chunks(array) for array in arrays if missing_chunks(array)):
        return False
    codes, _ = pd.factorize(values)
    changes = int(np.count_nonzero(np.diff(codes)))
    return changes * 20 > len(codes)
