"""The words of error sentences: values made printable, lists shortened, the nearest known name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from .addresses import shown


def printable(text: object) -> str:
    r"""Return text as one line for a terminal: what would move the cursor or hide is escaped (``\x1b``)."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def listing(values: Iterable[Any], most: int = 3) -> str:
    """Name the first few of many: ``a, b, c and 4 more``."""
    values = list(values)
    named = ", ".join(printable(value) for value in values[:most])
    return named if len(values) <= most else f"{named} and {len(values) - most:,} more"


def unknown(kind: str, given: object, known: Iterable[str], verdict: str = "is not known") -> str:
    """Build the sentence for an unknown name, with the nearest known one."""
    given = shown(given) if isinstance(given, str) else given
    known = sorted(str(name) for name in known if name is not None)
    near = difflib.get_close_matches(str(given), known, n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    most = len(known)
    while most > 3 and len(listing(known, most)) > 250:
        most -= 1
    said = f"{kind} {given!r} {verdict}".rstrip()
    return f"{said}.{hint} Available: {listing(known, most) or 'none'}."


def kind_of(value: object) -> str:
    """Name a value's kind for a sentence."""
    shape = getattr(value, "shape", None)
    name = type(value).__name__
    return f"{name} of shape {tuple(shape)}" if isinstance(shape, tuple) else name


def is_given(value: object) -> bool:
    """Tell whether an option was given: None and an empty list or tuple are what a client passes for one left out."""
    return value is not None and not (isinstance(value, (list, tuple)) and len(value) == 0)
