"""Reading: one data set piece by piece, references into it, and embeddings.

A reference is text that names a piece of the data: ``@X``, ``@obsm:KEY``, ``@layers:KEY``, ``@obs:COLUMN``
(short ``COLUMN``), ``@var:COLUMN``, ``@obs_index``, ``@var_index``, ``@obs``, ``@var``, and ``@`` for the
data set itself. With several data sets ``@1:obs:COLUMN`` names the second one.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _check
from .exceptions import DatasetFileNotFoundError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_KEYED = ("obs", "var", "obsm", "layers")


class Cells:
    """One data set: pieces are read when asked for, kept, and never changed.

    Parameters
    ----------
    source
        AnnData, path to an ``.h5ad`` file, DataFrame (taken as `obs`), or a data set object with `adata`.
    name
        How a sentence calls it.
    """

    def __init__(self, source: Any, name: str = "data") -> None:
        self.source = source
        self.name = name
        self._pieces: dict[tuple[str, str | None], Any] = {}

    @cached_property
    def path(self) -> Path | None:
        """The file, if the data set is one; checked to be an HDF5 file with `obs`."""
        return _h5ad(Path(self.source), self.name) if isinstance(self.source, (str, Path)) else None

    @property
    def obs(self) -> pd.DataFrame:
        """The table of cells."""
        table: pd.DataFrame = self.piece("obs")
        return table

    @property
    def n(self) -> int:
        """Number of cells."""
        return len(self.obs)

    @property
    def organism(self) -> Any:
        """The organism: the data set object's, else the one value of the `organism` column of `obs`."""
        from .datasets.types import Organism

        known = getattr(self.source, "organism", None)
        if isinstance(known, Organism):
            return known
        if "organism" not in self.obs.columns:
            raise ValueError(
                f"The organism of `{self.name}` must be known for this task; name it with `organisms`, "
                "or add a column 'organism' to obs."
            )
        found = self.obs["organism"].dropna().unique()
        if len(found) != 1:
            raise ValueError(
                f"Column 'organism' of `{self.name}` must hold one organism per data set, "
                f"got {len(found):,}: {_check.listing(found) or 'none'}; "
                "split the data or name the organisms with `organisms`."
            )
        return found[0]

    @property
    def label_column(self) -> str:
        """The column that holds the labels unless another is named."""
        return str(getattr(self.source, "label_column_key", "cell_type"))

    @cached_property
    def adata(self) -> AnnData:
        """The whole data set in memory."""
        memory = self._memory
        if memory is not None:
            return memory.to_memory() if memory.isbacked else memory
        if self.path is None:
            raise ValueError(f"`{self.name}` must be an AnnData or .h5ad file for this task, got a table of obs.")
        import anndata

        with _reading(self.path, self.name, ".h5ad"):
            return anndata.read_h5ad(self.path)

    def piece(self, group: str, key: str | None = None) -> Any:
        """Return `X`, `obs`, `var`, or one entry of `obsm`, `layers`, `obs` or `var`, and read no more."""
        if (group, key) not in self._pieces:
            self._pieces[group, key] = (
                self._column(group, key) if group in ("obs", "var") and key else self._read(group, key)
            )
        return self._pieces[group, key]

    def look_up(self, reference: str) -> Any:
        """Return what a reference names; text without ``@`` is a column of `obs`."""
        if not reference.startswith("@"):
            return self.piece("obs", reference)
        if reference == "@":
            return self.adata
        group, colon, key = reference[1:].partition(":")
        if group in ("obs_index", "var_index") and not colon:
            return self.piece(group[:3]).index
        if colon and key and group in _KEYED:
            return self.piece(group, key)
        if not colon and group in ("X", "obs", "var"):
            return self.piece(group)
        raise ValueError(
            f"Reference {reference!r} is not known; write @X, @obsm:KEY, @layers:KEY, @obs:COLUMN, "
            "@var:COLUMN, @obs_index, @var_index or @."
        )

    @cached_property
    def _memory(self) -> AnnData | None:
        source = self.source
        if hasattr(source, "adata") and not hasattr(source, "obsm"):
            source = source.adata
        if hasattr(source, "obsm") and hasattr(source, "obs"):
            found: AnnData = source
            return found
        if hasattr(source, "load_data"):
            raise ValueError(f"`{self.name}` must be loaded, got a data set before its `load_data()`; call it.")
        if self.path is None and not _is_table(source):
            raise TypeError(
                f"`{self.name}` must be an AnnData, a path to an .h5ad file, a data set or a table of obs, "
                f"got {_check.kind_of(source)}."
            )
        return None

    def _column(self, group: str, key: str) -> Any:
        table = self.piece(group)
        if key not in table.columns:
            if key == "index":
                return table.index
            raise ValueError(_check.unknown("Column", key, map(str, table.columns), f"is not in {group}"))
        return table[key]

    def _read(self, group: str, key: str | None) -> Any:
        memory = self.__dict__.get("adata", self._memory)  # all of it, if it had to be read already
        if memory is None and _is_table(self.source):
            if group == "obs":
                return self.source
            raise ValueError(f"`{self.name}` is a table of obs and holds no {group}; pass an AnnData or .h5ad file.")
        found = self._from_file(group, key) if memory is None else _entry(getattr(memory, group), group, key)
        if found is None:
            raise ValueError(f"`{self.name}` must hold {group} for this, got none.")
        return found.to_memory() if hasattr(found, "to_memory") else _array(found)

    def _from_file(self, group: str, key: str | None) -> Any:
        import h5py
        from anndata.io import read_elem

        assert self.path is not None
        with _reading(self.path, self.name, ".h5ad"), h5py.File(self.path, "r") as file:
            if "encoding-type" in file["obs"].attrs:  # else written before anndata 0.7: only read_h5ad knows how
                if key is None:
                    return read_elem(file[group]) if group in file else None
                keys = list(file[group]) if group in file else []
                if key not in keys:
                    raise _NoEntry(_no_entry(group, key, keys))
                return read_elem(file[group][key])
        return _entry(getattr(self.adata, group), group, key)


