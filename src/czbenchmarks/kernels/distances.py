"""The precision in which distances are computed.

The relative error of every distance is bounded (see ``compiled``), so single precision is enough wherever the
coordinates themselves fit in it. Those that do not are worked on in double precision.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

_USUAL = (1e-12, 1e12)  # largest magnitudes whose squares stay far from overflow and underflow in single precision


def in_working_precision(X: Floats) -> tuple[Floats, float]:
    """Return coordinates as rows of float32 if they fit exactly, else of float64, and the unit they are in.

    Parameters
    ----------
    X
        n x d, finite.

    Returns
    -------
    Contiguous n x d points (`X` itself where nothing had to change), and a power of two: ``X = points * unit``.
    """
    largest = float(np.abs(X).max(initial=0.0))
    unit = 1.0
    if largest > 0 and not _USUAL[0] < largest < _USUAL[1]:
        unit = 2.0 ** float(np.clip(np.ceil(np.log2(largest)), -1000, 1000))  # a power of two: dividing rounds nothing
        X = X.astype(np.float64) / unit
    if X.dtype == np.float32:
        return np.ascontiguousarray(X), unit
    if X.dtype.itemsize <= 4:  # half precision
        return np.ascontiguousarray(X, dtype=np.float32), unit
    single = X.astype(np.float32)
    fits = all((single[low : low + _ROWS] == X[low : low + _ROWS]).all() for low in range(0, len(X), _ROWS))
    return np.ascontiguousarray(single if fits else X, dtype=np.float32 if fits else np.float64), unit


_ROWS = 4096


def unit_vectors(X: Floats) -> Floats:
    """Return the rows divided by their length, n x d, as ``float64``.

    Parameters
    ----------
    X
        n x d, finite, no row of zeros.
    """
    scaled = X / np.abs(X).max(axis=1, keepdims=True).astype(np.float64)  # no overflow, whatever the unit
    return scaled / np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]


def relative_slack(d: int, dtype: np.dtype[np.floating]) -> float:
    """Return a bound on the relative error of a squared distance of `d` coordinates, as ``compiled`` finds it.

    In whatever order they are added, norms and product err by at most (d + 4) eps of the sum of both squared norms,
    the centring included, a little more where d is large; a distance below `CANCELLED` of that sum is found in another
    way.
    """
    from .compiled import CANCELLED

    return float(np.finfo(dtype).eps) * (1.25 * d + 16.0) / CANCELLED
