"""What a reader must know of a number beside it: an estimate's error, how it was computed, what a mean leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def how_computed(details: Mapping[str, Any] | None) -> str | None:
    """Say in a few words how a score was computed, if not from all cells, exactly, and from all it is the mean of."""
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
    if "scores_left_out" in known:
        parts.append(f"without {', '.join(known['scores_left_out'])}")
    return "; ".join(parts) or None
