import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from czbenchmarks.kernels.graph import connectivities
from czbenchmarks.kernels.kbet import kbet_by_label, kbet_of_label, neighbor_p_values
from czbenchmarks.kernels.neighbors import exact_neighbors


@settings(max_examples=20, deadline=None, derandomize=True)
@given(n=st.integers(6, 50), groups=st.integers(2, 5), seed=st.integers(0, 99))
def test_p_values_are_those_of_scipys_chi_square_test(n, groups, seed):
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(groups), rng.integers(0, groups, n - groups)])
    indices = rng.integers(0, n, (n, int(rng.integers(2, n + 1))))
    shares = np.array([np.mean(codes == group) for group in range(groups)])
    expected = [
        chisquare([np.sum(codes[row] == group) for group in range(groups)], shares * len(row)).pvalue for row in indices
    ]
    np.testing.assert_allclose(neighbor_p_values(indices, codes), expected, rtol=1e-10, atol=1e-300)


def test_a_p_value_by_hand():
    # Three x and one y where two of each are expected: (1 + 1) / 2 = 1 with one degree of freedom.
    found = neighbor_p_values(np.array([[0, 1, 2, 3]] * 6), np.array([0, 0, 0, 1, 1, 1]))
    np.testing.assert_allclose(found, math.erfc(math.sqrt(0.5)), rtol=1e-14)


def test_p_values_in_several_blocks():
    rng = np.random.default_rng(0)
    codes, indices = rng.integers(0, 400, 5000), rng.integers(0, 5000, (5000, 3))  # 1310 rows of 400 batches in a block
    codes[:400] = np.arange(400)
    found = neighbor_p_values(indices, codes)
    shares = np.bincount(codes) / 5000
    for row in (0, 1309, 1310, 1311, 4999):
        counts = np.bincount(codes[indices[row]], minlength=400)
        assert found[row] == pytest.approx(chisquare(counts, 3 * shares).pvalue, rel=1e-10)


def slow_kbet(graph, batches, alpha=0.05, n_components=100):
    """Follow the definition step by step with dense matrices and loops; return the score and the neighbours."""
    W, batches = graph.toarray().astype(np.float64), [str(b) for b in batches]
    n = len(batches)
    if n < 10 or len(set(batches)) < 2:
        return math.nan, 0
    k = min(70, max(10, int(np.mean([batches.count(b) for b in sorted(set(batches))]) / 4)))
    piece = [-1] * n
    for start in range(n):
        todo = [start] if piece[start] < 0 else []
        while todo:
            cell = todo.pop()
            if piece[cell] < 0:
                piece[cell] = start
                todo += [other for other in range(n) if W[cell, other] > 0]
    kept = list(range(n))
    if len(set(piece)) > 1:
        kept = [cell for cell in range(n) if piece.count(piece[cell]) >= 3 * k]
        if len(kept) < 0.75 * n:
            return 0.0, k
    batches, W = [batches[cell] for cell in kept], W[np.ix_(kept, kept)]
    if len(set(batches)) < 2:
        return 0.0, k
    q = W.sum(axis=0)
    K = W / np.outer(q, q)
    z = np.sqrt(K.sum(axis=0))
    values, vectors = np.linalg.eigh(K / np.outer(z, z))
    top = np.argsort(-np.abs(values), kind="stable")[: min(n_components, len(kept) - 1)]
    factors = [1.0 if abs(values[i] - 1) < 3e-8 else values[i] / (1 - values[i]) for i in top]
    Y = vectors[:, top] * factors
    names, accepted = sorted(set(batches)), 0
    for i in range(len(kept)):
        distance = np.linalg.norm(Y - Y[i], axis=1)
        distance[i] = -1
        near = np.argsort(distance, kind="stable")[: k + 1]
        observed = [sum(batches[j] == name for j in near) for name in names]
        expected = [len(near) * batches.count(name) / len(kept) for name in names]
        accepted += chisquare(observed, expected).pvalue >= alpha
    return accepted / len(kept), min(k, len(kept) - 1)


def drawn(n=240, batches=3, seed=0, shift=0.6, k=20):
    rng = np.random.default_rng(seed)
    X, codes = rng.normal(size=(n, 3)), rng.integers(0, batches, n)
    X[codes == 0, 0] += shift
    return X, codes, connectivities(exact_neighbors(X, min(k, n)))


@pytest.mark.parametrize(("n", "batches"), [(10, 2), (11, 2), (14, 3), (100, 2), (240, 3), (260, 12), (700, 2)])
def test_a_label_agrees_with_the_twin(n, batches):
    _, codes, graph = drawn(n, batches)
    found = kbet_of_label(graph, codes, 0.05, 100)
    score, k = slow_kbet(graph, codes)
    assert (found.score, found.neighbors) == (score, k)
    assert (found.cells, found.tested, found.batches, found.reason) == (n, n, len(set(codes)), "")
    assert found.search == "exact"
    if n > 14:
        assert 0 < found.score < 1


