"""What produced a number: content hashes of data, versions of packages, the machine."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from czbenchmarks._progress import work
from czbenchmarks.kernels.parallel import memory_budget, num_threads

if TYPE_CHECKING:
    import pandas as pd

_PIECE = 2**22
_LARGE = 2**26
"""Bytes from which a file's hash is remembered: a tenth of a second of hashing."""

_PACKAGES = (
    "anndata", "h5py", "igraph", "leidenalg", "numba", "numpy", "pandas", "pydantic", "scanpy",
    "scikit-learn", "scipy", "zarr",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Return versions of Python and of the packages that do arithmetic, the platform, threads and memory budget."""
    packages: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "threads": num_threads(),
        "memory_budget": memory_budget(),
        "packages": packages,
    }


def max_memory_mib() -> float | None:
    """Return the largest memory the process has held; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def sha256_of_file(path: Path, memory: Path | None = None) -> str:
    """Return the SHA-256 of a file, or of all files of a folder (a ``.zarr`` store) with their names.

    `memory` is a JSON file that remembers the hashes of large files by path, size and time of change; one that cannot
    be read or written is done without.
    """
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    facts = [(file, file.stat()) for file in files]
    size = sum(stat.st_size for _, stat in facts)
    changes = "".join(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\0" for file, stat in facts)
    identity: list[Any] = [str(path.resolve()), size, hashlib.blake2b(os.fsencode(changes)).hexdigest()]
    known = _remembered(memory) if memory is not None and size >= _LARGE else {}
    entry = known.get(identity[0])
    if isinstance(entry, dict) and entry.get("identity") == identity and isinstance(entry.get("sha256"), str):
        return str(entry["sha256"])
    digest = hashlib.sha256()
    with work(f"SHA-256 of {path.name}", size, unit="B") as advance:
        for file in files:
            if path.is_dir():
                digest.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as stream:
                while piece := stream.read(_PIECE):
                    digest.update(piece)
                    advance(len(piece))
    found = digest.hexdigest()
    if memory is not None and size >= _LARGE:
        _remember(memory, identity, found)
    return found


def _remembered(memory: Path) -> dict[str, Any]:
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _remember(memory: Path, identity: list[Any], found: str) -> None:
    content = {**_remembered(memory), identity[0]: {"identity": identity, "sha256": found}}
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=memory.parent, suffix=".part", delete=False) as file:
            json.dump(content, file)
        try:
            os.replace(file.name, memory)
        except OSError:
            os.unlink(file.name)
    except OSError:
        return  # a memory is a convenience: the next run hashes again


def sha256_of_array(value: Any) -> str:
    """Return a SHA-256 of an array's type, shape and values; sparse and dense arrays differ."""
    digest = hashlib.sha256()
    parts = [value.indptr, value.indices, value.data] if hasattr(value, "indptr") else [np.asarray(value)]
    digest.update(repr(tuple(value.shape)).encode())
    for part in parts:
        digest.update(part.dtype.str.encode())
        for start in range(0, len(part), max(1, _PIECE // max(1, part[:1].nbytes))):
            digest.update(
                np.ascontiguousarray(part[start : start + max(1, _PIECE // max(1, part[:1].nbytes))]).tobytes()
            )
    return digest.hexdigest()


def sha256_of_names(names: pd.Index[Any]) -> str:
    """Return a SHA-256 of names and their order: what identifies cells that come from no file."""
    return hashlib.sha256(json.dumps([str(name) for name in names]).encode()).hexdigest()
