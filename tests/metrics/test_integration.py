import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_samples

from czbenchmarks.kernels.neighbors import Neighbors
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.integration import batch_silhouette, bras, entropy_per_cell
from czbenchmarks.tasks import represent


def cells(n=120, batches=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 4)), rng.integers(0, batches, n), rng.integers(0, 4, n)


def slow_entropy(X, batches, k):
    kinds, values = sorted(set(batches.tolist())), []
    for i in range(len(X)):
        distance = np.sqrt(((X - X[i]) ** 2).sum(axis=1))
        distance[i] = -1
        near = batches[np.argsort(distance, kind="stable")[:k]]
        shares = [np.mean(near == b) for b in kinds]
        values.append(-sum(p * math.log(p) for p in shares if p > 0) / math.log(len(kinds)))
    return np.array(values)


@pytest.mark.parametrize("k", [2, 15, 119])
def test_entropy_agrees_with_the_twin(k):
    X, batches, _ = cells()
    found = entropy_per_cell(X, pd.Series(batches, index=range(1000, 1120)), n_neighbors=k)
    np.testing.assert_allclose(found.units.values, slow_entropy(X, batches, k), atol=1e-13)
    assert found.value == found.units.values.mean()
    assert found.units.ids.tolist() == list(range(1000, 1120))
    assert found.details["n_neighbors"] == k
    assert ("note" in found.details) == (k in (2, 119))  # fewer than the batches, more than a third of the cells
    assert found.counts == {"used": 120, "left_out": 0, "batches": 3}


def test_fewer_cells_than_neighbours_are_recorded():
    X, batches, _ = cells()
    found = entropy_per_cell(X, batches)
    assert found.details["n_neighbors"] == 120
    np.testing.assert_allclose(found.units.values, slow_entropy(X, batches, 120), atol=1e-13)


def test_the_seed_changes_nothing():
    X, batches, _ = cells()
    assert entropy_per_cell(X, batches, 15, random_seed=1).value == entropy_per_cell(X, batches, 15).value


def test_undefined_entropies():
    one = entropy_per_cell(cells()[0], ["b"] * 120)
    assert math.isnan(one.value)
    assert one.reason == "all cells belong to one batch, 'b'"


@pytest.mark.parametrize("k", [1, 120, 500])
def test_a_number_of_neighbours_that_cannot_be_had_is_refused(k):
    X, batches, _ = cells()
    with pytest.raises(ValueError, match=f"`n_neighbors` must be .*, got {k}"):
        entropy_per_cell(X, batches, n_neighbors=k)


def slow_batch_silhouette(X, labels, batches, rescale):
    means = []
    for label in sorted(set(labels)):
        inside = np.flatnonzero(np.array(labels) == label)
        kinds = len(set(np.array(batches)[inside].tolist()))
        if not 1 < kinds < len(inside):
            continue
        values = np.abs(silhouette_samples(X[inside], np.array(batches)[inside]))
        means.append(np.mean(1 - values if rescale else values))
    return float(np.mean(means))


@pytest.mark.parametrize("rescale", [True, False])
def test_batch_silhouette_agrees_with_the_twin(rescale):
    X, batches, labels = cells(seed=1)
    names = [f"t{code}" for code in labels]
    names[0] = "alone"  # one cell
    names[1], names[2] = "pair", "pair"  # as many batches as cells
    batches[1], batches[2] = 0, 1
    found = batch_silhouette(X, names, batches, rescale=rescale)
    assert found.value == pytest.approx(slow_batch_silhouette(X, names, batches, rescale), abs=1e-9)
    assert found.counts == {"used": 117, "left_out": 3, "labels": 4, "labels_left_out": 2}
    assert found.details == {"labels_left_out": ["alone", "pair"]}
    assert np.isnan(found.units.values).tolist() == [True] * 3 + [False] * 117
    means = [row["mean"] for row in found.breakdowns]
    assert [(row["label"], row["cells"], row["batches"]) for row in found.breakdowns[:2]] == [
        ("alone", 1, 1),
        ("pair", 2, 2),
    ]
    assert np.isnan(means).tolist() == [True, True, False, False, False, False]
    assert found.value == pytest.approx(np.nanmean(means), abs=1e-15)
    assert sum(row["cells"] for row in found.breakdowns) == 120
    # The mean of label means, not of cells.
    by_label = pd.Series(found.units.values).groupby(found.units.columns["label"]).mean().dropna()
    assert found.value == pytest.approx(by_label.mean(), abs=1e-15)


