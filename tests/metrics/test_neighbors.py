import math

import numpy as np
import pandas as pd
import pytest

from czbenchmarks.kernels.neighbors import Neighbors
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.neighbors import (
    graph_connectivity,
    graph_connectivity_weak,
    knn_purity,
    ksim,
    ksim_acceptance,
)

# `simulated` with exact neighbours: scib-metrics 0.5.10 (strong), scib 1.1.7 on the symmetric graph (weak).
PUBLISHED = {
    0: (0.8941733854848926, 0.9799799972940229),
    1: (0.7715721060097889, 0.9921288620779758),
    2: (0.9226781632475912, 0.9896181630546955),
}


def simulated(seed):
    rng = np.random.default_rng(seed)
    labels, batch = rng.integers(0, 4, 400), rng.integers(0, 3, 400)
    X = rng.normal(size=(400, 6)) + 1.5 * np.eye(6)[labels] + 0.4 * batch[:, None]
    if seed == 1:
        X[:40] = X[0]  # duplicates
    if seed == 2:
        labels[399] = 9  # a label of one cell
        X = X * 100
    return X, labels


def nearest(X, i, k):
    """Return the k nearest cells, the cell itself first."""
    distance = ((X - X[i]) ** 2).sum(axis=1)
    distance[i] = -1
    return np.argsort(distance, kind="stable")[:k]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("k", [2, 25, 400])
def test_ksim_agrees_with_the_twin(seed, k):
    X, labels = simulated(seed)
    expected = np.array([np.mean(labels[nearest(X, i, k)] == labels[i]) for i in range(400)])
    found = ksim(X, pd.Series(labels, index=range(1000, 1400)), n_neighbors=k)
    np.testing.assert_allclose(found.units.values, expected, atol=1e-15)
    assert found.value == pytest.approx(expected.mean(), abs=1e-14)
    assert found.units.ids.tolist() == list(range(1000, 1400))
    assert found.counts == {"used": 400, "left_out": 0, "labels": len(set(labels))}
    accepted = ksim_acceptance(X, labels, n_neighbors=k)
    assert accepted.value == pytest.approx(np.mean(expected >= 0.9 - 1e-12), abs=1e-14)
    for row, label in zip(found.breakdowns, sorted(set(labels)), strict=True):
        assert row["label"] == str(label)
        assert row["value"] == pytest.approx(expected[labels == label].mean(), abs=1e-12)
        assert row["cells"] == int((labels == label).sum())


def test_a_share_of_exactly_the_least_is_accepted():
    X, labels = np.arange(10.0)[:, None], ["a"] * 9 + ["b"]
    found = ksim_acceptance(X, labels, n_neighbors=10)
    assert found.value == 0.9  # 9 of 10 for the nine
    assert (found.details["n_neighbors"], found.details["min_share"]) == (10, 0.9)
    assert ksim_acceptance(X, labels, n_neighbors=10, min_share=0.91).value == 0


