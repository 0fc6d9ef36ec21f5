"""The way from what a caller passes to what kernels take."""

from __future__ import annotations

from typing import Any

from czbenchmarks._check import matrix
from czbenchmarks.kernels.representation import Representation


def represent(value: Any, name: str = "cell_representation", *, keep_sparse: bool = False) -> Representation:
    """Return `value` as a checked ``Representation``; one that is passed comes back as it is.

    Parameters
    ----------
    value
        n x d NumPy array, SciPy sparse matrix or array, DataFrame, or ``Representation``.
    name
        How an error sentence calls it.
    keep_sparse
        Keep sparse input sparse until a dense array is asked for.

    Raises
    ------
    ValueError
        If it is not two-dimensional, empty, or holds NaN or infinite values.
    TypeError
        If it does not hold real numbers.

    Examples
    --------
    >>> represent([[0, 1], [2, 3]]).array
    array([[0., 1.], [2., 3.]])
    """
    if isinstance(value, Representation):
        return value
    return Representation(matrix(value, name, keep_sparse=keep_sparse))
