"""Printing: tables for people, JSON for programs, on stdout and nothing else there."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from czbenchmarks.results import RunRecord

_WIDTH = 100
"""Columns of a table that is not printed to a terminal."""


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, numbers: Sequence[str] = ()) -> None:
    """Print a table; text that does not fit is folded, never cut.

    Parameters
    ----------
    columns
        Headings.
    rows
        One cell per column; None is left empty.
    numbers
        Headings of columns to align right.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console.width = max(_WIDTH, console.width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console.print(table)


def print_record(record: RunRecord, output_format: str) -> None:
    """Print the scores and failures of a run.

    Parameters
    ----------
    record
        The run.
    output_format
        ``"table"`` or ``"json"``.
    """
    if output_format == "json":
        click.echo(json.dumps(record.to_dict(), indent=2, allow_nan=False))
        return
    names = list(dict.fromkeys(score.embedding for score in record.result_metrics))
    values: dict[tuple[str, str, str], dict[str, str]] = {}
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for score in record.result_metrics:
        result = score.result
        params = ", ".join(f"{name}={value}" for name, value in (result.params or {}).items())
        row = (score.task, result.metric_type.value, params)
        values.setdefault(row, {})[score.embedding] = _number(result.value)
        if result.reason:
            reasons.setdefault(row, []).append(
                result.reason if len(names) == 1 else f"{score.embedding}: {result.reason}"
            )
    rows = [
        [*row, *(given.get(name) for name in names), "; ".join(reasons.get(row, []))] for row, given in values.items()
    ]
    if len({task for task, _, _ in values}) == 1:  # then it is the title
        click.echo(rows[0][0])
        rows = [["", *row[1:]] for row in rows]
    columns = ["Task", "Metric", "Parameters", *names, "Reason"]
    shown = [i for i, name in enumerate(columns) if name in names or name == "Metric" or any(row[i] for row in rows)]
    if rows:
        print_table([columns[i] for i in shown], [[row[i] for i in shown] for row in rows], numbers=names)
    notes = Counter(
        (score.embedding, note) for score in record.result_metrics if (note := (score.result.details or {}).get("note"))
    )
    for (embedding, note), count in notes.items():
        click.echo(f"Note on {count} of the scores of {embedding}: {note}.", err=True)
    for failure in record.failures:
        of = f" of {failure.embedding}" if failure.embedding else ""
        click.echo(f"{failure.task}{of} failed: {failure.reason}", err=True)


def _number(value: float) -> str:
    if math.isnan(value):
        return "none"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"
