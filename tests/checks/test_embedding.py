"""Checks say "look" where there is something to see, and "ok" where there is not."""

import numpy as np
import pytest

from czbenchmarks.checks import resolution_curve_spread, scale_and_dimension, supervised_embedding
from czbenchmarks.metrics.embedding import silhouette_label


def groups(n=200, seed=0, apart=4.0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(["a", "b"], n // 2)
    X = rng.normal(size=(n, 6))
    X[n // 2 :, 0] += apart
    return X, labels


def test_scale_moves_an_embedding_with_one_loud_dimension():
    X, labels = groups()
    quiet = scale_and_dimension(X, labels)
    assert quiet.name == "scale_and_dimension"
    loud = X.copy()
    loud[:, 3] *= 50
    check = scale_and_dimension(loud, labels)
    assert check.verdict == "look"
    assert "silhouette_score" in check.sentence or "knn_purity" in check.sentence
    rows = {row["embedding"]: row for row in check.table}
    assert rows["as it is"]["silhouette_score"] == pytest.approx(silhouette_label(loud, labels).value, abs=1e-6)
    unit = (loud - loud.mean(axis=0)) / loud.std(axis=0)
    expected = silhouette_label(unit, labels).value
    assert rows["every dimension to variance 1"]["silhouette_score"] == pytest.approx(expected, abs=1e-6)


def test_a_pca_that_separates_better_is_said():
    X, labels = groups(apart=1.0)
    before, _ = groups(apart=9.0)
    check = scale_and_dimension(X, labels, unintegrated=before)
    assert check.verdict == "look"
    assert check.sentence.startswith("A PCA with as many dimensions has a silhouette_score of")
    assert "; no other scale of its dimensions or cells raises a score of the labels" in check.sentence
    assert check.table[-1]["embedding"] == "PCA of the data before integration, 6 dimensions"
    swapped = scale_and_dimension(before, labels, unintegrated=X)
    assert swapped.table[0]["silhouette_score"] > swapped.table[-1]["silhouette_score"]


def test_an_ordinary_pca_is_no_reason_to_doubt():
    """Its components differ in variance and in what they know, so scores fall when they are made alike."""
    rng = np.random.default_rng(3)
    labels = np.repeat(["a", "b", "c"], 60)
    X = rng.normal(size=(180, 20)) * np.linspace(2, 0.3, 20)
    X[:, :2] += 6 * np.repeat([[0, 0], [0, 1], [1, 0]], 60, axis=0)
    batch = np.tile(["x", "y"], 90)
    check = scale_and_dimension(X, labels, batch, unintegrated=X)
    scores = {row["embedding"]: row["silhouette_score"] for row in check.table}
    assert scores["as it is"] - scores["every dimension to variance 1"] > 0.05
    assert check.verdict == "ok"
    assert "No other scale of its dimensions or cells raises a score of the labels" in check.sentence


def test_lengths_of_cells_that_hide_the_labels():
    """What was trained with cosines is scored by Euclidean distances: the scores say less than it knows."""
    X, labels = groups(apart=9.0)
    X[:, 0] -= 4.5
    X *= np.random.default_rng(1).lognormal(sigma=1.5, size=(len(X), 1))
    check = scale_and_dimension(X, labels)
    assert check.verdict == "look"
    assert check.sentence.startswith("Scaled with every cell to length 1, the embedding has a ")


def test_mixing_of_batches_that_moves_is_in_the_table_only():
    X, labels = groups(apart=9.0)
    batch = np.tile(["x", "y"], len(X) // 2)
    X[:, 1] += 15 * (batch == "x")
    check = scale_and_dimension(X, labels, batch)
    mixing = [row["ilisi"] for row in check.table[:3]]
    assert max(mixing) - mixing[0] > 0.05
    assert check.verdict == "ok"


def test_half_of_the_components_is_in_the_table_and_batches_are_scored():
    X, labels = groups()
    batch = np.tile(["x", "y"], len(X) // 2)
    check = scale_and_dimension(X, labels, batch)
    names = [row["embedding"] for row in check.table]
    assert "first 3 principal components" in names
    assert all(0 <= row["ilisi"] <= 1 for row in check.table)


def test_other_rows_before_integration_are_refused():
    X, labels = groups()
    with pytest.raises(ValueError, match="`unintegrated` must have one row per cell: expected 200, got 199"):
        scale_and_dimension(X, labels, unintegrated=X[1:])


def test_resolution_curve():
    X, labels = groups(apart=12.0)
    check = resolution_curve_spread(X, labels, seeds=(0, 1), resolutions=(0.1, 2.0))
    assert check.name == "resolution_curve"
    assert [row["resolution"] for row in check.table] == [0.1, 1.0, 2.0]
    for row in check.table:
        assert row["ari_least"] <= row["ari"] <= row["ari_greatest"]
        assert row["nmi_least"] <= row["nmi"] <= row["nmi_greatest"]
    # Two groups far apart, cut into many clusters at resolution 1.
    assert check.table[0]["nmi"] > check.table[1]["nmi"]
    assert check.verdict == "look"
    assert "at 0.1" in check.sentence


def test_supervised():
    X, labels = groups()
    assert supervised_embedding(X, labels).verdict == "ok"
    declared = supervised_embedding(X, labels, declared=True)
    assert declared.verdict == "look"
    assert "declared" in declared.sentence
    apart, _ = groups(apart=100.0)
    assert supervised_embedding(apart, labels).verdict == "look"
    chances = np.random.default_rng(0).dirichlet([1, 1], size=len(labels))
    assert supervised_embedding(chances, labels).verdict == "look"


def test_explained_variance_is_the_share_between_labels():
    X, labels = groups()
    total = ((X - X.mean(axis=0)) ** 2).sum()
    within = sum(((X[labels == g] - X[labels == g].mean(axis=0)) ** 2).sum() for g in "ab")
    found = supervised_embedding(X, labels).details["variance_explained_by_labels"]
    assert found == pytest.approx(1 - within / total, abs=1e-4)


def test_explained_variance_is_the_same_in_blocks(monkeypatch):
    from czbenchmarks.checks import embedding

    X, labels = groups()
    whole = supervised_embedding(X.astype("f4"), labels).details
    monkeypatch.setattr(embedding, "_BLOCK", 40)
    assert supervised_embedding(X.astype("f4"), labels).details == whole


def test_an_embedding_without_differences():
    X, labels = np.ones((20, 3)), np.repeat(["a", "b"], 10)
    assert supervised_embedding(X, labels).sentence == "The embedding has no variance."
    assert scale_and_dimension(X, labels).verdict in ("ok", "not checked")


@pytest.mark.parametrize("check", [scale_and_dimension, supervised_embedding, resolution_curve_spread])
def test_one_label_is_refused(check):
    with pytest.raises(ValueError, match="labels"):
        check(np.random.default_rng(0).normal(size=(20, 3)), ["a"] * 20)
