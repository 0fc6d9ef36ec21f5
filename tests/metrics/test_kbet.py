import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from czbenchmarks.kernels.components import principal_components
from czbenchmarks.kernels.graph import connectivities
from czbenchmarks.kernels.kbet import kbet_of_label, neighbor_p_values
from czbenchmarks.kernels.neighbors import Neighbors
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.kbet import kbet, kbet_global


def cells(n=400, seed=0, shift=0.5):
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.array(["B", "NK", "T"], dtype=object), n, p=[0.3, 0.1, 0.6])
    batches = rng.integers(0, 2, n)
    X = rng.normal(size=(n, 4))
    X[:, 0] += 5 * (labels == "T") - 5 * (labels == "NK")
    X[:, 1] += shift * batches
    return X, labels, batches


def test_the_value_is_the_mean_of_what_the_labels_get_on_their_part_of_the_graph():
    X, labels, batches = cells()
    labels[:4], labels[4:20], batches[4:20] = "few", "one batch", 1
    found = kbet(X, labels, batches)
    graph = connectivities(Representation(X).neighbors(50))
    expected = {}
    for name in ("B", "NK", "T"):
        inside = np.flatnonzero(labels == name)
        expected[name] = kbet_of_label(graph[inside][:, inside], batches[inside], 0.05, 100).score
    assert found.value == np.mean(list(expected.values()))
    assert 0 < found.value < 1
    assert found.units.kind == "label"
    assert found.units.ids.tolist() == ["B", "NK", "T", "few", "one batch"]
    np.testing.assert_array_equal(found.units.values, [*expected.values(), np.nan, np.nan])
    assert found.counts == {"used": 380, "left_out": 20, "labels": 3, "labels_left_out": 2}
    assert found.details == {"n_neighbors": 50, "labels_left_out": ["few", "one batch"]}
    assert found.breakdowns[3] == {
        "label": "few", "cells": 4, "batches": 2, "tested": 0, "neighbors": 0,
        "score": pytest.approx(math.nan, nan_ok=True), "reason": "fewer than 10 cells",
    }  # fmt: skip
    assert found.breakdowns[4]["reason"] == "one batch"
    of_b = found.breakdowns[0]
    size = int((labels == "B").sum())
    assert (of_b["label"], of_b["cells"], of_b["tested"], of_b["batches"]) == ("B", size, size, 2)
    assert (of_b["score"], of_b["neighbors"], of_b["reason"]) == (expected["B"], size // 8, "")


def test_batches_apart_score_zero_and_mixed_ones_about_one_minus_the_level():
    X, labels, batches = cells(1000, shift=0.0)
    assert kbet(X, labels, batches).value == pytest.approx(0.95, abs=0.03)
    assert kbet(X, labels, batches, alpha=0.3).value == pytest.approx(0.7, abs=0.08)
    assert kbet_global(X, batches).value == pytest.approx(0.95, abs=0.03)
    X, labels, batches = cells(1000, shift=3.0)
    assert kbet(X, labels, batches).value < 0.15
    assert kbet_global(X, batches).value < 0.15


def test_a_label_in_pieces_says_so():
    X, labels, batches = cells(shift=0.0)
    X[labels == "B", 3] += 1000 * (np.arange((labels == "B").sum()) % 7)  # seven groups of fifteen
    found = kbet(X, labels, batches, n_neighbors=10)
    assert found.details["labels_in_pieces"] == ["B"]
    assert found.breakdowns[0]["score"] == 0.0
    expected = "in 7 pieces: those of at least 39 cells hold 0% of them, less than 75%"
    assert found.breakdowns[0]["reason"] == expected
    assert found.counts["labels"] == 3  # it counts


def test_where_nothing_can_be_tested():
    X, labels, batches = cells()
    one = kbet(X, labels, ["b"] * 400)
    assert math.isnan(one.value)
    assert one.reason == "all cells belong to one batch, 'b'"
    assert kbet_global(X, ["b"] * 400).reason == "all cells belong to one batch, 'b'"
    apart = kbet(X, labels, labels)
    assert math.isnan(apart.value)
    assert apart.reason == "no label has two batches and at least 10 cells (B, NK, T)"
    assert [row["reason"] for row in apart.breakdowns] == ["one batch"] * 3
    assert apart.counts == {"used": 0, "left_out": 400, "labels": 0, "labels_left_out": 3}
    tiny = kbet(X, np.arange(400) // 8, batches)
    assert math.isnan(tiny.value)
    assert "(0, 1, 10 and 47 more)" in tiny.reason
    assert kbet(X, ["only"] * 400, batches).value == pytest.approx(0.6, abs=0.4)
    few = kbet([[0.0], [1.0], [2.0]], ["t"] * 3, ["x", "y", "y"])
    assert few.reason == "no label has two batches and at least 10 cells (t)"
    assert kbet(X, labels, np.arange(400)).reason == "every cell has a batch of its own"
    own = kbet(X, labels, np.where(labels == "T", np.arange(400), batches))
    assert {row["label"]: row["reason"] for row in own.breakdowns}["T"] == "a batch for every cell"


@pytest.mark.parametrize("batches", [["x", "y"] * 30, ["x"] * 30 + ["y"] * 30], ids=["in turn", "in blocks"])
def test_cells_at_one_place(batches):
    X = np.full((60, 3), 2.0)
    given = (X[:30], ["t"] * 30, batches[15:45])
    every = kbet_global(X, batches, n_neighbors=60)
    for found in (kbet(X, ["t"] * 60, batches), kbet_global(X, batches), kbet(*given), every):
        assert found.reason == "all cells are at one place"
        assert math.isnan(found.value)


@pytest.mark.parametrize(("small", "tested"), [(30, 80), (29, 0)])
def test_a_piece_of_three_times_the_neighbours_is_large_enough(small, tested):
    X = np.random.default_rng(0).normal(size=(80, 3))
    X[:small] += 1000
    graph = connectivities(Representation(X).neighbors(8))
    found = kbet_of_label(graph, np.arange(80) % 2, 0.05, 100)
    assert (found.neighbors, found.tested) == (10, tested)
    assert (found.score > 0.5) == (tested > 0)


def test_labels_at_one_place_are_left_out():
    X = np.repeat(np.eye(3) * 5, 100, axis=0)
    X[200:] += np.random.default_rng(0).normal(size=(100, 3))
    labels = np.repeat(["A", "B", "C"], 100)
    for batches in (np.arange(300) % 2, np.arange(300) // 50 % 2):  # in turn, in blocks
        found = kbet(X, labels, batches)
        assert [row["reason"] for row in found.breakdowns] == ["all its cells are at one place"] * 2 + [""]
        assert found.value == found.breakdowns[2]["score"] > 0.9
        assert found.counts["left_out"] == 200
        assert kbet(X[:200], labels[:200], batches[:200]).reason == (
            "no label has two batches and at least 10 cells, not all at one place (A, B)"
        )


def test_fewer_cells_than_neighbours():
    rng = np.random.default_rng(0)
    found = kbet(rng.normal(size=(20, 2)), ["t"] * 20, ["x", "y"] * 10)
    assert found.details["note"] == (
        "20 neighbours are more than a third of 20 cells, so they hardly tell embeddings apart; "
        "read bras, pcr_comparison (--metrics scib); in 1 of 1 labels the neighbours counted are more than a third of "
        "the cells, or fewer than the batches, so hardly a cell can be rejected"
    )
    # Ten cells: the 11 entries of the definition do not exist, all ten are taken.
    ten = kbet(rng.normal(size=(10, 2)), ["t"] * 10, ["x", "y"] * 5)
    assert (ten.value, ten.breakdowns[0]["neighbors"]) == (1.0, 9)
    small = kbet_global(rng.normal(size=(20, 2)), ["x", "y"] * 10)
    assert small.value == 1.0
    assert small.details["n_neighbors"] == 20
    assert small.details["note"].endswith("; every cell is a neighbour of every other, so none can be rejected")


def test_the_global_test_counts_the_neighbours_of_the_whole_data_set():
    X, _, batches = cells()
    names = pd.Series(np.array(["x", "y"])[batches], index=[f"cell{i}" for i in range(400)])
    found = kbet_global(X, names, n_neighbors=30, alpha=0.1)
    p_values = neighbor_p_values(Representation(X).neighbors(30).indices, batches)
    np.testing.assert_array_equal(found.units.columns["p_value"], p_values)
    np.testing.assert_array_equal(found.units.values, p_values >= 0.1)
    assert found.value == np.mean(p_values >= 0.1)
    assert found.units.ids[3] == "cell3"
    assert found.details == {"n_neighbors": 30}
    assert found.counts == {"used": 400, "left_out": 0, "batches": 2}
    assert [row["batch"] for row in found.breakdowns] == ["x", "y"]
    assert sum(row["cells"] * row["score"] for row in found.breakdowns) == pytest.approx(400 * found.value)


def test_the_graph_is_made_once():
    X, labels, batches = cells()
    embedding = Representation(X)
    graph = connectivities(embedding.neighbors(50))
    graph.data[:] = 1.0
    kept = embedding.once(("connectivities", 50), lambda: graph)
    found = kbet(embedding, labels, batches)
    assert embedding.once(("connectivities", 50), lambda: None) is kept
    assert found.breakdowns[2]["score"] != kbet(X, labels, batches).breakdowns[2]["score"]


@pytest.mark.parametrize("metric", [lambda **o: kbet(*cells(), **o), lambda **o: kbet_global(*cells()[::2], **o)])
def test_refused_parameters(metric):
    for alpha in (0, 1, 1.5, -0.1, math.nan):
        with pytest.raises(ValueError, match="`alpha` must be above 0 and less than 1, got"):
            metric(alpha=alpha)
    for alpha in ("0.05", True, None):
        with pytest.raises(TypeError, match="`alpha` must be a number between 0 and 1, got"):
            metric(alpha=alpha)
    with pytest.raises(ValueError, match="`n_neighbors` must be at least 2, got 1"):
        metric(n_neighbors=1)


# scib-metrics 0.5.10 (umap-learn 0.5.12, pynndescent, SciPy 1.17.1) on the lists of exact neighbours: accepted cells
# per label, None where it gives none, and of `kbet` (25 neighbours) all accepted cells.


def made_up():
    """Return labels in one piece, in several, of ten cells, of nine, in one batch."""
    rng = np.random.default_rng(11)
    sizes = {"a": 300, "b": 200, "c": 10, "d": 9, "e": 50, "f": 100, "g": 150}
    labels, within = np.repeat(list(sizes), list(sizes.values())), np.concatenate([*map(np.arange, sizes.values())])
    batch = rng.choice(["x", "y", "z"], len(labels))
    X = rng.normal(size=(len(labels), 6)).round(6)
    X[:, 0] += np.repeat(np.arange(7) * 12.0, list(sizes.values()))
    X[(labels == "a") & (within < 60), 1] += 1000
    X[labels == "b", 2] += 1000 * (within[labels == "b"] // 50)
    batch[labels == "e"] = "x"
    batch[labels == "f"] = np.where(within[labels == "f"] < 20, "y", "x")
    X[(labels == "f") & (within < 20), 0] -= 60
    X[(labels == "g") & (batch == "x"), 3] += 0.8
    return X, labels, batch


MADE_UP = {"a": 229, "b": 193, "c": 10, "d": None, "e": None, "f": 0, "g": 121}  # of "a" 240 cells are tested
REAL = {
    ("baron_pancreas_human", "batch", False): (191, {
        "T_cell": None, "acinar": 211, "activated_stellate": 29, "alpha": 189, "beta": 69, "delta": 35,
        "ductal": 89, "endothelial": 46, "epsilon": None, "gamma": 23, "macrophage": 18, "mast": None,
        "quiescent_stellate": 40, "schwann": None,
    }),
    ("mixology_cell_lines", "batch", False): (0, {"A549": 101, "H1975": 0, "H2228": 1, "H838": 117, "HCC827": 0}),
    ("mixology_cell_lines", "batch", True): (27, {"A549": 172, "H1975": 76, "H2228": 42, "H838": 144, "HCC827": 28}),
    ("kang_pbmc_two_donors", "batch", True): (208, {"B cells": 34, "CD14+ Monocytes": 4, "CD4 T cells": 95,
                                                    "CD8 T cells": 51, "FCGR3A+ Monocytes": 17}),
}  # fmt: skip
# The peer searches the neighbours in the diffusion map approximately, so a cell or two of a label may fall otherwise:
# 0 in all but three of the 60 labels compared, 2 in the worst ("b", four pieces of 50 cells).
OFF_BY = 2


def accepted_as_in_the_peer(X, labels, batches):
    """Return accepted and tested cells per label, with as many components as the peer would use.

    After a label of n cells it uses at most n - 1 for the labels that follow in alphabetical order.
    """
    graph = connectivities(Representation(X).neighbors(50))
    components, found = 100, {}
    for name in np.unique(labels):
        inside = np.flatnonzero(labels == name)
        if len(inside) >= 10 and len(np.unique(batches[inside])) > 1:
            components = min(components, len(inside) - 1)
        test = kbet_of_label(
            graph[inside][:, inside], np.unique(batches[inside], return_inverse=True)[1], 0.05, components
        )
        found[str(name)] = None if math.isnan(test.score) else round(test.score * max(test.tested, 1))
    return found


def agrees(found, expected):
    assert found.keys() == expected.keys()
    for name, accepted in expected.items():
        assert (found[name] is None) == (accepted is None), name
        if accepted is not None:
            assert abs(found[name] - accepted) <= OFF_BY, (name, found[name], accepted)


def test_the_peer_on_made_up_labels():
    X, labels, batches = made_up()
    agrees(accepted_as_in_the_peer(X, labels, batches), MADE_UP)
    found = kbet(X, labels, batches)
    tests = {row["label"]: row for row in found.breakdowns}
    assert tests["a"]["tested"] == 240
    assert tests["f"]["reason"] == "the pieces that are large enough hold one batch"
    # Nothing is carried over from "c", of ten cells: "g" gets its hundred components, and here one cell less.
    assert round(tests["g"]["score"] * 150) == 120
    assert kbet_global(X, batches).value * len(X) == pytest.approx(510, abs=1e-9)


@pytest.mark.parametrize(("file", "column", "integrated"), REAL)
def test_the_peer_on_real_cells(file, column, integrated):
    import anndata as ad

    shared = Path(os.environ.get("CZBENCHMARKS_SHARED") or Path(__file__).resolve().parents[3] / "shared")
    if not (shared / "data").is_dir():
        pytest.skip(f"no real data at {shared}; set CZBENCHMARKS_SHARED to the folder that holds `data`")
    data = ad.read_h5ad(shared / "data" / f"{file}.h5ad")
    X = principal_components(data.X, min(2000, data.n_vars - 1), 20, 0)
    labels, batches = (data.obs[name].astype(str).to_numpy() for name in ("cell_type", column))
    if integrated:  # in part
        for name in np.unique(batches):
            X[batches == name] -= X[batches == name].mean(axis=0) * 0.7
    overall, by_label = REAL[file, column, integrated]
    agrees(accepted_as_in_the_peer(X, labels, batches), by_label)
    assert kbet_global(X, batches).value * len(X) == pytest.approx(overall, abs=OFF_BY)


def test_given_neighbours_are_named():
    X, labels, batches = cells()
    exact = Representation(X).neighbors(60)
    given = Representation(X, neighbors=Neighbors(exact.indices, exact.distances, "given"))
    assert kbet(given, labels, batches).details == {"n_neighbors": 50, "neighbors": "given"}
    assert kbet(given, labels, batches).value == kbet(X, labels, batches).value
    assert kbet_global(given, batches).details == {"n_neighbors": 25, "neighbors": "given"}
