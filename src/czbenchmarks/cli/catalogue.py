"""``czbenchmarks list``: what there is. It imports no task and no metric."""

from __future__ import annotations

from typing import Any

import click


@click.command("list")
@click.argument("what", type=click.Choice(["tasks", "metrics"]))
@click.option(
    "-f",
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print it.",
)
def list_command(what: str, output_format: str) -> None:
    """List the tasks or the metrics."""
    rows = _tasks() if what == "tasks" else _metrics()
    if output_format == "json":
        import json

        click.echo(json.dumps(rows, indent=2, allow_nan=False))
        return
    from .output import print_table

    if what == "tasks":
        columns = {"Task": "key", "Data sets": "data_sets", "What it asks": "description"}
    else:
        columns = {
            "Metric": "name",
            "Range": "range_text",
            "Best": "best",
            "What a good value says": "description",
        }
        for row in rows:
            row["range_text"] = " to ".join("…" if bound is None else f"{bound:g}" for bound in row["range"])
    print_table(list(columns), [[row[key] for key in columns.values()] for row in rows])


def _tasks() -> list[dict[str, Any]]:
    from czbenchmarks.tasks._registry import TASK_REGISTRY

    return [
        {
            "key": key,
            "name": task.display_name,
            "description": task.summary,
            "data_sets": "several" if task.requires_multiple_datasets else "one",
        }
        for key, task in TASK_REGISTRY.summaries().items()
    ]


def _metrics() -> list[dict[str, Any]]:
    from czbenchmarks.metrics.catalogue import MetricType

    found = []
    for metric in MetricType:
        row = metric.declaration
        found.append(
            {
                "name": metric.value,
                "description": row.about,
                "range": [_finite(bound) for bound in row.range],
                "best": _finite(row.best),
                "tags": list(row.tags),
                "reference": row.reference,
            }
        )
    return found


def _finite(bound: float) -> float | None:
    """Return a bound as JSON holds it: null for none."""
    return None if bound in (float("inf"), float("-inf")) else bound
