"""Metric results, and the registry that computes metrics by name."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, List, Literal, Optional, Set

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, PrivateAttr, field_serializer, field_validator

from czbenchmarks import _lazy
from czbenchmarks._check import kind_of, unknown
from czbenchmarks.exceptions import InputError, InputTypeError

from .catalogue import Declaration as Declaration
from .catalogue import MetricType as MetricType
from .catalogue import declare as declare


@dataclass(frozen=True)
class Units:
    """The values a score is made of, one per unit: what intervals and breakdowns are computed from.

    Attributes
    ----------
    kind
        What a unit is: ``"cell"``, ``"out-of-fold prediction"``, ``"condition"``.
    ids
        What names each unit.
    values
        One value per unit, NaN where it has none; None where the score is not made of unit values. The score is their
        mean (or a mean of means over labels or folds) before any clipping, or what `summary` says.
    columns
        What else is known per unit, as arrays of the same length (true and predicted label, fold, …).
    summary
        ``"mean"``, or ``"median"`` where the score is the median of the values that are not NaN.
    """

    kind: str
    ids: NDArray[Any]
    values: NDArray[np.float64] | None = None
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    summary: Literal["mean", "median"] = "mean"


@dataclass(frozen=True)
class Measurement:
    """What a metric gives: a value and how it came about.

    Attributes
    ----------
    value
        NaN where the metric is not defined; `reason` then says why.
    reason
        Why there is no value.
    units
        The values of its units, where it has them.
    counts
        How many units were used and left out, and the like.
    details
        What was chosen on the way (number of neighbours, engine, …).
    breakdowns
        A table, row by row: what the value is made of, by label, batch or resolution. Its rows may have other numbers
        beside (cells, neighbours); plain text and numbers only, NaN where there is none.
    failed
        Whether a value is missing that the metric's own definition gives, or nobody knows why there is none.
    """

    value: float
    reason: str | None = None
    units: Units | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    breakdowns: Sequence[Mapping[str, Any]] = ()
    failed: bool = False

    @classmethod
    def undefined(cls, reason: str, **more: Any) -> Measurement:
        """Return a measurement without a value, which the metric's own definition does not give."""
        return cls(math.nan, reason, **more)


class MetricInfo(BaseModel):
    """What the registry knows about a metric."""

    func: Callable[..., Any]
    required_args: Set[str]
    default_params: Dict[str, Any]
    description: Optional[str] = None
    tags: Set[str] = None  # type: ignore[assignment]


class MetricResult(BaseModel):
    """One score of a task.

    Attributes
    ----------
    metric_type
        The metric.
    value
        Its value; NaN (null in JSON) where it is not defined, with a `reason`.
    params
        What tells this score from others of the same metric (classifier, condition, …).
    reason
        Why there is no value.
    counts
        Units used and left out.
    details
        What was chosen on the way.
    """

    metric_type: MetricType
    value: float
    params: Optional[Dict[str, Any]] = Field(default_factory=dict)
    reason: Optional[str] = None
    counts: Optional[Dict[str, int]] = None
    details: Optional[Dict[str, Any]] = None
    _undefined: bool = PrivateAttr(default=False)
    _units: Optional[Units] = PrivateAttr(default=None)
    _breakdowns: List[Dict[str, Any]] = PrivateAttr(default_factory=list)

    @field_validator("value", mode="before")
    @classmethod
    def _null_is_nan(cls, value: Any) -> Any:
        return math.nan if value is None else value

    @field_serializer("value", when_used="json")
    def _nan_is_null(self, value: float) -> Optional[float]:
        return None if math.isnan(value) else value

    def __eq__(self, other: object) -> bool:
        """Compare what is stored: the units live in memory only."""
        return self.__dict__ == other.__dict__ if isinstance(other, MetricResult) else NotImplemented

    @property
    def undefined(self) -> bool:
        """Whether the metric does not define a value, and nobody asked for it by name: no failure. In memory only."""
        return self._undefined

    @property
    def units(self) -> Units | None:
        """The values of the score's units, in memory only."""
        return self._units

    @property
    def breakdowns(self) -> list[dict[str, Any]]:
        """What the value is made of, row by row: by label, batch, resolution. A record keeps it with the score."""
        return self._breakdowns

    @property
    def aggregation_key(self) -> str:
        """A key of metric and parameters: results with the same key are repetitions of one score.

        Examples
        --------
        >>> MetricResult(metric_type=MetricType.ACCURACY, value=1.0, params={"classifier": "lr"}).aggregation_key
        'MetricType.ACCURACY(classifier-lr)'
        """
        params = "_".join(f"{name}-{value}" for name, value in sorted((self.params or {}).items()))
        return f"{self.metric_type}({params})"


