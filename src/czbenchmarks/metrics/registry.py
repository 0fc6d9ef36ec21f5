"""The registry that computes metrics by name."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Dict, Optional, Set

from pydantic import BaseModel

from czbenchmarks._check import kind_of, unknown
from czbenchmarks.exceptions import InputError, InputTypeError

from .catalogue import MetricType
from .declaration import Declaration, declare
from .results import Measurement


class MetricInfo(BaseModel):
    """What the registry knows about a metric."""

    func: Callable[..., Any]
    required_args: Set[str]
    default_params: Dict[str, Any]
    description: Optional[str] = None
    tags: Set[str] = None  # type: ignore[assignment]
    version: int = 1


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
            reference="", defaults=dict(default_params or {}), chance="", pitfalls="", outside=True,
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
        row, function, arguments = self._prepared(metric_type, kwargs)
        with _one_sentence(metric_type, row):
            return _plain(function(**arguments))

    def measure(self, metric_type: MetricType, **kwargs: Any) -> Measurement:
        """Return the value of a metric with its units, counts and, where it has no value, the reason."""
        row, function, arguments = self._prepared(metric_type, kwargs)
        with _one_sentence(metric_type, row):
            found = function(**arguments)
        return found if isinstance(found, Measurement) else _measured(metric_type, found)

    def _prepared(
        self, metric_type: MetricType, kwargs: Dict[str, Any]
    ) -> tuple[Declaration, Callable[..., Any], Dict[str, Any]]:
        """Return the row, the function and its checked arguments: ours are checked by the function itself."""
        row = self.declaration(metric_type)
        arguments = {**row.defaults, **kwargs}
        missing = sorted(set(row.needs) - set(arguments))
        if missing:
            raise InputError(f"Missing required arguments for {metric_type}: {', '.join(missing)}.")
        names, takes_others = row.signature
        if not takes_others:
            for name in arguments:
                if name not in names:
                    raise InputTypeError(unknown(f"Argument of {metric_type}", name, names))
        if row.foreign:
            from .inputs import plain_arguments  # and the kernels with it: who reads a record needs neither

            arguments = plain_arguments(row, arguments)
        return row, row.load(), arguments

    def get_info(self, metric_type: MetricType) -> MetricInfo:
        """Return what is known about a metric."""
        row = self.declaration(metric_type)
        function = row.load()

        @functools.wraps(function)
        def func(*args: Any, **kwargs: Any) -> Any:
            return _plain(function(*args, **kwargs))

        return MetricInfo(
            func=func, required_args=set(row.needs), default_params=dict(row.defaults),
            description=row.about, tags=set(row.tags), version=row.version,
        )  # fmt: skip

    def list_metrics(self, tags: Optional[Set[str]] = None) -> Set[MetricType]:
        """Return all metrics, or those that bear every one of `tags`."""
        return {m for m in MetricType if not tags or set(tags) <= set(self.declaration(m).tags)}


def _plain(found: Any) -> Any:
    return found.value if isinstance(found, Measurement) else found


def _measured(metric_type: MetricType, found: Any) -> Measurement:
    """Return what a function of another library gave as a measurement."""
    name = metric_type.value
    try:
        value = float(getattr(found, "statistic", found))
    except (TypeError, ValueError):
        raise InputTypeError(f"Metric {name!r} must return a number, got {kind_of(found)}; correct it.") from None
    if math.isfinite(value):
        return Measurement(value)
    why = "as it does where all values are equal, or a group is empty or has one member"
    return Measurement(value, f"the function of {name} gave {value} for this input, {why}", failed=True)


@contextmanager
def _one_sentence(metric_type: MetricType, row: Declaration) -> Iterator[None]:
    """Say in one sentence that a function of another library refused its arguments."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if not row.foreign:
            raise
        needed = " and ".join(f"`{name}`" for name in row.needs)
        why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        kind = InputTypeError if isinstance(error, TypeError) else InputError
        raise kind(f"{needed} must suit {metric_type}, which refused them: {why}.") from None


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
    version: int = 1,
    **defaults: Any,
) -> MetricType:
    """Add a metric of your own to the catalogue.

    Parameters
    ----------
    key
        Its name in results: lower case, digits and underscores.
    function
        A function that returns a number or a ``Measurement``, or ``"module:function"``. Tasks pass `random_seed` and
        `max_cells` if it has them.
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
    version
        Raise it when a number changes.
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
        pitfalls=pitfalls, version=version, **defaults,
    )  # fmt: skip
    if key in [member.value for member in MetricType] or key.upper() in MetricType.__members__:
        raise InputError(f"`key` must be new, got {key!r}, which is a metric already; choose another name.")
    return MetricType.extend(key, replace(declaration, outside=True))
