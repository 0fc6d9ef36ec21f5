"""The border: input is checked here, once, and every error sentence is built here.

A sentence says what must hold, what was given and what to do. Bad values raise ``ValueError``, wrong kinds
``TypeError``. What comes out is what kernels take: dense floating arrays and integer codes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks.exceptions import InputAssertionError, InputError, InputTypeError

from .containers import as_array, native, plain
from .text import decoded
from .words import is_given as is_given
from .words import kind_of as kind_of
from .words import listing as listing
from .words import printable as printable
from .words import unknown as unknown


@dataclass(frozen=True)
class Labels:
    """Checked labels: one integer code per cell, codes following the alphabetical order of the names.

    Attributes
    ----------
    codes
        n codes, ``int64``, 0 to ``len(names) - 1``; every code occurs.
    names
        The distinct labels as text, sorted.
    ids
        What names each cell: the index of a Series, else positions.
    merged
        Names that several values have as text, such as 1 and "1".
    values
        The distinct labels as they were given, in the order of `names`; None where they are the names.
    """

    codes: NDArray[np.int64]
    names: NDArray[np.object_]
    ids: NDArray[Any]
    merged: tuple[str, ...] = ()
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


def matrix(value: Any, name: str = "cell_representation", *, keep_sparse: bool = False) -> Any:
    """Return `value` as a finite n x d floating array; float32 and float64 keep their precision.

    Parameters
    ----------
    value
        NumPy array, SciPy sparse matrix or array, DataFrame, or a container of another library (`plain`). It is never
        changed; a dense floating array is not copied.
    name
        How the sentence calls it.
    keep_sparse
        Return sparse input as csr instead of dense.
    """
    import scipy.sparse as sp

    if hasattr(value, "X") and hasattr(value, "obsm"):
        raise InputTypeError(
            f"`{name}` must be an array of cells x dimensions, got an AnnData; pass its `.X` or one of its `.obsm`."
        )
    value = plain(value, name)
    if sp.issparse(value):
        if value.ndim != 2:
            raise InputError(f"`{name}` must have two dimensions (cells x dimensions), got {value.ndim}.")
        array: Any = sp.csr_matrix(value)
        if not array.has_canonical_format:  # several entries of one place are a sum
            array = array.copy()
            array.sum_duplicates()
        data = floating(array.data, name)
        array = array if data is array.data else array.astype(data.dtype)
        _not_empty(array, name)
        _finite(array.data, name)
        return array if keep_sparse else array.toarray()
    if hasattr(value, "to_numpy") and hasattr(value, "columns"):
        kinds = {str(kind) for kind in value.dtypes if getattr(kind, "kind", "O") not in "fiub"}
        if kinds:
            raise InputTypeError(
                f"`{name}` must hold numbers only, got columns of {listing(sorted(kinds))}; drop them."
            )
        alike = len(set(value.dtypes)) == 1 and isinstance(value.dtypes.iloc[0], np.dtype)
        value = value.to_numpy() if alike else value.to_numpy(dtype=np.float64, na_value=np.nan)
    if not isinstance(value, np.ndarray):
        if not isinstance(value, (list, tuple)) and not hasattr(value, "__array__"):
            raise InputTypeError(f"`{name}` must be an array, sparse matrix or DataFrame, got {kind_of(value)}.")
        value = as_array(value, name)
    array = floating(_unmasked(value, name), name)
    if array.ndim != 2:
        raise InputError(f"`{name}` must have two dimensions (cells x dimensions), got shape {array.shape}.")
    _not_empty(array, name)
    _finite(array, name)
    return array


def _unmasked(value: Any, name: str) -> NDArray[Any]:
    """Return an array without a mask; masked values are missing values."""
    masked = int(np.ma.getmaskarray(value).sum()) if isinstance(value, np.ma.MaskedArray) else 0
    if masked:
        raise InputError(f"`{name}` must have every value, got {masked:,} masked; remove those cells or fill them in.")
    return np.asarray(value)


def floating(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return an array of real numbers in floating point; float32 and float64 keep their precision."""
    array = native(array)
    if array.dtype == np.dtype("V2"):
        raise InputTypeError(
            f"`{name}` must hold numbers, got values of two bytes without a type, as NumPy writes bfloat16; save them "
            "as float32: array.astype('float32')."
        )
    if array.dtype.kind == "c":
        raise InputTypeError(f"`{name}` must hold real numbers, got {array.dtype}; pass its real part or its modulus.")
    if array.dtype.kind not in "fiub":
        raise InputTypeError(f"`{name}` must hold numbers, got dtype {array.dtype}; convert it to float.")
    if array.dtype == np.float64 or array.dtype == np.float32:
        return array
    return array.astype(np.float32 if array.dtype == np.float16 else np.float64)


