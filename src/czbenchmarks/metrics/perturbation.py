"""Agreement between predicted and true effects of a perturbation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import same_length, vector
from czbenchmarks.kernels.ranks import rank_correlations

from .results import Measurement


def rank_correlation(a: Any, b: Any) -> Measurement:
    """Spearman's rank correlation, ties at their mean rank.

    Best 1, chance 0, least -1. Not defined for fewer than two values or where one side is constant.

    Parameters
    ----------
    a, b
        m finite numbers each.

    References
    ----------
    Spearman 1904, doi:10.2307/1412159

    Examples
    --------
    >>> round(rank_correlation([1.0, 2.0, 3.0], [0.1, 0.2, 0.9]).value, 6)
    1.0
    """
    x, y = vector(a, "a"), vector(b, "b")
    same_length(y.size, x.size, "b", "value")
    return each_rank_correlation([x], [y])[0]


def each_rank_correlation(a: Sequence[NDArray[np.float64]], b: Sequence[NDArray[np.float64]]) -> list[Measurement]:
    """Spearman's rank correlation of many pairs of vectors at once; each as `rank_correlation` has it.

    Parameters
    ----------
    a, b
        Finite vectors; the first of `a` is compared with the first of `b`, and is as long.

    Examples
    --------
    >>> up, down = np.array([1.0, 2.0]), np.array([5.0, 4.0])
    >>> [one.value for one in each_rank_correlation([up, up], [up, down])]
    [1.0, -1.0]
    """
    sizes = [len(one) for one in a]
    bounds = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    x, y = (np.concatenate([np.zeros(0), *side]) for side in (a, b))
    values, of_a, of_b = rank_correlations(x, y, bounds)
    found = []
    for size, value, *spreads in zip(sizes, values.tolist(), of_a.tolist(), of_b.tolist(), strict=True):
        counts = {"used": size, "left_out": 0}
        if size < 2:
            found.append(Measurement.undefined(f"{size} value is too few to rank", counts=counts))
        elif not all(spreads):
            side = "the second" if spreads[0] else "the first"
            found.append(Measurement.undefined(f"{side} side is constant", counts=counts))
        else:
            found.append(Measurement(value, None, None, counts))
    return found
