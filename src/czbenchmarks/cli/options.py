"""A task's fields as options of the command line."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import click

from czbenchmarks._check.addresses import readable
from czbenchmarks.run.inputs import ALIASES, default_column, field_kind

from .completion import complete_metrics

if TYPE_CHECKING:
    from czbenchmarks.tasks.task import TaskInfo, TaskParameter

_NOT_SHOWN = ("use_rep", "key_added", "baseline_obsm_key", "baseline_organisms", "baseline_gene_names")
"""Without effect on the command line, or known from the data there."""
_PLAINLY = {
    "metrics": "Metrics to compute, by name or preset (published, scib, scib-fast, all); may be repeated. "
    "See czbenchmarks list metrics.",
    "unintegrated": "The data before integration, such as @obsm:X_pca. [default, if a metric needs it: @X]",
    "expression": "Expression before integration, such as @layers:counts. [default, if a metric needs it: @X]",
    "gene_names": "Symbols of the genes of the expression, such as @var:symbol. [default, if a metric needs them: the "
    "names of the genes]",
    "corrected": "Corrected expression, if the model makes it: a reference such as @layers:corrected.",
    "normalize": "Divide the alignment by its value for random neighbours, so that 0 is chance and 1 the best.",
    "adata": "The data set that holds the controls and target genes.",
    "gene_index": "Genes of the predictions' columns, if reordered: a reference such as @var:COLUMN.",
    "cell_index": "Cells of the predictions' rows, if reordered: a reference such as @obs:COLUMN. A table that names "
    "its cells needs none, and may hold some of them with --allow-missing-cells.",
}
_FROM_DATA = {"organism": "column 'organism' of obs", "data": "@, the data set", "table": "@obs"}


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
    if info.name == "sequential_organization":  # its labels are times
        time = {"help_text": "Time of each cell, as numbers (e.g. the column `time`)."}
        info = info.model_copy(update={"task_params": {
            name: field.model_copy(update=time) if name == "input_labels" else field
            for name, field in info.task_params.items()
        }})  # fmt: skip
    found = [_option(field, field.name, many, info.name) for field in info.task_params.values()]
    return found + [
        _option(field, f"baseline_{field.name}", False, info.name) for field in info.baseline_params.values()
    ]


def has_baseline(task: str) -> bool:
    """Tell whether a task has a baseline.

    Parameters
    ----------
    task
        Its key.
    """
    from czbenchmarks.tasks.registry import TASK_REGISTRY
    from czbenchmarks.tasks.task import NoBaselineInput

    return not issubclass(TASK_REGISTRY.get_task_class(task).baseline_model, NoBaselineInput)


def baseline_needs(task: str) -> str | None:
    """Return the option without which a task has no baseline; None if it needs none.

    Parameters
    ----------
    task
        Its key.
    """
    from czbenchmarks.tasks.registry import TASK_REGISTRY

    return "--baseline-orthologs" if "orthologs" in TASK_REGISTRY.get_task_info(task).baseline_params else None


def uses_neighbors(task: str) -> bool:
    """Tell whether a task looks for nearest cells.

    Parameters
    ----------
    task
        Its key.
    """
    from czbenchmarks.tasks.registry import TASK_REGISTRY
    from czbenchmarks.tasks.task import Task

    return TASK_REGISTRY.get_task_class(task).max_neighbors is not Task.max_neighbors


def _option(field: TaskParameter, name: str, many: bool, task: str) -> click.Parameter:
    kind = field_kind(field.type)
    spellings = [name, *([ALIASES[name]] if name in ALIASES else [])]
    flags = [f"--{spelling.replace('_', '-')}" for spelling in spellings]
    choice, type_ = _click_type(field.type)
    if type_ is click.BOOL and not choice:
        return click.Option(
            [name, "/".join([flags[0], flags[0].replace("--", "--no-", 1)])],
            default=None,
            help=_help(field, kind, many, task),
        )
    return click.Option(
        [name, *flags],
        type=type_ if kind == "value" else _Name(),
        multiple=_is_list(field.type) if kind == "value" else many,
        default=None,
        metavar={"column": "COLUMN", "index": "REFERENCE", "matrix": "REFERENCE", "organism": "NAME"}.get(
            kind, "NAME" if name == "metrics" else None
        ),
        shell_complete=complete_metrics if name == "metrics" else None,
        hidden=kind == "table" or name in _NOT_SHOWN,  # obs is always the data's; the client passes @obs
        help=_help(field, kind, many, task),
    )


class _Name(click.ParamType[str]):
    """The name of something in the data, which are UTF-8 whatever the locale."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return readable(value)


def _help(field: TaskParameter, kind: str, many: bool, task: str) -> str:
    default = field.default
    if field.required:
        default = default_column(task, field.name) or _FROM_DATA.get(kind)
    elif isinstance(default, bool):
        default = str(default).lower()
    elif isinstance(default, list):
        default = ", ".join(map(str, default))
    text = _PLAINLY.get(field.name) or field.help_text or field.name
    if many and kind in ("column", "organism"):
        text += " Once per data set" + (", or once for all." if kind == "column" else ".")
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
