import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from czbenchmarks.kernels import components
from czbenchmarks.kernels.components import principal_components, variable_genes


def make_counts(n=150, g=120, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    fold = np.exp(rng.normal(size=(4, g)) * (rng.random((4, g)) < 0.3))
    rate = rng.gamma(0.5, 1.0, g) * fold[rng.integers(0, 4, n)] * rng.lognormal(0, 0.4, (n, 1))
    return rng.poisson(rate).astype(dtype)


def slow_genes(mean, variance, n_genes):
    """Score gene after gene, with pandas for bins and deviations."""
    mean = np.where(mean == 0, 1e-12, mean)
    dispersion = np.array([np.log(v / m) if v > 0 else np.nan for v, m in zip(variance, mean, strict=True)])
    bins = pd.cut(pd.Series(np.log1p(mean)), 20)
    scores = []
    for value, name in zip(dispersion, bins, strict=True):
        same = pd.Series(dispersion[(bins == name).to_numpy()]).dropna()
        scores.append((value - same.mean()) / same.std() if len(same) > 1 else 1.0 if value == value else np.nan)
    ranked = sorted((s for s in scores if s == s), reverse=True)
    last = ranked[min(n_genes, len(ranked)) - 1]
    return np.array([s >= last for s in scores])


def slow_components(counts, n_genes, n_components):
    """Normalise, choose and decompose a dense array in double precision, by a full decomposition."""
    counts = counts.astype(np.float64)
    totals = counts.sum(axis=1)
    target = np.median(totals[totals > 0])
    normalized = np.array([row * target / max(total, 1) for row, total in zip(counts, totals, strict=True)])
    chosen = slow_genes(normalized.mean(axis=0), normalized.var(axis=0, ddof=1), n_genes)
    X = np.log1p(normalized[:, chosen])
    X -= X.mean(axis=0)
    left, sizes, right = np.linalg.svd(X, full_matrices=False)
    signs = [np.sign(row[np.argmax(np.abs(row))]) for row in right]
    return (left * sizes * signs)[:, :n_components]


@pytest.mark.parametrize(("n", "g", "n_genes"), [(150, 120, 60), (150, 120, 500), (60, 200, 150), (90, 90, 91)])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_components_agree_with_the_twin(n, g, n_genes, container):
    counts = make_counts(n, g, seed=n + g, dtype=np.float64)
    counts[7] = 0  # a cell without counts
    counts[:, 11] = 0  # and a gene
    expected = slow_components(counts, n_genes, 6)
    given = container(counts)
    before = given.copy()
    found = principal_components(given, n_genes, 6, 42)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())
    assert (given != before).sum() == 0


# scanpy says so if fewer genes vary than are asked for.
@pytest.mark.filterwarnings("ignore:`n_top_genes`:UserWarning")
@pytest.mark.parametrize("n_genes", [40, 249])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_components_are_those_of_scanpy(n_genes, container):
    import anndata
    import scanpy as sc

    counts = make_counts(300, 250, seed=3)
    counts[:, 5] = 0
    adata = anndata.AnnData(container(counts.copy()))  # which scanpy changes
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=n_genes)
    theirs = sc.pp.pca(adata[:, adata.var["highly_variable"]].X, n_comps=4, svd_solver="arpack", random_state=42)
    # Both work in single precision; sums are taken in another order.
    found = principal_components(container(counts), n_genes, 4, 42)
    np.testing.assert_allclose(found, theirs, atol=1e-4 * np.abs(theirs).max())


def test_genes_agree_with_the_twin():
    rng = np.random.default_rng(1)
    mean = rng.gamma(0.3, 2.0, 400)
    variance = mean * rng.gamma(2.0, 1.0, 400)
    mean[:5], variance[:5] = 0.0, 0.0  # genes without counts
    variance[5:8] = 0.0
    mean[10], variance[10] = 50.0, 70.0  # alone in its bin
    variance[20:40], mean[20:40] = variance[20], mean[20]  # ties
    for n_genes in (1, 10, 50, 200, 399, 1000):
        found = variable_genes(mean, variance, n_genes)
        np.testing.assert_array_equal(found, slow_genes(mean, variance, n_genes))
        assert found.sum() >= min(n_genes, 392)


