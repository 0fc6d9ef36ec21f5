"""Metrics: the catalogue (``MetricType``), their registry, and their implementations."""

from typing import TYPE_CHECKING

from czbenchmarks._lazy import lazy_exports

if TYPE_CHECKING:
    from .registry import metrics_registry as metrics_registry
    from .registry import register_metric as register_metric

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {"metrics_registry": "czbenchmarks.metrics.registry", "register_metric": "czbenchmarks.metrics.registry"},
)
