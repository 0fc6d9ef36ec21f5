"""The data and embeddings of one run: named, read, cut to the cells they share, and what the record says of them."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from czbenchmarks import _check
from czbenchmarks._check import naming
from czbenchmarks._check.addresses import is_remote, readable, shown, stem, usable
from czbenchmarks.datasets.dataset import Dataset
from czbenchmarks.datasets.download.cache import cache_folder, digest
from czbenchmarks.exceptions import InputError, InputTypeError
from czbenchmarks.io.dataset import Cells
from czbenchmarks.io.embedding import Found, read_embedding, split_key
from czbenchmarks.results.parts import plain
from czbenchmarks.results.provenance import sha256_of_array, sha256_of_file, sha256_of_names
from czbenchmarks.results.record import BASELINE
from czbenchmarks.tasks.fields import Index

from .inputs import described, reference_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from czbenchmarks.kernels.neighbors import Neighbors
    from czbenchmarks.kernels.representation import Representation

    from .inputs import Wanted

SEARCHES = ("auto", "exact", "approximate")
_HASHES = "sha256.json"  # in the cache folder


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
    return _printable(readable(match[1]).strip()), match[2]


def _exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long, ~somebody without a home, a NUL
        return False


def _printable(name: str) -> str:
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


def read_in_blocks(wanted: Mapping[str, Wanted]) -> bool:
    """Tell whether every task takes expression and reads it in blocks, so that it may stay in its file."""
    # Whoever names rows and columns is given a table.
    return all(one.task_class.predicts_expression and not one.names(Index) for one in wanted.values())


def read_all(
    embedding: Any,
    cells: list[Cells],
    any_length: bool,
    allow_missing: bool,
    wanted: Mapping[str, Wanted],
) -> dict[str, list[Found]]:
    """Read every embedding: one per data set, under its name; what is read in blocks stays in its file."""
    if embedding is None:
        return {}
    asked = {
        "any_length": any_length,
        "allow_missing_cells": allow_missing,
        "in_file": read_in_blocks(wanted),
        "prediction": any(one.task_class.predicts_expression for one in wanted.values()),
    }
    by_name = dict(embedding) if isinstance(embedding, Mapping) else named([embedding])
    if not by_name:
        raise InputError("`embedding` must hold at least one embedding, got an empty mapping.")
    found: dict[str, list[Found]] = {}
    for name, value in by_name.items():
        text = _printable(shown(name))
        if text == BASELINE:
            raise InputError("An embedding must not be called 'baseline', which names the task's own; rename it.")
        if text in found:
            raise InputError(f"A name must belong to one embedding, got {text!r} twice; choose another.")
        found[text] = _read(value, cells, asked)
    return found


def _read(value: Any, cells: list[Cells], asked: dict[str, bool]) -> list[Found]:
    several = isinstance(value, (list, tuple)) and bool(value) and (len(cells) > 1 or _is_embedding(value[0]))
    parts = list(value) if several else [value]
    if len(parts) != len(cells):
        hint = "; name them in a mapping to score several" if len(cells) == 1 else ""
        raise InputError(f"`embedding` must be given once per data set: expected {len(cells)}, got {len(parts)}{hint}.")
    found = []
    for i, part in enumerate(parts):
        where, source = reference_for(part, cells, i) if isinstance(part, str) else (cells[i], part)
        if isinstance(source, str) and source.startswith("@"):  # a name within the data; a path stays what opens it
            source = readable(source)
        elif isinstance(source, (str, Path)) and not is_remote(source):
            usable(split_key(source)[0])
        found.append(read_embedding(source, where, **asked))
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
            raise InputError(
                f"The embeddings must share cells with `{data.name}` and with each other, got none in common."
            )
    return [one if rows is None else one.subset(rows) for one, rows in zip(cells, kept, strict=True)], kept


def check_search(neighbors: Any, embedding: Any, n_data: int) -> None:
    """Refuse a way of finding neighbours that is none, or neighbours of one embedding for several."""
    if not isinstance(neighbors, str):
        raise InputTypeError(
            f"`neighbors` must be {', '.join(map(repr, SEARCHES))} or a reference @obsp:KEY into the data, "
            f"got {_check.kind_of(neighbors)}."
        )
    if neighbors in SEARCHES:
        return
    if not re.fullmatch(r"@(0:)?obsp:.+", neighbors, re.DOTALL):
        raise InputError(_check.unknown("`neighbors`", neighbors, [*SEARCHES, "@obsp:KEY"]))
    several = len(embedding) if isinstance(embedding, Mapping) else int(embedding is not None)
    for got, what in ((n_data, "data set"), (several, "embedding")):
        if got != 1:
            raise InputError(
                f"{neighbors} must be the neighbours of one {what}, got {got or 'no'} {what}s; "
                f"{'score them apart' if got else 'name the embedding'}, or leave `neighbors` out."
            )


def given_neighbors(reference: str, cells: list[Cells]) -> Neighbors | None:
    """Return the neighbours that the data hold under a reference; None if they are to be searched for."""
    if reference in SEARCHES:
        return None
    from czbenchmarks.kernels.given import neighbors_from_distances

    where, name = reference_for(reference, cells, 0)
    return neighbors_from_distances(where.piece("obsp", name.removeprefix("@obsp:")), reference)


def strange_neighbors(given: Neighbors | None, reference: str, embeddings: Mapping[str, Any]) -> list[str]:
    """Say so if given distances are not those of the embedding: it is likely another one's, but may be meant."""
    if given is None:
        return []
    from czbenchmarks.kernels.given import strange_pairs

    (name, (one,)), *_ = embeddings.items()
    strange, looked = strange_pairs(given, one.values)
    if not strange:
        return []
    return [
        f"{reference} holds other distances than {name} has ({strange:,} of {looked:,} pairs of cells differ), "
        "so its neighbours may be those of another embedding"
    ]


