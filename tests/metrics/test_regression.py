import math

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from czbenchmarks.exceptions import InputAssertionError
from czbenchmarks.kernels.regression import explained_by_groups, explained_by_number
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics import regression
from czbenchmarks.metrics.regression import pcr, pcr_comparison


def cells(n=300, d=6, shift=1.0, seed=0):
    rng = np.random.default_rng(seed)
    batches = rng.integers(0, 3, n)
    return rng.normal(size=(n, d)) + shift * np.eye(3, d)[batches], batches


def test_the_share_and_what_each_batch_adds():
    X, batches = cells()
    names = np.array(["x", "y", "z"])[batches]
    found = pcr(X, names)
    shares = explained_by_groups(X, batches)
    assert found.value == shares.sum()
    assert 0.05 < found.value < 0.5
    assert [row["batch"] for row in found.breakdowns] == ["x", "y", "z"]
    assert [row["explained"] for row in found.breakdowns] == shares.tolist()
    assert [row["cells"] for row in found.breakdowns] == np.bincount(batches).tolist()
    assert found.counts == {"used": 300, "left_out": 0, "batches": 3}
    assert found.details == {"dimensions": 6}


def test_what_batches_explain_wholly_is_not_more_than_all():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        batches = np.arange(21) % rng.integers(2, 9)
        places = rng.normal(size=(9, 4))[batches]
        assert 1 - 1e-14 < pcr(places, batches).value <= 1
        assert pcr_comparison(places, batches, rng.normal() * places).value == pytest.approx(0, abs=1e-15)
        assert explained_by_number(rng.normal() * np.outer(batches, [1, 3]), batches * 0.1) <= 1


def test_numbers_are_regressed_on_where_they_are_called_so():
    X, batches = cells()
    found = pcr(X, pd.Series(batches.astype(str)), categorical=False)
    assert found.value == explained_by_number(X, batches.astype(float))
    assert found.value != pcr(X, batches).value
    assert found.breakdowns == []
    assert found.counts == {"used": 300, "left_out": 0}
    with pytest.raises(ValueError, match="`batch` holds 'x'"):
        pcr(X, ["x", *map(str, batches[1:])], categorical=False)


def test_shares_that_are_not_defined():
    X, batches = cells()
    one = pcr(X, ["b"] * 300)
    assert math.isnan(one.value)
    assert one.reason == "all cells belong to one batch, 'b'"
    assert pcr(X, np.arange(300)).reason == "every cell has a batch of its own"
    assert pcr(X, np.ones(300), categorical=False).reason == "all cells have one value of `batch`"
    assert pcr(np.full((300, 2), 0.1), batches).reason == "the embedding does not vary: all cells are at one place"
    assert pcr_comparison(X, ["b"] * 300, X).reason == "all cells belong to one batch, 'b'"
    constant = np.full((300, 2), 0.1)
    reason = "does not vary: all cells are at one place"
    assert pcr_comparison(constant, batches, X).reason == f"the embedding {reason}"
    assert pcr_comparison(X, batches, constant).reason == f"the data before integration {reason.replace('does', 'do')}"
    same = np.repeat(np.random.default_rng(0).normal(size=(150, 2)), 2, axis=0)
    found = pcr_comparison(X, np.arange(300) % 2, same)
    assert math.isnan(found.value)
    assert found.reason == "the batch explains no variance before integration"
    assert found.details["before"] < 1e-12


def test_the_comparison_is_the_share_of_the_change():
    X, batches = cells(shift=0.3)
    before, _ = cells(shift=2.0, d=20, seed=1)
    before += 2 * np.eye(3, 20)[batches]
    earlier, later = pcr(before, batches).value, pcr(X, batches).value
    found = pcr_comparison(X, batches, before)
    assert found.value == pytest.approx((earlier - later) / earlier, abs=1e-15)
    assert 0 < found.value < 1
    assert found.details == {"before": earlier, "after": later, "dimensions_before": 20}
    assert sum(row["before"] for row in found.breakdowns) == pytest.approx(earlier)
    assert sum(row["after"] for row in found.breakdowns) == pytest.approx(later)
    assert pcr_comparison(X, batches, before, scale=False).value == later - earlier
    assert pcr_comparison(before, batches, before).value == 0.0
    numeric = pcr_comparison(X, batches, before, categorical=False)
    earlier, later = (explained_by_number(one, batches.astype(float)) for one in (before, X))
    assert numeric.value == pytest.approx((earlier - later) / earlier, abs=1e-15)
    assert numeric.breakdowns == []


