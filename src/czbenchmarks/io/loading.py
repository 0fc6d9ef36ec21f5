"""All embeddings of a run: read, cut to the cells they share, prepared for every task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from czbenchmarks._check.addresses import is_remote, readable, shown, usable
from czbenchmarks.constants import BASELINE
from czbenchmarks.exceptions import InputError
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.inputs import represent

from .dataset import Cells
from .embedding import LoadedEmbedding, read_embedding, split_key
from .names import named, printable_name
from .neighbors import searching
from .references import reference_for
from .view import View

if TYPE_CHECKING:
    from czbenchmarks.kernels.neighbors import Neighbors

Embeddings = dict[str, list[LoadedEmbedding]]
"""By name, one per data set."""


def read_all(embedding: Any, data: Sequence[Cells], **asked: bool) -> Embeddings:
    """Read every embedding that ``evaluate`` takes: one per data set, under its name.

    For `asked` see ``read_embedding``.
    """
    if embedding is None:
        return {}
    by_name = dict(embedding) if isinstance(embedding, Mapping) else named([embedding])
    if not by_name:
        raise InputError("`embedding` must hold at least one embedding, got an empty mapping.")
    found: Embeddings = {}
    for name, value in by_name.items():
        text = printable_name(shown(name))
        if text == BASELINE:
            raise InputError("An embedding must not be called 'baseline', which names the task's own; rename it.")
        if text in found:
            raise InputError(f"A name must belong to one embedding, got {text!r} twice; choose another.")
        found[text] = _read(value, data, asked)
    return found


def _read(value: Any, data: Sequence[Cells], asked: dict[str, bool]) -> list[LoadedEmbedding]:
    several = isinstance(value, (list, tuple)) and bool(value) and (len(data) > 1 or _is_embedding(value[0]))
    parts = list(value) if several else [value]
    if len(parts) != len(data):
        hint = "; name them in a mapping to score several" if len(data) == 1 else ""
        raise InputError(f"`embedding` must be given once per data set: expected {len(data)}, got {len(parts)}{hint}.")
    found = []
    for i, part in enumerate(parts):
        where, source = reference_for(part, data, i) if isinstance(part, str) else (data[i], part)
        if isinstance(source, str) and source.startswith("@"):  # a name within the data; a path stays what opens it
            source = readable(source)
        elif isinstance(source, (str, Path)) and not is_remote(source):
            usable(split_key(source)[0])
        found.append(read_embedding(source, where, **asked))
    return found


def _is_embedding(value: Any) -> bool:
    """Tell an embedding in a list from the first row of one."""
    return isinstance(value, (str, Path)) or hasattr(value, "max_neighbors") or len(getattr(value, "shape", ())) == 2


def shared_cells(data: Sequence[Cells], embeddings: Embeddings) -> list[Cells]:
    """Return the data sets with only the cells that every embedding has."""
    kept: list[Any] = [None] * len(data)
    for several in embeddings.values():
        for i, one in enumerate(several):
            if one.rows is not None:
                kept[i] = one.rows if kept[i] is None else np.intersect1d(kept[i], one.rows)
    for cells, rows in zip(data, kept, strict=True):
        if rows is not None and not len(rows):
            raise InputError(
                f"The embeddings must share cells with `{cells.name}` and with each other, got none in common."
            )
    return [cells if rows is None else View(cells, rows) for cells, rows in zip(data, kept, strict=True)]


def prepare(
    embeddings: Embeddings, views: Sequence[Cells], search: str = "auto", given: Neighbors | None = None
) -> Embeddings:
    """Return the embeddings checked and prepared once for all tasks: the scored cells of each.

    These are `views` of the data sets. `search` says how neighbours are to be found (a representation of the caller's
    keeps its own way under ``"auto"``), unless they are `given`.
    """
    found: Embeddings = {}
    for name, several in embeddings.items():
        found[name] = []
        for one, view in zip(several, views, strict=True):
            said = one.origin.get("path") or one.origin.get("reference")
            said = str(said or (name if len(embeddings) > 1 else "embedding"))
            whole = represent(one.value, said, keep_sparse=True)
            if view.rows is not None:
                own = view.rows if one.rows is None else np.searchsorted(one.rows, view.rows)
                whole = Representation(whole.values[own], search=whole.search)
            found[name].append(replace(one, _prepared=searching(whole, search, given)))
    return found
