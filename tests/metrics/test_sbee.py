import math

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon

from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.sbee import sbee


def cells(n=200, seed=0, shift=0.5):
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.array(["B", "NK", "T"], dtype=object), n, p=[0.3, 0.1, 0.6])
    batches = rng.integers(0, 2, n)
    X = rng.normal(size=(n, 4))
    X[:, 0] += 4 * (labels == "T") - 4 * (labels == "NK")
    X[:, 1] += shift * batches
    return X, labels, batches


def slow_cells(X, labels, batches, k):
    """Follow the definition cell by cell, with sorted lists."""
    values, kinds = [], sorted(set(batches))
    for i in range(len(X)):
        distance = [math.dist(X[i], X[j]) if j != i else -1.0 for j in range(len(X))]
        of_label = [j for j in range(len(X)) if labels[j] == labels[i]]
        nearest = sorted(range(len(X)), key=lambda j: (distance[j], j))[: min(k, len(of_label))]
        counts = [
            [max(sum(batches[j] == b for j in some), 1e-10) for b in kinds]
            for some in ([j for j in nearest if labels[j] == labels[i]], of_label)
        ]
        mixing = 1 - jensenshannon(*counts, base=2)
        own = [distance[j] for j in of_label if batches[j] == batches[i] and j != i]
        other = [distance[j] for j in of_label if batches[j] != batches[i]]
        ratio = 1.0
        if own and other:
            below, above = np.median(own), np.median(other)
            ratio = min(1.0, below / above) if below > 0 and above > 0 else math.nan
        apart = math.exp(-(1 - ratio) / 0.15)
        values.append(0.0 if math.isnan(apart) or mixing + apart == 0 else 2 * mixing * apart / (mixing + apart))
    return np.array(values)


@pytest.mark.parametrize("k", [20, 90])
def test_agrees_with_the_twin(k):
    X, labels, batches = cells()
    labels[:5], labels[5] = "in one batch", "alone"
    batches[:5] = 1
    X[20:100], labels[20:100] = X[20], "B"  # most of this label at one place
    found = sbee(X, pd.Series(labels, index=[f"cell{i}" for i in range(200)]), batches, n_neighbors=k)
    expected = slow_cells(X, labels.tolist(), batches.tolist(), k)
    np.testing.assert_allclose(found.units.values, expected, atol=1e-7)
    frame = pd.DataFrame({"label": labels, "batch": batches, "value": expected})
    by_pair = frame.groupby(["label", "batch"])["value"].mean()
    assert found.value == pytest.approx(by_pair.groupby("label").mean().mean(), abs=1e-7)
    assert 0.3 < found.value < 0.95
    rows = {(row["label"], row["batch"]): row for row in found.breakdowns}
    assert {pair: row["score"] for pair, row in rows.items()} == pytest.approx(
        {(label, str(batch)): value for (label, batch), value in by_pair.items()}, abs=1e-7
    )
    assert {pair: row["cells"] for pair, row in rows.items()} == {
        (label, str(batch)): size for (label, batch), size in frame.groupby(["label", "batch"]).size().items()
    }
    assert found.details["labels_in_one_batch"] == ["alone", "in one batch"]
    assert "taken in row order" in found.details["note"]  # of the label at one place
    assert found.counts["labels_in_one_batch"] == 2
    assert found.counts["median_distance_0"] > 0
    assert (found.counts["used"], found.counts["labels"]) == (200, 5)
    assert found.units.columns["batch"].tolist() == batches.tolist()
    assert rows["alone", str(batches[5])]["score"] == pytest.approx(1.0)


def test_a_batch_whose_cells_have_no_distance():
    X, labels = np.zeros((80, 2)), ["t"] * 40 + ["other"] * 40
    X[40:] = np.random.default_rng(0).normal(5, 1, (40, 2))
    found = sbee(X, labels, ["x", "y"] * 40, n_neighbors=40)
    assert found.value < 0.5
    assert found.counts["median_distance_0"] == 40
    rows = [row for row in found.breakdowns if row["label"] == "t"]
    assert [math.isnan(row["distance"]) for row in rows] == [True, True]
    assert [row["score"] for row in rows] == [0.0, 0.0]
    assert [row["mixing"] for row in rows] == pytest.approx([1.0, 1.0])
    assert sbee(X[:40], labels[:40], ["x", "y"] * 20).reason == "all cells are at one place"


def test_batches_apart_and_mixed():
    mixed, middle, apart = (sbee(*cells(600, shift=shift)).value for shift in (0.0, 2.0, 20.0))
    assert mixed > 0.8
    assert mixed - 0.1 > middle > apart + 0.1
    assert apart < 0.02


def test_where_it_is_not_defined():
    X, labels, batches = cells()
    one = sbee(X, labels, ["b"] * 200)
    assert math.isnan(one.value)
    assert one.reason == "all cells belong to one batch, 'b'"
    assert sbee(X, labels, labels).reason == "no label occurs in two batches"
    assert math.isfinite(sbee(X, ["t"] * 200, batches).value)
    assert math.isfinite(sbee([[0.0], [1.0], [2.0]], ["t"] * 3, ["x", "y", "y"]).value)
    assert sbee([[0.0], [1.0]], ["t", "t"], ["x", "y"]).reason == "every cell has a batch of its own"


def test_large_labels_are_compared_with_cells_that_are_drawn():
    X, labels, batches = cells(800)
    exact = sbee(X, labels, batches)
    found = sbee(X, labels, batches, max_reference=150)
    drawn = found.details["cells_with_drawn_references"]
    assert found.details == {"n_neighbors": 90, "cells_with_drawn_references": drawn, "reference_cells": 150}
    assert 0 < drawn < 800
    assert found.value == pytest.approx(exact.value, abs=0.03)
    assert found.value != exact.value
    assert sbee(X, labels, batches, max_reference=150).value == found.value
    assert sbee(X, labels, batches, max_reference=150, random_seed=1).value != found.value
    # Both are kept apart where one embedding is scored twice.
    embedding = Representation(X)
    assert sbee(embedding, labels, batches).value == exact.value
    assert sbee(embedding, labels, batches, max_reference=150).value == found.value


def test_refused_parameters():
    for name, least in (("n_neighbors", 2), ("max_reference", 1), ("random_seed", 0)):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            sbee(*cells(), **{name: least - 1})
        with pytest.raises(TypeError, match=f"`{name}` must be a whole number"):
            sbee(*cells(), **{name: 2.5})
