"""What every metric keeps to: order of cells, names of labels, containers, units, rotation, controls."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from czbenchmarks.metrics.clustering import adjusted_rand_index, normalized_mutual_info
from czbenchmarks.metrics.communities import kmeans_nmi, leiden_nmi, leiden_nmi_best
from czbenchmarks.metrics.embedding import silhouette_label
from czbenchmarks.metrics.integration import batch_silhouette, entropy_per_cell
from czbenchmarks.metrics.isolated import isolated_labels, isolated_labels_f1
from czbenchmarks.metrics.kbet import kbet, kbet_global
from czbenchmarks.metrics.lisi import cilisi, cilisi_means, clisi, ilisi
from czbenchmarks.metrics.neighbors import (
    graph_connectivity,
    graph_connectivity_weak,
    knn_purity,
    ksim,
    ksim_acceptance,
)
from czbenchmarks.metrics.regression import pcr, pcr_comparison
from czbenchmarks.metrics.sbee import sbee
from czbenchmarks.metrics.sequential import sequential_alignment

few = settings(max_examples=4, deadline=None, derandomize=True)
seeds = st.integers(0, 2**16)

# Each takes cells, one integer per cell, and a way to write the integers.
METRICS = {
    "silhouette": lambda X, codes, write=list: silhouette_label(X, write(codes)),
    "entropy": lambda X, codes, write=list: entropy_per_cell(X, write(codes), n_neighbors=20),
    "batch silhouette": lambda X, codes, write=list: batch_silhouette(X, write(codes // 2), write(codes % 2)),
    "clisi": lambda X, codes, write=list: clisi(X, write(codes), n_neighbors=30),
    "ilisi": lambda X, codes, write=list: ilisi(X, write(codes)),
    "cilisi": lambda X, codes, write=list: cilisi(X, write(codes // 2), write(codes % 2), n_neighbors=15),
    "cilisi means": lambda X, codes, write=list: cilisi_means(X, write(codes // 2), write(codes % 2)),
    "ksim": lambda X, codes, write=list: ksim(X, write(codes)),
    "ksim acceptance": lambda X, codes, write=list: ksim_acceptance(X, write(codes), n_neighbors=5, min_share=0.5),
    "purity": lambda X, codes, write=list: knn_purity(X, write(codes)),
    "connectivity": lambda X, codes, write=list: graph_connectivity(X, write(codes), n_neighbors=8),
    "weak connectivity": lambda X, codes, write=list: graph_connectivity_weak(X, write(codes), n_neighbors=4),
    "kbet": lambda X, codes, write=list: kbet(X, write(codes // 2), write(codes % 2), n_neighbors=20),
    "kbet of all": lambda X, codes, write=list: kbet_global(X, write(codes)),
    "pcr": lambda X, codes, write=list: pcr(X, write(codes)),
    "pcr comparison": lambda X, codes, write=list: pcr_comparison(X, write(codes), np.eye(9)[codes]),
    "sbee": lambda X, codes, write=list: sbee(X, write(codes // 2), write(codes % 2), n_neighbors=20),
    "isolated labels": lambda X, codes, write=list: isolated_labels(X, write(codes), write(codes // 3)),
    "kmeans": lambda X, codes, write=list: kmeans_nmi(X, write(codes), n_starts=3),
    "leiden": lambda X, codes, write=list: leiden_nmi(X, write(codes)),
    "best leiden": lambda X, codes, write=list: leiden_nmi_best(X, write(codes), [0.5, 1.0, 2.0]),
    "isolated f1": lambda X, codes, write=list: isolated_labels_f1(X, write(codes), write(codes // 3), None, [0.5, 1]),
    "alignment": lambda X, codes, write=list: sequential_alignment(X, write(codes)),
    "adaptive alignment": lambda X, codes, write=list: sequential_alignment(X, write(codes), adaptive_k=True),
}
DRAWN = ("kmeans", "leiden", "best leiden", "isolated f1")  # by position: another order is another draw
CATEGORIES = tuple(name for name in METRICS if "alignment" not in name)  # which reads codes as times


def draw(seed, n=80, d=5):
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(4), rng.integers(0, 4, n - 4)])
    return rng.normal(size=(n, d)) + 0.7 * codes[:, None], codes, rng


@pytest.mark.parametrize("name", METRICS)
@few
@given(seed=seeds)
def test_order_unit_offset_and_rotation_change_nothing(name, seed):
    X, codes, rng = draw(seed)
    metric, expected = METRICS[name], METRICS[name](X, codes).value
    order = rng.permutation(len(X))
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    for cells in (X * 1e-6, X * 1e12, X + 1000, X @ rotation, X[:, ::-1], np.pad(X, ((0, 0), (0, 3)))):
        assert metric(cells, codes).value == pytest.approx(expected, abs=1e-7)
    if name not in DRAWN:
        assert metric(X[order], codes[order]).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", CATEGORIES)
@few
@given(seed=seeds)
def test_names_of_labels_change_nothing(name, seed):
    X, codes, _ = draw(seed)
    metric, expected = METRICS[name], METRICS[name](X, codes).value
    names = np.array(["zebra", "Ant", "42", "é"])
    for write in (
        lambda c: names[c],
        lambda c: (c * 7 - 3).tolist(),
        lambda c: pd.Categorical(names[c], categories=["?", *names, "~"]),
        lambda c: pd.Series(c.astype(float), index=np.arange(len(c)) + 5),
    ):
        assert metric(X, codes, write).value == pytest.approx(expected, abs=1e-12)


LABEL_CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "object array": lambda c: np.array(c.tolist(), dtype=object),
    "text array": lambda c: c.astype(str),
    "int8 array": lambda c: c.astype(np.int8),
    "series": lambda c: pd.Series(c, index=[f"cell{i}" for i in range(len(c))]),
    "string series": lambda c: pd.Series(c.astype(str), dtype="string"),
    "index": pd.Index,
    "categorical": lambda c: pd.Categorical(c, categories=[9, 3, 2, 1, 0, -5]),
    "categorical series": lambda c: pd.Series(pd.Categorical(c, categories=[3, 1, 9, 2, 0], ordered=True)),
}


def frozen(X):
    X = X.copy()
    X.flags.writeable = False
    return X


CELL_CONTAINERS = {
    "list": lambda X: X.tolist(),
    "float32": lambda X: X.astype(np.float32),
    "int": lambda X: X.astype(int),
    "int16": lambda X: X.astype(np.int16),
    "fortran": np.asfortranarray,
    "read-only": frozen,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "frame": lambda X: pd.DataFrame(X, index=[f"cell{i}" for i in range(len(X))]),
    "mixed frame": lambda X: pd.DataFrame(X).astype({0: np.float32, 1: int}),
    "csr": sp.csr_matrix,
    "csr array": sp.csr_array,
    "csc": sp.csc_matrix,
    "coo": sp.coo_matrix,
}


@pytest.mark.parametrize("name", METRICS)
def test_containers_of_labels_change_no_bit(name):
    X, codes, _ = draw(0)
    expected = METRICS[name](X, codes).value
    for container, make in LABEL_CONTAINERS.items():
        assert METRICS[name](X, codes, make).value == expected, container


@pytest.mark.parametrize("name", METRICS)
def test_containers_of_cells_change_no_bit(name):
    X, codes, _ = draw(1)
    X = np.round(X * 4)  # whole numbers are the same in every type
    before, expected = X.copy(), METRICS[name](X, codes).value
    for container, make in CELL_CONTAINERS.items():
        assert METRICS[name](make(X), codes).value == expected, container
        np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("name", METRICS)
@few
@given(seed=seeds)
def test_values_stay_in_range(name, seed):
    X, codes, rng = draw(seed, n=40)
    X[rng.integers(0, 40, 20)] = X[0]
    found = METRICS[name](X, codes)
    assert found.reason or 0 <= found.value <= 1 + 1e-12


@few
@given(seed=seeds)
def test_agreement_is_symmetric_and_ignores_names_and_order(seed):
    rng = np.random.default_rng(seed)
    a, b, order = rng.integers(0, 4, 60), rng.integers(0, 3, 60), rng.permutation(60)
    for metric in (adjusted_rand_index, normalized_mutual_info):
        expected = metric(a, b).value
        assert -0.5 <= expected <= 1
        assert metric(b, a).value == pytest.approx(expected, abs=1e-12)
        assert metric(a[order], b[order]).value == pytest.approx(expected, abs=1e-12)
        assert metric([f"t{i}" for i in a], 10 - b).value == pytest.approx(expected, abs=1e-12)
        assert metric(a, 7 - a).value == pytest.approx(1.0, abs=1e-12)


def test_perfect_input_gives_the_best_value():
    codes = np.repeat(np.arange(4), 20)
    points = np.eye(4)[codes]
    assert silhouette_label(points, codes).value == 1.0
    assert sequential_alignment(points, codes).value == 1.0
    # Every cell has a twin of each batch at the same place.
    places = np.tile(np.random.default_rng(0).normal(size=(20, 3)), (4, 1))
    assert entropy_per_cell(np.zeros((80, 2)), codes).value == pytest.approx(1.0, abs=1e-15)
    assert batch_silhouette(places, ["t"] * 80, codes).value > 0.9
    assert entropy_per_cell(points, codes, n_neighbors=20).value == 0.0
    assert batch_silhouette(points, ["t"] * 80, codes).value == 0.0


def test_controls_rank_as_they_must():
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 4, 200)
    perfect = codes[:, None] * 10.0 + np.zeros((200, 5))
    noisy = codes[:, None] + rng.normal(size=(200, 5))
    shuffled = rng.permutation(noisy)
    for metric in (silhouette_label, sequential_alignment):
        best, middle, chance = (metric(X, codes).value for X in (perfect, noisy, shuffled))
        assert best == pytest.approx(1.0)
        assert best > middle + 0.1
        assert middle > chance + 0.05
    apart, partly, mixed = (entropy_per_cell(X, codes, 30).value for X in (perfect, noisy, shuffled))
    assert apart < partly - 0.1
    assert partly < mixed - 0.1
    apart, partly, mixed = (batch_silhouette(X, ["t"] * 200, codes).value for X in (perfect, noisy, shuffled))
    assert apart < partly - 0.1
    assert partly < mixed


def moved(name, X, codes, seeds=range(4)):
    """Return what a metric gives for some orders of the cells."""
    orders = [np.arange(len(X)), *(np.random.default_rng(seed).permutation(len(X)) for seed in seeds)]
    orders.append(np.argsort(codes, kind="stable"))
    return [METRICS[name](X[order], codes[order]) for order in orders]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("name", [name for name in METRICS if name not in DRAWN])
def test_order_decides_nothing_unsaid_where_cells_have_identical_coordinates(name, share):
    X, codes, rng = draw(4, n=200)
    X[rng.permutation(200)[: int(share * 200)]] = X[0]
    found = moved(name, X, codes)
    values = [one.value for one in found]
    if not np.allclose(values, values[0], rtol=0, atol=1e-9, equal_nan=True):
        assert all("taken in row order" in one.details["note"] for one in found if not one.reason)
    # Cells that have nothing in common but their coordinates are most of those counted.
    if share == 0.6 and name in ("clisi", "ilisi", "ksim", "purity", "kbet", "kbet of all", "sbee", "connectivity"):
        assert all("the order of the rows would decide" in one.reason for one in found)


@pytest.mark.parametrize("name", ["clisi", "ksim", "purity", "weak connectivity"])
def test_labels_that_are_a_place_each_are_kept_in_any_order(name):
    codes = np.repeat(np.arange(4), 50)
    found = moved(name, np.eye(4)[codes], codes)
    assert [one.value for one in found] == pytest.approx([1.0] * len(found), abs=1e-12)
    assert not any("note" in one.details for one in found)


FEW = {"clisi": 30, "ilisi": 90, "ksim": 25, "purity": 31, "kbet of all": 25, "connectivity": 8, "alignment": 11}


@pytest.mark.parametrize("name", FEW)
def test_more_neighbours_than_a_third_of_the_cells_are_noted(name):
    for n, noted in ((3 * FEW[name] - 1, True), (3 * FEW[name], False)):
        X, codes, _ = draw(0, n=n)
        assert ("more than a third of" in METRICS[name](X, codes).details.get("note", "")) == noted
