"""Which metrics a task computes: its published ones, presets, or any whose arguments it has."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, List

from pydantic import BeforeValidator, Field

from czbenchmarks import _check
from czbenchmarks._check import kind_of, same_length
from czbenchmarks.exceptions import BAD_INPUT, InputError, InputTypeError
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.presets import ALL, PRESETS, PUBLISHED, Preset, find, listed
from czbenchmarks.metrics.types import Measurement, MetricResult, MetricType, metrics_registry

from .fields import Metrics

if TYPE_CHECKING:
    from .task import Task, TaskInput

_OVERALL = {"bio": MetricType.BIO_CONSERVATION, "batch": MetricType.BATCH_CORRECTION}


@dataclass(frozen=True)
class Unusable:
    """Why what the data have for an argument cannot be used.

    Attributes
    ----------
    damaged
        Whether it could not even be read. That is a failure; data of another kind only do not allow a metric.
    """

    reason: str  # one sentence, without its full stop
    damaged: bool = False


def metric_names(value: Any) -> List[str]:
    """Accept one name, several, or several in one text separated by commas; refuse a name that nothing has."""
    several = [value] if isinstance(value, (str, MetricType)) else value
    if not isinstance(several, Iterable):
        raise InputTypeError(f"`metrics` must be names of metrics or presets, got {kind_of(value)}.")
    found: list[str] = []
    for one in several:
        if not isinstance(one, (str, MetricType)):
            raise InputTypeError(f"`metrics` must be names of metrics or presets, got {kind_of(one)} among them.")
        text = one.value if isinstance(one, MetricType) else one
        found += [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise InputError(f"`metrics` must name at least one metric or preset, got none; presets: {', '.join(PRESETS)}.")
    for name in found:
        find(name)
    return list(dict.fromkeys(found))


MetricsField = Annotated[
    List[str],
    BeforeValidator(metric_names),
    Metrics(
        help="Metrics to compute, by name or preset (published, scib, scib-fast, all); may be repeated. "
        "See czbenchmarks list metrics."
    ),
    Field(description=f"Metrics or presets to compute ({', '.join(PRESETS)}; see `czbenchmarks list metrics`)."),
]


def check_compared(task_input: Any, n: int) -> None:
    """Refuse what an embedding of n cells is compared with if it is of another number of cells."""
    for name in ("unintegrated", "expression", "corrected", "pseudotime"):
        value = getattr(task_input, name, None)
        if value is not None:
            same_length(value.n if isinstance(value, Representation) else len(value), n, name)


def draws(names: Iterable[str]) -> bool:
    """Tell whether the scores of a task input's `metrics` depend on a seed, beyond the published ones."""
    names = list(names)
    return any(find(name) is PRESETS[ALL] for name in names) or any(
        metrics_registry.declaration(metric).draws for metric in listed(names)
    )


def most_neighbors(names: Iterable[str], published: int, possible: Iterable[str]) -> int:
    """Return how many neighbours (the cell itself included) the metrics of a task with these arguments will ask for."""
    most, has = 0, set(possible)
    for name in names:
        one = find(name)
        if one is PRESETS[PUBLISHED]:
            most = max(most, published)
            continue
        some = [one] if isinstance(one, MetricType) else one.metrics or list(MetricType)
        rows = [metrics_registry.declaration(metric) for metric in some]
        most = max([most, *(row.neighbors for row in rows if set(row.asks) <= has)])
    return most


def arguments_asked(names: Iterable[str], lacks: Collection[str] = ()) -> tuple[set[str], set[str]]:
    """Return the arguments that metrics cannot do without, and those that would add metrics.

    What a metric asks for beside an argument that the task always `lacks` is of no use.
    """
    names = list(names)

    def asked(metrics: Iterable[MetricType]) -> set[str]:
        several = [metrics_registry.declaration(metric).asks for metric in metrics]
        return {argument for asks in several if not set(asks) & set(lacks) for argument in asks}

    needed = asked(listed(names))
    welcome = asked(MetricType) if any(find(name) is PRESETS[ALL] for name in names) else set()
    return needed, welcome - needed


