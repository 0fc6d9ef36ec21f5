"""The inner loops over pairs of cells, compiled by numba on first use and kept on disk.

Squared distances of a tile, some rows against `TILE` points, are |x|^2 + |y|^2 - 2xy about the rows' centre: the
product is BLAS's, several times as fast as any other way. Where it cancels (the distance is small against both norms)
they are sums of squared differences. So the relative error of every distance is bounded whatever the offset, see
`slack`.

All compiled code on pairs is in this file: the result is kept until the function's own file changes, not those it
calls. Numbers that start a count are written as `np.int64`: for a literal, the functions it is passed to would be
compiled once more.
"""

from __future__ import annotations

import numpy as np

from .compiling import compiled

TILE = 128
ROWS = 64
CANCELLED = 0.05  # of the sum of the squared norms: below it a squared distance is computed from differences
_MANY = ROWS * TILE // 8  # pairs of a tile from which it is quicker to compute all of it from differences


@compiled(fastmath={"contract", "nsz"})
def _centre(rows):  # type: ignore[no-untyped-def]
    """Return the mean of the rows, in their precision, and their positions and squared norms about it."""
    n, d = rows.shape
    total = np.zeros(d, dtype=np.float64)
    for i in range(n):
        for k in range(d):
            total[k] += rows[i, k]
    centre = (total / n).astype(rows.dtype)
    centred = np.empty((n, d), dtype=rows.dtype)
    norms = np.empty(n, dtype=rows.dtype)
    for i in range(n):
        norm = rows.dtype.type(0)
        for k in range(d):
            centred[i, k] = rows[i, k] - centre[k]
            norm += centred[i, k] * centred[i, k]
        norms[i] = norm
    return centre, centred, norms


@compiled(fastmath={"contract", "nsz"})
def _turn(points, start, stop, centre, turned, norms):  # type: ignore[no-untyped-def]
    """Write points about a centre as columns, and their squared norms; what is left of the tile is zero."""
    norms[:] = 0
    turned[:, stop - start :] = 0
    for j in range(stop - start):
        for k in range(points.shape[1]):
            turned[k, j] = points[start + j, k] - centre[k]
    for k in range(points.shape[1]):
        for j in range(TILE):
            norms[j] += turned[k, j] * turned[k, j]


@compiled(fastmath={"contract", "nsz"})
def _differences(rows, members, start, stop, points, first, m, tile):  # type: ignore[no-untyped-def]
    """Fill a tile with sums of squared differences."""
    d = rows.shape[1]
    turned = np.empty((d, TILE), dtype=points.dtype)
    for j in range(m):
        for k in range(d):
            turned[k, j] = points[first + j, k]
    for at in range(start, stop):
        i = members[at]
        out = tile[at - start]
        for j in range(m):
            out[j] = 0
        k = 0
        while k + 4 <= d:  # four coordinates a pass: the running sum is loaded and stored once for them
            x0, x1, x2, x3 = rows[i, k], rows[i, k + 1], rows[i, k + 2], rows[i, k + 3]
            y0, y1, y2, y3 = turned[k], turned[k + 1], turned[k + 2], turned[k + 3]
            for j in range(m):
                a, b, c, e = x0 - y0[j], x1 - y1[j], x2 - y2[j], x3 - y3[j]
                out[j] += (a * a + b * b) + (c * c + e * e)
            k += 4
        while k < d:
            x0 = rows[i, k]
            y0 = turned[k]
            for j in range(m):
                a = x0 - y0[j]
                out[j] += a * a
            k += 1


