"""References: text that names a piece of the data, such as a column of `obs`.

``@X``, ``@obsm:KEY``, ``@layers:KEY``, ``@obs:COLUMN`` (short ``COLUMN``), ``@var:COLUMN``, ``@obs_index``,
``@var_index``, ``@obs``, ``@var``, and ``@`` for the data set itself. With several data sets ``@1:obs:COLUMN`` names
the second one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from czbenchmarks._check.addresses import shown
from czbenchmarks.exceptions import InputError

from .dataset import Cells

_KEYED = ("obs", "var", "obsm", "layers")


def look_up(cells: Cells, reference: str) -> Any:
    """Return what a reference, without the number of a data set, names; text without ``@`` is a column of `obs`."""
    if not reference.startswith("@"):
        return cells.piece("obs", reference)
    if reference == "@":
        return cells.adata
    group, colon, key = reference[1:].partition(":")
    if group in ("obs_index", "var_index") and not colon:
        return cells.index(group[:3])
    if colon and key and group in _KEYED:
        return cells.piece(group, key)
    if not colon and group in ("X", "obs", "var"):
        return cells.piece(group)
    if group == "obsp" and colon and key:
        raise InputError(f"Reference {reference!r} names pairs of cells, which only `neighbors` (--neighbors) takes.")
    raise InputError(
        f"Reference {shown(reference)!r} is not known; write @X, @obsm:KEY, @layers:KEY, @obs:COLUMN, "
        "@var:COLUMN, @obs_index, @var_index or @."
    )


def reference_for(reference: str, cells: Sequence[Cells], position: int) -> tuple[Cells, str]:
    """Return the data set that a reference names, else that at `position`, and the reference without its number."""
    match = re.fullmatch(r"@(\d+)(?::(.*))?", reference)
    if match is None:
        return cells[position], reference
    number = int(match[1])
    if number >= len(cells):
        given = "1 data set" if len(cells) == 1 else f"{len(cells):,} data sets"
        raise InputError(f"Reference {reference!r} must name one of the data sets given, counted from 0, got {given}.")
    return cells[number], "@" + (match[2] or "")