def test_no_label_with_two_batches_is_not_defined():
    X, _, labels = cells()
    found = batch_silhouette(X, labels, labels)
    assert math.isnan(found.value)
    assert found.reason.startswith("no label has two batches and more cells than batches (0, 1, 2 and 1 more)")
    assert found.counts == {"used": 0, "left_out": 120, "labels": 0, "labels_left_out": 4}
    assert [row["batches"] for row in found.breakdowns] == [1, 1, 1, 1]


def test_a_categorical_with_unused_categories_is_read_as_text():
    X, batches, labels = cells()
    names = np.array(["x", "y", "z"])[batches]
    unused = pd.Categorical(names, categories=["a", "x", "y", "z", "zz"])
    kinds = pd.Categorical(labels.astype(str), categories=["!", *"3210"])
    assert batch_silhouette(X, kinds, unused).value == batch_silhouette(X, labels.astype(str), names).value
    assert entropy_per_cell(X, unused, 20).value == entropy_per_cell(X, names, 20).value


def test_published_values():
    # cz-benchmarks 0.15.1 prints 0.99812293 and 0.96216732 for these cells (approximate neighbours, single precision).
    rng = np.random.default_rng(0)
    labels = np.array(list("abc"))[rng.integers(0, 3, 300)]
    X = rng.normal(size=(300, 8)).astype("f4") + (labels == "a")[:, None] * 1.0 + (labels == "b")[:, None] * -0.5
    batches = np.array(["x", "y"])[rng.integers(0, 2, 300)]
    assert entropy_per_cell(X, batches).value == pytest.approx(0.9981229327261428, abs=1e-4)
    assert batch_silhouette(X, labels, batches).value == pytest.approx(0.9621673226356506, abs=1e-6)
    assert batch_silhouette(X, labels, batches, rescale=False).value == pytest.approx(0.037832662, abs=1e-6)


def test_tied_neighbours_are_noted():
    X = np.zeros((300, 2))
    X[:50] = np.random.default_rng(0).normal(5, 1, (50, 2))
    found = entropy_per_cell(X, ["x", "y"] * 150, n_neighbors=20)
    assert found.details["tied_cells"] == 250
    assert found.details["note"].startswith("the last neighbours of 250 cells are as near as cells left out")


def test_an_estimated_batch_silhouette_comes_with_an_error_that_covers_the_exact_one():
    rng = np.random.default_rng(3)
    labels, batches = rng.choice(4, 4000, p=[0.6, 0.3, 0.08, 0.02]), rng.choice(3, 4000, p=[0.7, 0.2, 0.1])
    batches[labels == 3] = 0  # left out
    X = rng.normal(size=(4000, 5)) + batches[:, None] * 0.8 * (labels[:, None] + 1)
    exact = batch_silhouette(X, labels, batches)
    off = []
    for seed in range(60):
        found = batch_silhouette(X, labels, batches, max_cells=300, random_seed=seed)
        assert abs(found.details["estimated_from"] - 300) <= 5
        assert found.details["labels_left_out"] == ["3"]
        assert found.counts == exact.counts
        # Larger batches are drawn more often, or the table would not give the value.
        assert np.nanmean([row["mean"] for row in found.breakdowns]) == pytest.approx(found.value, abs=1e-12)
        off.append((found.value - exact.value) / found.details["standard_error"])
    drawn = np.isfinite(found.units.values)
    assert drawn.sum() == found.details["estimated_from"]
    np.testing.assert_allclose(found.units.values[drawn], exact.units.values[drawn], atol=1e-12)
    assert 0.75 < np.std(off) < 1.3
    assert np.mean(np.abs(off) < 1.96) > 0.85
    assert batch_silhouette(X, labels, batches, rescale=False, max_cells=300, random_seed=59).value == pytest.approx(
        1 - found.value
    )


