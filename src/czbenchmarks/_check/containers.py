"""What users hold their values in: containers of other libraries made into those of NumPy, SciPy and pandas.

Taken are polars, pyarrow, dask, xarray, PyTorch, JAX, CuPy, h5py and zarr, and numbers of ml_dtypes (bfloat16). None of
these libraries is imported: a value says by its class where it is from.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks.exceptions import InputError, InputTypeError


def plain(value: Any, name: str) -> Any:
    """Return values in a container of NumPy, SciPy or pandas; what is in one already is returned as it is.

    Raises ``TypeError`` if the container holds values and does not give them: on another device, of an unknown
    precision, not computed yet. The sentence names the container and the conversion.
    """
    library = next((word for word in map(_library, type(value).__mro__) if word in _CONVERTERS), None)
    if library is None:
        return _native_entries(value) if hasattr(value, "tocsr") else _native(value)
    try:
        found = _CONVERTERS[library](value)
    except _Unusable as error:
        raise InputTypeError(f"`{name}` must hold its values, got {_kind(value)}; {error}.") from None
    except Exception as error:  # noqa: BLE001 - whatever that library raises
        raise InputTypeError(_not_given(value, name, error)) from None
    return _native(found)


def as_array(value: Any, name: str) -> NDArray[Any]:
    """Return what `numpy.asarray` makes of a value; what it raises is one sentence."""
    try:
        return native(np.asarray(value))
    except Exception as error:  # noqa: BLE001 - whatever a class raises that says it is an array
        if isinstance(value, (list, tuple)) and isinstance(error, ValueError):
            raise InputError(f"`{name}` must have rows of equal length, got rows of different lengths.") from None
        raise InputTypeError(_not_given(value, name, error)) from None


def native(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in the byte order of the machine, its numbers of a precision that NumPy has.

    Every bfloat16 number is a float32 number, and so are the smaller ones of ml_dtypes.
    """
    kind = array.dtype
    if _library(kind.type) == "ml_dtypes":
        return array.astype(np.int64 if "int" in kind.name else np.float32)
    if not kind.isnative and kind.names is None:
        return array.astype(kind.newbyteorder("="))
    return array


def _native(value: Any) -> Any:
    return native(value) if isinstance(value, np.ndarray) else value


def _native_entries(matrix: Any) -> Any:
    """Return a sparse matrix in the byte order of the machine: SciPy computes with no other."""
    if matrix.dtype.isnative or not hasattr(matrix, "data"):
        return matrix
    found = copy.copy(matrix)
    found.data = native(found.data)
    return found


def is_lazy(adata: Any) -> bool:
    """Tell whether parts of an AnnData are read when asked for: it was opened with read_lazy, or made with dask."""
    parts = [adata.obs, adata.var, adata.X, *adata.layers.values(), *adata.obsm.values()]
    return any(type(part).__module__.startswith(("dask", "anndata._core.xarray")) for part in parts)


def is_table(value: Any) -> bool:
    """Tell a table of pandas."""
    return hasattr(value, "columns") and hasattr(value, "index")


class _Unusable(Exception):
    """What to do with a container that holds no values."""


def _library(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    name = f"{_library(type(value))}.{type(value).__name__}"
    return f"{name} of shape {tuple(shape)}" if isinstance(shape, tuple) else name


def _not_given(value: Any, name: str, error: Exception) -> str:
    why = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    hint = "convert it to a NumPy array of float32"
    if "ensor" in why or "ScalarType" in why:
        hint += ", a tensor by .detach().cpu().float().numpy()"
    return f"`{name}` must be an array, sparse matrix or table, got {_kind(value)}, which gives none ({why}); {hint}."


def _of_polars(value: Any) -> Any:
    import pandas as pd

    if hasattr(value, "collect"):
        raise _Unusable("it is not computed yet: call .collect()")
    if hasattr(value, "get_columns"):
        return pd.DataFrame({column.name: _series_of_polars(column) for column in value.get_columns()})
    return _series_of_polars(value) if hasattr(value, "to_numpy") else value


def _series_of_polars(column: Any) -> Any:
    import pandas as pd

    if column.null_count() or str(column.dtype).startswith(("List", "Array", "Struct", "Object")):
        return pd.Series(column.to_list(), name=column.name)
    return pd.Series(column.to_numpy(), name=column.name)


def _of_pyarrow(value: Any) -> Any:
    return value.to_pandas() if hasattr(value, "to_pandas") else value


def _of_dask(value: Any) -> Any:
    import scipy.sparse as sp

    if not hasattr(value, "to_delayed") or not hasattr(value, "chunks"):
        return value.compute() if hasattr(value, "compute") else value
    if any(size != size for sizes in value.chunks for size in sizes):
        raise _Unusable("the sizes of its chunks are not known: call .compute()")
    if value.ndim != 2 or not _holds_sparse(value):
        return np.asarray(value.compute())
    import dask  # type: ignore[import-not-found, unused-ignore]

    rows = dask.compute(value.to_delayed().tolist())[0]
    return sp.vstack([sp.hstack(blocks) for blocks in rows], format="csr")


def _holds_sparse(value: Any) -> bool:
    """Tell whether the blocks of a dask array are sparse matrices; it says so by an empty one, or by its first."""
    import scipy.sparse as sp

    return sp.issparse(value._meta) or sp.issparse(value.blocks[(0,) * value.ndim].compute())


def _of_torch(value: Any) -> Any:
    if not hasattr(value, "detach"):
        return value
    if value.is_meta:
        raise _Unusable("it is on the device 'meta', which holds none")
    value = value.detach().cpu()
    if str(value.layout) != "torch.strided":
        value = value.to_dense()
    if str(value.dtype) in ("torch.bfloat16",) or "float8" in str(value.dtype):
        value = value.float()
    if value.is_quantized:
        value = value.dequantize()
    return value.resolve_conj().resolve_neg().numpy()


def _of_xarray(value: Any) -> Any:
    return value.to_numpy() if hasattr(value, "to_numpy") else value.to_dataframe()


def _of_anndata(value: Any) -> Any:
    return value.to_memory() if hasattr(value, "to_memory") and not hasattr(value, "obsm") else value


def _of_cupy(value: Any) -> Any:
    return value.get() if hasattr(value, "get") else value


def _in_file(value: Any) -> Any:
    if type(value).__name__ == "Empty":
        raise _Unusable("the file holds no values there")
    return value[...] if hasattr(value, "shape") and hasattr(value, "dtype") else value


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "polars": _of_polars,
    "pyarrow": _of_pyarrow,
    "dask": _of_dask,
    "dask_expr": _of_dask,
    "torch": _of_torch,
    "xarray": _of_xarray,
    "anndata": _of_anndata,
    "cupy": _of_cupy,
    "cupyx": _of_cupy,
    "jaxlib": np.asarray,
    "jax": np.asarray,
    "h5py": _in_file,
    "zarr": _in_file,
}
