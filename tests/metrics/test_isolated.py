import math

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics

from czbenchmarks.metrics.communities import communities
from czbenchmarks.metrics.isolated import isolated_labels, isolated_labels_f1
from czbenchmarks.tasks import represent

BOTH = [isolated_labels, isolated_labels_f1]


def cells(n=240, seed=0):
    """Return cells of four labels and three batches: `d` is in one batch, `c` in two."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(list("abcd"), n, p=[0.4, 0.3, 0.2, 0.1])
    batch = rng.choice(["x", "y", "z"], n)
    batch[labels == "d"] = "z"
    batch[(labels == "c") & (batch == "x")] = "y"
    X = rng.normal(size=(n, 4)) + 2 * (labels == "d")[:, None] + 1.5 * (labels == "c")[:, None] * [1, 0, 0, 0]
    return X, labels, batch


def few_batches(labels, batch, threshold):
    in_batches = {label: len(set(batch[labels == label].tolist())) for label in set(labels.tolist())}
    threshold = min(in_batches.values()) if threshold is None else threshold
    return sorted(label for label, number in in_batches.items() if number <= threshold)


def slow_asw(X, labels, batch, threshold=None, rescale=True):
    values = sklearn.metrics.silhouette_samples(X, labels)
    values = (values + 1) / 2 if rescale else values
    return float(np.mean([values[labels == label].mean() for label in few_batches(labels, batch, threshold)]))


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize(("threshold", "isolated"), [(None, "d"), (1, "d"), (2, "cd")])
def test_silhouettes_agree_with_the_twin(threshold, isolated, rescale):
    X, labels, batch = cells()
    ids = [f"cell{i}" for i in range(240)]
    found = isolated_labels(X, pd.Series(labels, index=ids), batch, threshold, rescale=rescale)
    assert few_batches(labels, batch, threshold) == list(isolated)
    assert found.value == pytest.approx(slow_asw(X, labels, batch, threshold, rescale), abs=1e-8)
    inside = np.isin(labels, list(isolated))
    assert np.isfinite(found.units.values).tolist() == inside.tolist()
    assert found.units.ids.tolist() == ids
    used = int(inside.sum())
    assert found.counts == {"used": used, "left_out": 240 - used, "labels": 4, "isolated": len(isolated)}
    assert found.details == {"iso_threshold": len(isolated)}
    table = found.breakdowns
    assert [(row["label"], row["batches"], row["isolated"]) for row in table] == [
        ("a", 3, 0), ("b", 3, 0), ("c", 2, int("c" in isolated)), ("d", 1, 1),
    ]  # fmt: skip
    assert [row["cells"] for row in table] == [int((labels == label).sum()) for label in "abcd"]
    values = sklearn.metrics.silhouette_samples(X, labels)
    values = (values + 1) / 2 if rescale else values
    expected = [values[labels == label].mean() for label in "abcd"]
    np.testing.assert_allclose([row["score"] for row in table], expected, atol=1e-8)
    assert np.mean([row["score"] for row in table if row["isolated"]]) == pytest.approx(found.value, abs=1e-15)


def slow_f1(X, labels, batch, resolutions, threshold=None):
    """Count cell by cell, for every label, resolution and cluster."""
    found = {}
    for label in few_batches(labels, batch, threshold):
        best = (-1.0, 0.0)
        for resolution, codes in zip(resolutions, communities(represent(X), resolutions, 42), strict=True):
            for cluster in set(codes.tolist()):
                best = max(best, (sklearn.metrics.f1_score(labels == label, codes == cluster), -resolution))
        found[label] = best
    return found


@pytest.mark.parametrize("threshold", [None, 2])
def test_f1_agrees_with_the_twin(threshold):
    X, labels, batch = cells()
    found = isolated_labels_f1(X, labels, batch, threshold)
    expected = slow_f1(X, labels, batch, [round(0.2 * i, 1) for i in range(1, 11)], threshold)
    assert found.value == pytest.approx(np.mean([score for score, _ in expected.values()]), abs=1e-12)
    assert found.units.kind == "label"
    assert found.units.ids.tolist() == list(expected)
    table = {row["label"]: row for row in found.breakdowns if row["isolated"]}
    assert list(table) == list(expected)
    for label, (score, resolution) in expected.items():
        assert table[label]["score"] == pytest.approx(score, abs=1e-12)
        assert table[label]["resolution"] == -resolution
    assert [row["label"] for row in found.breakdowns] == list("abcd")
    few = isolated_labels_f1(X, labels, batch, threshold, resolutions=[0.2])
    assert few.value == pytest.approx(np.mean([s for s, _ in slow_f1(X, labels, batch, [0.2], threshold).values()]))


@pytest.mark.parametrize("metric", BOTH)
def test_labels_of_all_batches_are_not_isolated(metric):
    X, labels, batch = cells()
    mixed = np.arange(240) % 3
    found = metric(X, labels, mixed)
    assert math.isnan(found.value)
    assert found.reason == "no label is isolated: each occurs in all 3 batches (a: 3, b: 3, c: 3 and 1 more)"
    assert found.counts == {"used": 0, "left_out": 240, "labels": 4, "isolated": 0}
    assert [(row["label"], row["batches"], row["isolated"]) for row in found.breakdowns] == [
        ("a", 3, 0), ("b", 3, 0), ("c", 3, 0), ("d", 3, 0),
    ]  # fmt: skip
    for threshold in (3, 7):
        found = metric(X, labels, batch, iso_threshold=threshold)
        assert math.isnan(found.value)
        assert found.reason.startswith("no label is isolated: `iso_threshold` lets in those of all 3 batches (a: 3, ")
    found = metric(X[labels != "d"], labels[labels != "d"], batch[labels != "d"], iso_threshold=1)
    assert math.isnan(found.value)
    assert found.reason == "no label is isolated: each occurs in more than 1 batches (a: 3, b: 3, c: 2)"


@pytest.mark.parametrize("metric", BOTH)
def test_all_labels_are_scored_if_that_is_asked_for(metric):
    X, labels, batch = cells()
    mixed = np.arange(240) % 3
    found = metric(X, labels, mixed, every_label_if_none=True)
    assert found.value == pytest.approx(np.mean([row["score"] for row in found.breakdowns]), abs=1e-15)
    assert found.counts["isolated"] == 4
    assert found.details == {"iso_threshold": 3, "note": "no label is isolated; all are scored"}
    assert metric(X, labels, batch, 3, every_label_if_none=True).value == found.value
    assert metric(X, labels, batch, every_label_if_none=True).value == metric(X, labels, batch).value
    assert metric(X, labels, batch, every_label_if_none=True).details == {"iso_threshold": 1}
    keep = labels != "d"
    assert math.isnan(metric(X[keep], labels[keep], batch[keep], 1, every_label_if_none=True).value)


def test_scoring_all_labels_is_the_mean_silhouette_by_label():
    X, labels, _ = cells()
    mixed = np.arange(240) % 3
    found = isolated_labels(X, labels, mixed, every_label_if_none=True)
    assert found.value == pytest.approx(slow_asw(X, labels, np.zeros(240)), abs=1e-8)
    without = isolated_labels(X, labels, mixed)
    assert math.isnan(without.value)
    assert [row["score"] for row in without.breakdowns] == [row["score"] for row in found.breakdowns]


@pytest.mark.parametrize("metric", BOTH)
def test_one_batch_one_label_and_labels_of_one_cell(metric):
    X, labels, batch = cells(60)
    assert metric(X, labels, ["x"] * 60).reason == "no label is isolated: all cells belong to one batch, 'x'"
    assert metric(X, ["t"] * 60, batch).reason == "all cells have one label, 't'"
    assert metric(X, range(60), batch).reason == "every cell has a label of its own"
    labels = np.append(labels[:-1], "e")  # one cell
    found = metric(X, labels, batch)
    assert {row["label"] for row in found.breakdowns if row["isolated"]} == {"d", "e"}
    assert 0 <= found.value <= 1


def test_cells_at_one_place():
    _, labels, batch = cells()
    assert isolated_labels(np.zeros((240, 2)), labels, batch).value == 0.5
    found = isolated_labels_f1(np.zeros((240, 2)), labels, batch)
    assert found.reason == "all cells are at one place, so none is nearer than another"
    assert found.counts == {"used": 0, "left_out": 240, "labels": 4, "isolated": 1}


@pytest.mark.parametrize("metric", BOTH)
def test_an_unused_category_is_no_batch(metric):
    X, labels, batch = cells()
    unused = pd.Categorical(batch, categories=["", "x", "y", "z", "zz"])
    assert metric(X, pd.Categorical(labels, categories=["!", *"dcba"]), unused).value == metric(X, labels, batch).value


@pytest.mark.parametrize("metric", BOTH)
def test_bad_arguments_are_refused(metric):
    X, labels, batch = cells()
    with pytest.raises(ValueError, match="`iso_threshold` must be a positive integer, at least 1, got 0"):
        metric(X, labels, batch, 0)
    with pytest.raises(TypeError, match=r"`iso_threshold` must be a whole number, got 1\.5"):
        metric(X, labels, batch, 1.5)
    with pytest.raises(ValueError, match="`batch` must have the same length as the data"):
        metric(X, labels, batch[1:])
