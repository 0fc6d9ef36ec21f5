"""Some cells of a data set, as if they were all of it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks.exceptions import InputError

from .dataset import Cells

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


class View(Cells):
    """Some cells of a data set (or of a view of it): the same pieces, cut to sorted positions."""

    def __init__(self, whole: Cells, rows: NDArray[np.int64]) -> None:
        super().__init__(whole.source, whole.name)
        self._cells = whole
        self._rows = np.asarray(rows)

    @property
    def whole(self) -> Cells:
        """The data set that these cells are of."""
        return self._cells.whole

    @property
    def rows(self) -> NDArray[np.int64] | None:
        """Positions of these cells in the data set."""
        return self._rows if self._cells.rows is None else self._cells.rows[self._rows]

    @cached_property
    def path(self) -> Path | None:
        """The file or folder of the data set."""
        return self._cells.path

    @property
    def label_column(self) -> str:
        """The column that holds the labels unless another is named."""
        return self._cells.label_column

    def taken(self, values: Any, name: str) -> Any:
        """Return the entries of these cells from values that a user gave for all cells of the data."""
        whole = self._cells.taken(values, name)
        if hasattr(whole, "iloc"):
            return whole.iloc[self._rows]
        return whole[self._rows] if hasattr(whole, "dtype") else [whole[row] for row in self._rows]

    @cached_property
    def adata(self) -> AnnData:
        """The data of these cells in memory."""
        return self._cells.adata[self._rows].copy()

    @property
    def columns(self) -> list[str]:
        """The columns of `obs`."""
        return self._cells.columns

    def holds(self, group: str, key: str | None = None) -> bool:
        """Tell whether the data have a piece; it is not read."""
        return self._cells.holds(group, key)

    def index(self, group: str) -> pd.Index:
        """Return the names of these cells, or of the genes."""
        found = self._cells.index(group)
        return found[self._rows] if group == "obs" else found

    def _read(self, group: str, key: str | None) -> Any:
        if group == "obsp":
            raise InputError(
                f"@obsp:{key} must be of the cells that are scored, got neighbours among all {self._cells.n:,} cells "
                f"of `{self.name}` for {self.n:,} of them; leave the others out of the data, or `neighbors` out."
            )
        found = self._cells.piece(group, key)
        if group == "var":
            return found
        return found.iloc[self._rows] if hasattr(found, "iloc") else found[self._rows]

    def _column(self, group: str, key: str) -> Any:
        column = self._cells.piece(group, key)
        if group == "var":
            return column
        return column.iloc[self._rows] if hasattr(column, "iloc") else column[self._rows]
