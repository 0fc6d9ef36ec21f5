"""The field `metrics`: which scores a task gives, and what it says where it cannot."""

import math

import numpy as np
import pandas as pd
import pytest

from czbenchmarks.metrics.presets import PRESETS
from czbenchmarks.metrics.types import MetricType, metrics_registry, register_metric
from czbenchmarks.tasks import (
    BatchIntegrationTask,
    BatchIntegrationTaskInput,
    ClusteringTask,
    ClusteringTaskInput,
    EmbeddingTask,
    EmbeddingTaskInput,
)
from czbenchmarks.tasks.scoring import arguments_asked, draws, metric_names, most_neighbors

N = 240
OVERALL = ["bio_conservation", "batch_correction", "scib_total"]


@pytest.fixture
def cells():
    rng = np.random.default_rng(3)
    labels = np.repeat(["B", "NK", "T"], N // 3)
    batch = np.array(["x", "y"])[rng.integers(0, 2, N)]
    X = rng.normal(size=(N, 8)) + 3 * np.repeat(np.eye(3, 8), N // 3, axis=0)
    return X, labels, batch, X + 2 * (batch == "x")[:, None] * np.eye(1, 8)


def integration(cells, metrics, **more):
    X, labels, batch, before = cells
    given = {"unintegrated": before, **more}
    found = BatchIntegrationTask().run(
        X, BatchIntegrationTaskInput(batch_labels=batch, labels=labels, metrics=metrics, **given)
    )
    return {result.metric_type.value: result for result in found}


def test_published_scores_are_the_default(cells):
    X, labels, batch, _ = cells
    default = BatchIntegrationTask().run(X, BatchIntegrationTaskInput(batch_labels=batch, labels=labels))
    assert [result.metric_type.value for result in default] == ["entropy_per_cell", "batch_silhouette"]
    assert integration(cells, "published")["entropy_per_cell"].value == default[0].value


def test_scib_gives_ten_scores_and_their_means(cells):
    found = integration(cells, "scib")
    assert list(found) == [*PRESETS["scib"].keys, *OVERALL]
    values = {key: found[key].value for key in PRESETS["scib"].keys}
    X, labels, batch, before = cells
    rows = {key: MetricType(key) for key in ("clisi", "ilisi", "bras", "pcr_comparison", "graph_connectivity")}
    given = {"X": X, "labels": labels, "batch": batch, "unintegrated": before}
    for key, metric in rows.items():
        needs = {name: given[name] for name in metric.declaration.needs}
        assert values[key] == metrics_registry.compute(metric, **needs), key
    defined = {key: value for key, value in values.items() if not math.isnan(value)}
    parts = {
        part: np.mean([value for key, value in defined.items() if MetricType(key).declaration.part == part])
        for part in ("bio", "batch")
    }
    assert found["bio_conservation"].value == pytest.approx(parts["bio"])
    assert found["batch_correction"].value == pytest.approx(parts["batch"])
    assert found["scib_total"].value == pytest.approx(0.6 * parts["bio"] + 0.4 * parts["batch"])
    assert found["scib_total"].params == {"preset": "scib"}


def test_a_reason_stands_where_a_preset_lacks_an_argument(cells):
    found = integration(cells, "scib-fast", unintegrated=None)
    reason = "it must have `unintegrated`, which was not given; pass it (--unintegrated)"
    assert found["pcr_comparison"].reason == reason
    assert not found["pcr_comparison"].undefined
    assert found["batch_correction"].details["scores_left_out"] == ["pcr_comparison"]
    assert found["scib_total"].details["scores_left_out"] == ["isolated_labels", "pcr_comparison"]
    assert found["isolated_labels"].undefined
    assert found["batch_correction"].counts["left_out"] == 1
    assert math.isfinite(found["scib_total"].value)


def test_names_and_presets_together_each_score_once(cells):
    found = integration(cells, ["published, scib-fast", "iLISI", "KBET"])
    assert list(found) == ["entropy_per_cell", "batch_silhouette", *PRESETS["scib-fast"].keys, "kbet", *OVERALL]


def test_all_is_what_the_arguments_allow(cells):
    without = integration(cells, "all", unintegrated=None)
    given = {"X", "labels", "batch"}
    expected = {metric.value for metric in MetricType if set(metric.declaration.asks) <= given}
    assert expected <= set(without)
    assert "pcr_comparison" not in without
    assert "pcr_comparison" in integration(cells, "all")
    assert {"cilisi", "sbee", "knn_purity", *OVERALL} <= set(integration(cells, "all"))


def test_other_tasks_give_what_they_have_arguments_for(cells):
    X, labels, _, _ = cells
    found = EmbeddingTask().run(X, EmbeddingTaskInput(input_labels=labels, metrics="scib"))
    assert [result.metric_type.value for result in found] == [
        "kmeans_nmi", "kmeans_ari", "silhouette_score", "clisi", "graph_connectivity",
    ]  # fmt: skip
    obs = pd.DataFrame(index=range(N))
    task_input = ClusteringTaskInput(obs=obs, input_labels=labels, metrics=["published", "homogeneity", "kmeans_ari"])
    keys = [result.metric_type.value for result in ClusteringTask().run(X, task_input)]
    assert keys == ["adjusted_rand_index", "normalized_mutual_info", "homogeneity", "kmeans_ari"]


def test_one_batch_leaves_the_scores_of_the_biology(cells):
    X, labels, _, before = cells
    found = integration((X, labels, np.repeat("x", N), before), "scib")
    assert math.isfinite(found["silhouette_score"].value)
    assert math.isfinite(found["bio_conservation"].value)
    for key in ("ilisi", "kbet", "bras", "pcr_comparison", "batch_correction", "scib_total"):
        assert math.isnan(found[key].value), key
        assert found[key].reason, key
    with pytest.raises(ValueError, match="batch_labels"):
        integration((X, labels, np.repeat("x", N), before), "published")


@pytest.mark.parametrize(
    ("metrics", "error", "sentence"),
    [
        ("scibb", ValueError, "Metric 'scibb' is not known. Did you mean 'scib'?"),
        ([" , "], ValueError, "`metrics` must name at least one metric or preset, got none"),
        (3, TypeError, "`metrics` must be names of metrics or presets"),
        ([3], TypeError, "`metrics` must be names of metrics or presets"),
        ("jaccard", ValueError, "Metric 'jaccard' must have `y_pred` and `y_true`, which the task 'Batch Integration'"),
    ],
)
def test_bad_names_are_refused_in_one_sentence(cells, metrics, error, sentence):
    with pytest.raises(error) as caught:
        integration(cells, metrics)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_metric_asked_for_by_name_must_have_its_arguments(cells):
    with pytest.raises(ValueError, match="Metric 'pcr_comparison' must have `unintegrated`, got none; pass it"):
        integration(cells, "pcr_comparison", unintegrated=None)


def test_what_is_bad_for_one_metric_of_a_set_is_its_reason(cells):
    """A scaled matrix is no expression: scGraph cannot use it, all others are worth having."""
    expression = np.random.default_rng(0).normal(size=(N, 30))
    found = integration(cells, "all", expression=expression)
    assert "`expression` must hold counts or their logarithms" in found["scgraph_rank_pca"].reason
    assert math.isnan(found["scgraph_rank_pca"].value)
    assert found["ilisi"].value == integration(cells, "ilisi")["ilisi"].value
    with pytest.raises(ValueError, match="`expression` must hold counts or their logarithms"):
        integration(cells, ["ilisi", "scgraph_rank_pca"], expression=expression)


@pytest.mark.parametrize("name", ["unintegrated", "expression", "corrected", "pseudotime"])
def test_what_an_embedding_is_compared_with_must_be_of_its_cells(cells, name):
    other = np.ones(N - 1) if name == "pseudotime" else np.ones((N - 1, 3))
    with pytest.raises(ValueError, match=f"`{name}` must have the same length as the data.* expected 240, got 239"):
        integration(cells, "scib-fast", **{name: other})


def test_what_names_ask_for():
    assert not draws(["published", "ilisi"])
    assert draws(["scib"])
    assert draws(["all"])
    assert most_neighbors(["published"], 201, ("X",)) == 201
    assert most_neighbors(["scib"], 201, ("X", "labels", "batch")) == 90
    assert most_neighbors(["silhouette_score"], 201, ("X", "labels")) == 0
    assert arguments_asked(["scib"]) == ({"X", "labels", "batch", "unintegrated"}, set())
    assert "expression" in arguments_asked(["all"])[1]
    assert metric_names(MetricType.KBET) == ["kbet"]


@pytest.mark.usefixtures("as_shipped")
def test_a_metric_from_outside_is_scored_on_plain_arrays(cells):
    def spread(X, labels):
        assert isinstance(X, np.ndarray)
        return float(np.std(X))

    register_metric("spread_of_labels", spread, needs="X labels", about="Cells are spread out.")
    found = integration(cells, "spread_of_labels")
    assert found["spread_of_labels"].value == pytest.approx(cells[0].std())
    assert "spread_of_labels" in integration(cells, "all")


@pytest.mark.parametrize("name", OVERALL)
def test_a_mean_without_its_scores_names_the_presets(cells, name):
    with pytest.raises(ValueError, match=r"must come with the scores of a preset.*: scib or scib-fast\.$"):
        integration(cells, name)


def test_what_only_impossible_metrics_ask_for_is_not_asked_for():
    assert "unintegrated" in arguments_asked(["scib"])[0]
    assert "unintegrated" not in arguments_asked(["scib"], ("batch",))[0]
    assert "unintegrated" in arguments_asked(["trustworthiness"], ("batch",))[0]
    assert "unintegrated" in arguments_asked(["all"], ("batch",))[1]
    assert "expression" not in arguments_asked(["all"], ("batch",))[1]