class _NoEntry(ValueError):
    """A key that the data lacks."""


def _no_entry(group: str, key: str, keys: list[str]) -> str:
    return _check.unknown("Key", key, keys, f"is not in {group}")


def _entry(store: Any, group: str, key: str | None) -> Any:
    if key is None:
        return store
    if key not in store:
        raise _NoEntry(_no_entry(group, key, list(store.keys())))
    return store[key]


def _array(value: Any) -> Any:
    """Read a piece that a backed AnnData left in its file."""
    return value[()] if type(value).__module__.startswith("h5py") else value


def _is_table(value: Any) -> bool:
    return hasattr(value, "columns") and hasattr(value, "index")


def _h5ad(path: Path, name: str) -> Path:
    """Refuse what is no HDF5 file with `obs`, before anything is computed."""
    import h5py

    path = path.expanduser()
    if not path.exists():
        raise DatasetFileNotFoundError(f"`{name}` must be an existing .h5ad file, got '{path}', which does not exist.")
    if path.is_dir():
        raise ValueError(f"`{name}` must be an .h5ad file, got '{path}', which is a folder.")
    try:
        with path.open("rb") as file:
            gzipped = file.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise ValueError(f"`{name}` must be a readable .h5ad file, got '{path}': {error.strerror}.") from None
    if gzipped:
        raise ValueError(f"`{name}` must be an .h5ad file, got '{path}', which is gzip-compressed; gunzip it first.")
    if not h5py.is_hdf5(path):
        raise ValueError(
            f"`{name}` must be an .h5ad file, got '{path}', which is not one; write it with AnnData.write_h5ad."
        )
    with _reading(path, name, ".h5ad"), h5py.File(path, "r") as file:
        complete = "obs" in file
    if not complete:
        raise ValueError(f"`{name}` must be an .h5ad file, got '{path}', an HDF5 file without obs.")
    return path


@contextmanager
def _reading(path: Path, name: str, kind: str) -> Iterator[None]:
    """Say in one sentence that a file is damaged, whatever h5py, anndata or numpy call it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what anndata says of old files does not concern the scores
            yield
    except (MemoryError, _NoEntry):
        raise
    except Exception as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise ValueError(
            f"`{name}` must be a complete {kind} file, '{path}' could not be read ({why}); write it again."
        ) from error


def reference_for(reference: str, cells: list[Cells], position: int) -> tuple[Cells, str]:
    """Return the data set that a reference names, and the reference without its number.

    Parameters
    ----------
    reference
        As the user wrote it.
    cells
        The data sets.
    position
        Which one is meant if the reference does not say.
    """
    match = re.fullmatch(r"@(\d+)(?::(.*))?", reference)
    if match is None:
        return cells[position], reference
    number = int(match[1])
    if number >= len(cells):
        given = "1 data set" if len(cells) == 1 else f"{len(cells):,} data sets"
        raise ValueError(f"Reference {reference!r} must name one of the data sets given, counted from 0, got {given}.")
    return cells[number], "@" + (match[2] or "")


def read_embedding(source: Any, data: Any, *, any_length: bool = False) -> Any:
    """Return an embedding as an array, sparse matrix, DataFrame or Representation.

    Parameters
    ----------
    source
        One of those, a path to an ``.npy`` file, or a reference into the data.
    data
        The data set the embedding belongs to: anything `Cells` takes, or `Cells`.
    any_length
        Leave the number of rows and their order to the caller.

    Returns
    -------
    The embedding, one row per cell, in the order of `obs`.
    """
    cells = data if isinstance(data, Cells) else Cells(data)
    if isinstance(source, str) and source.startswith("@"):
        value = cells.look_up(source)
    elif isinstance(source, (str, Path)):
        value = _npy(Path(source))
    else:
        value = source
    if not any_length:
        shape = getattr(value, "shape", None)
        rows = shape[0] if shape else getattr(value, "n", None)
        if rows is None and isinstance(value, (list, tuple)):
            rows = len(value)
        if rows is not None:
            name = str(source) if isinstance(source, (str, Path)) else "embedding"
            if shape and len(shape) == 2 and shape[1] == cells.n != rows:
                raise ValueError(
                    f"`{name}` must have one row per cell, got {rows:,} rows and {cells.n:,} columns; transpose it."
                )
            _check.same_length(int(rows), cells.n, name)
        _check.same_order(value, cells.obs.index, "embedding")
    return value


def _npy(path: Path) -> Any:
    path = path.expanduser()
    if not path.is_file():
        raise DatasetFileNotFoundError(
            "`embedding` must be an existing .npy file or a reference such as @obsm:KEY, "
            f"got '{path}', which {'is a folder' if path.is_dir() else 'does not exist'}."
        )
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError(
                "`embedding` must be a .npy file or a reference such as @obsm:KEY, "
                f"got '{path}', which is not one; write it with numpy.save."
            )
    with _reading(path, "embedding", ".npy"):
        # Mapping checks the size in the header against the file before any memory is taken.
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
