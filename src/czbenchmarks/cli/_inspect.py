"""What is in a data file, read column by column; expression is sampled, never read whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from czbenchmarks._check.text import as_text
from czbenchmarks.exceptions import InputError
from czbenchmarks.io.files.elements import declared_shape, entries, is_array
from czbenchmarks.io.files.files import reading
from czbenchmarks.io.files.stores import child, guard, kind_of_store, opened

from ._screen import screen_facts

if TYPE_CHECKING:
    import pandas as pd

    from czbenchmarks.io.dataset import Cells

_SAMPLE = 100_000
"""Values of X that are looked at."""


def facts(cells: Cells) -> dict[str, Any]:
    """Return what is in a file, as JSON."""
    path = cells.path
    assert path is not None
    columns = [_column(cells, name) for name in cells.columns]
    found: dict[str, Any] = {
        "kind": "data",
        "path": str(path),
        "size_bytes": _size(path),
        "n_cells": cells.n,
        "n_genes": None,
        "organism": None,
        "organism_problem": None,
        "obs": columns,
        "unique_cell_names": bool(cells.names.is_unique),
    }
    with opened(path, cells.name) as root:
        modern = "encoding-type" in root["obs"].attrs
        found |= _stored(root, path, cells.name) if modern else {}
    if not modern:  # written before anndata 0.7
        found |= _in_memory(cells.adata)
    shape = (found["X"] or {}).get("shape")
    found["n_genes"] = shape[1] if shape and len(shape) == 2 else len(cells.piece("var"))
    try:
        found["organism"] = _organism(cells)
    except InputError as error:  # the rest can still be shown
        found["organism_problem"] = str(error).rstrip(".")
    found["screen"] = screen_facts(cells, found["uns"])
    return found


def _column(cells: Cells, name: str) -> dict[str, Any]:
    """Return what is in a column of `obs`; the others can be shown where one cannot be read."""
    try:
        column = cells.piece("obs", name)
        if column.ndim > 1:
            raise InputError("it is in obs more than once")
        return column_facts(name, column)
    except InputError as error:
        return {
            **{"name": name, "kind": "unreadable", "n_values": 0, "missing": 0, "values": [], "n_with_10_cells": 0},
            **{"numeric": False, "problem": str(error).rstrip(".")},
        }


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


def column_facts(name: str, column: pd.Series[Any]) -> dict[str, Any]:
    """Return a column's kind, number of values, how many are missing, and the most frequent ones."""
    import pandas as pd

    present = column.dropna()
    dtype = column.cat.categories.dtype if isinstance(column.dtype, pd.CategoricalDtype) else column.dtype
    kind = {"b": "true/false", "i": "whole numbers", "u": "whole numbers", "f": "numbers"}.get(
        getattr(dtype, "kind", "O"), "text"
    )
    if kind == "numbers" and len(present) and (present.to_numpy(dtype=float) % 1 == 0).all():
        kind = "whole numbers"
    try:
        counted = present.value_counts()
    except TypeError:  # entries that cannot be compared
        counted = present.astype(str).value_counts()
    counted = counted[counted > 0]
    return {
        "name": name,
        "kind": kind,
        "n_values": len(counted),
        "missing": int(len(column) - len(present)),
        "values": [_plain(value) for value in counted.index[:3]],
        "n_with_10_cells": int((counted >= 10).sum()),
        "numeric": kind != "text" or _reads_as_numbers(counted.index),
    }


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, (bool, int)) or (isinstance(value, float) and np.isfinite(value)) else str(value)


def _reads_as_numbers(values: Any) -> bool:
    try:
        np.asarray([float(str(value)) for value in values])
    except ValueError:
        return False
    return len(values) > 0


