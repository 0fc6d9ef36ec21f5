"""Printing: tables for people, JSON for programs, on stdout and nothing else there."""

from __future__ import annotations

import json
import math
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
    rows: list[list[Any]] = []
    for score in record.result_metrics:
        result = score.result
        params = ", ".join(f"{name}={value}" for name, value in (result.params or {}).items())
        rows.append(
            [
                score.task,
                score.embedding,
                result.metric_type.value,
                _number(result.value),
                params,
                result.reason,
            ]
        )
    for failure in record.failures:
        rows.append([failure.task, failure.embedding, None, "failed", None, failure.reason])
    columns = ["Task", "Embedding", "Metric", "Value", "Parameters", "Reason"]
    empty = [i for i in (4, 5) if not any(row[i] for row in rows)]
    print_table(
        [name for i, name in enumerate(columns) if i not in empty],
        [[cell for i, cell in enumerate(row) if i not in empty] for row in rows],
        numbers=["Value"],
    )


def _number(value: float) -> str:
    if math.isnan(value):
        return "none"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"
