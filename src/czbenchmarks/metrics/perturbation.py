"""Agreement between predicted and true effects of a perturbation."""

from __future__ import annotations

from typing import Any

import numpy as np

from czbenchmarks._check import same_length, vector

from .types import Measurement


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
    from scipy.stats import rankdata

    x, y = vector(a, "a"), vector(b, "b")
    same_length(y.size, x.size, "b", "value")
    counts = {"used": int(x.size), "left_out": 0}
    if x.size < 2:
        return Measurement.undefined(f"{x.size} value is too few to rank", counts=counts)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return Measurement.undefined(
            f"{'the first' if np.ptp(x) == 0 else 'the second'} side is constant", counts=counts
        )
    ranks = [side - side.mean() for side in (rankdata(x), rankdata(y))]
    value = (ranks[0] * ranks[1]).sum() / np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum())
    return Measurement(float(np.clip(value, -1.0, 1.0)), None, None, counts)