def test_how_neighbours_were_found_is_in_the_details():
    X, batches, _ = cells()
    near = represent(X)
    assert entropy_per_cell(near, batches, 20).details == {"n_neighbors": 20}
    found = entropy_per_cell(Representation(near.array, search="approximate"), batches, 20).details
    assert found == {"n_neighbors": 20, "neighbors": "approximate", "neighbors_recall": found["neighbors_recall"]}
    assert found["neighbors_recall"] > 0.9
    given = Neighbors(*(getattr(near.neighbors(30), part) for part in ("indices", "distances")), "given")
    found = entropy_per_cell(Representation(near.array, neighbors=given), batches, 20)
    assert found.details == {"n_neighbors": 20, "neighbors": "given"}
    assert found.value == entropy_per_cell(near, batches, 20).value


def slow_bras(X, labels, batches, other):
    X, labels, batches = np.asarray(X, dtype=np.longdouble), np.array(labels), np.array(batches)
    length = np.sqrt((X**2).sum(axis=1))
    means = []
    for label in sorted(set(labels.tolist())):
        inside = np.flatnonzero(labels == label)
        kinds = set(batches[inside].tolist())
        if not 1 < len(kinds) < len(inside):
            continue
        values = []
        for i in inside:
            distance = {j: 1 - (X[i] * X[j]).sum() / (length[i] * length[j]) for j in inside}
            own = [distance[j] for j in inside if batches[j] == batches[i] and j != i]
            if not own:
                values.append(1.0)
                continue
            others = [[distance[j] for j in inside if batches[j] == kind] for kind in kinds - {batches[i]}]
            b = np.mean([d for group in others for d in group]) if other == "mean_other" else max(map(np.mean, others))
            values.append(1 - abs(b - np.mean(own)) / max(b, np.mean(own)))
        means.append(np.mean(values))
    return float(np.mean(means))


@pytest.mark.parametrize("other", ["mean_other", "furthest"])
@pytest.mark.parametrize("seed", range(3))
def test_bras_agrees_with_the_twin(other, seed):
    X, batches, labels = cells(seed=seed)
    X += batches[:, None] * [1.0, 0.5, 0.0, 0.0]
    batches[labels == 3] = np.where(batches[labels == 3] == 0, 0, 1)  # batches of a label differ in size
    names = [f"t{code}" for code in labels]
    names[0] = "alone"
    found = bras(X, names, batches, other=other)
    assert found.value == pytest.approx(slow_bras(X, names, batches, other), abs=1e-9)
    assert found.counts == {"used": 119, "left_out": 1, "labels": 4, "labels_left_out": 1}
    assert found.details == {"labels_left_out": ["alone"]}
    assert [row["label"] for row in found.breakdowns] == ["alone", "t0", "t1", "t2", "t3"]
    assert np.nanmean([row["mean"] for row in found.breakdowns]) == pytest.approx(found.value, abs=1e-15)


def test_bras_sees_what_the_batch_silhouette_does_not():
    # Two pairs of batches: each overlaps with its partner, the pairs are far apart.
    rng = np.random.default_rng(0)
    batches = np.arange(400) % 4
    X = rng.normal(size=(400, 6)) + [20, 0, 0, 0, 0, 0] + 15 * (batches >= 2)[:, None] * [0, 1, 0, 0, 0, 0]
    assert batch_silhouette(X, ["t"] * 400, batches).value > 0.95
    assert bras(X, ["t"] * 400, batches).value < 0.6


