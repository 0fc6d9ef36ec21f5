"""A task's fields as options of the command line."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import click

from czbenchmarks._check.addresses import readable
from czbenchmarks.tasks.fields import ALIASES, Metrics, PerCell, Species, Table, Value

from .completion import complete_metrics

if TYPE_CHECKING:
    from czbenchmarks.tasks.task import Task, TaskInfo, TaskParameter


def task_options(info: TaskInfo) -> list[click.Parameter]:
    """Return one option per field of a task's input and of its baseline.

    Parameters
    ----------
    info
        The task.

    Returns
    -------
    Options that are None unless given, named as the keywords of ``evaluate``.
    """
    many = info.requires_multiple_datasets
    return [
        *(_option(field, field.name, many) for field in info.task_params.values()),
        *(_option(field, f"baseline_{field.name}", False) for field in info.baseline_params.values()),
    ]


def baseline_needs(task: type[Task]) -> str | None:
    """Return the option without which a task has no baseline; None if it needs none.

    Parameters
    ----------
    task
        Its class.
    """
    needed = task.baseline_model.needs
    return f"--baseline-{needed.replace('_', '-')}" if needed else None


def uses_neighbors(task: type[Task]) -> bool:
    """Tell whether a task looks for nearest cells.

    Parameters
    ----------
    task
        Its class.
    """
    from czbenchmarks.tasks.task import Task

    return "X" in task.offers or task.max_neighbors is not Task.max_neighbors


def _option(field: TaskParameter, name: str, many: bool) -> click.Parameter:
    role = field.role
    spellings = [name, *([ALIASES[name]] if name in ALIASES else [])]
    flags = [f"--{spelling.replace('_', '-')}" for spelling in spellings]
    choice, type_ = _click_type(field.type)
    if type_ is click.BOOL and not choice:
        return click.Option(
            [name, "/".join([flags[0], flags[0].replace("--", "--no-", 1)])],
            default=None,
            hidden=role.hidden,
            help=_help(field, many),
        )
    plain = isinstance(role, Metrics) or type(role) is Value
    return click.Option(
        [name, *flags],
        type=type_ if plain else _Name(),
        multiple=_is_list(field.type) if plain else many,
        default=None,
        metavar=role.metavar,
        shell_complete=complete_metrics if isinstance(role, Metrics) else None,
        hidden=role.hidden or isinstance(role, Table),  # obs is always the data's; the client passes @obs
        help=_help(field, many),
    )


class _Name(click.ParamType[str]):
    """The name of something in the data, which are UTF-8 whatever the locale."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return readable(value)


def _help(field: TaskParameter, many: bool) -> str:
    role, default = field.role, field.default
    if field.required:
        default = getattr(role, "default", None) or role.from_data
    elif isinstance(default, bool):
        default = str(default).lower()
    elif isinstance(default, list):
        default = ", ".join(map(str, default))
    text = role.help or field.help_text or field.name
    if many and isinstance(role, (PerCell, Species)):
        text += " Once per data set" + (", or once for all." if isinstance(role, PerCell) else ".")
    shown = " [required]" if field.required and default is None else "" if default is None else f" [default: {default}]"
    return text + shown


def _click_type(annotation: Any) -> tuple[bool, click.ParamType[Any]]:
    """Return whether a field is a choice, and the type of one value."""
    inner = _one(annotation)
    if get_origin(inner) is Literal:
        return True, click.Choice([str(value) for value in get_args(inner)])
    known: dict[Any, click.ParamType[Any]] = {int: click.INT, float: click.FLOAT, bool: click.BOOL}
    return False, known.get(inner, click.STRING)


def _one(annotation: Any) -> Any:
    """Strip ``Optional`` and ``List``."""
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [one for one in get_args(annotation) if one is not type(None)]
        return _one(inner[0]) if len(inner) == 1 else annotation
    return _one(get_args(annotation)[0]) if _is_list(annotation) else annotation


def _is_list(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, types.UnionType):
        return any(_is_list(one) for one in get_args(annotation))
    return get_origin(annotation) in (list, tuple) and bool(get_args(annotation))
