"""From data, embeddings and task names to a record: the path that ``evaluate`` and the command line share."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from czbenchmarks._progress import work
from czbenchmarks.exceptions import BAD_INPUT, InputError
from czbenchmarks.io.dataset import Cells
from czbenchmarks.io.embedding import Found
from czbenchmarks.kernels.parallel import resources
from czbenchmarks.results.provenance import environment, max_memory_mib
from czbenchmarks.results.record import (
    BASELINE,
    AskedOfTask,
    Failure,
    RunRecord,
    RunSpecification,
    RuntimeMetrics,
    Score,
)
from czbenchmarks.tasks.fields import CellIndex, Index

from .baselines import Baselines
from .checking import Checking
from .inputs import Plan, check_number, plan_all, seeds_of, wanted_tasks
from .keeping import Units, asking_for
from .notes import notes_of_run
from .screens import drawn_by
from .sources import (
    check_search,
    cut,
    data_facts,
    embedding_facts,
    given_neighbors,
    prediction,
    read_all,
    represent_all,
    strange_neighbors,
)

if TYPE_CHECKING:
    from czbenchmarks.kernels.representation import Representation
    from czbenchmarks.metrics.types import MetricResult


def evaluate(
    embedding: Any,
    data: Any,
    tasks: str | Iterable[str] | Mapping[str, Mapping[str, Any] | None],
    *,
    random_seed: int | Iterable[int] | None = None,
    baseline: bool = False,
    baseline_expression: str = "@X",
    allow_missing_cells: bool = False,
    neighbors: str = "auto",
    threads: int | None = None,
    memory: int | str | None = None,
    checks: bool = False,
    supervised: str | Iterable[str] = (),
    donors: Any = None,
    **options: Any,
) -> RunRecord:
    """Score an embedding of single-cell data.

    Parameters
    ----------
    embedding
        Cells x dimensions: an array, sparse matrix, DataFrame, ``Representation``, path to a file (``.npy``,
        ``.npz``, ``.csv``, ``.tsv``, ``.parquet``, ``.h5ad``, ``.zarr``; ``FILE:KEY`` for one of several arrays), or
        a reference into the data (``@X``, ``@obsm:KEY``, ``@layers:KEY``). What has cell names is aligned by them,
        anything else by position. A list of those, one per data set, for tasks that compare data sets; a mapping from
        names to those to score several; None with `baseline` alone.
    data
        AnnData, path or address of an ``.h5ad`` file or ``.zarr`` store, data set object or DataFrame (taken as
        `obs`), or a list of those. Only what the tasks need is read, and nothing is changed.
    tasks
        A task's key, several, or a mapping from keys to options of their own.
    random_seed
        Seed of everything the tasks draw, by default 42; several give the mean, the deviation and the raw values of
        every score. A seed that is given also draws the target genes of a perturbation data set, in place of the
        seed that is a setting of the data set.
    baseline
        Score the tasks' baseline too.
    baseline_expression
        Where the data hold the counts that the baseline is made of: ``@X`` or ``@layers:KEY``.
    allow_missing_cells
        Score the cells that both the data and every embedding with cell names have, and record how many were left
        out; otherwise a missing cell is an error.
    neighbors
        How nearest cells are found: ``"exact"``, ``"approximate"`` (the recall is measured and in the record),
        ``"auto"`` (exact up to 100,000 cells), or ``@obsp:KEY`` for distances that the data hold, such as
        ``scanpy.pp.neighbors`` writes; they belong to one embedding.
    threads
        Number of threads; None for the variable ``CZBENCHMARKS_NUM_THREADS``, else all processors.
    memory
        Memory for temporary blocks, in bytes or as ``"500MB"``, ``"1.5GiB"``; None for the variable
        ``CZBENCHMARKS_MEMORY``, else 1 GiB or a quarter of the available memory if that is less. Neither changes a
        bit of a score.
    checks
        Also say what there is to doubt of the scores: the checks of ``czbenchmarks.checks`` that suit the tasks.
    supervised
        Names of the embeddings that were made with the labels; what is said of them is in the record's checks.
    donors
        Column of `obs` (or an array) that names each cell's donor, for the checks; by default ``donor_id`` or
        ``donor`` if there is one.
    **options
        Fields of the tasks' inputs; each goes to every task that has it. Labels are arrays, Series (put in order by
        the cell names in their index) or names of `obs` columns (by default ``cell_type``, for sequential organization
        ``time``; for `batch_labels` ``batch``).
        ``baseline_NAME`` is an option of the baseline.

    Returns
    -------
    Scores, failures and what was asked. A task that refuses its input is a failure; the others go on.

    Raises
    ------
    ValueError, TypeError, NotImplementedError
        One sentence, if the data, the embedding or an option is bad, or if the only task gives no score.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"cell_type": ["a", "a", "b", "b"]})
    >>> record = evaluate(np.array([[0.0], [1.0], [9.0], [10.0]]), obs, "embedding")
    >>> record.to_frame()[["task", "metric", "value"]].round(3)
            task            metric  value
    0  embedding  silhouette_score  0.944
    """
    with resources(threads, memory):
        checking = Checking.of(checks, supervised, donors)
        seeds, given = seeds_of(random_seed), random_seed is not None
        asked = _Asked(seeds, given, baseline, baseline_expression, allow_missing_cells, neighbors, checking)
        if hasattr(embedding, "tocsr"):
            embedding = embedding.tocsr()  # SciPy's dok format is a mapping too, and no embeddings by name
        return _evaluate(embedding, data, tasks, asked, options)


@dataclass(frozen=True)
class _Asked:
    """What was asked of a whole run."""

    seeds: list[int]
    seeds_given: bool
    baseline: bool
    expression: str
    allow_missing: bool
    neighbors: str
    checking: Checking


def _evaluate(embedding: Any, data: Any, tasks: Any, asked: _Asked, options: dict[str, Any]) -> RunRecord:
    clock, seeds = _Clock(), asked.seeds
    sources = list(data) if isinstance(data, (list, tuple)) else [data]
    if not sources:
        raise InputError("`data` must be at least one data set, got an empty list.")
    if embedding is None and not asked.baseline:
        raise InputError(
            "An embedding or the baseline must be asked for, got neither; pass an embedding or baseline=True."
        )
    wanted = wanted_tasks(tasks, options, asked.baseline)
    check_number(wanted, len(sources))
    check_search(asked.neighbors, embedding, len(sources))
    with clock.phase("reading"):
        everything = [Cells(source, "data" if len(sources) == 1 else f"data[{i}]") for i, source in enumerate(sources)]
        if not all(one.n for one in everything):  # reads obs: bad data are refused here, whatever the tasks
            raise InputError("`data` must hold at least one cell, got a data set without.")
        any_length = {one.names(CellIndex) for one in wanted.values()}
        if len(any_length) > 1:
            raise InputError("`cell_index` must suit every task of a run, got some that lack it; score them apart.")
        found = read_all(embedding, everything, any_length == {True}, asked.allow_missing, wanted)
        cells, kept = cut(everything, found)
        plans, failures = plan_all(wanted, cells, asked.seeds_given)
        given = given_neighbors(asked.neighbors, cells)
        asked.checking.refuse(found, len(sources))
        embeddings = represent_all(found, kept, asked.neighbors, given)
    most = max(plan.max_neighbors(seeds[0]) for plan in plans)
    baselines = Baselines(cells, most, asked.expression, asked.neighbors) if asked.baseline else None
    run = _Run(seeds, found, embeddings, cells, baselines, clock)
    with asking_for([one for several in embeddings.values() for one in several], most) as forget:
        scores = run.score(plans, failures, forget, only_one=len(wanted) == 1)
        with clock.phase("checks") if asked.checking.wanted else nullcontext():
            checks = asked.checking.run(plans, embeddings, cells, seeds[0], scores)
    with clock.phase("hashing"):
        specification = RunSpecification(
            tasks={plan.key: AskedOfTask(given=plan.given, defaulted=plan.defaulted) for plan in plans},
            data=[data_facts(*one) | drawn_by(plans, seeds) for one in zip(everything, cells, strict=True)],
            embeddings={name: embedding_facts(found[name], several) for name, several in embeddings.items()},
            baseline={plan.key: {**plan.baseline_input.model_dump(), "expression": asked.expression} for plan in plans}
            if asked.baseline
            else None,
            random_seeds=seeds,
            allow_missing_cells=asked.allow_missing,
            neighbors=asked.neighbors,
            supervised=list(asked.checking.supervised),
        )
    return RunRecord(
        environment=environment(),
        run_specification=specification,
        result_metrics=scores,
        runtime_metrics=RuntimeMetrics(
            elapsed_time_secs=clock.elapsed, max_memory_mib=max_memory_mib(), phases=clock.phases
        ),
        warnings=[
            *notes_of_run(plans, scores, everything, cells, found, embeddings),
            *dict.fromkeys([*run.notes, *strange_neighbors(given, asked.neighbors, embeddings)]),
            *(baselines.notes if baselines else []),
        ],
        failures=failures,
        checks=checks,
    )


@dataclass
class _Clock:
    """Seconds in all, and by phase."""

    started: float = field(default_factory=time.perf_counter)
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self.started

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + time.perf_counter() - begun


@dataclass(frozen=True)
class _Run:
    """Every task on every embedding under every seed."""

    seeds: list[int]
    found: Mapping[str, list[Found]]
    embeddings: Mapping[str, list[Representation]]
    cells: list[Cells]
    baselines: Baselines | None
    clock: _Clock
    units: Units = field(default_factory=Units)
    notes: list[str] = field(default_factory=list)

    def score(
        self, plans: list[Plan], failures: list[Failure], forget: Callable[[Representation], None], only_one: bool
    ) -> list[Score]:
        """Return all scores; a failure is added to `failures`, or raised if nothing is left."""
        scores: list[Score] = []
        names = [*([BASELINE] if self.baselines else []), *self.embeddings]  # first what fails at once
        with work("run", len(plans) * len(names) * len(self.seeds)) as advance:
            for plan in plans:
                found: dict[str, list[Score]] = {}
                errors: list[Exception] = []
                for name in names:
                    try:
                        found[name] = self._one(plan, name, advance)
                    except BAD_INPUT as error:
                        if only_one and isinstance(error, NotImplementedError):
                            raise
                        errors.append(error)
                        failures.append(Failure(task=plan.key, embedding=name, reason=str(error)))
                    if plan is plans[-1]:  # no other task needs what this one's metrics shared
                        for one in self.embeddings.get(name) or (self.baselines.made if self.baselines else ()):
                            forget(one)
                if only_one and not found:
                    raise errors[0]
                scores += [score for name in [*self.embeddings, BASELINE] for score in found.get(name, [])]
        return scores

    def _one(self, plan: Plan, name: str, advance: Any) -> list[Score]:
        """Return the scores of one task for one embedding; a seed under which it fails leaves its scores empty.

        What draws nothing is computed once for all seeds; but a baseline may draw.
        """
        by_key: dict[tuple[str, int], dict[int, MetricResult]] = {}
        errors: dict[int, Exception] = {}
        results: list[MetricResult] | None = None
        once = plan.draws_nothing and name != BASELINE
        for seed in self.seeds:
            try:
                with work(f"{plan.key} of {name}"):
                    results = results if results is not None and once else self._under(plan, name, seed)
            except BAD_INPUT as error:
                if once:
                    raise
                errors[seed] = error
                continue
            finally:
                advance(1)
            seen: Counter[str] = Counter()
            for result in results:
                by_key.setdefault((result.aggregation_key, seen[result.aggregation_key]), {})[seed] = result
                seen[result.aggregation_key] += 1
        if not by_key and errors:
            raise next(iter(errors.values()))
        scores = []
        for under in by_key.values():
            like = next(iter(under.values()))
            empty = {"value": math.nan, "counts": None, "details": None}
            for seed in self.seeds:
                if seed not in under:
                    reason = f"seed {seed}: {errors.get(seed, 'not among its scores')}".rstrip(".")
                    under[seed] = like.model_copy(update={**empty, "reason": reason})
                    under[seed]._undefined = False
            score = Score.of(plan.key, name, [under[seed] for seed in self.seeds])
            # No deviation rather than one of 0: the target genes were drawn once, so nobody knows it.
            scores.append(score.model_copy(update={"value_std_dev": None}) if plan.targets_fixed else score)
        return scores

    def _under(self, plan: Plan, name: str, seed: int) -> list[MetricResult]:
        """Return the results of one task for one embedding under one seed."""
        task = plan.task(seed)
        if self.baselines and name == BASELINE:
            with self.clock.phase(BASELINE):
                several: list[Any] = self.baselines.of(plan, seed)
        else:
            several = self.embeddings[name]
        with self.clock.phase(plan.key):
            if name != BASELINE and plan.task_class.predicts_expression:
                named = any(isinstance(plan.roles[option], Index) for option in plan.given)
                one, notes = prediction(self.found[name][0], several[0], self.cells[0], named)
                several = [one]
                self.notes.extend(f"{name} {note}" for note in notes)
            given = several if task.requires_multiple_datasets else several[0]
            results = task.run(cell_representation=given, task_input=plan.input_under(seed))
        self.units.keep(results)
        return results
