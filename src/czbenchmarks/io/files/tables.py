"""Tables of numbers: ``.csv``, ``.tsv`` (gzipped too) and ``.parquet``, with or without names of cells."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks import _check
from czbenchmarks._check.naming import as_names, counts_rows

from .causes import kind_by_content
from .files import PLAIN, Refused, affordable, memory_limit, reading, regular, shown, size_text

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", " ": "spaces"}
_INDEX = {"", "index", "indexlevel0", "unnamed0", "id", "name", "names", "rownames", "obsid", "obsname", "obsnames",
          "barcode", "barcodes", "cell", "cells", "cellid", "cellids", "cellname",
          "cellnames", "cellbarcode"}  # fmt: skip
"""Headings of a column that names cells even if the names are numbers; lower case, letters and digits only."""
_LONGEST = 2**26
"""Characters of a line of headings."""
_MOST_ROWS = 1_000_000
"""Rows that a gzipped table may have beside a hundred per cell of the data: a row of little text takes much memory."""
_MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>", "#N/A"]


@dataclass(frozen=True)
class Table:
    """Numbers of a file; `names` of its rows and `columns`, where it has them.

    `names_from` is the heading of the column that was taken for the names, if it could be a dimension.
    """

    values: Any
    names: Any = None
    columns: list[str] | None = None
    names_from: str | None = None


def table_suffix(path: Path) -> str:
    """Return the suffix that tells the format; ``.gz`` aside."""
    return Path(path.name[:-3]).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def read_text_table(path: Path, name: str, known: Any) -> Table:
    """Read a text table.

    `known` are the names of the data's cells: a first column of such names is one of names, even if they are numbers.
    """
    suffix = table_suffix(path)
    regular(path, name, f"{suffix} file")
    separator = _SEPARATORS[suffix]
    cells = frozenset(as_names(known))
    with reading(path, name, suffix):
        first, rows = _first_row(path, name, separator)
        most = _MOST_ROWS + 100 * len(known)
        header = _is_header(first, cells, path, name)
        frame = _frame(path, name, separator, len(first), rows if header else 0, most)
        if header and all(map(_is_number, first)) and len(frame) + 1 == len(known):
            header = False  # it counted the columns by chance: with it there is a row for every cell
            frame = _frame(path, name, separator, len(first), 0, most)
        headings = [field.strip() for field in first] if header else None
        if headings is not None and len(headings) == frame.shape[1] - 1:
            headings = ["", *headings]  # R writes no heading above the names
        if headings is not None and len(headings) != frame.shape[1]:
            raise Refused(
                f"`{name}` must have rows of equal length, {shown(path)} has {len(headings):,} headings and "
                f"{frame.shape[1]:,} columns; correct it."
            )
        return _split(frame, headings, path, name, cells)


def _frame(path: Path, name: str, separator: str, width: int, skipped: int, most: int) -> pd.DataFrame:
    """Read the rows after the first few: the first column as text, the others as what they are."""
    import pandas as pd

    options: dict[str, Any] = {
        "skiprows": skipped,
        "dtype": {0: str},  # names such as 001 stay what they are
        "keep_default_na": False,
        "na_values": dict.fromkeys(range(1, width + 1), _MISSING),
        "float_precision": "round_trip",  # the very numbers that were written
        "encoding": "utf-8-sig",
        "low_memory": False,
    }
    with _bytes(path, name, most) as file:
        try:
            return pd.read_csv(file, sep=separator, header=None, **options)
        except pd.errors.EmptyDataError:
            raise Refused(
                f"`{name}` must hold a row per cell, got {shown(path)}, which has none; write it again."
            ) from None
        except pd.errors.ParserError as error:
            why = _check.printable((str(error).partition("C error: ")[2] or str(error)).strip())
            fault = "has a quotation mark that is not closed" if "inside string" in why else "has not"
            raise Refused(
                f"`{name}` must have rows of equal length, {shown(path)} {fault} ({why}); correct it."
            ) from None


def _split(frame: pd.DataFrame, headings: list[str] | None, path: Path, name: str, cells: frozenset[str]) -> Table:
    """Tell the names of cells from the numbers."""
    text = frame[0].to_numpy(dtype=object)
    numeric = all(_is_number(value) or value in _MISSING for value in text)
    if numeric:
        frame = frame.copy(deep=False)
        frame[0] = np.array([np.nan if value in _MISSING else float(value) for value in text])
    position = names_column(frame, headings or [], cells, name, shown(path), written=text if numeric else None)
    if frame.shape[1] == (position is not None):
        raise Refused(
            f"`{name}` must have columns of numbers, {shown(path)} has one column and it is text; "
            f"separate values by {_NAMES[_SEPARATORS[table_suffix(path)]]}."
        )
    names = None if position is None else text if position == 0 else column_names(frame.iloc[:, position])
    # The first column is the index of a table of text, and text is no dimension.
    chosen = headings[position] if headings and position is not None and (numeric or position > 0) else None
    numbers = without(frame, position)
    columns = [str(i) for i in range(numbers.shape[1])] if headings is None else without(headings, position)
    return Table(all_numbers(numbers, columns, path, name), names, columns, chosen or None)


def names_column(
    frame: pd.DataFrame,
    headings: Sequence[str],
    known: Collection[str],
    name: str,
    said: str,
    *,
    written: Any = None,
    indexed: bool = False,
) -> int | None:
    """Return the position of the column that names the rows of a table; None if there is none.

    It is the one that is headed as names are; else the first if it is text, or the only one of text; else the first or
    last one if most of its whole numbers are names of the data. One that only counts the rows is refused.

    `headings` are those of all columns, or none; `written` holds the numbers of the first column as they were written;
    where the table is `indexed`, its index names the rows, so that no column may. A sentence calls the embedding
    `name`, and the table it is read from `said`.
    """
    headed = [i for i, heading in enumerate(headings) if _heads_names(heading) and (i == 0 or heading.strip())]
    if len(headed) + indexed > 1:
        columns = [f"the column {headings[i]!r}" if headings[i].strip() else "the first column" for i in headed]
        places = ["its index", *columns] if indexed else columns
        raise Refused(f"`{name}` must name its cells once, {said} does in {' and in '.join(places)}; drop all but one.")
    if headed:
        return headed[0]
    text = [i for i, kind in enumerate(frame.dtypes) if not is_number(kind)]
    if text:
        is_names = not indexed and (text[0] == 0 or (len(text) == 1 and frame.iloc[:, text[0]].is_unique))
        return text[0] if is_names else None
    last = frame.shape[1] - 1
    for i in dict.fromkeys((0, last)) if last > 0 else ():
        if i > 0 or written is None:
            if frame.dtypes.iloc[i].kind not in "iu":
                continue
            names = as_names(frame.iloc[:, i])
        else:
            names = as_names(written)
        mentioned = sum(one in known for one in names) if names.is_unique else 0
        if mentioned * 2 > min(len(known), len(names)) and not indexed:
            return i
        if len(names) > 2 and counts_rows(names):
            raise Refused(
                f"`{name}` must hold dimensions only, the {'last' if i else 'first'} column of {said} counts the rows; "
                "drop it, or leave its heading empty."
            )
    return None


def column_names(column: pd.Series[Any]) -> NDArray[np.object_]:
    """Return the names that a column holds; 7.0 is the name 7."""
    if getattr(column.dtype, "kind", "O") == "f" and (column == column // 1).all():
        column = column.astype(np.int64)
    return as_names(column).to_numpy(dtype=object)


def without(values: Any, position: int | None) -> Any:
    """Return the columns of a table, or their headings, but one."""
    if position is None:
        return values
    kept = [i for i in range(values.shape[1] if hasattr(values, "iloc") else len(values)) if i != position]
    return values.iloc[:, kept] if hasattr(values, "iloc") else [values[i] for i in kept]


def all_numbers(frame: pd.DataFrame, columns: Sequence[str], path: Path, name: str) -> NDArray[np.float64]:
    """Return the values of a table, refusing text and what is missing."""
    wrong = [str(column) for column, kind in zip(columns, frame.dtypes, strict=True) if not is_number(kind)]
    commas = [i for i, kind in enumerate(frame.dtypes) if not is_number(kind) and _has_decimal_commas(frame.iloc[:, i])]
    if commas:
        example = frame.iloc[0, commas[0]]
        raise Refused(
            f"`{name}` must be written with decimal points, {shown(path)} has decimal commas ({example!r}) in "
            f"{len(commas):,} {'column' if len(commas) == 1 else 'columns'}; save it with decimal points."
        )
    if wrong:
        raise Refused(
            f"`{name}` must hold numbers beside the names of cells, {shown(path)} has text in "
            f"{'column' if len(wrong) == 1 else 'columns'} {_check.listing(wrong)}; drop or convert it."
        )
    values: NDArray[np.float64] = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    missing = int(np.isnan(values).sum())
    if missing:
        rows = int(np.isnan(values).any(axis=1).sum())
        raise Refused(
            f"`{name}` must be finite, {shown(path)} has {missing:,} empty or NaN values in {rows:,} rows; "
            "remove or impute them."
        )
    return values


def _has_decimal_commas(column: pd.Series[Any]) -> bool:
    """Tell whether the first values of a column of text are numbers such as 0,5."""
    return all(re.fullmatch(r"[+-]?\d+,\d+([eE][+-]?\d+)?", str(value)) for value in column.iloc[:20])


def is_number(dtype: Any) -> bool:
    """Tell whether a column's type is one of real numbers or truth values."""
    return getattr(dtype, "kind", "O") in "fiub"