@pytest.mark.parametrize(("alpha", "n_components"), [(0.05, 3), (0.05, 20), (0.3, 100), (0.001, 100)])
def test_parameters_agree_with_the_twin(alpha, n_components):
    _, codes, graph = drawn(shift=1.0)
    assert kbet_of_label(graph, codes, alpha, n_components).score == slow_kbet(graph, codes, alpha, n_components)[0]


def blocks(*graphs):
    return sp.csr_matrix(sp.block_diag(graphs))


def test_pieces_that_are_large_enough_are_tested_together():
    (_, a, one), (_, b, other) = drawn(150, seed=1), drawn(120, seed=2)
    codes = np.concatenate([a, b, [0, 1, 2] * 5])
    small = connectivities(exact_neighbors(np.random.default_rng(0).normal(size=(15, 2)), 10))
    graph = blocks(one, other, small)
    found = kbet_of_label(graph, codes, 0.05, 100)
    assert (found.tested, found.cells, found.neighbors) == (270, 285, 23)  # 285 / (3 * 4)
    assert (found.score, found.neighbors) == slow_kbet(graph, codes)
    assert 0 < found.score < 1


def test_too_small_pieces_score_zero_and_say_so():
    graph = blocks(*[connectivities(exact_neighbors(np.arange(25.0)[:, None], 8)) for _ in range(4)])
    codes = np.arange(100) % 2
    found = kbet_of_label(graph, codes, 0.05, 100)
    assert (found.score, found.neighbors, found.tested) == (0.0, 12, 0)
    assert found.reason == "in 4 pieces: those of at least 36 cells hold 0% of them, less than 75%"
    assert slow_kbet(graph, codes)[0] == 0.0


def test_three_quarters_of_the_cells_are_enough():
    X = np.random.default_rng(0).normal(size=(100, 2))
    for kept in (75, 74):
        graph = blocks(connectivities(exact_neighbors(X[:kept], 20)), connectivities(exact_neighbors(X[kept:], 20)))
        found = kbet_of_label(graph, np.arange(100) % 3, 0.05, 100)  # pieces of 30 cells and more
        assert (found.tested, found.score > 0) == ((75, True) if kept == 75 else (0, False))


def test_pieces_of_one_batch_score_zero():
    graph = blocks(drawn(90)[2], drawn(20)[2])
    found = kbet_of_label(graph, np.repeat([0, 1], [90, 20]), 0.05, 100)
    assert (found.score, found.reason) == (0.0, "the pieces that are large enough hold one batch")
    assert (found.tested, found.batches) == (90, 2)


@pytest.mark.parametrize(
    ("codes", "reason"),
    [([0, 1] * 4 + [1], "fewer than 10 cells"), ([3] * 12, "one batch"), ([1], "fewer than 10 cells")],
)
def test_labels_that_cannot_be_tested(codes, reason):
    found = kbet_of_label(sp.csr_matrix((len(codes), len(codes))), np.array(codes), 0.05, 100)
    assert math.isnan(found.score)
    assert (found.reason, found.cells, found.batches) == (reason, len(codes), len(set(codes)))


@pytest.mark.parametrize(("n", "batches", "k"), [(40, 2, 10), (96, 2, 12), (103, 2, 12), (1000, 2, 70), (900, 12, 18)])
def test_neighbours_are_a_quarter_of_the_mean_batch(n, batches, k):
    rng = np.random.default_rng(0)
    graph = connectivities(exact_neighbors(rng.normal(size=(n, 2)), 15))
    assert kbet_of_label(graph, np.arange(n) % batches, 0.05, 10).neighbors == k


def test_labels_are_tested_within_themselves_and_in_their_order():
    X, batches, _ = drawn(500)
    labels = np.random.default_rng(1).choice([0, 1, 2, 3], 500, p=[0.1, 0.6, 0.28, 0.02])
    X[:, 1] += 6 * labels
    graph = connectivities(exact_neighbors(X, 20))
    found = kbet_by_label(graph, labels, batches, 0.05, 100)
    for label, test in enumerate(found):
        cells = np.flatnonzero(labels == label)
        expected, _ = slow_kbet(graph[cells][:, cells], batches[cells])
        assert test.cells == len(cells)
        assert test.score == pytest.approx(expected, abs=1e-15, nan_ok=True)


def test_cells_at_one_place_are_tested():
    X, codes, _ = drawn()
    X[:80] = X[0]
    graph = connectivities(exact_neighbors(X, 20))
    found = kbet_of_label(graph, codes, 0.05, 100)
    assert 0 <= found.score <= 1


def test_threads_change_no_bit(same_bits):
    rng = np.random.default_rng(0)
    X, labels, batches = rng.normal(size=(1500, 4)), rng.integers(0, 3, 1500), rng.integers(0, 2, 1500)
    labels[:900] = 0  # one above the border of the dense solver
    X[:, 0] += 8 * labels + 0.5 * batches
    graph = connectivities(exact_neighbors(X, 30))
    same_bits(lambda: [[test.score for test in kbet_by_label(graph, labels, batches, 0.05, 100)]])
