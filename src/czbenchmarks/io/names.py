"""Names of embeddings: as the user writes them, else by file or reference."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from czbenchmarks._check.addresses import readable, shown, stem
from czbenchmarks.constants import BASELINE
from czbenchmarks.datasets.download.cache import digest
from czbenchmarks.exceptions import InputError

from .embedding import split_key


def named(embeddings: Sequence[Any]) -> dict[str, Any]:
    """Name embeddings: as ``NAME=`` before them says, else references by themselves and files by their stem or path.

    Of an address no more than `shown` is in its name; where that makes two names equal, a digest follows.
    """
    found: dict[str, Any] = {}
    given: set[str] = set()
    for embedding in embeddings:
        parts = [_own_name(part) for part in (embedding if isinstance(embedding, (list, tuple)) else [embedding])]
        own = "+".join(dict.fromkeys(name for name, _ in parts if name))
        short = own or "+".join(dict.fromkeys(_short_name(part) for _, part in parts))
        whole = [str(part) for _, part in parts if isinstance(part, (str, Path))]
        long, readable = "+".join(whole) or short, "+".join(map(shown, whole)) or short
        if not own and long in given:
            raise InputError(f"An embedding must be given once, got {readable!r} twice.")
        given.add(long)
        name = readable if not own and (short in found or short == BASELINE) else short
        if name in found and name == readable != long:
            name = f"{readable} ({digest(long)[:8]})"
        if name in found:
            raise InputError(f"A name must belong to one embedding, got {name!r} twice; choose another.")
        plain = [part for _, part in parts]
        found[name] = plain if isinstance(embedding, (list, tuple)) else plain[0]
    return found


def _own_name(part: Any) -> tuple[str, Any]:
    """Split ``NAME=EMBEDDING``; a file whose path holds ``=`` is itself, also with a key behind it."""
    match = re.fullmatch(r"([^=/\\@:]*)=(.+)", part, re.DOTALL) if isinstance(part, str) else None
    if match is None or _exists(part) or _exists(str(split_key(part)[0])):
        return "", part
    return printable_name(readable(match[1]).strip()), match[2]


def _exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long, ~somebody without a home, a NUL
        return False


def printable_name(name: str) -> str:
    """Return the name of an embedding; one that cannot be printed is refused."""
    if not name.strip() or not name.isprintable():
        raise InputError(f"The name of an embedding must be printable text, got {name!r}; choose another.")
    return name


def _short_name(part: Any) -> str:
    if isinstance(part, str) and part.startswith("@"):
        return readable(part)
    if not isinstance(part, (str, Path)):
        return "embedding"
    path, key = split_key(part)
    return readable(key or "") or stem(str(path)) or shown(path)
