"""How far a value may be from the published package's, and why. The only place that says so."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """An allowed difference with its reason."""

    limit: float
    reason: str
    relative: bool = False

    def allows(self, ours: float, published: float) -> bool:
        """Whether the difference is within the limit."""
        return abs(ours - published) <= self.limit * (abs(published) if self.relative else 1.0)

    def __str__(self) -> str:
        return f"{self.limit:g}" + (" relative" if self.relative else "")


_CLUSTERING = (
    "Leiden follows a random path: a graph equal to 5e-6 can end in another partition of the same quality. "
    "The graph here comes from exact neighbours."
)
_MEDIAN = (
    "Above 8,192 cells the published neighbours are approximate and one seed says little: "
    "medians over 11 seeds are compared."
)
EXACT = Tolerance(1e-4, "The same formula; the published package computes in single precision.")
ENTROPY = Tolerance(0.004, "Neighbours are exact here and approximate (HNSW) in the published package.")
CLASSIFIERS = Tolerance(0.01, "The same folds and classifiers; solvers and trees differ between library versions.")
SEQUENTIAL = Tolerance(
    0.02, "The published package estimates what random neighbours give by sampling; here it is the exact mean."
)
SEQUENTIAL_RAW = Tolerance(
    0.001, "The same mean; neighbours at equal distance may be taken in another order.", relative=True
)
CLUSTERING = {
    "adjusted_rand_index": Tolerance(0.02, _CLUSTERING),
    "normalized_mutual_info": Tolerance(0.02, _CLUSTERING),
}
MEDIANS = {
    "adjusted_rand_index": Tolerance(0.06, _MEDIAN),
    "normalized_mutual_info": Tolerance(0.04, _MEDIAN),
}
_SEED = re.compile(r" \[seed=\d+\]")


def tolerance(key: str) -> Tolerance:
    """Return the tolerance of a key `case | task | metric type | params`."""
    case, task, metric, _ = key.split(" | ")
    if metric in CLUSTERING:
        return (MEDIANS if "[median" in case else CLUSTERING)[metric]
    if task.endswith("label_prediction"):
        return CLASSIFIERS
    if metric == "sequential_alignment":
        return SEQUENTIAL if "normalize=True" in case else SEQUENTIAL_RAW
    if metric == "entropy_per_cell":
        return ENTROPY
    if "silhouette" in metric or "spearman" in metric:
        return EXACT
    raise ValueError(f"no tolerance is stated for `{key}`")


def medians(values: dict[str, float | None]) -> dict[str, float | None]:
    """Replace the values of several seeds by their median."""
    kept: dict[str, float | None] = {}
    seeds: dict[str, list[float]] = {}
    for key, value in values.items():
        name = _SEED.sub(" [median over seeds]", key)
        if name == key:
            kept[key] = value
        else:
            seeds.setdefault(name, []).append(float("nan") if value is None else value)
    return kept | {name: statistics.median(found) for name, found in seeds.items()}


@dataclass(frozen=True)
class Row:
    """One value of both packages."""

    key: str
    ours: float | None
    published: float | None
    tolerance: Tolerance
    missing: bool = False

    @property
    def within(self) -> bool:
        """Whether the two agree: both not defined, or both defined and close enough."""
        if self.missing:
            return False
        if self.ours is None or self.published is None:
            return self.ours is self.published
        return self.tolerance.allows(self.ours, self.published)


def compare(published: dict[str, float | None], ours: dict[str, float | None]) -> list[Row]:
    """Pair the values of both packages by key; a key only one side has is a row out of tolerance."""
    published, ours = medians(published), medians(ours)
    keys = list(published) + [key for key in ours if key not in published]
    return [
        Row(key, ours.get(key), published.get(key), tolerance(key), key not in ours or key not in published)
        for key in keys
    ]
