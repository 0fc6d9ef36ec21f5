"""Elements of AnnData in HDF5 files and zarr folders: arrays and groups, and what they declare; nothing is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from czbenchmarks import _check
from czbenchmarks._check.text import as_text

DESCRIBED = (".zarray", ".zattrs", ".zgroup", "zarr.json", ".zmetadata")
"""Files of a zarr folder that describe it."""


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
    return sorted(one.name for one in folder.iterdir() if any((one / file).is_file() for file in DESCRIBED))


def is_named_type(element: Any) -> bool:
    """Tell a named datatype, which some writers leave beside the data and which holds none."""
    return type(element).__name__ == "Datatype"


def what_of(array: Any) -> str:
    """Return how a sentence calls an array of a file."""
    return _check.printable((getattr(array, "name", "") or "").lstrip("/") or "the array")
