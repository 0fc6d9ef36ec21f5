"""What a value holds, as JSON: plain values as they are, anything larger by the SHA-256 of its content."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from czbenchmarks._check import Labels
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.results.provenance import sha256_of_array

if TYPE_CHECKING:
    import pandas as pd

_FEW = 10


class Contents:
    """Content of values; of an object that several tasks have, it is found once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, Any]] = {}

    def of(self, value: Any) -> Any:
        """Return the content of a value as JSON holds it; what cannot be read equals nothing else."""
        if isinstance(value, (str, int, float, bool, type(None))):
            return value
        known = self._known.get(id(value))
        if known is None:
            try:
                content = self._content(value)
            except Exception:  # noqa: BLE001 (what a score depends on may be strange; scoring it says so)
                content = {"unknown": uuid.uuid4().hex}
            self._known[id(value)] = known = (value, content)  # kept, or its id could be another's
        return known[1]

    def _content(self, value: Any) -> Any:
        import pandas as pd

        if isinstance(value, Mapping):
            return {str(key): self.of(one) for key, one in value.items()}
        if isinstance(value, np.generic):
            return self.of(value.item())
        if isinstance(value, (list, tuple)) and len(value) < _FEW:
            return [self.of(one) for one in value]
        if isinstance(value, Labels):
            return _hashed(sha256_of_array(value.codes), *map(str, value.names))
        if isinstance(value, Representation):
            return self.of(value.values)
        if hasattr(value, "tocsr"):
            return _hashed(sha256_of_array(value if hasattr(value, "indptr") else value.tocsr()))
        if isinstance(value, pd.DataFrame):
            return _hashed(self.of(value.index), *((name, _entries(column)) for name, column in value.items()))
        if isinstance(value, pd.Series):
            return _hashed(self.of(value.index), _entries(value))
        if isinstance(value, (list, tuple, np.ndarray, pd.Index)):
            array = np.asarray(value)
            numbers = array.dtype.char in "?bBhHiIlLqQefd"  # not those of 16 bytes, of which some are padding
            return _hashed(sha256_of_array(array) if numbers else _entries(pd.Series(array.ravel())))
        if hasattr(value, "obsm") and hasattr(value, "uns"):
            return _hashed(self.of(value.X), self.of(value.obs), self.of(value.var), self.of(dict(value.uns)))
        if type(value).__name__ == "Organism":
            return str(value)
        return {"unknown": uuid.uuid4().hex}


def hashes_among(contents: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes among contents, by name; of several values, as of several data sets, one of them all."""
    found = {}
    for name, content in contents.items():
        parts = content if isinstance(content, list) else [content]
        if parts and all(isinstance(part, dict) and "sha256" in part for part in parts):
            found[name] = parts[0]["sha256"] if parts is not content else _hashed(*parts)["sha256"]
    return found


def _entries(column: pd.Series[Any]) -> str:
    """Return a hash of the entries of a column; pandas hashes many names in little time."""
    from pandas.util import hash_pandas_object

    try:
        return sha256_of_array(hash_pandas_object(column, index=False).to_numpy())
    except (TypeError, ValueError):  # entries that are lists, or numbers of 16 bytes
        return sha256_of_array(hash_pandas_object(column.astype(str), index=False).to_numpy())


def _hashed(*parts: Any) -> dict[str, str]:
    return {"sha256": hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()}
