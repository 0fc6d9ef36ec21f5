"""What makes ARPACK's iterations repeatable beyond their first vector."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np


def restarts(solver: Callable[..., Any], seed: int) -> dict[str, Any]:
    """Return the argument that fixes the vectors from which ``scipy.sparse.linalg.eigsh`` or ``svds`` begins anew.

    Where many cells are at one place, the iterations come to an end early and begin anew from a drawn vector. Before
    SciPy 1.17 ARPACK drew it from a stream of its own, which nothing fixes.
    """
    return {"rng": np.random.default_rng(seed)} if "rng" in inspect.signature(solver).parameters else {}