@compiled(fastmath={"contract", "nsz"})
def _squared(rows, centred, row_norms, members, start, stop, points, first, m, turned, norms, block, tile):  # type: ignore[no-untyped-def]
    """Fill ``tile[at - start, :m]`` with squared distances of ``rows[members[at]]`` to points from `first` on.

    `centred`, `row_norms`, `turned` and `norms` are rows and points about one centre; `block` is scratch.
    """
    d = rows.shape[1]
    for at in range(start, stop):
        i = members[at]
        for k in range(d):
            block[at - start, k] = centred[i, k]
    np.dot(block, turned, tile)
    share = tile.dtype.type(CANCELLED)
    two = tile.dtype.type(2)
    cancelled = 0
    for at in range(start, stop):
        out = tile[at - start]
        norm = row_norms[members[at]]
        some = np.int32(0)
        for j in range(m):
            both = norm + norms[j]
            out[j] = both - two * out[j]
            some |= np.int32(out[j] < share * both)
        if some:
            for j in range(m):
                cancelled += out[j] < share * (norm + norms[j])
    if cancelled == 0:
        return
    if cancelled > _MANY:
        _differences(rows, members, start, stop, points, first, m, tile)
        return
    for at in range(start, stop):
        i = members[at]
        out = tile[at - start]
        norm = row_norms[i]
        for j in range(m):
            if out[j] < share * (norm + norms[j]):
                total = tile.dtype.type(0)
                for k in range(d):
                    difference = rows[i, k] - points[first + j, k]
                    total += difference * difference
                out[j] = total


@compiled(fastmath=True)
def _sum(values, start, stop):  # type: ignore[no-untyped-def]
    total = values[0] * 0
    for j in range(start, stop):
        total += values[j]
    return total


@compiled(fastmath={"contract", "nsz"})
def _add(tile, start, stop, row_groups, first, m, bounds, root, factor, both, to_columns, to_rows):  # type: ignore[no-untyped-def]
    """Add the distances in a tile to the sums of its rows by column group and, if `both`, the other way round."""
    running = np.zeros(m, dtype=tile.dtype)
    group = 0
    while bounds[group + 1] <= first:
        group += 1
    for i in range(start, stop):
        values = tile[i - start]
        if root:
            for j in range(m):
                values[j] = np.sqrt(values[j])
        else:
            for j in range(m):
                values[j] *= factor
        low = 0
        g = group
        while low < m:
            high = min(m, bounds[g + 1] - first)
            to_columns[i, g] += _sum(values, low, high)
            low = high
            g += 1
        if both:
            for j in range(m):
                running[j] += values[j]
            if i + 1 == stop or row_groups[i + 1] != row_groups[i]:
                for j in range(m):
                    to_rows[first + j, row_groups[i]] += running[j]
                    running[j] = 0


@compiled(fastmath={"contract", "nsz"})
def add_group_sums(rows, row_groups, points, bounds, root, factor, diagonal, to_columns, to_rows):  # type: ignore[no-untyped-def]
    """Add up distances of rows to groups of points and of points to groups of rows.

    Parameters
    ----------
    rows
        a x d, one floating type throughout.
    row_groups
        Group of every row, from 0, in order.
    points
        b x d, ordered by group.
    bounds
        Borders of the groups of points: group g is ``points[bounds[g]:bounds[g + 1]]``.
    root
        Sum distances; else `factor` times their squares.
    factor
        See `root`.
    diagonal
        Rows and points are the same: each pair is computed once and added to one of the two.
    to_columns
        a x groups of points, double; added to.
    to_rows
        b x groups of rows, double; added to. Without columns if it is not wanted.
    """
    a, d = rows.shape
    b = len(points)
    both = to_rows.shape[1] > 0
    centre, centred, row_norms = _centre(rows)
    members = np.arange(a, dtype=np.int32)
    block = np.zeros((ROWS, d), dtype=rows.dtype)
    tile = np.empty((ROWS, TILE), dtype=rows.dtype)
    turned = np.empty((d, TILE), dtype=rows.dtype)
    norms = np.empty(TILE, dtype=rows.dtype)
    for first in range(0, b, TILE):
        m = min(TILE, b - first)
        _turn(points, first, first + m, centre, turned, norms)
        for start in range(0, min(a, first + m) if diagonal else a, ROWS):
            # On the diagonal TILE is a multiple of ROWS: rows before the tile serve both ways, rows in it only one.
            stop = min(start + ROWS, a)
            back = both and not (diagonal and start >= first)
            _squared(rows, centred, row_norms, members, start, stop, points, first, m, turned, norms, block, tile)
            if diagonal and start >= first:  # a cell's distance to itself, free of rounding
                for i in range(start, stop):
                    tile[i - start, i - first] = 0
            _add(tile, start, stop, row_groups, first, m, bounds, root, factor, back, to_columns, to_rows)


