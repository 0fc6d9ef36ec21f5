"""What a metric gives: a value with its units, counts and reason, and the score that a task makes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, List, Literal, Optional

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, PrivateAttr, field_serializer, field_validator

from .catalogue import MetricType

if TYPE_CHECKING:
    import pandas as pd

UnitKind = Literal["cell", "held-out prediction", "condition", "label", "batch", "gene"]
"""What a unit of a score can be."""


@dataclass(frozen=True)
class Units:
    """The values a score is made of, one per unit: what intervals and breakdowns are computed from.

    Attributes
    ----------
    kind
        What a unit is, one of ``UnitKind``.
    ids
        What names each unit.
    values
        One value per unit, NaN where it has none; None where the score is not made of unit values. The score is their
        mean (or a mean of means over labels or folds) before any clipping, or what `summary` says.
    columns
        What else is known per unit, as arrays of the same length (true and predicted label, fold, …).
    summary
        ``"mean"``, or ``"median"`` where the score is the median of the values that are not NaN.
    groups
        Columns whose groups count the same, whatever their size: with label and batch, the score is the mean over
        labels of the mean over a label's batches of the mean over their units.
    labels
        Names of the labels that the columns `true` and `predicted` hold as codes (-1: none), in the order of those
        of the column `probabilities`, units x labels.
    """

    kind: UnitKind
    ids: NDArray[Any]
    values: NDArray[np.float64] | None = None
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    summary: Literal["mean", "median"] = "mean"
    groups: tuple[str, ...] = ()
    labels: NDArray[Any] | None = None

    def frame(self) -> pd.DataFrame:
        """Return a row for every unit: its name, kind and value (NaN where it has none), and the other columns.

        Examples
        --------
        >>> Units("cell", np.array(["AAAC", "AAAG"]), np.array([0.5, np.nan])).frame()
           unit  kind  value
        0  AAAC  cell    0.5
        1  AAAG  cell    NaN
        """
        import pandas as pd

        values = np.full(len(self.ids), np.nan) if self.values is None else self.values
        table: dict[str, Any] = {"unit": self.ids, "kind": self.kind, "value": values}
        names = None if self.labels is None else np.array([*self.labels, None], dtype=object)
        for name, column in self.columns.items():
            if names is not None and name == "probabilities":
                table |= {f"probability of {label}": column[:, i] for i, label in enumerate(names[:-1])}
            else:
                table[name] = names[column] if names is not None and name in ("true", "predicted") else column
        return pd.DataFrame(table)

    def score(self) -> float:
        """Return the score that the values make, before any clipping; NaN without values.

        Examples
        --------
        >>> of_two = {"label": np.array([0, 0, 0, 1])}
        >>> Units("cell", np.arange(4), np.array([1.0, 1.0, 1.0, 0.0]), of_two, groups=("label",)).score()
        0.5
        """
        if self.values is None or not np.isfinite(self.values).any():
            return math.nan
        if not self.groups:
            return float(np.nanmedian(self.values) if self.summary == "median" else np.nanmean(self.values))
        found, names = self.frame(), list(self.groups)
        while names:
            found = found.groupby(names)["value"].mean().reset_index()
            names = names[:-1]
        return float(found["value"].mean())


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
