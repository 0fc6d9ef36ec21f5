"""The job: one task on one embedding under one seed, and what came of it.

What a job's scores depend on is known, by hash, before anything is scored; `Job.id` names it. `execute` needs nothing
else than a job and its inputs, all of which can be sent to another process.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from czbenchmarks._progress import work
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.exceptions import BAD_INPUT
from czbenchmarks.results.provenance import max_memory_mib
from czbenchmarks.tasks.registry import TASK_REGISTRY
from czbenchmarks.tasks.task import Task

if TYPE_CHECKING:
    from czbenchmarks.metrics.types import MetricResult
    from czbenchmarks.tasks.task import TaskInput

State = Literal["done", "undefined", "failed"]


@dataclass(frozen=True, eq=False)
class Job:
    """One task on one embedding under one seed.

    Attributes
    ----------
    task, task_version
        Registry key of the task, and its version.
    data
        What identifies each data set and the cells of it that are scored, by hash.
    embedding
        What identifies the embedding of each data set, by hash; of a baseline, how it is made.
    parameters, defaults
        Options of the task as they were given, and what the others were; arrays by the hash of their content.
    seed
        The seed; None where the task draws nothing.
    name
        How the embedding is called. It is no part of the id.
    """

    task: str
    task_version: int
    data: Sequence[Mapping[str, Any]]
    embedding: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, Any]
    defaults: Mapping[str, Any]
    seed: int | None
    name: str = ""

    @cached_property
    def id(self) -> str:
        """SHA-256 of all that the scores depend on, as canonical JSON."""
        content = {name: getattr(self, name) for name in _IDENTITY}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and (self.id, self.name) == (other.id, other.name)

    def __hash__(self) -> int:
        return hash((self.id, self.name))


_IDENTITY = ("task", "task_version", "data", "embedding", "parameters", "defaults", "seed")


@dataclass(frozen=True)
class JobInputs:
    """What a job is computed from."""

    task_input: TaskInput | None = None  # the task's input
    embedding: Any = None  # what the task's ``run`` takes: an embedding, or a list of them
    refusal: Exception | None = None  # why there are no inputs: a baseline that could not be made, say


@dataclass(frozen=True)
class JobResult:
    """What came of a job.

    Attributes
    ----------
    memory_mib
        The most memory the process has held until its end; None where the system does not tell.
    """

    job: Job  # the job
    state: State  # ``"done"``; ``"undefined"`` where no score is defined on the data; ``"failed"``
    results: Sequence[MetricResult] = ()  # the scores, with the values of their units
    error: Exception | None = None  # why there are none
    seconds: float = 0.0  # how long it took
    memory_mib: float | None = None

    @property
    def is_bug(self) -> bool:
        """Whether the program is at fault, not the input."""
        return self.error is not None and not isinstance(self.error, _faults_of_input(self.job.task))


def execute(job: Job, inputs: JobInputs) -> JobResult:
    """Compute the scores of a job; whatever goes wrong is in the result."""
    begun = time.perf_counter()
    state: State = "failed"
    results: Sequence[MetricResult] = ()
    error = inputs.refusal
    if error is None and inputs.task_input is not None:
        task = TASK_REGISTRY.get_task_class(job.task)(
            random_seed=RANDOM_SEED if job.seed is None else job.seed  # one that draws nothing has no use for it
        )
        own_run = type(task).run is not Task.run  # a task of others may have its own, which raises for itself
        try:
            with work(f"{job.task} of {job.name}"):
                results = (task.run if own_run else task.results)(
                    cell_representation=inputs.embedding, task_input=inputs.task_input
                )
        except Exception as raised:  # the other jobs go on; a bug is raised in the end
            if _interrupted(raised):
                raise
            error = raised
        else:
            error = None if own_run else task.undefined(results)
            state = "done" if error is None else "undefined"
    return JobResult(job, state, results, error, time.perf_counter() - begun, max_memory_mib())


def _interrupted(error: BaseException | None) -> bool:
    """Tell whether an error came of Ctrl-C: then nothing goes on."""
    return error is not None and (isinstance(error, KeyboardInterrupt) or _interrupted(error.__context__))


def _faults_of_input(task: str) -> tuple[type[Exception], ...]:
    """Return what a task raises of its input: our own tasks nothing but our own errors."""
    cls: type[Task] = TASK_REGISTRY.get_task_class(task)
    ours = cls.__module__.startswith("czbenchmarks.")
    return BAD_INPUT if ours else (ValueError, TypeError, NotImplementedError)
