"""The options of the commands that score tasks: those that all have, and the fields of a task's input."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import click

from czbenchmarks._check.addresses import readable
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.tasks.fields import ALIASES, Metrics, PerCell, Species, Table, Value

from .completion import complete_data_sets, complete_files, complete_metrics

if TYPE_CHECKING:
    from czbenchmarks.tasks.task import Task, TaskInfo, TaskParameter

_MANY, _FLAG, _FILE = {"multiple": True}, {"is_flag": True}, {"shell_complete": complete_files}


def parameters(task: str) -> list[click.Parameter]:
    """Return the options of the command that scores a task."""
    from czbenchmarks.tasks.registry import TASK_REGISTRY

    return [*_common_options(TASK_REGISTRY.get_task_class(task)), *task_options(TASK_REGISTRY.get_task_info(task))]


def task_options(info: TaskInfo) -> list[click.Parameter]:
    """Return one option, None unless given, per field of a task's input and of its baseline."""
    many = info.requires_multiple_datasets
    return [
        *(_option(field, field.name, many) for field in info.task_params.values()),
        *(_option(field, f"baseline_{field.name}", False) for field in info.baseline_params.values()),
    ]


def baseline_needs(task: type[Task]) -> str | None:
    """Return the option without which a task has no baseline; None if it needs none."""
    needed = task.baseline_model.needs
    return f"--baseline-{needed.replace('_', '-')}" if needed else None


def uses_neighbors(task: type[Task]) -> bool:
    """Tell whether a task looks for nearest cells."""
    from czbenchmarks.tasks.task import Task

    return "X" in task.offers or task.max_neighbors is not Task.max_neighbors


def _option(field: TaskParameter, name: str, many: bool) -> click.Parameter:
    role = field.role
    spellings = [name, *([ALIASES[name]] if name in ALIASES else [])]
    flags = [f"--{spelling.replace('_', '-')}" for spelling in spellings]
    type_ = _click_type(field.type)
    if type_ is click.BOOL:
        switch = f"{flags[0]}/{flags[0].replace('--', '--no-', 1)}"
        return click.Option([name, switch], default=None, hidden=role.hidden, help=_help(field, many))
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


def _click_type(annotation: Any) -> click.ParamType[Any]:
    """Return the type of one value of a field."""
    inner = _one(annotation)
    if get_origin(inner) is Literal:
        return click.Choice([str(value) for value in get_args(inner)])
    known: dict[Any, click.ParamType[Any]] = {int: click.INT, float: click.FLOAT, bool: click.BOOL}
    return known.get(inner, click.STRING)


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


def _baseline_help(task: type[Task]) -> str:
    about, needed = task.baseline_model.about, baseline_needs(task)
    if about is None:
        return "This task has no baseline."
    if not about:
        return "Score the task's baseline too, or alone."
    return f"{f'With {needed}, score' if needed else 'Score'} a baseline too, or alone: {about}."


def _common_options(task: type[Task]) -> list[click.Parameter]:
    """Return the options that all tasks have; of the engine, the baseline and the checks those that suit this one."""
    of_one = not task.requires_multiple_datasets
    checked = of_one and not task.predicts_expression
    own_seed = "; target genes: the random_seed of the data set" if task.predicts_expression else ""
    given_distances = ", @obsp:KEY takes the distances that the data hold (scanpy.pp.neighbors)" if of_one else ""
    rows: list[tuple[bool, str, dict[str, Any], str]] = [
        (True, "-u --user-dataset", {**_MANY, **_FILE, "metavar": "DATA"},
         "Your cells: an .h5ad file, a .zarr folder, an https:// or s3:// address, or a JSON object with "
         "`dataset_class`, `organism` and `path`. Once per data set for tasks that compare data sets."),
        (True, "-d --dataset-key", {**_MANY, "metavar": "NAME", "shell_complete": complete_data_sets},
         "Cells of the catalogue (czbenchmarks list datasets), downloaded once; before those of -u."),
        (True, "-c --cell-representation", {**_MANY, **_FILE, "metavar": "[NAME=]EMBEDDING"},
         "What your model made of the cells: .npy, .npz, .csv, .tsv, .parquet, .h5ad or .zarr (cells x dimensions; "
         "FILE:KEY for one of several arrays), or a reference into the data: @X, @obsm:KEY, @layers:KEY. Tables with "
         "cell names are aligned by them. Several are scored side by side, NAME= names one; with several data sets, "
         "one per data set in their order."),
        (True, "--allow-missing-cells", _FLAG,
         "Score the cells that data and embeddings share; otherwise a missing cell is an error."),
        (task.baseline_model.about is not None, "--baseline-expression", {"metavar": "REFERENCE"},
         "Where the data hold the counts that the baseline is made of: @X or @layers:KEY. [default: @X]"),
        (True, "-B --compute-baseline", _FLAG, _baseline_help(task)),
        (True, "-r --random-seed", {**_MANY, "type": click.INT},
         "Seed of all draws; given several times, scores are mean ± standard deviation over the seeds. "
         f"[default: {RANDOM_SEED}{own_seed}]"),
        (uses_neighbors(task), "--neighbors", {"metavar": "auto|exact|approximate" + "|@obsp:KEY" * of_one},
         "How nearest cells are found: approximate is for very many cells and says its recall, auto decides by "
         f"their number (exact up to 100,000){given_distances}. [default: auto]"),
        (True, "--threads", {"type": click.INT, "metavar": "N"},
         "Threads to compute with; the scores do not depend on it. [default: CZBENCHMARKS_NUM_THREADS, else "
         "all processors]"),
        (True, "--memory", {"metavar": "SIZE"},
         "Memory for temporary blocks, such as 500MB or 2GiB; the scores do not depend on it. "
         "[default: CZBENCHMARKS_MEMORY, else 1GiB or a quarter of the available]"),
        (checked, "--checks", _FLAG,
         "Also say what to doubt of the scores: scale, resolution, duplicates or donors across folds."),
        (checked, "--supervised", {**_MANY, "metavar": "NAME"},
         "An embedding that was made with the labels; what that means for its scores is said."),
        (checked, "--donors", {"metavar": "COLUMN"},
         "Donor of each cell, for the checks. [default: donor_id or donor, if there is one]"),
        (True, "output_format -f --format",
         {"type": click.Choice(["table", "json", "csv", "markdown"]), "default": "table", "show_default": True},
         "How to print the scores."),
        (True, "-o --output", {**_FILE, "type": click.Path(), "metavar": "RECORD.json"},
         "Also write the record: scores, options, hashes of the data, versions, seconds."),
        (True, "--store", {**_FILE, "metavar": "FILE", "envvar": "CZBENCHMARKS_STORE"},
         "Also add the record to a store, one file for many runs; czbenchmarks results lists them."),
        (True, "--keep-units", _FLAG,
         "Keep with the record what the scores are made of: values of cells, held-out predictions, conditions."),
    ]  # fmt: skip
    return [click.Option(names.split(), help=text, **how) for suits, names, how, text in rows if suits]