class AggregatedMetricResult(BaseModel):
    """Mean and deviation of one score over repetitions."""

    metric_type: MetricType
    params: Optional[Dict[str, Any]] = Field(default_factory=dict)
    n_values: int
    value: float
    value_std_dev: float | None
    values_raw: list[float]

    @field_validator("value", mode="before")
    @classmethod
    def _null_is_nan(cls, value: Any) -> Any:
        return math.nan if value is None else value

    @field_validator("values_raw", mode="before")
    @classmethod
    def _nulls_are_nan(cls, values: Any) -> Any:
        return [math.nan if value is None else value for value in values]


class MetricRegistry:
    """Computes metrics by name; ``metrics_registry`` is the one everybody shares."""

    def __init__(self) -> None:
        self._rows: dict[MetricType, Declaration] = {}

    def register(
        self,
        metric_type: MetricType,
        func: Callable[..., Any],
        required_args: Optional[Set[str]] = None,
        default_params: Optional[Dict[str, Any]] = None,
        description: str = "",
        tags: Optional[Set[str]] = None,
    ) -> None:
        """Set the function behind a metric.

        Parameters
        ----------
        metric_type
            The metric.
        func
            The function, called with keyword arguments.
        required_args
            Arguments without which it cannot be computed.
        default_params
            Arguments passed unless given.
        description
            What a good value says.
        tags
            Subjects it belongs to.
        """
        if not isinstance(metric_type, MetricType):
            raise InputTypeError(
                f"`metric_type` must be a MetricType, got {metric_type!r}; add one with register_metric."
            )
        if not callable(func):
            raise InputTypeError(f"`func` must be callable, got {func!r}.")
        old = metric_type.declaration
        self._rows[metric_type] = replace(
            old, function=func, needs=tuple(required_args or ()), tags=tuple(tags or ()), about=description,
            reference="", defaults=dict(default_params or {}), chance="", pitfalls="",
        )  # fmt: skip

    def declaration(self, metric_type: MetricType) -> Declaration:
        """Return the row of a metric."""
        if not isinstance(metric_type, MetricType):
            known = [member.value for member in MetricType]
            raise InputError(unknown("Unknown metric type:", metric_type, known, ""))
        return self._rows.get(metric_type, metric_type.declaration)

    def compute(self, metric_type: MetricType, **kwargs: Any) -> Any:
        """Return the value of a metric.

        Parameters
        ----------
        metric_type
            The metric.
        **kwargs
            The metric's arguments; see ``get_info(metric_type).required_args``.

        Returns
        -------
        A number, NaN where the metric is not defined (``measure`` says why); or what the function behind the metric
        returns (SciPy's result object for Pearson's correlation).

        Raises
        ------
        ValueError
            If the metric is unknown, or an argument is missing or bad.

        Examples
        --------
        >>> metrics_registry.compute(MetricType.JACCARD, y_true={"a"}, y_pred={"a", "b"})
        0.5
        """
        return _plain(self._call(metric_type, kwargs))

    def measure(self, metric_type: MetricType, **kwargs: Any) -> Measurement:
        """Return the value of a metric with its units, counts and, where it has no value, the reason."""
        found = self._call(metric_type, kwargs)
        if isinstance(found, Measurement):
            return found
        try:
            value = float(getattr(found, "statistic", found))
        except (TypeError, ValueError):
            name = getattr(metric_type, "value", metric_type)
            raise InputTypeError(f"Metric {name!r} must return a number, got {kind_of(found)}; correct it.") from None
        if math.isfinite(value):
            return Measurement(value)
        name = getattr(metric_type, "value", metric_type)
        why = "as it does where all values are equal, or a group is empty or has one member"
        return Measurement(value, f"the function of {name} gave {value} for this input, {why}", failed=True)

    def _call(self, metric_type: MetricType, kwargs: Dict[str, Any]) -> Any:
        row = self.declaration(metric_type)
        arguments = {**row.defaults, **kwargs}
        missing = sorted(set(row.needs) - set(arguments))
        if missing:
            raise InputError(f"Missing required arguments for {metric_type}: {', '.join(missing)}.")
        function = self._function(row)
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except ValueError:  # a builtin without a signature checks its own arguments
            return function(**arguments)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            names = [p.name for p in parameters]
            for name in arguments:
                if name not in names:
                    raise InputTypeError(unknown(f"Argument of {metric_type}", name, names))
        module = getattr(function, "__module__", None) or ""
        if module.startswith("czbenchmarks") and module != "czbenchmarks.metrics.implementations":
            return function(**arguments)
        try:
            return function(**arguments)
        except (ValueError, TypeError) as error:
            needed = " and ".join(f"`{name}`" for name in row.needs)
            why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            kind = InputTypeError if isinstance(error, TypeError) else InputError
            raise kind(f"{needed} must suit {metric_type}, which refused them: {why}.") from None

    @staticmethod
    def _function(row: Declaration) -> Callable[..., Any]:
        found: Callable[..., Any] = _lazy.load(row.function) if isinstance(row.function, str) else row.function
        return found

    def get_info(self, metric_type: MetricType) -> MetricInfo:
        """Return what is known about a metric."""
        row = self.declaration(metric_type)
        function = self._function(row)

        @functools.wraps(function)
        def func(*args: Any, **kwargs: Any) -> Any:
            return _plain(function(*args, **kwargs))

        return MetricInfo(
            func=func, required_args=set(row.needs), default_params=dict(row.defaults),
            description=row.about, tags=set(row.tags),
        )  # fmt: skip

    def list_metrics(self, tags: Optional[Set[str]] = None) -> Set[MetricType]:
        """Return all metrics, or those that bear every one of `tags`."""
        return {m for m in MetricType if not tags or set(tags) <= set(self.declaration(m).tags)}


