"""The file of the peers' values: one part a peer, with its versions."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def keep(path: Path, peer: str, packages: Iterable[str], found: dict[str, Any]) -> None:
    """Write what one peer gave; the parts of others stay.

    Parameters
    ----------
    path
        The file.
    peer
        Name of the package that was run.
    packages
        Packages whose versions are kept.
    found
        What it gave.
    """
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    versions = {name: version for name in packages if (version := _version(name))}
    stored[peer] = {"made": datetime.date.today().isoformat(), "versions": versions, **found}
    path.write_text(json.dumps(dict(sorted(stored.items())), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