def test_a_worse_embedding_scores_zero_and_keeps_how_much_worse():
    X, batches = cells(shift=3.0)
    before, _ = cells(shift=0.5)
    found = pcr_comparison(X, batches, before)
    assert found.value == 0.0
    assert found.details["unclipped"] == pytest.approx(1 - found.details["after"] / found.details["before"])
    assert found.details["unclipped"] < -1
    assert found.details["note"] == "the batch explains more after integration than before; 0 by rule"
    assert pcr_comparison(X, batches, before, scale=False).value > 0


def test_expression_counts_with_its_first_fifty_components():
    rng = np.random.default_rng(0)
    X, batches = cells()
    expression = sp.random_array((300, 80), density=0.3, rng=rng, format="csr") + sp.csr_array(
        np.outer(batches == 1, np.ones(80))
    )
    found = pcr_comparison(X, batches, expression)
    dense = expression.toarray() - expression.toarray().mean(axis=0)
    left, sizes, _ = np.linalg.svd(dense, full_matrices=False)
    assert found.details["before"] == pytest.approx(pcr((left * sizes)[:, :50], batches).value, abs=1e-9)
    assert found.details["before"] != pytest.approx(pcr(dense, batches).value, abs=1e-4)
    assert found.details["dimensions_before"] == 50


def test_what_was_explained_before_is_computed_once_for_several_embeddings(monkeypatch):
    X, batches = cells()
    before = Representation(cells(seed=1)[0])
    first = pcr_comparison(X, batches, before)
    seen = []
    real = explained_by_groups
    monkeypatch.setattr(regression, "explained_by_groups", lambda M, codes: seen.append(M) or real(M, codes))
    again = pcr_comparison(X, batches, before)
    assert again.value == first.value
    assert len(seen) == 1
    assert seen[0] is X
    other = np.roll(batches, 1)
    assert pcr_comparison(X, other, before).details["before"] == pcr(before, other).value


def test_data_of_other_cells_are_refused():
    X, batches = cells()
    with pytest.raises(InputAssertionError, match=r"`unintegrated` must have the same length .* expected 300, got 299"):
        pcr_comparison(X, batches, X[1:])
    with pytest.raises(InputAssertionError, match=r"`batch` must have the same length .* expected 300, got 299"):
        pcr(X, batches[1:])


def made_up():
    rng = np.random.default_rng(11)
    batch = rng.choice(["x", "y", "z"], 400, p=[0.5, 0.3, 0.2])
    before = (rng.normal(size=(400, 60)) * np.linspace(4, 0.2, 60)).round(6)
    before[:, 2] += 5 * (batch == "x")
    before[:, 7] -= 3 * (batch == "y")
    after = (0.1 * before[:, :10] + rng.normal(size=(400, 10))).round(6)
    return before, after, batch


def test_values_of_scib_metrics():
    # scib-metrics 0.5.10 in single precision; the numbers are codes of the batches in alphabetical order. Its
    # comparison takes all columns of what it is given, so it was given the first 50 components of `before`, as in its
    # table of embeddings.
    before, after, batch = made_up()
    codes = np.unique(batch, return_inverse=True)[1]
    assert pcr(after, batch).value == pytest.approx(0.0119873248, abs=1e-6)
    assert pcr(after, codes, categorical=False).value == pytest.approx(0.0086289821, abs=1e-6)
    # A share of a share: errors of single precision are divided by what was explained before, 0.025.
    assert pcr_comparison(after, batch, before).value == pytest.approx(0.529814512, abs=1e-5)
    assert pcr_comparison(after, batch, before, scale=False).value == pytest.approx(-0.0135075599, abs=1e-6)
    numeric = pcr_comparison(after, codes, before, categorical=False)
    assert numeric.value == pytest.approx(0.469362926, abs=1e-5)