def _plain(found: Any) -> Any:
    return found.value if isinstance(found, Measurement) else found


metrics_registry = MetricRegistry()


def register_metric(
    key: str,
    function: Callable[..., Any] | str,
    *,
    needs: str,
    about: str,
    range: tuple[float, float] = (-math.inf, math.inf),
    best: float = math.inf,
    tags: str = "",
    reference: str = "",
    chance: float | str = "",
    pitfalls: str = "",
    **defaults: Any,
) -> MetricType:
    """Add a metric of your own to the catalogue.

    Parameters
    ----------
    key
        Its name in results: lower case, digits and underscores.
    function
        A function that returns a number or a ``Measurement``, or ``"module:function"``.
    needs
        Names of its required arguments, separated by spaces.
    about
        One sentence: what a good value says.
    range, best
        Least and greatest value; the value of a perfect result.
    tags
        Subjects it belongs to, separated by spaces.
    reference
        Paper or DOI.
    chance
        What an embedding (or prediction) that knows nothing gets: a number, or words where it depends on the data.
    pitfalls
        One sentence: when a good value is not good news.
    **defaults
        Arguments passed unless given.

    Returns
    -------
    The new member of ``MetricType``.

    Examples
    --------
    >>> spread = register_metric("spread", lambda X: float(X.std()), needs="X", about="Cells are spread out.")
    >>> import numpy as np
    >>> metrics_registry.compute(spread, X=np.array([[0.0], [2.0]]))
    1.0
    """
    if not isinstance(key, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", key):
        raise InputError(f"`key` must be lower-case letters, digits and underscores, got {key!r}.")
    if not callable(function) and not (isinstance(function, str) and function.count(":") == 1):
        raise InputTypeError(f"`function` must be callable or 'module:function', got {function!r}.")
    declaration = declare(
        function, needs=needs, tags=tags, range=range, best=best, about=about, reference=reference, chance=chance,
        pitfalls=pitfalls, **defaults,
    )  # fmt: skip
    if key in [member.value for member in MetricType] or key.upper() in MetricType.__members__:
        raise InputError(f"`key` must be new, got {key!r}, which is a metric already; choose another name.")
    return MetricType.extend(key, declaration)
