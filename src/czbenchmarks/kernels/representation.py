"""One embedding, prepared once and shared by every task that scores it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Hashable
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from czbenchmarks.exceptions import InputError

from .neighbors import Neighbors, exact_neighbors

# Exact search takes four times as long for twice the cells: ten seconds for so many with 50 dimensions on two cores.
EXACT_UP_TO = 100_000

T = TypeVar("T")


def digest(*arrays: NDArray[Any]) -> str:
    """Return a short name of the contents of arrays of numbers, for ``Representation.once``."""
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


class Representation:
    """One embedding: checked, dense once, its neighbours once.

    Pass one to several tasks instead of the array, and what they share is computed once.

    Parameters
    ----------
    values
        Finite n x d floating array, or csr matrix; see ``czbenchmarks.tasks.represent`` for a checked one from any
        container.
    max_neighbors
        The largest number of neighbours (the cell itself included) anyone will ask for, if known: asking for fewer
        first then costs no second search.
    neighbors
        Neighbours of the n cells, to be used instead of a search.
    search
        ``"exact"``, ``"approximate"``, or ``"auto"``: exact up to 100,000 cells.
    """

    def __init__(
        self,
        values: Any,
        max_neighbors: int = 0,
        *,
        neighbors: Neighbors | None = None,
        search: Literal["auto", "exact", "approximate"] = "auto",
    ) -> None:
        if search not in ("auto", "exact", "approximate"):
            raise InputError(f"`search` must be 'auto', 'exact' or 'approximate', got {search!r}.")
        if neighbors is not None and len(neighbors.indices) != values.shape[0]:
            raise InputError(
                f"`neighbors` must be of the embedding's {values.shape[0]:,} cells, got those of "
                f"{len(neighbors.indices):,}."
            )
        self.values = values
        self.max_neighbors = max_neighbors
        self.search = search
        self._dense: NDArray[np.floating] | None = None
        self._neighbors = neighbors
        self._kept: dict[Any, Any] = {}
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the lock out, so that it can be sent to another process."""
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_kept")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _kept={}, _lock=threading.RLock())

    @property
    def n(self) -> int:
        """Number of cells."""
        return int(self.values.shape[0])

    @property
    def d(self) -> int:
        """Number of dimensions."""
        return int(self.values.shape[1])

    @property
    def array(self) -> NDArray[np.floating]:
        """The dense n x d array; made at first use if the embedding was sparse."""
        with self._lock:
            if self._dense is None:
                self._dense = self.values.toarray() if hasattr(self.values, "toarray") else self.values
            return self._dense

    def neighbors(self, k: int) -> Neighbors:
        """Return the `k` nearest cells of every cell, itself first; at most all `n`.

        Raises ``ValueError`` if neighbours were given and hold fewer.
        """
        k = min(k, self.n)
        with self._lock:
            found = self._neighbors
            if found is not None and found.search == "given" and found.k < k:
                raise InputError(
                    f"`neighbors` must hold {k:,} cells per cell, itself included, got {found.k:,}; compute as many "
                    f"(scanpy.pp.neighbors(adata, n_neighbors={k})) or leave it out."
                )
            if found is None or found.k < k:
                found = self._neighbors = self._found(min(max(k, self.max_neighbors), self.n))
            return found.first(k)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` gives; the second caller with the same key gets it without the work.

        What several metrics share (a clustering, a graph, silhouettes) is kept so, until ``forget``. A second thread
        waits for the first one's. `key` names what is made and everything it depends on beside the embedding; see
        ``digest`` for arrays.
        """
        with self._lock:
            if key not in self._kept:
                self._kept[key] = make()
            found: T = self._kept[key]
            return found

    @property
    def kept(self) -> frozenset[Hashable]:
        """The keys of what ``once`` has kept."""
        with self._lock:
            return frozenset(self._kept)

    def forget(self, but: Collection[Hashable] = ()) -> None:
        """Drop what ``once`` has kept, except under the keys in `but`; the neighbours stay."""
        with self._lock:
            self._kept = {key: found for key, found in self._kept.items() if key in but}

    def _found(self, k: int) -> Neighbors:
        if self.search == "approximate" or (self.search == "auto" and self.n > EXACT_UP_TO):
            from .approximate import approximate_neighbors

            return approximate_neighbors(self.array, k)
        return exact_neighbors(self.array, k)
