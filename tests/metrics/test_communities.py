import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from czbenchmarks.kernels import graph
from czbenchmarks.kernels.graph import connectivities, leiden
from czbenchmarks.kernels.kmeans import kmeans
from czbenchmarks.kernels.neighbors import Neighbors, exact_neighbors
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics import communities
from czbenchmarks.metrics.communities import (
    RESOLUTIONS,
    kmeans_ari,
    kmeans_nmi,
    leiden_ari,
    leiden_ari_best,
    leiden_nmi,
    leiden_nmi_best,
    resolution_curve,
)
from czbenchmarks.metrics.isolated import isolated_labels_f1
from czbenchmarks.tasks import represent

OF_KMEANS, OF_LEIDEN = [kmeans_nmi, kmeans_ari], [leiden_nmi, leiden_ari, leiden_nmi_best, leiden_ari_best]
SCORES = {"nmi": normalized_mutual_info_score, "ari": adjusted_rand_score}


def score_of(metric):
    return SCORES["nmi" if "nmi" in metric.__name__ else "ari"]


def cells(n=300, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice(4, n, p=[0.5, 0.3, 0.15, 0.05])
    return rng.normal(size=(n, 5)) + 2.5 * np.eye(5)[labels], labels


def test_the_resolutions_are_those_of_scib():
    assert RESOLUTIONS == (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)


@pytest.mark.parametrize("metric", OF_KMEANS)
@pytest.mark.parametrize("seed", [0, 7])
def test_kmeans_scores_the_tightest_of_its_starts(metric, seed):
    X, codes = cells()
    labels = pd.Series(np.array(list("dbca"))[codes], index=[f"c{i}" for i in range(300)])
    found = metric(X, labels, n_starts=4, random_seed=seed)
    starts = kmeans(X, 4, seed, 4)
    tightest = min(starts, key=lambda start: start.within)
    assert found.value == pytest.approx(score_of(metric)(codes, tightest.codes), abs=1e-12)
    np.testing.assert_array_equal(found.units.columns["cluster"], tightest.codes)
    assert found.units.ids.tolist() == list(labels.index)
    assert found.counts == {"used": 300, "left_out": 0, "labels": 4, "clusters": 4}
    scores = [score_of(metric)(codes, start.codes) for start in starts]
    assert found.details == {
        "start": [start is tightest for start in starts].index(True) + 1, "starts": 4,
        "least_of_starts": pytest.approx(min(scores)), "greatest_of_starts": pytest.approx(max(scores)),
    }  # fmt: skip
    for i, (row, start) in enumerate(zip(found.breakdowns, starts, strict=True), 1):
        assert row == {
            "start": i, "variance_within": start.within, "iterations": start.iterations, "clusters": 4,
            "nmi": pytest.approx(normalized_mutual_info_score(codes, start.codes)),
            "ari": pytest.approx(adjusted_rand_score(codes, start.codes)),
        }  # fmt: skip


def test_starts_that_did_not_come_to_rest_are_noted(monkeypatch):
    X, labels = cells()
    assert "note" not in kmeans_nmi(X, labels).details
    monkeypatch.setattr(communities, "MOST_ITERATIONS", 1)
    assert kmeans_nmi(X, labels, 3).details["note"] == "3 of 3 starts had not come to rest after 1 iterations"


@pytest.mark.parametrize("metric", [leiden_nmi, leiden_ari])
@pytest.mark.parametrize(("resolution", "seed"), [(1.0, 42), (0.4, 42), (1.0, 3)])
def test_leiden_scores_communities_of_the_graph(metric, resolution, seed):
    X, labels = cells()
    found = metric(X, labels, resolution=resolution, random_seed=seed)
    graph = connectivities(exact_neighbors(X, 15))
    codes = leiden(graph, seed, resolution=resolution, stream="python")
    assert found.value == pytest.approx(score_of(metric)(labels, codes), abs=1e-12)
    np.testing.assert_array_equal(found.units.columns["cluster"], codes)
    assert found.details == {"resolution": resolution, "n_neighbors": 15}
    assert found.counts["clusters"] == len(set(codes.tolist()))
    assert len(found.breakdowns) == 1


def slow_curve(X, labels, resolutions, seed):
    graph = connectivities(exact_neighbors(X, 15))
    rows = []
    for resolution in resolutions:
        codes = leiden(graph, seed, resolution=resolution, stream="python")
        scores = {name: pytest.approx(score(labels, codes)) for name, score in SCORES.items()}
        rows.append({"resolution": resolution, "clusters": len(set(codes.tolist())), **scores})
    return rows


def test_the_best_resolution_is_that_of_the_mutual_information():
    X, labels = cells(seed=3)
    nmi, ari = leiden_nmi_best(X, labels), leiden_ari_best(X, labels)
    curve = slow_curve(X, labels, RESOLUTIONS, 42)
    assert nmi.breakdowns == ari.breakdowns == curve
    values = [row["nmi"] for row in nmi.breakdowns]
    best = nmi.breakdowns[int(np.argmax(values))]
    assert nmi.value == max(values)
    assert nmi.details["resolution"] == ari.details["resolution"] == best["resolution"]
    assert ari.value == best["ari"]
    np.testing.assert_array_equal(nmi.units.columns["cluster"], ari.units.columns["cluster"])
    assert nmi.counts["clusters"] == best["clusters"]


def test_of_equally_good_resolutions_the_lowest_is_taken():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 40)
    found = leiden_nmi_best(rng.normal(size=(80, 2)) + 50 * labels[:, None], labels, [0.3, 0.1, 0.2])
    assert found.value == 1.0
    assert [row["nmi"] for row in found.breakdowns] == [1.0, 1.0, 1.0]
    assert found.details["resolution"] == 0.1


