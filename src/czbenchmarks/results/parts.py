"""What a record is made of: scores, failures, checks, what was asked and what it cost."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Dict, List, Literal, Optional

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, PrivateAttr, model_validator

from czbenchmarks.metrics.types import metrics_registry

from .over_seeds import over_seeds, rows_of_seeds

if TYPE_CHECKING:
    from czbenchmarks.metrics.types import MetricResult

Number = Annotated[
    float,
    BeforeValidator(lambda value: math.nan if value is None else value),
    PlainSerializer(lambda value: value if math.isfinite(value) else None, return_type=Optional[float]),
]
"""A number that may be missing: NaN in memory, null in JSON."""


def plain(value: Any) -> Any:
    """Return what JSON holds: a task of somebody's own may give NumPy's numbers."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one) for one in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


class Part(BaseModel):
    """A part of a record: it does not change, and says what it does not know by leaving it out."""

    def __eq__(self, other: object) -> bool:
        """Compare what is stored: a score without a value equals itself, and what is in memory only counts not."""
        return type(self) is type(other) and self.model_dump(mode="json") == other.model_dump(mode="json")

    __hash__ = None  # type: ignore[assignment]

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_serialization_defaults_required=True)


class Score(Part):
    """One score: which task gave it for which embedding, over one seed or several.

    Attributes
    ----------
    task
        Registry key of the task.
    embedding
        Name of the embedding, or ``"baseline"``.
    metric_type
        The metric's key.
    value
        The value; over several seeds the mean of those that have one. NaN (null in JSON) where there is none.
    params
        What tells this score from others of the same metric (classifier, condition, …).
    reason
        Why there is no value.
    counts
        Units used and left out; over several seeds the means.
    details
        What was chosen on the way. Of what differs between seeds, `by_seed` holds each.
    n_values
        Number of seeds that gave a value.
    value_std_dev
        Standard deviation over seeds (n - 1 in the denominator); None with fewer than two.
    values_raw
        The value of every seed, in the order of the seeds.
    interval
        Reserved: an interval for the value.
    breakdowns
        What the value is made of, row by row: by label, batch, resolution; with the seed where seeds differ.
    failed
        Whether a value is missing that should be there, under one seed at least: the input was bad or missing, or the
        metric was asked for by name. False for a metric of a preset that is not defined on the data. Records of before
        there was a difference do not say: every missing value counts.
    task_version
        Version of the task, raised when a number changes; None in records that do not say.
    metric_version
        That of the metric.
    """

    task: str
    embedding: str
    metric_type: str
    value: Number
    params: Dict[str, Any] = Field(default_factory=dict)
    reason: Optional[str] = None
    counts: Optional[Dict[str, int]] = None
    details: Optional[Dict[str, Any]] = None
    n_values: int
    value_std_dev: Optional[float] = None
    values_raw: List[Number]
    interval: Optional[Dict[str, Any]] = None
    breakdowns: Optional[List[Dict[str, Any]]] = None
    failed: bool = False
    task_version: Optional[int] = None
    metric_version: Optional[int] = None
    _results: Sequence[MetricResult] = PrivateAttr(default=())

    @model_validator(mode="before")
    @classmethod
    def _failed_unless_said(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "failed" in given or not {"n_values", "values_raw"} <= set(given):
            return given
        return {**given, "failed": given["n_values"] < len(given["values_raw"])}

    @classmethod
    def of(
        cls,
        task: str,
        embedding: str,
        results: Sequence[MetricResult],
        *,
        seeds: Sequence[int] = (),
        task_version: int | None = None,
    ) -> Score:
        """Make a score of one metric's results, one result per seed.

        Parameters
        ----------
        task
            Registry key of the task.
        embedding
            Name of the embedding.
        results
            The same score under every seed.
        seeds
            The seeds, where there are several.
        task_version
            Version of the task.
        """
        values = [result.value if math.isfinite(result.value) else math.nan for result in results]
        defined = [value for value in values if not math.isnan(value)]
        reasons = dict.fromkeys(
            result.reason
            or (
                None
                if math.isfinite(result.value)
                else f"{result.metric_type.value} is {result.value}, without a reason"
            )
            for result in results
        )
        known = [result for result in results if math.isfinite(result.value)] or list(results[:1])
        counts, details = over_seeds([one.counts for one in known], [plain(one.details) for one in known])
        score = cls(
            task=task,
            embedding=embedding,
            metric_type=results[0].metric_type.value,
            value=(defined[0] if len(values) == 1 else statistics.fmean(defined)) if defined else math.nan,
            params=plain(known[0].params or {}),
            reason="; ".join(reason for reason in reasons if reason) or None,
            counts=counts,
            details=details,
            breakdowns=rows_of_seeds([plain(one.breakdowns) for one in results], seeds) or None,
            n_values=len(defined),
            value_std_dev=statistics.stdev(defined) if len(defined) > 1 else None,
            values_raw=values,
            failed=any(not math.isfinite(result.value) and not result.undefined for result in results),
            task_version=task_version,
            metric_version=metrics_registry.declaration(results[0].metric_type).version,
        )
        score._results = tuple(results)
        return score

    @property
    def results(self) -> Sequence[MetricResult]:
        """The results behind the score, one per seed, with the values of their units; in memory only."""
        return self._results

    @property
    def key(self) -> str:
        """What names the score among those of its task and embedding: metric and parameters."""
        return f"{self.metric_type}({', '.join(f'{name}={value!r}' for name, value in sorted(self.params.items()))})"


class Failure(Part):
    """What gave no scores, and why.

    Attributes
    ----------
    task
        Registry key of the task.
    embedding
        Name of the embedding; None if the task's input was refused before any was scored.
    reason
        One sentence.
    """

    task: str
    embedding: Optional[str] = None
    reason: str


class JobFacts(Part):
    """One task on one embedding under one seed, as it was computed.

    Attributes
    ----------
    id
        SHA-256 of all that its scores depend on; equal jobs have equal ids, whenever and wherever they run.
    task
        Registry key of the task.
    embedding
        Name of the embedding, or ``"baseline"``.
    seed
        The seed; a task that draws nothing has one job for all seeds, and no seed.
    state
        ``"done"``, ``"undefined"`` (no score is defined on the data) or ``"failed"``.
    seconds
        How long it took.
    memory_mib
        The most memory the process has held until its end; None where the system does not tell.
    """

    id: str
    task: str
    embedding: str
    seed: Optional[int] = None
    state: Literal["done", "undefined", "failed"]
    seconds: float
    memory_mib: Optional[float] = None


class CheckResult(Part):
    """What a trust check says of an embedding.

    Attributes
    ----------
    embedding
        Name of the embedding.
    name
        Name of the check.
    verdict
        ``"ok"``, ``"look"`` (there is a reason to doubt scores) or ``"not checked"``.
    sentence
        What was found, with its numbers.
    table
        The numbers behind it, row by row.
    details
        What was chosen on the way.
    """

    embedding: str
    name: str
    verdict: Literal["ok", "look", "not checked"]
    sentence: str
    table: Annotated[List[Dict[str, Any]], BeforeValidator(plain)] = Field(default_factory=list)
    details: Annotated[Dict[str, Any], BeforeValidator(plain)] = Field(default_factory=dict)


class AskedOfTask(Part):
    """Options of one task in a run.

    Attributes
    ----------
    given
        Options the user gave; arrays are described by kind and shape.
    defaulted
        What the others were.
    sha256
        Of the content of options that are labels, arrays or tables.
    """

    given: Dict[str, Any] = Field(default_factory=dict)
    defaulted: Dict[str, Any] = Field(default_factory=dict)
    sha256: Dict[str, str] = Field(default_factory=dict)


class RunSpecification(Part):
    """What was asked.

    Attributes
    ----------
    tasks
        Registry keys of the tasks, with their options.
    data
        Every data set: where it came from, number of cells, SHA-256 and of what (`sha256_of`); of a data set object
        its organism and all its `settings`. Target genes of perturbations are drawn by its own `random_seed`, or by
        the seeds of the run, which then are `target_gene_seeds`; `prepared_with` is what loaded data say of that.
    embeddings
        Every embedding, once per data set: where it came from, shape, SHA-256, how it was aligned.
    baseline
        Options of the tasks' baselines; None if none was asked for.
    random_seeds
        The seeds.
    allow_missing_cells
        Whether cells that data and embeddings do not share were left out.
    neighbors
        How nearest cells were to be found: exact, approximate, auto, or the reference of those that were given. Records
        of before there was a choice do not say: exact.
    supervised
        Embeddings that the user declared to be made with the labels.
    """

    tasks: Dict[str, AskedOfTask] = Field(default_factory=dict)
    data: List[Dict[str, Any]] = Field(default_factory=list)
    embeddings: Dict[str, List[Dict[str, Any]]] = Field(default_factory=dict)
    baseline: Optional[Dict[str, Dict[str, Any]]] = None
    random_seeds: List[int] = Field(default_factory=list)
    allow_missing_cells: bool = False
    neighbors: str = "exact"
    supervised: List[str] = Field(default_factory=list)

    @property
    def data_names(self) -> list[str]:
        """How the data sets are called: as in the catalogue, else by their files."""
        return [str(facts.get("name") or facts.get("path") or facts.get("source")) for facts in self.data]


class RuntimeMetrics(Part):
    """What the run cost.

    Attributes
    ----------
    elapsed_time_secs
        Seconds of the whole run.
    max_memory_mib
        The most memory the process has held until its end; None where the system does not tell.
    phases
        Seconds by phase: reading, baseline, every task, hashing.
    """

    elapsed_time_secs: float
    max_memory_mib: Optional[float] = None
    phases: Dict[str, float] = Field(default_factory=dict)
