"""Printing: tables for people, JSON and CSV for programs, on stdout and nothing else there."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

from .progress import note, printable

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from czbenchmarks.results import RunRecord, Score

BASELINE = "baseline"

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
    from rich.table import Table
    from rich.text import Text

    console = _console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    names = _unbroken(rows, console.width)
    for i, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if column in numbers else "left"
        table.add_column(Text(column), justify=justify, overflow="fold", no_wrap=i in names)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console.print(table)


def _unbroken(rows: Sequence[Sequence[Any]], width: int) -> Collection[int]:
    """Return the columns of names, which would break within a word, if there is room for sentences beside them."""
    texts = [[str(cell) for cell in column if cell is not None] for column in zip(*rows, strict=True)]
    names = {
        i: max(map(len, column), default=0) for i, column in enumerate(texts) if not any(" " in text for text in column)
    }
    return names if sum(names.values()) + 3 * len(texts) <= 3 * width // 4 else ()


def table_width() -> int:
    """Return how many columns `print_table` has."""
    return _console().width


def _console() -> Console:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = max(_WIDTH, console.width)
    return console


def print_record(record: RunRecord, output_format: str) -> None:
    """Print the scores of a run on stdout; what failed and what to know of it on stderr.

    Parameters
    ----------
    record
        The run.
    output_format
        ``"table"``, ``"json"``, ``"csv"`` or ``"markdown"``.
    """
    if output_format == "json":
        click.echo(json.dumps(record.to_dict(), indent=2, allow_nan=False))
    elif output_format == "csv":
        click.echo(as_csv(record.to_frame()), nl=False)
    elif output_format == "markdown":
        title, columns, rows, numbers = _grid(record)
        click.echo(f"**{_escaped(title)}**\n" if title else "", nl=bool(title))
        rule = ["---:" if column in numbers else "---" for column in columns]
        for cells in (columns, rule, *rows):
            click.echo(f"| {' | '.join(_escaped(cell) if cells is not rule else cell for cell in cells)} |")
    else:
        title, columns, rows, numbers = _grid(record)
        if title:
            click.echo(title)
        for part in _fitting(columns, rows, numbers):
            print_table([columns[i] for i in part], [[row[i] for i in part] for row in rows], numbers=numbers)
    for line in [*record.warnings, *_notes_of_scores(record)]:
        note(f"Note: {printable(line)}.")
    for check in record.checks:
        note(f"Check {check.name} of {printable(check.embedding)}: {check.verdict}. {printable(check.sentence)}")
    for failure in record.failures:
        of = f" of {failure.embedding}" if failure.embedding else ""
        click.echo(printable(f"{failure.task}{of} failed: {failure.reason}"), err=True)


def _notes_of_scores(record: RunRecord) -> list[str]:
    """Return what there is to know of scores: once for all metrics, and for all embeddings if it holds for all."""
    scored: dict[str, set[str]] = {}
    said: dict[tuple[str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for score in record.result_metrics:
        scored.setdefault(score.task, set()).add(score.embedding)
        if text := (score.details or {}).get("note"):
            embeddings, metrics = said.setdefault((score.task, str(text)), ({}, {}))
            embeddings[score.embedding] = metrics[score.metric_type] = None
    lines = []
    for (task, text), (embeddings, metrics) in said.items():
        of = "" if set(embeddings) == scored[task] else f" of {', '.join(embeddings)}"
        lines.append(f"{task}{of} ({', '.join(metrics)}): {text}")
    return lines


def print_frame(frame: pd.DataFrame, output_format: str) -> None:
    """Print a table of numbers and text.

    Parameters
    ----------
    frame
        The table.
    output_format
        ``"table"``, ``"json"``, ``"csv"`` or ``"markdown"``.
    """
    if output_format in ("table", "markdown"):  # what is the same everywhere takes the room of the rest
        same = [name for name in ("task", "embedding", "of") if name in frame and frame[name].nunique() == 1]
        frame = frame.drop(columns=same)
    columns = [printable(name) for name in frame.columns]
    numbers = [name for name, kind in zip(columns, frame.dtypes, strict=True) if kind.kind in "if"]
    rows = [["" if value is None else _shown(value) for value in row] for row in frame.itertuples(index=False)]
    if output_format == "json":
        from czbenchmarks.results.parts import plain

        rows_as_given = plain(frame.to_dict("records"))  # to_json rounds numbers
        click.echo(json.dumps(rows_as_given, indent=2, allow_nan=False))
    elif output_format == "csv":
        click.echo(frame.to_csv(index=False), nl=False)
    elif output_format == "markdown":
        rule = ["---:" if name in numbers else "---" for name in columns]
        for cells in (columns, rule, *rows):
            click.echo(f"| {' | '.join(cells if cells is rule else map(_escaped, cells))} |")
    else:
        print_table(columns, rows, numbers=numbers)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}" if value.is_integer() else _number(value)
    return printable(value)


def as_csv(frame: pd.DataFrame) -> str:
    """Write a table of scores as CSV; the values of several seeds are one field, separated by semicolons."""
    if "values_raw" in frame:
        raw = [";".join(map(str, values)) if isinstance(values, list) else "" for values in frame["values_raw"]]
        frame = frame.assign(values_raw=raw)
    return str(frame.to_csv(index=False))


def _grid(record: RunRecord) -> tuple[str, list[str], list[list[str]], list[str]]:
    """Return title, headings, rows and the headings of numbers: one row per metric, one column per embedding."""
    from czbenchmarks.results._notes import how_computed

    names = list(dict.fromkeys(score.embedding for score in record.result_metrics))
    compared = BASELINE in names and len(names) > 1
    values: dict[tuple[str, str, int], dict[str, str]] = {}
    heads: dict[tuple[str, str, int], list[str]] = {}
    reasons: dict[tuple[str, str, int], dict[str, list[str]]] = {}
    ways: dict[tuple[str, str, int], dict[str, list[str]]] = {}
    for place, score, base in record.rows():
        params = ", ".join(f"{name}={value}" for name, value in score.params.items())
        heads[place] = [score.task, score.metric_type, params]
        values.setdefault(place, {})[score.embedding] = _cell(score, base if compared else None)
        if score.reason:
            reasons.setdefault(place, {}).setdefault(score.reason, []).append(score.embedding)
        if how := how_computed(score.details):
            ways.setdefault(place, {}).setdefault(how, []).append(score.embedding)
    rows = [
        [
            *heads[place],
            *(given.get(name, "") for name in names),
            _once(reasons.get(place, {}), len(given)),
            _once(ways.get(place, {}), len(given)),
        ]
        for place, given in values.items()
    ]
    title = ""
    if len({task for task, _, _ in values}) == 1:
        title = rows[0][0]
        rows = [["", *row[1:]] for row in rows]
    if compared:
        title = f"{title} (in brackets: difference to the baseline)".strip()
    columns = ["Task", "Metric", "Parameters", *names, "Reason", "Note"]
    shown = [i for i, name in enumerate(columns) if name in names or name == "Metric" or any(row[i] for row in rows)]
    grid = [[printable(row[i]) for i in shown] for row in rows]
    return printable(title), [printable(columns[i]) for i in shown], grid, [printable(name) for name in names]


def _once(said: dict[str, list[str]], n: int) -> str:
    """Write each text once, with the embeddings it is said of unless it is said of all `n`."""
    return "; ".join(text if len(of) == n else f"{', '.join(of)}: {text}" for text, of in said.items())


def _fitting(columns: list[str], rows: list[list[str]], numbers: list[str]) -> list[list[int]]:
    """Return the columns of each table to print: several, if the embeddings do not fit beside each other."""
    if not rows:
        return []
    widths = [max(len(text) for text in column) + 3 for column in zip(columns, *rows, strict=True)]
    value = [i for i, name in enumerate(columns) if name in numbers]
    others = [i for i in range(len(columns)) if i not in value]
    room = _console().width - sum(widths[i] for i in others if columns[i] not in ("Reason", "Note"))
    parts: list[list[int]] = [[]]
    for i in value:
        if parts[-1] and sum(widths[j] for j in parts[-1]) + widths[i] > room:
            parts.append([])
        parts[-1].append(i)
    return [sorted([*others, *part]) for part in parts]


def _cell(score: Score, base: Score | None) -> str:
    """Write one score: mean and deviation over seeds, difference to the baseline."""
    text = _number(score.value)
    if score.value_std_dev is not None:
        text += f" ± {_number(score.value_std_dev, score.value)}"
    if base is not None:
        difference = score.value - base.value
        sign = "" if difference < 0 else "+"
        text += " (none)" if math.isnan(difference) else f" ({sign}{_number(difference, score.value)})"
    return text


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|~&" else c for c in text)


def _number(value: float, beside: float = 0.0) -> str:
    """Write a number; one beside another with no more decimals than that."""
    if math.isnan(value):
        return "none"
    usual = value == 0 or 1e-4 <= max(abs(value), abs(beside)) < 1e5
    return f"{value:.4f}" if usual else f"{value:.2e}"
