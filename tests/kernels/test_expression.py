import numpy as np
import pytest
import scipy.sparse as sp

from czbenchmarks.kernels import expression
from czbenchmarks.kernels.expression import Expression, dispersed_genes, logarithms, moments, taken


def counts(n=70, g=90, seed=0):
    rng = np.random.default_rng(seed)
    found = rng.poisson(rng.gamma(0.4, 2.0, g) * rng.lognormal(0, 0.5, (n, 1))).astype(float)
    found[3] = 0  # a cell without counts
    found[:, 5] = 0  # and a gene
    return found


def slow_log(values):
    totals = values.sum(axis=1)
    return np.array([np.log1p(row / (t or 1) * 1e4) for row, t in zip(values, totals, strict=True)])


def slow_genes(values, n_genes):
    """Choose gene after gene by its dispersion among genes between the same percentiles."""
    mean, variance = values.mean(axis=0), values.var(axis=0, ddof=1)
    dispersion = variance / mean
    borders = np.percentile(mean, range(10, 101, 5))
    bins = [sum(m > b for b in borders) for m in mean]
    scores = []
    for value, own in zip(dispersion, bins, strict=True):
        same = np.array([d for d, other in zip(dispersion, bins, strict=True) if other == own])
        scores.append((value - np.median(same)) / np.median(np.abs(same - np.median(same))))
    return np.array(scores) >= sorted(scores)[-n_genes]


@pytest.fixture(params=["dense", "csr"])
def container(request):
    return np.asarray if request.param == "dense" else sp.csr_matrix


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(expression, "_ENTRIES", 250)


def dense(part):
    return part.toarray() if sp.issparse(part) else part


@pytest.mark.usefixtures("small_blocks")
def test_counts_are_logged_row_by_row(container):
    values = counts()
    given = container(values)
    found = logarithms(given)
    assert found.totals.tolist() == values.sum(axis=1).tolist()
    rows = np.array([4, 3, 60, 11])
    np.testing.assert_allclose(dense(found.logged(rows)), slow_log(values)[rows], rtol=1e-14)
    genes = np.array([5, 2, 80])
    np.testing.assert_allclose(dense(taken(found, rows, genes)), slow_log(values)[rows][:, genes], rtol=1e-14)
    np.testing.assert_array_equal(dense(given), values)


@pytest.mark.usefixtures("small_blocks")
def test_anything_else_is_taken_as_logged(container):
    values = np.log1p(counts())
    found = logarithms(container(values))
    assert found.totals is None
    np.testing.assert_array_equal(dense(found.logged(np.arange(70))), values)
    signed = counts() - 1
    assert logarithms(container(signed)).totals is None
    with pytest.raises(LookupError) as error:
        logarithms(container(counts() * 100.5))
    assert error.value.args[0] == counts().max() * 100.5


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("unlogged", [False, True])
def test_moments_are_those_of_numpy(container, unlogged):
    values, rows = counts(), np.array([0, 3, 9, 10, 11, 40, 69])
    found = moments(logarithms(container(values)), rows, unlogged=unlogged)
    own = slow_log(values)[rows]
    own = np.expm1(own) if unlogged else own
    np.testing.assert_allclose(found.mean, own.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.variance, own.var(axis=0, ddof=1), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(found.cells, (own > 0).sum(axis=0))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_genes", [5, 30])
def test_chosen_genes_are_those_of_the_twin_and_of_scanpy(seed, n_genes):
    import anndata
    import scanpy

    values = slow_log(counts(seed=seed))
    values = values[:, values.any(axis=0)]
    found = dispersed_genes(moments(Expression(values), np.arange(len(values))), n_genes)
    np.testing.assert_array_equal(found, slow_genes(values, n_genes))
    table = scanpy.pp.highly_variable_genes(
        anndata.AnnData(values), flavor="cell_ranger", n_top_genes=n_genes, inplace=False
    )
    np.testing.assert_array_equal(found, table["highly_variable"].to_numpy())


def test_genes_that_vary_alike_are_not_chosen():
    constant = moments(Expression(np.ones((6, 40))), np.arange(6))
    with pytest.raises(LookupError):
        dispersed_genes(constant, 5)


@pytest.mark.usefixtures("small_blocks")
def test_same_bits(same_bits, container):
    values, rows = logarithms(container(counts(400))), np.arange(0, 400, 3)

    def compute():
        found = moments(values, rows, unlogged=True)
        return found.mean, found.variance, dense(taken(values, rows, np.arange(0, 90, 2)))

    same_bits(compute)
