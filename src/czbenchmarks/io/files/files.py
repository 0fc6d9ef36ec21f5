"""What holds for every file: it exists, is a file, fits into memory, and damage is one sentence."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from czbenchmarks import _check
from czbenchmarks._check import addresses
from czbenchmarks.exceptions import DatasetFileNotFoundError, InputError

from .causes import cause


class Refused(InputError):
    """A sentence that is complete: `reading` lets it pass."""


def local_path(source: str | Path) -> Path:
    """Return the local path of a file; a remote one is fetched."""
    if isinstance(source, str) and addresses.is_remote(source):
        from czbenchmarks.datasets.download.fetching import fetch

        return fetch(source)
    if "\0" in str(source):
        raise Refused(f"A path must not hold a NUL character, got {addresses.shown(source)!r}; check how it was made.")
    path = Path(source)
    try:
        return path.expanduser()
    except RuntimeError:  # ~somebody without a home
        return path


def shown(path: object) -> str:
    """Return a path as a sentence shows it: quoted, control characters escaped, an address without secrets."""
    return _check.printable(f"'{addresses.shown(path)}'")


def existing(path: Path, name: str, kind: str) -> Path:
    """Refuse a path at which there is nothing, or nothing that can be read."""
    failure = None
    try:
        found = path.stat()
    except OSError as error:
        failure = error
    if isinstance(failure, FileNotFoundError):  # not chained to it: it holds the path, which may be an address
        raise DatasetFileNotFoundError(f"`{name}` must be an existing {kind}, got {shown(path)}, which does not exist.")
    if failure is not None:
        raise Refused(f"`{name}` must be a readable {kind}, got {shown(path)}: {failure.strerror}.")
    if not os.access(path, os.R_OK):
        raise Refused(f"`{name}` must be a readable {kind}, got {shown(path)}: Permission denied.")
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        # Opening a pipe would wait for somebody to write into it.
        raise Refused(f"`{name}` must be a {kind}, got {shown(path)}, which is a pipe or device; write a file.")
    return path


def regular(path: Path, name: str, kind: str) -> Path:
    """Refuse what is no file with something in it."""
    existing(path, name, kind)
    if path.is_dir():
        raise Refused(f"`{name}` must be a {kind}, got {shown(path)}, which is a folder.")
    if path.stat().st_size == 0:
        raise Refused(f"`{name}` must be a {kind}, got {shown(path)}, which is empty; write it again.")
    return path


@contextmanager
def reading(path: Path, name: str, kind: str, part: str = "") -> Iterator[None]:
    """Say in one sentence why a file could not be read, whatever the libraries call it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what anndata says of old files does not concern the scores
            yield
    except Refused:
        raise
    except MemoryError:
        raise Refused(
            f"`{name}` must fit into memory, {shown(path)} asks for more than there is; "
            "use a smaller one or a larger machine."
        ) from None
    except Exception as error:
        said = _check.printable(cause(error))
        what = f"{part} of {shown(path)}" if part else shown(path)
        raise Refused(f"`{name}` must be a readable {kind} file, {what} {said}.") from error


def size_text(size: float) -> str:
    """Return a number of bytes for a sentence."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def memory_limit() -> int:
    """Return the bytes this process may hold: of the machine, or fewer where a limit is set."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return 2**63
    import resource

    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return min(found, *(limit for limit in limits if limit != resource.RLIM_INFINITY), 2**63)


PLAIN = 2**28
"""Bytes that are read whatever they unpack from."""
LEAST_DENSITY = 1 / 1100
"""deflate packs 1,032 bytes into one at best: a file that holds less than this part of what it declares lacks it."""


def affordable(claimed: int, stored: int, path: Path, name: str, what: str, density: float = LEAST_DENSITY) -> None:
    """Refuse a claim of a size before memory is taken for it: bytes that the header declares, of the piece `what`.

    `stored` bytes are in the file for it, which must be at least the share `density` of those claimed.
    """
    if claimed > PLAIN and stored < claimed * density:
        raise Refused(
            f"`{name}` must hold what it declares, {what} of {shown(path)} declares {size_text(claimed)} "
            f"and has {size_text(stored)}; write the file again."
        )
    if claimed > memory_limit():
        raise Refused(
            f"`{name}` must fit into memory, {what} of {shown(path)} takes {size_text(claimed)} "
            f"of {size_text(memory_limit())}; use a smaller one or a larger machine."
        )
