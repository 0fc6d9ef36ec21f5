"""Means of scores: biology, batches, and both."""

from __future__ import annotations

import math
from collections.abc import Mapping

from czbenchmarks._check import share

from .results import Measurement

BIO_SHARE = 0.6


def mean_of_scores(scores: Mapping[str, float]) -> Measurement:
    """Plain mean of scores, those without a value left out.

    In [0, 1] for scores in [0, 1]; best 1. Not defined where fewer than half of the scores have a value.

    Parameters
    ----------
    scores
        Name and value of each score.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8

    Examples
    --------
    >>> mean_of_scores({"ilisi": 0.5, "kbet": 0.7, "bras": float("nan")}).value
    0.6
    """
    defined = [float(value) for value in scores.values() if math.isfinite(value)]
    counts = {"used": len(defined), "left_out": len(scores) - len(defined)}
    missing = [name for name, value in scores.items() if not math.isfinite(value)]
    details = {"scores_left_out": missing} if missing else {}
    if not defined or 2 * len(defined) < len(scores):
        reason = f"only {len(defined)} of its {len(scores)} scores have a value"
        reason = reason if defined else "none of its scores has a value"
        return Measurement.undefined(reason, counts=counts, details=details)
    return Measurement(math.fsum(defined) / len(defined), None, None, counts, details)


def weighted_total(bio_conservation: float, batch_correction: float, bio_share: float = BIO_SHARE) -> Measurement:
    """Weighted mean of the two overall scores: 0.6 for biology, 0.4 for batches.

    In [0, 1]; best 1. Not defined where one of the two has no value.

    Parameters
    ----------
    bio_conservation, batch_correction
        The two means.
    bio_share
        Weight of biology, 0 to 1.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8

    Examples
    --------
    >>> weighted_total(0.5, 1.0).value
    0.7
    """
    bio_share = share(bio_share, "bio_share", least=True, most=True)
    missing = [
        name
        for name, value in (("bio_conservation", bio_conservation), ("batch_correction", batch_correction))
        if not math.isfinite(value)
    ]
    if missing:
        return Measurement.undefined(f"no value of {' and '.join(missing)}")
    return Measurement(bio_share * bio_conservation + (1 - bio_share) * batch_correction)
