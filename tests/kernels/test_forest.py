import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from czbenchmarks.kernels import forest
from czbenchmarks.kernels.forest import forest_chances
from czbenchmarks.kernels.parallel import map_blocks


def scikit_learn(X, codes, X_test, n_trees, seed):
    """Grow the forest that is reproduced."""
    return RandomForestClassifier(n_trees, random_state=seed).fit(X, codes).predict_proba(X_test)


def some_cells(n, d, n_labels, kind, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(n_labels), rng.integers(0, n_labels, n - n_labels)])
    X = rng.normal(size=(n, d)) + codes[:, None] * rng.normal(0, 0.4, d)
    if kind == "ties":
        X = np.round(X, 1)
    elif kind == "counts":
        X = np.maximum(np.round(X), 0)
    elif kind == "units":
        X *= 10.0 ** rng.uniform(-7, 6, d)  # some dimensions are constant up to 1e-7
    elif kind == "twins":
        X[n // 2 :] = X[: n - n // 2]  # equal cells of different labels: leaves that are not pure
    elif kind == "constant":
        X[:, ::2] = 3.0
    elif kind == "all constant":
        X[:] = 3.0
    elif kind == "signed zeros":
        X = np.round(X / 3)
        X[X == 0] = rng.choice([0.0, -0.0], (X == 0).sum())
    elif kind == "borders":  # steps of single precision about as large as what is told apart
        X = 1 + np.round(X * 3) * rng.choice([2.0**-23, 2.0**-24, 1e-7], d)
    elif kind == "tiny":
        X *= 1e-40  # below the least normal number of single precision
    return X, codes, rng.normal(size=(80, d)) * np.abs(X).mean(axis=0)


KINDS = [
    "plain", "ties", "counts", "units", "twins", "constant", "all constant", "signed zeros", "borders", "tiny",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "d", "n_labels"), [(30, 1, 2), (200, 6, 3), (700, 50, 20), (150, 300, 4)])
def test_the_trees_are_those_of_scikit_learn(kind, n, d, n_labels):
    X, codes, X_test = some_cells(n, d, n_labels, kind)
    found = forest_chances(X, codes, X_test, n_labels, n_trees=8, seed=3)
    np.testing.assert_array_equal(found, scikit_learn(X, codes, X_test, 8, 3))


@pytest.mark.filterwarnings("ignore:The number of unique classes is greater")
@pytest.mark.parametrize("kind", ["plain", "ties", "all constant"])
@pytest.mark.parametrize(
    ("n", "d", "n_labels"), [(2, 1, 1), (2, 1, 2), (3, 3, 2), (5, 8, 5), (25, 9, 2), (26, 16, 26), (400, 17, 300)]
)  # as many dimensions as make the root round down, or not; labels that a draw of the cells misses
def test_few_cells_and_many_labels(kind, n, d, n_labels):
    X, codes, X_test = some_cells(n, d, n_labels, kind)
    for seed in range(4):
        found = forest_chances(X, codes, X_test, n_labels, n_trees=5, seed=seed)
        np.testing.assert_array_equal(found, scikit_learn(X, codes, X_test, 5, seed))


def test_more_cells_than_one_word_of_the_upper_bitmap():
    X, codes, X_test = some_cells(9000, 4, 5, "plain")
    found = forest_chances(X.astype(np.float32), codes, X_test, 5, n_trees=2, seed=42)
    np.testing.assert_array_equal(found, scikit_learn(X.astype(np.float32), codes, X_test, 2, 42))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_containers_and_what_was_given_stays(order, dtype):
    X, codes, X_test = some_cells(120, 5, 3, "ties")
    given = np.array(X, dtype=dtype, order=order)
    found = forest_chances(given, codes, X_test.astype(dtype), 3, n_trees=4, seed=0)
    np.testing.assert_array_equal(found, forest_chances(X, codes, X_test, 3, n_trees=4, seed=0))
    np.testing.assert_array_equal(given, X.astype(dtype))


def test_the_order_of_equal_values_and_the_names_of_labels_do_not_matter():
    X, codes, X_test = some_cells(200, 6, 3, "counts")
    found = forest_chances(X, codes, X_test, 3, n_trees=5, seed=1)
    swapped = forest_chances(X, 2 - codes, X_test, 3, n_trees=5, seed=1)
    np.testing.assert_array_equal(found, swapped[:, ::-1])
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)


def test_separate_labels_are_learned():
    codes = np.arange(60) % 3
    X = codes[:, None] * 10.0 + np.random.default_rng(0).normal(size=(60, 4))
    np.testing.assert_array_equal(forest_chances(X, codes, X, 3, n_trees=20, seed=0).argmax(axis=1), codes)


def test_forests_on_several_threads_have_the_same_bits(monkeypatch):
    X, codes, X_test = some_cells(300, 8, 4, "plain")
    expected = [forest_chances(X, codes, X_test, 4, n_trees=5, seed=seed) for seed in range(6)]
    for threads in "124":
        monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", threads)
        found = map_blocks(lambda seed: forest_chances(X, codes, X_test, 4, n_trees=5, seed=seed), range(6))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [1, 2, 24, 25, 400])
def test_ranks_are_sorted_and_the_bitmap_is_left_empty(size):
    rng = np.random.default_rng(size)
    ranks = rng.choice(20_000, size, replace=False).astype(np.uint32)
    words, upper, order = np.zeros(313, np.uint64), np.zeros(5, np.uint64), np.empty(size, np.uint32)
    forest._sort(ranks, int(ranks.min()), int(ranks.max()), order, words, upper)
    np.testing.assert_array_equal(order, np.sort(ranks))
    assert not words.any()
    assert not upper.any()


def slow_best_cut(values, codes, counts, n_labels):
    """Try every cut between values that differ."""

    def gini(part):
        sizes = np.bincount(codes[part], weights=counts[part], minlength=n_labels)
        return sizes.sum() * (1 - ((sizes / sizes.sum()) ** 2).sum())

    order = np.argsort(values)
    scores = {
        cut: -gini(order[:cut]) - gini(order[cut:])
        for cut in range(1, len(values))
        if values[order[cut]] > values[order[cut - 1]] + np.float32(1e-7)
    }
    return max(scores.items(), key=lambda item: item[1], default=(0, -np.inf))


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_the_best_cut(decimals):
    rng = np.random.default_rng(decimals)
    values = np.round(rng.normal(size=50), decimals).astype(np.float32)
    codes, counts = rng.integers(0, 4, 50), rng.integers(1, 4, 50)
    order = np.argsort(values)
    total = np.bincount(codes, weights=counts, minlength=4).astype(np.int64)
    found = forest._best_cut(
        np.arange(50, dtype=np.uint32), values[order], (codes << 16 | counts)[order].astype(np.int32), total,
        float(total.sum()), (total**2).sum(), np.zeros(4, np.int64), -np.inf,
    )  # fmt: skip
    cut, score = slow_best_cut(values, codes, counts, 4)
    assert found[0] == pytest.approx(score, abs=1e-9)
    assert found[1] == cut
    left = order[:cut]
    sizes = np.bincount(codes[left], weights=counts[left], minlength=4)
    assert found[2:4] == (counts[left].sum(), (sizes**2).sum())
