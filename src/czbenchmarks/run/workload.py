"""All that a run computes with, loaded: the data, the embeddings, the tasks' inputs, and the jobs made of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from czbenchmarks.constants import BASELINE
from czbenchmarks.exceptions import BAD_INPUT, InputError
from czbenchmarks.io.dataset import Cells
from czbenchmarks.io.loading import Embeddings, prepare, read_all, shared_cells
from czbenchmarks.io.neighbors import given_neighbors
from czbenchmarks.io.prediction import prediction
from czbenchmarks.results.parts import CheckResult, Failure, JobFacts, Score

from .baselines import Baselines
from .hashing import Contents
from .identity import (
    data_facts,
    embedding_facts,
    identity_of_data,
    identity_of_embedding,
    identity_of_options,
    versions_of_metrics,
)
from .inputs import Plan, plan_all
from .job import Job, JobInputs, JobResult
from .request import Request
from .seeds import scores_of
from .sharing import SharedArrays, asking_for

if TYPE_CHECKING:
    from czbenchmarks.kernels.neighbors import Neighbors
    from czbenchmarks.kernels.representation import Representation


class Clock:
    """Seconds in all, and by phase."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.phases: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        """Seconds since it was made."""
        return time.perf_counter() - self._started

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the seconds of what is done inside."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - begun)

    def add(self, name: str, seconds: float) -> None:
        """Count seconds that were measured elsewhere."""
        self.phases[name] = self.phases.get(name, 0.0) + seconds


@dataclass
class Workload:
    """What a run computes with, and what came of its jobs.

    Attributes
    ----------
    data_facts, embedding_facts
        What the record says of data and embeddings.
    results
        What came of the jobs so far, by task, name of the embedding and seed; `finished` in their order.
    """

    request: Request  # what was asked
    clock: Clock  # what it took
    views: list[Cells]  # the cells that are scored, per data set
    embeddings: Embeddings  # the embeddings, by name, one per data set
    given: Neighbors | None  # neighbours that the data hold; None if they are searched for
    plans: list[Plan]  # the tasks, with their inputs
    failures: list[Failure]  # what gave no scores
    baselines: Baselines | None  # the tasks' baselines; None if none was asked for
    data_facts: list[dict[str, Any]] = field(default_factory=list)
    embedding_facts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)  # the options of every task by their content
    jobs: dict[Job, tuple[Plan, list[int]]] = field(default_factory=dict)  # what is to be computed, in this order
    results: dict[tuple[str, str], dict[int, JobResult]] = field(default_factory=dict)
    finished: list[JobResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what is to be said of the embeddings
    late: Exception | None = None  # a fault of the program that was met after the jobs
    _arrays: SharedArrays = field(default_factory=SharedArrays)
    _forget: Callable[[Representation], None] = lambda one: None

    @classmethod
    def load(cls, request: Request) -> Workload:
        """Read what was asked for, and say what is to be computed: nothing is scored yet."""
        clock = Clock()
        with clock.phase("reading"):
            names = ["data"] if len(request.sources) == 1 else [f"data[{i}]" for i in range(len(request.sources))]
            data = [Cells(source, name) for source, name in zip(request.sources, names, strict=True)]
            if not all(one.n for one in data):  # reads obs: bad data are refused here, whatever the tasks
                raise InputError("`data` must hold at least one cell, got a data set without.")
            embeddings = read_all(
                request.embedding,
                data,
                any_length=request.any_length,
                allow_missing_cells=request.allow_missing,
                in_file=request.in_blocks,
                prediction=request.of_expression,
            )
            views = shared_cells(data, embeddings)
            plans, failures = plan_all(request.tasks, views, request.seeds_given)
            given = given_neighbors(request.neighbors, views)
            request.checking.refuse(embeddings, len(data))
            embeddings = prepare(embeddings, views, request.neighbors, given)
        baselines = None
        if request.baseline:
            baselines = Baselines(views, _most(plans, request), request.expression, request.neighbors)
        self = cls(request, clock, views, embeddings, given, plans, failures, baselines)
        with clock.phase("hashing"):
            self._make_jobs()
        return self

    @property
    def names(self) -> list[str]:
        """The names of what is scored; first the baseline, which fails at once if it does."""
        return [*([BASELINE] if self.baselines else []), *self.embeddings]

    def _make_jobs(self) -> None:
        contents, neighbors = Contents(), self.request.neighbors
        self.data_facts = [data_facts(view) for view in self.views]
        self.embedding_facts = {name: embedding_facts(several) for name, several in self.embeddings.items()}
        data = [
            identity_of_data(view, facts, contents) for view, facts in zip(self.views, self.data_facts, strict=True)
        ]
        if self.given is not None:
            neighbors = contents.of({"indices": self.given.indices, "distances": self.given.distances})
        of = {
            name: [identity_of_embedding(one, neighbors) for one in facts]
            for name, facts in self.embedding_facts.items()
        }
        for plan in self.plans:
            parameters, defaults = identity_of_options(plan, self.views, contents)
            self.options[plan.key] = {**defaults, **parameters}
            defaults |= versions_of_metrics(plan.task_class)
            for name in self.names:
                identity = of.get(name) or self._identity_of_baseline(plan, contents)
                once = plan.draws_nothing and name != BASELINE  # but a baseline may draw
                for seeds in [self.request.seeds] if once else [[seed] for seed in self.request.seeds]:
                    seed = None if once else seeds[0]
                    job = Job(plan.key, plan.task_class.version, data, identity, parameters, defaults, seed, name)
                    self.jobs[job] = (plan, seeds)

    def _identity_of_baseline(self, plan: Plan, contents: Contents) -> list[dict[str, Any]]:
        """Say how a baseline is made, of what: it need not be made for that."""
        assert self.baselines is not None
        facts = {"baseline": contents.of(plan.baseline_input.model_dump()), "expression": self.request.expression}
        if any(view.whole.path is None for view in self.views):
            facts["counts"] = [self.baselines.counts(view, contents) for view in self.views]
        return [{**facts, "neighbors": self.request.neighbors}]

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Let one search of neighbours serve every task while the jobs are computed."""
        representations = [one.representation for several in self.embeddings.values() for one in several]
        with asking_for(representations, _most(self.plans, self.request)) as self._forget:
            yield

    def inputs(self, job: Job) -> JobInputs:
        """Return what a job is computed from; what is refused is among it."""
        plan, seeds = self.jobs[job]
        try:
            if job.name == BASELINE and self.baselines is not None:
                with self.clock.phase(BASELINE):
                    several: list[Any] = self.baselines.of(plan, seeds[0])
            else:
                several = self._prepared(plan, job.name)
            task_input = plan.input_under(seeds[0])
        except Exception as error:  # noqa: BLE001 (what it means is said where all failures are)
            return JobInputs(refusal=error)
        return JobInputs(task_input, several if plan.task_class.requires_multiple_datasets else several[0])

    def _prepared(self, plan: Plan, name: str) -> list[Any]:
        several = self.embeddings[name]
        if not plan.task_class.predicts_expression:
            return [one.representation for one in several]
        one, notes = prediction(several[0], self.views[0], named=plan.names_rows_or_columns)
        self.notes.extend(f"{name} {note}" for note in notes)
        return [one]

    def add(self, result: JobResult) -> None:
        """Keep what came of a job, and of its embedding no more than later jobs need."""
        plan, seeds = self.jobs[result.job]
        self.clock.add(plan.key, result.seconds)
        if len(self.views) == 1:
            self._arrays.name_cells(result.results, self.views[0].names.to_numpy())
        self._arrays.share(result.results)
        self.finished.append(result)
        name = result.job.name
        self.results.setdefault((plan.key, name), {}).update(dict.fromkeys(seeds, result))
        if isinstance(result.error, NotImplementedError) and len(self.request.tasks) == 1:
            raise result.error
        if plan is self.plans[-1] and seeds[-1] == self.request.seeds[-1]:  # no other job needs what metrics shared
            made = self.baselines.made if self.baselines else ()
            for one in [kept.representation for kept in self.embeddings.get(name, ())] or made:
                self._forget(one)

    def scores(self) -> list[Score]:
        """Return the scores of all jobs; those without are added to the failures, or raised if nothing else is left."""
        found: list[Score] = []
        for plan in self.plans:
            of: dict[str, list[Score]] = {}
            errors: list[Exception] = []
            for name in self.names:
                under = self.results[plan.key, name]
                of[name] = scores_of(under, self.request.seeds, no_deviation=plan.targets_fixed)
                if not of[name] and (error := next((one.error for one in under.values() if one.error), None)):
                    errors.append(error)
                    self.failures.append(Failure(task=plan.key, embedding=name, reason=_reason(error)))
            if len(self.request.tasks) == 1 and errors and not any(of.values()) and self.bug is None:
                raise errors[0]
            found += [score for name in [*self.embeddings, BASELINE] for score in of.get(name, ())]
        return found

    def checks(self, scores: list[Score]) -> list[CheckResult]:
        """Return what the trust checks say; a fault of the program is kept, and the scores with it."""
        checking, seed = self.request.checking, self.request.seeds[0]
        with self.clock.phase("checks") if checking.wanted else nullcontext():
            try:
                return checking.run(self.plans, self.embeddings, self.views, seed, scores)
            except BAD_INPUT:
                raise
            except Exception as error:  # noqa: BLE001 (raised when the record is made)
                self.late = error
                return []

    @property
    def bug(self) -> Exception | None:
        """The first fault of the program that a job or a check met; it is raised in the end."""
        return next((result.error for result in self.finished if result.is_bug), self.late)

    def job_facts(self) -> list[JobFacts]:
        """Return what the record says of the jobs."""
        return [
            JobFacts(
                id=one.job.id, task=one.job.task, embedding=one.job.name, seed=one.job.seed, state=one.state,
                seconds=one.seconds, memory_mib=one.memory_mib,
            )
            for one in self.finished
        ]  # fmt: skip


def _most(plans: list[Plan], request: Request) -> int:
    """Return the largest number of neighbours that any task asks for."""
    return max(plan.max_neighbors(request.seeds[0]) for plan in plans)


def _reason(error: Exception) -> str:
    if isinstance(error, (ValueError, TypeError, NotImplementedError)) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}"
