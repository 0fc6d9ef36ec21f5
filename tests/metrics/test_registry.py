import copy
import math
import pickle
import sys

import numpy as np
import pandas as pd
import pytest

from czbenchmarks._check import labels
from czbenchmarks.exceptions import InputError, InputTypeError
from czbenchmarks.metrics import types
from czbenchmarks.metrics.declaration import Declaration
from czbenchmarks.metrics.inputs import represent
from czbenchmarks.metrics.registry import MetricRegistry, metrics_registry, register_metric
from czbenchmarks.metrics.results import MetricResult
from czbenchmarks.metrics.types import MetricType

nan = float("nan")
SHIPPED = list(MetricType)


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


def test_the_published_module_has_every_name():
    for name in (
        "AggregatedMetricResult", "Declaration", "Measurement", "MetricInfo", "MetricRegistry", "MetricResult",
        "MetricType", "Units", "declare", "metrics_registry", "register_metric",
    ):  # fmt: skip
        assert hasattr(types, name)
    assert types.metrics_registry is metrics_registry
    assert pickle.loads(b"cczbenchmarks.metrics.types\nMetricResult\n.") is MetricResult


@pytest.mark.usefixtures("shipped_catalogue")
def test_a_function_from_outside_gets_what_its_signature_names():
    rows = [
        register_metric("with_seed", lambda X, random_seed=1: random_seed, needs="X", about="Seed.").declaration,
        register_metric("with_both", lambda X, max_cells=None, random_seed=1: 0, needs="X", about="Both.").declaration,
        register_metric("with_any", lambda X, **more: 0, needs="X", about="Any.").declaration,
        register_metric("needs_seed", lambda X, random_seed: 0, needs="X random_seed", about="Needed.").declaration,
        register_metric("builtin", "builtins:min", needs="X", about="Least.").declaration,
    ]
    assert [row.takes for row in rows] == [("random_seed",), ("max_cells", "random_seed"), (), (), ()]
    assert not any(row.draws for row in rows)
    registry = MetricRegistry()
    registry.register(MetricType.KMEANS_NMI, lambda X, labels: 0.5, {"X", "labels"})
    assert registry.declaration(MetricType.KMEANS_NMI).takes == ()
    assert metrics_registry.declaration(MetricType.KMEANS_NMI).takes == ("random_seed",)


@pytest.mark.usefixtures("shipped_catalogue")
def test_a_row_says_its_version():
    metric = register_metric("second", lambda X: 0.0, needs="X", about="Nothing.", version=2)
    assert metric.declaration.version == metrics_registry.get_info(metric).version == 2
    assert metric.declaration.defaults == {}


@pytest.mark.usefixtures("shipped_catalogue")
def test_functions_of_others_get_plain_arrays():
    given = []
    metric = register_metric(
        "seen", lambda X, labels: given.append((X, labels)) or 0.0, needs="X labels", about="Seen."
    )
    cells = represent([[0.0], [1.0], [2.0]])
    for one in ([3, 1, 3], np.array([0.5, 0.1, 0.5], dtype="f4"), ["b", "a", "b"], [True, False, True], [1, "1", 2]):
        metrics_registry.measure(metric, X=cells, labels=labels(one, "labels"))
        X, found = given.pop()
        assert X is cells.array
        assert isinstance(found, pd.Series)  # as a column of obs is
        if list(one) != [1, "1", 2]:
            assert found.tolist() == np.asarray(one).tolist()
            assert found.dtype.kind in (np.asarray(one).dtype.kind, "O")
        metrics_registry.measure(metric, X=cells, labels=one)
        assert given.pop()[1] is one
    metrics_registry.compute(metric, X=[[0.0]], labels=[None])  # what is passed to it is not checked
    assert given.pop() == ([[0.0]], [None])


def frames_between(name):
    """Return the functions of the package between a metric's function and `name`."""
    frame, found = sys._getframe(2), []
    while frame.f_code.co_name != name:
        found.append(frame.f_code.co_name)
        frame = frame.f_back
    return found


@pytest.mark.parametrize("way", ["compute", "measure"])
@pytest.mark.usefixtures("shipped_catalogue")
def test_one_frame_calls_the_function(way):
    seen = []

    def function(X):
        seen.append(frames_between("caller"))
        return 0.0

    metric = register_metric("framed", function, needs="X", about="Frames.")

    def caller():
        getattr(metrics_registry, way)(metric, X=0)

    caller()
    assert seen == [[way]]


@pytest.mark.usefixtures("shipped_catalogue")
def test_a_signature_is_looked_up_once(monkeypatch):
    looked, signature = [], sys.modules["inspect"].signature
    monkeypatch.setattr("inspect.signature", lambda function: looked.append(function) or signature(function))
    metric = register_metric("looked_up", lambda X, random_seed=0: 0.0, needs="X", about="Once.")
    for _ in range(3):
        metrics_registry.measure(metric, X=0)
        assert metric.declaration.takes == ("random_seed",)
    assert len(looked) == 1


@pytest.mark.usefixtures("shipped_catalogue")
def test_what_functions_of_others_refuse_is_one_sentence():
    def broken(X, labels):
        raise KeyError("x") if X is None else ValueError("no\nsuch thing")

    metric = register_metric("broken", broken, needs="X labels", about="Broken.")
    with pytest.raises(InputError, match=r"^`X` and `labels` must suit MetricType.BROKEN, which refused them: no\.$"):
        metrics_registry.measure(metric, X=0, labels=0)
    with pytest.raises(InputTypeError, match=r"^`y_true` and `y_pred` must suit MetricType.MEAN_SQUARED_ERROR, which"):
        metrics_registry.compute(MetricType.MEAN_SQUARED_ERROR, y_true=3, y_pred=4)
    with pytest.raises(KeyError):
        metrics_registry.measure(metric, X=None, labels=0)


def test_what_goes_wrong_in_our_functions_is_left_as_it_is(monkeypatch):
    def broken(values):
        return np.zeros(2) + np.zeros(3)

    monkeypatch.setattr("czbenchmarks.metrics.embedding._labels", lambda *_: broken(0))
    for way in (metrics_registry.compute, metrics_registry.measure):
        with pytest.raises(ValueError, match=r"^operands could not be broadcast") as caught:
            way(MetricType.SILHOUETTE_SCORE, X=[[0.0], [1.0]], labels=["a", "b"])
        assert type(caught.value) is ValueError
        assert caught.value.__cause__ is caught.value.__context__ is None


def test_rows_of_the_catalogue_are_checked_before_a_library_sees_them(monkeypatch):
    row = Declaration("sklearn.metrics:silhouette_score", ("X", "labels"), ("embedding",), (-1, 1), 1, "Apart.")
    registry = MetricRegistry()
    monkeypatch.setitem(registry._rows, MetricType.SILHOUETTE_SCORE, row)

    def measured(X, labels):
        return registry.measure(MetricType.SILHOUETTE_SCORE, X=X, labels=labels).value

    cells = [[0.0], [0.1], [5.0], [5.1]]
    assert measured(cells, ["a", "a", "b", "b"]) == pytest.approx(0.98, abs=0.01)
    with pytest.raises(InputError, match=r"^`labels` must name every cell, got 1 missing of 4"):
        measured(cells, ["a", "a", None, "b"])
    with pytest.raises(InputError, match=r"^`labels` must have the same length as the data.* expected 4, got 3"):
        measured(cells, ["a", "a", "b"])
    with pytest.raises(InputError, match=r"^`X` must be finite"):
        measured([[0.0], [nan], [5.0], [5.1]], ["a", "a", "b", "b"])
