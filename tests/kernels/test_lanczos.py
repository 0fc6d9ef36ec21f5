import numpy as np
import pytest
import scipy.sparse as sp

from czbenchmarks.kernels import lanczos
from czbenchmarks.kernels.lanczos import SPARE, largest_eigenpairs


def sparse(n=400, seed=0, density=0.05):
    rng = np.random.default_rng(seed)
    half = sp.random(n, n, density, random_state=rng, data_rvs=rng.standard_normal)
    return sp.csr_matrix(half + half.T)


def with_spectrum(values, seed=0):
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values), len(values))))[0]
    matrix = turn * values @ turn.T
    return sp.csr_matrix((matrix + matrix.T) / 2)


def check(matrix, wanted, atol=1e-9):
    """Compare with all eigenvalues of the dense matrix; vectors are checked by what makes them such."""
    values, vectors = largest_eigenpairs(matrix, wanted, 0)
    dense = np.linalg.eigvalsh(matrix.toarray())
    size = np.abs(dense).max()
    expected = np.sort(np.abs(dense))[::-1][:wanted]
    np.testing.assert_allclose(np.sort(np.abs(values))[::-1], expected, atol=atol * size)
    assert np.abs(values[:, None] - dense).min(axis=1).max() < atol * size  # the sign too
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(wanted), atol=1e-12)
    np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=atol * size)


@pytest.mark.parametrize("wanted", [1, 7, 100, 400 - SPARE])
def test_agrees_with_the_dense_solver(wanted):
    check(sparse(), wanted)


@pytest.mark.parametrize("unit", [1e-30, 1e-6, 1e6, 1e30])
def test_any_unit(unit):
    check(sparse() * unit, 30)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("several", "times"), [((3.0, -3.0, 2.0), 60), ((0.9, 0.8), 40), ((0.7,), 12)])
def test_eigenvalues_that_occur_more_often_than_vectors_are_added(several, times, seed):
    others = np.random.default_rng(seed).uniform(-0.5, 0.5, 300)
    check(with_spectrum(np.r_[np.repeat(several, times), others], seed), 100)


def test_fewer_eigenvalues_than_wanted_differ_from_zero():
    rng = np.random.default_rng(0)
    few = rng.normal(size=(300, 5))
    check(sp.csr_matrix(few @ few.T), 40)


def test_one_eigenvalue_only():
    check(sp.csr_matrix(sp.identity(300)), 40)


def test_pieces():
    check(sp.csr_matrix(sp.block_diag([sparse(150), sparse(150), sparse(150, 1)])), 60)


def test_the_seed_changes_no_more_than_rounding_does():
    matrix = sparse()
    one, other = (largest_eigenpairs(matrix, 50, seed) for seed in (0, 1))
    np.testing.assert_allclose(np.sort(one[0]), np.sort(other[0]), rtol=1e-12)
    projections = [vectors @ vectors.T for _, vectors in (one, other)]
    np.testing.assert_allclose(*projections, atol=1e-8)


def test_it_says_so_when_they_do_not_settle(monkeypatch):
    monkeypatch.setattr(lanczos, "_ROUNDS", 1)
    with pytest.raises(RuntimeError, match="400 cells have not settled in 1 rounds"):
        largest_eigenpairs(sparse(), 100, 0)
