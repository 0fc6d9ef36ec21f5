"""Baselines of a run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ._sources import searching
from .results.record import BASELINE

if TYPE_CHECKING:
    from ._options import Plan
    from .cells import Cells
    from .kernels.representation import Representation


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
        from .tasks import represent
        from .tasks.task import NoBaselineInput

        task = plan.task(seed)
        key = (type(task).compute_baseline, plan.baseline_input.model_dump_json(), seed)
        if key not in self._made:
            found = []
            for one in self._cells:
                # A task without a baseline says so; expression is not read for that.
                expression = None
                if not isinstance(plan.baseline_input, NoBaselineInput):
                    expression = one.look_up(self._expression)
                with _noted(self.notes):
                    made = task.compute_baseline(expression, plan.baseline_input)  # type: ignore[arg-type]
                found.append(searching(represent(made, BASELINE, keep_sparse=True), self._neighbors))
                found[-1].max_neighbors = self._max_neighbors
            self._made[key] = found
        return self._made[key]


@contextmanager
def _noted(notes: list[str]) -> Iterator[None]:
    """Collect what the making of a baseline warns of, in place of the log: it belongs to the record."""

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            hint = "name the counts with baseline_expression (--baseline-expression @layers:KEY)"
            text = f"{record.getMessage().rstrip('.')}; {hint}"
            if text not in notes:
                notes.append(text)

    logger, collector = logging.getLogger("czbenchmarks.tasks.utils"), Collector(logging.WARNING)
    propagated = logger.propagate
    logger.addHandler(collector)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagated
