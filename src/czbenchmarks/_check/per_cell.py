"""Labels and other values of cells that users give, one per cell: checked once, and coded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks.exceptions import InputAssertionError, InputError, InputTypeError

from .containers import as_array, native, plain
from .text import decoded
from .values import TOO_LARGE, unmasked
from .words import kind_of, listing


@dataclass(frozen=True)
class Labels:
    """Checked labels: one integer code per cell, codes following the alphabetical order of the names.

    Attributes
    ----------
    values
        The distinct labels as they were given, in the order of `names`; None where they are the names.
    """

    codes: NDArray[np.int64]  # n codes, ``int64``, 0 to ``len(names) - 1``; every code occurs
    names: NDArray[np.object_]  # the distinct labels as text, sorted
    ids: NDArray[Any]  # what names each cell: the index of a Series, else positions
    merged: tuple[str, ...] = ()  # names that several values have as text, such as 1 and "1"
    values: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Cells per label."""
        return np.bincount(self.codes, minlength=len(self.names))

    @property
    def array(self) -> NDArray[Any]:
        """The label of every cell as it was given: numbers remain numbers."""
        return (self.names if self.values is None else self.values)[self.codes]

    def take(self, keep: NDArray[Any]) -> Labels:
        """Return the labels of some cells, names that no longer occur dropped."""
        present, codes = np.unique(self.codes[keep], return_inverse=True)
        values = None if self.values is None else self.values[present]
        return Labels(codes.astype(np.int64), self.names[present], self.ids[keep], self.merged, values)


def labels(value: Any, name: str, n: int | None = None) -> Labels:
    """Check labels of any accepted container and code them.

    Taken are a list, array, Series, Index or Categorical of text, numbers or booleans; `Labels` pass through. `n` is
    the number of cells they must have.
    """
    import pandas as pd

    if isinstance(value, Labels):
        found = value
    else:
        values = one_dimensional(value, name)
        missing = int(pd.isna(values).sum())
        if missing:
            raise InputError(
                f"`{name}` must name every cell, got {missing:,} missing of {len(values):,}; drop or label those cells."
            )
        first, distinct = pd.factorize(values)
        text = np.asarray([str(v) for v in distinct], dtype=object)
        order, where, inverse, values_of = np.unique(text, return_index=True, return_inverse=True, return_counts=True)
        merged = tuple(map(str, order[values_of > 1]))
        given = None if all(isinstance(v, str) for v in distinct) else distinct[where]
        if given is not None and given.dtype == object and len({type(v) for v in given}) == 1:
            given = np.array(given.tolist())  # numbers of a list
        found = Labels(inverse.astype(np.int64)[first], order, cell_ids(value, len(values)), merged, given)
    if n is not None:
        same_length(len(found), n, name)
    if len(found) == 0:
        raise InputError(f"`{name}` must have at least one entry, got none.")
    return found


def cell_ids(value: Any, n: int) -> NDArray[Any]:
    """Return what names each cell: the index of a Series, else positions."""
    import pandas as pd

    if isinstance(value, Labels):
        return value.ids
    return value.index.to_numpy() if isinstance(value, pd.Series) else np.arange(n)


def same_length(got: int, expected: int, name: str, what: str = "cell", hint: str = "") -> None:
    """Refuse labels whose number differs from that of the cells."""
    if got != expected:
        raise InputAssertionError(
            f"`{name}` must have the same length as the data, one entry per {what}: expected {expected:,}, "
            f"got {got:,}{hint}."
        )


