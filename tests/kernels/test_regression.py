import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from czbenchmarks.kernels import regression
from czbenchmarks.kernels.regression import explained_by_groups, explained_by_number


def slow_pcr(X, covariate):
    """Regress every principal component on the covariate, and weigh R2 by the component's variance."""
    pca = PCA().fit(X)
    components = pca.transform(X)
    explained = 0.0
    for j, variance in enumerate(pca.explained_variance_):
        fitted = LinearRegression().fit(covariate, components[:, j])
        residuals = components[:, j] - fitted.predict(covariate)
        total = ((components[:, j] - components[:, j].mean()) ** 2).sum()
        explained += variance * max(0.0, 1 - (residuals**2).sum() / total) if total > 1e-20 else 0.0
    return explained / pca.explained_variance_.sum()


@settings(max_examples=20, deadline=None, derandomize=True)
@given(n=st.integers(8, 60), d=st.integers(1, 9), groups=st.integers(2, 5), seed=st.integers(0, 99))
def test_groups_agree_with_the_regression_of_every_component(n, d, groups, seed):
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(groups), rng.integers(0, groups, n - groups)])
    X = rng.normal(size=(n, d)) * rng.uniform(0.1, 5, d) + rng.normal(size=(groups, d))[codes]
    found = explained_by_groups(X, codes)
    assert found.shape == (groups,)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(slow_pcr(X, np.eye(groups)[codes]), abs=1e-10)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(n=st.integers(8, 60), d=st.integers(1, 9), seed=st.integers(0, 99))
def test_numbers_agree_with_the_regression_of_every_component(n, d, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(100, 3, n)
    X = rng.normal(size=(n, d)) + np.outer(numbers, rng.normal(size=d)) / 3
    assert explained_by_number(X, numbers) == pytest.approx(slow_pcr(X, numbers[:, None]), abs=1e-10)
    # Two groups are a number.
    codes = (numbers > np.median(numbers)).astype(np.int64)
    assert explained_by_number(X, codes.astype(float)) == pytest.approx(explained_by_groups(X, codes).sum(), abs=1e-12)


def test_by_hand():
    # Along the first column the groups are 4 apart (variance 4 of 4), along the second they are not (0 of 1).
    X, codes = np.array([[0.0, 1.0], [0.0, 3.0], [4.0, 1.0], [4.0, 3.0]]), np.array([0, 0, 1, 1])
    np.testing.assert_allclose(explained_by_groups(X, codes), [0.4, 0.4], atol=1e-15)
    assert explained_by_number(X, np.array([0.0, 0.0, 7.0, 7.0])) == pytest.approx(0.8, abs=1e-15)
    # Three cells against one: the mean is 1, and the group of one is three times as far from it.
    np.testing.assert_allclose(
        explained_by_groups(np.array([[0.0], [0.0], [0.0], [4.0]]), np.array([0, 0, 0, 1])), [0.25, 0.75], atol=1e-15
    )


def test_nothing_and_everything():
    codes = np.arange(50) % 5
    for constant in (0.0, 0.1, 1e9 / 3):
        assert explained_by_groups(np.full((50, 3), constant), codes) is None
        assert explained_by_number(np.full((50, 3), constant), codes * 1.0) is None
    X = np.random.default_rng(0).normal(size=(5, 4))[codes]
    assert explained_by_groups(X, codes).sum() == pytest.approx(1.0, abs=1e-14)
    assert explained_by_groups(X, codes).sum() <= 1.0
    twice = np.concatenate([X + np.arange(50)[:, None]] * 2)
    assert explained_by_groups(twice, np.repeat([0, 1], 50)).sum() == pytest.approx(0.0, abs=1e-28)
    assert explained_by_number(np.outer(codes, [1.0, 2.0]), codes * 3.0) == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("unit", [1e-130, 1e-5, 1e30, 1e140])
def test_the_unit_and_the_offset_do_not_matter(unit):
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(200, 4)), rng.integers(0, 3, 200)
    expected = explained_by_groups(X, codes)
    np.testing.assert_allclose(explained_by_groups(X * unit, codes), expected, rtol=1e-12)
    np.testing.assert_allclose(explained_by_groups(X + 1e6, codes), expected, rtol=1e-7)
    assert explained_by_number(X, codes * unit) == pytest.approx(explained_by_number(X, codes * 1.0), rel=1e-12)


def test_blocks_and_precision_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(1000, 4)).astype(np.float32), rng.integers(0, 3, 1000)
    expected = explained_by_groups(X, codes), explained_by_number(X, codes * 1.0)
    monkeypatch.setattr(regression, "_ROWS", 37)
    np.testing.assert_allclose(explained_by_groups(X.astype(np.float64), codes), expected[0], rtol=1e-13)
    assert explained_by_number(X, codes * 1.0) == pytest.approx(expected[1], rel=1e-13)
    before = X.copy()
    explained_by_groups(X, codes)
    np.testing.assert_array_equal(X, before)


def test_threads_change_no_bit(same_bits, monkeypatch):
    monkeypatch.setattr(regression, "_ROWS", 100)
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(2000, 30)), rng.integers(0, 4, 2000)
    same_bits(lambda: [explained_by_groups(X, codes), explained_by_number(X, codes * 1.0)])


def test_many_groups():
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(3000, 2)), np.arange(3000) // 2
    members = sp.csr_array((np.full(3000, 0.5), (codes, np.arange(3000))))
    within = ((X - (members @ X)[codes]) ** 2).sum()
    expected = 1 - within / ((X - X.mean(axis=0)) ** 2).sum()
    assert explained_by_groups(X, codes).sum() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("n", "d"), [(40_000, 100), (300, 12_000)])
def test_temporary_blocks_are_small_whatever_the_shape(monkeypatch, n, d):
    monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", "2")
    X, codes = np.random.default_rng(0).normal(size=(n, d)), np.arange(n) % 3
    explained_by_groups(X[:50, :5], codes[:50])
    for compute in (lambda: explained_by_groups(X, codes), lambda: explained_by_number(X, codes.astype(float))):
        tracemalloc.start()
        try:
            compute()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 20e6  # of 29 to 32 MB of coordinates


def test_threads_and_memory_change_no_bit_of_many_blocks(same_bits):
    rng = np.random.default_rng(1)
    X, codes = rng.normal(size=(5000, 600)), rng.integers(0, 7, 5000)
    same_bits(lambda: [explained_by_groups(X, codes), explained_by_number(X, codes.astype(float))])
