"""``czbenchmarks info NAME``: what is in a data file, or what a task, metric or data set of the catalogue is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from czbenchmarks import _check
from czbenchmarks._check import printable
from czbenchmarks._check.addresses import shown

from .catalogue import data_sets, metric_row, plain_value, print_lines, print_metric
from .completion import complete_anything
from .output import format_option, print_json, print_table

_EXAMPLES = """\b
Examples:
  czbenchmarks info cells.h5ad
  czbenchmarks info clustering
  czbenchmarks info silhouette_score
  czbenchmarks info baron_pancreas_human

What exists under the name is shown first if it is a file, then if it is a task, a metric, a data set."""


@click.command("info", epilog=_EXAMPLES)
@click.argument("name", shell_complete=complete_anything)
@format_option("table", "json", help="How to print it: text to read, or JSON for programs.")
def info_command(name: str, output_format: str) -> None:
    """Show what is in a data file and what it can be scored on, or what a task, metric or data set is.

    NAME is an .h5ad file, a .zarr folder, an https:// or s3:// address of one, a task, a metric, or a data set of the
    catalogue.
    """
    found = _described(name)
    if output_format == "json":
        print_json(found)
        return
    {
        "data": _print_data, "task": _print_task, "metric": print_metric, "preset": _print_preset,
        "dataset": _print_dataset,
    }[found["kind"]](found)  # fmt: skip


def _described(name: str) -> dict[str, Any]:
    if _is_data(name):
        from czbenchmarks.io.dataset import Cells

        from ._inspect import facts
        from ._suits import suitable

        found = facts(Cells(name))
        # A command that can be pasted, and without secrets: the download is there.
        return {**found, "tasks": suitable(found, name if shown(name) == name else found["path"])}
    from czbenchmarks.datasets.catalogue import catalogue
    from czbenchmarks.metrics.catalogue import MetricType
    from czbenchmarks.metrics.presets import PRESETS
    from czbenchmarks.tasks.registry import TASK_REGISTRY

    loose = {key.replace("-", "_"): key for key in TASK_REGISTRY.list_tasks()}
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    if plain in loose:
        return _task(loose[plain])
    metrics = {metric.value.lower(): metric for metric in MetricType}
    if plain in metrics:
        return {"kind": "metric", **metric_row(metrics[plain])}
    presets = {key.replace("-", "_"): key for key in PRESETS}
    if plain in presets:
        preset = PRESETS[presets[plain]]
        return {"kind": "preset", "name": presets[plain], "description": preset.about, "metrics": list(preset.keys)}
    entries = catalogue()
    if name in entries:
        return {"kind": "dataset", **next(row for row in data_sets() if row["name"] == name)}
    known = [*loose.values(), *(metric.value for metric in MetricType), *PRESETS, *entries]
    sentence = _check.unknown("Name", name, known, "is no file, task, metric, preset or data set")
    raise click.UsageError(sentence.partition(" Available: ")[0] + " See czbenchmarks list tasks|metrics|datasets.")


def _is_data(name: str) -> bool:
    """Tell a file from a name: it exists, or can be nothing else."""
    try:
        exists = Path(name).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long, NUL, ~somebody without a home
        exists = False
    return exists or "://" in name or name.lower().rstrip("/").endswith((".h5ad", ".zarr"))


def _task(key: str) -> dict[str, Any]:
    from czbenchmarks.tasks.registry import TASK_REGISTRY

    from .options import baseline_needs

    info, cls = TASK_REGISTRY.get_task_info(key), TASK_REGISTRY.get_task_class(key)
    return {
        "kind": "task",
        "name": info.name,
        "display_name": info.display_name,
        "description": info.description,
        "data_sets": "several" if info.requires_multiple_datasets else "one",
        "fields": [_field(field) for field in info.task_params.values()],
        "has_baseline": cls.baseline_model.about is not None,
        "baseline_needs": baseline_needs(cls),
        "baseline_fields": [_field(field) for field in info.baseline_params.values()],
        "metrics": [metric.value for metric in (*cls.published, *cls.more)],
    }


def _field(field: Any) -> dict[str, Any]:
    default = plain_value(field.default)
    return {"name": field.name, "required": field.required, "default": default, "description": field.help_text}


def _print_task(found: dict[str, Any]) -> None:
    from czbenchmarks.tasks.registry import TASK_REGISTRY

    from .options import task_options

    print_lines(
        [
            ("Task", found["name"]),
            ("What it asks", found["description"]),
            ("Data sets", found["data_sets"]),
            ("Metrics", ", ".join(found["metrics"])),
        ]
    )
    rows = [
        [option.opts[0], printable(option.help)]
        for option in task_options(TASK_REGISTRY.get_task_info(found["name"]))
        if isinstance(option, click.Option) and not option.hidden
    ]
    print_table(["Option", "What it is"], rows)
    if found["baseline_needs"]:
        click.echo(f"It has a baseline with {found['baseline_needs']} only.")
    if not found["baseline_fields"]:
        click.echo("It has no baseline." if not found["has_baseline"] else "Its baseline has no options.")
    click.echo(f"How to run it: czbenchmarks run {found['name']} --help")


def _print_preset(found: dict[str, Any]) -> None:
    metrics = ", ".join(found["metrics"]) or "depends on the task"
    print_lines([("Preset", found["name"]), ("What it is", found["description"]), ("Metrics", metrics)])
    click.echo(f"Use it: czbenchmarks run batch_integration -u DATA -c EMBEDDING --metrics {found['name']}")


def _print_dataset(found: dict[str, Any]) -> None:
    print_lines(
        [
            ("Data set", found["name"]),
            ("What it holds", found["description"]),
            ("Organism", found["organism"]),
            ("Class", found["dataset_class"]),
            ("Address", found["url"]),
            ("Where", {"here": "comes with this program"}.get(found["where"], found["where"])),
        ]
    )
    click.echo(f"Score on it: czbenchmarks run TASK -d {found['name']} -c EMBEDDING")


def _print_data(found: dict[str, Any]) -> None:
    from czbenchmarks.io.files.files import size_text

    organism = found["organism"]
    x = found["X"]
    kept = ("sparse, " if x["sparse"] else "dense, ") + (x["looks_like"] or "nothing but zeros") if x else "none"
    pairs = [
        ("File", f"{found['path']} ({size_text(found['size_bytes'])})"),
        ("Cells", f"{found['n_cells']:,} x {found['n_genes']:,} genes"),
        (
            "Organism",
            f"{organism['name']} ({organism['from']})" if organism else found["organism_problem"] or "not said",
        ),
        ("X", kept),
    ]
    for group, heading in (("obsm", "Embeddings"), ("layers", "Layers")):
        shown = [f"@{group}:{printable(one['key'])} ({_by(one['shape'])})" for one in found[group]]
        pairs.append((heading, ", ".join(shown) or "none"))
    faulty = [one for group in ("obs", "obsm", "layers") for one in found[group] if one.get("problem")]
    pairs += [("Unreadable", one["problem"]) for one in faulty]
    if not found["unique_cell_names"]:
        pairs.append(("Cell names", "some occur twice, so that embeddings with cell names cannot be aligned"))
    print_lines(pairs)
    rows = [
        [printable(one["name"]), one["kind"], f"{one['n_values']:,}", one["missing"] or "", _values(one)]
        for one in found["obs"]
    ]
    click.echo()
    if rows:
        print_table(
            ["Column of obs", "Kind", "Values", "Missing", "Most frequent"], rows, numbers=["Values", "Missing"]
        )
    _print_tasks(found["tasks"])


def _by(shape: list[int] | None) -> str:
    return " x ".join(f"{n:,}" for n in shape) if shape else "no array"


def _values(column: dict[str, Any]) -> str:
    shown = [text if len(text) <= 30 else text[:29] + "…" for text in map(printable, column["values"])]
    more = column["n_values"] - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _print_tasks(tasks: list[dict[str, Any]]) -> None:
    can = [one for one in tasks if one["command"]]
    cannot = [one for one in tasks if not one["command"]]
    if can:
        click.echo("What it can be scored on, with the columns that fit best by name and content:\n")
    for one in can:
        for line in _folded(one["command"]):
            click.echo(line)
        if one["note"]:
            click.echo(f"      {one['note']}")
    if cannot:
        click.echo("\nWhat it cannot be scored on:\n" if can else "It can be scored on no task:\n")
        width = max(len(one["task"]) for one in cannot)
        print_lines([(f"  {one['task']:<{width}}", one["reason"]) for one in cannot])


def _folded(command: str) -> list[str]:
    """Break a command before its options where it is too long, so that it can be pasted as it stands."""
    import shlex

    parts: list[list[str]] = [[]]
    for word in shlex.split(command):
        if word.startswith("-"):
            parts.append([])
        parts[-1].append(word)
    lines = [" "]
    for part in map(shlex.join, parts):
        if len(lines[-1]) + len(part) > 96 and lines[-1].strip():
            lines.append("     ")
        lines[-1] += f" {part}"
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]