def result_of(metric: MetricType, found: Measurement, params: dict[str, Any] | None = None) -> MetricResult:
    """Make a score of what a metric gave; `params` tell it from others of the same metric."""
    result = MetricResult(
        metric_type=metric,
        value=found.value,
        params=params or {},
        reason=found.reason,
        counts=dict(found.counts) or None,
        details=dict(found.details) or None,
    )
    result._units = found.units
    result._breakdowns = [dict(row) for row in found.breakdowns]
    return result


def scores(
    task: Task,
    task_input: TaskInput,
    published: Sequence[MetricType] | None = None,
    arguments: Mapping[str, Any] = MappingProxyType({}),
    **offered: Any,
) -> List[MetricResult]:
    """Compute the metrics that the input asks for, by its field `metrics`; without that field the published ones.

    What metrics may take goes by the names in their rows (`X`, `labels`, `batch`, …); None stands for what could have
    been given and was not. Any metric that needs no more can be asked for.

    Parameters
    ----------
    task_input
        The task's input.
    published
        What is computed by default; by default what the class says.
    arguments
        What metrics may take.
    **offered
        The same. What `offers` of the class names beside is the field of the input that is called so.
    """
    given = {**{name: getattr(task_input, name, None) for name in task.offers}, **arguments, **offered}
    unusable = task_input._unusable
    asked = {
        name: list(_members(task, name, task.published if published is None else published, given, unusable))
        for name in getattr(task_input, "metrics", (PUBLISHED,))
    }
    # What is asked for by name is refused if its input is bad; of a set the others are worth having.
    by_name = {
        metric
        for name, metrics in asked.items()
        if isinstance(find(name), MetricType) or find(name) is PRESETS[PUBLISHED]
        for metric in metrics
    }
    coded = _coded(given)
    found: dict[MetricType, MetricResult] = {}
    for metric in dict.fromkeys(metric for metrics in asked.values() for metric in metrics):
        if reason := _lacks(metric, given, unusable):
            found[metric] = MetricResult(metric_type=metric, value=math.nan, reason=reason)
            continue
        try:
            measured = metrics_registry.measure(metric, **_taken(metric, given, coded, task.random_seed))
        except InputError as error:
            if metric in by_name:
                raise
            found[metric] = MetricResult(metric_type=metric, value=math.nan, reason=str(error).rstrip("."))
            continue
        found[metric] = result = result_of(metric, measured)
        result._undefined = metric not in by_name and not measured.failed and math.isnan(measured.value)
    # What knows no batches (or no labels) has no total.
    totals = _with_totals(asked) if {"X", "labels", "batch"} <= set(given) else {}
    complete = {name: one for name, one in totals.items() if set(one.metrics) <= set(found)}
    return [*found.values(), *(one for name in complete for one in _overall(task, name, complete[name], found))]


def _with_totals(names: Iterable[str]) -> dict[str, Preset]:
    """Return the presets with means and a total among those asked for, under their own names."""
    found: dict[str, Preset] = {}
    for name in names:
        for one in map(find, PRESETS if find(name) is PRESETS[ALL] else [name]):
            if isinstance(one, Preset) and one.overall:
                found[next(key for key, preset in PRESETS.items() if preset is one)] = one
    return found


