"""Sets of metrics under one name, as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from czbenchmarks.exceptions import InputError

from .catalogue import MetricType

PUBLISHED, ALL = "published", "all"


@dataclass(frozen=True)
class Preset:
    """A set of metrics."""

    about: str  # one sentence: what it is for
    keys: tuple[str, ...] = ()  # its metrics in the order of its table; none where they depend on the task
    overall: bool = False  # whether the means of its parts (bio, batch) and their weighted sum are scores too

    @property
    def metrics(self) -> list[MetricType]:
        """Its metrics."""
        by_key = {metric.value: metric for metric in MetricType}
        return [by_key[key] for key in self.keys]


_FAST = ("isolated_labels", "silhouette_score", "clisi", "bras", "ilisi", "graph_connectivity", "pcr_comparison")

PRESETS: dict[str, Preset] = {
    PUBLISHED: Preset("The scores of cz-benchmarks 0.15.1, which every task has."),
    "scib": Preset(
        "The ten metrics of scib-metrics' Benchmarker, their means for biology and batches, and 0.6 bio + 0.4 batch.",
        (
            "isolated_labels", "kmeans_nmi", "kmeans_ari", "silhouette_score", "clisi",
            "bras", "ilisi", "kbet", "graph_connectivity", "pcr_comparison",
        ),
        overall=True,
    ),
    "scib-fast": Preset(
        "Those of scib that need no clustering and no kBET: for every checkpoint of a training run.",
        _FAST,
        overall=True,
    ),
    ALL: Preset("Every metric that the task's inputs allow."),
}  # fmt: skip
"""Presets by name."""

_FUNCTIONS = {"ilisi_knn": "ilisi", "clisi_knn": "clisi", "kbet_per_label": "kbet"}
"""What scib-metrics calls the functions of which neither the key nor the column of its table is the name."""


def find(name: str) -> Preset | MetricType:
    """Return the preset or metric of a name: its key, or what scib-metrics calls it or its function, in any case.

    Examples
    --------
    >>> find("cLISI")
    <MetricType.CLISI: 'clisi'>
    """
    wanted = _FUNCTIONS.get(_loose(name), _loose(name))
    for key, preset in PRESETS.items():
        if _loose(key) == wanted:
            return preset
    for metric in MetricType:
        row = metric.declaration
        if wanted in {_loose(metric.value), _loose(metric.name), *([_loose(row.scib_name)] if row.scib_name else [])}:
            return metric
    from czbenchmarks._check import unknown  # it needs NumPy, which listing does not

    raise InputError(unknown("Metric", name, [*PRESETS, *(metric.value for metric in MetricType)]))


def presets_of(metric: MetricType) -> list[str]:
    """Return the names of the presets that list a metric."""
    return [name for name, preset in PRESETS.items() if metric.value in preset.keys]


def listed(names: Iterable[str]) -> set[MetricType]:
    """Return the metrics that names and presets list; what depends on the task is not among them."""
    found: set[MetricType] = set()
    for name in names:
        one = find(name)
        found |= {one} if isinstance(one, MetricType) else set(one.metrics)
    return found


def _loose(text: str) -> str:
    return text.lower().replace(" ", "_").replace("-", "_")
