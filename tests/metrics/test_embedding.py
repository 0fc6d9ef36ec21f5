import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_samples

from czbenchmarks.metrics import embedding as embedding_metrics
from czbenchmarks.metrics.embedding import silhouette_label
from czbenchmarks.metrics.isolated import isolated_labels
from czbenchmarks.tasks import represent


def test_value_units_and_counts():
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(60, 4)), pd.Series(rng.choice(list("abc"), 60), index=[f"c{i}" for i in range(60)])
    found = silhouette_label(X, labels)
    expected = (silhouette_samples(X, labels) + 1) / 2
    np.testing.assert_allclose(found.units.values, expected, atol=1e-9)
    assert found.value == found.units.values.mean()
    assert found.units.ids.tolist() == list(labels.index)
    assert found.units.kind == "cell"
    assert found.counts == {"used": 60, "left_out": 0, "labels": 3}
    by_label = pd.Series(expected).groupby(labels.to_numpy()).agg(["size", "mean"])
    assert [(row["label"], row["cells"]) for row in found.breakdowns] == list(by_label["size"].items())
    np.testing.assert_allclose([row["mean"] for row in found.breakdowns], by_label["mean"], atol=1e-9)
    plain = silhouette_label(X, labels, rescale=False)
    assert plain.value == pytest.approx(2 * found.value - 1, abs=1e-14)


def test_one_label_is_not_defined():
    found = silhouette_label(np.eye(3), ["t"] * 3)
    assert math.isnan(found.value)
    assert found.reason == "all cells have one label, 't'"


def test_published_value():
    # cz-benchmarks 0.15.1 prints 0.5434871912 for these cells; it computes in single precision.
    rng = np.random.default_rng(0)
    labels = np.array(list("abc"))[rng.integers(0, 3, 300)]
    X = rng.normal(size=(300, 8)).astype("f4") + (labels == "a")[:, None] * 1.0 + (labels == "b")[:, None] * -0.5
    assert silhouette_label(X, labels).value == pytest.approx(0.5434871912, abs=1e-6)
    assert silhouette_label(X, labels, rescale=False).value == pytest.approx(0.08697443, abs=1e-6)


def test_a_label_of_its_own_for_every_cell_is_not_defined():
    found = silhouette_label([[0.0], [1.0], [3.0]], ["a", "b", "c"])
    assert np.isnan(found.value)
    assert found.reason == "every cell has a label of its own"


def overlapping(n=4000):
    rng = np.random.default_rng(3)
    labels = rng.choice(5, n, p=[0.5, 0.3, 0.1, 0.07, 0.03])
    return rng.normal(size=(n, 6)) + np.eye(6)[labels] * 1.5, labels


def test_an_estimate_comes_with_an_error_that_covers_the_mean_of_all_cells():
    X, labels = overlapping()
    exact = silhouette_label(X, labels)
    off = []
    for seed in range(200):
        found = silhouette_label(X, labels, max_cells=300, random_seed=seed)
        assert abs(found.details["estimated_from"] - 300) <= 3
        off.append((found.value - exact.value) / found.details["standard_error"])
    assert 0.75 < np.std(off) < 1.3  # near 1
    assert abs(np.mean(off)) < 0.5
    assert np.mean(np.abs(off) < 1.96) > 0.85


def test_a_sampled_cell_has_the_value_it_has_among_all():
    X, labels = overlapping()
    exact, found = silhouette_label(X, labels), silhouette_label(X, labels, max_cells=300)
    assert found.counts == exact.counts
    rows = found.units.ids
    assert len(rows) == found.details["estimated_from"]
    np.testing.assert_allclose(found.units.values, exact.units.values[rows], atol=1e-12)
    again = silhouette_label(X, labels, max_cells=300)
    assert (again.value, again.details) == (found.value, found.details)
    assert silhouette_label(X, labels, max_cells=300, random_seed=1).value != found.value


def test_as_many_cells_as_there_are_give_the_exact_value():
    X, labels = overlapping(200)
    for most in (None, 200, 10_000):
        found = silhouette_label(X, labels, max_cells=most)
        assert found.details == {}
        assert found.value == silhouette_label(X, labels).value


def test_too_few_cells_are_refused():
    X, labels = overlapping(200)
    with pytest.raises(ValueError, match=r"`max_cells` must allow two cells of each of 5 groups .*at least 10, got 9"):
        silhouette_label(X, labels, max_cells=9)
    with pytest.raises(ValueError, match="`max_cells` must be"):
        silhouette_label(X, labels, max_cells=0)
    with pytest.raises(TypeError, match="`max_cells` must be"):
        silhouette_label(X, labels, max_cells=2.5)


def test_silhouettes_are_found_once_for_an_embedding_and_its_labels(monkeypatch):
    asked = []

    def counted(*given, **more):
        asked.append(more)
        return silhouette_kernel(*given, **more)

    silhouette_kernel = embedding_metrics.silhouette_samples
    monkeypatch.setattr(embedding_metrics, "silhouette_samples", counted)
    X, labels = overlapping(200)
    cells = represent(X)
    batch = np.where(labels == 4, 0, np.arange(200) % 2)
    scaled = silhouette_label(cells, labels).value
    plain = silhouette_label(cells, labels, rescale=False).value
    isolated = isolated_labels(cells, labels, batch).value
    assert len(asked) == 1
    assert plain == pytest.approx(2 * scaled - 1, abs=1e-14)
    assert isolated == isolated_labels(X, labels, batch).value
    assert len(asked) == 2
    assert silhouette_label(cells, np.where(labels == 4, 3, labels)).value != scaled
    assert len(asked) == 3
    silhouette_label(cells, labels, max_cells=50)
    assert len(asked) == 4
