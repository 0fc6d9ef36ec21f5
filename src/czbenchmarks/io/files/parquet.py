"""Parquet files. What decodes them is compiled code that damage can crash, so a process of its own does it."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from czbenchmarks._check.naming import as_names
from czbenchmarks._check.text import as_text

from .causes import kind_by_content
from .files import Refused, affordable, reading, regular, shown
from .tables import Table, all_numbers, column_names, index_names, names_column, without

if TYPE_CHECKING:
    import pandas as pd

_CHILD = """
import sys
sys.path[:] = {path!r}
from czbenchmarks.io.files.parquet import _write_plainly
sys.exit(_write_plainly(*sys.argv[1:]))
"""
_REFUSED = 3
_FIXED_LENGTH = 7  # parquet's number for bytes of fixed length
_PATIENCE, _RATE = 30.0, 1e6
"""Seconds, and bytes per second, after which decoding must have ended: damage can make it go on forever."""


def read_parquet(path: Path, name: str, known: Any) -> Table:
    """Read a parquet file.

    `known` are the names of the data's cells: a column of such names is one of names, even if they are numbers.
    """
    regular(path, name, ".parquet file")
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(-min(4, path.stat().st_size), 2)
        end = file.read()
    if magic != b"PAR1":
        what = kind_by_content(path, "not one; write it with to_parquet")
        raise Refused(f"`{name}` must be a .parquet file, got {shown(path)}, which is {what}.")
    if end != magic:
        raise Refused(f"`{name}` must be a complete .parquet file, {shown(path)} breaks off; copy or write it again.")
    if find_spec("pyarrow") is not None:  # it checks what it reads; fastparquet trusts the pages
        return _decode(path, name, frozenset(as_names(known)))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "table.npz"
        words = [sys.executable, "-c", _CHILD.format(path=sys.path), str(path), name, str(target)]
        try:
            limit = _PATIENCE + path.stat().st_size / _RATE
            asked = json.dumps(list(as_names(known))).encode()
            done = subprocess.run(words, input=asked, capture_output=True, check=False, timeout=limit)
            if done.returncode == _REFUSED:
                raise Refused(done.stderr.decode("utf-8", "replace").strip())
            complete = done.returncode == 0 and target.exists()
        except subprocess.TimeoutExpired:
            complete = False
        if not complete:
            raise Refused(f"`{name}` must be a complete .parquet file, {shown(path)} is damaged; write it again.")
        with np.load(target, allow_pickle=False) as found:
            names = found["names"].astype(object) if "names" in found else None
            names_from = str(found["names_from"]) if "names_from" in found else None
            return Table(found["values"], names, found["columns"].tolist(), names_from)


def _write_plainly(path: str, name: str, target: str) -> int:
    """Decode a file and write its table as plain arrays, or the sentence that refuses it to stderr."""
    try:
        table = _decode(Path(path), name, frozenset(json.load(sys.stdin.buffer)))
    except ValueError as error:
        sys.stderr.buffer.write(str(error).encode("utf-8", "replace"))
        return _REFUSED
    parts = {"values": table.values, "columns": np.array(table.columns, dtype=str)}
    if table.names is not None:
        parts["names"] = np.array(table.names, dtype=str)
    if table.names_from is not None:
        parts["names_from"] = np.array(table.names_from)
    with Path(target).open("wb") as file:
        np.savez(file, **parts)
    return 0


def _decode(path: Path, name: str, known: frozenset[str]) -> Table:
    # fastparquet prints what it finds damaged
    with reading(path, name, ".parquet"), contextlib.redirect_stdout(io.StringIO()):
        rows, columns, indexed = _shape(path)
        affordable(rows * columns * 8, path.stat().st_size, path, name, "the table")
        frame = _frame(path)
        headings = [as_text(column) for column in frame.columns]
        named = index_names(frame) is not None
        position = names_column(frame, headings, known, name, shown(path), indexed=named)
        names = None
        if position is not None or named or indexed:
            names = column_names(frame.index.to_series() if position is None else frame.iloc[:, position])
        numbers, columns_left = without(frame, position), without(headings, position)
        if 0 in numbers.shape:
            raise Refused(f"`{name}` must have columns of numbers, {shown(path)} has shape {numbers.shape}.")
        chosen = None if position is None else headings[position]
        return Table(all_numbers(numbers, columns_left, path, name), names, columns_left, chosen)


def _frame(path: Path) -> pd.DataFrame:
    if find_spec("pyarrow") is not None:
        import pandas as pd

        return pd.read_parquet(path, engine="pyarrow")
    import fastparquet

    file = fastparquet.ParquetFile(str(path))
    frame: pd.DataFrame = file.to_pandas()
    for column in file.schema.schema_elements:  # numbers of half precision, which come as two bytes each
        if column.type == _FIXED_LENGTH and column.type_length == 2 and column.converted_type is None:
            with contextlib.suppress(TypeError):  # some are missing
                frame[as_text(column.name)] = np.frombuffer(b"".join(frame[as_text(column.name)]), "<f2")
    return frame


def _shape(path: Path) -> tuple[int, int, bool]:
    """Return the number of rows and columns, and whether pandas wrote an index, be it 0, 1, 2, …"""
    if find_spec("pyarrow") is not None:
        import pyarrow.parquet  # type: ignore[import-not-found, unused-ignore]

        found = pyarrow.parquet.read_metadata(path)
        written = (found.metadata or {}).get(b"pandas", b"{}")
        return int(found.num_rows), int(found.num_columns), bool(json.loads(written).get("index_columns"))
    import fastparquet

    file = fastparquet.ParquetFile(str(path))
    return int(file.count()), len(file.columns), bool(file.pandas_metadata.get("index_columns"))
