"""What metrics compare an embedding with, where the user does not name it: the data's own expression."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.exceptions import BAD_INPUT
from czbenchmarks.io.dataset import Cells
from czbenchmarks.io.files.files import Refused
from czbenchmarks.io.references import look_up
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics._expression import logged
from czbenchmarks.metrics.inputs import represent
from czbenchmarks.metrics.presets import find
from czbenchmarks.metrics.types import MetricType
from czbenchmarks.tasks.scoring import Unusable, arguments_asked, metric_names

_N_TOP_GENES, _N_PCS = 3000, 50


@dataclass(frozen=True)
class Default:
    """What a field gets: the value, the reference it is recorded as, and a choice to be told of.

    Where the data have something that cannot be used the value is None, and `unusable` says why.
    """

    value: Any
    reference: str
    choice: str = ""
    unusable: Unusable | None = None


def defaults(
    fields: Collection[str],
    metrics: Any,
    cells: Cells,
    lacks: Collection[str] = (),
    given: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Default]:
    """Return what the data give for `fields` that the metrics asked for use; a field they have nothing for is left out.

    Of no use is what a metric asks for beside an argument that the task always `lacks`; `given` are the fields that
    were named.
    """
    names = metric_names(metrics)
    needed, welcome = arguments_asked(names, lacks)
    by_name, _ = arguments_asked(name for name in names if isinstance(find(name), MetricType))
    asked = (needed | welcome) & set(fields)
    found: dict[str, Default] = {}
    makers: dict[str, tuple[str, Callable[[], Default | None]]] = {
        "unintegrated": ("X", lambda: before_integration(cells) if cells.has_expression else None),
        "expression": ("X", lambda: _expression(cells) if cells.has_expression else None),
        "gene_names": ("the names of the data's genes", lambda: _gene_names(cells, given.get("expression"), found)),
        "organism": ("the organism of the data", lambda: _organism(cells)),
    }
    for name, (what, make) in makers.items():
        if name in asked and (default := _usable(name, what, by_name, make)) is not None:
            found[name] = default
    return found


def _usable(name: str, what: str, by_name: Collection[str], make: Callable[[], Default | None]) -> Default | None:
    """Return a default; None where the data have nothing for it, or why it cannot be used: the rest is scored.

    A metric that was asked for by its own name is refused with the sentence that says why.
    """
    try:
        return make()
    except BAD_INPUT as error:
        if name in by_name:
            raise
        why = f"{what} cannot be used: {str(error).rstrip('.')}"
        return Default(None, "", f"no `{name}` named, and {why}", Unusable(why, isinstance(error, Refused)))


def _gene_names(cells: Cells, expression: Any, found: Mapping[str, Default]) -> Default | None:
    """Return the names of the data's genes for X, and for expression that was given if it has as many."""
    is_x = "expression" in found and found["expression"].unusable is None
    if not cells.holds("var") or (not is_x and expression is None):
        return None
    names = look_up(cells, "@var_index")
    if is_x:
        return Default(names, "@var_index")
    if len(names) != expression.shape[1]:
        return None
    return Default(names, "@var_index", "no `gene_names` named, so the names of the data's genes were used")


def _organism(cells: Cells) -> Default | None:
    from czbenchmarks.datasets.types import Organism

    if not cells.names_organism:
        return None
    organism = Organism(cells.organism)
    return Default(organism, str(organism))


def _expression(cells: Cells) -> Default:
    _, X = _read_x(cells, "expression")
    logged(X, "expression")  # which its metrics ask for, and share
    return Default(X, "@X", "no `expression` named, so X was used")


def _read_x(cells: Cells, name: str) -> tuple[Any, Representation]:
    """Return X as it is, and checked; what is no matrix of finite numbers is as bad as damage."""
    X = look_up(cells, "@X")
    try:
        return X, represent(X, name, keep_sparse=True)
    except BAD_INPUT as error:
        raise Refused(str(error)) from None


def before_integration(cells: Cells) -> Default:
    """Return X, or the standard principal components of it if it holds counts: nobody compares with raw counts.

    It is made once for all tasks and checks of a run; what cannot be compared with is refused.
    """
    return cells.once("before integration", lambda: _before_integration(cells))


def _before_integration(cells: Cells) -> Default:
    from czbenchmarks.tasks.utils import holds_fractions, pca_baseline

    X, checked = _read_x(cells, "unintegrated")
    if holds_fractions(X) or X.shape[1] <= _N_PCS:
        return Default(checked, "@X", "no `unintegrated` named, so X was used")
    components = pca_baseline(X, _N_TOP_GENES, _N_PCS, RANDOM_SEED, fewer=True)
    said = (
        "no `unintegrated` named, so X was used: counts, of which the principal components were taken as the baseline's"
    )
    if components.shape[1] < _N_PCS:
        said += f", {components.shape[1]:,} instead of {_N_PCS}, for the data have no more"
    return Default(represent(components, "unintegrated"), "@X, principal components of the counts", said)
