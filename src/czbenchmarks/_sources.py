"""The data and embeddings of one run: named, read, cut to the cells they share, and what the record says of them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _check
from ._options import described
from .cells import Cells, reference_for
from .datasets.fetching import cache_folder
from .embeddings import Found, read_embedding
from .results.provenance import sha256_of_array, sha256_of_file, sha256_of_names
from .results.record import BASELINE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .kernels.representation import Representation

_HASHES = "sha256.json"  # in the cache folder


def named(embeddings: Sequence[Any]) -> dict[str, Any]:
    """Name embeddings: as ``NAME=`` before them says, else references by themselves and files by their stem or path."""
    found: dict[str, Any] = {}
    given: set[str] = set()
    for embedding in embeddings:
        parts = [_own_name(part) for part in (embedding if isinstance(embedding, (list, tuple)) else [embedding])]
        own = "+".join(dict.fromkeys(name for name, _ in parts if name))
        short = own or "+".join(dict.fromkeys(_short_name(part) for _, part in parts))
        long = "+".join(str(part) for _, part in parts if isinstance(part, (str, Path))) or short
        if long in given and not own:
            raise ValueError(f"An embedding must be given once, got {long!r} twice.")
        given.add(long)
        if own in found:
            raise ValueError(f"A name must belong to one embedding, got {own!r} twice; choose another.")
        plain = [part for _, part in parts]
        found[long if short in found or (short == BASELINE and not own) else short] = (
            plain if isinstance(embedding, (list, tuple)) else plain[0]
        )
    return found


def _own_name(part: Any) -> tuple[str, Any]:
    """Split ``NAME=EMBEDDING``; a file whose path holds ``=`` is itself."""
    match = re.fullmatch(r"([^=/\\@]+)=(.+)", part, re.DOTALL) if isinstance(part, str) else None
    if match is None or Path(part).expanduser().exists():
        return "", part
    name = match[1].strip()
    if not name.isprintable() or not name:
        raise ValueError(f"The name of an embedding must be printable text, got {match[1]!r}; choose another.")
    return name, match[2]


def _short_name(part: Any) -> str:
    if isinstance(part, str) and part.startswith("@"):
        return part
    if not isinstance(part, (str, Path)):
        return "embedding"
    path, _, key = str(part).partition(":") if ":" in Path(part).name else (str(part), "", "")
    return key or Path(path).stem


def read_all(embedding: Any, cells: list[Cells], any_length: bool, allow_missing: bool) -> dict[str, list[Found]]:
    """Read every embedding: one per data set, under its name."""
    if embedding is None:
        return {}
    by_name = dict(embedding) if isinstance(embedding, Mapping) else named([embedding])
    for name in by_name:
        if name == BASELINE:
            raise ValueError("An embedding must not be called 'baseline', which names the task's own; rename it.")
        if not str(name).isprintable():
            raise ValueError(f"The name of an embedding must be printable text, got {name!r}; rename it.")
    return {str(name): _read(value, cells, any_length, allow_missing) for name, value in by_name.items()}


def _read(value: Any, cells: list[Cells], any_length: bool, allow_missing: bool) -> list[Found]:
    several = isinstance(value, (list, tuple)) and bool(value) and (len(cells) > 1 or _is_embedding(value[0]))
    parts = list(value) if several else [value]
    if len(parts) != len(cells):
        raise ValueError(f"`embedding` must be given once per data set: expected {len(cells)}, got {len(parts)}.")
    found = []
    for i, part in enumerate(parts):
        where, source = reference_for(part, cells, i) if isinstance(part, str) else (cells[i], part)
        found.append(read_embedding(source, where, any_length=any_length, allow_missing_cells=allow_missing))
    return found


def _is_embedding(value: Any) -> bool:
    """Tell an embedding in a list from the first row of one."""
    return isinstance(value, (str, Path)) or hasattr(value, "max_neighbors") or len(getattr(value, "shape", ())) == 2


def cut(cells: list[Cells], found: Mapping[str, list[Found]]) -> tuple[list[Cells], list[NDArray[np.int64] | None]]:
    """Return the data sets with only the cells that every embedding has, and which those are; None for all."""
    kept: list[Any] = [None] * len(cells)
    for several in found.values():
        for i, one in enumerate(several):
            if one.rows is not None:
                kept[i] = one.rows if kept[i] is None else np.intersect1d(kept[i], one.rows)
    for data, rows in zip(cells, kept, strict=True):
        if rows is not None and not len(rows):
            raise ValueError(
                f"The embeddings must share cells with `{data.name}` and with each other, got none in common."
            )
    return [one if rows is None else one.subset(rows) for one, rows in zip(cells, kept, strict=True)], kept


def in_order_of_genes(found: Mapping[str, list[Found]], cells: list[Cells]) -> dict[str, list[Found]]:
    """Bring columns that are named by genes into the order of the data's genes.

    For predictions of expression, whose columns are compared with the data's by position. Columns without names, or
    named by their number, stay as they are.
    """
    return {name: [_by_gene(one, where) for one, where in zip(several, cells, strict=True)]
            for name, several in found.items()}  # fmt: skip


def _by_gene(one: Found, cells: Cells) -> Found:
    names = list(one.columns or [])
    if not names or all(name.isdigit() for name in names):
        return one
    genes = [str(gene) for gene in cells.piece("var").index]
    if names == genes:
        return one
    place = {name: i for i, name in enumerate(names)}
    absent, strange = [gene for gene in genes if gene not in place], sorted(set(names) - set(genes))
    if absent or strange or len(place) < len(names) or len(set(genes)) < len(genes):
        raise ValueError(
            f"The columns of a prediction must be the genes of `{cells.name}`: expected {len(genes):,}, got "
            f"{len(names):,}, of which {len(strange):,} are unknown ({_check.listing(strange) or 'none'}) and "
            f"{len(absent):,} are missing ({_check.listing(absent) or 'none'}); name a subset with gene_index."
        )
    order = [place[gene] for gene in genes]
    value = one.value
    value = value.iloc[:, order] if hasattr(value, "iloc") else value[:, order]
    return dataclasses.replace(one, value=value, columns=genes)


def represent_all(found: Mapping[str, list[Found]], kept: Sequence[Any]) -> dict[str, list[Representation]]:
    """Check every embedding and prepare it once for all tasks."""
    from .tasks import represent

    prepared: dict[str, list[Representation]] = {}
    for name, several in found.items():
        prepared[name] = []
        for one, rows in zip(several, kept, strict=True):
            value = one.value
            if rows is not None:
                own = rows if one.rows is None else np.searchsorted(one.rows, rows)
                value = value.values if hasattr(value, "max_neighbors") else value
                value = value.iloc[own] if hasattr(value, "iloc") else value[own]
            prepared[name].append(
                represent(value, one.origin.get("path") or one.origin.get("reference") or "embedding", keep_sparse=True)
            )
    return prepared


def data_facts(everything: Cells, cut: Cells) -> dict[str, Any]:
    """Say which data set it was: the hash is of the file, or of the cell names where there is none."""
    path = everything.path
    facts: dict[str, Any] = {
        "source": described(everything.source),
        "n_cells": cut.n,
        "n_cells_left_out": everything.n - cut.n,
    }
    if path is None:
        return {**facts, "sha256": sha256_of_names(everything.names), "sha256_of": "cell names"}
    return {**facts, "path": str(path), "sha256": sha256_of_file(path, cache_folder() / _HASHES), "sha256_of": "file"}


def embedding_facts(found: list[Found], prepared: list[Representation]) -> list[dict[str, Any]]:
    """Say which embedding it was: the hash is of the file, or of the values where there is none."""
    facts = []
    for one, used in zip(found, prepared, strict=True):
        path = one.origin.get("path")
        facts.append(
            {
                **one.origin,
                "shape": [used.n, used.d],
                "sha256": sha256_of_file(Path(path), cache_folder() / _HASHES)
                if path
                else sha256_of_array(used.values),
                "sha256_of": "file" if path else "values",
                "missing_from_embedding": one.missing_from_embedding,
                "missing_from_data": one.missing_from_data,
            }
        )
    return facts
