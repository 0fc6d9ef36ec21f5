import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from czbenchmarks.kernels import representation
from czbenchmarks.metrics import lisi
from czbenchmarks.metrics.lisi import cilisi, cilisi_means, clisi, ilisi
from czbenchmarks.metrics.neighbors import graph_connectivity
from czbenchmarks.tasks import represent

# scib-metrics 0.5.10 (jax 0.10.2), on exact neighbours of `simulated`: scores, and LISI of four cells.
PICKED = [0, 10, 100, 399]
PUBLISHED = {
    0: {
        "clisi": (0.5449935793876648, [1.8371812105178833, 2.113842487335205, 1.7054193019866943, 2.2597782611846924]),
        "ilisi": (0.6944856643676758, [2.7785346508026123, 2.575263023376465, 2.5264892578125, 2.9270551204681396]),
    },
    1: {
        "clisi": (0.48568740487098694, [3.6300716400146484, 3.6300711631774902, 2.9805033206939697, 2.114140510559082]),
        "ilisi": (0.6852362155914307, [2.9193856716156006, 2.9193856716156006, 1.9144697189331055, 2.0832841396331787]),
    },
    2: {
        "clisi": (0.6444369554519653, [2.3915679454803467, 2.050644874572754, 1.3757306337356567, 2.098890781402588]),
        "ilisi": (0.6923108100891113, [2.6871109008789062, 1.4183909893035889, 2.503117561340332, 1.6429978609085083]),
    },
}


def simulated(seed):
    rng = np.random.default_rng(seed)
    labels, batch = rng.integers(0, 4, 400), rng.integers(0, 3, 400)
    X = rng.normal(size=(400, 6)) + 1.5 * np.eye(6)[labels] + 0.4 * batch[:, None]
    if seed == 1:
        X[:40] = X[0]  # duplicates
    if seed == 2:
        labels[399] = 9  # a label of one cell
        X = X * 100
    return X, labels, batch


@pytest.mark.parametrize("seed", PUBLISHED)
@pytest.mark.parametrize("name", ["clisi", "ilisi"])
def test_agrees_with_scib_metrics(name, seed):
    X, labels, batch = simulated(seed)
    found = clisi(X, labels) if name == "clisi" else ilisi(X, batch)
    groups = len(set(labels if name == "clisi" else batch))
    value, cells = PUBLISHED[seed][name]
    # It stops at an entropy that is off by up to 1e-5, and computes in single precision.
    assert found.value == pytest.approx(value, abs=2e-5)
    expected = (groups - np.array(cells) if name == "clisi" else np.array(cells) - 1) / (groups - 1)
    np.testing.assert_allclose(found.units.values[PICKED], expected, atol=5e-5)


def test_agrees_with_scib_metrics_on_real_cells():
    folder = Path(os.environ.get("CZBENCHMARKS_SHARED") or Path(__file__).resolve().parents[3] / "shared") / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CZBENCHMARKS_SHARED to the folder that holds `data`")
    import anndata

    cells = anndata.read_h5ad(folder / "harmony_cell_lines_pcs.h5ad")
    X = represent(np.asarray(cells.obsm["X_pca"]))
    assert clisi(X, cells.obs["cell_type"]).value == pytest.approx(1.0, abs=1e-6)
    assert ilisi(X, cells.obs["batch"]).value == pytest.approx(0.009091854095458984, abs=1e-6)
    assert graph_connectivity(X, cells.obs["cell_type"]).value == pytest.approx(0.9777242599079607, abs=1e-14)


