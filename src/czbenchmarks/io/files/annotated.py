"""AnnData in a file, read element by element: one column, one matrix, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from czbenchmarks import _check
from czbenchmarks._check.text import as_text, decode_tables, decoded_column, decoded_index

from .elements import declared_shape, entries, is_array, what_of
from .files import Refused, reading, shown
from .stores import child, guard, kind_of_store, opened
from .zarr_arrays import left_out, missing_chunks_matter

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


class Stored:
    """An ``.h5ad`` file or ``.zarr`` folder, checked by `check_store`; every element is looked at before it is read."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self._names: dict[str, Any] = {}
        self.notes: dict[str, None] = {}  # what to know of what was read

    @cached_property
    def by_element(self) -> bool:
        """Whether elements say what they are: files of before anndata 0.7 do not, and are read as a whole."""
        with opened(self.path, self.name) as root:
            obs = child(root, "obs", self.path, self.name)
            found = "encoding-type" in obs.attrs
            if not found and (self.path.is_dir() or (is_array(obs) and obs.dtype.names is None)):
                raise self._no_table("obs")
            return found

    def columns(self, group: str) -> list[str]:
        """Return the columns of `obs` or `var`."""
        with self._table(group) as table:
            return [as_text(name) for name in table.attrs["column-order"]]

    def names(self, group: str) -> pd.Index:
        """Return the names of cells or genes."""
        import pandas as pd

        if group not in self._names:
            with self._table(group) as table:
                key = as_text(table.attrs["_index"])
                names = pd.Index(self._value(table, key), name=None if key == "_index" else key)
                self._names[group] = decoded_index(names)
        found: pd.Index = self._names[group]
        return found

    def column(self, group: str, key: str) -> pd.Series[Any] | None:
        """Return one column; None if there is none of that name, or if it means nothing without the whole table."""
        import pandas as pd

        names = self.names(group)
        with self._table(group) as table:
            if key not in list(map(as_text, table.attrs["column-order"])):
                return None
            if "categories" in child(table, key, self.path, self.name).attrs:
                return None  # before anndata 0.8 a column of text is codes, and its text elsewhere
            column: pd.Series[Any] = decoded_column(pd.Series(self._value(table, key), index=names, name=key))
            if self.path.is_dir() and missing_chunks_matter(table[key], column):
                raise Refused(
                    f"`{self.name}` must be complete, chunks of column {key!r} of {group} of {shown(self.path)} are "
                    "missing; copy the folder again, or, if they hold zeros, write it with zarr's option "
                    "write_empty_chunks."
                )
        return column

    def element(self, group: str, key: str | None) -> Any:
        """Return a whole group or one of its entries; None if there is no such group."""
        with opened(self.path, self.name) as root:
            if key is None:
                return self._value(root, group) if group in root else None
            top = child(root, group, self.path, self.name) if group in root else None
            keys = entries(top, self.path) if top is not None and not is_array(top) else []
            if key not in keys:
                raise Refused(no_entry(group, key, keys))
            return self._value(top, key)

    def holds(self, group: str, key: str | None = None) -> bool:
        """Tell whether there is an element (`X` with columns), or an entry of a group; it is not read."""
        with opened(self.path, self.name) as root:
            if group not in root:
                return False
            element = child(root, group, self.path, self.name)
            if key is not None:
                return not is_array(element) and key in entries(element, self.path)
            if as_text(element.attrs.get("encoding-type")) == "null":
                return False
            return not (group == "X" and 0 in (declared_shape(element) or [])[1:])

    def is_matrix(self, key: str) -> bool:
        """Tell whether an element is a dense matrix or a csr or csc one."""
        with opened(self.path, self.name) as root:
            if key not in root:
                return False
            element = child(root, key, self.path, self.name)
            if is_array(element):
                return len(element.shape or ()) == 2
            return as_text(element.attrs.get("encoding-type")) in ("csr_matrix", "csc_matrix")

    @contextmanager
    def held(self, key: str) -> Iterator[Any]:
        """Open a matrix and leave it in the file: an HDF5 data set, or what AnnData makes of a sparse one."""
        with opened(self.path, self.name) as root:
            element = child(root, key, self.path, self.name)
            guard(element, self.path, self.name)
            if not is_array(element):
                from anndata.io import sparse_dataset

                element = sparse_dataset(element)
            yield element

    def whole(self) -> AnnData:
        """Return everything."""
        import anndata

        self.check_all()
        with opened(self.path, self.name) as root:
            found: AnnData = anndata.io.read_zarr(root) if self.path.is_dir() else anndata.io.read_h5ad(self.path)
            self.check_sparse(found)
        decode_tables(found)
        return found

    def check_all(self) -> None:
        """Look at every element of the file."""
        with opened(self.path, self.name) as root:
            guard(root, self.path, self.name)

    @staticmethod
    def check_sparse(adata: AnnData) -> None:
        """Refuse sparse matrices whose indices point outside."""
        for value in (adata.X, *adata.obsm.values(), *adata.layers.values()):
            consistent(value)

    @contextmanager
    def _table(self, group: str) -> Iterator[Any]:
        with opened(self.path, self.name) as root:
            table = child(root, group, self.path, self.name) if group in root else None
            if table is None or as_text(table.attrs.get("encoding-type")) != "dataframe":
                raise self._no_table(group)
            yield table

    def _no_table(self, group: str) -> Refused:
        return Refused(f"`{self.name}` must hold a table in {group}, {shown(self.path)} has something else there.")

    def _value(self, group: Any, key: str) -> Any:
        from anndata.io import read_elem

        element = child(group, key, self.path, self.name)
        with reading(self.path, self.name, kind_of_store(self.path), what_of(element)):
            guard(element, self.path, self.name)
            value = read_elem(element)
            consistent(value)
        if said := left_out(element):
            if (
                hasattr(value, "has_canonical_format") and not value.has_canonical_format
            ):  # indices of 0 again and again
                raise Refused(
                    f"`{self.name}` must be complete, {said}: a sparse matrix of {shown(self.path)} names "
                    "columns twice then."
                )
            self.notes[f"`{self.name}`: {said}"] = None
        return value


def no_entry(group: str, key: str, keys: list[str]) -> str:
    """Build the sentence for a key that a group lacks."""
    return _check.unknown("Key", key, keys, f"is not in {group}")


def consistent(value: Any) -> None:
    """Refuse a sparse matrix whose indices point outside: compiled code would follow them."""
    if hasattr(value, "check_format"):
        value.check_format(full_check=True)
