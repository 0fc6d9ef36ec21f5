"""Rows of labels and of the confusion matrix, against scikit-learn and against counting one by one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from czbenchmarks.tasks.classification.tables import confusion, per_class

NAMES = np.array(["B", "NK", "T", "mast", "none"], dtype=object)


def draw(seed, n=60):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 4, n)
    return true, np.where(rng.random(n) < 0.4, rng.integers(0, 4, n), true)


def slow_per_class(true, predicted, names):
    """Count every label one by one."""
    rows = []
    for i, name in enumerate(names):
        cells = sum(t == i for t in true)
        called = sum(p == i for p in predicted)
        right = sum(t == p == i for t, p in zip(true, predicted, strict=True))
        if cells + called:
            rows.append(
                {
                    "label": name,
                    "cells": cells,
                    "precision": right / called if called else math.nan,
                    "recall": right / cells if cells else math.nan,
                    "f1": 2 * right / (cells + called),
                }
            )
    return rows


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**16), n=st.integers(1, 40))
def test_as_counted_one_by_one(seed, n):
    true, predicted = draw(seed, n)
    found, expected = per_class(true, predicted, NAMES), slow_per_class(true, predicted, NAMES)
    assert [list(row) for row in found] == [list(row) for row in expected]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, nan_ok=True)
    counts = {}
    for pair in zip(true, predicted, strict=True):
        counts[pair] = counts.get(pair, 0) + 1
    assert confusion(true, predicted, NAMES) == [
        {"true": NAMES[t], "predicted": NAMES[p], "cells": counts[t, p]} for t, p in sorted(counts)
    ]


def test_as_scikit_learn():
    true, predicted = draw(0, 400)
    precision, recall, f1, cells = precision_recall_fscore_support(true, predicted)
    for i, row in enumerate(per_class(true, predicted, NAMES)):
        assert (row["label"], row["cells"]) == (NAMES[i], cells[i])
        assert (row["precision"], row["recall"], row["f1"]) == pytest.approx((precision[i], recall[i], f1[i]))
    matrix = confusion_matrix(true, predicted)
    rows = confusion(true, predicted, NAMES)
    assert len(rows) == np.count_nonzero(matrix)
    for row in rows:
        at = [NAMES.tolist().index(row[side]) for side in ("true", "predicted")]
        assert row["cells"] == matrix[at[0], at[1]]


def test_what_was_not_predicted_is_left_out_and_nothing_to_count_is_nan():
    true, predicted = np.array([0, 0, 1, 1, 2]), np.array([0, 0, 0, -1, -1])
    first, second = per_class(true, predicted, NAMES)
    assert first == {"label": "B", "cells": 2, "precision": 2 / 3, "recall": 1.0, "f1": 0.8}
    assert (second["label"], second["cells"], second["recall"], second["f1"]) == ("NK", 1, 0.0, 0.0)
    assert math.isnan(second["precision"])
    assert confusion(true, predicted, NAMES) == [
        {"true": "B", "predicted": "B", "cells": 2},
        {"true": "NK", "predicted": "B", "cells": 1},
    ]
    # A label that is called and never true has no recall.
    assert math.isnan(per_class(np.array([0]), np.array([1]), NAMES)[1]["recall"])
    nothing = np.empty(0, dtype=np.int64)
    assert per_class(nothing, nothing, NAMES) == confusion(nothing, nothing, NAMES) == []
