"""From data, embeddings and task names to a record: the path that ``evaluate`` and the command line share."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _check
from ._options import BAD_INPUT, Plan, described, plan_all, wanted_tasks
from .constants import RANDOM_SEED
from .embeddings import Cells, read_embedding, reference_for
from .results.record import Failure, RunRecord, Score

if TYPE_CHECKING:
    from .kernels.representation import Representation

BASELINE = "baseline"


def evaluate(
    embedding: Any,
    data: Any,
    tasks: str | Iterable[str] | Mapping[str, Mapping[str, Any] | None],
    *,
    random_seed: int = RANDOM_SEED,
    baseline: bool = False,
    **options: Any,
) -> RunRecord:
    """Score an embedding of single-cell data.

    Parameters
    ----------
    embedding
        Cells x dimensions: an array, sparse matrix, DataFrame, ``Representation``, path to an ``.npy`` file,
        or a reference into the data (``@X``, ``@obsm:KEY``, ``@layers:KEY``). A list of those, one per data
        set, for tasks that compare data sets; a mapping from names to those to score several; None with
        `baseline` alone.
    data
        AnnData, path to an ``.h5ad`` file, data set object or DataFrame (taken as `obs`), or a list of
        those. Only what the tasks need is read, and nothing is changed.
    tasks
        A task's key, several, or a mapping from keys to options of their own.
    random_seed
        Seed of everything the tasks draw.
    baseline
        Score the tasks' baseline too.
    **options
        Fields of the tasks' inputs; each goes to every task that has it. Labels are arrays or names of `obs`
        columns (by default ``cell_type``, for `batch_labels` ``batch``). ``baseline_NAME`` is an option of
        the baseline.

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
    started = time.perf_counter()
    random_seed = _check.whole(random_seed, "random_seed", 0, 2**32 - 1)
    sources = list(data) if isinstance(data, (list, tuple)) else [data]
    if not sources:
        raise ValueError("`data` must be at least one data set, got an empty list.")
    if embedding is None and not baseline:
        raise ValueError(
            "An embedding or the baseline must be asked for, got neither; pass an embedding or baseline=True."
        )
    wanted = wanted_tasks(tasks, options, baseline)
    cells = [Cells(source, "data" if len(sources) == 1 else f"data[{i}]") for i, source in enumerate(sources)]
    if not all(one.n for one in cells):  # reads obs: bad data are refused here, whatever the tasks
        raise ValueError("`data` must hold at least one cell, got a data set without.")
    plans, failures = plan_all(wanted, cells, random_seed)
    embeddings = _embeddings(embedding, cells, any("cell_index" in plan.asked for plan in plans))
    most = max(plan.task.max_neighbors(plan.task_input) for plan in plans)
    for representation in (one for several in embeddings.values() for one in several):
        representation.max_neighbors = max(representation.max_neighbors, most)
    scores = _score_all(plans, embeddings, _Baselines(cells, most) if baseline else None, failures, len(wanted) == 1)
    return RunRecord(
        random_seed=random_seed,
        result_metrics=scores,
        failures=failures,
        run_specification={
            "tasks": {plan.key: plan.asked for plan in plans},
            "data": [{"source": described(one.source), "n_cells": one.n} for one in cells],
            "embeddings": {name: [{"shape": [x.n, x.d]} for x in several] for name, several in embeddings.items()},
            "baseline": {plan.key: plan.baseline_input.model_dump() for plan in plans} if baseline else None,
            "random_seed": random_seed,
        },
        runtime_metrics={
            "elapsed_time_secs": time.perf_counter() - started,
            "max_memory_mib": _max_memory_mib(),
        },
    )


def named(embeddings: Sequence[Any]) -> dict[str, Any]:
    """Name embeddings: references by themselves, files by their stem, or their path where that is taken."""
    found: dict[str, Any] = {}
    given: set[str] = set()
    for embedding in embeddings:
        parts = embedding if isinstance(embedding, (list, tuple)) else [embedding]
        short = "+".join(dict.fromkeys(_short_name(part) for part in parts))
        long = "+".join(str(part) for part in parts if isinstance(part, (str, Path))) or short
        if long in given:
            raise ValueError(f"An embedding must be given once, got {long!r} twice.")
        given.add(long)
        found[long if short in found or short == BASELINE else short] = embedding
    return found


