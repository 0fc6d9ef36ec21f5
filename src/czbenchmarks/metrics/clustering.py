"""Agreement between clusters and labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from czbenchmarks._check import labels

from .types import Measurement, Units


def adjusted_rand_index(labels_true: Any, labels_pred: Any) -> Measurement:
    """Rand index corrected for chance: (index - expected) / (greatest - expected).

    Best 1, chance 0, least -0.5. Not defined where labels and clusters each hold a single group.

    Parameters
    ----------
    labels_true, labels_pred
        n labels each.

    References
    ----------
    Hubert and Arabie 1985, doi:10.1007/BF01908075

    Examples
    --------
    >>> adjusted_rand_index(["a", "a", "b", "b"], [1, 1, 0, 0]).value
    1.0
    """
    from sklearn.metrics import adjusted_rand_score

    return _agreement(adjusted_rand_score, labels_true, labels_pred)


def normalized_mutual_info(labels_true: Any, labels_pred: Any) -> Measurement:
    """Mutual information over the arithmetic mean of the two entropies.

    Best 1, least 0; independent groupings score a little above 0. Not defined where labels and clusters each hold a
    single group.

    Parameters
    ----------
    labels_true, labels_pred
        n labels each.

    References
    ----------
    Vinh et al. 2010, JMLR 11:2837

    Examples
    --------
    >>> normalized_mutual_info(["a", "a", "b", "b"], [1, 1, 0, 0]).value
    1.0
    """
    from sklearn.metrics import normalized_mutual_info_score

    return _agreement(normalized_mutual_info_score, labels_true, labels_pred)


def _agreement(score: Callable[..., float], labels_true: Any, labels_pred: Any) -> Measurement:
    true = labels(labels_true, "labels_true")
    predicted = labels(labels_pred, "labels_pred", len(true))
    units = Units("cell", true.ids, columns={"label": true.codes, "cluster": predicted.codes})
    counts = {"used": len(true), "left_out": 0, "labels": len(true.names), "clusters": len(predicted.names)}
    if len(true.names) == len(predicted.names) == 1:
        return Measurement(math.nan, "labels and clusters hold one group each", units, counts)
    return Measurement(float(score(true.codes, predicted.codes)), None, units, counts)
