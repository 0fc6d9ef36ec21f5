import copy
import inspect
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from czbenchmarks import evaluate
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.types import Measurement, MetricResult, MetricType, Units, register_metric
from czbenchmarks.tasks import (
    TASK_REGISTRY,
    BatchIntegrationTask,
    BatchIntegrationTaskInput,
    EmbeddingTask,
    EmbeddingTaskInput,
    MetricsField,
    Task,
    TaskInput,
    TaskOutput,
    represent,
)
from czbenchmarks.tasks.task import PCABaselineInput
from czbenchmarks.types import ListLike

LABELS = ["a", "b", "a", "b"]


@pytest.fixture
def outside(as_shipped):
    """Return a task and its input defined as a user would, with a metric of their own, and what the task was given."""
    seen = []
    spread = register_metric("spread", lambda X: float(X.std()), needs="X", about="Cells are spread out.")

    class SpreadInput(TaskInput):
        factor: float = 1.0

    class SpreadOutput(TaskOutput):
        X: np.ndarray

    class SpreadTask(Task):
        """How far cells are spread."""

        display_name = "Spread of Cells"
        description = "How far cells are spread."
        input_model = SpreadInput

        def _run_task(self, cell_representation, task_input):
            seen.append(cell_representation)
            return SpreadOutput(X=cell_representation * task_input.factor)

        def _compute_metrics(self, task_input, task_output):
            return [self.score(spread, {"factor": task_input.factor}, X=task_output.X)]

    return SpreadTask, SpreadInput, spread, seen


def test_two_methods_make_a_registered_task(outside):
    task, task_input, spread, _ = outside
    assert "spread_of_cells" in TASK_REGISTRY.list_tasks()
    assert TASK_REGISTRY.get_task_class("spread-of cells") is task
    assert TASK_REGISTRY.summaries()["spread_of_cells"] == ("Spread of Cells", "How far cells are spread.", False)
    parameter = TASK_REGISTRY.get_task_info("spread_of_cells").task_params["factor"]
    assert (parameter.type, parameter.default, parameter.required) == (float, 1.0, False)
    (result,) = task().run(np.array([[0.0], [2.0]]), task_input(factor=3))
    assert (result.metric_type, result.value, result.params) == (spread, 3.0, {"factor": 3.0})
    assert (result.units, result.counts, result.reason) == (None, None, None)
    assert MetricResult.model_validate_json(result.model_dump_json()) == result


@pytest.mark.parametrize(
    "container",
    [
        np.asarray,
        sp.csr_matrix,
        sp.csc_array,
        pd.DataFrame,
        represent,
        lambda X: represent(sp.csr_matrix(X), keep_sparse=True),
    ],
    ids=["array", "csr", "csc", "frame", "representation", "sparse representation"],
)
def test_tasks_from_outside_see_plain_arrays(outside, container):
    task, task_input, _, seen = outside
    X = np.array([[0.0, 1.0], [2.0, 3.0]])
    assert task().run(container(X), task_input())[0].value == X.std()
    assert type(seen[0]) is np.ndarray
    np.testing.assert_array_equal(seen[0], X)


def test_the_fixture_leaves_the_shipped_tasks():
    assert "spread_of_cells" not in TASK_REGISTRY.list_tasks()
    assert "spread" not in {metric.value for metric in MetricType}


def test_a_subclass_without_a_name_of_its_own_is_another_task(as_shipped):
    class NarrowEmbeddingTask(EmbeddingTask):
        pass

    assert TASK_REGISTRY.get_task_class("narrow_embedding") is NarrowEmbeddingTask
    assert TASK_REGISTRY.get_task_class("embedding") is EmbeddingTask


