import itertools
import random

import numpy as np
import pytest
import sklearn.cluster

from czbenchmarks.kernels.kmeans import MOST_ITERATIONS, kmeans


def clouds(n=120, d=3, k=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + 4 * rng.normal(size=(k, d))[rng.integers(0, k, n)]


def spread_within(X, codes):
    """Return the squared distances to the centres, group by group, over those to the mean."""
    X = np.asarray(X, dtype=np.longdouble)
    parts = [X[codes == code] for code in set(codes.tolist())]
    return float(sum(((part - part.mean(axis=0)) ** 2).sum() for part in parts) / ((X - X.mean(axis=0)) ** 2).sum())


def lloyd(X, codes):
    """Move cells to the nearest centre, one by one, and centres to the mean, until nothing moves."""
    while True:
        centres = [X[codes == code].mean(axis=0) for code in range(codes.max() + 1)]
        moved = np.array([int(np.argmin([((x - centre) ** 2).sum() for centre in centres])) for x in X])
        if (moved == codes).all():
            return codes
        codes = moved


def same_groups(a, b):
    return len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(set(a.tolist())) == len(set(b.tolist()))


@pytest.mark.parametrize("seed", range(5))
def test_every_start_ends_where_the_twin_would_stay(seed):
    X = clouds(seed=seed)
    for start in kmeans(X, 4, seed, 5):
        np.testing.assert_array_equal(lloyd(X, start.codes), start.codes)
        assert start.within == pytest.approx(spread_within(X, start.codes), abs=1e-12)
        assert start.clusters == 4
        assert 1 <= start.iterations < MOST_ITERATIONS


@pytest.mark.parametrize("unit", [1.0, 1e-30, 1e30])
def test_single_precision_ends_where_the_twin_would_stay(unit):
    X = (clouds() * unit + 100 * unit).astype(np.float32)
    for start in kmeans(X, 4, 0, 5):
        exact = X.astype(np.float64) / unit
        np.testing.assert_array_equal(lloyd(exact, start.codes), start.codes)
        assert start.within == pytest.approx(spread_within(exact, start.codes), rel=1e-5)


@pytest.mark.parametrize("k", [2, 3])
def test_the_best_start_is_the_best_of_all_partitions(k):
    X = np.random.default_rng(k).normal(size=(9, 2))
    partitions = (np.array(codes) for codes in itertools.product(range(k), repeat=9) if len(set(codes)) == k)
    best = min(spread_within(X, codes) for codes in partitions)
    assert min(start.within for start in kmeans(X, k, 0, 20)) == pytest.approx(best, abs=1e-12)


def test_the_best_start_is_as_good_as_that_of_scikit_learn():
    X = clouds(600, 10, 8)
    theirs = sklearn.cluster.KMeans(8, n_init=20, random_state=0).fit(X)
    best = min(kmeans(X, 8, 0, 20), key=lambda start: start.within)
    assert best.within == pytest.approx(theirs.inertia_ / ((X - X.mean(axis=0)) ** 2).sum(), rel=1e-9)
    assert same_groups(best.codes, theirs.labels_)


@pytest.mark.parametrize("unit", [1e-100, 1e-12, 1e12, 1e100])
def test_the_unit_changes_nothing(unit):
    X = clouds()
    for one, other in zip(kmeans(X, 4, 0, 3), kmeans(X * unit, 4, 0, 3), strict=True):
        np.testing.assert_array_equal(one.codes, other.codes)
        assert other.within == pytest.approx(one.within, rel=1e-9)


def test_a_far_origin_changes_nothing():
    X = clouds()
    for one, other in zip(kmeans(X, 4, 0, 3), kmeans(X + 1e6, 4, 0, 3), strict=True):
        np.testing.assert_array_equal(one.codes, other.codes)


def test_precision_and_layout_of_the_same_numbers_change_no_bit():
    X = np.round(clouds() * 8)
    expected = kmeans(X, 4, 0, 3)
    for other in (X.astype(np.float32), np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]):
        for one, two in zip(expected, kmeans(other, 4, 0, 3), strict=True):
            np.testing.assert_array_equal(one.codes, two.codes)
            assert (one.within, one.iterations) == (two.within, two.iterations)


def test_fewer_distinct_cells_than_clusters():
    X = np.repeat(np.eye(3), 5, axis=0)
    for start in kmeans(X, 5, 0, 3):
        assert same_groups(start.codes, np.repeat([0, 1, 2], 5))
        assert (start.clusters, start.codes.max()) == (3, 2)
        assert start.within == pytest.approx(0, abs=1e-15)


def test_cells_at_one_place_are_one_cluster():
    for start in kmeans(np.full((7, 2), 3.0), 3, 0, 2):
        assert not start.codes.any()
        assert (start.clusters, start.within, start.iterations) == (1, 0.0, 0)


def test_starts_differ_and_more_of_them_begin_with_the_same():
    X = np.random.default_rng(0).normal(size=(300, 5))
    found = [start.within for start in kmeans(X, 6, 1, 5)]
    assert len(set(found)) > 1
    assert [start.within for start in kmeans(X, 6, 1, 2)] == found[:2]
    assert [start.within for start in kmeans(X, 6, 2, 5)] != found


def test_cells_are_left_alone():
    X = clouds()
    before = X.copy()
    kmeans(X, 4, 0, 2)
    np.testing.assert_array_equal(X, before)


def test_threads_and_global_seeds_change_no_bit(same_bits):
    X = np.random.default_rng(1).normal(size=(5000, 20)) + 2 * np.repeat(np.eye(20)[:5], 1000, axis=0)
    state = random.getstate()
    same_bits(lambda: [part for start in kmeans(X, 9, 0, 6) for part in (start.codes, start.within, start.iterations)])
    assert random.getstate() == state
