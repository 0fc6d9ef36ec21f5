import numpy as np
import pytest

from czbenchmarks.kernels import compiled, wide
from czbenchmarks.kernels.neighbors import exact_neighbors, nearest_of_all
from czbenchmarks.kernels.silhouette import silhouette_samples
from czbenchmarks.kernels.wide import WIDE, squared_distances

DTYPES = [np.float16, np.float32, np.float64]


def slow_squares(rows, points):
    return np.array([[((x - y) ** 2).sum() for y in points.astype(np.longdouble)] for x in rows.astype(np.longdouble)])


def is_right(found, X, k, squared=None):
    """Compare with all cells sorted by (distance, index), the cell itself first."""
    squared = slow_squares(X, X) if squared is None else squared
    np.fill_diagonal(squared, -1)
    indices = np.argsort(squared, axis=1, kind="stable")[:, : k + 1]
    expected = np.sqrt(np.maximum(np.take_along_axis(squared, indices, axis=1), 0)).astype(float)
    np.testing.assert_array_equal(found.indices, indices[:, :k])
    np.testing.assert_allclose(found.distances, expected[:, :k], rtol=1e-12, atol=0)
    np.testing.assert_allclose(found.beyond, expected[:, k] if k < len(X) else np.inf, rtol=1e-12)


def slow_silhouette(X, codes, distance, other):
    X = X.astype(np.longdouble)
    if distance == "cosine":
        X = X / np.sqrt((X**2).sum(axis=1))[:, None]
    squared = slow_squares(X, X)
    distances, values = squared / 2 if distance == "cosine" else np.sqrt(squared), np.zeros(len(X))
    for i, code in enumerate(codes):
        if (codes == code).sum() > 1:
            a = distances[i, codes == code].sum() / ((codes == code).sum() - 1)
            means = [distances[i, codes == group].mean() for group in set(codes.tolist()) - {code}]
            b = {"nearest": min(means), "furthest": max(means), "mean_other": distances[i, codes != code].mean()}[other]
            values[i] = (b - a) / max(a, b)
    return values


def hard_cells(d):
    """Return tight clusters far from each other, a shell of almost equal distances, copies and an outlier."""
    rng = np.random.default_rng(d)
    X = rng.normal(size=(160, d))
    X[:30] = X[0] + 1e-4 * X[:30]
    X[30:60] = 1e3 + 1e-1 * X[30:60]
    X[60:110] *= (1 + 1e-7 * rng.normal(size=50)[:, None]) / np.linalg.norm(X[60:110], axis=1)[:, None]
    X[110:125] = X[126]
    X[-1] = 6e4
    return X


@pytest.fixture
def compared(monkeypatch):
    """Return a list that says of every block how many pairs were compared coordinate by coordinate."""
    found = []
    settle, pairs = compiled.settle, compiled.squared_differences
    monkeypatch.setattr(compiled, "settle", lambda *args: found.append(len(args[5])) or settle(*args))
    monkeypatch.setattr(compiled, "squared_differences", lambda *args: found.append(len(args[2])) or pairs(*args))
    return found


@pytest.mark.parametrize("d", [WIDE, WIDE + 1, 3 * WIDE + 33])
@pytest.mark.parametrize("dtype", DTYPES)
def test_neighbours_are_those_of_the_twin(d, dtype):
    X = np.random.default_rng(d).normal(size=(150, d)).astype(dtype)
    squared = slow_squares(X, X)
    for k in (1, 2, 20, 149, 150):
        is_right(exact_neighbors(X, k), X, k, squared)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tight_clusters_far_apart_and_copies(dtype):
    X = np.random.default_rng(1).permutation(hard_cells(1500)).astype(dtype)
    is_right(exact_neighbors(X, 25), X, 25)


def test_ties_are_ordered_by_index():
    X = np.random.default_rng(2).integers(0, 2, size=(200, WIDE)).astype(np.float32)
    X[:, 5:] = 0
    for k in (3, 40, 200):
        is_right(exact_neighbors(X, k), X, k)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_few_pairs_are_compared_by_coordinates(compared, dtype):
    # All cells are about as far from each other: a bound that grew with the dimensions would tell none apart.
    X = np.random.default_rng(3).normal(size=(600, 20_000)).astype(dtype)
    exact_neighbors(X, 16)
    assert sum(compared) < 600 * 30
    compared.clear()
    silhouette_samples(X, np.arange(600) % 3)
    assert sum(compared) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tight_clusters_are_told_apart_without_coordinates(compared, dtype):
    # Single precision does not see within a cluster: double precision does, before coordinates are looked at.
    rng = np.random.default_rng(4)
    X = rng.permutation(1e-4 * rng.normal(size=(600, 2000)) + np.repeat(rng.normal(size=(4, 2000)), 150, axis=0))
    exact_neighbors(X.astype(dtype), 16)
    assert sum(compared) < 600 * 30


