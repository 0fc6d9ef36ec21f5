"""The control cells of every treated cell."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from czbenchmarks import _check
from czbenchmarks._check.text import as_text
from czbenchmarks.exceptions import InputError, InputTypeError

if TYPE_CHECKING:
    import pandas as pd

Cells = dict[str, list[str]]
"""Treated cell to its control cells."""

KEY = "control_cells_map"


def read(uns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the control map of ``adata.uns`` as it is written there, JSON text parsed."""
    if KEY not in uns:
        raise InputError(f"Key {KEY!r} not found in adata.uns; store there the control cells of each treated cell.")
    raw = uns[KEY]
    if isinstance(raw, (str, bytes)):
        try:
            raw = json.loads(raw)
        except ValueError as error:
            raise InputError(f"adata.uns[{KEY!r}] must be a mapping or JSON text of one: {error}.") from None
    return mapping(raw)


def mapping(raw: Any) -> dict[str, Any]:
    """Refuse anything but a mapping."""
    if not isinstance(raw, Mapping):
        raise InputTypeError(f"{KEY} must map conditions to treated cells to control cells, got {_check.kind_of(raw)}.")
    return dict(raw)


def cells_of(condition: object, cells: Any, treated: Callable[[str], list[str]]) -> Cells:
    """Return the controls of each treated cell of one condition.

    `cells` are treated cell to controls, or controls shared by all cells that `treated` lists.
    """
    name = f"{KEY}[{condition!r}]"
    if isinstance(cells, Mapping):
        return {as_text(cell): texts(controls, f"{name}[{cell!r}]") for cell, controls in cells.items()}
    controls = texts(cells, name)
    own = treated(as_text(condition))
    if not own:
        raise InputError(
            f"{name} lists control cells, so {condition!r} must be a condition of the data, got no such "
            "cells; write condition to treated cell to control cell."
        )
    return {cell: list(controls) for cell in own}


def union(cells: Cells) -> list[str]:
    """Return all controls, sorted, each once."""
    return sorted({control for controls in cells.values() for control in controls})


def positions(names: pd.Index[Any], cells: list[str], must: str) -> Any:
    """Return the rows of cells; `must` begins the sentence if one is unknown."""
    import pandas as pd

    rows = names.get_indexer(pd.Index(cells, dtype=object))
    if (rows < 0).any():
        strange = [cell for cell, row in zip(cells, rows, strict=True) if row < 0]
        raise InputError(
            f"{must} of adata.obs_names, got {len(strange):,} unknown: {_check.listing(strange)}; "
            "correct or remove them."
        )
    return rows


def one_to_one(raw: Mapping[str, Any]) -> bool:
    """Tell whether every treated cell has one control, named without a list."""
    return all(
        isinstance(cells, Mapping) and all(isinstance(control, str) for control in cells.values())
        for cells in raw.values()
    )


def texts(value: Any, name: str) -> list[str]:
    """Return one name or a list of names as a list of text."""
    if isinstance(value, (str, bytes)):
        return [as_text(value)]
    if isinstance(value, Mapping) or not hasattr(value, "__iter__"):
        hint = "; names with '/' are no keys in HDF5, store the map as JSON text" if isinstance(value, Mapping) else ""
        raise InputTypeError(f"{name} must be a name or a list of names, got {_check.kind_of(value)}{hint}.")
    return [as_text(one) for one in value]


def has_slash(value: Any) -> bool:
    """Tell whether a nested mapping has a key that HDF5 would split at ``/``."""
    return isinstance(value, Mapping) and any("/" in str(key) or has_slash(inner) for key, inner in value.items())