def test_genes_of_one_mean_and_genes_alone():
    np.testing.assert_array_equal(
        variable_genes(np.ones(5), np.array([1.0, 2, 3, 4, 0]), 2), [False] * 2 + [True] * 2 + [False]
    )
    np.testing.assert_array_equal(variable_genes(np.array([1.0, 9.0]), np.array([1.0, 1.0]), 1), [True, True])
    with pytest.raises(LookupError, match="no gene varies"):
        variable_genes(np.ones(3), np.zeros(3), 1)
    # Equal dispersions in one bin have no deviation to measure by, however many they are.
    with pytest.raises(LookupError, match="no gene varies"):
        variable_genes(np.full(7, 0.1), np.full(7, 0.3), 1)


def test_too_many_components_for_the_genes_that_vary():
    counts = np.ones((30, 40), dtype=np.float32)
    counts[:, :8] = make_counts(30, 8) + 1
    with pytest.raises(ValueError, match=r"`n_pcs` must be less than .* at most \d+, got 39\."):
        principal_components(counts, 40, 39, 0)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(components, "_ENTRIES", 1000)
    monkeypatch.setattr(components, "_PART", 500)
    monkeypatch.setattr(components, "_SUMS", 3)


def test_containers_threads_and_seeds_change_no_bit(small_blocks, same_bits):
    counts = make_counts(300, 100)
    rows = sp.csr_matrix(counts)
    assert len(components._equal_parts(rows.indptr, 1000)) > 6
    same_bits(lambda: [principal_components(rows, 60, 5, 42)])
    same_bits(lambda: [principal_components(counts, 60, 5, 42)])


@pytest.mark.usefixtures("small_blocks")
def test_blocks_change_rounding_only():
    counts = make_counts(200, 100, dtype=np.float64)
    small = principal_components(sp.csr_matrix(counts), 60, 5, 42)
    np.testing.assert_allclose(small, slow_components(counts, 60, 5), atol=1e-5)


def test_parts_hold_every_row_once():
    counts = sp.random(500, 30, density=0.2, format="csr", random_state=np.random.RandomState(0))
    counts.indptr[1:200] = 0  # cells without counts
    for size in (1, 7, 100, 10**6):
        parts = components._equal_parts(counts.indptr, size)
        assert [i for start, stop in parts for i in range(start, stop)] == list(range(500))


def test_memory_is_at_most_four_times_the_counts():
    code = """
        import resource
        import numpy as np
        import scipy.sparse as sp
        from czbenchmarks.tasks.utils import pca_baseline

        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

        rng = np.random.default_rng(0)
        pca_baseline(sp.csr_matrix(rng.poisson(1.0, (100, 90)).astype(np.float32)), 80, 5, 0)  # imports
        n, g, entries = 6000, 4000, 400
        indices = (np.arange(entries, dtype=np.int32) * 10 + np.arange(n, dtype=np.int32)[:, None] % 10).ravel()
        data = rng.standard_exponential(n * entries, dtype=np.float32)
        np.ceil(data, out=data)
        counts = sp.csr_matrix((data, indices, np.arange(n + 1, dtype=np.int32) * entries), (n, g))
        before = peak()
        pca_baseline(counts, 3000, 10, 0)
        print((peak() - before) / (counts.data.nbytes + counts.indices.nbytes + counts.indptr.nbytes))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 3  # the counts themselves are the fourth


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_genes_that_do_not_vary_are_not_among_the_variable_ones(dtype, container):
    counts = make_counts(200, 60, dtype=dtype)
    counts[:, -20:] = np.arange(3, 43, 2)  # the same in every cell,
    counts[:, 0] = 5000 - counts[:, 1:].sum(axis=1)  # and so is their share of the total
    given = sp.csr_matrix(container(counts))
    blocks = [(0, 120), (120, 200)]
    factors = components._size_factors(given, blocks)
    mean, variance, _ = components._moments(given, factors, blocks)
    assert (variance[-20:] == 0).all()
    assert (variance[1:40] > 0).any()
    assert not variable_genes(mean, variance, 60)[-20:].any()
