import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_samples

from czbenchmarks.metrics.embedding import silhouette_label


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