def test_a_task_without_an_input_model_takes_any_input(as_shipped):
    class CountTask(Task):
        """Count cells."""

        display_name = "Count of cells"

        def _run_task(self, cell_representation, task_input):
            return TaskOutput()

        def _compute_metrics(self, task_input, task_output):
            return [MetricResult(metric_type=MetricType.MEAN_SQUARED_ERROR, value=len(task_input or ()), params={})]

    cells = np.eye(3)
    for given, value in ((None, 0), ({"a": 1}, 1), (["a", "b"], 2)):
        assert CountTask().run(cells, given)[0].value == value
    assert TASK_REGISTRY.get_task_class("count_of_cells") is CountTask
    assert TASK_REGISTRY.get_task_info("count_of_cells").task_params == {}
    assert TASK_REGISTRY.get_task_help("count_of_cells").startswith("Task: Count of cells")
    assert isinstance(TASK_REGISTRY.validate_task_inputs("count_of_cells", {}), TaskInput)
    counts = np.random.default_rng(0).poisson(2.0, (20, 30)).astype(float)
    assert CountTask().compute_baseline(counts, PCABaselineInput(n_top_genes=100, n_pcs=3)).shape == (20, 3)


def test_a_class_with_neither_name_nor_input_model_runs_and_is_not_listed(as_shipped):
    class Bare(Task):
        def _run_task(self, cell_representation, task_input):
            return TaskOutput()

        def _compute_metrics(self, task_input, task_output):
            return []

    assert Bare().run(np.eye(3), None) == []
    assert not [key for key in TASK_REGISTRY.list_tasks() if "bare" in key]


def test_the_info_of_a_task_has_the_key_that_finds_it():
    for key in TASK_REGISTRY.list_tasks():
        assert TASK_REGISTRY.get_task_info(key).name == key


def test_the_name_of_a_built_in_task_is_refused(as_shipped):
    with pytest.raises(ValueError, match=r"`display_name` of Mine must be new, got 'Clustering'"):

        class Mine(EmbeddingTask):
            display_name = "Clustering"


def test_an_unfinished_class_is_not_registered(as_shipped):
    class Half(Task):
        display_name = "Half"
        input_model = TaskInput

        def _run_task(self, cell_representation, task_input):
            return TaskOutput()

    assert "half" not in TASK_REGISTRY.list_tasks()
    with pytest.raises(TypeError, match=r"abstract"):
        Half()


def test_score_wraps_measurements_and_plain_numbers(as_shipped):
    units = Units("cell", np.arange(2), np.array([0.5, 1.5]))
    measured = register_metric(
        "measured", lambda X: Measurement(1.0, None, units, {"used": 2}, {"k": 3}), needs="X", about="One."
    )
    result = EmbeddingTask().score(measured, X=0)
    assert (result.value, result.params, result.counts, result.details) == (1.0, {}, {"used": 2}, {"k": 3})
    assert result.units is units
    number = register_metric("number", lambda X: np.float32(0.5), needs="X", about="Half.")
    assert EmbeddingTask().score(number, {"a": 1}, X=0).model_dump(exclude_none=True) == {
        "metric_type": number, "value": 0.5, "params": {"a": 1},
    }  # fmt: skip


def test_a_task_without_any_score_is_refused_with_its_reasons(outside):
    class EmptyTask(outside[0]):
        display_name = "Empty"

        def _compute_metrics(self, task_input, task_output):
            nan = float("nan")
            return [
                MetricResult(metric_type=MetricType.ACCURACY, value=nan, reason=reason) for reason in ("no a", "no b")
            ]

    with pytest.raises(ValueError, match=r"Empty has no score on this input: no a; no b\."):
        EmptyTask().run(np.eye(2), outside[1]())


@pytest.mark.parametrize(
    ("cells", "error", "message"),
    [
        ([np.eye(4), np.eye(4)], ValueError, "requires a single cell representation .* got a list of 2"),
        (np.ones(4), ValueError, "must have two dimensions"),
        (np.ones((4, 0)), ValueError, "at least one cell and one dimension"),
        (np.array([["a"]] * 4), TypeError, "must hold numbers"),
        (np.full((4, 1), np.inf), ValueError, "must be finite, got 4 NaN or infinite values in 4 rows"),
        (np.eye(4) * 1j, TypeError, "must hold real numbers"),
        (None, TypeError, "must be an array, sparse matrix or DataFrame, got NoneType"),
        (np.eye(3), ValueError, "`input_labels` must have the same length as the data.*expected 3, got 4"),
    ],
)
def test_bad_cells(cells, error, message):
    with pytest.raises(error, match=message):
        EmbeddingTask().run(cells, EmbeddingTaskInput(input_labels=LABELS))