def _not_empty(array: Any, name: str) -> None:
    if 0 in array.shape:
        raise InputError(f"`{name}` must hold at least one cell and one dimension, got shape {array.shape}.")


_TOO_LARGE = 1e150  # squared distances would overflow
_TOO_SMALL = 1e-140  # or underflow


@dataclass
class Magnitudes:
    """What the values of a matrix are checked for, block by block: `see` each, then `refuse`.

    Attributes
    ----------
    largest
        The largest magnitude seen.
    bad
        Values that are not finite.
    rows
        Rows that hold such; None if a block did not hold whole rows.
    """

    largest: float = 0.0
    bad: int = 0
    rows: int | None = 0

    def see(self, values: NDArray[Any]) -> None:
        """Look at a block of whole rows, or at any values as a vector."""
        # NaN and infinities reach the extremes: two passes without a mask in the usual case.
        largest = max(float(values.max()), -float(values.min())) if values.size else 0.0
        if math.isfinite(largest):
            self.largest = max(self.largest, largest)
            return
        bad = ~np.isfinite(values)
        self.bad += int(bad.sum())
        self.rows = None if values.ndim == 1 or self.rows is None else self.rows + int(bad.any(axis=1).sum())

    def refuse(self, name: str) -> None:
        """Refuse what was seen if scores would not exist on it."""
        if self.bad:
            rows = f" in {self.rows:,} rows" if self.rows else ""
            raise InputError(
                f"`{name}` must be finite, got {self.bad:,} NaN or infinite values{rows}; remove or impute them."
            )
        if self.largest >= _TOO_LARGE:
            raise InputError(
                f"`{name}` must stay below {_TOO_LARGE:g} in magnitude so that distances exist; rescale it."
            )
        if 0 < self.largest <= _TOO_SMALL:
            raise InputError(f"`{name}` must exceed {_TOO_SMALL:g} in magnitude so that distances exist; rescale it.")


def _finite(values: NDArray[Any], name: str) -> None:
    seen = Magnitudes()
    seen.see(values)
    seen.refuse(name)


def labels(value: Any, name: str, n: int | None = None) -> Labels:
    """Check labels of any accepted container and code them.

    Parameters
    ----------
    value
        List, array, Series, Index or Categorical of text, numbers or booleans; `Labels` pass through.
    name
        How the sentence calls them.
    n
        Number of cells they must have.
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
            array = _unmasked(value, name)
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
    if np.abs(found).max(initial=0.0) >= _TOO_LARGE:
        raise InputError(f"`{name}` must stay below {_TOO_LARGE:g} in magnitude so that differences exist; rescale it.")
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


def whole(value: Any, name: str, least: int, most: int | None = None) -> int:
    """Return a whole number of at least `least` (and at most `most`)."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise InputTypeError(f"`{name}` must be a whole number, got {value!r}.")
    if value < least or (most is not None and value > most):
        span = f"at least {least:,}" if most is None else f"between {least:,} and {most:,}"
        if least == 1 and most is None:
            span = "a positive integer, at least 1"
        raise InputError(f"`{name}` must be {span}, got {int(value):,}.")
    return int(value)


def seed(value: Any, name: str = "random_seed") -> int:
    """Return a seed that every generator takes."""
    return whole(value, name, 0, 2**32 - 1)


def share(value: Any, name: str, *, least: bool = False, most: bool = False) -> float:
    """Return a number between 0 and 1; with `least` 0 itself is allowed too, with `most` 1."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InputTypeError(f"`{name}` must be a number between 0 and 1, got {value!r}.")
    if not (0 < value < 1 or (least and value == 0) or (most and value == 1)):
        low, high = "at least 0" if least else "above 0", "at most 1" if most else "less than 1"
        raise InputError(f"`{name}` must be {low} and {high}, got {value:g}.")
    return float(value)


def at_least_two(found: Labels, name: str, what: str = "labels") -> None:
    """Refuse labels that hold a single value where at least two are compared."""
    if len(found.names) < 2:
        raise InputError(
            f"`{name}` must hold at least two {what} for a score to exist, got only {found.names[0]!r} "
            f"for all {len(found):,} cells."
        )
