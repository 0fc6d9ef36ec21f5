"""Arrays of a zarr folder: looked at before they are read, and which of their chunks are not stored.

zarr leaves out a chunk of nothing but zeros when it writes, and fills a chunk that was lost with zeros without a word.
So numbers of which chunks are missing are read, and `left_out` says so beside the scores; text of which chunks are
missing, and a matrix of which all are, are refused. For a column of `obs`, see `missing_chunks_matter`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from czbenchmarks import _check

from .elements import DESCRIBED, is_array, is_named_type, what_of
from .files import Refused, affordable, shown

_MAY_BE_ZERO = ("obs", "var", "uns", "varm", "obsp", "varp", "raw")
"""Groups in which a whole chunk of zeros is nothing strange, or no concern."""

_DENSITY_OF_ZARR = 1 / 33_000
"""zstd packs a block of 131,072 equal bytes into four; the values of a binarised matrix are such blocks."""


def guard_zarr(array: Any, path: Path, name: str) -> None:
    """Refuse a zarr array that is damaged, or that leads out of its folder."""
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
    return [file for file in _folder(array, path).rglob("*") if file.is_file() and file.name not in DESCRIBED]


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

    Nothing is said of HDF5, which stores zeros.
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

    A column (an array, or the group of a categorical one) of one chunk is then constant, which every task refuses by
    itself, unless it has categories that no cell has: anndata writes none of those. In a column of several chunks, a
    whole chunk of zeros is believable where the values read come in runs (cells sorted by batch), and not where they
    change from cell to cell.
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
