import math
import statistics

import numpy as np
import pandas as pd
import pytest

from czbenchmarks.metrics import utils
from czbenchmarks.metrics.types import MetricResult, MetricType, metrics_registry

FRAME = pd.DataFrame(
    {"classifier": ["a", "a", "b"], "accuracy": [1, 0.5, 0.25], "auroc": [0.1, 0.2, 0.3], "f1": [0, 1, 0.0]}
)


def test_results_are_aggregated_by_metric_and_parameters_in_order():
    results = [
        MetricResult(metric_type=MetricType.ACCURACY, value=v, params={"c": c}) for v in (1, 2, 4.0) for c in "ba"
    ]
    results.append(MetricResult(metric_type=MetricType.F1_SCORE, value=0.5))
    first, second, third = utils.aggregate_results(iter(results))
    for found, letter in ((first, "b"), (second, "a")):
        assert (found.metric_type, found.params, found.n_values) == (MetricType.ACCURACY, {"c": letter}, 3)
        assert found.values_raw == [1.0, 2.0, 4.0]
        assert found.value == pytest.approx(7 / 3)
        assert found.value_std_dev == pytest.approx(statistics.stdev([1, 2, 4]))
    assert (third.params, third.value, third.value_std_dev) == ({}, 0.5, None)
    assert utils.aggregate_results([]) == []


def test_undefined_values_are_kept_apart():
    nan = float("nan")
    results = [MetricResult(metric_type=MetricType.F1_SCORE, value=v) for v in (1.0, nan, 0.0)]
    (found,) = utils.aggregate_results(results)
    assert (found.n_values, found.value, found.value_std_dev) == (3, 0.5, pytest.approx(math.sqrt(0.5)))
    assert np.isnan(found.values_raw).tolist() == [False, True, False]
    assert math.isnan(utils.aggregate_results(results[1:2])[0].value)


def test_nearest_neighbours_are_exact_and_squared():
    X = np.random.default_rng(0).normal(size=(50, 3)).astype("f4")
    indices, squared = utils.nearest_neighbors_hnsw(X, n_neighbors=7)
    assert (indices.dtype, squared.dtype) == (np.uint64, np.float32)
    full = ((X[:, None, :].astype(float) - X[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(indices, np.argsort(full, axis=1, kind="stable")[:, :7])
    np.testing.assert_allclose(squared, np.sort(full, axis=1)[:, :7], rtol=1e-6)
    other = utils.nearest_neighbors_hnsw(X, 10, 4, 7, 1)
    assert other[0].tobytes() == indices.tobytes()
    with pytest.raises(ValueError, match=r"`n_neighbors` must be at most the number of cells, 50, got 100"):
        utils.nearest_neighbors_hnsw(X)


def test_entropy_and_alignment_are_plain_numbers():
    X, batches = np.arange(8.0)[:, None], list("xyxyxyxy")
    assert utils.compute_entropy_per_cell(X, batches) == pytest.approx(1.0, abs=1e-15)
    assert math.isnan(utils.compute_entropy_per_cell(X, ["x"] * 8))
    # One of eight neighbours differs, 32 of 56 ordered pairs do.
    assert utils.sequential_alignment(X, [1, 1, 1, 1, 2, 2, 2, 2], k=1) == pytest.approx(1 - (1 / 8) / (32 / 56))
    # Ties are taken by index: cell 4 (of 2) has cell 3 (of 1) as its nearest.
    assert utils.sequential_alignment(X, [1, 1, 1, 1, 2, 2, 2, 2], k=1, normalize=False) == 1 / 8


def test_jaccard():
    assert utils.jaccard_score({"a", "b"}, {"b", "c", "d"}) == 0.25
    assert utils.jaccard_score(["a", "a"], ["a", "b"]) == 0.5
    assert utils.jaccard_score({"a"}, set()) == 0.0
    assert math.isnan(utils.jaccard_score(set(), set()))
    with pytest.raises(TypeError, match=r"must be a set of names, got"):
        utils.jaccard_score("ab", {"a"})


def test_mean_over_folds():
    assert utils.mean_fold_metric(FRAME) == pytest.approx(1.75 / 3)
    assert utils.mean_fold_metric(FRAME, "auroc", "a") == pytest.approx(0.15)
    assert utils.mean_fold_metric(FRAME.to_dict("records"), "f1", "b") == 0.0
    assert metrics_registry.compute(MetricType.MEAN_FOLD_AUROC, results_df=FRAME) == pytest.approx(0.2)
    assert metrics_registry.compute(MetricType.MEAN_FOLD_F1_SCORE, results_df=FRAME, classifier="a") == 0.5
    assert utils.mean_fold_metric([{"accuracy": 1.0}, {"accuracy": float("nan")}]) == 1.0
    with pytest.raises(ValueError, match=r"Column 'zz' is not in the results"):
        utils.mean_fold_metric(FRAME, "zz")


def test_single_value():
    assert utils.single_metric(FRAME, "accuracy", classifier="b") == 0.25
    assert utils.single_metric(FRAME[:1], "accuracy") == 1.0
    assert metrics_registry.compute(MetricType.F1_SCORE, results_df=FRAME, classifier="b") == 0.0
    with pytest.raises(ValueError, match=r"Multiple results found after filtering with {}. Expected exactly 1 row"):
        utils.single_metric(FRAME, "accuracy")
    with pytest.raises(ValueError, match=r"No results found after filtering with {'classifier': 'zz'}"):
        utils.single_metric(FRAME, "accuracy", classifier="zz")
