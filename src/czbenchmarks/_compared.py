"""What metrics compare an embedding with, where the user does not name it: the data's own expression."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .cells import Cells
from .constants import RANDOM_SEED
from .metrics._inputs import represent
from .metrics.presets import find
from .metrics.types import MetricType
from .tasks._metrics import arguments_asked, metric_names

_N_TOP_GENES, _N_PCS = 3000, 50


@dataclass(frozen=True)
class Default:
    """What a field gets: the value, the reference it is recorded as, and a choice to be told of."""

    value: Any
    reference: str
    choice: str = ""


def defaults(
    fields: Collection[str],
    metrics: Any,
    cells: Cells,
    lacks: Collection[str] = (),
    given: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Default]:
    """Return what the data give for fields that the metrics asked for use; a field they have nothing for is left out.

    Parameters
    ----------
    fields
        Fields of a task's input that were not named.
    metrics
        Names of metrics and presets.
    cells
        The data.
    lacks
        Arguments of metrics that the task never has.
    given
        Values of the fields that were named.
    """
    names = metric_names(metrics)
    needed, welcome = arguments_asked(names, lacks)
    by_name, _ = arguments_asked(name for name in names if isinstance(find(name), MetricType))
    asked = (needed | welcome) & set(fields)
    found: dict[str, Default] = {}
    if asked & {"unintegrated", "expression"} and cells.has_expression:
        if "unintegrated" in asked:
            found["unintegrated"] = _usable("unintegrated", by_name, lambda: before_integration(cells))
        if "expression" in asked:
            found["expression"] = _usable("expression", by_name, lambda: _expression(cells))
    if "gene_names" in asked:
        found |= _gene_names(cells, given.get("expression"), "expression" in found)
    if "organism" in asked:
        with suppress(ValueError):  # the metric that needs it says so
            found["organism"] = Default(organism := cells.organism, str(organism))
    return found


def _gene_names(cells: Cells, expression: Any, is_x: bool) -> dict[str, Default]:
    """Return the names of the data's genes for X, and for expression that was given if it has as many."""
    if not is_x and expression is None:
        return {}
    with suppress(ValueError):  # data without genes
        names = cells.look_up("@var_index")
        if is_x:
            return {"gene_names": Default(names, "@var_index")}
        if len(names) == expression.shape[1]:
            said = "no `gene_names` named, so the names of the data's genes were used"
            return {"gene_names": Default(names, "@var_index", said)}
    return {}


def _usable(name: str, by_name: Collection[str], make: Callable[[], Default]) -> Default:
    """Return a default, or none and why: what needs no such thing is scored all the same.

    A metric that was asked for by its own name is refused with the sentence that says why.
    """
    try:
        return make()
    except ValueError as error:
        if name in by_name:
            raise
        return Default(None, "", f"no `{name}` named, and X cannot be used: {str(error).rstrip('.')}")


def _expression(cells: Cells) -> Default:
    X = represent(cells.look_up("@X"), "expression", keep_sparse=True)
    return Default(X, "@X", "no `expression` named, so X was used")


def before_integration(cells: Cells) -> Default:
    """Return X, or the standard principal components of it if it holds counts: nobody compares with raw counts.

    It is made once for all tasks and checks of a run.

    Parameters
    ----------
    cells
        Data with expression.

    Raises
    ------
    ValueError
        If X holds what cannot be compared with.
    """
    return cells.once("before integration", lambda: _before_integration(cells))


def _before_integration(cells: Cells) -> Default:
    from .tasks.utils import is_not_count_data, pca_baseline

    X = cells.look_up("@X")
    if is_not_count_data(X) or X.shape[1] <= _N_PCS:
        X = represent(X, "unintegrated", keep_sparse=True)
        return Default(X, "@X", "no `unintegrated` named, so X was used")
    n_pcs = min(_N_PCS, X.shape[0] - 1, X.shape[1] - 1)
    components = pca_baseline(X, _N_TOP_GENES, n_pcs, RANDOM_SEED)
    said = (
        "no `unintegrated` named, so X was used: counts, of which the principal components were taken as the baseline's"
    )
    return Default(represent(components, "unintegrated"), "@X, principal components of the counts", said)
