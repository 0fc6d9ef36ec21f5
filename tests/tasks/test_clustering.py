import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from czbenchmarks.kernels.graph import connectivities, leiden
from czbenchmarks.kernels.neighbors import Neighbors, exact_neighbors
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.types import MetricType
from czbenchmarks.tasks import ClusteringTask, ClusteringTaskInput, represent


def values(results):
    return [(r.metric_type, r.value) for r in results]


def test_published_values(cells, run_twice):
    results = run_twice(ClusteringTask(), cells.X, ClusteringTaskInput(obs=cells.obs, input_labels=cells.labels))
    # cz-benchmarks 0.15.1 prints the same digits for these cells.
    assert values(results) == [
        (MetricType.ADJUSTED_RAND_INDEX, pytest.approx(0.2743535493488285, abs=1e-12)),
        (MetricType.NORMALIZED_MUTUAL_INFO, pytest.approx(0.33305655782864435, abs=1e-12)),
    ]
    for result in results:
        assert result.params == {}
        assert result.counts == {"used": 300, "left_out": 0, "labels": 3, "clusters": 7}
        assert result.units.ids.tolist() == list(range(300))


@pytest.mark.parametrize("flavor", ["igraph", "leidenalg"])
def test_values_are_those_of_the_partition(cells, flavor):
    seed = 7
    graph = connectivities(exact_neighbors(cells.X, 15))
    clusters = leiden(graph, seed, n_iterations=3, flavor=flavor)
    task_input = ClusteringTaskInput(obs=cells.obs, input_labels=cells.labels, n_iterations=3, flavor=flavor)
    results = ClusteringTask(random_seed=seed).run(cells.X, task_input)
    assert [r.value for r in results] == [
        adjusted_rand_score(cells.labels, clusters),
        normalized_mutual_info_score(cells.labels, clusters),
    ]
    assert ClusteringTask(random_seed=seed)._run_task(cells.X, task_input).predicted_labels == clusters.tolist()


def test_a_representation_gives_the_same_with_one_search(cells, searches):
    task_input = ClusteringTaskInput(obs=cells.obs, input_labels=cells.labels)
    expected = values(ClusteringTask().run(cells.X, task_input))
    searches.clear()
    shared = represent(cells.X)
    shared.max_neighbors = 50
    for _ in range(2):
        assert values(ClusteringTask().run(shared, task_input)) == expected
    assert searches == [50]


def test_the_scores_say_how_the_neighbours_were_found(cells):
    task_input = ClusteringTaskInput(obs=cells.obs, input_labels=cells.labels)
    assert [r.details for r in ClusteringTask().run(cells.X, task_input)] == [None, None]
    exact = exact_neighbors(cells.X, 15)
    given = Representation(cells.X, neighbors=Neighbors(exact.indices, exact.distances, "given"))
    results = ClusteringTask().run(given, task_input)
    assert [r.details for r in results] == [{"neighbors": "given"}] * 2
    assert values(results) == values(ClusteringTask().run(cells.X, task_input))


def test_ids_are_those_of_the_series(cells):
    names = [f"cell{i}" for i in range(300)]
    labels = pd.Series(pd.Categorical(cells.labels, categories=list("zcba")), index=names)
    results = ClusteringTask().run(cells.X, ClusteringTaskInput(obs=pd.DataFrame(index=names), input_labels=labels))
    assert results[0].units.ids.tolist() == names
    assert results[0].value == pytest.approx(0.2743535493488285, abs=1e-12)
    with pytest.raises(ValueError, match=r"`input_labels` must follow the order of `obs`"):
        ClusteringTask().run(cells.X, ClusteringTaskInput(obs=pd.DataFrame(index=names[::-1]), input_labels=labels))


def test_controls_rank_as_they_must(cells):
    rng = np.random.default_rng(0)
    order = np.unique(cells.labels, return_inverse=True)[1]
    # Points on three short lines: a perfect embedding without identical cells.
    perfect = np.eye(3)[order] * 100 + rng.normal(size=(300, 3))
    task_input = ClusteringTaskInput(obs=cells.obs, input_labels=cells.labels)
    best, middle, chance = (
        [r.value for r in ClusteringTask().run(X, task_input)] for X in (perfect, cells.X, rng.permutation(cells.X))
    )
    assert min(best) > 0.5
    assert all(b > m + 0.1 > c + 0.2 for b, m, c in zip(best, middle, chance, strict=True))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"input_labels": ["a"] * 300}, ValueError, "`input_labels` must hold at least two labels"),
        ({"input_labels": ["a", "b"]}, ValueError, "`input_labels` must have the same length as the data"),
        ({"obs": pd.DataFrame(index=range(3))}, ValueError, "`obs` must have the same length as the data"),
        ({"use_rep": "X_pca"}, ValueError, "`use_rep` must be 'X'"),
        ({"n_iterations": 0}, ValueError, "`n_iterations` must be a positive integer"),
        ({"n_iterations": 1.5}, TypeError, "`n_iterations` must be a whole number"),
        ({"flavor": "louvain"}, ValueError, "`flavor` must be 'leidenalg' or 'igraph'"),
        ({"flavour": "igraph"}, ValueError, "'flavour' is not known. Did you mean 'flavor'"),
    ],
)
def test_bad_input(cells, change, error, message):
    with pytest.raises(error, match=message):
        ClusteringTask().run(cells.X, ClusteringTaskInput(**{"obs": cells.obs, "input_labels": cells.labels, **change}))