def index_names(frame: pd.DataFrame) -> Any:
    """Return the index of a table; None if it is 0, 1, 2, … because nobody set it."""
    import pandas as pd

    index = frame.index
    plain = isinstance(index, pd.RangeIndex) and (index.start, index.step) == (0, 1)
    return None if plain else index


def _is_number(text: object) -> bool:
    try:
        float(str(text))
    except ValueError:
        return False
    return "_" not in str(text)  # Python reads 1_000 as a number, nobody writes it


def _heads_names(heading: str) -> bool:
    """Tell whether a heading is one of names: ``Cell ID`` and ``cell_id`` are."""
    return re.sub(r"[\W_]+", "", heading.lower()) in _INDEX


def _is_header(fields: list[str], cells: frozenset[str], path: Path, name: str) -> bool:
    """Tell whether the first row holds headings; a row of numbers does not, unless it counts the columns."""
    first, rest = fields[0].strip(), fields[1:]
    if all(_is_number(field) for field in fields):
        return counts_rows(fields)
    if not rest or not all(_is_number(field) for field in rest):
        return True
    if first and first in cells:
        return False  # a cell and its numbers
    if first or all(field.strip().isdigit() for field in rest):
        return _heads_names(first) or counts_rows(rest)  # some columns of many: cell,10,11,12
    raise Refused(
        f"`{name}` must name its cells or its columns, the first row of {shown(path)} begins with nothing and "
        "goes on with numbers; write headings or the missing name."
    )