def one_dimensional(value: Any, name: str) -> NDArray[Any]:
    """Return a label container, or `Labels`, as a 1-d array, refusing text, mappings, tables and nested lists."""
    import pandas as pd

    if isinstance(value, Labels):
        return value.array
    if value is None:
        raise InputTypeError(f"`{name}` must be one label per cell, got None; pass a column of `obs`.")
    if isinstance(value, (str, bytes)):
        raise InputTypeError(f"`{name}` must be one label per cell, got the text {value!r}; pass the column itself.")
    value = plain(value, name)
    if isinstance(value, pd.api.extensions.ExtensionArray) and not isinstance(value, pd.Categorical):
        value = pd.Series(value)
    if isinstance(value, (pd.Series, pd.Index, pd.Categorical)):
        array = native(np.asarray(value.astype(object) if isinstance(value.dtype, pd.CategoricalDtype) else value))
    elif isinstance(value, np.ndarray) or (isinstance(value, Sequence) and not isinstance(value, dict)):
        if isinstance(value, np.ndarray):
            array = unmasked(value, name)
        else:
            array = np.empty(len(value), dtype=object)
            array[:] = list(value)
    elif hasattr(value, "__array__") and not hasattr(value, "columns"):
        array = as_array(value, name)
    else:
        raise InputTypeError(f"`{name}` must be a list, array or Series of labels, got {kind_of(value)}.")
    array = decoded(array)
    if array.ndim != 1:
        raise InputError(f"`{name}` must be one-dimensional, got shape {array.shape}; pass one label per cell.")
    if array.dtype.kind in "cV":
        raise InputTypeError(f"`{name}` must hold text, numbers or booleans, got {array.dtype}.")
    if array.dtype == object:
        kinds = set(map(type, array))  # few, whatever the number of cells
        if any(issubclass(kind, (list, tuple, np.ndarray, dict, set)) for kind in kinds):
            raise InputError(f"`{name}` must be one-dimensional, got nested entries; pass one label per cell.")
        if any(issubclass(kind, (complex, np.complexfloating)) for kind in kinds):
            raise InputTypeError(f"`{name}` must hold text, numbers or booleans, got complex numbers.")
    return array


def numbers(value: Any, name: str, n: int | None = None) -> NDArray[np.float64]:
    """Return labels as numbers; text that reads as a number counts as one."""
    import pandas as pd

    array = one_dimensional(value, name)
    missing = int(pd.isna(array).sum())
    if missing:
        raise InputError(f"`{name}` must name every cell, got {missing:,} missing of {len(array):,}; drop those cells.")
    try:
        found = array.astype(np.float64)
    except OverflowError:
        raise InputError(f"`{name}` must be numbers that fit a float, got a larger one; rescale them.") from None
    except (ValueError, TypeError):
        wrong = next((v for v in array if not _is_number(v)), array[0])
        what = "Labels" if name.endswith("labels") else "Values"
        raise InputError(
            f"{what} must be numeric or convertible to numeric, since their order is scored: `{name}` holds {wrong!r}; "
            "pass time as numbers."
        ) from None
    if not np.isfinite(found).all():
        bad = int((~np.isfinite(found)).sum())
        raise InputError(f"`{name}` must be finite numbers, got {bad:,} NaN or infinite values.")
    if np.abs(found).max(initial=0.0) >= TOO_LARGE:
        raise InputError(f"`{name}` must stay below {TOO_LARGE:g} in magnitude so that differences exist; rescale it.")
    if n is not None:
        same_length(len(found), n, name)
    return found


def vector(value: Any, name: str) -> NDArray[np.float64]:
    """Return one-dimensional finite numbers."""
    array = one_dimensional(value, name)
    try:
        found = array.astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InputTypeError(f"`{name}` must hold numbers, got {listing(array)}.") from None
    if not np.isfinite(found).all():
        raise InputError(f"`{name}` must be finite, got {int((~np.isfinite(found)).sum()):,} NaN or infinite values.")
    return found


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return False
    return True


def at_least_two(found: Labels, name: str, what: str = "labels") -> None:
    """Refuse labels that hold a single value where at least two are compared."""
    if len(found.names) < 2:
        raise InputError(
            f"`{name}` must hold at least two {what} for a score to exist, got only {found.names[0]!r} "
            f"for all {len(found):,} cells."
        )
