"""What the metric tests share."""

import pytest

from czbenchmarks.metrics.types import MetricType, metrics_registry


@pytest.fixture
def shipped_catalogue():
    """Remove what a test adds to the catalogue or changes in the registry."""
    names, rows = list(MetricType.__members__), dict(metrics_registry._rows)
    yield
    for name in [name for name in MetricType.__members__ if name not in names]:
        member = MetricType._member_map_.pop(name)
        MetricType._member_names_.remove(name)
        MetricType._value2member_map_.pop(member.value)
        type.__delattr__(MetricType, name)
    metrics_registry._rows.clear()
    metrics_registry._rows.update(rows)