def _stored(root: Any, path: Path, name: str) -> dict[str, Any]:
    """Return the shapes that a file declares, and what a sample of X looks like."""
    found: dict[str, Any] = {"X": None, "obsm": [], "layers": [], "uns": []}
    if "X" in root and not _is_null(root["X"]):
        x = child(root, "X", path, name)
        found["X"] = {"shape": declared_shape(x), "sparse": not is_array(x), "looks_like": _looks(x, path, name)}
    for group in ("obsm", "layers"):
        if group in root and not is_array(root[group]):
            holder = child(root, group, path, name)
            found[group] = [_element(holder, key, path, name) for key in entries(holder, path)]
    if "uns" in root and not is_array(root["uns"]):
        found["uns"] = entries(child(root, "uns", path, name), path)
    return found


def _element(holder: Any, key: str, path: Path, name: str) -> dict[str, Any]:
    """Return the key of an embedding or layer and the shape it declares; a problem in place of the shape."""
    try:
        with reading(path, name, kind_of_store(path)):
            return {"key": key, "shape": declared_shape(child(holder, key, path, name))}
    except InputError as error:
        return {"key": key, "shape": None, "problem": str(error).rstrip(".")}


def _is_null(element: Any) -> bool:
    return as_text(element.attrs.get("encoding-type")) == "null"


def _looks(element: Any, path: Path, name: str) -> str | None:
    """Say what X holds, from the values of some cells at the beginning, in the middle and at the end."""
    try:
        guard(element, path, name)
    except InputError as error:  # the rest of the file can still be shown
        return f"damaged: {error}"
    if is_array(element):
        if len(element.shape) != 2 or not element.size:
            return None
        rows = max(1, min(element.shape[0], _SAMPLE // max(1, element.shape[1]) // 3))
        starts = {0, max(0, element.shape[0] // 2 - rows), element.shape[0] - rows}
        parts = [element[start : start + rows].ravel() for start in sorted(starts)]
    elif "data" in element and is_array(element["data"]):
        n, take = int(element["data"].shape[0]), _SAMPLE // 3
        starts = {0, max(0, n // 2 - take), max(0, n - take)}
        parts = [element["data"][start : start + take] for start in sorted(starts)]
    else:
        return None
    return looks_like(np.concatenate(parts))


def looks_like(values: Any) -> str | None:
    """Say what numbers of expression are."""
    values = values[values != 0]
    if values.dtype.kind not in "iufb" or not values.size:
        return None
    if not np.isfinite(values).all():
        return "numbers with NaN or infinity"
    if values.min() < 0:
        return "scaled values (some are negative)"
    return "raw counts" if (values % 1 == 0).all() else "normalised or logged values (not whole numbers)"


def _in_memory(adata: Any) -> dict[str, Any]:
    x = adata.X
    sample = None
    if x is not None:
        sample = (x.data if hasattr(x, "tocsr") else np.asarray(x[: max(1, _SAMPLE // max(1, x.shape[1]))]).ravel())[
            :_SAMPLE
        ]
    shape = None if x is None else [int(n) for n in x.shape]
    return {
        "X": None
        if x is None or sample is None
        else {"shape": shape, "sparse": hasattr(x, "tocsr"), "looks_like": looks_like(sample)},
        "obsm": [{"key": key, "shape": [int(n) for n in adata.obsm[key].shape]} for key in adata.obsm],
        "layers": [
            {"key": key, "shape": [int(n) for n in layer.shape]}
            for key, layer in adata.layers.items()
            if key is not None  # X, for anndata from 0.13
        ],
        "uns": sorted(map(str, adata.uns)),
    }


def _organism(cells: Cells) -> dict[str, str] | None:
    """Return the species by the column `organism`, else by how gene identifiers begin."""
    from czbenchmarks.datasets.types import Organism

    if cells.names_organism:
        return {"name": str(Organism(cells.organism)), "from": "column 'organism' of obs"}
    genes = cells.piece("var")
    columns = [
        genes.index,
        *(genes[name] for name in genes.columns if str(genes[name].dtype) in ("object", "category")),
    ]
    for column in columns:
        names = [str(name) for name in column[:200]]
        fitting = [
            one for one in Organism if one.prefix and names and all(name.startswith(one.prefix) for name in names)
        ]
        if fitting:  # ENSG begins ENSGGOG too: the longest is meant
            return {"name": str(max(fitting, key=lambda one: len(one.prefix))), "from": "gene identifiers"}
    return None
