"""Rows in another order than the cells are seen; embeddings that know little of the data pass."""

import anndata as ad
import numpy as np
import pytest

from czbenchmarks.checks import order_of_rows


def cells(n=300, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 10)) + 3 * rng.normal(size=(6, 10))[np.arange(n) % 6]


def test_another_order_is_seen():
    X = cells()
    right = order_of_rows(X @ np.random.default_rng(1).normal(size=(10, 5)), X)
    assert right.verdict == "ok"
    assert right.details["shared"] > 5 * right.details["by_chance"]
    wrong = order_of_rows(X[np.random.default_rng(2).permutation(300)], X)
    assert (wrong.name, wrong.verdict) == ("order_of_rows", "look")
    assert abs(wrong.details["deviations"]) < 4
    assert "its rows are in another order than the cells" in wrong.sentence
    assert "or it knows nothing of the data" in wrong.sentence


def test_the_shares_are_counted_cell_by_cell():
    X, before = cells(60), cells(60, seed=3)
    check = order_of_rows(X, before)

    def nearest(Y):
        distances = np.linalg.norm(Y[:, None] - Y[None], axis=2) + np.diag(np.full(len(Y), np.inf))
        return np.argsort(distances, axis=1)[:, :14]

    pairs = zip(nearest(X), nearest(before), strict=True)
    assert check.details["shared"] == pytest.approx(np.mean([len(set(a) & set(b)) / 14 for a, b in pairs]))
    assert check.details["by_chance"] == pytest.approx(14 / 59)


def test_noise_knows_nothing_and_two_groups_are_something():
    X, rng = cells(), np.random.default_rng(4)
    assert order_of_rows(rng.normal(size=(300, 10)), X).verdict == "look"
    halves = rng.normal(size=(300, 10))
    halves[:, 0] += 9 * (np.arange(300) % 6 < 3)
    assert order_of_rows(halves, X).verdict == "ok"


def test_data_that_are_noise_tell_no_order():
    rng = np.random.default_rng(0)
    check = order_of_rows(rng.normal(size=(200, 5)), rng.normal(size=(200, 8)))
    assert check.verdict == "not checked"
    assert check.sentence.endswith("the data have no neighbourhoods of their own, so their order cannot be told.")


@pytest.mark.parametrize(
    ("X", "before", "said"),
    [
        (np.eye(3), np.eye(3), "3 cells are too few"),
        (np.ones((40, 2)), cells(40), "In the embedding, all cells are at one place"),
        (cells(40), np.ones((40, 2)), "In the data, all cells are at one place"),
    ],
)
def test_nothing_to_compare(X, before, said):
    check = order_of_rows(X, before)
    assert check.verdict == "not checked"
    assert check.sentence.startswith(said)


def test_another_number_of_rows_is_refused():
    with pytest.raises(ValueError, match="`unintegrated` must have the same length"):
        order_of_rows(cells(40), cells(50))


def test_real_cells(shared_data):
    adata = ad.read_h5ad(shared_data / "pbmc68k_reduced.h5ad")
    X, order = adata.obsm["X_pca"], np.random.default_rng(0).permutation(adata.n_obs)
    assert order_of_rows(X, adata.X).verdict == "ok"
    assert order_of_rows(X[:, :2], adata.X).verdict == "ok"
    assert order_of_rows(X[order], adata.X).verdict == "look"