def test_bad_task_input():
    with pytest.raises(TypeError, match=r"`task_input` must be a EmbeddingTaskInput, got dict"):
        EmbeddingTask().run(np.eye(4), {"input_labels": LABELS})
    with pytest.raises(ValueError, match=r"`input_labels` is required: Ground truth labels"):
        EmbeddingTaskInput()


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_bad_seeds(seed):
    with pytest.raises(ValueError, match=r"`random_seed` must be between 0 and"):
        EmbeddingTask(random_seed=seed)


def test_the_seed_is_configuration():
    assert (EmbeddingTask().random_seed, EmbeddingTask(random_seed=None).random_seed) == (42, 42)
    assert vars(EmbeddingTask(random_seed=3)) == {"random_seed": 3}


def test_the_baseline_is_pca_of_log_normalised_variable_genes():
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], 75)
    rates = rng.gamma(1, 2, 150) * np.where(group[:, None] & (np.arange(150) < 40), 5.0, 1.0)
    counts = rng.poisson(rates).astype(float)
    before = copy.deepcopy(counts)
    found = EmbeddingTask().compute_baseline(counts, PCABaselineInput(n_top_genes=100, n_pcs=5))
    assert found.shape == (150, 5)
    np.testing.assert_array_equal(counts, before)
    for same in (sp.csr_matrix(counts), pd.DataFrame(counts)):
        other = EmbeddingTask().compute_baseline(same, PCABaselineInput(n_top_genes=100, n_pcs=5))
        np.testing.assert_allclose(np.abs(other), np.abs(found), atol=1e-3)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
    assert list(np.var(found, axis=0)) == sorted(np.var(found, axis=0), reverse=True)
    first = found[:, 0]
    assert (first[group == 0].max() < first[group == 1].min()) or (first[group == 1].max() < first[group == 0].min())


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        (-np.ones((60, 60)), {"n_pcs": 2}, "`expression_data` must hold counts, got values down to -1"),
        (np.ones((60, 40)), {"n_pcs": 40}, "`n_pcs` must be less than .* at most 39.* got 40"),
    ],
)
def test_bad_baselines(counts, options, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingTask().compute_baseline(counts, PCABaselineInput(**options))


@pytest.mark.parametrize("options", [{"n_top_genes": 99}, {"n_top_genes": 20_001}, {"n_pcs": 0}, {"n_pcs": 1001}])
def test_bad_baseline_options(options):
    with pytest.raises(ValueError, match=r"must be between"):
        PCABaselineInput(**options)


def test_a_subclass_of_a_built_in_task_sees_plain_arrays():
    seen = []

    class SeesArrays(EmbeddingTask):
        display_name = "sees arrays"

        def _run_task(self, cell_representation, task_input):
            seen.append(type(cell_representation))
            return super()._run_task(cell_representation * 2, task_input)

    try:
        X = np.random.default_rng(0).normal(size=(40, 3))
        task_input = EmbeddingTaskInput(input_labels=["a", "b"] * 20)
        found = SeesArrays().run(X, task_input)[0].value
        assert found == pytest.approx(EmbeddingTask().run(X, task_input)[0].value, abs=1e-12)
        assert seen == [np.ndarray]
    finally:
        TASK_REGISTRY._classes.pop("sees_arrays")


def test_tables_are_compared_with_the_first_that_has_names():
    X = np.random.default_rng(0).normal(size=(40, 3))
    names = [f"c{i}" for i in range(40)]
    moved = pd.Series(["x", "y"] * 20, index=names[::-1])
    task_input = BatchIntegrationTaskInput(labels=pd.Series(["a"] * 40), batch_labels=moved)
    with pytest.raises(ValueError, match=r"must follow the order of `batch_labels`"):
        BatchIntegrationTask().run(pd.DataFrame(X, index=names), task_input)


@pytest.fixture
def of_neighbors(as_shipped):
    """Return two tasks as a user would define them, that take the prepared embedding, and what they were given."""
    seen = []

    class NeighborsInput(TaskInput):
        labels: ListLike
        metrics: MetricsField = ["published"]

    class NeighborsOutput(TaskOutput):
        X: Any

    class NeighborsTask(Task):
        display_name = "Neighbors"
        description = "Labels of neighbours."
        input_model = NeighborsInput
        published = (MetricType.CLISI, MetricType.KNN_PURITY)
        offers = ("X", "labels")
        takes = "representation"

        def _run_task(self, cell_representation, task_input):
            seen.append(cell_representation)
            return NeighborsOutput(X=cell_representation)

        def _compute_metrics(self, task_input, task_output):
            return self.scores(task_input, X=task_output.X, labels=task_input.labels)

    class SparseTask(NeighborsTask):
        display_name = "Sparse neighbors"
        takes = "sparse representation"

    return NeighborsTask, SparseTask, NeighborsInput, seen


def test_tasks_from_outside_share_the_search_of_a_run(of_neighbors, searches):
    X = np.random.default_rng(0).normal(size=(200, 5))
    obs = pd.DataFrame({"cell_type": ["a", "b"] * 100, "other": ["a"] * 120 + ["b"] * 80})
    both = ["neighbors", "sparse_neighbors"]
    record = evaluate(X, obs, [*both, "clustering"])
    assert [score.task for score in record.result_metrics if score.task in both] == [both[0]] * 2 + [both[1]] * 2
    most = max(MetricType.CLISI.declaration.neighbors, MetricType.KNN_PURITY.declaration.neighbors)
    assert searches == [most]
    first, second = of_neighbors[3]
    assert first is second
    assert isinstance(first, Representation)
    alone = EmbeddingTask()  # its metrics on the array by themselves
    for score in record.result_metrics[:2]:
        metric = MetricType(score.metric_type)
        assert score.value == alone.score(metric, X=represent(X), labels=obs["cell_type"]).value


def test_a_task_alone_searches_once_for_what_is_asked_for(of_neighbors, searches):
    task, sparse, task_input, seen = of_neighbors
    X = np.random.default_rng(0).normal(size=(200, 5))
    given = task_input(labels=["a", "b"] * 100, metrics=["knn_purity", "clisi"])
    prepared = represent(X)
    prepared.max_neighbors = task().max_neighbors(given)
    task().run(prepared, given)
    assert seen == [prepared]
    assert len(searches) == 1
    sparse().run(sp.csr_matrix(X), given)
    assert sp.issparse(seen[1].values)
    task().run(sp.csr_matrix(X), given)
    assert isinstance(seen[2].values, np.ndarray)


def test_results_are_there_where_no_score_is(outside):
    class EmptyTask(outside[0]):
        display_name = "Empty"

        def _compute_metrics(self, task_input, task_output):
            return [MetricResult(metric_type=MetricType.ACCURACY, value=float("nan"), reason="no cells")]

    [result] = EmptyTask().results(np.eye(2), outside[1]())
    assert result.reason == "no cells"
    with pytest.raises(ValueError, match="Empty has no score on this input: no cells"):
        EmptyTask().run(np.eye(2), outside[1]())


def test_from_the_task_to_the_metric_are_four_frames(as_shipped):
    frames = []

    def spread(X):
        frames.extend(frame.function for frame in inspect.stack()[1:6])
        return float(X.std())

    key = register_metric("spread", spread, needs="X", about="Cells are spread out.")
    EmbeddingTask().results(np.eye(4), EmbeddingTaskInput(input_labels=LABELS, metrics=[key]))
    place = frames.index("results")
    assert frames[:place] == ["measure", "scores", "_compute_metrics"]