def _first_row(path: Path, name: str, separator: str) -> tuple[list[str], int]:
    """Return the first row that is not blank, and how many rows that makes with the blank ones."""
    with _bytes(path, name) as file:
        start = file.read(2**20)
    if not start.strip():
        raise Refused(f"`{name}` must hold a row per cell, got {shown(path)}, which is empty; write it again.")
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Refused(f"`{name}` must be text in UTF-8, got {shown(path)}, which is UTF-16; save it as UTF-8.")
    if b"\0" in start:
        what = kind_by_content(path, "not text: it holds NUL bytes; convert it")
        raise Refused(f"`{name}` must be text in UTF-8, got {shown(path)}, which is {what}.")
    with io.TextIOWrapper(_bytes(path, name), "utf-8-sig", errors="replace", newline="") as text:
        reader = csv.reader(iter(lambda: text.readline(_LONGEST), ""), delimiter=separator)
        rows, fields = next((number, row) for number, row in enumerate(reader, 1) if row)
    if len(fields) == 1 and not _is_number(fields[0]):
        other = [mark for mark in ("\t", ";", ",", " ") if mark != separator and mark in fields[0]]
        seen = f", but has {_NAMES[other[0]]}" if other else ""
        decimal = " and decimal points" if ";" in fields[0] else ""  # who separates by semicolons writes 0,5
        raise Refused(
            f"`{name}` must have columns separated by {_NAMES[separator]}, the first line of {shown(path)} has one "
            f"column{seen}; save it with {_NAMES[separator]}{decimal}, or change the suffix (.csv: commas, .tsv: tabs)."
        )
    return fields, rows


def _bytes(path: Path, name: str, most: int = _MOST_ROWS) -> Any:
    """Open a file, unpacking it on the way if it is gzipped."""
    if path.suffix.lower() != ".gz":
        affordable(path.stat().st_size, path.stat().st_size, path, name, "the text")
        return path.open("rb")
    return io.BufferedReader(_Unpacked(path, name, most))


class _Unpacked(io.RawIOBase):
    """Gzipped text; what unpacks to absurdly more than there is is refused on the way."""

    def __init__(self, path: Path, name: str, most: int) -> None:
        self._file = gzip.open(path, "rb")  # noqa: SIM115 - closed with this
        self._path = path
        self._name = name
        self._stored = path.stat().st_size
        self._most = most
        self._read = 0
        self._rows = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._file.read(len(buffer))
        self._read += len(content)
        self._rows += content.count(b"\n")
        if self._read > min(max(PLAIN, self._stored * 200), memory_limit()) or self._rows > self._most:
            raise Refused(
                f"`{self._name}` must fit into memory, {shown(self._path)} of {size_text(self._stored)} unpacks to "
                f"more than {size_text(self._read)} in {self._rows:,} rows; check what it is."
            )
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()
