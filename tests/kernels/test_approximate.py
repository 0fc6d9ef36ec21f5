import numpy as np
import pytest

from czbenchmarks.kernels import approximate, compiled
from czbenchmarks.kernels.approximate import approximate_neighbors
from czbenchmarks.kernels.neighbors import exact_neighbors


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    return (rng.normal(size=(6000, 12)) + 4 * rng.normal(size=(30, 12))[rng.integers(0, 30, 6000)]).astype(np.float32)


def shared(found, true):
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), true.tolist(), strict=True)])


@pytest.mark.parametrize("k", [2, 15, 60])
def test_the_recall_told_is_the_recall(cells, k):
    found, true = approximate_neighbors(cells, k), exact_neighbors(cells, k)
    recall = shared(found.indices[:, 1:], true.indices[:, 1:])  # the cell itself is no success
    assert found.search == "approximate"
    assert recall > 0.95
    assert found.recall == pytest.approx(recall, abs=0.01)


def test_more_is_found_if_more_is_asked_for(monkeypatch, cells):
    monkeypatch.setattr(approximate, "_CELLS_A_CLUSTER", 50)
    little, much = (approximate_neighbors(cells, 15, recall=recall) for recall in (0.6, 0.995))
    assert little.recall < 0.92
    assert much.recall > 0.985


def test_lists_are_sorted_the_cell_first_and_distances_true(cells):
    found = approximate_neighbors(cells, 20)
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(len(cells)))
    assert (np.diff(found.distances, axis=1) >= 0).all()
    exact = cells.astype(np.float64)
    true = np.sqrt(((exact[found.indices] - exact[:, None]) ** 2).sum(axis=2))
    np.testing.assert_allclose(found.distances, true, rtol=1e-12)
    assert all(len(set(row)) == 20 for row in found.indices.tolist())


def test_many_copies_of_a_cell(cells):
    cells[1000:3000] = cells[7]
    found = approximate_neighbors(cells, 10)
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(len(cells)))
    assert not found.distances[1000:3000].any()
    assert found.recall > 0.95


def test_small_clusters_are_joined_until_they_hold_enough(monkeypatch, cells):
    monkeypatch.setattr(approximate, "_CELLS_A_CLUSTER", 3)
    few = cells[:300]
    found = approximate_neighbors(few, 250, recall=0.1)
    assert found.indices.shape == (300, 250)
    assert all(len(set(row)) == 250 for row in found.indices.tolist())


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 2), (5, 3), (300, 1), (200, 200)])
def test_few_cells(n, k):
    X = np.random.default_rng(1).normal(size=(n, 3))
    found = approximate_neighbors(X, k)
    np.testing.assert_array_equal(found.indices, exact_neighbors(X, k).indices)
    assert found.recall == 1


def test_all_cells_identical():
    found = approximate_neighbors(np.full((500, 3), 0.1), 5)
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(500))
    assert not found.distances.any()


def test_a_read_only_array_is_not_compiled_for_again(cells):
    approximate_neighbors(cells[:500], 5)
    before = len(compiled.nearest.signatures)
    cells.flags.writeable = False  # as one that is mapped from a file
    approximate_neighbors(cells[:500], 5)
    assert len(compiled.nearest.signatures) == before


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_units_change_no_neighbour(cells, unit):
    few = cells[:1000].astype(np.float64)
    one, other = approximate_neighbors(few, 8), approximate_neighbors(few * unit, 8)
    np.testing.assert_allclose(other.distances, one.distances * unit, rtol=1e-6)
    assert one.recall == pytest.approx(other.recall, abs=0.01)


def test_threads_change_no_bit(same_bits, cells):
    def compute():
        found = approximate_neighbors(cells, 15)
        return found.indices, found.distances, np.float64(found.recall)

    same_bits(compute)
