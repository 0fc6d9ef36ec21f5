"""The store: records of many runs in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from czbenchmarks._check.addresses import shown
from czbenchmarks.exceptions import InputError

from ._files import UnreadableRecord, expanded, parse
from .record import SCHEMA_VERSION, RunRecord
from .units import packed_units

_APPLICATION = 0x637A626D  # "czbm": marks an SQLite file as a store
_TABLE = """CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT NOT NULL, tasks TEXT NOT NULL, embeddings TEXT NOT NULL,
    data TEXT NOT NULL, scores INTEGER NOT NULL, complete INTEGER NOT NULL, record TEXT NOT NULL, failed INTEGER)"""

_UNITS = "CREATE TABLE IF NOT EXISTS units (run INTEGER PRIMARY KEY, content BLOB NOT NULL)"


@dataclass(frozen=True)
class StoredRun:
    """One line of a store's list.

    Attributes
    ----------
    id
        Number of the run in the store, from 1.
    timestamp
        When it ended.
    tasks
        Keys of the tasks.
    embeddings
        Names of what was scored.
    data
        Names or paths of the data sets.
    scores
        Number of scores.
    complete
        Whether every score has a value.
    failed
        Whether something failed; of runs that were stored before there was a difference, whether it is not complete.
    damaged
        Whether the record behind the line is no longer one.
    """

    id: int
    timestamp: str
    tasks: str
    embeddings: str
    data: str
    scores: int
    complete: bool
    failed: bool
    damaged: bool = False


class Store:
    """Records of many runs in one file. Nothing is opened or made before it is used.

    Parameters
    ----------
    path
        The file; `add` makes it.

    Examples
    --------
    >>> import os, tempfile
    >>> store = Store(os.path.join(tempfile.mkdtemp(), "runs.db"))
    >>> store.add(RunRecord(timestamp="2026-01-01T00:00:00+00:00"))
    1
    >>> [run.timestamp for run in store.runs()], len(store.get(1).result_metrics)
    (['2026-01-01T00:00:00+00:00'], 0)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = expanded(path)

    def check(self) -> None:
        """Refuse a place where no store can be.

        Raises
        ------
        ValueError
            If the folder does not exist or the file is something else.
        """
        with self._opened(make=True):
            pass

    def add(self, record: RunRecord, *, units: bool = False) -> int:
        """Store a record and return its number; all of it is there or nothing.

        Parameters
        ----------
        record
            The record.
        units
            Also store the values of the scores' units.
        """
        specification = record.run_specification
        row = (
            record.timestamp,
            ", ".join(specification.tasks),
            ", ".join(dict.fromkeys(score.embedding for score in record.result_metrics)),
            ", ".join(specification.data_names),
            len(record.result_metrics),
            record.complete,
            json.dumps(record.to_dict(), allow_nan=False),
            record.failed,
        )
        with self._opened(make=True) as connection:
            cursor = connection.execute(
                "INSERT INTO runs (timestamp, tasks, embeddings, data, scores, complete, record, failed) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            number = int(cursor.lastrowid or 0)
            if units:
                connection.execute(_UNITS)
                connection.execute("INSERT INTO units (run, content) VALUES (?, ?)", (number, packed_units(record)))
            connection.commit()
            return number

    def runs(self) -> list[StoredRun]:
        """Return what is stored, oldest first."""
        with self._opened() as connection:
            connection.row_factory = sqlite3.Row
            connection.text_factory = lambda content: content.decode("utf-8", "replace")  # one damaged name of many
            failed = "failed" if _has_failed(connection) else "NULL AS failed"
            rows = connection.execute(
                f"SELECT id, timestamp, tasks, embeddings, data, scores, complete, {failed} FROM runs ORDER BY id"
            ).fetchall()
            damaged = {row["id"] for row in rows if not _is_record(connection, row["id"])}
        return [
            StoredRun(
                **{
                    **dict(row),
                    "damaged": row["id"] in damaged,
                    "complete": bool(row["complete"]),
                    "failed": not row["complete"] if row["failed"] is None else bool(row["failed"]),
                }
            )
            for row in rows
        ]

    def get(self, number: int) -> RunRecord:
        """Return a record.

        Parameters
        ----------
        number
            Its number in the store.

        Raises
        ------
        ValueError
            If there is none of that number, or it is damaged.
        """
        name = f"run {number} of {shown(self.path)}"
        with self._opened() as connection:
            known = [one for (one,) in connection.execute("SELECT id FROM runs ORDER BY id")]
            if number not in known:
                there = f"it holds {min(known)} to {max(known)}" if known else "it is empty"
                raise InputError(f"A run must be in '{shown(self.path)}', got number {number}; {there}.")
            try:  # as bytes: what is no UTF-8 is the fault of this record, not of the store
                query = "SELECT CAST(record AS BLOB) FROM runs WHERE id = ?"
                [content] = connection.execute(query, (number,)).fetchone()
            except sqlite3.DatabaseError as error:
                raise UnreadableRecord(f"A record must be readable, got '{name}', which is not ({error}).") from None
            units = None
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'units'").fetchone():
                units = connection.execute("SELECT content FROM units WHERE run = ?", [number]).fetchone()
        record = parse(content or b"", name, SCHEMA_VERSION, RunRecord)
        record._units_kept = units[0] if units else None
        return record

    @contextmanager
    def _opened(self, make: bool = False) -> Iterator[sqlite3.Connection]:
        if self.path.exists():
            if not self.path.is_file():
                raise InputError(f"The store must be a file, got '{shown(self.path)}', which is something else.")
        elif not make:
            raise InputError(f"The store must exist, got '{shown(self.path)}'; make it with run --store.")
        elif not self.path.parent.is_dir():
            raise InputError(
                f"The store must go to an existing folder, got '{shown(self.path.parent)}'; make it first."
            )
        try:
            with closing(sqlite3.connect(self.path, timeout=30)) as connection:
                self._mark(connection, make)
                yield connection
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"The store must be an SQLite file that you may use, got '{shown(self.path)}' ({error}); choose "
                "another."
            ) from None

    def _mark(self, connection: sqlite3.Connection, make: bool) -> None:
        """Make a new file a store; refuse another program's."""
        # In this order: what another process makes meanwhile has its mark before or with its table.
        [[tables]] = connection.execute("SELECT COUNT(*) FROM sqlite_master")
        [[mark]] = connection.execute("PRAGMA application_id")
        if mark == _APPLICATION:
            if make and not _has_failed(connection):
                connection.execute("BEGIN IMMEDIATE")  # two processes may meet an old store at once
                if not _has_failed(connection):
                    connection.execute("ALTER TABLE runs ADD COLUMN failed INTEGER")
                connection.commit()
            return
        if tables or not make:
            raise InputError(
                f"The store must be one of czbenchmarks, got '{shown(self.path)}', another program's file."
            )
        connection.execute("BEGIN IMMEDIATE")  # two processes may begin a store at once
        [[tables]] = connection.execute("SELECT COUNT(*) FROM sqlite_master")
        if not tables:
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.commit()


def _has_failed(connection: sqlite3.Connection) -> bool:
    """Tell whether a store says what failed; those of 0.15 and before do not."""
    return any(column[1] == "failed" for column in connection.execute("PRAGMA table_info(runs)"))


def _is_record(connection: sqlite3.Connection, number: int) -> bool:
    """Tell whether a row holds a record, as far as can be told without reading all of it into memory."""
    query = "SELECT json_valid(record) AND json_type(record, '$.result_metrics') = 'array' FROM runs WHERE id = ?"
    try:
        return bool(connection.execute(query, (number,)).fetchone()[0])
    except sqlite3.DatabaseError as error:  # a damaged page; json_type refuses what is no JSON
        return "no such function" in str(error)  # SQLite before 3.38 may lack it
