"""Writes the reference pages from the code: tasks from their registry, metrics from the catalogue, commands from click.

A page holds ``<!-- generated: tasks -->`` where the text goes, and nothing of it is stored.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sphinx.application import Sphinx

    from czbenchmarks.metrics.types import Declaration, MetricType
    from czbenchmarks.tasks import Task

WIDTH = 100
MARK = re.compile(r"<!-- generated: (\w+) -->")


def setup(app: Sphinx) -> dict[str, Any]:
    """Fill every page as it is read."""
    app.connect("source-read", lambda app, name, source: source.__setitem__(0, filled(source[0])))
    return {"parallel_read_safe": True}


def filled(text: str) -> str:
    """Return a page with the generated text in place of its marks."""
    writers = {"tasks": tasks, "metrics": metrics, "commands": commands}
    return MARK.sub(lambda found: "\n".join(writers[found[1]]()), text)


def tasks() -> Iterator[str]:
    """Write one section per task, after a table of all."""
    from czbenchmarks.tasks import TASK_REGISTRY

    yield from _row("Task", "What it asks", "Data sets", "Baseline")
    yield from _row("---", "---", "---", "---")
    classes = {key: TASK_REGISTRY.get_task_class(key) for key in TASK_REGISTRY.list_tasks()}
    for key, cls in classes.items():
        many = "two or more" if cls.requires_multiple_datasets else "one"
        yield from _row(f"[`{key}`](#task-{key})", cls.question or cls.description, many, _baseline(cls))
    for key, cls in classes.items():
        yield from ("", f"(task-{key})=", "", f"## {cls.display_name[0].upper()}{cls.display_name[1:]}", "")
        yield from (cls.question or cls.description, "")
        scores = ", ".join(f"[`{metric.value}`](metrics.md#metric-{metric.value})" for metric in cls.published)
        yield f"Scores: {scores}."
        yield from ("", *_task_options(key))


def _baseline(task: type[Task]) -> str:
    model = task.baseline_model
    return (model.about or "none") + (f", with `--baseline-{model.needs}`" if model.needs else "")


def _task_options(key: str) -> Iterator[str]:
    from czbenchmarks.cli.run import run_command

    command = run_command.get_command(click.Context(run_command), key)
    assert command is not None
    example = str(command.epilog).partition("\b\n")[2].strip()
    yield from ("```text", example, "```", "")
    yield from _row("Option", "In Python", "What it is")
    yield from _row("---", "---", "---")
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden and option.name in _fields(key):
            flags = ", ".join(f"`{flag}`" for flag in [*option.opts, *option.secondary_opts])
            yield from _row(flags, f"`{option.name}`", option.help or "")


def _fields(key: str) -> set[str]:
    from czbenchmarks.tasks import TASK_REGISTRY

    info = TASK_REGISTRY.get_task_info(key)
    return {*info.task_params, *(f"baseline_{name}" for name in info.baseline_params)}


_REWARDS = {"bio": "biology", "batch": "batch mixing", "": ""}


def metrics() -> Iterator[str]:
    """Write one section per metric, after a table of all."""
    from czbenchmarks.metrics.presets import PRESETS, presets_of
    from czbenchmarks.metrics.types import MetricType
    from czbenchmarks.tasks import TASK_REGISTRY

    classes = {key: TASK_REGISTRY.get_task_class(key) for key in TASK_REGISTRY.list_tasks()}
    yield from _row("Preset", "What it is", "Metrics")
    yield from _row("---", "---", "---")
    for name, preset in PRESETS.items():
        of = ", ".join(f"[`{key}`](#metric-{key})" for key in preset.keys)
        yield from _row(f"`{name}`", preset.about, of or "depends on the task")
    yield ""
    yield from _row("Metric", "What a good value says", "Rewards", "Range", "Best", "Chance")
    yield from _row("---", "---", "---", "---", "---", "---")
    for metric in MetricType:
        row = metric.declaration
        link = f"[`{metric.value}`](#metric-{metric.value})"
        chance = row.chance if isinstance(row.chance, str) else f"{row.chance:g}"
        yield from _row(link, row.about, _REWARDS[row.part], _range(metric), f"{row.best:g}", chance)
    for metric in MetricType:
        row = metric.declaration
        chance = f"{row.chance}." if isinstance(row.chance, str) else f"The value is {row.chance:g}."
        used = [f"[`{key}`](tasks.md#task-{key})" for key, cls in classes.items() if metric in cls.published]
        yield from ("", f"(metric-{metric.value})=", "", f"## {metric.value}", "")
        parts = {
            "What it rewards": f"{row.about} Range {_range(metric)}, best {row.best:g} ({row.direction} is better).",
            "Definition": _definition(row),
            "By chance": chance[0].upper() + chance[1:],
            "Pitfalls": _linked(row.pitfalls),
            "Cost": f"{row.cost[0].upper()}{row.cost[1:]}." if row.cost else "",
            "Presets": ", ".join(f"`{name}`" for name in presets_of(metric)),
            "In scib-metrics": row.scib_name,
            "Source": f"{_linked(row.reference)}.",
            "Tasks": ", ".join(used),
        }
        for name, text in parts.items():
            if text:
                yield from (name, f": {text}", "")


def _definition(row: Declaration) -> str:
    """Return what the function behind a metric says of itself, where it computes the metric from its arguments."""
    from czbenchmarks._lazy import load

    if not str(row.function).startswith("czbenchmarks") or "metric" in row.defaults:
        return ""
    text = inspect.getdoc(load(row.function)) or ""
    text = re.split(r"\n\n(?:Parameters|Examples|References)\n-", text)[0]
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|").replace("*", "\\*")


def _range(metric: MetricType) -> str:
    least, greatest = metric.declaration.range
    return f"{least:g} to {greatest:g}".replace("inf", "∞").replace("-", "−")


def _linked(text: str) -> str:
    text = re.sub(r"doi:(10\.[^\s;,]*[^\s;,.)])", r"[doi:\1](<https://doi.org/\1>)", text)
    text = re.sub(r"arXiv:(\d+\.\d+)", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
    return re.sub(r"(?<![(<])(https://[^\s;,)]*[^\s;,.)])", r"<\1>", text)


def _row(*cells: str) -> Iterator[str]:
    yield "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def commands() -> Iterator[str]:
    """Write the help of every command."""
    from czbenchmarks.cli.main import main

    yield from _command(main, click.Context(main, info_name="czbenchmarks", **main.context_settings), 2)


def _command(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    context.terminal_width = context.max_content_width = WIDTH
    yield from (f"{'#' * min(level, 4)} {context.command_path}", "")
    yield from ("```text", command.get_help(context).rstrip(), "```", "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                inside = click.Context(below, parent=context, info_name=name, **below.context_settings)
                yield from _command(below, inside, level + 1)
