"""What results under several seeds have in common, and where they differ."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

BY_SEED = "by_seed"


def over_seeds(
    counts: Sequence[Mapping[str, int] | None], details: Sequence[Mapping[str, Any] | None]
) -> tuple[dict[str, int] | None, dict[str, Any] | None]:
    """Return the counts and details of a score from those of the seeds that gave a value.

    What is the same under every seed stays. Of numbers that differ it is the mean, as the value is (of counts to the
    nearest whole number), and of notes each once; ``by_seed`` of the details then holds the value of every seed.
    """
    differ: dict[str, list[Any]] = {}
    merged_counts = {
        name: round(value) for name, value in _merged([one or {} for one in counts], differ, "counts.").items()
    }
    merged = _merged([one or {} for one in details], differ, "")
    if differ:
        merged[BY_SEED] = differ
    return merged_counts or None, merged or None


def _merged(parts: list[Mapping[str, Any]], differ: dict[str, list[Any]], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        values: list[Any] = [part.get(name) for part in parts]
        if all(value == values[0] for value in values):
            found[name] = values[0]
            continue
        differ[prefix + name] = values
        if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
            found[name] = statistics.fmean(values)
        elif name == "note":
            found[name] = "; ".join(dict.fromkeys(note for value in values if value for note in value.split("; ")))
    return found


def rows_of_seeds(tables: Sequence[list[dict[str, Any]]], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Return the breakdown of a score: that of all seeds if it is the same, else the rows of each, with the seed."""
    filled = [table for table in tables if table]
    if all(table == filled[0] for table in filled[1:]):
        return filled[0] if filled else []
    return [{**row, "seed": seed} for seed, table in zip(seeds, tables, strict=True) for row in table]