def test_units_counts_details_and_breakdowns():
    X, labels, batch = simulated(2)
    found = clisi(X, pd.Series(labels, index=range(1000, 1400)))
    assert found.units.ids.tolist() == list(range(1000, 1400))
    assert found.units.summary == "median"
    assert found.value == np.median(found.units.values)
    assert found.counts == {"used": 400, "left_out": 0, "labels": 5}
    assert found.details["n_neighbors"] == 90
    assert found.details["perplexity"] == 30
    assert found.value == pytest.approx((5 - found.details["median_lisi"]) / 4, abs=1e-15)
    assert [row["label"] for row in found.breakdowns] == ["0", "1", "2", "3", "9"]
    for row, code in zip(found.breakdowns, range(5), strict=True):
        own = found.units.values[found.units.columns["label"] == code]
        assert row["cells"] == len(own)
        assert row["value"] == np.median(own)
        assert row["lisi"] == pytest.approx((5 - 4 * own).mean(), abs=1e-12)
    mixed = ilisi(X, batch)
    assert mixed.counts == {"used": 400, "left_out": 0, "batches": 3}
    assert [row["batch"] for row in mixed.breakdowns] == ["0", "1", "2"]


def test_weights_are_found_once(monkeypatch):
    calls = []
    inner = lisi.sharpness
    monkeypatch.setattr(lisi, "sharpness", lambda *given: calls.append(1) or inner(*given))
    X, labels, batch = simulated(0)
    shared = represent(X)
    assert clisi(shared, labels).value == clisi(X, labels).value
    assert ilisi(shared, batch).value == ilisi(X, batch).value
    assert len(calls) == 3


def test_fewer_cells_than_neighbours():
    X, labels, _ = simulated(0)
    found = clisi(X[:40], labels[:40])
    assert (found.details["n_neighbors"], found.details["perplexity"]) == (40, 13)
    assert found.value == clisi(X[:40], labels[:40], n_neighbors=40).value
    few = clisi(X[:5], labels[:5])
    assert math.isnan(few.value)
    assert few.reason == "5 cells are too few: 6 are needed"


def test_what_is_not_defined_has_a_reason():
    X, labels, batch = simulated(0)
    assert clisi(X, ["a"] * 400).reason == "all cells have one label, 'a'"
    assert ilisi(X, ["a"] * 400).reason == "all cells belong to one batch, 'a'"
    assert clisi(X, np.arange(400)).reason == "every cell has a label of its own"
    assert ilisi(X, np.arange(400)).reason == "every cell has a batch of its own"
    place = np.ones((400, 2))
    for found in (clisi(place, labels), ilisi(place, batch), ilisi(place[:60], np.arange(60) % 2)):
        assert found.reason == "all cells are at one place"
        assert math.isnan(found.value)


def test_cells_without_entropy_are_counted(monkeypatch):
    X, labels, _ = simulated(0)
    inner = lisi.inverse_simpson

    def without(*given):
        values = inner(*given)
        values[:7] = np.nan
        return values

    monkeypatch.setattr(lisi, "inverse_simpson", without)
    found = clisi(X, labels)
    assert found.counts == {"used": 393, "left_out": 7, "labels": 4}
    assert found.value == np.median(found.units.values[7:])
    monkeypatch.setattr(lisi, "inverse_simpson", lambda *given: np.full(400, np.nan))
    none = clisi(X, labels)
    assert none.reason == "one neighbour has all the weight around every cell"
    assert none.counts["used"] == 0


@pytest.mark.parametrize("k", [1, 5])
def test_too_few_neighbours_are_refused(k):
    X, labels, batch = simulated(0)
    for compute in (clisi, ilisi):
        with pytest.raises(ValueError, match=f"`n_neighbors` must be at least 6, got {k}"):
            compute(X, labels, n_neighbors=k)
    with pytest.raises(ValueError, match="`n_neighbors` must be at least 6"):
        cilisi(X, labels, batch, n_neighbors=k)


def test_labels_of_another_length_are_refused():
    X, labels, _ = simulated(0)
    with pytest.raises(ValueError, match="expected 400, got 399"):
        clisi(X, labels[1:])


