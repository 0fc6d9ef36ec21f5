"""From results under every seed to scores: means, deviations, and what the seeds have in common."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from czbenchmarks.results.parts import Score

from .job import JobResult

if TYPE_CHECKING:
    from czbenchmarks.metrics.types import MetricResult


def scores_of(under: Mapping[int, JobResult], seeds: Sequence[int], *, no_deviation: bool = False) -> list[Score]:
    """Return the scores of one task for one embedding; a seed under which it failed leaves its values empty.

    Of a task that draws nothing the results are the same under all seeds. With `no_deviation` there is no standard
    deviation, in place of one of 0: what it would tell of was drawn once.
    """
    by_key: dict[tuple[str, int], dict[int, MetricResult]] = {}
    for seed in seeds:
        seen: Counter[str] = Counter()
        for result in under[seed].results if under[seed].state == "done" else ():
            key = result.aggregation_key
            by_key.setdefault((key, seen[key]), {})[seed] = result
            seen[key] += 1
    scores = []
    for results in by_key.values():
        like = next(iter(results.values()))
        for seed in seeds:
            if seed not in results:
                results[seed] = _missing(like, f"seed {seed}: {under[seed].error or 'not among its scores'}")
        job = under[seeds[0]].job
        in_order = [results[seed] for seed in seeds]
        score = Score.of(job.task, job.name, in_order, seeds=seeds, task_version=job.task_version)
        scores.append(score.model_copy(update={"value_std_dev": None}) if no_deviation else score)
    return scores


def _missing(like: MetricResult, reason: str) -> MetricResult:
    empty = {"value": math.nan, "counts": None, "details": None, "reason": reason.rstrip(".")}
    result = like.model_copy(update=empty)
    result._undefined = False
    result._units = None
    result._breakdowns = []
    return result
