import numpy as np
import pandas as pd
import pytest

from czbenchmarks.metrics.embedding import silhouette_label
from czbenchmarks.metrics.sequential import sequential_alignment
from czbenchmarks.metrics.types import MetricType
from czbenchmarks.tasks import SequentialOrganizationTask, SequentialOrganizationTaskInput, represent


def test_values(cells, run_twice):
    task_input = SequentialOrganizationTaskInput(obs=cells.obs, input_labels=cells.times)
    silhouette, alignment = run_twice(SequentialOrganizationTask(), cells.X, task_input)
    # cz-benchmarks 0.15.1 prints 0.4850361049 in single precision, and 0.0036 to 0.0082 with its sampled random part.
    assert (silhouette.metric_type, silhouette.params) == (MetricType.SILHOUETTE_SCORE, {})
    assert silhouette.value == pytest.approx(0.48503610491752625, abs=1e-6)
    assert (alignment.metric_type, alignment.params) == (MetricType.SEQUENTIAL_ALIGNMENT, {})
    assert alignment.value == pytest.approx(0.0122910425230498, abs=1e-12)  # the exact expectation
    assert alignment.details["k"] == 15
    assert alignment.units.values.mean() == pytest.approx(alignment.value, abs=1e-14)
    assert silhouette.units.values.mean() == pytest.approx(silhouette.value, abs=1e-15)


@pytest.mark.parametrize(
    "options", [{"k": 3}, {"normalize": False}, {"adaptive_k": True}, {"adaptive_k": True, "k": 40}]
)
def test_options_reach_the_metric(cells, options, searches):
    task_input = SequentialOrganizationTaskInput(obs=cells.obs, input_labels=cells.times, **options)
    expected = sequential_alignment(cells.X, cells.times, **{"k": 15, **options}).value
    searches.clear()
    shared = represent(cells.X)
    shared.max_neighbors = SequentialOrganizationTask().max_neighbors(task_input)
    silhouette, alignment = SequentialOrganizationTask().run(shared, task_input)
    assert alignment.value == expected
    assert silhouette.value == silhouette_label(cells.X, cells.times).value
    assert len(searches) == 1


def test_ids_are_those_of_the_series(cells):
    names = [f"cell{i}" for i in range(300)]
    times = pd.Series(cells.times.astype(str), index=names)
    results = SequentialOrganizationTask().run(
        cells.X, SequentialOrganizationTaskInput(obs=pd.DataFrame(index=names), input_labels=times)
    )
    assert [r.units.ids.tolist() for r in results] == [names, names]
    assert results[1].value == pytest.approx(0.0122910425230498, abs=1e-12)


def test_numbers_are_ordered_as_numbers(cells):
    # As text 10 would stand before 2.
    times = cells.times * 5
    found = SequentialOrganizationTask().run(
        cells.X, SequentialOrganizationTaskInput(obs=cells.obs, input_labels=times.astype(str))
    )
    assert found[1].value == pytest.approx(sequential_alignment(cells.X, times, k=15).value, abs=1e-15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_labels": ["day"] * 300}, "Labels must be numeric or convertible to numeric"),
        ({"input_labels": [1] * 300}, "`input_labels` must hold at least two time points"),
        ({"input_labels": [1, 2]}, "`input_labels` must have the same length as the data"),
        ({"k": 0}, "`k` must be a positive integer"),
        ({"k": 300}, "Need at least 301 cells for k=300, got 300"),
    ],
)
def test_bad_input(cells, change, message):
    with pytest.raises(ValueError, match=message):
        SequentialOrganizationTask().run(
            cells.X, SequentialOrganizationTaskInput(**{"obs": cells.obs, "input_labels": cells.times, **change})
        )


def test_controls_rank_as_they_must(cells):
    rng = np.random.default_rng(0)
    task_input = SequentialOrganizationTaskInput(obs=cells.obs, input_labels=cells.times)
    path = cells.times[:, None] * np.ones(8)
    best, middle, chance = (
        SequentialOrganizationTask().run(X, task_input)[1].value for X in (path, path + cells.X, rng.permutation(path))
    )
    assert best == 1.0
    assert best > middle + 0.1 > chance + 0.3