def represent_all(
    found: Mapping[str, list[Found]], kept: Sequence[Any], search: str = "auto", given: Neighbors | None = None
) -> dict[str, list[Representation]]:
    """Check every embedding and prepare it once for all tasks: the kept cells of it.

    Parameters
    ----------
    found
        The embeddings as they were read.
    kept
        Positions of the cells that are scored, per data set; None for all.
    search
        How neighbours are to be found; a representation of the caller's keeps its own way under ``"auto"``.
    given
        Neighbours that need not be.
    """
    from czbenchmarks.kernels.representation import Representation
    from czbenchmarks.tasks import represent

    prepared: dict[str, list[Representation]] = {}
    for name, several in found.items():
        prepared[name] = []
        for one, rows in zip(several, kept, strict=True):
            said = one.origin.get("path") or one.origin.get("reference") or (name if len(found) > 1 else "embedding")
            whole = represent(one.value, str(said), keep_sparse=True)
            if rows is not None:
                own = rows if one.rows is None else np.searchsorted(one.rows, rows)
                whole = Representation(whole.values[own], search=whole.search)
            prepared[name].append(searching(whole, search, given))
    return prepared


def searching(whole: Representation, search: str, given: Neighbors | None = None) -> Representation:
    """Return an embedding that finds its neighbours as asked, or has them."""
    from czbenchmarks.kernels.representation import Representation

    if given is not None:
        return Representation(whole.values, neighbors=given)
    if search in ("exact", "approximate"):
        return Representation(whole.values, search=cast("Literal['exact', 'approximate']", search))
    return whole


def prediction(found: Found, prepared: Representation, cells: Cells, named: bool) -> tuple[Any, tuple[str, ...]]:
    """Return predicted expression as its task takes it, named columns in the order of the genes, and notes on that.

    Parameters
    ----------
    found
        As it was read.
    prepared
        Its values.
    cells
        The data it predicts.
    named
        Whether options name rows or columns, which is compared with the names there are.
    """
    import pandas as pd

    names = found.columns
    if named:
        rows = found.value.index if hasattr(found.value, "iloc") else None
        if not names and rows is None:
            return prepared, ()
        return pd.DataFrame(prepared.array, index=rows, columns=names or None), ()
    if not names:
        return prepared, ()
    genes = naming.as_names(cells.piece("var").index)
    place = naming.places(names, genes, "the prediction", cells.name, "Gene")
    if place is None:
        return prepared, ("names no genes, so its columns were taken in the order of the data",)
    absent, strange = genes[place < 0], naming.as_names(names).delete(place[place >= 0])
    if len(absent) or len(strange):
        raise InputError(
            f"The columns of a prediction must be the genes of `{cells.name}`: expected {len(genes):,}, got "
            f"{len(names):,}, of which {len(strange):,} are unknown ({_check.listing(strange) or 'none'}) and "
            f"{len(absent):,} are missing ({_check.listing(absent) or 'none'}); name a subset with gene_index, "
            f"{naming.BY_POSITION}."
        )
    return (prepared if (place[1:] > place[:-1]).all() else prepared.values[:, place]), ()


def data_facts(everything: Cells, cut: Cells) -> dict[str, Any]:
    """Say which data set it was: the hash is of the file, or of the cell names where there is none."""
    path = everything.path
    source = everything.source
    origin = getattr(source, "origin", None)
    facts: dict[str, Any] = {
        "source": described(source),
        "n_cells": cut.n,
        "n_cells_left_out": everything.n - cut.n,
    }
    if isinstance(source, Dataset):
        facts |= {"organism": str(source.organism), "settings": _settings(source)}
    if origin:  # a data set object that was opened by name
        facts |= origin
    if path is None:
        return {**facts, "sha256": sha256_of_names(everything.names), "sha256_of": "cell names"}
    return {**facts, "path": str(path), "sha256": sha256_of_file(path, cache_folder() / _HASHES), "sha256_of": "file"}


def _settings(source: Dataset) -> dict[str, Any]:
    """Return the arguments that made a data set object, besides its file and its organism, as JSON."""
    names = inspect.signature(type(source)).parameters
    values = {
        name: getattr(source, name, None) for name in names if name not in ("path", "organism", "task_inputs_dir")
    }
    # JSON holds no infinity, which is a threshold that lets everything pass.
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else plain(value)
        for name, value in values.items()
    }


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
