import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.decomposition import PCA

from czbenchmarks.kernels import projection
from czbenchmarks.kernels.projection import project


def spread(n=60, g=20, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, g)) * np.linspace(5, 0.5, g) + rng.normal(size=g) * 10


def signed(coordinates, loadings):
    """Turn components so that their largest loading is positive."""
    largest = loadings[np.arange(len(loadings)), np.abs(loadings).argmax(axis=1)]
    return coordinates * np.sign(largest)


def slow(values, k):
    """Decompose the whole centred matrix."""
    centred = values - values.mean(axis=0)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    return signed((left * sizes)[:, :k], right[:k])


@pytest.mark.parametrize("most_columns", [2500, 10])
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, np.float32])
def test_agrees_with_the_twin_and_scikit_learn(kind, most_columns, monkeypatch):
    monkeypatch.setattr(projection, "_MOST_COLUMNS", most_columns)
    monkeypatch.setattr(projection, "_ENTRIES", 400)  # several blocks
    monkeypatch.setattr(projection, "_TILE", 7)
    values = spread()
    found = project(kind(values), 8)
    expected = slow(values, 8)
    tolerance = 1e-9 if kind is not np.float32 and most_columns > 20 else 2e-4
    np.testing.assert_allclose(found, expected, atol=tolerance)
    model = PCA(8, svd_solver="full").fit(values)
    np.testing.assert_allclose(found, signed(model.transform(values), model.components_), atol=tolerance)


@pytest.mark.parametrize(("n", "k", "columns"), [(1, 5, 1), (2, 5, 1), (4, 5, 3), (60, 20, 20), (60, 99, 20)])
def test_as_many_components_as_there_are(n, k, columns):
    values = spread(n)
    found = project(values, k)
    assert found.shape == (n, columns)
    distances = ((values[:, None] - values[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(((found[:, None] - found[None]) ** 2).sum(axis=2), distances, atol=1e-8)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 40])
def test_many_columns_of_few_cells(n):
    values = spread(n, 2600)
    found = project(values, 50)
    assert found.shape[1] == max(1, min(50, n - 1))
    if n > 1:
        np.testing.assert_allclose((found**2).sum(), (slow(values, 50) ** 2).sum(), rtol=1e-5)


def test_constant_columns_have_coordinates_of_zero():
    np.testing.assert_allclose(project(np.full((30, 60), 3.0), 5), 0, atol=1e-12)


def test_the_values_given_stay_as_they_are():
    values = spread()
    before = values.copy()
    project(values, 3)
    np.testing.assert_array_equal(values, before)


def test_threads_change_no_bit(same_bits):
    values = spread(700, 300)
    same_bits(lambda: [project(values, 20), project(sp.csr_matrix(values), 20)])
