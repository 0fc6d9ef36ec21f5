import numpy as np
import pytest

from czbenchmarks.kernels import distances
from czbenchmarks.kernels.distances import in_working_precision, relative_slack, unit_vectors


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.float16, np.float32),
        (np.float32, np.float32),
        (np.float64, np.float64),
    ],
)
def test_coordinates_are_kept_to_the_last_bit(given, dtype):
    X = np.random.default_rng(0).normal(size=(5000, 3)).astype(given)
    points, unit = in_working_precision(X)
    assert (points.dtype, unit) == (dtype, 1.0)
    np.testing.assert_array_equal(points.astype(given), X)


def test_doubles_that_fit_are_worked_on_in_single_precision():
    X = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32).astype(np.float64)
    assert in_working_precision(X)[0].dtype == np.float32
    X[4999, 2] += 1e-12
    assert in_working_precision(X)[0].dtype == np.float64


def test_single_precision_is_not_copied_and_becomes_rows():
    X = np.ones((4, 3), dtype=np.float32)
    assert in_working_precision(X)[0] is X
    assert in_working_precision(np.asfortranarray(X))[0].flags.c_contiguous


@pytest.mark.parametrize("unit", [1e-300, 1e-40, 1e-20, 1e20, 1e40, 1e300])
def test_unusual_units_are_taken_out_exactly(unit):
    X = np.random.default_rng(0).normal(size=(50, 3)) * unit
    points, factor = in_working_precision(X)
    assert 0.4 < np.abs(points).max() <= 2
    np.testing.assert_array_equal(points * factor, X)


def test_zeros_stay():
    points, unit = in_working_precision(np.zeros((3, 2)))
    assert (points.sum(), unit, points.dtype) == (0, 1, np.float32)


@pytest.mark.parametrize("unit", [1e-300, 1.0, 1e300])
def test_unit_vectors_have_length_one(unit):
    X = np.random.default_rng(1).normal(size=(20, 4))
    found = unit_vectors(X * unit)
    np.testing.assert_allclose(found, X / np.linalg.norm(X, axis=1)[:, None], rtol=1e-14)


def test_the_slack_covers_the_rounding_of_sums():
    for dtype in (np.float32, np.float64):
        a, b = np.random.default_rng(2).normal(size=(2, 1000)).astype(dtype)
        total = dtype(0)
        for x, y in zip(a, b, strict=True):
            total += (x - y) * (x - y)
        exact = ((a.astype(np.longdouble) - b) ** 2).sum()
        assert abs(total - exact) < relative_slack(1000, np.dtype(dtype)) * exact


def slow_largest(X):
    return max(abs(a - b) for column in X.T.tolist() for a in column for b in column)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("unit", "constant"), [(2.0**-83, 1.0), (2.0**-83, 2.0**40), (1.0, 2.0**90), (2.0**50, 2.0**60)]
)
def test_a_constant_column_hides_nothing(dtype, unit, constant):
    cells = np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32).astype(np.float64)
    X = np.column_stack([cells * unit, np.full(40, constant)]).astype(dtype)
    points, factor = in_working_precision(X)
    assert points.dtype == np.float32
    assert 1e-12 < slow_largest(points) < 1e12
    np.testing.assert_array_equal((points[:, :3] * np.float64(factor)), cells * unit)
    assert np.ptp(points[:, 3]) == 0


def test_cells_too_near_for_squares_of_single_precision_are_worked_on_in_double():
    X = np.random.default_rng(4).normal(size=(60, 5)).astype(np.float32)
    assert in_working_precision(X)[0] is X
    X[3, 1] = 1e-20  # not near any other cell
    assert in_working_precision(X)[0] is X
    X[:30] *= np.float32(1e-25)
    points, unit = in_working_precision(X)
    assert (points.dtype, unit) == (np.float64, 1.0)
    np.testing.assert_array_equal(points, X)
    X[:30] = X[7]  # copies of one cell are at distance 0
    assert in_working_precision(X)[0] is X


def test_cells_at_one_place_are_at_one_place_in_any_unit():
    for value in (0.0, 1e-200, 1e200):
        assert not np.ptp(in_working_precision(np.full((4, 3), value))[0], axis=0).any()


def test_unit_vectors_do_not_depend_on_the_order_in_memory():
    X = np.random.default_rng(5).normal(size=(50, 37))
    np.testing.assert_array_equal(unit_vectors(np.asfortranarray(X)), unit_vectors(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("change", [lambda X: X, np.asfortranarray, lambda X: X[::2]], ids=["as it is", "F", "strided"])
def test_ranges_of_columns_are_found_on_all_threads(monkeypatch, dtype, change):
    X = change(np.random.default_rng(0).normal(size=(300, 7)).astype(dtype))
    X[5, 3], X[7, 2] = -np.finfo(dtype).max, 0.0
    monkeypatch.setattr(distances, "_MUCH", 0)
    least, most = distances._column_range(X)
    np.testing.assert_array_equal(least, X.min(axis=0))
    np.testing.assert_array_equal(most, X.max(axis=0))