def _members(
    task: Task,
    name: str,
    published: Sequence[MetricType],
    arguments: Mapping[str, Any],
    unusable: Mapping[str, Unusable],
) -> Iterable[MetricType]:
    """Return the metrics that a name stands for in a task."""
    found = find(name)
    if found is PRESETS[PUBLISHED]:
        return published
    possible, given = set(arguments), {key for key, value in arguments.items() if value is not None}
    if isinstance(found, MetricType):
        asks = set(metrics_registry.declaration(found).asks)
        if found in (*_OVERALL.values(), MetricType.SCIB_TOTAL):
            sets = [name for name, preset in PRESETS.items() if preset.overall]
            raise InputError(
                f"Metric {found.value!r} must come with the scores of a preset, got its name alone; ask for a preset "
                f"that has it: {' or '.join(sets)}."
            )
        if not asks <= possible:
            raise InputError(
                f"Metric {found.value!r} must have {_listed(asks - possible)}, which the task {task.display_name!r} "
                "does not take; score it with another task or leave it out."
            )
        if not asks <= given:
            raise InputError(f"Metric {found.value!r} must have {_listed(asks - given)}, got none; pass it.")
        return [found]
    if found is PRESETS[ALL]:
        rows = {metric: set(metrics_registry.declaration(metric).asks) for metric in MetricType}
        given |= {key for key, why in unusable.items() if why.damaged}  # their metrics are rows that say so
        return dict.fromkeys([*published, *(metric for metric, asks in rows.items() if asks <= given)])
    members = [metric for metric in found.metrics if set(metrics_registry.declaration(metric).asks) <= possible]
    if not members:
        raise InputError(
            f"`metrics` must name metrics that the task {task.display_name!r} has the arguments for, got {name!r}, "
            "which has none."
        )
    return members


def _listed(names: Iterable[str]) -> str:
    return " and ".join(f"`{name}`" for name in sorted(names))


def _lacks(metric: MetricType, arguments: Mapping[str, Any], unusable: Mapping[str, Unusable]) -> str:
    """Say what a metric needs and nobody gave; nothing if it has everything."""
    missing = [name for name in metrics_registry.declaration(metric).asks if arguments.get(name) is None]
    if not missing:
        return ""
    options = " ".join(f"--{name.replace('_', '-')}" for name in sorted(missing))
    why = [f"none was named, and {unusable[name].reason}, or" for name in missing if name in unusable]
    lacks = why[0] if why else "which was not given;"
    return f"it must have {_listed(missing)}, {lacks} pass {'it' if len(missing) == 1 else 'them'} ({options})"


def _coded(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments with their labels coded, once for all metrics; what is bad of them each says for itself."""
    found = dict(arguments)
    for name in ("labels", "batch", "labels_true", "labels_pred"):
        if found.get(name) is not None:
            with suppress(*BAD_INPUT):
                found[name] = _check.labels(found[name], name)
    return found


def _taken(metric: MetricType, arguments: Mapping[str, Any], coded: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return what a metric takes of a task's arguments, under its own names for them."""
    row = metrics_registry.declaration(metric)
    of = arguments if row.outside else coded  # functions registered from outside take what was passed
    given = {name: of[asked] for name, asked in zip(row.needs, row.asks, strict=True)}
    offered = {"max_cells": arguments.get("max_cells"), "random_seed": seed}
    return given | {name: offered[name] for name in row.takes}


def _overall(task: Task, name: str, preset: Preset, scores: Mapping[MetricType, MetricResult]) -> List[MetricResult]:
    found: dict[str, MetricResult] = {}
    for part, metric in _OVERALL.items():
        values = {
            one.value: scores[one].value for one in preset.metrics if metrics_registry.declaration(one).part == part
        }
        found[metric.value] = task.score(metric, {"preset": name}, scores=values)
    means = {key: result.value for key, result in found.items()}
    total = task.score(MetricType.SCIB_TOTAL, {"preset": name}, **means)
    left_out = [one for mean in found.values() for one in (mean.details or {}).get("scores_left_out", ())]
    if left_out and math.isfinite(total.value):
        total.details = {**(total.details or {}), "scores_left_out": left_out}
    several = [*found.values(), total]
    for result in several:  # what failed is one of the scores they are made of
        result._undefined = math.isnan(result.value)
    return several
