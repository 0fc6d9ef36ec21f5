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


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.1, -3.7, 1e6 / 3])
def test_a_constant_gene_has_a_variance_of_exactly_0(container, dtype, value):
    values = np.log1p(counts()).astype(dtype)
    values[:, [2, 50]] = value
    found = moments(Expression(container(values)), np.arange(70))
    assert found.variance[[2, 50]].tolist() == [0, 0]
    assert found.mean[2] == dtype(value)
    np.testing.assert_allclose(found.variance, values.astype(float).var(axis=0, ddof=1), rtol=1e-10, atol=1e-12)
    assert not dispersed_genes(found, 90)[[2, 50]].any()


def test_a_small_variance_beside_a_large_mean_is_kept(container):
    values = np.random.default_rng(0).normal([0, 1e4, 1e8, 0], 1.0, (300, 4))
    values[:, 3] = 0
    found = moments(Expression(container(values)), np.arange(300))
    np.testing.assert_allclose(found.variance, values.var(axis=0, ddof=1), rtol=1e-6)


def test_equal_genes_are_chosen_by_position():
    rng = np.random.default_rng(0)
    gene = rng.poisson(1.0, (50, 1)).astype(float)
    values = np.hstack([rng.permutation(gene) for _ in range(10)] + [rng.poisson(1.0, (50, 30))])
    found = dispersed_genes(moments(Expression(values), np.arange(50)), 15)
    assert found.sum() == 15
    alike = np.flatnonzero(found[:10])
    assert alike.tolist() == list(range(len(alike)))


def test_where_most_genes_of_similar_mean_do_not_vary_the_others_are_compared_with_each_other():
    rng = np.random.default_rng(0)
    spread = np.concatenate([np.zeros(300), np.linspace(0.1, 2, 100)])
    values = 10 + rng.normal(size=(80, 400)) * spread
    found = dispersed_genes(moments(Expression(values), np.arange(80)), 20)
    assert found.sum() == 20
    assert not found[:300].any()
