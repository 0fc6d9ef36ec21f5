import math

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness as of_scikit_learn

from czbenchmarks.kernels.stored import StoredMatrix
from czbenchmarks.metrics import preservation
from czbenchmarks.metrics.inputs import reference_components
from czbenchmarks.metrics.preservation import continuity, trustworthiness
from czbenchmarks.tasks import represent


def spaces(n=150, seed=0, columns=20):
    rng = np.random.default_rng(seed)
    before = rng.normal(size=(n, columns)) * np.linspace(3, 0.3, columns)
    return before[:, :3] + 0.3 * rng.normal(size=(n, 3)), before


@pytest.mark.parametrize("k", [1, 5, 15, 70])
def test_both_agree_with_scikit_learn(k):
    X, before = spaces()
    found = trustworthiness(X, before, n_neighbors=k)
    assert found.value == pytest.approx(of_scikit_learn(before, X, n_neighbors=k), abs=1e-12)
    assert found.value == pytest.approx(found.units.values.mean(), abs=1e-15)
    assert found.counts == {"used": 150, "left_out": 0}
    assert found.details["n_neighbors"] == k
    assert continuity(X, before, n_neighbors=k).value == pytest.approx(
        of_scikit_learn(X, before, n_neighbors=k), abs=1e-12
    )


@pytest.mark.parametrize("write", [np.asarray, sp.csr_matrix, sp.csc_array, pd.DataFrame, represent])
def test_wide_data_are_compared_by_their_components(write):
    X, before = spaces(columns=80)
    coordinates = PCA(50, svd_solver="full").fit_transform(before)
    expected = of_scikit_learn(coordinates, X, n_neighbors=15)
    assert trustworthiness(X, write(before)).value == pytest.approx(expected, abs=1e-12)


def test_components_are_made_once_and_narrow_data_stay():
    _, before = spaces(columns=80)
    given = represent(before)
    assert reference_components(given) is reference_components(given)
    assert reference_components(given).d == 50
    narrow = represent(before[:, :50])
    assert reference_components(narrow) is narrow


def test_components_of_data_that_stay_in_their_file(tmp_path):
    _, before = spaces(columns=80)
    with h5py.File(tmp_path / "cells.h5", "w") as file:
        file["X"] = before
        found = reference_components(StoredMatrix(file["X"], "unintegrated"))
    np.testing.assert_array_equal(found.array, reference_components(before).array)


def test_an_estimate_from_some_cells():
    X, before = spaces(n=400)
    whole = trustworthiness(X, before)
    found = trustworthiness(X, before, max_cells=200)
    assert found.details["estimated_from"] == len(found.units.values) == 200
    assert found.counts == {"used": 200, "left_out": 200}
    np.testing.assert_array_equal(found.units.values, whole.units.values[found.units.ids])
    assert abs(found.value - whole.value) < 4 * found.details["standard_error"] < 0.02
    assert trustworthiness(X, before, max_cells=200).value == found.value
    assert trustworthiness(X, before, max_cells=200, random_seed=1).value != found.value
    assert trustworthiness(X, before, max_cells=400).value == whole.value


def test_many_cells_are_sampled_unless_all_are_asked_for(monkeypatch):
    monkeypatch.setattr(preservation, "ALL_UP_TO", 100)
    monkeypatch.setattr(preservation, "SAMPLE", 60)
    X, before = spaces()
    assert continuity(X, before).details["estimated_from"] == 60
    assert "estimated_from" not in continuity(X, before, max_cells=150).details
    assert "estimated_from" not in continuity(X[:100], before[:100]).details


def test_few_cells_have_fewer_neighbours():
    X, before = spaces(n=20)
    found = trustworthiness(X, before)
    assert found.details["n_neighbors"] == 9
    assert found.value == pytest.approx(of_scikit_learn(before, X, n_neighbors=9), abs=1e-12)
    assert trustworthiness(X[:3], before[:3]).details["n_neighbors"] == 1


def test_what_is_not_defined_has_a_reason():
    X, before = spaces()
    assert trustworthiness(X[:2], before[:2]).reason == "2 cells are too few: 3 are needed"
    for one, other in ((np.ones((150, 2)), before), (X, np.ones((150, 60)))):
        for metric in (trustworthiness, continuity):
            found = metric(one, other)
            assert math.isnan(found.value)
            assert found.reason == "all cells are at one place, in the embedding or before"


def test_what_does_not_fit_is_refused():
    X, before = spaces()
    with pytest.raises(ValueError, match=r"`unintegrated` must have the same length .* expected 150, got 149"):
        trustworthiness(X, before[1:])
    with pytest.raises(ValueError, match="`n_neighbors` must be"):
        continuity(X, before, n_neighbors=0)
    with pytest.raises(ValueError, match="`unintegrated` must be finite"):
        continuity(X, np.full((150, 3), np.nan))


def test_order_unit_offset_and_rotation_change_nothing():
    X, before = spaces()
    rng = np.random.default_rng(3)
    rotation, order = np.linalg.qr(rng.normal(size=(3, 3)))[0], rng.permutation(150)
    for metric in (trustworthiness, continuity):
        expected = metric(X, before).value
        for cells in (X * 1e-6, X * 1e12, X + 1000, X @ rotation, np.pad(X, ((0, 0), (0, 3)))):
            assert metric(cells, before).value == pytest.approx(expected, abs=1e-12)
        assert metric(X[order], before[order]).value == pytest.approx(expected, abs=1e-12)


def test_strangers_lower_the_one_and_torn_neighbours_the_other():
    rng = np.random.default_rng(4)
    before = rng.uniform(0, 10, (200, 2))
    flattened = before[:, :1]  # brings strangers together
    assert trustworthiness(flattened, before).value < continuity(flattened, before).value - 0.02
    torn = before + np.where(np.arange(200) % 2, 100, 0)[:, None]
    assert continuity(torn, before).value < trustworthiness(torn, before).value - 0.02
