import numpy as np
import pandas as pd
import pytest

from czbenchmarks.metrics.integration import batch_silhouette, entropy_per_cell
from czbenchmarks.metrics.types import MetricType
from czbenchmarks.tasks import BatchIntegrationTask, BatchIntegrationTaskInput, represent


def test_published_values(cells, run_twice):
    task_input = BatchIntegrationTaskInput(labels=cells.labels, batch_labels=cells.batches)
    entropy, silhouette = run_twice(BatchIntegrationTask(), cells.X, task_input)
    # cz-benchmarks 0.15.1 prints 0.9981229327 (approximate neighbours) and 0.9621673226 (single precision).
    assert (entropy.metric_type, entropy.params) == (MetricType.ENTROPY_PER_CELL, {})
    assert entropy.value == pytest.approx(0.9981229327261428, abs=1e-4)
    assert entropy.details["n_neighbors"] == 200
    assert entropy.details["note"].startswith("200 neighbours are more than a third of 300 cells")
    assert (silhouette.metric_type, silhouette.params) == (MetricType.BATCH_SILHOUETTE, {})
    assert silhouette.value == pytest.approx(0.9621673226356506, abs=1e-6)
    assert entropy.units.values.mean() == pytest.approx(entropy.value, abs=1e-15)
    by_label = pd.Series(silhouette.units.values).groupby(cells.labels).mean()
    assert silhouette.value == pytest.approx(by_label.mean(), abs=1e-15)
    # The twins of the metrics' own tests stand behind these.
    assert entropy.value == entropy_per_cell(cells.X, cells.batches).value
    assert silhouette.value == batch_silhouette(cells.X, cells.labels, cells.batches).value


def test_a_representation_gives_the_same_with_one_search(cells, searches):
    task_input = BatchIntegrationTaskInput(labels=cells.labels, batch_labels=cells.batches)
    expected = [r.value for r in BatchIntegrationTask().run(cells.X, task_input)]
    searches.clear()
    shared = represent(cells.X)
    for _ in range(2):
        assert [r.value for r in BatchIntegrationTask().run(shared, task_input)] == expected
    assert searches == [201]
    assert BatchIntegrationTask().max_neighbors(task_input) == 201


def test_one_undefined_score_leaves_the_other(cells):
    # Each label in one batch only.
    batches = np.where(cells.labels == "a", "x", "y")
    entropy, silhouette = BatchIntegrationTask().run(
        cells.X, BatchIntegrationTaskInput(labels=cells.labels, batch_labels=batches)
    )
    assert entropy.reason is None
    assert 0 < entropy.value < 1
    assert np.isnan(silhouette.value)
    assert silhouette.reason == "no label has two batches and more cells than batches (a, b, c)"
    assert silhouette.counts == {"used": 0, "left_out": 300, "labels": 0, "labels_left_out": 3}


def test_a_label_of_one_batch_is_left_out_and_named(cells):
    batches = np.where(cells.labels == "a", "x", cells.batches)
    _, silhouette = BatchIntegrationTask().run(
        cells.X, BatchIntegrationTaskInput(labels=cells.labels, batch_labels=batches)
    )
    assert silhouette.details == {"labels_left_out": ["a"]}
    assert silhouette.counts["left_out"] == (cells.labels == "a").sum()


def test_one_batch_is_refused(cells):
    with pytest.raises(ValueError, match=r"`batch_labels` must hold at least two batches .* got only 'x'"):
        BatchIntegrationTask().run(cells.X, BatchIntegrationTaskInput(labels=cells.labels, batch_labels=["x"] * 300))


def test_controls_rank_as_they_must(cells):
    batch = (cells.batches == "x")[:, None]
    task_input = BatchIntegrationTaskInput(labels=cells.labels, batch_labels=cells.batches)
    apart, partly, mixed = (
        [r.value for r in BatchIntegrationTask().run(cells.X + shift * batch, task_input)] for shift in (50, 2, 0)
    )
    assert all(a < p - 0.05 < m for a, p, m in zip(apart, partly, mixed, strict=True))


def test_max_cells_estimates_the_silhouette_with_the_seed_of_the_task(cells):
    task_input = BatchIntegrationTaskInput(labels=cells.labels, batch_labels=cells.batches, max_cells=60)
    entropy, silhouette = BatchIntegrationTask(random_seed=5).run(cells.X, task_input)
    expected = batch_silhouette(cells.X, cells.labels, cells.batches, max_cells=60, random_seed=5)
    assert (silhouette.value, silhouette.details) == (expected.value, expected.details)
    assert entropy.value == entropy_per_cell(cells.X, cells.batches).value  # of all cells


@pytest.mark.parametrize("wrong", [1, 0, -5, 2.5, "many"])
def test_a_wrong_number_of_cells_is_one_sentence(cells, wrong):
    with pytest.raises((ValueError, TypeError), match="`max_cells` must be "):
        BatchIntegrationTaskInput(labels=cells.labels, batch_labels=cells.batches, max_cells=wrong)
