"""``czbenchmarks list``: what there is. It imports no task and no metric."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from czbenchmarks._check import printable

from .output import format_option, print_json, print_table

if TYPE_CHECKING:
    from czbenchmarks.metrics.catalogue import MetricType

_EXAMPLES = """\b
Examples:
  czbenchmarks list tasks
  czbenchmarks list metrics -f json
  czbenchmarks list datasets

What a task, metric or data set is in detail: czbenchmarks info NAME"""

# What is listed -> heading of a column -> key of a row.
_COLUMNS = {
    "tasks": {"Task": "key", "Data sets": "data_sets", "What it asks": "description"},
    "metrics": {
        "Metric": "name", "Better": "direction", "Range": "range_text", "Best": "best", "Rewards": "rewards",
        "What a good value says": "description",
    },
    "datasets": {"Data set": "name", "Organism": "organism", "What it holds": "description"},
}  # fmt: skip


@click.command("list", epilog=_EXAMPLES)
@click.argument("what", type=click.Choice(["tasks", "metrics", "datasets"]))
@format_option("table", "json", help="How to print it: a table to read, or JSON for programs.")
@click.option("--details", is_flag=True, help="For metrics: also chance, pitfalls, cost, arguments and source of each.")
def list_command(what: str, output_format: str, details: bool) -> None:
    """List what there is.

    "tasks" are the questions that a model can be asked, "metrics" the numbers that answer them, and "datasets" the
    cells that can be had by name: some come with this program, the others are downloaded when they are first used.
    """
    if details and what != "metrics":
        raise click.UsageError(f"--details is for metrics, got {what}; see czbenchmarks info NAME.")
    from czbenchmarks.metrics.catalogue import MetricType

    rows = _tasks() if what == "tasks" else data_sets() if what == "datasets" else [*map(metric_row, MetricType)]
    if output_format == "json":
        print_json(rows)
        return
    if details:
        for row in rows:
            print_metric(row)
            click.echo()
        return
    columns = _COLUMNS[what]
    for row in rows if what == "metrics" else ():
        row["range_text"] = " to ".join("…" if bound is None else f"{bound:g}" for bound in row["range"])
    print_table(list(columns), [[row[key] for key in columns.values()] for row in rows])
    if what == "metrics":
        from czbenchmarks.metrics.presets import PRESETS

        click.echo("Presets, for --metrics NAME (also several, and names of metrics):")
        print_table(["Preset", "What it is"], [[name, preset.about] for name, preset in PRESETS.items()])
        click.echo("Pitfalls, cost, arguments and source: czbenchmarks info NAME, or of all: list metrics --details")
    if what == "datasets":
        here = ", ".join(row["name"] for row in rows if row["where"] != "to download")
        click.echo(click.wrap_text(f"Here already: {here}. Any other is downloaded when it is first used.", 100))
        click.echo("Use one by its name: czbenchmarks run TASK -d NAME …, or load_dataset(NAME) in Python.")


def _tasks() -> list[dict[str, Any]]:
    from czbenchmarks.tasks.registry import TASK_REGISTRY

    return [
        {
            "key": key,
            "name": task.display_name,
            "description": task.summary,
            "data_sets": "several" if task.requires_multiple_datasets else "one",
        }
        for key, task in TASK_REGISTRY.summaries().items()
    ]


def metric_row(metric: MetricType) -> dict[str, Any]:
    """Return what is known about a metric, as JSON holds it."""
    from czbenchmarks.metrics.presets import presets_of

    row = metric.declaration
    return {
        "name": metric.value,
        "description": row.about,
        "direction": row.direction,
        "range": [_finite(bound) for bound in row.range],
        "best": _finite(row.best),
        "rewards": {"bio": "biology", "batch": "batch mixing"}.get(row.part),
        "presets": presets_of(metric),
        "chance": row.chance,
        "pitfalls": row.pitfalls,
        "cost": row.cost or None,
        "arguments": list(row.asks),
        "default_arguments": {name: plain_value(value) for name, value in row.defaults.items()},
        "name_in_scib_metrics": row.scib_name or None,
        "tags": list(row.tags),
        "reference": row.reference,
    }


def print_metric(found: dict[str, Any]) -> None:
    """Print what is known about a metric."""
    bounds = " to ".join("unbounded" if bound is None else f"{bound:g}" for bound in found["range"])
    best = "unbounded" if found["best"] is None else f"{found['best']:g}"
    defaults = ", ".join(f"{name}={value}" for name, value in found["default_arguments"].items())
    pairs = [
        ("Metric", found["name"]),
        ("A good value", found["description"]),
        ("Range", bounds),
        ("Best", f"{best} ({found['direction']} is better)"),
        ("Rewards", found["rewards"]),
        ("Presets", ", ".join(found["presets"])),
        ("Chance", found["chance"]),
        ("Pitfalls", found["pitfalls"]),
        ("Cost", found["cost"]),
        ("In scib-metrics", found["name_in_scib_metrics"]),
        ("Arguments", ", ".join(found["arguments"])),
        ("Defaults", defaults),
        ("Reference", found["reference"]),
    ]
    print_lines([(heading, value) for heading, value in pairs if value not in ("", None)])


def print_lines(pairs: list[tuple[str, Any]]) -> None:
    """Print headings and values, folded under each other."""
    width = max(len(heading) for heading, _ in pairs) + 2
    for heading, value in pairs:
        text = printable("" if value is None else value)
        body = textwrap.wrap(text, 100 - width, break_long_words=False, break_on_hyphens=False) or [""]
        for start, line in zip([heading, *[""] * len(body)], body, strict=False):
            click.echo(f"{start:<{width}}{line}".rstrip())


def plain_value(value: Any) -> Any:
    """Return a default as JSON holds it."""
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def data_sets() -> list[dict[str, Any]]:
    """Return what is known about the data sets of the catalogue, as JSON holds it."""
    from czbenchmarks.datasets.catalogue import catalogue
    from czbenchmarks.datasets.download.cache import cache_folder, complete, name_of

    folder = cache_folder()
    found = []
    for name, entry in catalogue().items():
        address = entry["path"]
        where = "downloaded" if complete(folder / name_of(address)) else "to download"
        found.append(
            {
                "name": name,
                "organism": entry["organism"],
                "description": entry["about"],
                "dataset_class": entry["_target_"],
                "url": address,
                "where": "here" if address.startswith("package://") else where,
            }
        )
    return found


def _finite(bound: float) -> float | None:
    """Return a bound as JSON holds it: null for none."""
    return None if bound in (float("inf"), float("-inf")) else bound
