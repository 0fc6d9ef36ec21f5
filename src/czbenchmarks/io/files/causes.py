"""Why a file could not be read, in words: what libraries raise, and what the first bytes say it is.

A file that is whole is not called damaged: what is missing then is a filter, a codec, a newer library, a lock.
"""

from __future__ import annotations

import gzip
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_LONGEST = 300
"""Characters of another library's words."""

_FIRST_BYTES = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", ".h5ad"),
    (b"\x93NUMPY", "a NumPy array", ".npy"),
    (b"PAR1", "a parquet file", ".parquet"),
    (b"PARE", "an encrypted parquet file", ""),
    (b"ARROW1", "an Arrow (feather) file", ""),
    (b"PK\x03\x04", "a zip archive, such as .npz, .xlsx, .zarr.zip and PyTorch's .pt are", ""),
    (b"\x1f\x8b", "gzip-compressed", ""),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", ""),
    (b"BZh", "bzip2-compressed", ""),
    (b"\xd0\xcf\x11\xe0", "an Excel file", ""),
    (b"\x80\x04\x95", "a Python pickle, which would run code", ""),
    (b"\x80\x05\x95", "a Python pickle, which would run code", ""),
    (b"<!DOCTYPE", "a web page, so the download went wrong", ""),
    (b"<html", "a web page, so the download went wrong", ""),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with git lfs pull", ""),
)


def kind_by_content(path: Path, otherwise: str) -> str:
    """Say what a file is by its first bytes, with the suffix it should have; `otherwise` if they tell nothing."""
    with path.open("rb") as file:
        start = file.read(64)
    for known, what, suffix in _FIRST_BYTES:
        if start.startswith(known):
            return f"{what}; name it {suffix}" if suffix else f"{what}; convert it"
    return otherwise


def cause(error: BaseException) -> str:
    """Say what was wrong with a file and what to do, from what a library raised, and from what that came of.

    The words follow the path: ``is open in another program (...); close it there``.
    """
    for one in _chain(error):
        for kinds, pattern, say in _CAUSES:
            match = re.search(pattern, str(one)) if isinstance(one, kinds) else None
            if match is not None:
                return say(one, match)
    return f"could not be read ({type(error).__name__}: {words(error)}); check it with the program that wrote it"


def words(error: BaseException) -> str:
    """Return what an error says, on one line and not too long."""
    said = " ".join(str(error).split()).rstrip(".")
    return (said if len(said) <= _LONGEST else said[:_LONGEST] + "…") or type(error).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those it came from, the first cause last."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _installed(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


def _not_utf8(error: BaseException, match: re.Match[str]) -> str:
    assert isinstance(error, UnicodeDecodeError)
    return f"holds text that is not UTF-8 (the byte 0x{error.object[error.start]:02x}); write its text in UTF-8"


def _encoding(error: BaseException, match: re.Match[str]) -> str:
    kind, number = match[1], match[2]
    if not number:
        return f"holds an element of the encoding {kind!r} without its version, so it is incomplete; write it again"
    return (
        f"holds an element of the encoding {kind!r} {number}, which {_installed('anndata')} does not know; update "
        "anndata, or write the file with an older one"
    )


def _system(error: BaseException, match: re.Match[str]) -> str:
    assert isinstance(error, OSError)
    if error.strerror is None:  # HDF5's own
        return _damaged(error, match)
    return f"could not be read: the system says {error.strerror!r}; check the disk and the connection to it, try again"


def _damaged(error: BaseException, match: re.Match[str]) -> str:
    return f"is damaged or incomplete ({words(error)}); copy or download it again, or write it again"


def _said(text: str) -> Callable[[BaseException, re.Match[str]], str]:
    """Return a rule's words; {0} is what the error says, {1} the first group of the pattern."""
    return lambda error, match: text.format(words(error), *match.groups())


_CAUSES: list[
    tuple[type[BaseException] | tuple[type[BaseException], ...], str, Callable[[BaseException, re.Match[str]], str]]
] = [
    (UnicodeDecodeError, "", _not_utf8),
    (
        OSError,
        "errno = (?:37|38|45|95),|errno 524|No locks available",
        _said("is on a file system without locks; set the variable HDF5_USE_FILE_LOCKING=FALSE"),
    ),
    (
        OSError,
        "unable to lock file|WinError 32",
        _said("is open in another program; close it there, or copy the file and read the copy"),
    ),
    (
        OSError,
        "file is already open for (?:write|SWMR)",
        _said(
            "is open for writing in another program, or that program ended before it closed it; close it there, or "
            "clear the mark with h5clear -s FILE"
        ),
    ),
    (Exception, r"No read method .*h5py\._hl\.datatype\.Datatype", _said(
        "holds a named datatype, which anndata does not read; delete it from the file (del file[NAME])")),
    (Exception, r"No read method registered for IOSpec\(encoding_type='(.*?)', encoding_version='(.*?)'\)", _encoding),
    (
        Exception,
        "(?i)can't open directory|required filter|filter .*not (?:registered|available)|filter plugin",
        _said("is packed by an HDF5 filter that is not installed ({0}); install it: pip install hdf5plugin"),
    ),
    (
        Exception,
        "(?i)(?:codec not available|unknown codec):? *['\"]*([^'\"]+)",
        _said("is packed by the zarr codec {1!r}, which is not installed; install the package that has it, or write it "
              "with zstd"),
    ),
    (
        Exception,
        r"Invalid zarr_format.*Got (\w+)",
        lambda error, match: f"is of zarr format {match[1]}, which {_installed('zarr')} does not read; update zarr",
    ),
    (ImportError, r"(?:No module named|pip install|install) '?([\w-]+)", _said(
        "needs the package {1}, which is not installed; install it: pip install {1}")),
    (RuntimeError, "is encrypted, password required", _said("is encrypted; write it without a password")),
    (NotImplementedError, r"Encoding (\d+)", _said(
        "has columns in the parquet encoding {1}, which fastparquet does not read; install pyarrow, or write it with "
        "plain encoding")),
    (NotImplementedError, "compression method", _said(
        "is packed by a method that Python's zipfile does not read; write it with numpy.savez_compressed")),
    (gzip.BadGzipFile, "Not a gzipped file", _said("is not gzip-compressed, though named .gz; take .gz off its name")),
    (
        (KeyError, EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, json.JSONDecodeError, struct.error),
        "",
        _damaged,
    ),
    (
        Exception,
        "(?i)truncated|returned failure|decompress|corrupt|checksum|crc|signature|bad object header|wrong version|"
        "addr overflow|unable to load|can't open object|can't get|invalid frame|can't locate attribute|index pointer|"
        "indices|out of bounds|bad heap|bad symbol|bad local|inflate|blosc|zstd|lz4|unexpected end",
        _damaged,
    ),
    (OSError, "", _system),
]  # fmt: skip
"""Kind of error, what it says, and our words for it; the first that fits."""
