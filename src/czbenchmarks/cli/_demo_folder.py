"""The folder of a demo: nothing of the user's gets lost in it, and nothing half-done stays there.

While a demo works, the one before it lies in a folder within; it comes back if the work stops, and is still there for
the next call after ``kill -9``. Its list of files is moved last and back first, so that it says what the rest is.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from czbenchmarks.exceptions import InputError

from . import _signals

MANIFEST = "demo.json"
_WHAT = "written by czbenchmarks demo"
_KEPT = ".earlier_demo"


@contextmanager
def claimed(folder: Path, names: Sequence[str]) -> Iterator[None]:
    """Make a folder for `names`, or take an earlier demo's: replaced when the work succeeds, else untouched.

    Refused is a folder that holds anything but an earlier demo as it was written.
    """
    claim = _Claim(folder, names, not folder.exists())
    ours, complete = _taken(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if complete and _listed(claim.kept):  # killed when it was done
        _remove(claim.kept)
    with _signals.undone(claim.undo):
        try:
            if complete:
                _move(folder, claim.kept, _list_last(ours))
            else:  # of a demo that was killed
                _unlink(folder, ours)
            claim.begun = True
            _write_list(folder, dict.fromkeys(names))
            yield
            _write_list(folder, {name: _sha256(folder / name) for name in names if name != MANIFEST})
        except BaseException:
            claim.undo()
            raise
    if claim.kept.is_dir():
        _remove(claim.kept)


class _Claim:
    """What to do with a folder when the work in it stops."""

    def __init__(self, folder: Path, names: Sequence[str], new: bool) -> None:
        self.folder, self.names, self.new = folder, names, new
        self.kept = folder / _KEPT
        self.begun = False  # True: files of the earlier demo are out of the way, those in the folder are of this one
        self._undone = False
        self._lock = threading.Lock()

    def undo(self) -> None:
        """Remove what was written and bring the earlier demo back, once."""
        with self._lock:
            if self._undone:
                return
            self._undone = True
            if self.begun:
                files = dict.fromkeys(self.names)
                written = [name for name in _names(self.folder) if _is_ours(self.folder / name, files)]
                _unlink(self.folder, [name for name in written if name != _KEPT])
            if self.kept.is_dir():
                _move(self.kept, self.folder, reversed(_list_last(_names(self.kept))))
                self.kept.rmdir()
            if self.new:
                with suppress(OSError):  # somebody put something there meanwhile
                    self.folder.rmdir()


def _taken(folder: Path) -> tuple[list[str], bool]:
    """Return the names of a demo's files in a folder, and whether it was completed; refuse what holds more."""
    from czbenchmarks._check import listing

    if folder.exists() and not folder.is_dir():
        raise InputError(f"`--output` must be a folder, got the file '{folder}'; choose another name.")
    if not os.access(_existing(folder), os.W_OK):
        raise InputError(f"`--output` must be a folder that can be written, got '{folder}'; choose another.")
    listed = _listed(folder)
    there = _names(folder) if folder.exists() else []
    strange = [name for name in there if not _is_ours(folder / name, listed)]
    if strange:
        raise InputError(
            f"`--output` must be a new or empty folder or that of an earlier demo, got '{folder}', which holds other "
            f"files ({listing(strange)}); choose another."
        )
    changed = [name for name in there if listed.get(name) and _sha256(folder / name) != listed[name]]
    if changed:
        raise InputError(
            f"`--output` must be a folder whose files are as the demo wrote them, got '{folder}', in which some were "
            f"changed ({listing(changed)}); choose another, or move those files out of it."
        )
    complete = any(value for value in listed.values())
    return [name for name in there if name != _KEPT], complete


def _listed(folder: Path) -> dict[str, str | None]:
    """Return file name to SHA-256 as a demo listed them, None where it was not done; nothing if it is no demo's."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict) or content.get("what") != _WHAT or not isinstance(content.get("files"), dict):
        return {}
    return {**content["files"], MANIFEST: None}


def _is_ours(path: Path, listed: Mapping[str, str | None]) -> bool:
    # What is there is compared with what is listed, never the other way round: a list might name files elsewhere.
    if path.name == _KEPT and path.is_dir() and not path.is_symlink():
        return set(_names(path)) <= set(_listed(path) or listed)
    half = path.name.startswith(tuple(f".{Path(name).stem}." for name in (MANIFEST, *listed))) and ".part" in path.name
    return path.is_file() and (path.name in listed or half)


def _write_list(folder: Path, files: Mapping[str, str | None]) -> None:
    from ._studies import write_whole

    content = json.dumps({"what": _WHAT, "files": dict(sorted(files.items()))}, indent=1) + "\n"
    write_whole(folder / MANIFEST, lambda part: part.write_text(content, encoding="utf-8"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _list_last(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: name == MANIFEST)


def _move(source: Path, target: Path, names: Iterable[str]) -> None:
    target.mkdir(exist_ok=True)
    for name in names:
        os.replace(source / name, target / name)


def _unlink(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _remove(kept: Path) -> None:
    _unlink(kept, _list_last(_names(kept)))
    kept.rmdir()


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that exists."""
    return folder if folder.exists() else _existing(folder.absolute().parent)
