import copy
import json
import math
import pickle

import numpy as np
import pytest

from czbenchmarks.metrics.types import (
    Measurement,
    MetricRegistry,
    MetricResult,
    MetricType,
    Units,
    metrics_registry,
    register_metric,
)
from czbenchmarks.metrics.utils import aggregate_results

nan = float("nan")
SHIPPED = list(MetricType)


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


@pytest.mark.parametrize("metric", list(MetricType))
def test_every_row_is_complete_and_its_function_takes_what_it_needs(metric):
    row = metric.declaration
    assert row.about.endswith(".")
    assert row.range[0] <= row.best <= row.range[1]
    assert row.tags
    info = metrics_registry.get_info(metric)
    assert info.required_args == set(row.needs)
    assert info.default_params == row.defaults
    assert info.description == row.about
    with pytest.raises(ValueError, match=r"Missing required arguments"):
        metrics_registry.compute(metric, **{name: 0 for name in row.needs[1:] if name not in row.defaults})


@pytest.mark.parametrize("metric", list(MetricType))
def test_members_are_found_by_key_and_survive_copies(metric):
    assert MetricType(metric.value) is metric
    assert MetricType[metric.name] is metric
    assert pickle.loads(pickle.dumps(metric)) is metric
    assert copy.deepcopy(metric) is metric
    assert MetricResult(metric_type=metric.value, value=1).metric_type is metric


def test_tags_select():
    assert metrics_registry.list_metrics() == set(MetricType)
    for tag, some in (
        ("clustering", {MetricType.ADJUSTED_RAND_INDEX, MetricType.HOMOGENEITY, MetricType.LEIDEN_NMI}),
        ("integration", {MetricType.ENTROPY_PER_CELL, MetricType.BATCH_SILHOUETTE, MetricType.BRAS}),
    ):
        found = metrics_registry.list_metrics({tag})
        assert found >= some
        assert found == {metric for metric in MetricType if tag in metric.declaration.tags}
        assert MetricType.SEQUENTIAL_ALIGNMENT not in found
    both = metrics_registry.list_metrics({"label_prediction", "perturbation"})
    assert {m.value for m in both} == {
        "accuracy_calculation",
        "f1_calculation",
        "precision_calculation",
        "recall_calculation",
        "spearman_correlation_calculation",
    }
    assert metrics_registry.list_metrics({"zz"}) == set()


def test_unknown_arguments_and_metrics_are_refused():
    with pytest.raises(TypeError, match=r"'rescal' is not known. Did you mean 'rescale'"):
        metrics_registry.compute(MetricType.SILHOUETTE_SCORE, X=[[0.0]], labels=["a"], rescal=True)
    with pytest.raises(ValueError, match=r"Unknown metric type: 'silhouette_scor'\. Did you mean 'silhouette_score'"):
        metrics_registry.compute("silhouette_scor")


def test_compute_is_a_number_and_measure_says_how():
    arguments = {"X": [[0.0], [1.0]], "labels": ["a", "a"]}
    assert math.isnan(metrics_registry.compute(MetricType.SILHOUETTE_SCORE, **arguments))
    measured = metrics_registry.measure(MetricType.SILHOUETTE_SCORE, **arguments)
    assert measured.reason == "all cells have one label, 'a'"
    pearson = metrics_registry.compute(MetricType.PEARSON_CORRELATION, x=[1, 2, 4.0], y=[1, 2, 3.0])
    assert pearson.statistic == pytest.approx(0.9819805060619659)
    measured = metrics_registry.measure(MetricType.PEARSON_CORRELATION, x=[1, 2, 4.0], y=[1, 2, 3.0])
    assert measured.value == pearson.statistic
    cells = [[0.0], [0.0], [2.0], [2.0]]
    assert metrics_registry.get_info(MetricType.SILHOUETTE_SCORE).func(cells, ["a", "a", "b", "b"]) == 1.0