def test_another_resolution_may_have_the_better_rand_index():
    X, labels = cells()
    labels = np.random.default_rng(0).permutation(labels)  # more communities have more information, by chance
    found = leiden_ari_best(X, labels)
    assert found.value == max(found.breakdowns, key=lambda row: row["nmi"])["ari"]
    assert found.value < max(row["ari"] for row in found.breakdowns)


def test_the_curve_has_every_seed_at_every_resolution():
    X, labels = cells()
    found = resolution_curve(X, labels, [0.5, 2.0], [1, 42])
    assert [(row["resolution"], row["seed"]) for row in found] == [(0.5, 1), (0.5, 42), (2.0, 1), (2.0, 42)]
    for seed in (1, 42):
        rows = [{name: v for name, v in row.items() if name != "seed"} for row in found if row["seed"] == seed]
        assert rows == slow_curve(X, labels, [0.5, 2.0], seed)
    default = resolution_curve(X, labels)
    assert [row["resolution"] for row in default] == list(RESOLUTIONS)
    assert {row["seed"] for row in default} == {42}
    assert resolution_curve(X, [1] * 300) == []
    assert resolution_curve(np.zeros((300, 2)), labels) == []


def test_clusterings_are_made_once(monkeypatch):
    made = []

    def counted(module, name):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, **more: (made.append(name), original(*given, **more))[1])

    class Counted(communities.CommunityGraph):
        def leiden(self, *given, **more):
            made.append("leiden")
            return super().leiden(*given, **more)

    counted(communities, "kmeans")
    counted(graph, "connectivities")
    monkeypatch.setattr(communities, "CommunityGraph", Counted)
    X, labels = cells()
    shared = represent(X)
    values = {metric: metric(shared, labels).value for metric in OF_KMEANS + OF_LEIDEN}
    isolated_labels_f1(shared, labels, np.where(labels == 3, 0, np.arange(300) % 2))
    assert sorted(made) == ["connectivities", "kmeans", *["leiden"] * 10]
    resolution_curve(shared, labels, seeds=[42, 5])
    assert len(made) == 22
    kmeans_nmi(shared, labels, random_seed=1)
    kmeans_nmi(shared, np.where(labels == 3, 2, labels))
    assert made.count("kmeans") == 3
    assert values == {metric: metric(X, labels).value for metric in values}


