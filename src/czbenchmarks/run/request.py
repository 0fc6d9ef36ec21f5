"""What was asked of a whole run, checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from czbenchmarks import _check
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.exceptions import InputError
from czbenchmarks.io.neighbors import check_search
from czbenchmarks.tasks.fields import CellIndex, Index

from .checking import Checking
from .inputs import Wanted, check_number, wanted_tasks


@dataclass(frozen=True)
class Request:
    """What was asked of a whole run.

    Attributes
    ----------
    embedding, sources
        What is scored, as it was given, and the data sets.
    seeds, seeds_given
        The seeds, and whether the user named them.
    baseline, expression
        Whether the baselines are scored, and where the counts are that they are made of.
    """

    embedding: Any
    sources: list[Any]
    tasks: Mapping[str, Wanted]  # the tasks, with the options meant for each
    seeds: list[int]
    seeds_given: bool
    baseline: bool
    expression: str
    allow_missing: bool  # whether the cells that data and embeddings share suffice
    neighbors: str  # how nearest cells are found
    checking: Checking  # which trust checks are made

    @property
    def any_length(self) -> bool:
        """Whether the tasks say which cells the rows are of."""
        named = {one.names(CellIndex) for one in self.tasks.values()}
        if len(named) > 1:
            raise InputError("`cell_index` must suit every task of a run, got some that lack it; score them apart.")
        return named == {True}

    @property
    def of_expression(self) -> bool:
        """Whether what is scored is predicted expression."""
        return any(one.task_class.predicts_expression for one in self.tasks.values())

    @property
    def in_blocks(self) -> bool:
        """Whether every task takes expression and reads it in blocks, so that it may stay in its file."""
        # Whoever names rows and columns is given a table.
        return all(one.task_class.predicts_expression and not one.names(Index) for one in self.tasks.values())

    @classmethod
    def of(
        cls, embedding: Any, data: Any, tasks: Any, random_seed: Any, options: dict[str, Any], checking: Checking,
        *, baseline: bool, expression: str, allow_missing: bool, neighbors: str,
    ) -> Request:  # fmt: skip
        """Check what was asked."""
        seeds = seeds_of(random_seed)
        if hasattr(embedding, "tocsr"):
            embedding = embedding.tocsr()  # SciPy's dok format is a mapping too, and no embeddings by name
        sources = list(data) if isinstance(data, (list, tuple)) else [data]
        if not sources:
            raise InputError("`data` must be at least one data set, got an empty list.")
        if embedding is None and not baseline:
            raise InputError(
                "An embedding or the baseline must be asked for, got neither; pass an embedding or baseline=True."
            )
        wanted = wanted_tasks(tasks, options, baseline)
        check_number(wanted, len(sources))
        check_search(neighbors, embedding, len(sources))
        given = random_seed is not None
        return cls(embedding, sources, wanted, seeds, given, baseline, expression, allow_missing, neighbors, checking)


def seeds_of(given: Any) -> list[int]:
    """Return the seeds asked for: one, or several that differ; without any the usual one."""
    given = RANDOM_SEED if given is None else given
    several = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    seeds = [_check.seed(seed) for seed in several]
    if not seeds:
        raise InputError("`random_seed` must be at least one seed, got an empty list.")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"`random_seed` must name every seed once, got {_check.listing(seeds)}.")
    return seeds
