import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_score

from czbenchmarks.metrics.embedding import silhouette_label
from czbenchmarks.metrics.types import MetricType
from czbenchmarks.tasks import EmbeddingOutput, EmbeddingTask, EmbeddingTaskInput, represent


def test_published_value(cells, run_twice):
    labels = pd.Series(cells.labels, index=[f"cell{i}" for i in range(300)])
    (result,) = run_twice(EmbeddingTask(), cells.X, EmbeddingTaskInput(input_labels=labels))
    assert (result.metric_type, result.params) == (MetricType.SILHOUETTE_SCORE, {})
    # cz-benchmarks 0.15.1 prints 0.5434871912 in single precision.
    assert result.value == pytest.approx(0.5434871912, abs=1e-6)
    assert result.value == pytest.approx((silhouette_score(cells.X.astype(float), cells.labels) + 1) / 2, abs=1e-9)
    assert result.counts == {"used": 300, "left_out": 0, "labels": 3}
    assert result.units.ids.tolist() == list(labels.index)
    assert result.units.values.mean() == pytest.approx(result.value, abs=1e-15)


def test_a_representation_gives_the_same_without_a_search(cells, searches):
    task_input = EmbeddingTaskInput(input_labels=cells.labels)
    expected = EmbeddingTask().run(cells.X, task_input)[0].value
    assert EmbeddingTask().run(represent(cells.X), task_input)[0].value == expected
    assert searches == []


def test_an_output_made_by_hand_is_scored(cells):
    task_input = EmbeddingTaskInput(input_labels=cells.labels)
    output = EmbeddingOutput(cell_representation=cells.X)
    assert (
        EmbeddingTask()._compute_metrics(task_input, output)[0].value
        == EmbeddingTask().run(cells.X, task_input)[0].value
    )


def test_bad_input(cells):
    with pytest.raises(ValueError, match=r"`input_labels` must hold at least two labels .* got only 'a'"):
        EmbeddingTask().run(cells.X, EmbeddingTaskInput(input_labels=["a"] * 300))
    broken = cells.X.copy()
    broken[3, 1] = np.nan
    with pytest.raises(
        ValueError, match=r"`cell_representation` must be finite, got 1 NaN or infinite values in 1 rows"
    ):
        EmbeddingTask().run(broken, EmbeddingTaskInput(input_labels=cells.labels))
    with pytest.raises(ValueError, match=r"`input_labels` must name every cell, got 1 missing of 300"):
        EmbeddingTask().run(cells.X, EmbeddingTaskInput(input_labels=[None, *cells.labels[1:]]))


def test_max_cells_estimates_with_the_seed_of_the_task(cells):
    task_input = EmbeddingTaskInput(input_labels=cells.labels, max_cells=60)
    [found] = EmbeddingTask(random_seed=5).run(cells.X, task_input)
    expected = silhouette_label(cells.X, cells.labels, max_cells=60, random_seed=5)
    assert found.value == expected.value
    assert found.details == expected.details
    assert found.details["standard_error"] > 0
