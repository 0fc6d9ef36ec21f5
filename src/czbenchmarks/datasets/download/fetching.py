"""Remote files, kept in a folder: a local path for an address, downloaded at most once.

However a download ends (a cut connection, ``kill -9``, a full disk), the next call goes on where it stopped if the
server still has the same version, or begins anew; the file appears under its name when it is complete.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from czbenchmarks import _check, _progress
from czbenchmarks._check.addresses import is_remote, path_of, shown, usable
from czbenchmarks.exceptions import DatasetFileNotFoundError, InputError, InputTypeError, RemoteStorageError

from .cache import Info, Part, cache_folder, claim, complete, digest, forget, info_of, name_of, remember
from .sources import Refused, Stream, Unreachable, opened

__all__ = ["cache_folder", "fetch", "is_remote"]

logger = logging.getLogger(__name__)

PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds before each new attempt; a mebibyte gained begins the count anew. Where nothing ever answers, one must do."""

_BUNDLED = "package://"
_GAIN = 1 << 20
_ELSEWHERE = "or download it elsewhere and pass the path of your copy (-u FILE on the command line, `path` in Python)"


def fetch(address: str, *, sha256: str | None = None, folder: Path | None = None) -> Path:
    """Return the local file of an address, downloading it if it is not in the cache (or in `folder`).

    An address is ``https://``, ``http://`` or ``s3://``; ``package://NAME`` is a file that comes with this package.
    Other content than that of a known SHA-256, and what cannot be reached or kept, is a ``RemoteStorageError``.
    """
    if isinstance(address, str) and address.startswith(_BUNDLED):
        return _bundled(address.removeprefix(_BUNDLED))
    address = checked_address(address)
    sha256 = _check_sha256(sha256)
    folder = cache_folder() if folder is None else folder
    usable(folder)
    target = folder / name_of(address)
    info = complete(target)
    if info is not None and (sha256 is None or _holds(target, info, sha256)):
        return target
    with _keeping(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if info is not None:  # complete, of another content
            forget(target)
        while (part := claim(target)) is not None:
            with part.file, _nothing_empty(part):
                if complete(target) is None:
                    _fill(part, target, address, sha256)
                else:  # finished by another process while we took the lock
                    forget(part.path)
        info = complete(target)
    if info is not None and sha256 is not None and not _holds(target, info, sha256):
        raise _wrong_content(address, sha256, _sha256(target))
    return target


def _bundled(name: str) -> Path:
    folder = Path(__file__).parents[1] / "bundled"
    names = sorted(path.name for path in folder.glob("*.h5ad"))
    if name not in names:
        raise DatasetFileNotFoundError(_check.unknown("File", name, names, "does not come with this package"))
    return folder / name


def checked_address(address: str) -> str:
    """Return an address without the spaces around it; refuse what is none, or the address of a folder."""
    if not isinstance(address, str):
        raise InputTypeError(f"An address must be text such as https://host/cells.h5ad, got {_check.kind_of(address)}.")
    address = address.strip()
    if not is_remote(address) or re.search(r"[\x00-\x1f\x7f]", address):
        raise InputError(
            f"An address must begin with https://, http:// or s3:// and be one line of text, got {shown(address)!r}."
        )
    try:
        parts = urlsplit(address)
        whole = parts.hostname and parts.path.strip("/") and (parts.port or True)
    except ValueError:
        whole = False
    if not whole:
        raise InputError(f"An address must name a host or bucket and a file, got {shown(address)!r}.")
    if parts.path.rstrip("/").lower().endswith(".zarr"):
        raise InputError(
            f"A remote .zarr is a folder of many files and is not downloaded, got {shown(address)}; "
            "download the folder yourself and pass its path."
        )
    return address


def _check_sha256(sha256: str | None) -> str | None:
    if sha256 is not None and re.fullmatch(r"[0-9a-fA-F]{64}", sha256) is None:
        raise InputError(f"`sha256` must be 64 hexadecimal digits, got {sha256!r}.")
    return sha256.lower() if sha256 else None


def check_content(path: Path, sha256: str) -> None:
    """Refuse a local file of another content than expected."""
    expected = _check_sha256(sha256)
    if not path.is_file():
        raise InputError(f"`sha256` is that of a file, got the folder {path}; leave it out.")
    if (got := _sha256(path)) != expected:
        raise InputError(f"{path} must have the SHA-256 {expected}, got {got}; it is not the file that was described.")


def _holds(target: Path, info: Info, sha256: str) -> bool:
    """Say whether a downloaded file has the expected content; it is read once, then remembered."""
    if info.sha256 is None:
        info = replace(info, sha256=_sha256(target))
        try:
            remember(target, info)
        except OSError:
            logger.debug("The folder %s cannot be written to; the checksum is not remembered", target.parent)
    return info.sha256 == sha256


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file, _progress.work(f"Checking {path.name}", path.stat().st_size, unit="B") as advance:
        while piece := file.read(1 << 22):
            found.update(piece)
            advance(len(piece))
            if path.suffix == ".part":
                os.utime(path)  # a sign of life for who waits
    return found.hexdigest()


def _wrong_content(address: str, expected: str, got: str) -> RemoteStorageError:
    return RemoteStorageError(
        f"{shown(address)} must have the SHA-256 {expected}, got {got}; "
        "the file has changed at its source or on the way, so ask who offers it."
    )


@contextmanager
def _keeping(folder: Path) -> Iterator[None]:
    """Say of a folder that cannot be written to how to use another."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", None))  # Windows knows no quota
        what = "have room for the download" if full else "be a folder that you may write to"
        raise RemoteStorageError(
            f"The cache {folder} must {what}, got: {error.strerror or error}; set CZBENCHMARKS_CACHE to another folder"
            + (", or make room with czbenchmarks cache clean." if full else ".")
        ) from error


@contextmanager
def _nothing_empty(part: Part) -> Iterator[None]:
    """Remove a part that got no byte when the download fails."""
    try:
        yield
    except BaseException:
        if not part.file.seek(0, 2):
            forget(part.path)
        raise


def _fill(part: Part, target: Path, address: str, sha256: str | None) -> None:
    """Download into a part and move it into place."""
    for attempt in (1, 2):
        began_anew = _download(part, target, address)
        got = None
        if sha256 is not None:
            part.file.flush()
            got = _sha256(part.path)
        if got == sha256:
            break
        forget_content(part)
        if began_anew or attempt == 2:  # what was resumed may have been a mixture; this was not
            raise _wrong_content(address, str(sha256), str(got))
    known = info_of(part.path) or Info(shown(address), digest(address))
    remember(target, replace(known, size=part.file.seek(0, 2), sha256=got), part.path)
    part.move(target)


def forget_content(part: Part) -> None:
    """Empty a part: the bytes in it count for nothing any more."""
    part.file.seek(0)
    part.file.truncate()


def _download(part: Part, target: Path, address: str) -> bool:
    """Fill a part to its full length, in several attempts; say whether all of it came with this call."""
    failures, anew = 0, False
    with ExitStack() as stack:
        report: Callable[[int], None] | None = None
        while True:
            info, have = info_of(part.path), part.file.seek(0, 2)
            if info is not None and have and have == info.size:
                return anew  # killed between the last byte and the move
            if info is None or (info.size is not None and have > info.size):
                have, info = 0, None
            try:
                with opened(address, have, info.version if info else None) as stream:
                    if stream.start and info and info.size not in (None, stream.size):
                        forget_content(part)  # another file under the same mark: from the beginning
                        continue
                    if stream.start == 0:
                        anew = True
                        forget_content(part)
                        known = Info(shown(address), digest(address), stream.size, stream.version)
                        remember(part.path, known, part.path)
                    if report is None:
                        report = stack.enter_context(_reported(target, address, stream))
                    _copy(stream, part, report)
                return anew
            except Refused as error:
                raise RemoteStorageError(f"{shown(address)} cannot be downloaded: {error}; {_HELP}.") from error
            except Unreachable as error:
                gained = part.file.seek(0, 2) - have >= _GAIN
                failures = 1 if gained else failures + 1
                if failures > (len(PAUSES) if error.answered or report is not None else min(1, len(PAUSES))):
                    raise _unreachable(part, address, target.parent, error) from error
                logger.info("%s: %s; trying again", shown(address), error)
                time.sleep(PAUSES[failures - 1])


_HELP = f"check the address, {_ELSEWHERE}"


def _unreachable(part: Part, address: str, folder: Path, error: Unreachable) -> RemoteStorageError:
    have = part.file.seek(0, 2)
    kept = f"only {have:,} bytes of it are" if have else "it is not"
    return RemoteStorageError(
        f"{shown(address)} could not be reached ({error}) and {kept} in the cache {folder}; "
        f"check the connection and try again, {_ELSEWHERE}."
    )


@contextmanager
def _reported(target: Path, address: str, stream: Stream) -> Iterator[Callable[[int], None]]:
    """Yield what takes the number of bytes that are there; going back is not reported."""
    if stream.size is not None and (free := shutil.disk_usage(target.parent).free) < stream.size - stream.start:
        raise OSError(
            errno.ENOSPC, f"{free / 1e9:,.1f} GB free, {(stream.size - stream.start) / 1e9:,.1f} GB to download"
        )
    name = Path(path_of(shown(address))).name or "file"
    with _progress.work(f"Downloading {name}", stream.size, unit="B") as advance:
        most = 0

        def report(there: int) -> None:
            nonlocal most
            if there > most:
                advance(there - most)
                most = there

        report(stream.start)
        yield report


def _copy(stream: Stream, part: Part, report: Callable[[int], None]) -> None:
    """Append a stream to a part, in pieces, and check its length."""
    there = part.file.seek(stream.start)
    part.file.truncate()
    while piece := stream.read():
        part.file.write(piece)
        part.file.flush()  # for the process that waits, and for the call after a kill
        there += len(piece)
        report(there)
    if stream.size is not None and there != stream.size:
        raise Unreachable(f"the connection ended after {there:,} of {stream.size:,} bytes")
