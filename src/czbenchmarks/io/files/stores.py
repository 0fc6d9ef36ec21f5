"""AnnData in HDF5 files and zarr folders: opened, and every piece looked at before it is read.

Both formats let a small header claim anything. A piece is refused if it links to other files, declares more
than is stored for it, or would run code.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from czbenchmarks import _check
from czbenchmarks._check.text import as_text

from .causes import kind_by_content
from .elements import DESCRIBED, entries, is_array, is_named_type, what_of
from .files import Refused, affordable, existing, reading, shown
from .zarr_arrays import guard_zarr

_FILTERS = {
    307: "bzip2", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32017: "sz",
    32018: "fcidecomp", 32023: "sperr", 32024: "sz3", 32026: "blosc2",
}  # fmt: skip
"""What registered filters of HDF5 are called."""

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
    described = (place / file for file in DESCRIBED)
    if any(one.is_symlink() for one in (place, *place.parents[: len(parts) - 1], *described)):
        raise Refused(f"`{name}` must hold its data itself, {where} of {shown(path)} is a link; copy the data in.")
    return group[key]


def guard(element: Any, path: Path, name: str, seen: frozenset[Any] = frozenset()) -> None:
    """Refuse an element of which a part is elsewhere, is not there, or would run code."""
    if is_named_type(element):
        return
    if is_array(element):
        if not hasattr(element, "file"):
            guard_zarr(element, path, name)
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
