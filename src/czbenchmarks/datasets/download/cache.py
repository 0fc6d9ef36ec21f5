"""The folder of downloaded files: names, what is known of each file, who may write, listing and cleaning.

A download is written to ``NAME.part`` and moved to ``NAME`` when complete. Beside each lies a small ``.info`` file in
JSON that says where the bytes come from: ``NAME.part.info`` before the first byte, so that a later call knows whether
it may go on, and ``NAME.info`` before the move, so that a file without it is not ours and is never deleted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from czbenchmarks import _progress, constants
from czbenchmarks._check.addresses import path_of, shown
from czbenchmarks.exceptions import InputError

try:
    import fcntl
except ImportError:  # not on Windows: every process writes a part of its own
    fcntl = None  # type: ignore[assignment]

PATIENCE = 120.0
"""Seconds that another process's part may stand still before this one downloads its own."""

_LONGEST_STEM = 80
_OURS = re.compile(r".+-[0-9a-f]{20}(\.[a-z0-9]{1,10}){0,2}(\.[0-9]+-[0-9a-f]{8})?\.part", re.DOTALL)
_KNOWN_SUFFIX = re.compile(r"(?:\.(?:csv|tsv|txt))?\.(?:csv|gz|h5ad|npy|npz|parquet|pq|tsv|txt)$", re.IGNORECASE)
_DIGEST = re.compile(r"[0-9a-f]{64}")


def cache_folder() -> Path:
    """Return the folder of downloads: of ``CZBENCHMARKS_CACHE``, else ``DATASETS_CACHE_PATH``, else the default.

    It is read at every call and not made here.
    """
    return expanded(constants.DATASETS_CACHE_PATH).absolute()


