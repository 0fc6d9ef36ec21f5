import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from czbenchmarks.kernels import groups
from czbenchmarks.kernels.groups import group_sums
from czbenchmarks.kernels.parallel import resources
from czbenchmarks.kernels.stored import StoredMatrix

N, D, GROUPS = 300, 40, 12


def slow_sums(matrix, weights, pairs):
    """Loop over pairs and rows."""
    sums = []
    for group, column in pairs:
        total = 0.0
        for row in range(len(matrix)):
            if weights[group, row]:
                total += weights[group, row] * float(matrix[row, column])
        sums.append(total)
    return np.array(sums)


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    matrix = (rng.gamma(1.0, size=(N, D)) * (rng.random((N, D)) < 0.5)).astype(np.float32)
    weights = rng.choice([0.0, 0.5, 1.0, 1 / 3], (GROUPS, N), p=[0.7, 0.1, 0.1, 0.1])
    weights[5] = 0
    pairs = [(g, c) for g in range(GROUPS) if g != 3 for c in rng.choice(D - 4, rng.integers(1, 9), replace=False)]
    return matrix, weights, pairs


def in_file(kind, matrix, path, **options):
    """Write a matrix; return what opens it."""
    from contextlib import contextmanager

    import anndata

    with h5py.File(path, "w") as file:
        value = matrix if kind == "dense" else getattr(sp, f"{kind}_matrix")(matrix)
        anndata.io.write_elem(file, "X", value, dataset_kwargs=options)

    @contextmanager
    def opened():
        with h5py.File(path) as file:
            yield file["X"] if kind == "dense" else anndata.io.sparse_dataset(file["X"])

    return opened


CONTAINERS = [np.asarray, np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2], sp.csr_matrix, sp.csr_array,
              sp.csc_matrix, sp.csc_array]  # fmt: skip


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_container_has_the_bits_of_the_twin(container, dtype, problem):
    matrix, weights, pairs = problem
    group, column = np.array(pairs).T
    found = group_sums(container(matrix.astype(dtype)), sp.csr_matrix(weights), group, column)
    np.testing.assert_array_equal(found, slow_sums(matrix, weights, pairs))


@pytest.mark.parametrize("chunks", [None, (7, 40), (64, 8), (300, 3)])
@pytest.mark.parametrize("kind", ["dense", "csr", "csc"])
def test_a_stored_matrix_has_the_same_bits_under_any_budget(kind, chunks, problem, tmp_path, monkeypatch):
    matrix, weights, pairs = problem
    group, column = np.array(pairs).T
    options = {} if chunks is None or kind != "dense" else {"chunks": chunks, "compression": "gzip"}
    stored = StoredMatrix(in_file(kind, matrix, tmp_path / "x.h5", **options))
    expected = slow_sums(matrix, weights, pairs)
    counted = []
    for block in (2**26, 2**14, 3000):
        monkeypatch.setattr("czbenchmarks.kernels.stored._BLOCK", block)
        counted.append(len(list(stored.blocks())))
        found = group_sums(stored, sp.csr_matrix(weights), group, column)
        np.testing.assert_array_equal(found, expected)
    assert counted[0] == 1 < counted[1] < counted[2]


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_neither_threads_nor_budget_nor_cut_changes_a_bit(container, problem, monkeypatch):
    matrix, weights, pairs = problem
    group, column = np.array(pairs).T
    found = [group_sums(container(matrix), sp.csr_matrix(weights), group, column)]
    for threads, memory, at_once, block in ((2, "1MB", 1, 1), (4, "64MB", 100, 2**12)):
        monkeypatch.setattr(groups, "_AT_ONCE", at_once)
        monkeypatch.setattr("czbenchmarks.kernels.stored._BLOCK", block)
        with resources(threads, memory):
            found.append(group_sums(container(matrix), sp.csr_matrix(weights), group, column))
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("kind", ["dense", "csr", "csc"])
def test_other_rows_and_columns_of_a_stored_matrix(kind, problem, tmp_path):
    matrix, weights, pairs = problem
    group, column = np.array(pairs).T
    rng = np.random.default_rng(1)
    rows, columns = rng.permutation(N)[:200], rng.permutation(D)
    stored = StoredMatrix(in_file(kind, matrix, tmp_path / "x.h5"))[rows][:, list(columns)]
    assert stored.shape == (200, D)
    np.testing.assert_array_equal(stored.toarray(), matrix[rows][:, columns])
    found = group_sums(stored, sp.csr_matrix(weights[:, :200]), group, column)
    expected = slow_sums(matrix[rows][:, columns], weights[:, :200], pairs)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_no_pair_and_no_row():
    none = np.array([], dtype=np.int64)
    assert group_sums(np.ones((3, 2)), sp.csr_matrix((1, 3)), none, none).shape == (0,)
    zeros = group_sums(np.ones((3, 2)), sp.csr_matrix((1, 3)), np.zeros(2, dtype=np.int64), np.array([0, 1]))
    np.testing.assert_array_equal(zeros, [0.0, 0.0])


def test_rows_of_weight_zero_are_not_read():
    matrix = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 5.0]])
    found = group_sums(matrix, sp.csr_matrix([[1.0, 0.0, 2.0]]), np.array([0, 0]), np.array([0, 1]))
    np.testing.assert_array_equal(found, [7.0, 12.0])


def test_single_precision_is_summed_in_double():
    matrix = np.full((3000, 1), np.float32(0.1))
    found = group_sums(matrix, sp.csr_matrix(np.ones((1, 3000))), np.array([0]), np.array([0]))[0]
    assert found == pytest.approx(3000 * float(np.float32(0.1)), rel=1e-12)
