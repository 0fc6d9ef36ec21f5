"""NumPy files: ``.npy``, ``.npz`` and sparse ``.npz``; the header is measured first, and nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from czbenchmarks import _check

from .causes import kind_by_content
from .files import LEAST_DENSITY, Refused, affordable, reading, regular, shown

_NPY = b"\x93NUMPY"
_DENSE = 1 / 200  # what zip makes of an array of zeros is denser than of any embedding


def read_npy(path: Path, name: str) -> Any:
    """Read one array."""
    regular(path, name, ".npy file or a reference such as @obsm:KEY")
    with path.open("rb") as file:
        if file.read(6) != _NPY:
            what = kind_by_content(path, "not one; write it with numpy.save")
            raise Refused(
                f"`{name}` must be a .npy file or a reference such as @obsm:KEY, got {shown(path)}, which is {what}."
            )
    with reading(path, name, ".npy"):
        with path.open("rb") as file:
            claimed, start = _header(file, path, name)
        status = path.stat()
        if claimed + start > status.st_size:
            raise Refused(
                f"`{name}` must be a complete .npy file, {shown(path)} declares {claimed:,} bytes and holds "
                f"{status.st_size - start:,}; write it again."
            )
        affordable(claimed, getattr(status, "st_blocks", status.st_size) * 512, path, name, "the array")
        return np.load(path, allow_pickle=False)


def read_npz(path: Path, name: str, key: str | None) -> Any:
    """Read the only array of a zip of arrays, the one of that name, or a sparse matrix."""
    regular(path, name, ".npz file")
    if not zipfile.is_zipfile(path):
        what = kind_by_content(path, "not one; write it with numpy.savez")
        raise Refused(f"`{name}` must be a .npz file, got {shown(path)}, which is {what}.")
    with reading(path, name, ".npz"), zipfile.ZipFile(path) as packed:
        members = {one.filename.removesuffix(".npy"): one for one in packed.infolist() if not one.is_dir()}
        sparse = key is None and {"format", "shape", "data"} <= set(members)
        wanted = list(members) if sparse else [_only(members, key, path, name)]
        for one in wanted:
            info = members[one]
            with packed.open(info) as file:
                claimed, start = _header(file, path, name)
            if claimed + start > info.file_size:
                raise Refused(
                    f"`{name}` must be a complete .npz file, {_check.printable(one)!r} of {shown(path)} declares "
                    f"{claimed:,} bytes and holds {info.file_size - start:,}; write it again."
                )
            density = LEAST_DENSITY if sparse else _DENSE
            affordable(info.file_size, info.compress_size, path, name, _check.printable(one), density)
        if sparse:
            import scipy.sparse as sp

            found = sp.load_npz(path)
            found = found if found.format in ("csr", "csc") else found.tocsr()
            found.check_format(full_check=True)  # compiled code follows the indices
            return found
        with packed.open(members[wanted[0]]) as file:
            return np.lib.format.read_array(file, allow_pickle=False)


def _only(members: dict[str, Any], key: str | None, path: Path, name: str) -> str:
    if key is None and len(members) == 1:
        return next(iter(members))
    if any(one.endswith("data.pkl") for one in members):
        raise Refused(
            f"`{name}` must be a .npz file, got {shown(path)}, which PyTorch wrote, and reading it would run code; "
            "load it with torch.load and save the array with numpy.save."
        )
    if key is None:
        raise Refused(
            f"`{name}` must be one array, {shown(path)} holds {len(members):,}: {_check.listing(members) or 'none'}; "
            f"name one as {_check.printable(path.name)}:KEY."
        )
    if key not in members:
        raise Refused(_check.unknown("Array", key, members, f"is not in {shown(path)}"))
    return key


def _header(file: Any, path: Path, name: str) -> tuple[int, int]:
    """Return the bytes that an array declares, and where they start."""
    stream: BinaryIO = file
    version = np.lib.format.read_magic(stream)
    if version > (3, 0):
        raise Refused(
            f"`{name}` must be of a format that NumPy {np.__version__} reads, {shown(path)} is of version "
            f"{version[0]}.{version[1]}; update NumPy, or check how the file was made."
        )
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise Refused(
            f"`{name}` must hold numbers, {shown(path)} holds pickled objects, and reading those would run code; "
            "convert it to float and save it again."
        )
    if any(size < 0 for size in shape):
        raise Refused(f"`{name}` must have a shape, {shown(path)} declares {shape}; write it again.")
    return math.prod(shape) * dtype.itemsize, stream.tell()
