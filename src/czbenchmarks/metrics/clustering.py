"""Agreement between clusters and labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from czbenchmarks._check import labels

from .inputs import noted
from .results import Measurement, Units


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


def homogeneity(labels_true: Any, labels_pred: Any) -> Measurement:
    """Share of the labels' entropy that the clusters explain: 1 - H(labels | clusters) / H(labels).

    Best 1 (each cluster holds one label only), least 0; independent groupings score a little above 0. Not defined for a
    single label.

    Parameters
    ----------
    labels_true, labels_pred
        n labels each.

    References
    ----------
    Rosenberg and Hirschberg 2007, https://aclanthology.org/D07-1043

    Examples
    --------
    >>> round(homogeneity(["a", "a", "b", "b"], [1, 2, 3, 3]).value, 4)
    1.0
    """
    from sklearn.metrics import homogeneity_score

    return _agreement(homogeneity_score, labels_true, labels_pred, several_labels=True)


def completeness(labels_true: Any, labels_pred: Any) -> Measurement:
    """Share of the clusters' entropy that the labels explain: 1 - H(clusters | labels) / H(clusters).

    Best 1 (each label lies within one cluster, also where there is only one cluster), least 0; independent groupings
    score a little above 0. Not defined for a single label.

    Parameters
    ----------
    labels_true, labels_pred
        n labels each.

    References
    ----------
    Rosenberg and Hirschberg 2007, https://aclanthology.org/D07-1043

    Examples
    --------
    >>> round(completeness(["a", "a", "b", "b"], [1, 2, 3, 3]).value, 4)
    0.6667
    """
    from sklearn.metrics import completeness_score

    return _agreement(completeness_score, labels_true, labels_pred, several_labels=True)


def v_measure(labels_true: Any, labels_pred: Any) -> Measurement:
    """Harmonic mean of homogeneity and completeness; the same number as the normalised mutual information.

    Best 1, least 0; independent groupings score a little above 0. Not defined for a single label.

    Parameters
    ----------
    labels_true, labels_pred
        n labels each.

    References
    ----------
    Rosenberg and Hirschberg 2007, https://aclanthology.org/D07-1043

    Examples
    --------
    >>> round(v_measure(["a", "a", "b", "b"], [1, 2, 3, 3]).value, 4)
    0.8
    """
    from sklearn.metrics import v_measure_score

    return _agreement(v_measure_score, labels_true, labels_pred, several_labels=True)


def adjusted_mutual_info(labels_true: Any, labels_pred: Any) -> Measurement:
    """Mutual information corrected for chance: (information - expected) / (mean entropy - expected).

    The mean is the arithmetic one. Best 1, chance 0; worse than chance is below 0. Not defined for a single label.

    Parameters
    ----------
    labels_true, labels_pred
        n labels each.

    References
    ----------
    Vinh et al. 2010, JMLR 11:2837

    Examples
    --------
    >>> adjusted_mutual_info(["a", "a", "b", "b"], [1, 1, 0, 0]).value
    1.0
    """
    from sklearn.metrics import adjusted_mutual_info_score

    return _agreement(adjusted_mutual_info_score, labels_true, labels_pred, several_labels=True)


def _agreement(
    score: Callable[..., float], labels_true: Any, labels_pred: Any, *, several_labels: bool = False
) -> Measurement:
    true = labels(labels_true, "labels_true")
    predicted = labels(labels_pred, "labels_pred", len(true))
    units = Units("cell", true.ids, columns={"label": true.codes, "cluster": predicted.codes})
    counts = {"used": len(true), "left_out": 0, "labels": len(true.names), "clusters": len(predicted.names)}
    if len(true.names) == len(predicted.names) == 1:
        return Measurement(math.nan, "labels and clusters hold one group each", units, counts)
    if several_labels and len(true.names) == 1:
        return Measurement(math.nan, f"all cells have one label, {true.names[0]!r}", units, counts)
    n = len(true)
    notes = {
        "every cell has a label of its own": len(true.names) == n,
        "every cell is a cluster of its own": len(predicted.names) == n,
        "all cells have one label": len(true.names) == 1,
        "all cells are in one cluster": len(predicted.names) == 1,
    }
    details = noted({}, *(note for note, holds in notes.items() if holds))
    return Measurement(float(score(true.codes, predicted.codes)), None, units, counts, details)
