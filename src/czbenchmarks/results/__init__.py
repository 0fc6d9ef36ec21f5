"""What a run gives: scores, failures, and what was asked, in memory and as a file."""

from typing import TYPE_CHECKING

from czbenchmarks._lazy import lazy_exports

if TYPE_CHECKING:
    from .record import Failure as Failure
    from .record import RunRecord as RunRecord
    from .record import Score as Score
    from .store import Store as Store

_RECORD = "czbenchmarks.results.record"
__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {"RunRecord": _RECORD, "Score": _RECORD, "Failure": _RECORD, "Store": "czbenchmarks.results.store"},
)
