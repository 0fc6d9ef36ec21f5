"""One data set, read piece by piece."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from czbenchmarks import _check
from czbenchmarks._check import naming
from czbenchmarks._check.containers import is_lazy, is_table, plain
from czbenchmarks._check.text import as_text, decoded_table
from czbenchmarks.exceptions import InputError, InputTypeError

from .files.annotated import Stored, no_entry
from .files.files import Refused, local_path, reading
from .files.stores import check_store, kind_of_store

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

T = TypeVar("T")

_PER_CELL = ("X", "obsm", "layers", "obsp")


class Cells:
    """One data set: pieces are read when asked for, kept, and never changed.

    `source` is an AnnData, path to an ``.h5ad`` file or ``.zarr`` folder, address of such a file (fetched when first
    needed), DataFrame (taken as `obs`), or a data set object, loaded or not; `name` is what a sentence calls it. In
    `notes` is what was taken by position, to be said beside the scores.
    """

    def __init__(self, source: Any, name: str = "data") -> None:
        self.source: Any = source if isinstance(source, (str, Path)) else plain(source, name)
        self.name = name
        self._pieces: dict[tuple[str, str | None], Any] = {}
        self._made: dict[str, Any] = {}
        self.notes: list[str] = []

    @cached_property
    def path(self) -> Path | None:
        """The file or folder, if the data set is one; checked to hold `obs`."""
        source = self.source
        if self._is_unloaded:
            source = source.path
        return check_store(local_path(source), self.name) if isinstance(source, (str, Path)) else None

    @property
    def whole(self) -> Cells:
        """The data set that these cells are of: itself."""
        return self

    @property
    def rows(self) -> NDArray[np.int64] | None:
        """Positions of these cells in the data set; None for all of it."""
        return None

    @property
    def obs(self) -> pd.DataFrame:
        """The table of cells."""
        table: pd.DataFrame = self.piece("obs")
        return table

    @property
    def n(self) -> int:
        """Number of cells."""
        return len(self.names)

    @property
    def names(self) -> pd.Index:
        """The names of the cells; no column is read for them."""
        return self.index("obs")

    @property
    def columns(self) -> list[str]:
        """The columns of `obs`; none is read for that."""
        if ("obs", None) not in self._pieces and self._stored is not None:
            return self._stored.columns("obs")
        return [as_text(name) for name in self.obs.columns]

    @property
    def has_expression(self) -> bool:
        """Whether there is an X with genes; it is not read for that, and need not be any good."""
        return self.holds("X")

    @property
    def names_organism(self) -> bool:
        """Whether the data name an organism; it may be none that is known, or several."""
        from czbenchmarks.datasets.types import Organism

        return isinstance(getattr(self.source, "organism", None), Organism) or "organism" in self.columns

    @property
    def organism(self) -> Any:
        """The organism: the data set object's, else the one value of the `organism` column of `obs`."""
        from czbenchmarks.datasets.types import Organism

        known = getattr(self.source, "organism", None)
        if isinstance(known, Organism):
            return known
        if not self.names_organism:
            raise InputError(
                f"The organism of `{self.name}` must be known for this task; name it with `organisms`, "
                "or add a column 'organism' to obs."
            )
        found = self.piece("obs", "organism").dropna().unique()
        if len(found) != 1:
            raise InputError(
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
        """The whole data set in memory; of a data set object that was not loaded, a loaded copy's."""
        memory = self._memory
        if memory is not None:
            return memory.to_memory() if memory.isbacked or is_lazy(memory) else memory
        if self.path is None:
            raise InputError(f"`{self.name}` must be an AnnData or .h5ad file for this task, got a table of obs.")
        stored = Stored(self.path, self.name)
        if not self._is_unloaded:
            return stored.whole()
        stored.check_all()
        loaded = copy.copy(self.source)
        loaded.load_data()
        with reading(self.path, self.name, kind_of_store(self.path)):
            stored.check_sparse(loaded.adata)
        found: AnnData = loaded.adata
        return found

    def piece(self, group: str, key: str | None = None) -> Any:
        """Return `X`, `obs`, `var`, or one entry of `obsm`, `layers`, `obsp`, `obs` or `var`, and read no more."""
        if (group, key) not in self._pieces:
            self._pieces[group, key] = (
                self._column(group, key) if group in ("obs", "var") and key else self._read(group, key)
            )
        return self._pieces[group, key]

    def holds(self, group: str, key: str | None = None) -> bool:
        """Tell whether the data have `X` (with genes), `obs`, `var`, or an entry of a group; it is not read."""
        memory = self.__dict__.get("adata", self._memory)
        if memory is None and is_table(self.source):
            return group == "obs" and key is None
        if memory is None and self._stored is not None:
            return self._stored.holds(group, key)
        found = getattr(self.adata if memory is None else memory, group)
        if key is not None:
            return key in found
        return found is not None and not (group == "X" and 0 in getattr(found, "shape", ())[1:])

    def once(self, key: str, make: Callable[[], T]) -> T:
        """Return what `make` gives of these cells; the second caller with the same key gets it without the work."""
        if key not in self._made:
            self._made[key] = make()
        found: T = self._made[key]
        return found

    def taken(self, values: Any, name: str) -> Any:
        """Return the entries of these cells from values that a user gave for all cells of the data, one entry each.

        A Series or DataFrame is put into the order of the data by the names of its index; one whose index only counts,
        and anything else, is in that order.
        """
        values = plain(values, name)
        if shape := getattr(values, "shape", ()):  # a sparse matrix has no length
            _check.same_length(shape[0], self.n, name)
        elif hasattr(values, "__len__") and not isinstance(
            values, (set, frozenset, dict)
        ):  # refused where they are used
            _check.same_length(len(values), self.n, name)
        if not hasattr(values, "iloc"):
            return values
        place = naming.places(values.index, self.names, name, self.name)
        if place is None:
            self.notes.append(f"`{name}` names no cells, so its entries were taken in the order of `{self.name}`")
            return values
        if (place < 0).any():  # as many others are strange
            absent = self.names[place < 0]
            raise InputError(
                f"`{name}` must name the cells of `{self.name}`, got no entry for {len(absent):,} of its "
                f"{self.n:,} cells ({_check.listing(absent)}); correct its index, {naming.BY_POSITION}."
            )
        return values if (place[1:] > place[:-1]).all() else values.iloc[place].set_axis(self.names, axis=0)

    @cached_property
    def _is_unloaded(self) -> bool:
        source = self.source
        return hasattr(source, "load_data") and hasattr(source, "path") and not hasattr(source, "adata")

    @cached_property
    def _memory(self) -> AnnData | None:
        source = self.source
        if hasattr(source, "adata") and not hasattr(source, "obsm"):
            source = source.adata
        if hasattr(source, "obsm") and hasattr(source, "obs"):
            found: AnnData = source
            return found
        if self.path is None and not is_table(source):
            raise InputTypeError(
                f"`{self.name}` must be an AnnData, a path to an .h5ad file or .zarr folder, a data set or a table of "
                f"obs, got {_check.kind_of(source)}."
            )
        return None

    @property
    def _stored(self) -> Stored | None:
        """The file, if pieces are read from it one by one."""
        if "adata" in self.__dict__ or self._memory is not None or self._file is None:
            return None
        return self._file if self._file.by_element else None

    @cached_property
    def _file(self) -> Stored | None:
        return None if self.path is None else Stored(self.path, self.name)

    def index(self, group: str) -> pd.Index:
        """Return the names of the cells (``"obs"``) or genes (``"var"``)."""
        if (group, None) in self._pieces or self._stored is None:
            index: pd.Index = self.piece(group).index
            return index
        return self._stored.names(group)

    def _column(self, group: str, key: str) -> Any:
        if (group, None) not in self._pieces and self._stored is not None:
            found = self._stored.column(group, key)
            if found is not None:
                return found
        table = self.piece(group)
        if key not in table.columns:
            if key == "index":
                return table.index
            raise InputError(_check.unknown("Column", key, map(str, table.columns), f"is not in {group}"))
        column = table[key]
        if column.ndim > 1:
            raise InputError(
                f"Column {key!r} must be in {group} of `{self.name}` once, got {column.shape[1]:,} of that name; "
                "rename or drop the others."
            )
        return column

    def _read(self, group: str, key: str | None) -> Any:
        memory = self.__dict__.get("adata", self._memory)  # all of it, if it had to be read already
        if memory is None and is_table(self.source):
            if group == "obs":
                return decoded_table(self.source)
            raise InputError(f"`{self.name}` is a table of obs and holds no {group}; pass an AnnData or .h5ad file.")
        found = self._from_file(group, key) if memory is None else _entry(getattr(memory, group), group, key)
        if found is None:
            raise InputError(f"`{self.name}` must hold {group} for this, got none.")
        found = plain(found, f"@{group}" if key is None else f"@{group}:{key}")
        found = decoded_table(found) if group in ("obs", "var") else found
        if group in _PER_CELL and memory is None:
            self._one_row_per_cell(found, group if key is None else f"{group}:{key}")
        return found

    def _one_row_per_cell(self, found: Any, piece: str) -> None:
        shape = getattr(found, "shape", ())
        if not shape or shape[0] != self.n:
            got = f"{shape[0]:,}" if shape else "none"
            raise Refused(
                f"`{self.name}` must have one row per cell in @{piece}: expected {self.n:,}, got {got}; "
                "correct the file."
            )

    def _from_file(self, group: str, key: str | None) -> Any:
        if self._stored is not None:
            found = self._stored.element(group, key)
            self.notes += [note for note in self._stored.notes if note not in self.notes]
            return found
        return _entry(getattr(self.adata, group), group, key)


def _entry(store: Any, group: str, key: str | None) -> Any:
    if key is None:
        return store
    if key not in store:
        raise InputError(no_entry(group, key, [known for known in store if known is not None]))
    return store[key]
