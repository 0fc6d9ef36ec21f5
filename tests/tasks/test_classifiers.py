import logging

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import parallel

from czbenchmarks.kernels import forest
from czbenchmarks.tasks import MetadataLabelPredictionTask, MetadataLabelPredictionTaskInput
from czbenchmarks.tasks.classification import classifiers
from czbenchmarks.tasks.classification.classifiers import Classifiers, forest_of_scikit_learn, grows_the_same_trees
from czbenchmarks.tasks.classification.scores import _auroc


def some_cells(n=200, d=8, decimals=8, n_labels=3):
    rng = np.random.default_rng(d)
    codes = np.concatenate([np.arange(n_labels), rng.integers(0, n_labels, n - n_labels)])
    X = np.round(rng.normal(size=(n, d)) + codes[:, None] * 0.3, decimals)
    return X, codes, np.round(rng.normal(size=(60, d)) + 0.3, decimals)


def scikit_learn(name, centre, max_iter=100, seed=42):
    return {
        "lr": make_pipeline(StandardScaler(with_mean=centre), LogisticRegression(max_iter=max_iter)),
        "knn": make_pipeline(StandardScaler(with_mean=centre), KNeighborsClassifier()),
        "rf": RandomForestClassifier(random_state=seed),
    }[name]


@pytest.mark.parametrize("engine", [pytest.param("exact", marks=pytest.mark.long), "fast"])
@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("name", ["lr", "knn", "rf"])
@pytest.mark.parametrize(
    ("n", "d", "decimals"),
    [(200, 8, 8), (200, 8, 0), (200, 15, 0), (200, 16, 0), (90, 40, 8), (11, 3, 0), (12, 3, 0)],
)  # with decimals=0 most neighbours are equally near; 15 dimensions are searched by a tree, 16 are not
def test_chances_are_those_of_scikit_learn(engine, centre, name, n, d, decimals):
    X, codes, X_test = some_cells(n, d, decimals)
    for dtype in (np.float32, np.float64):
        found, converged = Classifiers(42, centre, 100, engine).chances(
            name, X.astype(dtype), codes, X_test.astype(dtype)
        )
        expected = scikit_learn(name, centre).fit(X.astype(dtype), codes).predict_proba(X_test.astype(dtype))
        np.testing.assert_array_equal(found, expected)
        assert converged


@pytest.mark.parametrize("name", ["lr", "knn", "rf"])
def test_chances_of_sparse_cells_are_those_of_scikit_learn(name):
    X, codes, X_test = some_cells(120, 12, 0)
    X, X_test = sp.csr_matrix(np.maximum(X, 0)), sp.csr_matrix(np.maximum(X_test, 0))
    found, _ = Classifiers(7, False, 100).chances(name, X, codes, X_test)
    expected = scikit_learn(name, False, seed=7).fit(X, codes).predict_proba(X_test)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_too_few_iterations_are_told():
    X, codes, X_test = some_cells()
    assert not Classifiers(42, True, 2).chances("lr", X, codes, X_test)[1]


def test_trees_of_scikit_learn_one_by_one_are_its_forest():
    X, codes, X_test = some_cells(150, 20)
    found = forest_of_scikit_learn(X, codes, X_test, n_trees=6, seed=5)
    np.testing.assert_array_equal(found, RandomForestClassifier(6, random_state=5).fit(X, codes).predict_proba(X_test))


@pytest.fixture
def another_scikit_learn(monkeypatch):
    """Stand for a release that grows other trees than ours."""
    ours = forest.forest_chances
    monkeypatch.setattr(forest, "forest_chances", lambda *args, seed, **known: ours(*args, seed=seed + 1, **known))
    grows_the_same_trees.cache_clear()
    yield
    grows_the_same_trees.cache_clear()


def test_exact_is_as_the_installed_scikit_learn_even_if_that_grows_other_trees(another_scikit_learn, caplog):
    X, codes, X_test = some_cells()
    expected = RandomForestClassifier(random_state=42).fit(X, codes).predict_proba(X_test)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            exact, _ = Classifiers(42, True, 100, "exact").chances("rf", X, codes, X_test)
            np.testing.assert_array_equal(exact, expected)
    assert [r.message.split(";")[0] for r in caplog.records] == [
        "the installed scikit-learn grows other trees than czbenchmarks' forest"
    ]
    fast, _ = Classifiers(42, True, 100, "fast").chances("rf", X, codes, X_test)
    assert not np.array_equal(fast, expected)
    np.testing.assert_allclose(fast, expected, atol=0.25)


def test_ranks_that_have_no_room_change_no_bit(monkeypatch):
    X, codes, X_test = some_cells()
    expected, _ = Classifiers(42, True, 100).chances("rf", X, codes, X_test)
    monkeypatch.setattr(classifiers, "memory_budget", lambda: 1000)
    monkeypatch.setattr(forest, "forest_chances", None)  # is not called
    found, _ = Classifiers(42, True, 100).chances("rf", X, codes, X_test)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["narrow", "wide", "sparse"])
def test_nothing_resets_the_warning_filters_of_the_process(monkeypatch, kind):
    # scikit-learn's Parallel does, for every tree: two at a time warn of each other ("delayed should be used with").
    X, codes, X_test = some_cells(100, 30 if kind == "wide" else 8)
    if kind == "sparse":
        X, X_test = sp.csr_matrix(X), sp.csr_matrix(X_test)
    monkeypatch.setattr(parallel.Parallel, "__call__", None)
    for name in ("knn", "rf"):
        chances, _ = Classifiers(42, False, 100).chances(name, X, codes, X_test)
        np.testing.assert_allclose(chances.sum(axis=1), 1.0)


@pytest.mark.parametrize("decimals", [1, 8])
def test_auroc_is_that_of_scikit_learn(decimals):
    rng = np.random.default_rng(0)
    true = np.concatenate([np.arange(6), rng.integers(0, 4, 100)])
    chances = np.round(rng.random((106, 5)), decimals)
    known = np.array([0, 1, 2, 5, 7])  # 3 and 4 were not trained, 7 is not tested
    seen = np.isin(true, known)
    expected = np.mean([roc_auc_score(true[seen] == known[i], chances[seen, i]) for i in range(4)])
    assert _auroc(true, chances, known) == pytest.approx(expected, abs=1e-14)
    assert np.isnan(_auroc(np.zeros(5, dtype=int), chances[:5], known))


def test_classifiers_have_the_same_bits_on_any_number_of_threads(monkeypatch):
    X, codes, _ = some_cells(160, 20)
    found = []
    for threads in "124":
        monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", threads)
        for engine in ("exact", "fast"):
            task_input = MetadataLabelPredictionTaskInput(labels=codes, n_folds=3, engine=engine)
            found.append([r.value for r in MetadataLabelPredictionTask().run(X, task_input)])
    assert all(values == found[0] for values in found)
