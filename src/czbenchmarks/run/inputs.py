"""Options of a run, made into the tasks' inputs: defaults filled in, references read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from czbenchmarks import _check
from czbenchmarks._check.addresses import shown
from czbenchmarks.datasets.single_cell_perturbation import data_under_seeds
from czbenchmarks.exceptions import BAD_INPUT, InputError, InputTypeError
from czbenchmarks.io.dataset import Cells
from czbenchmarks.io.references import look_up, reference_for
from czbenchmarks.results.record import Failure
from czbenchmarks.tasks.fields import ALIASES, Data, Genes, Index, Matrix, PerCell, Species, Table, Value, roles_of
from czbenchmarks.tasks.registry import TASK_REGISTRY
from czbenchmarks.tasks.scoring import draws

from .defaults import defaults as compared_with

if TYPE_CHECKING:
    from czbenchmarks.tasks.task import BaselineInput, Task, TaskInfo, TaskInput, TaskParameter


@dataclass(frozen=True)
class Wanted:
    """A task and the options meant for it, under its own names for them."""

    info: TaskInfo
    options: dict[str, Any]
    baseline_options: dict[str, Any]

    @property
    def task_class(self) -> type[Task]:
        """The task."""
        return TASK_REGISTRY.get_task_class(self.info.name)

    def names(self, kind: type[Value]) -> bool:
        """Tell whether an option was given for a field that holds such values."""
        return any(isinstance(self.info.task_params[name].role, kind) for name in self.options)


@dataclass(frozen=True)
class Plan:
    """A task ready to run, and what its record says of the options: as given, as defaulted, choices worth a word.

    `data_under` gives the data with the target genes of a seed, where the seeds of the run draw them.
    """

    key: str
    task_class: type[Task]
    task_input: TaskInput
    baseline_input: BaselineInput
    given: dict[str, Any]
    defaulted: dict[str, Any]
    choices: list[str]
    data_under: Callable[[int], Any] | None = None

    def input_under(self, seed: int) -> TaskInput:
        """Return the task's input under a seed."""
        if self.data_under is None:
            return self.task_input
        return self.task_input.model_copy(update={self.data_field: self.data_under(seed)})

    @property
    def data_field(self) -> str:
        """The field that holds the data set itself; empty if none does."""
        return next((name for name, role in self.roles.items() if isinstance(role, Data)), "")

    @property
    def screen(self) -> Any:
        """The perturbation data that it scores, with their target genes; None if it does not."""
        adata = getattr(self.task_input, self.data_field, None)
        return adata if "target_conditions_dict" in getattr(adata, "uns", ()) else None

    @property
    def targets_fixed(self) -> bool:
        """Whether it scores target genes that no seed of the run reaches."""
        return self.draws_nothing and self.screen is not None

    def task(self, seed: int) -> Task:
        """Return the task under a seed."""
        return self.task_class(random_seed=seed)

    @property
    def draws_nothing(self) -> bool:
        """Whether its scores are the same under every seed; those of a sample of the cells are not."""
        sampled = getattr(self.task_input, "max_cells", None) is not None
        drawn = sampled or self.data_under is not None or draws(getattr(self.task_input, "metrics", ()))
        return self.task_class.draws_nothing and not drawn

    @property
    def columns(self) -> dict[str, Any]:
        """The labels, batches and samples of cells in its input, by field; times are numbers, and name nobody."""
        names = [name for name, role in self.roles.items() if isinstance(role, PerCell) and role.names_groups]
        values = {name: getattr(self.task_input, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def roles(self) -> dict[str, Value]:
        """What the fields of its input hold."""
        return roles_of(type(self.task_input).model_fields)

    @property
    def names_rows_or_columns(self) -> bool:
        """Whether an option names the cells or genes of a prediction."""
        return any(isinstance(self.roles[name], Index) for name in self.given)

    def field(self, of: str) -> str | None:
        """Return the field that holds the ``"labels"``, the ``"batch"``, … of the cells; None if there is none."""
        return next((name for name, role in self.roles.items() if getattr(role, "of", None) == of), None)

    def per_cell(self, of: str) -> Any:
        """Return the ``"labels"``, the ``"batch"``, … of the cells in its input; None if it has none."""
        name = self.field(of)
        return None if name is None else getattr(self.task_input, name)

    @property
    def labels(self) -> Any:
        """The labels of the cells in its input."""
        return self.per_cell("labels")

    def max_neighbors(self, seed: int) -> int:
        """Return how many neighbours it will ask for."""
        return self.task(seed).max_neighbors(self.task_input)


def wanted_tasks(tasks: Any, options: Mapping[str, Any], baseline: bool) -> dict[str, Wanted]:
    """Find the tasks and give each its options; refuse an option that no task has."""
    if not isinstance(tasks, Iterable):
        raise InputTypeError(
            f"`tasks` must be a task's key, several, or a mapping from keys to options, got {tasks!r}."
        )
    own = {tasks: None} if isinstance(tasks, str) else tasks if isinstance(tasks, Mapping) else dict.fromkeys(tasks)
    if not own:
        raise InputError(
            f"`tasks` must name at least one task, got none; available: {', '.join(TASK_REGISTRY.list_tasks())}."
        )
    found: dict[str, Wanted] = {}
    known: set[str] = set()
    for name, more in own.items():
        info = TASK_REGISTRY.get_task_info(name)
        names = _option_names(info)
        for option in more or {}:
            if option not in names:
                raise InputError(_check.unknown(f"Option of {info.name}", option, names))
        known |= names
        given = {**options, **(more or {})}
        if any(key.startswith("baseline_") and _check.is_given(value) for key, value in given.items()) and not baseline:
            raise InputError("Options of the baseline must come with the baseline itself; pass baseline=True.")
        if info.name in found:
            raise InputError(f"`tasks` must name a task once, got {info.name!r} under two spellings; merge them.")
        found[info.name] = Wanted(
            info,
            {**_under_own_names(info.task_params, options), **_under_own_names(info.task_params, more or {})},
            {
                name: given[f"baseline_{name}"]
                for name in info.baseline_params
                if _check.is_given(given.get(f"baseline_{name}"))
            },
        )
    for option in options:
        if option not in known:
            known |= {"baseline", "baseline_expression", "random_seed", "allow_missing_cells"}
            raise InputError(_check.unknown("Option", option, known, f"belongs to none of {', '.join(found)}"))
    return found


def _option_names(info: TaskInfo) -> set[str]:
    fields = set(info.task_params)
    return fields | {ALIASES[f] for f in fields if f in ALIASES} | {f"baseline_{name}" for name in info.baseline_params}


def _under_own_names(fields: Iterable[str], given: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name in fields:
        names = [n for n in (name, ALIASES.get(name, name)) if _check.is_given(given.get(n))]
        if len(set(names)) > 1:
            raise InputError(f"`{name}` and `{ALIASES[name]}` are one option under two names; pass one of them.")
        if names:
            found[name] = given[names[0]]
    return found


def check_number(wanted: Mapping[str, Wanted], n: int) -> None:
    """Refuse a number of data sets that suits none of the tasks."""
    errors = [_wrong_number(one.info, n) for one in wanted.values()]
    if all(errors):
        raise InputError(errors[0])


def _wrong_number(info: TaskInfo, n: int) -> str:
    if info.requires_multiple_datasets == (n > 1):
        return ""
    expected = "at least two data sets" if info.requires_multiple_datasets else "one data set"
    return f"Task {info.name!r} must be given {expected}, got {n:,}."


def plan_all(
    wanted: Mapping[str, Wanted], cells: list[Cells], seeds_given: bool = False
) -> tuple[list[Plan], list[Failure]]:
    """Build the tasks' inputs; a task that refuses its own is a failure unless all do.

    Seeds that were given draw the target genes of a perturbation data set too; otherwise its own seed does.
    """
    plans, failures, errors = [], [], []
    for key, one in wanted.items():
        try:
            plans.append(_plan(one, cells, seeds_given))
        except BAD_INPUT as error:
            errors.append(error)
            failures.append(Failure(task=key, reason=str(error)))
    if not plans:
        raise errors[0]
    return plans, failures


def _plan(wanted: Wanted, cells: list[Cells], seeds_given: bool) -> Plan:
    info = wanted.info
    many = info.requires_multiple_datasets
    if wrong := _wrong_number(info, len(cells)):
        raise InputError(wrong)
    cls = wanted.task_class
    defaults = {
        name: _default(field, cells, many) for name, field in info.task_params.items() if name not in wanted.options
    }
    defaults = {name: value for name, value in defaults.items() if value is not None}
    asked = {
        name: {**wanted.options, **defaults}[name]
        for name in info.task_params
        if name in {**wanted.options, **defaults}
    }
    values = {name: _value(info.task_params[name], value, cells, many) for name, value in asked.items()}
    compared = {}
    if "metrics" in asked and not many:
        has_batch = any(getattr(field.role, "of", None) == "batch" for field in info.task_params.values())
        lacks = () if has_batch else ("batch",)
        compared = compared_with(set(info.task_params) - set(values), asked["metrics"], cells[0], lacks, values)
        values |= {name: default.value for name, default in compared.items()}
        defaults |= {name: default.reference for name, default in compared.items() if default.value is not None}
    if cls.__module__.startswith("czbenchmarks."):  # tasks of others take the containers that clients know
        values = _with_names(info, values, cells, many)
    task_input = cls.input_model(**values)
    task_input._unusable = {name: default.unusable for name, default in compared.items() if default.unusable}
    data = next((value for name, value in values.items() if isinstance(info.task_params[name].role, Data)), None)
    return Plan(
        info.name,
        cls,
        task_input,
        cls.baseline_model(**wanted.baseline_options),
        {name: described(value) for name, value in wanted.options.items()},
        {name: described(value) for name, value in defaults.items()},
        [_choice(name, value) for name, value in defaults.items() if isinstance(info.task_params[name].role, PerCell)]
        + [default.choice for default in compared.values() if default.choice],
        data_under_seeds(cells[0].source, data)
        if seeds_given and data is not None and data is cells[0].adata
        else None,
    )


def _choice(name: str, references: Any) -> str:
    """Say which column a default chose."""
    columns = [str(one).removeprefix("@obs:") for one in (references if isinstance(references, list) else [references])]
    named = " and ".join(map(repr, dict.fromkeys(columns)))
    return f"no `{name}` named, so the column {named} of obs was used"


def _default(field: TaskParameter, cells: list[Cells], many: bool) -> Any:
    """Return what a field gets unless it is given: as a reference, or None to leave it to the task."""
    if not field.required:
        return field.default
    found: list[Any]
    role = field.role
    if isinstance(role, Species):
        found = [one.organism for one in cells]
    elif isinstance(role, Data):
        found = ["@"] * len(cells)
    elif isinstance(role, Table) and role.of:
        found = [f"@{role.of}"] * len(cells)
    elif isinstance(role, PerCell) and role.default:
        found = []
        for one in cells:
            # A data set object may know its own column of labels.
            column = one.label_column if role.default == "cell_type" else role.default
            if column not in one.columns:
                verdict = f"(the default of `{field.name}`; name another with it) is not in obs"
                raise InputError(_check.unknown("Column", column, one.columns, verdict))
            found.append(f"@obs:{column}")
    else:
        return None
    return found if many else found[0]


def _value(field: TaskParameter, value: Any, cells: list[Cells], many: bool) -> Any:
    """Turn an option into what the task's input model takes: references become what they name."""
    role = field.role
    if not isinstance(role, (PerCell, Matrix, Table, Index, Data, Species)):
        return value
    if not many:
        return _resolved(field.name, role, value, cells, 0)
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    everywhere = len(values) == 1 and isinstance(values[0], str) and re.match(r"@\d", values[0]) is None
    if everywhere and not isinstance(role, Species):
        values *= len(cells)
    if len(values) != len(cells):
        raise InputError(f"`{field.name}` must be given once per data set: expected {len(cells)}, got {len(values)}.")
    return [_resolved(field.name, role, one, cells, i) for i, one in enumerate(values)]


def _resolved(name: str, role: Value, value: Any, cells: list[Cells], position: int) -> Any:
    if isinstance(role, Species):
        from czbenchmarks.datasets.types import Organism

        # The established client writes an organism as NAME:PREFIX.
        return Organism(value.partition(":")[0]) if isinstance(value, str) else value
    where = cells[position]
    if isinstance(value, str):
        if isinstance(role, Matrix) and not value.startswith("@"):
            raise InputError(
                f"`{name}` must be a reference into the data, such as @obsm:X_pca or @X, got {shown(value)!r}; "
                "put what is in a file of its own into obsm or layers of the data."
            )
        where, reference = reference_for(value, cells, position)
        if isinstance(role, Genes) and role.column_of == "var" and not reference.startswith("@"):
            reference = f"@var:{reference}"
        value = look_up(where, reference)
    elif isinstance(role, (PerCell, Table, Matrix)):
        value = where.taken(value, name)
    if isinstance(role, Index):
        import pandas as pd

        return pd.Index(value)
    return value


def _with_names(info: TaskInfo, values: dict[str, Any], cells: list[Cells], many: bool) -> dict[str, Any]:
    """Return the fields of a task with what is told of each cell coded, once for all tasks, and named by the cells."""
    found = dict(values)
    for name, value in values.items():
        role = info.task_params[name].role
        if not isinstance(role, PerCell) or value is None:
            continue
        named = [
            where.once(f"named {id(one)}", partial(_named, one, role, where))[1]
            for one, where in zip(value if many else [value], cells, strict=True)
        ]
        found[name] = named if many else named[0]
    return found


def _named(value: Any, role: PerCell, cells: Cells) -> tuple[Any, Any]:
    """Return values of cells beside what they were (whose address is their name): coded once, with the cells' names.

    What cannot be coded is left as it is: the task refuses it in its own words.
    """
    import pandas as pd

    names = cells.names
    with suppress(*BAD_INPUT):
        if role.names_groups:
            return value, replace(_check.labels(value, "labels", cells.n), ids=names.to_numpy())
        array = _check.one_dimensional(value, "labels")
        return value, pd.Series(array, index=names) if len(array) == cells.n else value
    return value, value


def described(value: Any) -> Any:
    """Say in JSON what was given: text and numbers as they are, addresses as shown, anything larger by its kind."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (str, Path)) or type(value).__name__ == "Organism":
        return shown(value)
    if isinstance(value, (int, float, bool, type(None))):
        return value
    if isinstance(value, (list, tuple)) and len(value) < 10:
        return [described(one) for one in value]
    size = f" of {len(value):,}" if isinstance(value, (list, tuple)) else ""
    return _check.kind_of(value) + size
