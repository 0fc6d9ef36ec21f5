"""What classifiers did with each label, from all their predictions: the rows beside their scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]


def per_class(true: Codes, predicted: Codes, names: NDArray[Any]) -> list[dict[str, Any]]:
    """Return one row per label that is true or predicted somewhere: cells, precision, recall, F1 (NaN of nothing).

    Labels are positions in `names`; cells of which nothing was predicted are negative, and left out.

    >>> per_class(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array(["B", "T"]))[0]
    {'label': 'B', 'cells': 2, 'precision': 1.0, 'recall': 0.5, 'f1': 0.6666666666666666}
    """
    there = predicted >= 0
    true, predicted = true[there], predicted[there]
    size = len(names)
    cells, called = (np.bincount(codes, minlength=size) for codes in (true, predicted))
    right = np.bincount(true[true == predicted], minlength=size)
    return [
        {
            "label": str(names[i]),
            "cells": int(cells[i]),
            "precision": _share(right[i], called[i]),
            "recall": _share(right[i], cells[i]),
            "f1": _share(2 * right[i], cells[i] + called[i]),
        }
        for i in np.flatnonzero(cells + called)
    ]


def confusion(true: Codes, predicted: Codes, names: NDArray[Any]) -> list[dict[str, Any]]:
    """Return one row per pair of true and predicted label that occurs; arguments as of ``per_class``.

    >>> confusion(np.array([0, 0, 0]), np.array([1, 0, 1]), np.array(["B", "T"]))
    [{'true': 'B', 'predicted': 'B', 'cells': 1}, {'true': 'B', 'predicted': 'T', 'cells': 2}]
    """
    there = predicted >= 0
    pairs, cells = np.unique(true[there] * len(names) + predicted[there], return_counts=True)
    return [
        {"true": str(names[pair // len(names)]), "predicted": str(names[pair % len(names)]), "cells": int(count)}
        for pair, count in zip(pairs, cells, strict=True)
    ]


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else math.nan
