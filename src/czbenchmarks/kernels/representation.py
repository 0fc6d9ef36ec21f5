"""One embedding, prepared once and shared by every task that scores it."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .neighbors import Neighbors, exact_neighbors


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
    """

    def __init__(self, values: Any, max_neighbors: int = 0) -> None:
        self.values = values
        self.max_neighbors = max_neighbors
        self._dense: NDArray[np.floating] | None = None
        self._neighbors: Neighbors | None = None
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the lock out, so that it can be sent to another process."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.RLock())

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
        """Return the `k` nearest cells of every cell, itself first; at most all `n`."""
        k = min(k, self.n)
        with self._lock:
            if self._neighbors is None or self._neighbors.k < k:
                self._neighbors = exact_neighbors(self.array, min(max(k, self.max_neighbors), self.n))
            return self._neighbors.first(k)
