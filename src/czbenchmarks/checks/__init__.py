"""Trust checks: is there a reason to doubt a score? Each has a name, a verdict and one plain sentence."""

from typing import TYPE_CHECKING

from czbenchmarks._lazy import lazy_exports

if TYPE_CHECKING:
    from .embedding import resolution_curve_spread as resolution_curve_spread
    from .embedding import scale_and_dimension as scale_and_dimension
    from .embedding import supervised_embedding as supervised_embedding
    from .folds import donors_across_folds as donors_across_folds
    from .folds import near_duplicates_across_folds as near_duplicates_across_folds
    from .labels import better_than_majority as better_than_majority
    from .labels import clusters_as_labels as clusters_as_labels
    from .rows import order_of_rows as order_of_rows
    from .types import Check as Check

_EMBEDDING, _FOLDS = "czbenchmarks.checks.embedding", "czbenchmarks.checks.folds"
_LABELS, _ROWS = "czbenchmarks.checks.labels", "czbenchmarks.checks.rows"
__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Check": "czbenchmarks.checks.types",
        "scale_and_dimension": _EMBEDDING,
        "resolution_curve_spread": _EMBEDDING,
        "supervised_embedding": _EMBEDDING,
        "order_of_rows": _ROWS,
        "clusters_as_labels": _LABELS,
        "better_than_majority": _LABELS,
        "near_duplicates_across_folds": _FOLDS,
        "donors_across_folds": _FOLDS,
    },
)
