"""Baselines of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from czbenchmarks._notes import Note, gathered
from czbenchmarks.constants import BASELINE
from czbenchmarks.exceptions import BAD_INPUT
from czbenchmarks.io.neighbors import searching
from czbenchmarks.io.references import look_up

if TYPE_CHECKING:
    from czbenchmarks.io.dataset import Cells
    from czbenchmarks.kernels.representation import Representation
    from czbenchmarks.tasks.task import Task

    from .hashing import Contents
    from .inputs import Plan


class Baselines:
    """Baselines of one run; tasks that make the same one share it."""

    def __init__(self, cells: list[Cells], max_neighbors: int, expression: str, neighbors: str) -> None:
        self.notes: list[str] = []
        self._cells = cells
        self._max_neighbors = max_neighbors
        self._expression = expression
        self._neighbors = neighbors
        self._made: dict[tuple[Any, str, int], list[Representation]] = {}

    def of(self, plan: Plan, seed: int) -> list[Representation]:
        """Return the baseline of a task under a seed, one embedding per data set."""
        from czbenchmarks.tasks import represent

        task, asked = plan.task(seed), plan.baseline_input.filled(plan.task_input)
        key = (type(task).compute_baseline, asked.model_dump_json(), seed)
        if key not in self._made:
            with gathered() as notes:
                made = self._make(task, asked)
            self.notes += [said for said in dict.fromkeys(_said(notes)) if said not in self.notes]
            found = [searching(represent(one, BASELINE, keep_sparse=True), self._neighbors) for one in made]
            for one in found:
                one.max_neighbors = self._max_neighbors
            self._made[key] = found
        return self._made[key]

    def counts(self, cells: Cells, contents: Contents) -> Any:
        """Return what identifies the counts of cells that are in no file."""
        try:
            return contents.of(look_up(cells, self._expression))
        except BAD_INPUT as error:  # there is no baseline either
            return str(error)

    @property
    def made(self) -> list[Representation]:
        """All that were made so far."""
        return [one for several in self._made.values() for one in several]

    def _make(self, task: Task, asked: Any) -> list[Any]:
        """Return the baseline of every data set: made one by one, or of all together where genes must be matched."""
        if not asked.exists:
            return [task.compute_baseline(None, asked)]  # says so; expression is not read for it
        if asked.of_all:
            from czbenchmarks.tasks.single_cell._orthologs import Expression

            given = [Expression(look_up(one, self._expression), look_up(one, "@var")) for one in self._cells]
            return list(task.compute_baseline(given, asked))
        return [task.compute_baseline(look_up(one, self._expression), asked) for one in self._cells]


_HINT = "; name the counts with baseline_expression (--baseline-expression @layers:KEY)"


def _said(notes: Iterable[Note]) -> Iterator[str]:
    """Say of a run what was noted of the counts and genes when a baseline was made."""
    for note in notes:
        if note.about == "counts":
            yield f"{note.text.rstrip('.')}{_HINT}"
        else:
            yield f"{BASELINE}: {note.text.replace('expression_data[', 'data[')}"