@pytest.mark.parametrize("share", [0, -0.1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match="`min_share` must be above 0 and at most 1, got"):
        ksim_acceptance(np.eye(3), [0, 1, 1], min_share=share)


@pytest.mark.parametrize("share", [True, "0.9", None])
def test_a_share_that_is_no_number_is_refused(share):
    with pytest.raises(TypeError, match="`min_share` must be a number"):
        ksim_acceptance(np.eye(3), [0, 1, 1], min_share=share)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("k", [1, 30, 399, 1000])
def test_purity_agrees_with_the_twin(seed, k):
    X, labels = simulated(seed)
    shares = np.array([np.mean(labels[nearest(X, i, min(k + 1, 400))[1:]] == labels[i]) for i in range(400)])
    shares[labels == 9] = np.nan  # the only cell of its label
    found = knn_purity(X, labels, n_neighbors=k)
    np.testing.assert_allclose(found.units.values, shares, atol=1e-15)
    assert found.value == pytest.approx(np.mean([shares[labels == label].mean() for label in range(4)]), abs=1e-14)
    assert found.details["n_neighbors"] == min(k, 399)
    alone = int(seed == 2)
    assert found.counts == {"used": 400 - alone, "left_out": alone, "labels": 4, "labels_left_out": alone}
    assert found.details.get("labels_left_out", []) == ["9"] * alone
    assert [math.isnan(row["value"]) for row in found.breakdowns] == [False] * 4 + [True] * alone


def test_every_label_counts_the_same_in_purity_and_every_cell_in_ksim():
    # 90 cells among their own, 10 of a rare label spread among them.
    X = np.arange(100.0)[:, None]
    labels = np.where(np.arange(100) % 10 == 5, "rare", "common")
    assert knn_purity(X, labels, n_neighbors=4).value == pytest.approx((1 + 0) / 2, abs=0.1)
    assert ksim(X, labels, n_neighbors=5).value > 0.8


def test_what_is_not_defined_has_a_reason():
    X, labels = simulated(0)
    for metric in (ksim, ksim_acceptance, knn_purity):
        assert metric(X, ["a"] * 400).reason == "all cells have one label, 'a'"
        assert metric(np.ones((400, 2)), labels).reason == "all cells are at one place"
        assert math.isnan(metric([[1.0]], ["a"]).value)
        assert metric(np.ones((20, 2)), labels[:20]).reason == "all cells are at one place"
        assert metric(X, np.arange(400)).reason == "every cell has a label of its own"
    for metric in (graph_connectivity, graph_connectivity_weak):
        assert metric([[1.0]], ["a"]).reason == "a cell has no neighbours"
        assert metric(np.ones((400, 2)), labels).reason == "all cells are at one place"
        assert metric(np.ones((15, 2)), ["a"] * 15).reason == "all cells are at one place"
        assert metric(X, np.arange(400)).reason == "every cell has a label of its own"
        assert (
            metric(X, ["a"] * 400).details["note"] == "all cells have one label, so the graph of all cells is looked at"
        )


@pytest.mark.parametrize("seed", PUBLISHED)
def test_connectivity_agrees_with_scib_metrics_and_scib(seed):
    X, labels = simulated(seed)
    strong, weak = PUBLISHED[seed]
    assert graph_connectivity(X, labels).value == pytest.approx(strong, abs=1e-14)
    assert graph_connectivity_weak(X, labels).value == pytest.approx(weak, abs=1e-14)


def test_units_and_breakdowns_of_connectivity():
    X, labels = simulated(2)
    found = graph_connectivity(X, labels)
    assert found.units.kind == "label"
    assert found.units.ids.tolist() == ["0", "1", "2", "3", "9"]
    assert found.units.values[-1] == 1  # the one cell of its label
    assert found.value == found.units.values.mean()
    assert found.counts == {"used": 5, "left_out": 0, "cells": 400}
    assert found.details == {"n_neighbors": 15, "connection": "strong"}
    for row, value, label in zip(found.breakdowns, found.units.values, (0, 1, 2, 3, 9), strict=True):
        assert row["cells"] == int((labels == label).sum())
        assert row["largest_part"] / row["cells"] == row["value"] == value


def test_a_label_in_two_pieces():
    X = np.concatenate([np.arange(10.0), np.arange(100.0, 130.0)])[:, None]
    for metric in (graph_connectivity, graph_connectivity_weak):
        assert metric(X, ["a"] * 40, n_neighbors=5).value == pytest.approx(30 / 40)
    # A cell that nobody lists is a part of its own only where edges have a direction.
    X = np.append(np.arange(20.0), 500.0)[:, None]
    assert graph_connectivity(X, ["a"] * 21, n_neighbors=5).value == pytest.approx(20 / 21)
    assert graph_connectivity_weak(X, ["a"] * 21, n_neighbors=5).value == 1


def test_how_neighbours_were_found_is_said():
    X, labels = simulated(0)
    lists = Representation(X).neighbors(40)
    given = Representation(X, neighbors=Neighbors(lists.indices, lists.distances, "given"))
    for metric in (ksim, ksim_acceptance, knn_purity, graph_connectivity, graph_connectivity_weak):
        found = metric(given, labels)
        assert found.details["neighbors"] == "given"
        assert found.value == metric(X, labels).value


@pytest.mark.parametrize("metric", [ksim, ksim_acceptance, graph_connectivity, graph_connectivity_weak])
def test_lists_of_the_cell_alone_are_refused(metric):
    with pytest.raises(ValueError, match="`n_neighbors` must be at least 2, got 1"):
        metric(np.eye(4), [0, 0, 1, 1], n_neighbors=1)
