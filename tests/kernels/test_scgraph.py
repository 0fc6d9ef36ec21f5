import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import pearsonr, spearmanr, trim_mean

from czbenchmarks.kernels.expression import logarithms
from czbenchmarks.kernels.scgraph import (
    agreement,
    batch_distances,
    centroids,
    consensus,
    relative_distances,
    weighted_correlation,
)


def test_centroids_are_trimmed_means():
    rng = np.random.default_rng(0)
    X, codes = rng.standard_t(2, (200, 3)), rng.integers(-1, 5, 200)
    codes[codes == 3] = -1  # a label without cells
    found = centroids(X.astype(np.float32), codes, 5, 0.05)
    for one in (0, 1, 2, 4):
        own = X[codes == one].astype(np.float32).astype(float)
        np.testing.assert_allclose(found[one], trim_mean(own, 0.05, axis=0), rtol=1e-13)
    assert np.isnan(found[3]).all()


def test_distances_are_over_the_maximum_of_their_column():
    found = relative_distances(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [np.nan, np.nan]]))
    np.testing.assert_allclose(found[:3, 0], [0, 1, 0.2])
    np.testing.assert_allclose(found[:3, 2], [1 / np.sqrt(18), 1, 0])
    assert np.isnan(found[3]).all()
    assert np.isnan(found[:, 3]).all()
    assert np.isnan(relative_distances(np.ones((3, 2)))).all()


def test_consensus_is_the_mean_that_pandas_gives():
    rng = np.random.default_rng(1)
    several = [relative_distances(rng.normal(size=(5, 3))) for _ in range(3)]
    several[0][2], several[0][:, 2] = np.nan, np.nan
    for one in several:
        one[4], one[:, 4] = np.nan, np.nan
    mean = pd.concat([pd.DataFrame(one) for one in several]).groupby(level=0).mean()
    np.testing.assert_allclose(consensus(several), (mean / mean.max()).to_numpy(), rtol=1e-14)


def test_agreement_is_that_of_scipy_without_the_label_itself():
    rng = np.random.default_rng(2)
    reference, distances = (relative_distances(rng.normal(size=(7, 3))) for _ in range(2))
    reference[6, 1] = np.nan
    found = agreement(reference, distances)
    for one in range(7):
        others = [other for other in range(7) if other != one and not np.isnan(reference[other, one])]
        x, y = distances[others, one], reference[others, one]
        cov = np.cov(np.stack([x, y]), aweights=1 / y)
        expected = spearmanr(x, y).statistic, pearsonr(x, y).statistic, cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1])
        np.testing.assert_allclose(found[one], expected, atol=1e-12)
    np.testing.assert_allclose(agreement(reference, reference), np.ones((7, 3)), atol=1e-12)


def test_what_does_not_vary_has_no_correlation():
    same = np.full((4, 4), 0.5)
    assert np.isnan(agreement(same, relative_distances(np.random.default_rng(0).normal(size=(4, 2))))).all()
    assert np.isnan(agreement(np.ones((2, 2)), np.ones((2, 2)))).all()
    assert np.isnan(weighted_correlation(np.arange(3.0), np.arange(3.0), np.zeros(3)))
    # Labels at one place have no weight in each other's correlation.
    reference = relative_distances(np.array([[0.0], [0], [1], [3], [7]]))
    distances = relative_distances(np.array([[0.0], [99], [1], [3], [7]]))
    assert agreement(reference, distances)[0, 2] == pytest.approx(1.0)


def slow_reference(counts, codes, k):
    """Log, decompose and compare in plain NumPy, with all genes."""
    logged = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    centred = logged - logged.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    points = (left * sizes)[:, :10]
    middle = np.array([trim_mean(points[codes == one], 0.05, axis=0) for one in range(k)])
    distances = np.array([[np.linalg.norm(a - b) for b in middle] for a in middle])
    return distances / distances.max(axis=0)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_distances_within_a_batch_are_those_of_the_twin(container):
    rng = np.random.default_rng(3)
    codes = np.append(rng.integers(0, 4, 120), np.zeros(30, dtype=int))
    counts = rng.poisson(rng.gamma(2, 2, (4, 40))[codes]).astype(float)
    rows = np.arange(120)
    found = batch_distances(
        logarithms(container(counts)), rows, codes, 4, n_genes=40, n_components=10, trim=0.05
    )  # fmt: skip
    np.testing.assert_allclose(found, slow_reference(counts[:120], codes[:120], 4), atol=1e-9)


def test_same_bits(same_bits):
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 6, 500)
    values = logarithms(sp.csr_matrix(rng.poisson(rng.gamma(2, 2, (6, 300))[codes]).astype(np.float32)))

    def compute():
        found = batch_distances(values, np.arange(0, 500, 2), codes, 6, n_genes=50, n_components=10, trim=0.05)
        return found, agreement(found, relative_distances(centroids(values.values.toarray(), codes, 6, 0.05)))

    same_bits(compute)


def test_rounding_breaks_no_tie_of_ranks():
    reference = np.array([[0, 0.5, 0.5, 1.0]] * 4).T
    distances = np.array([[0, 0.3, 0.1 + 0.2, 1.0]] * 4).T  # the second and third differ in the last digit
    assert distances[1, 0] != distances[2, 0]
    assert agreement(reference, distances)[0, 0] == pytest.approx(1.0, abs=1e-12)
    assert agreement(distances, reference)[0, 0] == pytest.approx(1.0, abs=1e-12)
