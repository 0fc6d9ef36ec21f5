"""Reading embeddings: files, references into the data and what is in memory, one row per cell in the order of `obs`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks import _check
from czbenchmarks._check import addresses, naming
from czbenchmarks._check.containers import plain
from czbenchmarks._check.text import as_text
from czbenchmarks.exceptions import InputError, InputTypeError
from czbenchmarks.io.references import look_up
from czbenchmarks.kernels.stored import StoredMatrix

from .dataset import Cells
from .files.annotated import Stored
from .files.arrays import read_npy, read_npz
from .files.elements import is_array
from .files.files import existing, local_path, shown
from .files.parquet import read_parquet
from .files.stores import check_store, child, guard, opened
from .files.tables import column_names, index_names, names_column, read_text_table, table_suffix, without
from .files.zarr_arrays import left_out

if TYPE_CHECKING:
    import pandas as pd

    from czbenchmarks.kernels.representation import Representation

_FORMATS = ".npy, .npz, .csv, .tsv, .parquet, .h5ad, .zarr"
_CONTROLS_TOO = "predictions need the control cells too, in the same units"
_KEY_IN_ADDRESS = re.compile(r"(\w+://[^/?#]*/[^?#]*?\.(?:h5ad|zarr|npz)/?):([^?#]+)(.*)", re.IGNORECASE | re.DOTALL)
_WIDEST = 10_000_000
"""Dimensions; a sparse file can claim more without holding them."""


@dataclass(frozen=True)
class LoadedEmbedding:
    """One embedding of one data set.

    Attributes
    ----------
    origin
        Where it came from, as JSON: `path` and `key`, or `reference`, or `kind`; and `aligned`, by ``"name"``,
        ``"position"`` or ``"caller"``.
    notes
        What was taken for the names of its rows, as said after the name of the embedding, unless its index was.
    """

    value: Any  # array, sparse matrix, DataFrame or Representation; one row per kept cell, in the order of `obs`
    rows: NDArray[np.int64] | None  # positions in `obs` of the cells that have a row, sorted; None if all have one
    missing_from_embedding: int  # number of cells of the data without a row
    missing_from_data: int  # number of rows of cells that the data do not have; they are left out
    origin: dict[str, Any]
    columns: list[str] | None = None  # names of the dimensions, where it has them: the genes of a prediction
    notes: tuple[str, ...] = ()
    _prepared: Representation | None = None

    @property
    def representation(self) -> Representation:
        """The cells of it that are scored, checked and shared by all tasks; see ``prepare``."""
        assert self._prepared is not None
        return self._prepared


@dataclass(frozen=True)
class _Raw:
    """What was read: values, the names of its rows if it has any (and the column they are from), where it came from."""

    value: Any
    names: Any
    columns: list[str] | None
    origin: dict[str, Any]
    name: str
    names_from: str | None = None
    not_stored: str = ""

    @property
    def could_name_cells(self) -> bool:
        """Whether it is a table or file in which the cells can have names."""
        suffixes = (".csv", ".tsv", ".txt", ".gz", ".parquet", ".pq", ".h5ad", ".zarr")
        return self.names is not None or str(self.origin.get("path", "")).lower().endswith(suffixes)


def read_embedding(
    source: Any,
    data: Any,
    *,
    any_length: bool = False,
    allow_missing_cells: bool = False,
    in_file: bool = False,
    prediction: bool = False,
) -> LoadedEmbedding:
    """Read an embedding of a data set and align it: by cell names if it has some, else by position.

    Names that only count the rows name nothing, unless the data's own names are whole numbers. ``file.npz:KEY`` names
    one array of several, ``file.h5ad:KEY`` and ``file.zarr:KEY`` an entry of `obsm` in place of `X`.

    Parameters
    ----------
    any_length
        Leave the number of rows and their order to the caller.
    allow_missing_cells
        Keep the cells that both sides have, in place of refusing.
    in_file
        Leave `X` of an ``.h5ad`` file there, as a ``StoredMatrix``: for a task that reads it in blocks.
    prediction
        It is predicted expression, of which the control cells are needed too: a sentence on missing rows says so.
    """
    cells = data if isinstance(data, Cells) else Cells(data)
    raw = _read(source, cells, in_file)
    shape = getattr(raw.value, "shape", None)
    if shape is not None and len(shape) == 2 and shape[1] > _WIDEST:
        raise InputError(f"`{raw.name}` must have at most {_WIDEST:,} dimensions, got {shape[1]:,}; check the file.")
    if any_length:
        value = raw.value
        if raw.names is not None and isinstance(value, np.ndarray) and value.ndim == 2:
            import pandas as pd

            value = pd.DataFrame(value, index=pd.Index(raw.names), columns=raw.columns)
        return LoadedEmbedding(value, None, 0, 0, {**raw.origin, "aligned": "caller"}, raw.columns, _notes(raw))
    place = None if raw.names is None else naming.places(raw.names, cells.names, raw.name, cells.name)
    if place is not None:
        return _by_name(raw, place, cells, allow_missing_cells, prediction)
    _same_rows(raw.value, cells, raw.name, prediction)
    notes = ["names no cells, so its rows were taken in the order of the data"] if raw.could_name_cells else []
    origin = {**raw.origin, "aligned": "position"}
    return LoadedEmbedding(raw.value, None, 0, 0, origin, raw.columns, (*notes, *_notes(raw)))


def _notes(raw: _Raw) -> tuple[str, ...]:
    notes = [] if raw.names_from is None else [f"names its cells in the column {raw.names_from!r}"]
    return (*notes, *([f"has parts that are not stored: {raw.not_stored}"] if raw.not_stored else []))


def _read(source: Any, cells: Cells, in_file: bool = False) -> _Raw:
    if isinstance(source, str) and source.startswith("@"):
        return _Raw(look_up(cells, source), None, None, {"reference": source}, source)
    if isinstance(source, (str, Path)):
        return _from_path(source, cells, in_file)
    if hasattr(source, "obsm") and hasattr(source, "obs"):
        raise InputTypeError(
            "`embedding` must be an array of cells x dimensions, got an AnnData; pass its `.X` or one of its `.obsm`."
        )
    origin = {"kind": type(source).__name__}
    source = plain(source, "embedding")
    if hasattr(source, "columns") and hasattr(source, "index"):
        return _table_in_memory(source, cells, origin)
    return _Raw(source, None, None, origin, "embedding")


def _table_in_memory(table: pd.DataFrame, cells: Cells, origin: dict[str, Any]) -> _Raw:
    """Tell the names of cells from the numbers, as in files."""
    headings = [as_text(column) for column in table.columns]
    indexed = index_names(table) is not None
    known = frozenset(naming.as_names(cells.names))
    position = names_column(table, headings, known, "embedding", "the table", indexed=indexed)
    if position is None:
        return _Raw(table, table.index, headings, origin, "embedding")
    names = column_names(table.iloc[:, position])
    value = without(table, position).set_axis(names, axis=0)
    return _Raw(value, names, without(headings, position), origin, "embedding", headings[position])


def _from_path(source: str | Path, cells: Cells, in_file: bool) -> _Raw:
    text, key = split_key(source)
    path = local_path(text)
    name = "embedding"
    origin: dict[str, Any] = {"path": str(path)}
    if addresses.is_remote(text):
        origin["address"] = addresses.shown(text)
    if key is not None:
        origin["key"] = key
    if not path.exists():
        _hint_at_obsm(str(source), cells)
    existing(path, name, f"{_FORMATS} file or a reference such as @obsm:KEY")
    suffix = path.suffix.lower()
    said = _check.printable(addresses.shown(source))
    if path.is_dir() or suffix in (".h5ad", ".zarr"):
        return _from_store(path, key, name, origin, said, in_file)
    if suffix == ".npy":
        return _Raw(read_npy(path, name), None, None, origin, said)
    if suffix == ".npz":
        return _Raw(read_npz(path, name, key), None, None, origin, said)
    if table_suffix(path) in (".csv", ".tsv", ".txt"):
        table = read_text_table(path, name, cells.names)
    elif suffix in (".parquet", ".pq"):
        table = read_parquet(path, name, cells.names)
    else:
        raise InputError(
            f"`{name}` must be a {_FORMATS} file or a reference such as @obsm:KEY, got {shown(path)}; convert it."
        )
    return _Raw(table.values, table.names, table.columns, origin, said, table.names_from)


def _hint_at_obsm(text: str, cells: Cells) -> None:
    """Refuse what is no file but the key of an embedding in the data."""
    key = text.removeprefix("obsm:")
    if cells.holds("obsm", key):
        raise InputError(f"`embedding` must be a file or a reference, got {text!r}. Did you mean '@obsm:{key}'?")


def split_key(source: str | Path) -> tuple[str | Path, str | None]:
    """Split ``file.npz:KEY``; a colon elsewhere, or in the path of an existing file, belongs to the path.

    In an address the key stands behind the path, before ``?`` and the parameters.
    """
    if not isinstance(source, str) or "\0" in source:
        return source, None
    if addresses.is_remote(source):
        match = _KEY_IN_ADDRESS.fullmatch(source)
        return (source, None) if match is None else (match[1] + match[3], match[2])
    match = re.fullmatch(r"(.+?\.(?:h5ad|zarr|npz)/?):(.+)", source, re.IGNORECASE | re.DOTALL)
    try:
        if match is None or Path(source).expanduser().exists():
            return source, None
    except (OSError, RuntimeError):  # too long a name, or ~somebody without a home
        return source, None
    return match[1], match[2]


def _from_store(path: Path, key: str | None, name: str, origin: dict[str, Any], said: str, in_file: bool) -> _Raw:
    """Read `X` or an entry of `obsm` of an AnnData file, or a zarr array."""
    check_store(path, name, needs_obs=False)
    with opened(path, name) as root:
        if isinstance(root, dict):  # an array by itself
            guard(root[""], path, name)
            values = np.asarray(root[""][...])
            return _Raw(values, None, None, origin, said, not_stored=left_out(root[""]))
        if "obs" not in root and key is not None and key in root:
            array = child(root, key, path, name)
            if is_array(array):
                guard(array, path, name)
                return _Raw(np.asarray(array[...]), None, None, origin, said, not_stored=left_out(array))
    check_store(path, name)
    cells = Cells(path, name)
    if key is None or key == "X":
        try:
            value = _left_in_file(cells, said) if in_file else None
            value = cells.piece("X") if value is None else value
        except InputError as error:
            hint = "" if key else "; name an entry of obsm as FILE:KEY if you mean that"
            raise InputError(str(error).rstrip(".") + hint + ".") from None
        columns: list[str] | None = [as_text(column) for column in cells.piece("var").index]
    else:
        group, _, rest = key.partition(":")
        value = cells.piece(group, rest) if rest and group in ("obsm", "layers") else cells.piece("obsm", key)
        columns = [as_text(column) for column in value.columns] if hasattr(value, "columns") else None
    not_stored = " and ".join(note.partition(": ")[2] for note in cells.notes)
    return _Raw(value, cells.names, columns, origin, said, not_stored=not_stored)


def _left_in_file(cells: Cells, said: str) -> StoredMatrix | None:
    """Return `X` of an .h5ad file without reading it; None if it has to be read to say what is wrong with it."""
    path = cells.path
    if path is None or path.is_dir():
        return None
    file = Stored(path, cells.name)
    if not (file.by_element and file.is_matrix("X")):
        return None
    found = StoredMatrix(lambda: file.held("X"), said)
    return found if found.shape[0] == cells.n else None


def _same_rows(value: Any, cells: Cells, name: str, prediction: bool) -> None:
    """Refuse an embedding without one row per cell."""
    shape = getattr(value, "shape", None)
    rows = shape[0] if shape else getattr(value, "n", None)
    if rows is None and isinstance(value, (list, tuple)):
        rows = len(value)
    if rows is None:
        return
    if shape and len(shape) == 2 and shape[1] == cells.n != rows:
        raise InputError(
            f"`{name}` must have one row per cell, got {rows:,} rows and {cells.n:,} columns; transpose it."
        )
    _check.same_length(int(rows), cells.n, name, hint=f"; {_CONTROLS_TOO}" if prediction else "")


def _by_name(
    raw: _Raw, place: NDArray[np.int64], cells: Cells, allow_missing_cells: bool, prediction: bool
) -> LoadedEmbedding:
    """Bring the rows into the order of `obs`: `place` holds where each cell of the data is among them, or -1."""
    origin = {**raw.origin, "aligned": "name"}
    rows = np.flatnonzero(place >= 0)
    if len(rows) == len(place) == len(raw.names) and (place[1:] > place[:-1]).all():
        return LoadedEmbedding(raw.value, None, 0, 0, origin, raw.columns, _notes(raw))
    absent = cells.names[place < 0]
    strange = naming.as_names(raw.names).delete(place[rows])
    if not len(rows):
        raise InputError(
            f"`{raw.name}` must name the cells of `{cells.name}`, got none of its {cells.n:,} names: "
            f"'{_check.listing(strange[:1])}' where the data have '{_check.listing(absent[:1])}'; rename the rows, "
            "or pass an array to go by position if they are in the order of the data."
        )
    if (len(absent) or len(strange)) and not allow_missing_cells:
        counted = f"; {naming.BY_POSITION}" if naming.counts_rows(raw.names) else ""
        raise InputError(_missing(raw.name, cells.name, absent, strange, len(rows), prediction, counted))
    value = _rows(raw.value, place[rows], cells.names[rows])
    return LoadedEmbedding(
        value, rows if len(absent) else None, len(absent), len(strange), origin, raw.columns, _notes(raw)
    )


def _missing(
    embedding: str, data: str, absent: pd.Index, strange: pd.Index, shared: int, prediction: bool, hint: str
) -> str:
    faults = []
    if len(absent):
        verb = "cell has" if len(absent) == 1 else "cells have"
        faults.append(f"{len(absent):,} {verb} no row ({_check.listing(absent)})")
    if len(strange):
        verb = "row is of a cell" if len(strange) == 1 else "rows are of cells"
        faults.append(f"{len(strange):,} {verb} not in the data ({_check.listing(strange)})")
    return (
        f"`{embedding}` must have one row per cell of `{data}`: {' and '.join(faults)}; complete it, or score the "
        f"{shared:,} shared cells with allow_missing_cells (--allow-missing-cells)"
        f"{hint}{f'; {_CONTROLS_TOO}' if prediction else ''}."
    )


def _rows(value: Any, order: NDArray[np.int64], names: Any) -> Any:
    """Return the rows in another order."""
    if hasattr(value, "iloc"):
        return value.iloc[order].set_axis(names, axis=0)
    if isinstance(value, StoredMatrix):
        return value[order]
    return value.tocsr()[order] if hasattr(value, "tocsr") else np.asarray(value)[order]
