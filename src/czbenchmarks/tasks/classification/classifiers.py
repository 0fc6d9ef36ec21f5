"""The three classifiers of the label predictions: train on some cells, give the chances of others.

Each is scikit-learn's, chance by chance and bit by bit. Two of them are not run through the classes one would expect,
because these wrap each piece of work in a reset of the process's warning filters (``sklearn.utils.parallel``): in
several threads at a time one sees the other's empty filters, warns, and restores the wrong ones.

- The forest is grown by ``kernels.forest``. Whether the installed scikit-learn still grows the same trees is tried once
  on a few cells; if not, and for sparse cells, scikit-learn's trees are grown one after the other.
- The neighbours of narrow data come from scikit-learn's tree itself.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from czbenchmarks.kernels.parallel import memory_budget, num_threads

logger = logging.getLogger(__name__)

Engine = Literal["exact", "fast"]
EngineField = Annotated[
    Engine,
    Field(
        description="Who trains the classifiers: 'exact' (as the installed scikit-learn, bit by bit) or 'fast' (the "
        "random forest of dense cells is always that of czbenchmarks)."
    ),
]
NAMES = ("lr", "knn", "rf")
N_TREES = 100
KNN = 5
_WIDEST_TREE = 15  # dimensions up to which scikit-learn searches neighbours by a tree
_LEAF_SIZE = 30  # of that tree
_SEEDS = np.iinfo(np.int32).max
_FOREST_BYTES = 16  # per cell and dimension: single precision, values in order, ranks, and one dimension's positions


@dataclass(frozen=True)
class Classifiers:
    """Settings of the three classifiers.

    Attributes
    ----------
    engine
        "exact": as the installed scikit-learn. "fast": the forest of `kernels.forest`, whatever scikit-learn does,
        for dense cells.
    """

    seed: int  # seed of the forest
    centre: bool  # whether the scaler before the first two centres the data (sparse data cannot be)
    max_iter: int  # iterations of the logistic regression
    engine: Engine = "exact"

    def details(self, X: Any, n_labels: int) -> dict[str, str] | None:
        """Return what a result on these cells says of the engine: nothing if that is scikit-learn's bit by bit."""
        if self.engine == "exact":
            return None
        import sklearn

        forest = "czbenchmarks" if _can_be_grown(X, n_labels) else "scikit-learn"
        return {"engine": self.engine, "forest": forest, "scikit_learn": sklearn.__version__}

    def prepare(self) -> None:
        """Do once, in the caller's thread, what the threads would else do one by one."""
        from czbenchmarks.kernels.compiling import prepare

        prepare(grows_the_same_trees if self.engine == "exact" else _forest_of_two_cells)

    def chances(self, name: str, X: Any, codes: NDArray[np.int64], X_test: Any) -> tuple[NDArray[np.floating], bool]:
        """Train and predict; return test cells x labels, and whether the training converged.

        Every label of `codes` occurs in training; `name` is "lr", "knn" or "rf".
        """
        if name == "rf":
            return self._forest(X, codes, X_test), True
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler(with_mean=self.centre).fit(X)
        X, X_test = scaler.transform(X), scaler.transform(X_test)
        if name == "knn":
            return _nearest(X, codes, X_test), True
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(max_iter=self.max_iter).fit(X, codes)
        return model.predict_proba(X_test), int(model.n_iter_.max()) < self.max_iter

    def _forest(self, X: Any, codes: NDArray[np.int64], X_test: Any) -> NDArray[np.float64]:
        n_labels = int(codes.max()) + 1
        if _can_be_grown(X, n_labels) and (self.engine == "fast" or (_has_room(X) and grows_the_same_trees())):
            from czbenchmarks.kernels.forest import forest_chances

            return forest_chances(X, codes, X_test, n_labels, n_trees=N_TREES, seed=self.seed)
        return forest_of_scikit_learn(X, codes, X_test, n_trees=N_TREES, seed=self.seed)


def _can_be_grown(X: Any, n_labels: int) -> bool:
    """Whether our forest takes such cells and as many labels."""
    if not isinstance(X, np.ndarray):
        return False
    from czbenchmarks.kernels.forest import MOST_LABELS

    return n_labels < MOST_LABELS


def _has_room(X: NDArray[Any]) -> bool:
    """Whether the ranks of these cells fit one thread's memory; the trees are the same either way."""
    return X.size * _FOREST_BYTES <= memory_budget() // num_threads()


def _nearest(X: Any, codes: NDArray[np.int64], X_test: Any) -> NDArray[np.floating]:
    """Return the shares of labels among the nearest training cells."""
    if not isinstance(X, np.ndarray) or X.shape[1] > _WIDEST_TREE or len(X) // 2 <= KNN:
        from sklearn.neighbors import KNeighborsClassifier

        return KNeighborsClassifier(n_neighbors=KNN).fit(X, codes).predict_proba(X_test)
    from sklearn.neighbors import KDTree

    nearest = KDTree(X, _LEAF_SIZE).query(X_test, KNN, return_distance=False)
    votes = np.zeros((len(X_test), int(codes.max()) + 1))
    np.add.at(votes, (np.arange(len(X_test))[:, None], codes[nearest]), 1.0)
    return votes / KNN


def forest_of_scikit_learn(
    X: Any, codes: NDArray[np.int64], X_test: Any, *, n_trees: int, seed: int
) -> NDArray[np.float64]:
    """Return what ``RandomForestClassifier(n_trees, random_state=seed)`` gives, from its trees one after the other."""
    from scipy.sparse import issparse
    from sklearn.tree import DecisionTreeClassifier

    if issparse(X):
        X, X_test = X.tocsc().astype(np.float32), X_test.tocsr().astype(np.float32)
        X.sort_indices()
    else:
        X, X_test = np.ascontiguousarray(X, np.float32), np.ascontiguousarray(X_test, np.float32)
    n = X.shape[0]
    seeds = np.random.RandomState(seed)
    chances = np.zeros((X_test.shape[0], int(codes.max()) + 1))
    for _ in range(n_trees):
        tree_seed = seeds.randint(_SEEDS)
        draws = np.random.RandomState(tree_seed).randint(0, n, n)
        tree = DecisionTreeClassifier(max_features="sqrt", random_state=tree_seed)
        tree.fit(X, codes, sample_weight=np.bincount(draws, minlength=n))
        chances += tree.predict_proba(X_test)
    return chances / n_trees


def _forest_of_two_cells() -> None:
    from czbenchmarks.kernels.forest import forest_chances

    forest_chances(np.zeros((2, 1)), np.arange(2), np.zeros((1, 1)), 2, n_trees=1, seed=0)


@functools.cache
def grows_the_same_trees() -> bool:
    """Whether our forest and that of the installed scikit-learn have the same bits, tried on cells with many ties."""
    from czbenchmarks.kernels.forest import forest_chances

    rng = np.random.default_rng(0)
    codes = np.arange(240) % 4
    X = np.round(rng.normal(size=(240, 12)) + codes[:, None] * 0.3, 1).astype(np.float32)
    X[:, :2] = rng.normal(size=(240, 2))
    X[120:160] = X[:40]
    ours = forest_chances(X[:200], codes[:200], X[200:], 4, n_trees=8, seed=0)
    same = np.array_equal(ours, forest_of_scikit_learn(X[:200], codes[:200], X[200:], n_trees=8, seed=0))
    if not same:
        logger.warning(
            "the installed scikit-learn grows other trees than czbenchmarks' forest; its own, slower, is used "
            '(engine="fast" uses ours)'
        )
    return same
