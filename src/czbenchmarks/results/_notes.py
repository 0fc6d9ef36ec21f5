"""What a reader must know of a number beside it: an estimate's error, and a way of computing that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def how_computed(details: Mapping[str, Any] | None) -> str | None:
    """Say in a few words how a score was computed, if not from all cells and exactly.

    Parameters
    ----------
    details
        Those of the score.
    """
    known = details or {}
    parts = []
    if "estimated_from" in known:
        parts.append(f"estimated from {known['estimated_from']:,} cells, standard error {known['standard_error']:.2g}")
    if known.get("neighbors") == "given":
        parts.append("neighbours given")
    elif "neighbors" in known:
        recall = known.get("neighbors_recall")
        parts.append(f"{known['neighbors']} neighbours" + ("" if recall is None else f", recall {recall:.3f}"))
    if "engine" in known:
        parts.append(f"{known['engine']} engine")
    return "; ".join(parts) or None
