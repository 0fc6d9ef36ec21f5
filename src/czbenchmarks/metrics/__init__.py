"""Metrics: the catalogue (``MetricType``), their registry, and their implementations."""

from typing import TYPE_CHECKING

from czbenchmarks._lazy import lazy_exports

if TYPE_CHECKING:
    from .types import metrics_registry as metrics_registry
    from .types import register_metric as register_metric

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {"metrics_registry": "czbenchmarks.metrics.types", "register_metric": "czbenchmarks.metrics.types"},
)
