import numpy as np
import pytest

from czbenchmarks.kernels.distances import block_distances


def slow_distances(rows, columns):
    found = np.empty((len(rows), len(columns)))
    for i, row in enumerate(np.asarray(rows, dtype=np.longdouble)):
        for j, column in enumerate(np.asarray(columns, dtype=np.longdouble)):
            found[i, j] = np.sqrt(((row - column) ** 2).sum())
    return found


@pytest.mark.parametrize("d", [1, 3, 40])
@pytest.mark.parametrize("unit", [1e-20, 1.0, 1e20])
def test_distances_agree_with_the_twin(d, unit):
    rng = np.random.default_rng(d)
    rows, columns = rng.normal(size=(30, d)) * unit, rng.normal(size=(40, d)) * unit
    np.testing.assert_allclose(
        block_distances(rows, columns), slow_distances(rows, columns), rtol=1e-9, atol=1e-6 * unit
    )


@pytest.mark.parametrize("offset", [1e3, 1e6, 1e9])
def test_an_offset_of_all_cells_does_not_cancel(offset):
    cells = np.round(np.random.default_rng(0).normal(size=(30, 5)) * 64) / 64
    np.testing.assert_allclose(
        block_distances(cells + offset, cells + offset), slow_distances(cells, cells), rtol=1e-7, atol=1e-5
    )


def test_nothing_is_changed():
    rows, columns = np.arange(6.0).reshape(3, 2), np.ones((2, 2))
    block_distances(rows, columns)
    np.testing.assert_array_equal(rows, [[0, 1], [2, 3], [4, 5]])
    np.testing.assert_array_equal(columns, np.ones((2, 2)))
