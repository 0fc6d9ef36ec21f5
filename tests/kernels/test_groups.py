import numpy as np
import pytest
import scipy.sparse as sp

from czbenchmarks.kernels.groups import weighted_row_sums


@pytest.mark.parametrize("container", [np.asarray, np.asfortranarray, sp.csr_matrix, sp.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_a_loop(container, dtype):
    rng = np.random.default_rng(0)
    dense = (rng.gamma(1.0, size=(30, 12)) * (rng.random((30, 12)) < 0.5)).astype(dtype)
    weights, columns = rng.choice([0.0, 0.5, 1.0, 3.0], 30), np.array([7, 0, 11, 7])
    expected = np.zeros(4)
    for weight, row in zip(weights, dense.astype(np.float64), strict=True):
        for position, column in enumerate(columns):
            expected[position] += weight * row[column]
    np.testing.assert_allclose(weighted_row_sums(container(dense), weights, columns), expected, rtol=1e-13)


def test_rows_of_weight_zero_are_not_read():
    matrix = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 5.0]])
    np.testing.assert_array_equal(weighted_row_sums(matrix, np.array([1.0, 0.0, 2.0]), np.array([0, 1])), [7.0, 12.0])


def test_no_row_and_no_column():
    np.testing.assert_array_equal(weighted_row_sums(np.ones((3, 2)), np.zeros(3), np.array([0, 1])), [0.0, 0.0])
    assert weighted_row_sums(np.ones((3, 2)), np.ones(3), np.array([], dtype=int)).shape == (0,)


def test_single_precision_is_summed_in_double():
    matrix = np.full((3000, 1), np.float32(0.1))
    found = weighted_row_sums(matrix, np.ones(3000), np.array([0]))[0]
    assert found == pytest.approx(3000 * float(np.float32(0.1)), rel=1e-12)
