"""The record of one run: what was asked, what was scored, with which versions. It is what a run leaves behind."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Dict, List, Literal, Optional

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, PrivateAttr

from czbenchmarks import __version__

from . import _files
from ._notes import how_computed

if TYPE_CHECKING:
    import pandas as pd

    from czbenchmarks.metrics.types import MetricResult

SCHEMA_VERSION: Literal[1] = 1
BASELINE = "baseline"

Number = Annotated[
    float,
    BeforeValidator(lambda value: math.nan if value is None else value),
    PlainSerializer(lambda value: value if math.isfinite(value) else None, return_type=Optional[float]),
]
"""A number that may be missing: NaN in memory, null in JSON."""


def _plain(value: Any) -> Any:
    """Return what JSON holds: a task of somebody's own may give NumPy's numbers."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


class _Part(BaseModel):
    """A part of a record: it does not change, and says what it does not know by leaving it out."""

    def __eq__(self, other: object) -> bool:
        """Compare what is stored: a score without a value equals itself, and what is in memory only counts not."""
        return type(self) is type(other) and self.model_dump(mode="json") == other.model_dump(mode="json")

    __hash__ = None  # type: ignore[assignment]

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_serialization_defaults_required=True)


class Score(_Part):
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
        Units used and left out.
    details
        What was chosen on the way.
    n_values
        Number of seeds that gave a value.
    value_std_dev
        Standard deviation over seeds (n - 1 in the denominator); None with fewer than two.
    values_raw
        The value of every seed, in the order of the seeds.
    interval
        Reserved: an interval for the value.
    breakdowns
        What the value is made of, row by row: by label, batch, resolution.
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
    _results: Sequence[MetricResult] = PrivateAttr(default=())

    @classmethod
    def of(cls, task: str, embedding: str, results: Sequence[MetricResult]) -> Score:
        """Make a score of one metric's results, one result per seed.

        Parameters
        ----------
        task
            Registry key of the task.
        embedding
            Name of the embedding.
        results
            The same score under every seed.
        """
        values = [result.value if math.isfinite(result.value) else math.nan for result in results]
        defined = [value for value in values if not math.isnan(value)]
        reasons = dict.fromkeys(
            result.reason or (None if math.isfinite(result.value) else f"the value is {result.value}")
            for result in results
        )
        known = next((result for result in results if math.isfinite(result.value)), results[0])
        score = cls(
            task=task,
            embedding=embedding,
            metric_type=results[0].metric_type.value,
            value=(defined[0] if len(values) == 1 else statistics.fmean(defined)) if defined else math.nan,
            params=_plain(known.params or {}),
            reason="; ".join(reason for reason in reasons if reason) or None,
            counts=known.counts,
            details=_plain(known.details),
            breakdowns=_plain(known.breakdowns) or None,
            n_values=len(defined),
            value_std_dev=statistics.stdev(defined) if len(defined) > 1 else None,
            values_raw=values,
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


class Failure(_Part):
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


class AskedOfTask(_Part):
    """Options of one task in a run.

    Attributes
    ----------
    given
        Options the user gave; arrays are described by kind and shape.
    defaulted
        What the others were.
    """

    given: Dict[str, Any] = Field(default_factory=dict)
    defaulted: Dict[str, Any] = Field(default_factory=dict)


class RunSpecification(_Part):
    """What was asked.

    Attributes
    ----------
    tasks
        Registry keys of the tasks, with their options.
    data
        Every data set: where it came from, number of cells, SHA-256 and of what (`sha256_of`).
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
    """

    tasks: Dict[str, AskedOfTask] = Field(default_factory=dict)
    data: List[Dict[str, Any]] = Field(default_factory=list)
    embeddings: Dict[str, List[Dict[str, Any]]] = Field(default_factory=dict)
    baseline: Optional[Dict[str, Dict[str, Any]]] = None
    random_seeds: List[int] = Field(default_factory=list)
    allow_missing_cells: bool = False
    neighbors: str = "exact"


class RuntimeMetrics(_Part):
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


class RunRecord(_Part):
    """Everything one run gave. `write` and `read` keep it; `to_frame` shows it.

    Attributes
    ----------
    schema_version
        Version of this layout. Records of every released version load.
    timestamp
        When the run ended (UTC, ISO 8601).
    czbenchmarks_version
        The package that computed the scores.
    environment
        Python, platform, threads, memory budget and the versions of the packages that do arithmetic.
    run_specification
        What was asked, see `RunSpecification`.
    result_metrics
        The scores: task by task, embedding by embedding.
    runtime_metrics
        What it cost, see `RuntimeMetrics`; None if nobody measured.
    warnings
        What to know of the run: choices that defaults made, cells left out.
    failures
        What gave no scores.

    Examples
    --------
    >>> import numpy as np, pandas as pd, czbenchmarks
    >>> obs = pd.DataFrame({"cell_type": ["a", "a", "b", "b"]})
    >>> record = czbenchmarks.evaluate(np.array([[0.0], [1.0], [9.0], [10.0]]), obs, "embedding")
    >>> record.schema_version, record.complete, round(record.result_metrics[0].value, 3)
    (1, True, 0.944)
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    timestamp: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    czbenchmarks_version: str = Field(default_factory=lambda: __version__)
    environment: Dict[str, Any] = Field(default_factory=dict)
    run_specification: RunSpecification = Field(default_factory=RunSpecification)
    result_metrics: List[Score] = Field(default_factory=list)
    runtime_metrics: Optional[RuntimeMetrics] = None
    warnings: List[str] = Field(default_factory=list)
    failures: List[Failure] = Field(default_factory=list)

    def __repr__(self) -> str:
        """Say how much there is; ``to_frame`` shows it."""
        return f"RunRecord({len(self.result_metrics)} scores, {len(self.failures)} failures; see to_frame())"

    __str__ = __repr__

    @property
    def complete(self) -> bool:
        """Whether nothing failed and every score has a value under every seed."""
        return not self.failures and all(score.n_values == len(score.values_raw) for score in self.result_metrics)

    def rows(self) -> list[tuple[tuple[str, str, int], Score, Score | None]]:
        """Return every score with what is the same over embeddings, and with the baseline's score of it.

        Returns
        -------
        Tuples of (task, metric and parameters, number among scores of the same ones), the score, and the baseline's;
        None for the baseline itself and where it has none.
        """
        seen: Counter[tuple[str, str, str]] = Counter()
        found = []
        for score in self.result_metrics:
            same = (score.task, score.embedding, score.key)
            found.append(((score.task, score.key, seen[same]), score))
            seen[same] += 1
        baselines = {place: score for place, score in found if score.embedding == BASELINE}
        return [(place, one, baselines.get(place) if one.embedding != BASELINE else None) for place, one in found]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per score.

        Returns
        -------
        Columns `task`, `embedding`, `metric`, `value`, `value_std_dev` and `values_raw` (over seeds, if there are
        several), `baseline` and `difference` (if one was scored), `reason` (why there is no value), `note` (what to
        know of it: how it was estimated, say), one ``params.NAME`` for every parameter that tells scores of one metric
        apart, and `key` (unique).
        """
        import pandas as pd

        several = any(len(score.values_raw) > 1 for score in self.result_metrics)
        names = {score.embedding for score in self.result_metrics}
        rows = []
        for (task, same, number), score, base in self.rows():
            key = f"{task}|{score.embedding}|{same}{f'#{number + 1}' if number else ''}"
            row = {"task": score.task, "embedding": score.embedding, "metric": score.metric_type, "value": score.value}
            if several:
                row |= {"value_std_dev": score.value_std_dev, "values_raw": list(score.values_raw)}
            if len(names) > 1 and BASELINE in names:
                value = base.value if base else math.nan
                row |= {"baseline": value, "difference": score.value - value}
            notes = [how_computed(score.details), (score.details or {}).get("note")]
            row |= {"reason": score.reason, "note": "; ".join(filter(None, notes)) or None}
            row |= {f"params.{name}": value for name, value in score.params.items()}
            rows.append({**row, "key": key})
        frame = pd.DataFrame(
            rows, columns=None if rows else ["task", "embedding", "metric", "value", "reason", "note", "key"]
        )
        return frame[[*(name for name in frame.columns if name != "key"), "key"]]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as what JSON holds: a score without a value has null and a reason."""
        return self.model_dump(mode="json")

    def write(self, path: str | Path) -> Path:
        """Write the record as JSON; the file appears complete or not at all.

        Parameters
        ----------
        path
            The file. A record of an earlier run is replaced, anything else is left alone.

        Returns
        -------
        The path.

        Raises
        ------
        ValueError
            If the folder does not exist or cannot be written, or the file is something else than a record.
        """
        return _files.write(self.to_dict(), path)

    @classmethod
    def read(cls, path: str | Path) -> RunRecord:
        """Read a record that `write` wrote, or one of an earlier version.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        ValueError
            If the file is no record, is damaged, or comes from a newer version.
        """
        return _files.read(path, SCHEMA_VERSION, cls)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of the files; it is kept in ``run_record.schema.json`` beside this module."""
        address = "https://json-schema.org/draft/2020-12/schema"
        return {"$schema": address, **cls.model_json_schema(mode="serialization")}
