"""Parquet files. What decodes them is compiled code that damage can crash, so a process of its own does it."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .files import Refused, affordable, reading, regular, shown
from .tables import Table, all_numbers, index_names, is_number

if TYPE_CHECKING:
    import pandas as pd

_CHILD = """
import sys
sys.path[:] = {path!r}
from czbenchmarks._reading.parquet import _write_plainly
sys.exit(_write_plainly(*sys.argv[1:]))
"""
_REFUSED = 3
_PATIENCE, _RATE = 30.0, 1e6
"""Seconds, and bytes per second, after which decoding must have ended: damage can make it go on forever."""


def read_parquet(path: Path, name: str) -> Table:
    """Read a parquet file; names are its index, or its first or only column of text."""
    regular(path, name, ".parquet file")
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"PAR1":
        raise Refused(
            f"`{name}` must be a .parquet file, got {shown(path)}, which is not one; write it with to_parquet."
        )
    if find_spec("pyarrow") is not None:  # it checks what it reads; fastparquet trusts the pages
        return _decode(path, name)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "table.npz"
        words = [sys.executable, "-c", _CHILD.format(path=sys.path), str(path), name, str(target)]
        try:
            limit = _PATIENCE + path.stat().st_size / _RATE
            done = subprocess.run(words, capture_output=True, check=False, timeout=limit)
            if done.returncode == _REFUSED:
                raise Refused(done.stderr.decode("utf-8", "replace").strip())
            complete = done.returncode == 0 and target.exists()
        except subprocess.TimeoutExpired:
            complete = False
        if not complete:
            raise Refused(f"`{name}` must be a complete .parquet file, {shown(path)} is damaged; write it again.")
        with np.load(target, allow_pickle=False) as found:
            names = found["names"].astype(object) if "names" in found else None
            return Table(found["values"], names, found["columns"].tolist())


def _write_plainly(path: str, name: str, target: str) -> int:
    """Decode a file and write its table as plain arrays, or the sentence that refuses it to stderr."""
    try:
        table = _decode(Path(path), name)
    except ValueError as error:
        sys.stderr.buffer.write(str(error).encode("utf-8", "replace"))
        return _REFUSED
    parts = {"values": table.values, "columns": np.array(table.columns, dtype=str)}
    if table.names is not None:
        parts["names"] = np.array(table.names, dtype=str)
    with Path(target).open("wb") as file:
        np.savez(file, **parts)
    return 0


def _decode(path: Path, name: str) -> Table:
    # fastparquet prints what it finds damaged
    with reading(path, name, ".parquet"), contextlib.redirect_stdout(io.StringIO()):
        rows, columns = _shape(path)
        affordable(rows * columns * 8, path.stat().st_size, path, name, "the table")
        frame = _frame(path)
        names = index_names(frame)
        text = [i for i, kind in enumerate(frame.dtypes) if not is_number(kind)]
        if names is None and (text[:1] == [0] or len(text) == 1):  # whoever does not know pandas writes them last
            names = frame.iloc[:, text[0]]
            frame = frame.drop(columns=frame.columns[text[0]])
        names = None if names is None else names.astype(str).to_numpy(dtype=object)
        if 0 in frame.shape:
            raise Refused(f"`{name}` must have columns of numbers, {shown(path)} has shape {frame.shape}.")
        headings = [str(column) for column in frame.columns]
        return Table(all_numbers(frame, headings, path, name), names, headings)


def _frame(path: Path) -> pd.DataFrame:
    if find_spec("pyarrow") is not None:
        import pandas as pd

        return pd.read_parquet(path, engine="pyarrow")
    import fastparquet

    return fastparquet.ParquetFile(str(path)).to_pandas()


def _shape(path: Path) -> tuple[int, int]:
    if find_spec("pyarrow") is not None:
        import pyarrow.parquet  # type: ignore[import-not-found, unused-ignore]

        found = pyarrow.parquet.read_metadata(path)
        return int(found.num_rows), int(found.num_columns)
    import fastparquet

    file = fastparquet.ParquetFile(str(path))
    return int(file.count()), len(file.columns)
