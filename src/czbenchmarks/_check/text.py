"""Text that arrives as bytes: files that store text with a fixed length give it so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from czbenchmarks.exceptions import InputError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def as_text(value: object) -> str:
    """Return a name as text; bytes are read as UTF-8.

    Examples
    --------
    >>> as_text(b"T cell"), as_text(7157)
    ('T cell', '7157')
    """
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InputError(
            f"Names and labels must be text in UTF-8, got the bytes {value!r}; decode them, or write them again."
        ) from None


def decoded(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an array with its bytes as text; one without bytes is returned as it is."""
    if not _holds_bytes(values):
        return values
    found = np.empty(values.size, dtype=object)
    found[:] = [as_text(value) if isinstance(value, bytes) else value for value in values.ravel()]
    return found.reshape(values.shape)


def decoded_column(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column with its bytes as text, those of categories too; one without bytes is returned as it is."""
    import pandas as pd

    categorical = isinstance(column.dtype, pd.CategoricalDtype)
    if not _holds_bytes(np.asarray(column.cat.categories if categorical else column)):
        return column
    text = pd.Series(decoded(np.asarray(column, dtype=object)), index=column.index, name=column.name)
    return text.astype("category") if categorical else text


def decoded_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its bytes as text, in index, headings and columns; one without is returned as it is."""
    import pandas as pd

    changed = {}
    for i in range(table.shape[1]):
        column = table.iloc[:, i]
        if (text := decoded_column(column)) is not column:
            changed[i] = text
    index, columns = decoded_index(table.index), decoded_index(table.columns)
    if not changed and index is table.index and columns is table.columns:
        return table
    found = pd.concat([changed.get(i, table.iloc[:, i]) for i in range(table.shape[1])], axis=1) if changed else table
    return found.set_axis(columns, axis=1).set_axis(index, axis=0)


def decoded_index(index: pd.Index[Any]) -> pd.Index[Any]:
    """Return the names of a table with their bytes as text; names without bytes are returned as they are."""
    import pandas as pd

    values = np.asarray(index)
    return pd.Index(decoded(values), name=index.name) if _holds_bytes(values) else index


def decode_tables(adata: AnnData) -> None:
    """Make text of the bytes in `obs` and `var` of what was just read from a file."""
    for key in ("obs", "var"):
        table = getattr(adata, key)
        if (text := decoded_table(table)) is not table:
            setattr(adata, key, text)


def _holds_bytes(values: np.ndarray[Any, Any]) -> bool:
    kind = values.dtype.kind
    return kind == "S" or (kind == "O" and any(issubclass(one, bytes) for one in set(map(type, values.flat))))
