import json
import math

import numpy as np
import pandas as pd
import pytest

from czbenchmarks.metrics.catalogue import MetricType
from czbenchmarks.metrics.results import Measurement, MetricResult, Units
from czbenchmarks.metrics.utils import aggregate_results

nan = float("nan")


def test_a_result_without_value_is_null_in_json_and_nan_again():
    result = MetricResult(metric_type=MetricType.ACCURACY, value=nan, params={"classifier": "lr"}, reason="one class")
    text = result.model_dump_json()
    assert json.loads(text) == {
        "metric_type": "accuracy",
        "value": None,
        "params": {"classifier": "lr"},
        "reason": "one class",
        "counts": None,
        "details": None,
    }
    again = MetricResult.model_validate_json(text)
    assert math.isnan(again.value)
    assert again.model_dump(exclude={"value"}) == result.model_dump(exclude={"value"})
    assert math.isnan(result.model_dump()["value"])


@pytest.mark.parametrize("value", [0.0, -1.0, 0.1, 1 / 3, 1e-300])
def test_a_value_survives_json_to_the_bit(value):
    result = MetricResult(metric_type=MetricType.F1_SCORE, value=value)
    assert MetricResult.model_validate_json(result.model_dump_json()).value == value


def test_units_stay_in_memory():
    result = MetricResult(metric_type=MetricType.ACCURACY, value=0.5)
    assert result.units is None
    result._units = Units("cell", np.arange(2), np.array([0.0, 1.0]))
    assert "units" not in result.model_dump()
    assert "_units" not in result.model_dump()
    assert "units" not in json.loads(result.model_dump_json())
    assert result.units.values.tolist() == [0.0, 1.0]


def test_the_aggregation_key_sorts_parameters():
    key = MetricResult(metric_type=MetricType.F1_SCORE, value=1, params={"b": 2, "a": "x"}).aggregation_key
    assert key == "MetricType.F1_SCORE(a-x_b-2)"
    assert MetricResult(metric_type=MetricType.F1_SCORE, value=1).aggregation_key == "MetricType.F1_SCORE()"


def test_undefined_measurements():
    found = Measurement.undefined("why", counts={"used": 0})
    assert math.isnan(found.value)
    assert (found.reason, found.counts) == ("why", {"used": 0})


def test_results_are_compared_by_what_is_stored():
    result = MetricResult(metric_type=MetricType.ACCURACY, value=0.5, params={"classifier": "lr"})
    result._units = Units("cell", np.arange(3), np.ones(3))
    again = MetricResult.model_validate_json(result.model_dump_json())
    assert again == result
    assert again.units is None
    assert result != MetricResult(metric_type=MetricType.ACCURACY, value=0.25, params={"classifier": "lr"})


def test_aggregated_results_load_back_from_json():
    undefined = MetricResult(metric_type=MetricType.ACCURACY, value=math.nan, reason="none")
    defined = MetricResult(metric_type=MetricType.ACCURACY, value=0.5)
    (found,) = aggregate_results([undefined, defined])
    again = type(found).model_validate_json(found.model_dump_json())
    assert (again.value, again.values_raw[1], math.isnan(again.values_raw[0])) == (0.5, 0.5, True)


def test_units_are_a_table():
    units = Units("label", np.array(["B", "T"]), np.array([0.5, nan]), {"cells": np.array([3, 1])})
    expected = pd.DataFrame({"unit": ["B", "T"], "kind": "label", "value": [0.5, nan], "cells": [3, 1]})
    pd.testing.assert_frame_equal(units.frame(), expected, check_dtype=False)
    without = Units("cell", np.arange(2), columns={"cluster": np.array([1, 0])}).frame()
    assert without["value"].isna().all()
    assert without["cluster"].tolist() == [1, 0]


def test_units_make_the_score():
    values = np.array([1.0, 3.0, 8.0, nan])
    label, batch = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 0])
    columns = {"label": label, "batch": batch}
    assert Units("cell", np.arange(4), values).score() == 4.0
    assert Units("cell", np.arange(4), values, summary="median").score() == 3.0
    assert Units("cell", np.arange(4), values, columns, groups=("label",)).score() == 5.0
    values = np.array([1.0, 2.0, 3.0, 9.0])
    columns = {"label": np.zeros(4, dtype=int), "batch": np.array([0, 1, 1, 1])}
    assert Units("cell", np.arange(4), values, columns, groups=("label", "batch")).score() == (1 + 14 / 3) / 2
    for empty in (None, np.full(4, nan)):
        assert math.isnan(Units("cell", np.arange(4), empty, columns, groups=("label",)).score())
