import math

import pytest

from czbenchmarks.metrics.implementations import (
    f1_score_zero_division,
    metrics_registry,
    precision_score_zero_division,
    recall_score_zero_division,
    spearman_correlation,
)
from czbenchmarks.metrics.types import MetricType

# The published release prints these numbers for the same calls.
PUBLISHED = [
    (MetricType.ACCURACY_CALCULATION, {}, [1, 0, 1, 1], [1, 1, 0, 1], 0.5),
    (MetricType.F1_CALCULATION, {}, [1, 0, 1, 1], [1, 1, 0, 1], 2 / 3),
    (MetricType.PRECISION_CALCULATION, {}, [1, 0, 1, 1], [1, 1, 0, 1], 2 / 3),
    (MetricType.RECALL_CALCULATION, {}, [1, 0, 1, 1], [1, 1, 0, 1], 2 / 3),
    (MetricType.F1_CALCULATION, {"average": "macro"}, "abca", "abba", 5 / 9),
    (MetricType.PRECISION_CALCULATION, {"average": "macro"}, "abca", "abba", 0.5),
    (MetricType.RECALL_CALCULATION, {"average": "macro"}, "abca", "abba", 2 / 3),
    (MetricType.F1_CALCULATION, {}, [1, 1], [0, 0], 0.0),
    (MetricType.PRECISION_CALCULATION, {}, [1, 1], [0, 0], 0.0),
    (MetricType.RECALL_CALCULATION, {}, [1, 1], [0, 0], 0.0),
]


@pytest.mark.parametrize(("metric", "more", "true", "predicted", "value"), PUBLISHED)
def test_published_values(metric, more, true, predicted, value):
    found = metrics_registry.compute(metric, y_true=list(true), y_pred=list(predicted), **more)
    assert found == pytest.approx(value, abs=1e-15)


def test_functions_return_plain_numbers():
    assert f1_score_zero_division([1, 0], [1, 1]) == pytest.approx(2 / 3)
    assert precision_score_zero_division([1, 0], [1, 1]) == 0.5
    assert recall_score_zero_division([1, 0], [1, 1]) == 1.0
    assert spearman_correlation([1, 2, 3], [1, 3, 2]) == 0.5
    assert math.isnan(spearman_correlation([1, 2, 3], [1, 1, 1]))


def test_mean_squared_error():
    assert metrics_registry.compute(MetricType.MEAN_SQUARED_ERROR, y_true=[1.0, 2.0], y_pred=[1.0, 4.0]) == 2.0