def test_rows_that_are_none_of_the_points():
    rng = np.random.default_rng(5)
    rows, points = rng.normal(size=(70, WIDE)), rng.normal(size=(90, WIDE))
    found = nearest_of_all(rows, points, 12)
    squared = slow_squares(rows, points).astype(float)
    np.testing.assert_array_equal(found.indices, np.argsort(squared, axis=1, kind="stable")[:, :12])
    np.testing.assert_allclose(found.distances, np.sqrt(np.sort(squared, axis=1)[:, :12]), rtol=1e-12)
    assert nearest_of_all(rows[:0], points, 12).indices.shape == (0, 12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squared_distances_of_blocks(dtype):
    X = hard_cells(2500).astype(dtype)
    error = 1e-5 if dtype == np.float32 else 1e-12
    every = np.random.default_rng(6).permutation(160)
    for rows, columns in ((every[:70], every[50:]), (every, every)):
        expected = slow_squares(X[rows], X[columns]).astype(float)
        np.testing.assert_allclose(squared_distances(X, rows, columns), expected, rtol=error, atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 0.5, 3.0])
def test_squared_distances_of_runs_with_and_without_a_copy(dtype, offset):
    # Multiplied where they are if zero is as good a centre as any, else about their middle.
    X = (np.random.default_rng(9).normal(size=(120, 9000)) + offset).astype(dtype)
    X[3:60:7] = X[100]
    X[50:53] = X[51] * (1 + np.finfo(dtype).eps * np.arange(3)[:, None])
    rows, columns = np.arange(70), np.arange(50, 120)
    error = 1e-5 if dtype == np.float32 else 1e-12
    for some, others in ((rows, columns), (rows, rows)):
        expected = slow_squares(X[some], X[others]).astype(float)
        np.testing.assert_allclose(squared_distances(X, some, others), expected, rtol=error, atol=0)


@pytest.mark.parametrize("groups", [2, WIDE // 16, WIDE // 16 + 1])
def test_silhouettes_of_few_and_of_many_groups(groups):
    rng = np.random.default_rng(10)
    X, codes = rng.normal(size=(2 * groups + 20, WIDE)), rng.permutation(np.arange(2 * groups + 20) % groups)
    for distance, other in (("euclidean", "nearest"), ("cosine", "mean_other")):
        expected = slow_silhouette(X, codes, distance, other)
        np.testing.assert_allclose(silhouette_samples(X, codes, distance=distance, other=other), expected, atol=1e-12)


@pytest.mark.parametrize("other", ["nearest", "furthest", "mean_other"])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_silhouettes_are_those_of_the_twin(distance, other):
    rng = np.random.default_rng(7)
    X, codes = rng.normal(size=(90, WIDE + 7)), rng.choice(6, 90, p=[0.5, 0.3, 0.1, 0.06, 0.03, 0.01])
    codes[:6] = np.arange(6)
    expected = slow_silhouette(X, codes, distance, other)
    found = silhouette_samples(X, codes, distance=distance, other=other)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    rows = rng.permutation(90)[:40]
    found = silhouette_samples(X, codes, rows=rows, distance=distance, other=other)
    np.testing.assert_allclose(found, expected[rows], atol=1e-12)
    found = silhouette_samples(X.astype(np.float32), codes, distance=distance, other=other)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_threads_and_memory_change_no_bit(same_bits):
    rng = np.random.default_rng(8)
    X, codes, within = rng.normal(size=(2500, WIDE)), rng.integers(0, 3, 2500), rng.integers(0, 2, 2500)
    X[1000:1040] = X[5]

    def compute():
        for cells in (X, X.astype(np.float32)):
            found = exact_neighbors(cells, 20)
            yield from (found.indices, found.distances, silhouette_samples(cells, codes))
        yield silhouette_samples(X, codes, within=within, rows=np.arange(0, 2500, 5), distance="cosine")

    same_bits(lambda: list(compute()))


def test_the_rows_at_a_time_follow_memory_and_threads(monkeypatch):
    monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", "2")
    monkeypatch.setenv("CZBENCHMARKS_MEMORY", "1GB")
    assert wide.rows_at_a_time(800, 800) == 400  # both threads have work
    assert wide.rows_at_a_time(100_000, 100_000) * 100_000 * 32 * 2 <= 1e9
    monkeypatch.setenv("CZBENCHMARKS_MEMORY", "1MB")
    assert wide.rows_at_a_time(3000, 3000) <= 16
    assert wide.rows_at_a_time(1, 1) == 1