def slow_inside(X, labels, batch, k=90):
    """Score each type by `ilisi` on its cells alone."""
    values = np.full(len(X), np.nan)
    for label in set(labels.tolist()):
        own = np.flatnonzero(labels == label)
        if len(own) >= 10 and len(set(batch[own].tolist())) > 1:
            values[own] = ilisi(X[own], batch[own], k).units.values
    return values


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_inside_types_agrees_with_the_twin(seed):
    X, labels, batch = simulated(seed)
    batch = np.where(labels == 1, batch % 2, batch)  # a type of two of the three batches
    batch = np.where(labels == 3, 1, batch)  # and one of one
    expected = slow_inside(X, labels, batch)
    found, means = cilisi(X, labels, batch), cilisi_means(X, labels, batch)
    np.testing.assert_allclose(found.units.values, expected, atol=1e-12)
    assert found.value == pytest.approx(np.nanmean(expected), abs=1e-12)
    by_type = [np.nanmean(expected[labels == label]) for label in (0, 1, 2)]
    assert means.value == pytest.approx(np.mean(by_type), abs=1e-12)
    np.testing.assert_allclose([row["value"] for row in found.breakdowns[:3]], by_type, atol=1e-12)
    left = ["3", "9"] if seed == 2 else ["3"]
    assert found.details["labels_left_out"] == left
    assert [row["note"] for row in found.breakdowns[3:]] == ["one batch", "fewer than 10 cells"][: len(left)]
    assert found.counts["left_out"] == int(np.isnan(expected).sum())
    assert found.counts["labels"] == 3
    assert found.counts["labels_left_out"] == len(left)


def test_types_are_searched_once(monkeypatch):
    calls = []
    inner = representation.exact_neighbors
    monkeypatch.setattr(representation, "exact_neighbors", lambda *given: calls.append(1) or inner(*given))
    X, labels, batch = simulated(0)
    shared = represent(X)
    cilisi(shared, labels, batch)
    cilisi_means(shared, labels, batch)
    assert len(calls) == 4


def test_no_type_that_can_be_scored():
    X, labels, batch = simulated(0)
    found = cilisi(X, labels, labels)
    assert math.isnan(found.value)
    assert found.reason == "no label has 10 cells, two batches and more than one place (0, 1, 2 and 1 more)"
    assert found.counts == {"used": 0, "left_out": 400, "labels": 0, "labels_left_out": 4}
    assert math.isnan(cilisi_means(X, np.arange(400), batch).value)
    assert math.isnan(cilisi(np.ones((800, 2)), np.tile(labels, 2), np.tile(batch, 2)).value)
    collapsed = np.where((labels == 2)[:, None], 5.0, X)
    notes = [row["note"] for row in cilisi(collapsed, labels, batch).breakdowns]
    assert notes == ["", "", "all cells are at one place", ""]
    few = cilisi(collapsed[:200], labels[:200], batch[:200])  # of the type, all are neighbours of all
    assert [row["note"] for row in few.breakdowns] == notes
    assert few.details["note"].endswith(
        "90 neighbours are more than a third of the label, so they hardly tell embeddings apart"
    )


@pytest.mark.parametrize("cells", [9, 10])
def test_a_type_needs_ten_cells(cells):
    X, _, batch = simulated(0)
    labels = np.repeat(["large", "small"], [400 - cells, cells])
    batch[-2:] = 0, 1
    found = cilisi(X, labels, batch)
    assert found.counts["left_out"] == (9 if cells == 9 else 0)
    assert np.isnan(found.units.values[-cells:]).all() == (cells == 9)


def test_a_type_in_some_batches_only_does_not_lower_it():
    rng = np.random.default_rng(5)
    X, labels = rng.normal(size=(600, 5)), np.repeat([0, 1], 300)
    X[300:] += 50
    batch = np.concatenate([rng.integers(0, 2, 300), rng.integers(2, 4, 300)])
    assert ilisi(X, batch).value < 0.35
    assert cilisi(X, labels, batch).value > 0.85
