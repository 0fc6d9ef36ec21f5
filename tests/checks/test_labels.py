"""Labels made from the embedding are seen, annotated ones pass; predictions that know nothing are no better."""

import itertools

import anndata as ad
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from czbenchmarks.checks import better_than_majority, clusters_as_labels
from czbenchmarks.checks.labels import _found, _on_borders
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.communities import communities
from czbenchmarks.metrics.inputs import neighbor_graph
from czbenchmarks.tasks.utils import pca_baseline


def cloud(n=500, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 6)) * np.array([4, 3, 2, 1, 1, 1])


def test_clusters_of_the_embedding_are_seen_and_those_of_another_pass():
    X, other = cloud(), cloud(seed=1)
    for resolution in (0.5, 1.0, 2.0):
        [clusters] = communities(Representation(X), [resolution], 0)
        found = clusters_as_labels(X, clusters)
        assert (found.name, found.verdict) == ("clusters_as_labels", "look")
        assert found.details["followed"] > 0.9
        assert "they look like clusters of this embedding" in found.sentence
        assert clusters_as_labels(other, clusters).verdict == "ok"


def test_noisy_labels_of_the_same_groups_pass():
    X, rng = cloud(), np.random.default_rng(2)
    labels = (X[:, 0] + rng.normal(size=500) > 0).astype(int)
    assert clusters_as_labels(X, labels).verdict == "ok"


def test_borders_are_counted_cell_by_cell():
    X, labels = cloud(120), np.random.default_rng(3).integers(0, 4, 120)
    graph = neighbor_graph(Representation(X), 15).toarray()
    degree, total = graph.sum(axis=1), graph.sum()
    mixed = agree = 0
    heaviest = []
    for i in range(120):
        weights = [graph[i, labels == label].sum() for label in range(4)]
        if np.count_nonzero(weights) < 2:
            continue
        mixed += 1
        heaviest.append(max(weights) / degree[i])
        others = np.arange(120) != i
        gains = [weights[label] - degree[i] * degree[others & (labels == label)].sum() / total for label in range(4)]
        agree += int(np.argmax(gains) == labels[i])
    assert _on_borders(graph, labels, 4) == pytest.approx((mixed, agree / mixed, np.mean(heaviest)))


def test_borders_are_the_same_in_blocks(monkeypatch):
    from czbenchmarks.checks import labels as module

    X, labels = cloud(120), np.arange(120) % 5
    whole = clusters_as_labels(X, labels).details
    monkeypatch.setattr(module, "_BLOCK", 35)
    assert clusters_as_labels(X, labels).details == pytest.approx(whole)


def test_groups_far_apart_pass_unless_they_are_named_as_clusters():
    X, groups = cloud(200), np.repeat([0, 1], 100)
    X[100:, 0] += 100
    check = clusters_as_labels(X, groups)
    assert check.verdict == "ok"
    assert check.sentence == "0 of 200 cells have neighbours of other labels, too few to tell clusters by."
    assert clusters_as_labels(X, groups, "leiden").verdict == "look"
    assert clusters_as_labels(X, groups, "cell_type").verdict == "ok"
    assert clusters_as_labels(X, np.where(groups, "B", "T"), "clusters").verdict == "ok"
    assert clusters_as_labels(cloud(200, seed=5), groups, "leiden").verdict == "ok"


@pytest.mark.parametrize("name", ["baron_pancreas_human", "kang_pbmc_two_donors", "mixology_cell_lines"])
def test_annotated_cells_pass(shared_data, name):
    adata = ad.read_h5ad(shared_data / f"{name}.h5ad")
    X = pca_baseline(adata.X, 3000, 50, 42)
    assert clusters_as_labels(X, adata.obs["cell_type"], "cell_type").verdict == "ok"
    assert clusters_as_labels(X, adata.obs["batch"], "batch").verdict == "ok"


def test_published_clusters_of_a_pca(shared_data):
    adata = ad.read_h5ad(shared_data / "pbmc68k_reduced.h5ad")
    noise = np.random.default_rng(0).normal(size=(700, 50))
    X, clusters = adata.obsm["X_pca"], adata.obs["louvain"]
    assert clusters_as_labels(X, clusters).verdict == "look"
    assert clusters_as_labels(X, adata.obs["cell_type"]).verdict == "ok"
    assert clusters_as_labels(noise, clusters, "louvain").verdict == "ok"


@pytest.mark.parametrize("seed", range(4))
def test_mean_and_deviation_are_those_of_all_orders_within_splits(seed):
    rng = np.random.default_rng(seed)
    true, predicted, splits = rng.integers(0, 3, 8), rng.integers(0, 3, 8), np.repeat([0, 1], 4)
    cells = np.bincount(true, minlength=3)

    def score(true):
        return sum(np.sum((true == label) & (predicted == label)) / cells[label] for label in range(3) if cells[label])

    shuffled = [
        score(np.concatenate(both))
        for both in itertools.product(itertools.permutations(true[:4]), itertools.permutations(true[4:]))
    ]
    assert _found(true, predicted, splits, 3) == pytest.approx((score(true), np.mean(shuffled), np.std(shuffled)))


def test_predictions_that_know_nothing_are_no_better():
    rng = np.random.default_rng(0)
    true = np.repeat(["good", "bad"], [444, 56])
    for predicted in (np.full(500, "good"), rng.permutation(true), rng.choice(["good", "bad"], 500)):
        check = better_than_majority(true, predicted)
        assert (check.name, check.verdict) == ("better_than_majority", "look")
        assert "always answering 'good', the most frequent label, has 0.500 (0.888)" in check.sentence
    better = np.where(rng.random(500) < 0.3, true, rng.permutation(true))
    found = better_than_majority(true, better)
    assert found.verdict == "ok"
    assert found.table[0]["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(true, better))


def test_noise_is_called_better_as_seldom_as_said():
    rng = np.random.default_rng(1)
    true = np.repeat(["a", "b", "c"], [60, 30, 10])
    probabilities = [
        better_than_majority(true, rng.permutation(true), split=np.arange(100) % 5).details["probability"]
        for _ in range(400)
    ]
    assert 0.02 < np.mean(np.array(probabilities) < 0.05) < 0.09


def test_the_best_of_several_classifiers_is_judged():
    true = np.repeat(["a", "b"], 30)
    both = better_than_majority([*true, *true], ["a"] * 60 + [*true], ["lr"] * 60 + ["rf"] * 60)
    assert both.verdict == "ok"
    assert [row["classifier"] for row in both.table] == ["lr", "rf"]
    assert both.table[0]["probability"] == 1.0
    assert both.details["probability"] == 2 * both.table[1]["probability"]


@pytest.mark.parametrize("check", [clusters_as_labels, better_than_majority])
def test_one_label_is_refused(check):
    with pytest.raises(ValueError, match="must hold at least two labels"):
        check(cloud(20), ["a"] * 20) if check is clusters_as_labels else check(["a"] * 20, ["a"] * 20)
