"""Trust checks: is there a reason to doubt a score? Each has a name, a verdict and one plain sentence."""

from typing import TYPE_CHECKING

from czbenchmarks._lazy import lazy_exports

if TYPE_CHECKING:
    from .embedding import resolution_curve_spread as resolution_curve_spread
    from .embedding import scale_and_dimension as scale_and_dimension
    from .embedding import supervised_embedding as supervised_embedding
    from .folds import donors_across_folds as donors_across_folds
    from .folds import near_duplicates_across_folds as near_duplicates_across_folds
    from .types import Check as Check

_EMBEDDING, _FOLDS = "czbenchmarks.checks.embedding", "czbenchmarks.checks.folds"
__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Check": "czbenchmarks.checks.types",
        "scale_and_dimension": _EMBEDDING,
        "resolution_curve_spread": _EMBEDDING,
        "supervised_embedding": _EMBEDDING,
        "near_duplicates_across_folds": _FOLDS,
        "donors_across_folds": _FOLDS,
    },
)