def expanded(path: str | Path) -> Path:
    """Return a path with its ``~`` replaced by the home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"`~` must stand for the home folder of someone known, got {str(path)!r}; write the whole path."
        ) from None


@dataclass(frozen=True)
class Info:
    """What is known of a file of the cache, or of a part of one."""

    address: str  # as it may be shown
    of: str  # SHA-256 of the whole address
    size: int | None = None  # None while unknown
    version: str | None = None  # the server's mark (ETag or time of change); parts of one version fit together
    sha256: str | None = None  # of the content, where it was compared with the expected one


@dataclass(frozen=True)
class Entry:
    """A file of the cache as it is listed."""

    path: Path
    address: str  # as it may be shown; empty, like `of`, for the rest of a download that had not begun
    of: str  # SHA-256 of the whole address
    size: int  # on disk
    when: float  # seconds since 1970
    complete: bool  # False for the rest of a download that was cut


def digest(address: str) -> str:
    """Return the SHA-256 of a whole address."""
    return hashlib.sha256(address.encode("utf-8", "surrogatepass")).hexdigest()


def name_of(address: str) -> str:
    """Return the name of an address in the cache: readable, and another one for every address.

    Examples
    --------
    >>> name_of("https://example.org/a%2F../cells%20of%20mine.h5ad?version=2")
    'cells_of_mine-830e6774701aeb16f863.h5ad'
    """
    path = unquote(path_of(address)).rstrip("/")
    last = re.split(r"[/\\]", path)[-1]
    found = re.search(r"(\.(?:csv|tsv|tar|json|txt)(?=\.(?:gz|bz2|xz|zst)$))?\.[A-Za-z0-9]{1,10}$", last)
    suffix = found.group().lower() if found and found.start() else ""
    if not suffix and address.lower().startswith("s3://"):  # a key may hold ? and #, and be a file still
        known = _KNOWN_SUFFIX.search(address)
        suffix = known.group().lower() if known else ""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", last[: len(last) - len(suffix)]).strip("._-")[:_LONGEST_STEM]
    return f"{stem or 'file'}-{digest(address)[:20]}{suffix}"


def info_of(file: Path) -> Info | None:
    """Return what is known of a file or part; None if nothing is, or if it is not about this file."""
    try:
        stored = json.loads(_info_path(file).read_text(encoding="utf-8"))
        info = Info(**stored)
    except (OSError, ValueError, TypeError):
        return None
    kinds = {"address": str, "of": str, "size": int | None, "version": str | None, "sha256": str | None}
    fits = all(isinstance(getattr(info, name), kind) for name, kind in kinds.items())
    ours = fits and _DIGEST.fullmatch(info.of) is not None and f"-{info.of[:20]}" in file.name
    return replace(info, address=shown(info.address)) if ours else None  # older versions kept more of it


def _info_path(file: Path) -> Path:
    return file.with_name(f"{file.name}.info")


def remember(file: Path, info: Info, part: Path | None = None) -> None:
    """Write what is known of a file or part, in one step.

    If the caller holds a part, what is left of a killed call is found under a known name.
    """
    target = _info_path(file)
    new = target.with_name(f"{target.name}.{os.getpid()}-{secrets.token_hex(4)}") if part is None else _new_info(part)
    try:
        new.write_text(json.dumps(asdict(info)), encoding="utf-8")
        os.replace(new, target)
    finally:
        new.unlink(missing_ok=True)


def _new_info(part: Path) -> Path:
    return part.with_name(f"{part.name}.info.new")


def forget(file: Path) -> None:
    """Remove a file or part and what is known of it."""
    for path in (file, _info_path(file), _new_info(file)):
        path.unlink(missing_ok=True)


def complete(target: Path) -> Info | None:
    """Return what is known of a downloaded file that is there in its full length, else None."""
    info = info_of(target)
    try:
        return info if info and target.is_file() and target.stat().st_size == info.size else None
    except OSError:
        return None


@dataclass
class Part:
    """A part that this process alone writes: its path and the open file."""

    path: Path
    file: IO[bytes]

    def move(self, target: Path) -> None:
        """Make it the file `target`."""
        self.file.flush()
        os.fsync(self.file.fileno())
        if fcntl is None:  # Windows moves no open file; nobody else writes to this part there
            self.file.close()
        os.replace(self.path, target)  # while it is locked: who waits for it finds another file under its name
        _info_path(self.path).unlink(missing_ok=True)
        _new_info(self.path).unlink(missing_ok=True)
        _sync_folder(target.parent)


def claim(target: Path) -> Part | None:
    """Return a part of `target` for this process to fill; None if another process completed the file meanwhile.

    The lock on the part ends with the process that holds it, however that ends. Where another process's part stands
    still, or the file system knows no locks, the part is one of our own.
    """
    path = target.with_name(f"{target.name}.part")
    state, since, said = _state(path), time.monotonic(), None
    with ExitStack() as waiting:
        while complete(target) is None:
            file = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")  # noqa: SIM115 (it is returned)
            free = _locked(file)
            if free and _same(file, path):
                return Part(path, file)
            file.close()
            if free:
                continue  # moved into place between opening and locking
            if state != (now := _state(path)):
                state, since = now, time.monotonic()
            if free is None or time.monotonic() - since > PATIENCE:
                own = target.with_name(f"{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
                part = Part(own, open(own, "x+b"))  # noqa: SIM115 (it is returned)
                _locked(part.file)
                return part
            if not said:
                said = waiting.enter_context(_progress.work(f"Waiting for another process to download {target.name}"))
            time.sleep(0.05)
    return None


def _locked(file: IO[bytes]) -> bool | None:
    """Lock a file: True if it is ours now, False if another holds it, None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network folder without locks
        return None
    return True


def _same(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _state(path: Path) -> tuple[int, int]:
    """Return what changes while someone works on a part."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every system opens folders; the file itself is safe
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def entries(folder: Path | None = None) -> list[Entry]:
    """Return the files that downloads made, and the rest of those that were cut, sorted by name.

    Files that something else put into the folder are not among them.
    """
    return sorted(_entries(folder or cache_folder()), key=lambda entry: entry.path.name)


def _entries(folder: Path) -> Iterator[Entry]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        path = folder / name
        info, part = info_of(path), _OURS.fullmatch(name) is not None
        try:
            status = path.stat(follow_symlinks=False)
        except OSError:
            continue
        # A download that was killed before its first byte left an empty part.
        if stat.S_ISREG(status.st_mode) and (info or (part and status.st_size == 0)):
            about = (info.address, info.of) if info else ("", "")
            yield Entry(path, *about, status.st_size, status.st_mtime, not part)


def remove(entry: Entry) -> bool:
    """Delete a file of the cache; False if it is being downloaded at this moment."""
    if not entry.complete:
        try:
            with entry.path.open("r+b") as file:
                if _locked(file) is False:
                    return False
                forget(entry.path)
        except FileNotFoundError:
            return True
    forget(entry.path)
    part = entry.path.with_name(f"{entry.path.name}.part")
    if entry.complete and not part.exists():  # a process was killed just after it moved the part
        forget(part)
    return True
