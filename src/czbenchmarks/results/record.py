"""The record of one run."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from czbenchmarks import __version__

if TYPE_CHECKING:
    import pandas as pd

    from czbenchmarks.metrics.types import MetricResult


@dataclass(frozen=True)
class Score:
    """One score: which task gave it for which embedding.

    Attributes
    ----------
    task
        Registry key of the task.
    embedding
        Name of the embedding, or ``"baseline"``.
    result
        The metric, its value and how it came about.
    """

    task: str
    embedding: str
    result: MetricResult


@dataclass(frozen=True)
class Failure:
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
    embedding: str | None
    reason: str


@dataclass(frozen=True)
class RunRecord:
    """Everything one run gave, in memory.

    Attributes
    ----------
    random_seed
        Seed of everything drawn.
    result_metrics
        The scores: task by task, embedding by embedding.
    failures
        What gave no scores.
    run_specification
        What was asked: tasks with their options, data, embeddings.
    runtime_metrics
        ``elapsed_time_secs`` of the run and ``max_memory_mib`` of the process.
    timestamp
        When the run ended (UTC, ISO 8601).
    czbenchmarks_version
        The package that computed the scores.
    """

    random_seed: int
    result_metrics: list[Score]
    failures: list[Failure]
    run_specification: dict[str, Any]
    runtime_metrics: dict[str, float | None]
    timestamp: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    czbenchmarks_version: str = __version__

    def __repr__(self) -> str:
        """Say how much there is; ``to_frame`` shows it."""
        return f"RunRecord({len(self.result_metrics)} scores, {len(self.failures)} failures; see to_frame())"

    @property
    def complete(self) -> bool:
        """Whether nothing failed and every score has a value."""
        return not self.failures and not any(math.isnan(score.result.value) for score in self.result_metrics)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per score.

        Returns
        -------
        Columns `task`, `embedding`, `metric`, `value`, `reason` (why there is no value), `note` (what to know of
        it), one ``params.NAME`` for every parameter that tells scores of one metric apart, and `key` (unique).
        """
        import pandas as pd

        rows = []
        seen: Counter[str] = Counter()
        for score in self.result_metrics:
            result = score.result
            key = f"{score.task}|{score.embedding}|{result.aggregation_key.removeprefix('MetricType.')}"
            seen[key] += 1
            rows.append(
                {
                    "task": score.task,
                    "embedding": score.embedding,
                    "metric": result.metric_type.value,
                    "value": result.value,
                    "reason": result.reason,
                    "note": (result.details or {}).get("note"),
                    **{f"params.{name}": value for name, value in (result.params or {}).items()},
                    "key": key if seen[key] == 1 else f"{key}#{seen[key]}",
                }
            )
        frame = pd.DataFrame(
            rows, columns=None if rows else ["task", "embedding", "metric", "value", "reason", "note", "key"]
        )
        return frame[[*(name for name in frame.columns if name != "key"), "key"]]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as what JSON holds: a score without a value has null and a reason."""
        return {
            "timestamp": self.timestamp,
            "czbenchmarks_version": self.czbenchmarks_version,
            "random_seed": self.random_seed,
            "run_specification": self.run_specification,
            "result_metrics": [
                {"task": score.task, "embedding": score.embedding, **score.result.model_dump(mode="json")}
                for score in self.result_metrics
            ],
            "runtime_metrics": self.runtime_metrics,
            "failures": [asdict(failure) for failure in self.failures],
        }
