"""A random forest that grows the same trees as scikit-learn's, several times as fast.

What is reproduced is the definition of ``RandomForestClassifier`` with its defaults on dense data without missing
values: the draws of cells and dimensions, Gini impurity, cuts between values more than 1e-7 apart, trees grown until
leaves are pure, and the order of every rounded operation. The chances have the same bits (the test's twin is
scikit-learn). The speed comes from two facts:

- A dimension is ranked once for all trees. In a node, the ranks of its cells are set as bits of a two-level bitmap and
  read back in order, so nothing is compared to sort; a few cells are sorted by insertion.
- Weights are counts of draws. Sums of squared label counts are whole numbers, exact in any order, so they are kept up
  to date cell by cell, where each cut would otherwise sum over all labels.

Ranks and positions are unsigned: a signed index is tried for being negative at every access, and that shows.

Slices are filled number by number: what assigns an array or a tuple to one makes a message on shapes, too, and to
compile that is a third of the first call.

Nothing here depends on threads: a forest is grown on the thread that asks for it, and the GIL is released.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import config, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from .compiling import compiled

_CLOSE = np.float32(1e-7)  # values as near as this are not told apart
_EPSILON = np.finfo(np.float64).eps
_FEW = 24  # cells of a node that insertion sorts faster than the bitmap
_COUNT = 0xFFFF  # a cell's label and count of draws share a number: label << 16 | count
MOST_LABELS = 1 << 15
_SEEDS = np.iinfo(np.int32).max


def _trailing_zeros(value: Any) -> int:
    """Return how many bits below the lowest that is set are not; where nothing is compiled (NUMBA_DISABLE_JIT)."""
    return (int(value) & -int(value)).bit_length() - 1


def _count_trailing_zeros(context, value):  # type: ignore[no-untyped-def]
    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))  # of 0: anything

    return types.uint64(types.uint64), emit


if not config.DISABLE_JIT:
    _trailing_zeros = intrinsic(_count_trailing_zeros)


@compiled()
def _next(state):  # type: ignore[no-untyped-def]
    """Return the next state of the 32-bit xorshift generator (Marsaglia 2003), which never is 0."""
    if state == 0:
        state = np.uint32(1)
    state = np.uint32(state ^ np.uint32(state << np.uint32(13)))
    state = np.uint32(state ^ np.uint32(state >> np.uint32(17)))
    return np.uint32(state ^ np.uint32(state << np.uint32(5)))


@compiled()
def _sort(ranks, low, high, order, words, upper):  # type: ignore[no-untyped-def]
    """Write distinct ranks, `low` to `high`, to `order` in order; the bitmap is empty before and after."""
    if len(ranks) <= _FEW:
        for i in range(len(ranks)):
            r = ranks[i]
            j = i
            while j > 0 and order[j - 1] > r:
                order[j] = order[j - 1]
                j -= 1
            order[j] = r
        return
    one = np.uint64(1)
    for i in range(len(ranks)):
        r = ranks[i]
        words[r >> 6] |= one << np.uint64(r & 63)
        upper[r >> 12] |= one << np.uint64((r >> 6) & 63)
    j = 0
    for u in range(low >> 12, (high >> 12) + 1):
        some = upper[u]
        upper[u] = 0
        while some:
            word = (u << 6) + np.int64(_trailing_zeros(some))
            some &= some - one
            bits = words[word]
            words[word] = 0
            while bits:
                order[j] = (word << 6) + np.int64(_trailing_zeros(bits))
                j += 1
                bits &= bits - one


@compiled()
def _best_cut(order, value, at, total, weight, square, left, best):  # type: ignore[no-untyped-def]
    """Return the best cut of one dimension, if it is better than `best`.

    Parameters are the cells' ranks in order, the dimension's values by rank, labels and counts by rank, the node's
    counts by label, their sum and sum of squares, and room for counts. Returns the score, the place in `order` of the
    first cell to the right (0: none), and weight and sums of squares of the two sides.
    """
    left[:] = 0
    cut = best_weight = best_left = best_right = 0
    weight_left = square_left = 0
    square_right = square
    r = order[0]
    v = value[r]
    for i in range(1, len(order)):
        label, count = at[r] >> 16, at[r] & _COUNT
        seen = left[label]
        square_left += count * (2 * seen + count)
        square_right -= count * (2 * (total[label] - seen) - count)
        left[label] = seen + count
        weight_left += count
        before = v
        r = order[i]
        v = value[r]
        if v <= before + _CLOSE:
            continue
        on_left = float(weight_left)
        on_right = weight - on_left
        score = -on_right * (1.0 - float(square_right) / (on_right * on_right)) - on_left * (
            1.0 - float(square_left) / (on_left * on_left)
        )
        if score > best:
            best, cut = score, i
            best_weight, best_left, best_right = weight_left, square_left, square_right
    return best, cut, best_weight, best_left, best_right


@compiled()
def _best_split(node, table, total, room, state, max_features):  # type: ignore[no-untyped-def]
    """Draw dimensions and return the best split of a node.

    Dimensions known to be constant stay in front of `features`, so that they are told apart from the others when
    drawn, and siblings find them in the order their parent left them. Returns the state of the generator, how many
    dimensions are constant now, the dimension (-1: none), the last rank on the left, the threshold, and weight and
    sums of squares of the two sides.
    """
    samples, own, known, weight, square = node
    ranks, values = table
    features, constant, words, upper, at, order, moved, left = room
    best, dimension, last, threshold = -np.inf, -1, 0, 0.0
    best_weight = best_left = best_right = np.int64(0)
    undrawn, visited, found, drawn = len(features), 0, 0, 0
    size = len(samples)
    while undrawn > known + found and (visited < max_features or visited <= found + drawn):
        visited += 1
        state = _next(state)
        f = drawn + np.int64(state & np.uint32(0x7FFFFFFF)) % (undrawn - found - drawn)
        if f < known:
            features[drawn], features[f] = features[f], features[drawn]
            drawn += 1
            continue
        f += found
        rank, value = ranks[features[f]], values[features[f]]
        low, high = np.int64(len(value)), np.int64(-1)
        for i in range(size):
            r = rank[samples[i]]
            low, high = min(low, np.int64(r)), max(high, np.int64(r))
            at[r] = own[i]
            moved[i] = r
        if value[high] <= value[low] + _CLOSE:
            features[f], features[known + found] = features[known + found], features[f]
            found += 1
            continue
        undrawn -= 1
        features[undrawn], features[f] = features[f], features[undrawn]
        _sort(moved[:size], low, high, order, words, upper)
        best, cut, w, left_square, right_square = _best_cut(order[:size], value, at, total, weight, square, left, best)
        if cut:
            dimension, last = features[undrawn], order[cut - 1]
            threshold = np.float64(value[last]) / 2.0 + np.float64(value[order[cut]]) / 2.0
            best_weight, best_left, best_right = w, left_square, right_square
    for p in range(known):
        features[p] = constant[p]
    for p in range(known, known + found):
        constant[p] = features[p]
    return state, known + found, dimension, last, threshold, best_weight, best_left, best_right


@compiled()
def _partition(samples, own, rank, last, moved, at):  # type: ignore[no-untyped-def]
    """Put the cells ranked up to `last` first; return how many they are."""
    i = j = 0
    for p in range(len(samples)):
        sample, label = samples[p], own[p]
        if rank[sample] <= last:
            samples[i], own[i] = sample, label
            i += 1
        else:
            moved[j], at[j] = sample, label
            j += 1
    samples_right, own_right = samples[i:], own[i:]
    for p in range(j):
        samples_right[p], own_right[p] = moved[p], at[p]
    return i


@compiled(inline="always")
def _put(stack, at, start, stop, parent, known):  # type: ignore[no-untyped-def]
    stack[at, 0], stack[at, 1], stack[at, 2], stack[at, 3] = start, stop, parent, known


@compiled()
def _grow(ranks, values, own, samples, n_labels, max_features, state, nodes, thresholds, leaves):  # type: ignore[no-untyped-def]
    """Grow one tree on the drawn `samples`, left children first, into `nodes`, `thresholds` and `leaves`."""
    n_features, n = ranks.shape
    features, constant = np.arange(n_features), np.empty(n_features, np.int64)
    words, upper = np.zeros((n >> 6) + 1, np.uint64), np.zeros((n >> 12) + 1, np.uint64)
    at, order, moved = np.empty(n, np.int32), np.empty(n, np.uint32), np.empty(n, np.uint32)
    room = (features, constant, words, upper, at, order, moved, np.zeros(n_labels, np.int64))
    total = np.zeros(n_labels, np.int64)
    stack = np.empty((len(samples) + 1, 4), np.int64)  # start, stop, parent (negative: to its right), constant
    impurities = np.empty(len(samples) + 1)
    _put(stack, 0, 0, len(samples), 0, 0)
    depth, n_nodes, n_leaves, whole = 1, 0, 0, 0.0
    while depth:
        depth -= 1
        start, stop, parent, known = stack[depth]
        total[:] = 0
        for i in range(start, stop):
            total[own[i] >> 16] += own[i] & _COUNT
        weight, square = 0.0, np.int64(0)
        for c in range(n_labels):
            weight += total[c]
            square += total[c] * total[c]
        if n_nodes == 0:
            whole, impurities[0] = weight, 1.0 - float(square) / (weight * weight)
        elif parent > 0:
            nodes[parent - 1, 1] = n_nodes
        else:
            nodes[-parent - 1, 2] = n_nodes
        impurity, dimension = impurities[depth], -1
        if stop - start >= 2 and impurity > _EPSILON:
            state, known, dimension, last, threshold, on_left, left_square, right_square = _best_split(
                (samples[start:stop], own[start:stop], known, weight, square),
                (ranks, values), total, room, state, max_features,
            )  # fmt: skip
        if dimension >= 0:
            a = float(on_left)
            b = weight - a
            in_left, in_right = 1.0 - float(left_square) / (a * a), 1.0 - float(right_square) / (b * b)
            gain = (weight / whole) * (impurity - (b / weight * in_right) - (a / weight * in_left))
            if gain + _EPSILON < 0.0:
                dimension = -1
        nodes[n_nodes, 0] = dimension
        if dimension < 0:
            nodes[n_nodes, 1] = n_leaves
            for c in range(n_labels):
                leaves[n_leaves, c] = total[c] / weight
            n_leaves += 1
        else:
            thresholds[n_nodes] = threshold
            middle = start + _partition(samples[start:stop], own[start:stop], ranks[dimension], last, moved, at)
            _put(stack, depth, middle, stop, -n_nodes - 1, known)
            _put(stack, depth + 1, start, middle, n_nodes + 1, known)
            impurities[depth], impurities[depth + 1] = in_right, in_left
            depth += 2
        n_nodes += 1


@compiled()
def _add_chances(nodes, thresholds, leaves, X, out):  # type: ignore[no-untyped-def]
    for s in range(len(X)):
        node = 0
        while nodes[node, 0] >= 0:
            node = nodes[node, 1 if X[s, nodes[node, 0]] <= thresholds[node] else 2]
        leaf = nodes[node, 1]
        for c in range(out.shape[1]):
            out[s, c] += leaves[leaf, c]


def forest_chances(
    X: NDArray[np.floating],
    codes: NDArray[np.int64],
    X_test: NDArray[np.floating],
    n_labels: int,
    *,
    n_trees: int,
    seed: int,
) -> NDArray[np.float64]:
    """Train a random forest and return each test cell's chance of each label, test cells x `n_labels`.

    It is the mean over trees of the shares of labels in the leaf. Cells x dimensions are finite and compared in single
    precision. Every label, 0 to `n_labels` - 1 (less than ``MOST_LABELS``), occurs among those of the training cells.
    The seed of each tree is drawn from `seed`.
    """
    T = np.ascontiguousarray(np.asarray(X, dtype=np.float32).T)
    tests = np.ascontiguousarray(X_test, dtype=np.float32)
    d, n = T.shape
    values, ranks = np.empty((d, n), np.float32), np.empty((d, n), np.uint32)
    for f in range(d):  # one dimension at a time: no matrix of 64-bit positions
        order = np.argsort(T[f])
        values[f], ranks[f, order] = T[f, order], np.arange(n)
    out = np.zeros((len(tests), n_labels))
    nodes, thresholds, leaves = np.empty((2 * n, 3), np.int32), np.empty(2 * n), np.empty((n, n_labels))
    max_features = max(1, int(np.sqrt(d)))
    seeds = np.random.RandomState(seed)
    for _ in range(n_trees):
        tree_seed = seeds.randint(_SEEDS)
        counts = np.bincount(np.random.RandomState(tree_seed).randint(0, n, n), minlength=n)
        state = np.uint32(np.random.RandomState(tree_seed).randint(0, _SEEDS))
        samples = np.flatnonzero(counts).astype(np.uint32)
        own = (codes[samples] << 16 | counts[samples]).astype(np.int32)
        _grow(ranks, values, own, samples, n_labels, max_features, state, nodes, thresholds, leaves)
        _add_chances(nodes, thresholds, leaves, tests, out)
    return out / n_trees
