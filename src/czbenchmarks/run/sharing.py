"""What a run keeps in memory: every array once, and of an embedding no more than the next task needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from czbenchmarks.kernels.representation import Representation
    from czbenchmarks.metrics.types import MetricResult


class SharedArrays:
    """The values of units behind all scores of a run; labels, and what no seed changes, are many times the same."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._names: list[NDArray[Any]] = []

    def name_cells(self, results: Iterable[MetricResult], names: NDArray[Any]) -> None:
        """Call units that are cells by the cells' names, where a metric knew no more than their positions."""
        if names.dtype.kind in "iu":  # positions and such names cannot be told apart
            return
        for result in results:
            if (units := result.units) is None or units.kind not in ("cell", "held-out prediction"):
                continue
            if getattr(units.ids, "dtype", names.dtype).kind in "iu":
                result._units = replace(units, ids=names[units.ids])

    def share(self, results: Iterable[MetricResult]) -> None:
        """Let results share the arrays that are equal to those of results before them."""
        for result in results:
            if (units := result.units) is not None:
                result._units = replace(
                    units,
                    ids=self._one(units.ids),
                    values=None if units.values is None else self._one(units.values),
                    columns={name: self._one(column) for name, column in units.columns.items()},
                )

    def _one(self, array: Any) -> Any:
        import numpy as np

        from czbenchmarks.kernels.representation import digest

        if getattr(array, "dtype", None) is None:
            return array
        if array.dtype.hasobject:  # names of cells: a table may make them anew for every metric
            same = next((known for known in self._names if np.array_equal(known, array)), None)
            if same is None:
                self._names.append(array)
            return array if same is None else same
        return self._arrays.setdefault(digest(array), array)


@contextmanager
def asking_for(representations: Sequence[Representation], most: int) -> Iterator[Callable[[Representation], None]]:
    """Let one search of neighbours serve every task; yields what drops the rest that metrics shared of an embedding.

    A representation of the caller's is as before afterwards: what it kept before the run it keeps, and the neighbours
    that were found stay with it.
    """
    before = [(one, one.max_neighbors, one.kept) for one in representations]
    own = {id(one): kept for one, _, kept in before}

    def forget(one: Representation) -> None:
        one.forget(but=own.get(id(one), ()))

    for one in representations:
        one.max_neighbors = max(one.max_neighbors, most)
    try:
        yield forget
    finally:
        for one, asked, _ in before:
            one.max_neighbors = asked
            forget(one)