def test_bras_follows_angles_only():
    X, batches, labels = cells()
    expected = bras(X, labels, batches).value
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    lengths = np.random.default_rng(1).uniform(0.1, 10, (120, 1))
    order = np.random.default_rng(2).permutation(120)
    for other in (X * 1e-12, X * 1e12, X @ rotation, X * lengths, np.pad(X, ((0, 0), (0, 2)))):
        assert bras(other, labels, batches).value == pytest.approx(expected, abs=1e-9)
    assert bras(X[order], labels[order], batches[order]).value == pytest.approx(expected, abs=1e-12)
    assert abs(bras(X + 5, labels, batches).value - expected) > 1e-3


def test_bras_of_cells_without_a_direction_is_not_defined():
    X, batches, labels = cells()
    X[[4, 17]] = 0
    found = bras(X, pd.Series(labels, index=[f"c{i}" for i in range(120)]), batches)
    assert math.isnan(found.value)
    assert found.reason == (
        "2 of 120 cells have no coordinate other than 0, so no cosine distance (c4, c17); remove those cells"
    )
    labels[[4, 17]] = 9, 10  # labels of one cell, which are left out
    assert bras(X, labels, batches).counts["used"] == 118


def test_bras_without_a_label_to_score_is_not_defined():
    X, _, labels = cells()
    for one in (bras(X, labels, ["b"] * 120), bras(np.zeros((120, 4)), labels, labels)):
        assert math.isnan(one.value)
        assert one.reason.startswith("no label has two batches and more cells than batches")
        assert len(one.breakdowns) == 4


def test_an_estimated_bras_has_the_values_of_all_cells():
    rng = np.random.default_rng(3)
    labels, batches = rng.integers(0, 3, 2000), rng.integers(0, 3, 2000)
    X = rng.normal(size=(2000, 5)) + batches[:, None]
    exact, found = bras(X, labels, batches), bras(X, labels, batches, max_cells=200)
    drawn = np.isfinite(found.units.values)
    np.testing.assert_allclose(found.units.values[drawn], exact.units.values[drawn], atol=1e-12)
    assert abs(found.value - exact.value) < 4 * found.details["standard_error"]


def test_an_unknown_choice_of_other_batches_is_refused():
    X, batches, labels = cells()
    with pytest.raises(ValueError, match=r"`other` 'farthest' is not known\. Did you mean 'furthest'"):
        bras(X, labels, batches, other="farthest")


def test_few_cells_are_noted_with_what_to_read_instead():
    X, batches, _ = cells()
    few = entropy_per_cell(X, batches)  # 120 cells
    assert few.details["note"] == (
        "120 neighbours are more than a third of 120 cells, so they hardly tell embeddings apart; "
        "read bras, graph_connectivity, pcr_comparison (--metrics scib)"
    )
    rng = np.random.default_rng(0)
    note = entropy_per_cell(rng.normal(size=(599, 3)), np.arange(599) % 2).details["note"]
    assert note.endswith("read bras, ilisi, kbet, graph_connectivity, pcr_comparison (--metrics scib)")
    assert "note" not in entropy_per_cell(rng.normal(size=(600, 3)), np.arange(600) % 2).details


def test_labels_without_extent_are_noted_or_left_out():
    X, batches, labels = cells()
    X[labels == 1] = X[0]
    X[labels == 2] = X[5] * np.linspace(1, 2, (labels == 2).sum())[:, None]  # one direction, other lengths
    silhouettes = batch_silhouette(X, labels, batches)
    assert silhouettes.details["note"] == "labels whose cells are all at one place say nothing of mixing: 1"
    assert silhouettes.breakdowns[1]["mean"] == 1.0
    angles = bras(X, labels, batches)
    assert angles.details["labels_left_out"] == ["1", "2"]
    kept = (labels != 1) & (labels != 2)
    assert angles.value == bras(X[kept], labels[kept], batches[kept]).value
    assert bras(X * 0 + 1, labels, batches).reason.startswith(
        "no label has two batches and more cells than batches, not all in one direction (0, 1, 2"
    )