@pytest.mark.usefixtures("shipped_catalogue")
def test_one_call_adds_a_metric():
    metric = register_metric(
        "spread", lambda X, scale: X.std() * scale, needs="X", about="Spread.", tags="mine", range=(0, 9), scale=2.0
    )
    assert (metric.value, metric.name, str(metric)) == ("spread", "SPREAD", "MetricType.SPREAD")
    assert MetricType("spread") is MetricType["SPREAD"] is MetricType.SPREAD is metric
    assert list(MetricType)[-1] is metric
    assert metrics_registry.list_metrics({"mine"}) == {metric}
    assert metrics_registry.compute(metric, X=np.array([0.0, 2.0])) == 2.0
    assert metrics_registry.compute(metric, X=np.array([0.0, 2.0]), scale=1.0) == 1.0
    assert metrics_registry.measure(metric, X=np.array([0.0, 2.0])).value == 2.0
    assert pickle.loads(pickle.dumps(metric)) is metric
    result = MetricResult(metric_type="spread", value=1.5)
    assert MetricResult.model_validate_json(result.model_dump_json()).metric_type is metric
    with pytest.raises(ValueError, match=r"`key` must be new, got 'spread'"):
        register_metric("spread", len, needs="X", about="")


def test_the_fixture_leaves_the_shipped_catalogue():
    assert "SPREAD" not in MetricType.__members__
    assert list(MetricType) == SHIPPED
    with pytest.raises(ValueError, match=r"spread"):
        MetricType("spread")


@pytest.mark.parametrize("key", ["Upper", "1st", "with space", "", None, "a-b"])
def test_bad_keys_are_refused(key):
    with pytest.raises(ValueError, match=r"`key` must be lower-case letters"):
        register_metric(key, len, needs="X", about="")


@pytest.mark.parametrize("key", ["accuracy", "f1_score", "pearson_correlation"])
def test_keys_of_shipped_metrics_are_refused(key):
    with pytest.raises(ValueError, match=r"`key` must be new"):
        register_metric(key, len, needs="X", about="")


@pytest.mark.parametrize("function", [3, "module", "a:b:c"])
def test_bad_functions_are_refused(function):
    with pytest.raises(TypeError, match=r"`function` must be callable or 'module:function'"):
        register_metric("mine", function, needs="X", about="")


@pytest.mark.usefixtures("shipped_catalogue")
def test_a_metric_named_by_module_is_imported_at_first_use():
    metric = register_metric("minimum", "builtins:min", needs="a b", about="Least.")
    assert metric.declaration.function == "builtins:min"


def test_register_sets_the_function_of_one_registry_only():
    registry = MetricRegistry()
    registry.register(MetricType.JACCARD, lambda x, y=1: x + y, {"x"}, {"y": 5}, "Sum.", {"mine"})
    assert registry.compute(MetricType.JACCARD, x=2) == 7
    assert registry.list_metrics({"mine"}) == {MetricType.JACCARD}
    assert registry.get_info(MetricType.JACCARD).description == "Sum."
    assert metrics_registry.compute(MetricType.JACCARD, y_true={"a"}, y_pred={"a"}) == 1.0
    with pytest.raises(TypeError, match=r"`metric_type` must be a MetricType"):
        registry.register("jaccard", len)
    with pytest.raises(TypeError, match=r"`func` must be callable"):
        registry.register(MetricType.JACCARD, 3)


@pytest.mark.parametrize("value", [nan, math.inf])
@pytest.mark.usefixtures("shipped_catalogue")
def test_a_function_that_returns_no_number_is_measured_with_a_reason(value):
    metric = register_metric("nothing", lambda X: value, needs="X", about="Nothing.")
    reason = metrics_registry.measure(metric, X=0).reason
    assert reason.startswith(f"the function of nothing gave {value} for this input, as it does where")


@pytest.mark.parametrize("value", ["a", None, [1.0, 2.0]])
@pytest.mark.usefixtures("shipped_catalogue")
def test_a_function_that_returns_something_else_is_named(value):
    metric = register_metric("wordy", lambda X: value, needs="X", about="Words.")
    with pytest.raises(TypeError, match=f"Metric 'wordy' must return a number, got {type(value).__name__}; correct it"):
        metrics_registry.measure(metric, X=0)


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
