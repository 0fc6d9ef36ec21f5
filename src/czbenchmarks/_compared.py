"""What metrics compare an embedding with, where the user does not name it: the data's own expression."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .cells import Cells
from .constants import RANDOM_SEED
from .tasks._metrics import arguments_asked, metric_names

_N_TOP_GENES, _N_PCS = 3000, 50


@dataclass(frozen=True)
class Default:
    """What a field gets: the value, the reference it is recorded as, and a choice to be told of."""

    value: Any
    reference: str
    choice: str = ""


def defaults(fields: Collection[str], metrics: Any, cells: Cells) -> dict[str, Default]:
    """Return what the data give for fields that the metrics asked for use; a field they have nothing for is left out.

    Parameters
    ----------
    fields
        Fields of a task's input that were not named.
    metrics
        Names of metrics and presets.
    cells
        The data.
    """
    needed, welcome = arguments_asked(metric_names(metrics))
    asked = (needed | welcome) & set(fields)
    found: dict[str, Default] = {}
    if asked & {"unintegrated", "expression"} and cells.has_expression:
        if "unintegrated" in asked:
            found["unintegrated"] = before_integration(cells)
        if "expression" in asked:
            found["expression"] = Default(cells.look_up("@X"), "@X", "no `expression` named, so X was used")
            if "gene_names" in asked:
                found["gene_names"] = Default(cells.look_up("@var_index"), "@var_index")
    if "organism" in asked:
        with suppress(ValueError):  # the metric that needs it says so
            found["organism"] = Default(organism := cells.organism, str(organism))
    return found


def before_integration(cells: Cells) -> Default:
    """Return X, or the standard principal components of it if it holds counts: nobody compares with raw counts.

    Parameters
    ----------
    cells
        Data with expression.
    """
    from .tasks.utils import is_not_count_data, pca_baseline

    X = cells.look_up("@X")
    if is_not_count_data(X) or X.shape[1] <= _N_PCS:
        return Default(X, "@X", "no `unintegrated` named, so X was used")
    n_pcs = min(_N_PCS, X.shape[0] - 1, X.shape[1] - 1)
    components = pca_baseline(X, _N_TOP_GENES, n_pcs, RANDOM_SEED)
    said = (
        "no `unintegrated` named, so X was used: counts, of which the principal components were taken as the baseline's"
    )
    return Default(components, "@X, principal components of the counts", said)
