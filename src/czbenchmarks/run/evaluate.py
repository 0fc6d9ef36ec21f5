"""From data, embeddings and task names to a record: the path that ``evaluate`` and the command line share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from czbenchmarks._progress import work
from czbenchmarks.kernels.parallel import resources
from czbenchmarks.results.parts import AskedOfTask, CheckResult, RunSpecification, RuntimeMetrics, Score
from czbenchmarks.results.provenance import environment, max_memory_mib
from czbenchmarks.results.record import RunRecord

from .checking import Checking
from .hashing import hashes_among
from .job import execute
from .notes import notes_of_run
from .perturbation import drawn_by
from .request import Request
from .workload import Workload


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
    InputError, InputTypeError
        A ``ValueError`` or ``TypeError`` of one sentence, if the data, the embedding or an option is bad, or if the
        only task gives no score. Anything else is a fault of this package, raised when all else is scored; the record
        of that is the error's attribute ``czbenchmarks_record``.

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
        request = Request.of(
            embedding, data, tasks, random_seed, options, Checking.of(checks, supervised, donors), baseline=baseline,
            expression=baseline_expression, allow_missing=allow_missing_cells, neighbors=neighbors,
        )  # fmt: skip
        load = Workload.load(request)
        with load.sharing():
            with work("run", len(load.jobs)) as advance:
                for job in load.jobs:
                    load.add(execute(job, load.inputs(job)))
                    advance(1)
            scores = load.scores()
            found = load.checks(scores)
        record = _record(load, scores, found)
        if load.bug is not None:
            load.bug.czbenchmarks_record = record  # type: ignore[attr-defined]
            raise load.bug
        return record


def _record(load: Workload, scores: list[Score], checks: list[CheckResult]) -> RunRecord:
    request, clock = load.request, load.clock
    specification = RunSpecification(
        tasks={
            plan.key: AskedOfTask(
                given=plan.given, defaulted=plan.defaulted, sha256=hashes_among(load.options[plan.key])
            )
            for plan in load.plans
        },
        data=[facts | drawn_by(load.plans, request.seeds) for facts in load.data_facts],
        embeddings=load.embedding_facts,
        baseline={
            plan.key: {**plan.baseline_input.model_dump(), "expression": request.expression} for plan in load.plans
        }
        if request.baseline
        else None,
        random_seeds=request.seeds,
        allow_missing_cells=request.allow_missing,
        neighbors=request.neighbors,
        supervised=list(request.checking.supervised),
    )
    return RunRecord(
        environment=environment(),
        run_specification=specification,
        result_metrics=scores,
        runtime_metrics=RuntimeMetrics(
            elapsed_time_secs=clock.elapsed, max_memory_mib=max_memory_mib(), phases=clock.phases
        ),
        warnings=notes_of_run(load, scores),
        failures=load.failures,
        checks=checks,
        jobs=load.job_facts(),
    )
