"""What a run gives: scores, failures, and what was asked, in memory and as a file."""

from typing import TYPE_CHECKING

from czbenchmarks._lazy import lazy_exports

if TYPE_CHECKING:
    from .classification import confusion_matrix as confusion_matrix
    from .classification import per_class_table as per_class_table
    from .record import Failure as Failure
    from .record import RunRecord as RunRecord
    from .record import Score as Score
    from .store import Store as Store

_RECORD = "czbenchmarks.results.record"
_CLASSES = "czbenchmarks.results.classification"
__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "RunRecord": _RECORD,
        "Score": _RECORD,
        "Failure": _RECORD,
        "Store": "czbenchmarks.results.store",
        "confusion_matrix": _CLASSES,
        "per_class_table": _CLASSES,
    },
)
