"""Expression as metrics take it: counts or logarithms, dense or sparse, logged when it is read."""

from __future__ import annotations

from typing import Any

from czbenchmarks._check import same_length
from czbenchmarks.exceptions import InputError
from czbenchmarks.kernels.expression import LARGEST_LOG, Expression, logarithms
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.kernels.stored import StoredMatrix

from .inputs import represent


def logged(value: Any, name: str, n: int | None = None, *, signed: bool = False) -> tuple[Representation, Expression]:
    """Return n x g expression with what embeddings share, and as kernels read it.

    Values that are all whole and at least 0 are counts: each cell is scaled to a total of 10,000 and log(1 + x) is
    taken. Anything else is taken as logged; below 0 only where it may be `signed`. `n` is the number of cells it must
    have, `name` what an error sentence calls it.
    """
    given = represent(value, name, keep_sparse=True)
    if n is not None:
        same_length(given.n, n, name)

    def make() -> Expression:
        values = given.array if isinstance(given.values, StoredMatrix) else given.values
        stored: Any = values.data if hasattr(values, "indptr") else values
        least = float(stored.min(initial=0))
        if least < 0 and not signed:
            raise InputError(
                f"`{name}` must hold counts or their logarithms, at least 0, got values down to {least:g}; pass it as "
                "it was before scaling."
            )
        try:
            return logarithms(values)
        except LookupError as error:
            raise InputError(
                f"`{name}` must hold counts or logarithms, got values that are not whole and reach {error.args[0]:g}, "
                f"above {LARGEST_LOG:g}; pass counts or take log(1 + x)."
            ) from None

    return given, given.once(("logged expression", signed), make)


def state(expression: Expression) -> str:
    """Say in a result what the expression was taken for."""
    return "logged" if expression.totals is None else "counts"