def _short_name(part: Any) -> str:
    if isinstance(part, str) and part.startswith("@"):
        return part
    return Path(part).stem if isinstance(part, (str, Path)) else "embedding"


def _embeddings(embedding: Any, cells: list[Cells], any_length: bool) -> dict[str, list[Representation]]:
    """Read and check every embedding: one prepared array per data set, under its name."""
    if embedding is None:
        return {}
    by_name = dict(embedding) if isinstance(embedding, Mapping) else named([embedding])
    if BASELINE in by_name:
        raise ValueError("An embedding must not be called 'baseline', which names the task's own; rename it.")
    return {str(name): _represented(value, cells, any_length) for name, value in by_name.items()}


def _represented(value: Any, cells: list[Cells], any_length: bool) -> list[Representation]:
    from .tasks import represent

    several = isinstance(value, (list, tuple)) and bool(value) and (len(cells) > 1 or _is_embedding(value[0]))
    parts = list(value) if several else [value]
    if len(parts) != len(cells):
        raise ValueError(f"`embedding` must be given once per data set: expected {len(cells)}, got {len(parts)}.")
    found = []
    for i, part in enumerate(parts):
        name = str(part) if isinstance(part, (str, Path)) else "embedding"
        where, source = reference_for(part, cells, i) if isinstance(part, str) else (cells[i], part)
        found.append(represent(read_embedding(source, where, any_length=any_length), name, keep_sparse=True))
    return found


def _is_embedding(value: Any) -> bool:
    """Tell an embedding in a list from the first row of one."""
    return isinstance(value, (str, Path)) or hasattr(value, "max_neighbors") or len(getattr(value, "shape", ())) == 2


class _Baselines:
    """Baselines of one run; tasks that make the same one share it."""

    def __init__(self, cells: list[Cells], max_neighbors: int) -> None:
        self._cells = cells
        self._max_neighbors = max_neighbors
        self._made: dict[tuple[Any, str], list[Representation]] = {}

    def of(self, plan: Plan) -> list[Representation]:
        from .tasks import represent
        from .tasks.task import NoBaselineInput

        key = (type(plan.task).compute_baseline, plan.baseline_input.model_dump_json())
        if key not in self._made:
            found = []
            for one in self._cells:
                # A task without a baseline says so; expression is not read for that.
                expression = None if isinstance(plan.baseline_input, NoBaselineInput) else one.piece("X")
                made = plan.task.compute_baseline(expression, plan.baseline_input)  # type: ignore[arg-type]
                found.append(represent(made, BASELINE, keep_sparse=True))
                found[-1].max_neighbors = self._max_neighbors
            self._made[key] = found
        return self._made[key]


def _score_all(
    plans: list[Plan],
    embeddings: Mapping[str, list[Representation]],
    baselines: _Baselines | None,
    failures: list[Failure],
    only_one: bool,
) -> list[Score]:
    """Run every task on every embedding; a failure is added to `failures`, or raised if nothing is left."""
    scores: list[Score] = []
    for plan in plans:
        found: dict[str, list[Score]] = {}
        errors: list[Exception] = []
        for name in [*([BASELINE] if baselines else []), *embeddings]:  # first what fails at once
            try:
                several = baselines.of(plan) if baselines and name == BASELINE else embeddings[name]
                given: Any = several if plan.task.requires_multiple_datasets else several[0]
                results = plan.task.run(cell_representation=given, task_input=plan.task_input)
            except BAD_INPUT as error:
                if only_one and isinstance(error, NotImplementedError):
                    raise
                errors.append(error)
                failures.append(Failure(plan.key, name, str(error)))
                continue
            found[name] = [Score(plan.key, name, result) for result in results]
        if only_one and not found:
            raise errors[0]
        scores += [score for name in [*embeddings, BASELINE] for score in found.get(name, [])]
    return scores


def _max_memory_mib() -> float | None:
    """Return the largest memory the process has held; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