@pytest.mark.parametrize("metric", OF_KMEANS + OF_LEIDEN)
def test_labels_that_clusters_cannot_be_compared_with(metric):
    X, _ = cells(30)
    for labels, reason in ((["t"] * 30, "all cells have one label, 't'"), (range(30), "every cell has a label of its")):
        found = metric(X, list(labels))
        assert math.isnan(found.value)
        assert found.reason.startswith(reason)
        assert found.counts == {"used": 0, "left_out": 30, "labels": len(set(labels))}


def test_cells_at_one_place():
    labels = np.arange(100) % 3
    for metric in OF_KMEANS:  # one cluster
        assert metric(np.ones((100, 2)), labels).value == 0.0
    for metric in OF_LEIDEN:
        found = metric(np.ones((100, 2)), labels)
        assert math.isnan(found.value)
        assert found.reason == "all cells are at one place, so none is nearer than another"
        assert metric(np.ones((12, 2)), labels[:12]).reason == found.reason  # all are neighbours of all


def test_few_cells_and_duplicates():
    for metric in OF_LEIDEN:
        found = metric([[0.0], [1.0]], ["a", "b"])
        assert math.isnan(found.value)
        found = metric([[0.0], [1.0], [9.0]], ["a", "a", "b"])
        assert found.details["n_neighbors"] == 3
        assert -0.5 <= found.value <= 1
    places = np.repeat(np.eye(3), 30, axis=0)
    for metric in OF_KMEANS:
        assert metric(places, np.repeat([0, 1, 2], 30)).value == pytest.approx(1.0, abs=1e-12)
        found = metric(places, np.arange(90) // 10)  # nine labels at three places
        assert found.counts == {"used": 90, "left_out": 0, "labels": 9, "clusters": 3}
        assert 0 < found.value < 1


@pytest.mark.parametrize("unit", [1e-12, 1e12])
@pytest.mark.parametrize("metric", OF_KMEANS + OF_LEIDEN)
def test_the_unit_does_not_matter(metric, unit):
    X, labels = cells()
    assert metric(X * unit, labels).value == pytest.approx(metric(X, labels).value, abs=1e-12)


def test_bad_arguments_are_refused():
    X, labels = cells(40)
    for metric in OF_KMEANS:
        with pytest.raises(ValueError, match="`n_starts` must be a positive integer, at least 1, got 0"):
            metric(X, labels, n_starts=0)
        with pytest.raises(ValueError, match="`random_seed` must be between 0 and 4,294,967,295, got -1"):
            metric(X, labels, random_seed=-1)
    for metric in (leiden_nmi_best, leiden_ari_best, resolution_curve):
        with pytest.raises(ValueError, match=r"`resolutions` must be positive numbers, got 0.0, -1.0; try 0.2 to 2\."):
            metric(X, labels, [0, 1, -1])
        with pytest.raises(ValueError, match="`resolutions` must be positive numbers, got none"):
            metric(X, labels, [])
        with pytest.raises(TypeError, match="`resolutions`"):
            metric(X, labels, 0.5)
    with pytest.raises(TypeError, match=r"`seeds` must be a whole number, got 0\.5"):
        resolution_curve(X, labels, [1.0], [0.5])
    with pytest.raises(ValueError, match="`labels` must have the same length as the data"):
        leiden_nmi(X, labels[:-1])


def test_how_neighbours_were_found_is_in_the_details():
    X, labels = cells()
    given = Neighbors(*(getattr(exact_neighbors(X, 20), part) for part in ("indices", "distances")), "given")
    found = leiden_nmi(Representation(X, neighbors=given), labels)
    assert found.details == {"resolution": 1.0, "n_neighbors": 15, "neighbors": "given"}
    assert found.value == leiden_nmi(X, labels).value


def test_threads_and_global_seeds_change_no_bit(monkeypatch):
    X, labels = cells(3000)
    found = []
    for threads, seed in (("1", 0), ("2", 1), ("4", 2)):
        monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", threads)
        np.random.seed(seed)  # noqa: NPY002, TID251
        found.append([metric(X, labels).value for metric in OF_KMEANS + OF_LEIDEN])
    assert found[0] == found[1] == found[2]
