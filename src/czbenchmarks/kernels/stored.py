"""A matrix in an open file, read block by block: what does not fit into memory can still be summed.

A dense HDF5 data set and rows (csr) are read in blocks of rows, columns (csc) in blocks of columns. The block's size
follows the memory budget; no sum depends on it, see `groups`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks import _check
from czbenchmarks.exceptions import InputError

from .parallel import memory_budget, ranges

_BLOCK = 2**25
"""Bytes of a block in double precision: larger ones are read no faster."""


def is_stored(value: object) -> bool:
    """Tell an HDF5 data set, or a sparse matrix that AnnData left in its file, from what is in memory."""
    kind = type(value)
    if kind.__module__.startswith("h5py") and kind.__name__ == "Dataset":
        return True
    return kind.__module__.startswith("anndata") and hasattr(kind, "to_memory") and hasattr(kind, "format")


class StoredMatrix:
    """Cells x genes in a file: shape and kind are looked at once, values when they are read.

    `source` is what `is_stored` knows, or a function that opens it: called for every pass, it returns a context
    manager. `name` is what an error sentence calls it. `rows` and `columns` are the positions in the file of those that
    are meant, in their order; None for all.
    """

    def __init__(
        self,
        source: Any,
        name: str = "cell_representation",
        *,
        rows: NDArray[np.int64] | None = None,
        columns: NDArray[np.int64] | None = None,
    ) -> None:
        self.name = name
        self.rows, self.columns = rows, columns
        self._source: Callable[[], AbstractContextManager[Any]] | Any = source
        with self._opened() as found:
            self._stored: tuple[int, ...] = tuple(found.shape or ())
            self.dtype = np.dtype(found.dtype)
            self._by_columns = getattr(found, "format", "") == "csc"
            self._chunks = getattr(found, "chunks", None)
        if len(self._stored) != 2:
            raise InputError(f"`{name}` must have two dimensions (cells x dimensions), got shape {self._stored}.")
        self.dtype = _check.floating(np.empty(0, self.dtype), name).dtype
        if 0 in self.shape:
            raise InputError(f"`{name}` must hold at least one cell and one dimension, got shape {self.shape}.")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns that are meant."""
        n, d = self._stored
        return n if self.rows is None else len(self.rows), d if self.columns is None else len(self.columns)

    def __getitem__(self, key: Any) -> StoredMatrix:
        """Return the same matrix with other rows, or as ``[:, columns]`` with other columns; nothing is read."""
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        n, d = self._stored
        rows = (np.arange(n) if self.rows is None else self.rows)[rows]
        columns = (np.arange(d) if self.columns is None else self.columns)[columns]
        return StoredMatrix(self._source, self.name, rows=rows, columns=columns)

    def toarray(self) -> NDArray[np.floating]:
        """Return all of it, checked, as a dense array in memory."""
        with self._opened() as source:
            found = source.to_memory() if hasattr(source, "to_memory") else source[()]
        found = found if self.rows is None else found[self.rows]
        found = found if self.columns is None else found[:, self.columns]
        checked: NDArray[np.floating] = _check.matrix(found, self.name)
        return checked

    def blocks(self) -> Iterator[tuple[int, int, int, Any]]:
        """Yield ``(first row, first column, last column + 1, block)`` of the file, once each.

        A block is an array or a csr or csc matrix, floating. Values are checked as those in memory are; where one is
        not finite the others are only counted, and the sentence comes at the end.
        """
        seen = _check.Magnitudes()
        n, d = self._stored
        kept = None
        if self.rows is not None and len(self.rows) < n:
            kept = np.zeros(n, dtype=bool)
            kept[self.rows] = True
        rows, columns = self._steps()
        with self._opened() as source:
            for start, stop in ranges(n, rows):
                for left, right in ranges(d, columns):
                    block = self._block(source, start, stop, left, right)
                    own = block if kept is None else block[kept[start:stop]]
                    values = own.data if hasattr(own, "toarray") else own
                    seen.see(values if right - left == d else values.reshape(-1))
                    if not seen.bad:
                        yield start, left, right, block
        seen.refuse(self.name)

    def _steps(self) -> tuple[int, int]:
        """Return rows and columns of a block; whole chunks of the file if they fit."""
        n, d = self._stored
        most = max(1, min(_BLOCK, memory_budget() // 6) // 8)  # a block exists up to three times, indices included
        rows, columns = max(1, most // d), max(1, most // n)
        if self._by_columns:
            return n, columns
        if self._chunks is not None:
            tall, wide = self._chunks
            if tall > rows and wide <= columns:  # rows would unpack every chunk again and again
                return n, columns // wide * wide
            rows = rows // tall * tall or rows
        return rows, d

    def _block(self, source: Any, start: int, stop: int, left: int, right: int) -> Any:
        block = source[:, left:right] if self._by_columns else source[start:stop]
        if not self._by_columns and right - left < self._stored[1]:
            block = source[start:stop, left:right]
        if not hasattr(block, "toarray"):
            return _check.floating(np.asarray(block), self.name)
        block.check_format(full_check=True)  # compiled code follows the indices
        block.sum_duplicates()  # several entries of one place are a sum
        data = _check.floating(block.data, self.name)
        return block if data is block.data else block.astype(data.dtype)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        if not is_stored(self._source):
            with self._source() as found:
                yield found
            return
        if not hasattr(self._source, "to_memory") and not self._source:
            raise InputError(f"`{self.name}` must be in an open file, got a data set of a closed one; open it.")
        try:
            yield self._source
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            why = " ".join(str(error).split()).rstrip(".")
            raise InputError(
                f"`{self.name}` must be in an open and complete file, it could not be read ({why}); open the file, or "
                "write it again."
            ) from error


def bytes_in_blocks(row_bytes: int, rows: int) -> list[tuple[int, int]]:
    """Cut rows of which each takes some bytes into blocks that fit the budget."""
    return ranges(rows, max(1, min(_BLOCK, memory_budget() // 6) // max(1, row_bytes)))
