import math

import numpy as np
import pandas as pd
import pytest

from czbenchmarks.metrics.sequential import sequential_alignment


def cells(n=80, seed=0):
    rng = np.random.default_rng(seed)
    times = rng.integers(0, 5, n)
    return rng.normal(size=(n, 3)) + times[:, None], times


def slow_alignment(X, times, k):
    """Return the difference to the nearest cells and to all pairs."""
    n, near = len(X), []
    for i in range(n):
        distance = ((X - X[i]) ** 2).sum(axis=1)
        distance[i] = -1
        others = np.argsort(distance, kind="stable")[1 : k + 1]
        near.append(np.mean([abs(times[i] - times[j]) for j in others]))
    pairs = [abs(times[i] - times[j]) for i in range(n) for j in range(n) if i != j]
    return np.array(near), np.mean(pairs)


@pytest.mark.parametrize("k", [1, 10, 79])
def test_agrees_with_the_twin(k):
    X, times = cells()
    near, expected = slow_alignment(X, times, k)
    found = sequential_alignment(X, times, k=k)
    assert found.value == pytest.approx(max(0.0, 1 - near.mean() / expected), abs=1e-12)
    np.testing.assert_allclose(found.units.values, 1 - near / expected, atol=1e-12)
    assert found.details["k"] == k
    assert found.details["expected_difference"] == pytest.approx(expected, rel=1e-12)
    assert found.counts == {"used": 80, "left_out": 0}
    assert found.units.columns["label"].tolist() == times.tolist()
    plain = sequential_alignment(X, times, k=k, normalize=False)
    assert plain.value == pytest.approx(near.mean(), abs=1e-12)
    np.testing.assert_allclose(plain.units.values, near, atol=1e-12)


def test_the_mean_of_units_is_the_value_unless_it_is_clipped():
    X, times = cells()
    found = sequential_alignment(X, times)
    assert found.value == pytest.approx(found.units.values.mean(), abs=1e-14)
    worse = sequential_alignment([[0.0], [0.1], [5.0], [5.1]], [0, 9, 0, 9], k=1)
    assert worse.value == 0.0
    assert worse.units.values.mean() == pytest.approx(-0.5)


def test_text_that_reads_as_numbers_is_numbers():
    X, times = cells()
    expected = sequential_alignment(X, times).value
    for same in (times.astype(str), pd.Series(pd.Categorical(times.astype(str))), times.tolist(), times.astype("f4")):
        assert sequential_alignment(X, same).value == expected


def test_values_move_with_time_units_only():
    X, times = cells()
    assert sequential_alignment(X, times * 1e6 + 1e9).value == pytest.approx(sequential_alignment(X, times).value)
    assert sequential_alignment(X, times * 10, normalize=False).value == pytest.approx(
        10 * sequential_alignment(X, times, normalize=False).value
    )


def test_one_time_is_not_defined_unless_not_normalised():
    found = sequential_alignment(np.eye(20), np.full(20, 7))
    assert math.isnan(found.value)
    assert found.reason == "all cells have one label, 7"
    assert sequential_alignment(np.eye(20), np.ones(20), normalize=False).value == 0.0


def test_adaptive_k_stays_within_the_cells():
    X, times = cells(5)
    # n = 5: k_i would be 3 everywhere, of 4 others.
    near, _ = slow_alignment(X, times, 3)
    found = sequential_alignment(X, times, k=2, adaptive_k=True, normalize=False)
    assert found.value == pytest.approx(near.mean(), abs=1e-12)
    assert sequential_alignment(*cells(3), k=2, adaptive_k=True, normalize=False).value == pytest.approx(
        slow_alignment(*cells(3), 2)[0].mean()
    )


def test_bad_input():
    X, times = cells()
    with pytest.raises(ValueError, match=r"Need at least 81 cells for k=80, got 80"):
        sequential_alignment(X, times, k=80)
    with pytest.raises(ValueError, match=r"Labels must be numeric or convertible to numeric.*'day 1'"):
        sequential_alignment(X, ["day 1"] * 80)
    with pytest.raises(ValueError, match=r"`labels` must have the same length as the data"):
        sequential_alignment(X, times[:-1])
    with pytest.raises(ValueError, match=r"`labels` must name every cell, got 1 missing of 80"):
        sequential_alignment(X, [None, *times[1:]])


def test_published_values():
    # cz-benchmarks 0.15.1 prints 1.56 for these cells. Its random part is sampled: 0.0036 to 0.0082, exact 0.0123.
    rng = np.random.default_rng(0)
    labels = np.array(list("abc"))[rng.integers(0, 3, 300)]
    X = rng.normal(size=(300, 8)).astype("f4") + (labels == "a")[:, None] * 1.0 + (labels == "b")[:, None] * -0.5
    rng.integers(0, 2, 300)
    times = rng.integers(0, 5, 300)
    assert sequential_alignment(X, times, normalize=False).value == pytest.approx(1.56, abs=1e-12)
    assert sequential_alignment(X, times, k=15).value == pytest.approx(0.0036, abs=0.015)
