"""Coded labels remember what they were made of."""

import numpy as np
import pandas as pd
import pytest

from czbenchmarks._check import cell_ids, labels, numbers, one_dimensional


@pytest.mark.parametrize(
    "given",
    [
        np.array([3, 1, 2, 3], dtype="i2"),
        np.array([0.1, 0.3, 0.2, 0.1], dtype="f4"),
        np.array([True, False, False, True]),
        np.array(["b", "a", "c", "b"]),
        pd.Series([10.0, 9.0, 8.0, 10.0], index=list("wxyz")),
        pd.Categorical([4, 2, 4, 3], categories=[4, 3, 2, 1]),
        [1, 10, 2, 1],
        ["b", "a", "c", "b"],
    ],
    ids=["integers", "single precision", "booleans", "text", "Series", "Categorical", "list of integers", "list"],
)
def test_the_labels_of_the_cells_come_back(given):
    coded = labels(given, "labels")
    assert coded.array.tolist() == list(given)
    assert coded.names[coded.codes].tolist() == [str(value) for value in given]
    assert one_dimensional(coded, "labels").tolist() == list(given)
    assert cell_ids(coded, 4).tolist() == coded.ids.tolist()
    some = coded.take(np.array([False, True, True, False]))
    assert some.array.tolist() == list(given)[1:3]
    if not isinstance(next(iter(given)), str):
        assert numbers(coded, "labels").tolist() == numbers(given, "labels").tolist()
        assert coded.array.dtype.kind in "biuf"


def test_values_of_several_kinds_stay_what_they_are():
    coded = labels([2, "x", 1.5, 2], "labels")
    assert coded.array.tolist() == [2, "x", 1.5, 2]
    merged = labels([1, "1", 2], "labels")
    assert merged.merged == ("1",)
    assert merged.array.tolist() == [1, 1, 2]  # what has one name is one label
