"""Printing: tables for people, JSON and CSV for programs, on stdout and nothing else there."""

from __future__ import annotations

import functools
import json
import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ._spelling import as_typed, options_of_record
from ._streams import exactly, has_arrows
from ._tables import print_table as print_table
from ._tables import table_width as table_width
from .progress import note, printable

if TYPE_CHECKING:
    import pandas as pd

    from czbenchmarks.results import RunRecord, Score

BASELINE = "baseline"
F = TypeVar("F", bound=Callable[..., Any])


def format_option(*formats: str, help: str = "How to print it.") -> Callable[[F], F]:
    """Return the option that says how to print: the first of `formats` unless another is named."""
    choice = click.Choice(formats)
    return click.option(
        "-f", "--format", "output_format", type=choice, default=formats[0], show_default=True, help=help
    )


def print_json(value: Any) -> None:
    """Print what programs read."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def print_record(record: RunRecord, output_format: str) -> None:
    """Print the scores of a run on stdout; what failed and what to know of it on stderr."""
    if output_format == "json":
        print_json(record.to_dict())
    elif output_format == "csv":
        print_csv(record.to_frame())
    elif output_format == "markdown":
        title, columns, rows, numbers = _grid(record)
        click.echo(f"**{_escaped(title)}**\n" if title else "", nl=bool(title))
        _print_markdown(columns, rows, numbers)
    else:
        title, columns, rows, numbers = _grid(record)
        if title:
            click.echo(title)
        for part in _fitting(columns, rows, numbers):
            print_table([columns[i] for i in part], [[row[i] for i in part] for row in rows], numbers=numbers)
        _print_means(record)
    typed = functools.partial(as_typed, flags=_options(record))
    for line in [*record.warnings, *_notes_of_scores(record)]:
        note(f"Note: {printable(typed(line))}.")
    for check in record.checks:
        said = printable(typed(check.sentence))
        note(f"Check {check.name} of {printable(check.embedding)}: {check.verdict}. {said}")
    for failure in record.failures:
        of = f" of {failure.embedding}" if failure.embedding else ""
        click.echo(printable(f"{failure.task}{of} failed: {typed(failure.reason)}"), err=True)


def _print_means(record: RunRecord) -> None:
    """Print the means over pairs of species, if a task compared species: its rows are too many to be read."""
    from ._summary import means_over_species

    columns, rows = means_over_species(record)
    if rows:
        click.echo("Means over pairs of species")
        shown = [[printable(cell) if isinstance(cell, str) else _number(cell) for cell in row] for row in rows]
        first = 0 if len({row[0] for row in rows}) > 1 else 1  # the name of the only embedding is above
        metrics = [_with_direction(name) for name in columns[3:]]
        print_table([*columns[first:3], *metrics], [row[first:] for row in shown], numbers=metrics)


def better(metric: str) -> str | None:
    """Tell which values of a metric are the better ones: ``"higher"`` or ``"lower"``; None if it is unknown here."""
    from czbenchmarks.metrics.catalogue import MetricType

    return next((one.declaration.direction for one in MetricType if one.value == metric), None)


def _with_direction(metric: str) -> str:
    """Return the name of a metric with an arrow: up if higher values are the better ones."""
    direction = better(metric)
    if direction is None:
        return metric
    return f"{metric} {'↑' if direction == 'higher' else '↓'}" if has_arrows() else f"{metric} ({direction})"


def _clusters(record: RunRecord) -> list[tuple[str, str, dict[str, str]]]:
    """Return for every task that makes clusters: its key, a heading, and their number by embedding."""
    found: dict[tuple[str, int], dict[str, str]] = {}
    for score in record.result_metrics:
        counts = score.counts or {}
        if score.task == "clustering" and not score.params and {"clusters", "labels"} <= set(counts):
            numbers = found.setdefault((score.task, counts["labels"]), {})
            numbers.setdefault(score.embedding, f"{counts['clusters']:,}")
    seeds = len(record.run_specification.random_seeds)
    of = ", first seed" if seeds > 1 else ""
    return [(task, f"clusters{of} ({n:,} labels)", numbers) for (task, n), numbers in found.items()]


def _options(record: RunRecord) -> dict[str, str]:
    """Return argument -> option for what a record says, if it says anything that could name an argument."""
    said = [*record.warnings, *_notes_of_scores(record), *(check.sentence for check in record.checks)]
    said += [failure.reason for failure in record.failures]
    said += [score.reason for score in record.result_metrics if score.reason]
    return options_of_record(record) if any("`" in text or "_" in text or "=" in text for text in said) else {}


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
    """Print a table of numbers and text."""
    if output_format in ("table", "markdown"):  # what is the same everywhere takes the room of the rest
        same = [name for name in ("task", "embedding", "of") if name in frame and frame[name].nunique() == 1]
        frame = frame.drop(columns=same)
    columns = [printable(name) for name in frame.columns]
    numbers = [name for name, kind in zip(columns, frame.dtypes, strict=True) if kind.kind in "if"]
    rows = [["" if value is None else _shown(value) for value in row] for row in frame.itertuples(index=False)]
    if output_format == "json":
        from czbenchmarks.results.parts import plain

        print_json(plain(frame.to_dict("records")))  # to_json rounds numbers
    elif output_format == "csv":
        print_csv(frame)
    elif output_format == "markdown":
        _print_markdown(columns, rows, numbers)
    else:
        print_table(columns, rows, numbers=numbers)


def _print_markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str]) -> None:
    rule = ["---:" if name in numbers else "---" for name in columns]
    for cells in (columns, rule, *rows):
        click.echo(f"| {' | '.join(cells if cells is rule else map(_escaped, cells))} |")


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}" if value.is_integer() else _number(value)
    return printable(value)


def print_csv(frame: pd.DataFrame) -> None:
    """Print a table as CSV; letters that stdout cannot hold are escaped, none is replaced by another."""
    click.echo(exactly(as_csv(frame)), nl=False)


def as_csv(frame: pd.DataFrame) -> str:
    r"""Write a table as CSV; the values of several seeds are one field, separated by semicolons.

    Control characters are written as ``\x1b``, and so is a backslash that would look like one: what differs, differs
    in the table too.
    """
    if "values_raw" in frame:
        raw = [";".join(map(str, values)) if isinstance(values, list) else "" for values in frame["values_raw"]]
        frame = frame.assign(values_raw=raw)
    frame = frame.rename(columns=_without_controls)
    texts = [name for name, kind in zip(frame.columns, frame.dtypes, strict=True) if kind.kind not in "iufb"]
    frame = frame.assign(**{name: frame[name].map(_without_controls).astype(object) for name in texts})
    return str(frame.to_csv(index=False))


_LOOKS_ESCAPED = re.compile(r"\\(?=x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def _without_controls(value: Any) -> Any:
    """Return text with control characters escaped so that no two texts become one; anything else as it is."""
    if not isinstance(value, str):
        return value
    text = _LOOKS_ESCAPED.sub(r"\\x5c", value)
    # Spaces of all widths and letters that this Python does not know yet are left alone.
    return "".join(
        c if c.isprintable() or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else _code(c)
        for c in text
    )


def _code(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _grid(record: RunRecord) -> tuple[str, list[str], list[list[str]], list[str]]:
    """Return title, headings, rows and the headings of numbers: one row per metric, one column per embedding."""
    from czbenchmarks.results._notes import how_computed

    flags = _options(record)
    names = list(dict.fromkeys(score.embedding for score in record.result_metrics))
    compared = BASELINE in names and len(names) > 1
    values: dict[tuple[str, str, int], dict[str, str]] = {}
    heads: dict[tuple[str, str, int], list[str]] = {}
    reasons: dict[tuple[str, str, int], dict[str, list[str]]] = {}
    ways: dict[tuple[str, str, int], dict[str, list[str]]] = {}
    for place, score, base in record.rows():
        params = ", ".join(f"{name}={value}" for name, value in score.params.items())
        heads[place] = [score.task, _with_direction(score.metric_type), params]
        values.setdefault(place, {})[score.embedding] = _cell(score, base if compared else None)
        if score.reason:
            reason = as_typed(score.reason, flags)
            reasons.setdefault(place, {}).setdefault(reason, []).append(score.embedding)
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
    for task, heading, numbers in _clusters(record):
        last = max(i for i, row in enumerate(rows) if row[0] == task)
        rows.insert(last + 1, [task, heading, "", *(numbers.get(name, "") for name in names), "", ""])
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
    room = table_width() - sum(widths[i] for i in others if columns[i] not in ("Reason", "Note"))
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
