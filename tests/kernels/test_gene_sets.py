import numpy as np
import pytest
import scipy.sparse as sp

from czbenchmarks.kernels import expression
from czbenchmarks.kernels.expression import Expression, moments
from czbenchmarks.kernels.gene_sets import control_genes, explained_jointly, set_scores


def cells(n=60, g=300, seed=0):
    rng = np.random.default_rng(seed)
    return np.log1p(rng.poisson(rng.gamma(0.5, 2.0, g), (n, g)).astype(float))


def slow_score(values, genes, controls):
    return np.array([np.mean([row[g] for g in genes]) - np.mean([row[c] for c in controls]) for row in values])


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_scores_are_those_of_the_twin(container, monkeypatch):
    monkeypatch.setattr(expression, "_ENTRIES", 2000)
    values, rows = cells(), np.array([50, 2, 3, 9, 30])
    sets = [(np.array([1, 4, 7]), np.array([0, 2, 200])), (np.array([9]), np.array([250, 299]))]
    found = set_scores(Expression(container(values)), rows, sets)
    for column, (genes, controls) in enumerate(sets):
        np.testing.assert_allclose(found[:, column], slow_score(values[rows], genes, controls), atol=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_scanpy(seed):
    import anndata
    import scanpy

    values = cells(seed=seed)
    adata = anndata.AnnData(values)
    genes = [3, 17, 40, 41, 99]
    state = np.random.get_state()  # noqa: NPY002
    scanpy.tl.score_genes(adata, adata.var_names[genes], ctrl_size=7, random_state=seed)
    np.random.set_state(state)  # noqa: NPY002
    everything = np.arange(len(values))
    mean = moments(Expression(values), everything).mean
    controls = control_genes(mean, np.array(genes), 7, seed)
    found = set_scores(Expression(values), everything, [(np.array(genes), controls)])
    np.testing.assert_allclose(found[:, 0], adata.obs["score"].to_numpy(), atol=1e-6)


def test_controls_are_expressed_alike_and_not_of_the_set():
    mean = np.random.default_rng(0).permutation(np.arange(480.0))
    genes = np.flatnonzero(mean < 3)
    found = control_genes(mean, genes, 5, 0)
    assert len(found) in (3, 4, 5)  # of five drawn, some may be of the set
    assert set(found).isdisjoint(genes)
    assert mean[found].max() < 20  # a bin holds a twenty-fourth
    np.testing.assert_array_equal(found, control_genes(mean, genes, 5, 0))
    assert any(not np.array_equal(found, control_genes(mean, genes, 5, seed)) for seed in (1, 2, 3))
    assert len(control_genes(np.arange(4.0), np.arange(4), 2, 0)) == 0


def test_what_scores_explain_is_the_mean_r2_of_least_squares():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(50, 2))
    points = rng.normal(size=(50, 4)) * [5, 2, 1, 1] + scores @ rng.normal(size=(2, 4)) + 100
    design = np.column_stack([np.ones(50), scores])
    r2, variance = [], points.var(axis=0)
    for column in points.T:
        left = column - design @ np.linalg.lstsq(design, column, rcond=None)[0]
        r2.append(1 - (left**2).sum() / ((column - column.mean()) ** 2).sum())
    assert explained_jointly(points, scores) == pytest.approx(np.average(r2, weights=variance), abs=1e-12)
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert explained_jointly(points @ rotation * 3, scores) == pytest.approx(explained_jointly(points, scores))


def test_scores_that_say_the_same_count_once():
    rng = np.random.default_rng(2)
    one, points = rng.normal(size=(30, 1)), rng.normal(size=(30, 3))
    assert explained_jointly(points, np.hstack([one, -2 * one])) == pytest.approx(explained_jointly(points, one))
    assert explained_jointly(points, np.ones((30, 2))) == 0.0
    assert explained_jointly(one, one) == pytest.approx(1.0)
    assert np.isnan(explained_jointly(np.full((30, 2), 0.1), one))


def test_same_bits(same_bits):
    values = Expression(sp.csr_matrix(cells(300)))
    rows, genes = np.arange(300), np.arange(20)

    def compute():
        controls = control_genes(moments(values, rows).mean, genes, 10, 3)
        scores = set_scores(values, rows, [(genes, controls)])
        return scores, explained_jointly(values.values.toarray()[:, :30], scores)

    same_bits(compute)
