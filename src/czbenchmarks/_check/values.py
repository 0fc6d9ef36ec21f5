"""Matrices and numbers that users give: checked once, and made into what kernels take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks.exceptions import InputError, InputTypeError

from .containers import as_array, native, plain
from .words import kind_of, listing

TOO_LARGE = 1e150  # squared distances would overflow
_TOO_SMALL = 1e-140  # or underflow


def matrix(value: Any, name: str = "cell_representation", *, keep_sparse: bool = False) -> Any:
    """Return `value` as a finite n x d floating array; float32 and float64 keep their precision.

    Taken are NumPy arrays, SciPy sparse matrices or arrays, DataFrames, and containers of other libraries (`plain`).
    They are never changed; a dense floating array is not copied. With `keep_sparse`, sparse input comes back as csr.
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
    array = floating(unmasked(value, name), name)
    if array.ndim != 2:
        raise InputError(f"`{name}` must have two dimensions (cells x dimensions), got shape {array.shape}.")
    _not_empty(array, name)
    _finite(array, name)
    return array


def unmasked(value: Any, name: str) -> NDArray[Any]:
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


@dataclass
class Magnitudes:
    """What the values of a matrix are checked for, block by block: `see` each, then `refuse`."""

    largest: float = 0.0  # magnitude seen
    bad: int = 0  # values that are not finite
    rows: int | None = 0  # that hold such; None if a block did not hold whole rows

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
        if self.largest >= TOO_LARGE:
            raise InputError(
                f"`{name}` must stay below {TOO_LARGE:g} in magnitude so that distances exist; rescale it."
            )
        if 0 < self.largest <= _TOO_SMALL:
            raise InputError(f"`{name}` must exceed {_TOO_SMALL:g} in magnitude so that distances exist; rescale it.")


def _finite(values: NDArray[Any], name: str) -> None:
    seen = Magnitudes()
    seen.see(values)
    seen.refuse(name)


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
