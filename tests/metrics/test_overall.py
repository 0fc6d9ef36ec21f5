"""Means of scores."""

import math

import pytest

from czbenchmarks.metrics.overall import mean_of_scores, weighted_total
from czbenchmarks.metrics.types import MetricType, metrics_registry


def test_mean_leaves_out_what_has_no_value_and_says_so():
    found = mean_of_scores({"ilisi": 0.2, "kbet": math.nan, "bras": 0.6})
    assert found.value == pytest.approx(0.4)
    assert found.counts == {"used": 2, "left_out": 1}
    assert found.details["scores_left_out"] == ["kbet"]
    assert mean_of_scores({"ilisi": 0.2, "bras": 0.6}).details == {}


@pytest.mark.parametrize("scores", [{}, {"kbet": math.nan}])
def test_mean_of_nothing_is_not_defined(scores):
    found = mean_of_scores(scores)
    assert math.isnan(found.value)
    assert found.reason == "none of its scores has a value"


def test_mean_of_few_is_not_defined():
    scores = {"graph_connectivity": 0.9, "ilisi": math.nan, "kbet": math.nan}
    assert mean_of_scores(scores).reason == "only 1 of its 3 scores have a value"
    assert mean_of_scores({"bras": 0.4, "kbet": math.nan}).value == 0.4


def test_total_weighs_biology_more():
    assert weighted_total(1.0, 0.0).value == pytest.approx(0.6)
    assert weighted_total(0.0, 1.0).value == pytest.approx(0.4)
    assert weighted_total(0.0, 1.0, bio_share=0.0).value == 1.0
    found = weighted_total(0.5, math.nan)
    assert math.isnan(found.value)
    assert found.reason == "no value of batch_correction"
    with pytest.raises(ValueError, match=r"`bio_share` must be at least 0 and at most 1, got 1\.5"):
        weighted_total(0.5, 0.5, bio_share=1.5)


def test_they_are_rows_of_the_catalogue():
    assert metrics_registry.compute(MetricType.BIO_CONSERVATION, scores={"a": 0.25, "b": 0.75}) == 0.5
    assert metrics_registry.compute(MetricType.SCIB_TOTAL, bio_conservation=0.5, batch_correction=0.5) == 0.5