@compiled()
def _part(values, places, at, low, high, pivot, equal):  # type: ignore[no-untyped-def]
    """Move what is below the pivot (or `equal` to it) to the front; return where the rest begins."""
    border = low
    for j in range(low, high):  # without a branch, which the processor would guess wrong every other time
        value, place = values[at, j], places[at, j]
        values[at, j], places[at, j] = values[at, border], places[at, border]
        values[at, border], places[at, border] = value, place
        border += value <= pivot if equal else value < pivot
    return border


@compiled()
def _pivot(values, at, low, high, wanted):  # type: ignore[no-untyped-def]
    """Return a value that has roughly `wanted` of the range below it, from nine of them."""
    few = np.empty(9, dtype=values.dtype)
    for i in range(9):
        value = values[at, low + (high - low - 1) * i // 8]
        j = i
        while j > 0 and few[j - 1] > value:
            few[j] = few[j - 1]
            j -= 1
        few[j] = value
    return few[min(8, (wanted * 9) // (high - low) + 1)]


@compiled()
def _shrink(values, places, at, count, keep, threshold):  # type: ignore[no-untyped-def]
    """Keep the `keep` smallest candidates of a row, or some more; return how many, and what no other is below."""
    low, high = np.int64(0), count
    while high > keep + keep // 8:
        pivot = _pivot(values, at, low, high, keep - low)
        border = _part(values, places, at, low, high, pivot, False)
        if border >= keep:
            high, threshold = border, pivot
        elif border > low:
            low = border
        else:  # the pivot is the least; there may be many of it
            low = _part(values, places, at, low, high, pivot, True)
            if low >= keep:
                return keep, pivot
    return high, threshold


@compiled(fastmath={"nnan", "nsz", "reassoc"})
def _collect(tile, members, start, stop, m, first, keep, values, places, counts, thresholds):  # type: ignore[no-untyped-def]
    """Add the columns of a tile that are nearer than a row's threshold to its candidates."""
    full = values.shape[1] - TILE
    for at in range(start, stop):
        i = members[at]
        row = at - start
        threshold = thresholds[i]
        some = np.int32(0)
        for j in range(m):  # most tiles hold none, and telling that is quick
            some |= np.int32(tile[row, j] < threshold)
        if not some:
            continue
        count = counts[i]
        for low in range(0, m, 8):
            high = min(low + 8, m)
            least = tile[row, low]
            for j in range(low, high):
                least = min(least, tile[row, j])
            if least < threshold:  # written without a branch, which the processor would guess wrong
                for j in range(low, high):
                    values[i, count] = tile[row, j]
                    places[i, count] = first + j
                    count += tile[row, j] < threshold
        if count >= full:
            count, thresholds[i] = _shrink(values, places, np.int64(i), count, keep, threshold)
        counts[i] = count


@compiled()
def _exact(rows, row, points, place):  # type: ignore[no-untyped-def]
    """Return a squared distance in double precision; without fastmath, so that it rounds alike wherever it is used."""
    d = points.shape[1]
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    k = 0
    while k + 4 <= d:
        a = np.float64(rows[row, k]) - np.float64(points[place, k])
        b = np.float64(rows[row, k + 1]) - np.float64(points[place, k + 1])
        c = np.float64(rows[row, k + 2]) - np.float64(points[place, k + 2])
        e = np.float64(rows[row, k + 3]) - np.float64(points[place, k + 3])
        s0 += a * a
        s1 += b * b
        s2 += c * c
        s3 += e * e
        k += 4
    while k < d:
        a = np.float64(rows[row, k]) - np.float64(points[place, k])
        s0 += a * a
        k += 1
    return (s0 + s1) + (s2 + s3)


@compiled()
def _later(x, i, y, j):  # type: ignore[no-untyped-def]
    return x > y or (x == y and i > j)


@compiled()
def _sift(keys, ids, root, count):  # type: ignore[no-untyped-def]
    """Restore the heap (latest entry on top) below `root`."""
    while True:
        child = 2 * root + 1
        if child >= count:
            return
        if child + 1 < count and _later(keys[child + 1], ids[child + 1], keys[child], ids[child]):
            child += 1
        if not _later(keys[child], ids[child], keys[root], ids[root]):
            return
        keys[root], keys[child] = keys[child], keys[root]
        ids[root], ids[child] = ids[child], ids[root]
        root = child


@compiled()
def _sort(keys, ids, count):  # type: ignore[no-untyped-def]
    """Sort the first `count` entries by (key, id), in place."""
    for root in range(count // 2 - 1, -1, -1):
        _sift(keys, ids, root, count)
    for last in range(count - 1, 0, -1):
        keys[0], keys[last] = keys[last], keys[0]
        ids[0], ids[last] = ids[last], ids[0]
        _sift(keys, ids, np.int64(0), last)


@compiled()
def _search_fully(rows, row, own, points, names, k, keys, ids):  # type: ignore[no-untyped-def]
    """Fill the first k keys and ids with a row's nearest points, all distances in double precision."""
    for place in range(len(points)):
        key = -1.0 if place == own else _exact(rows, row, points, place)
        if place < k:
            keys[place] = key
            ids[place] = names[place]
            if place == k - 1:
                for root in range(k // 2 - 1, -1, -1):
                    _sift(keys, ids, root, k)
        elif _later(keys[0], ids[0], key, names[place]):
            keys[0] = key
            ids[0] = names[place]
            _sift(keys, ids, np.int64(0), k)
    _sort(keys, ids, k)


@compiled()
def nearest(rows, owns, points, names, lists, spans, members, k, keep, slack, indices, distances):  # type: ignore[no-untyped-def]
    """Find the k nearest points of every row, the row itself first, then by (distance, name).

    Parameters
    ----------
    rows
        r x d; memory grows with r.
    owns
        Which point each row is, -1 if it is none of them.
    points
        n x d, of the same type.
    names
        Number of every point, which settles ties and is written.
    lists
        Borders of lists of consecutive points, one pair a line; those near the rows first are quickest.
    spans, members
        Which rows each list is compared with: list l with ``members[spans[l, 0]:spans[l, 1]]``. Every row meets at
        least k points, itself among them.
    k, keep
        How many are wanted, and how many candidates are kept in the precision of `points`, more than k.
    slack
        Relative error of a squared distance in that precision, at most: a row whose candidates might have missed a
        neighbour is compared with all points again. Negative: it is not.
    indices, distances
        r x k, written.

    Returns
    -------
    How many rows were compared again.
    """
    n_rows, d = rows.shape
    room = 2 * keep + TILE + 1
    tile = np.empty((ROWS, TILE), dtype=points.dtype)
    turned = np.empty((d, TILE), dtype=points.dtype)
    norms = np.empty(TILE, dtype=points.dtype)
    block = np.zeros((ROWS, d), dtype=points.dtype)
    centre, centred, row_norms = _centre(rows)
    values = np.empty((n_rows, room), dtype=points.dtype)
    places = np.empty((n_rows, room), dtype=np.int32)
    counts = np.zeros(n_rows, dtype=np.int64)
    thresholds = np.full(n_rows, np.inf, dtype=points.dtype)
    for one in range(len(lists)):
        for first in range(lists[one, 0], lists[one, 1], TILE):
            m = min(TILE, lists[one, 1] - first)
            _turn(points, first, first + m, centre, turned, norms)
            for start in range(spans[one, 0], spans[one, 1], ROWS):
                stop = min(start + ROWS, spans[one, 1])
                _squared(rows, centred, row_norms, members, start, stop, points, first, m, turned, norms, block, tile)
                _collect(tile, members, start, stop, m, first, keep, values, places, counts, thresholds)
    keys = np.empty(room, dtype=np.float64)
    ids = np.empty(room, dtype=np.int32)
    lost = d * np.finfo(points.dtype).tiny  # of squares too small for the precision
    again = 0
    for i in range(n_rows):
        count = counts[i]
        if count > keep:
            count, thresholds[i] = _shrink(values, places, i, count, keep, thresholds[i])
        missing = owns[i] >= 0
        for c in range(count):
            place = np.int64(places[i, c])
            if place == owns[i]:
                missing = False
            keys[c] = -1.0 if place == owns[i] else _exact(rows, i, points, place)
            ids[c] = names[place]
        if slack < 0:
            if missing:  # more copies of it than candidates
                keys[count - 1] = -1.0
                ids[count - 1] = names[owns[i]]
            _sort(keys, ids, count)
        else:
            _sort(keys, ids, count)
            # Points that are no candidates lie at the threshold or beyond it, less what rounding can hide. That grows
            # with the norms about the centre, and those of a point nearer than the k-th candidate are at most `reach`.
            limit = np.float64(thresholds[i])
            norm = np.float64(row_norms[i])
            reach = norm + (np.sqrt(norm) + np.sqrt(max(keys[k - 1], 0.0))) ** 2
            hidden = slack * min(limit, CANCELLED * reach) + lost
            if missing or count < k or not keys[k - 1] < limit - hidden:
                again += 1
                _search_fully(rows, i, owns[i], points, names, k, keys, ids)
        for c in range(k):
            indices[i, c] = ids[c]
            distances[i, c] = np.sqrt(max(keys[c], 0.0))
    return again


@compiled(fastmath={"contract", "nsz", "reassoc"})
def _squares(values, width):  # type: ignore[no-untyped-def]
    """Return a sum of squares. It writes nothing: a loop that does may be run another way where arrays are adjacent."""
    total = 0.0
    for k in range(width):
        total += np.float64(values[k]) * np.float64(values[k])
    return total


@compiled(fastmath={"nnan", "nsz"})
def widen_ranges(rows, least, most):  # type: ignore[no-untyped-def]
    """Lower the least and raise the most of every column to those of some rows, without NaN."""
    for i in range(len(rows)):
        for k in range(rows.shape[1]):
            least[k] = min(least[k], rows[i, k])
            most[k] = max(most[k], rows[i, k])


@compiled()
def add_squares(points, first, low, width, norms):  # type: ignore[no-untyped-def]
    """Add the squares of `width` coordinates, from `low` on, of consecutive points to `norms`."""
    for i in range(len(norms)):
        norms[i] += _squares(points[first + i, low : low + width], width)


@compiled()
def centre_part(points, order, centre, low, width, out, norms):  # type: ignore[no-untyped-def]
    """Write `width` coordinates, from `low` on, of some points about a centre, and add their squares to `norms`."""
    for i in range(len(order)):
        x = points[order[i]]
        for k in range(width):
            out[i, k] = x[low + k] - centre[low + k]
        norms[i] += _squares(out[i], width)


@compiled()
def _wide(rows, row, points, place, lanes):  # type: ignore[no-untyped-def]
    """Return a squared distance of many coordinates in double precision; `lanes` are 32 numbers of scratch.

    Coordinate k is added to lane k mod 32, so that the loop is compiled to vectors and still rounds alike wherever it
    is used.
    """
    d = points.shape[1]
    x, y = rows[row], points[place]
    lanes[:] = 0.0
    k = 0
    while k + 32 <= d:
        some, others = x[k : k + 32], y[k : k + 32]
        for lane in range(32):
            difference = np.float64(some[lane]) - np.float64(others[lane])
            lanes[lane] += difference * difference
        k += 32
    for lane in range(d - k):
        difference = np.float64(x[k + lane]) - np.float64(y[k + lane])
        lanes[lane] += difference * difference
    total = 0.0
    for lane in range(32):
        total += lanes[lane]
    return total


@compiled()
def squared_differences(rows, points, at, of, found):  # type: ignore[no-untyped-def]
    """Write the squared distances of some pairs, ``rows[at[p]]`` and ``points[of[p]]``, in double precision."""
    lanes = np.empty(32, dtype=np.float64)
    for p in range(len(at)):
        found[p] = _wide(rows, np.int64(at[p]), points, np.int64(of[p]), lanes)


@compiled()
def settle(rows, owns, points, names, borders, places, k, indices, distances):  # type: ignore[no-untyped-def]
    """Write the k nearest of the candidates of every row, the row itself first, then by (distance, name).

    Candidates of row i are ``places[borders[i]:borders[i + 1]]``, at least k of them.
    """
    lanes = np.empty(32, dtype=np.float64)
    most = np.int64(0)
    for i in range(len(rows)):
        most = max(most, borders[i + 1] - borders[i])
    keys = np.empty(most, dtype=np.float64)
    ids = np.empty(most, dtype=np.int32)
    for i in range(len(rows)):
        count = borders[i + 1] - borders[i]
        for c in range(count):
            place = np.int64(places[borders[i] + c])
            keys[c] = -1.0 if place == owns[i] else _wide(rows, np.int64(i), points, place, lanes)
            ids[c] = names[place]
        _sort(keys, ids, count)
        for c in range(k):
            indices[i, c] = ids[c]
            distances[i, c] = np.sqrt(max(keys[c], 0.0))
