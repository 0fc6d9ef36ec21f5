"""Tables of a task between species have a row for every pair of species, classifier and metric: their means."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from czbenchmarks.results import RunRecord, Score

FOLDS = "mean_fold_"
"""Begins the names of metrics of cross-validation, which is within a species."""


def means_over_species(record: RunRecord) -> tuple[list[str], list[list[str | float]]]:
    """Return headings and rows of the means over pairs of species; none if no score is of such a pair.

    One row per embedding, classifier, and whether it was tested on the species it was trained on; one column per
    metric. A mean is NaN if one of its scores has no value.
    """
    scores = [score for score in record.result_metrics if {"train_species", "test_species"} <= set(score.params)]
    metrics = list(dict.fromkeys(score.metric_type.removeprefix(FOLDS) for score in scores))
    groups: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for score in sorted(scores, key=_same_species):
        classifier = str(score.params.get("classifier", ""))
        tested = "same species" if _same_species(score) else "another species"
        place = (score.embedding, tested, "mean" if classifier.startswith("MEAN") else classifier)
        groups.setdefault(place, {}).setdefault(score.metric_type.removeprefix(FOLDS), []).append(score.value)
    rows: list[list[str | float]] = [
        [*place, *(math.fsum(values.get(metric, [math.nan])) / len(values.get(metric, [0])) for metric in metrics)]
        for place, values in groups.items()
    ]
    return ["Embedding", "Tested on", "Classifier", *metrics], rows


def _same_species(score: Score) -> bool:
    return bool(score.params["train_species"] == score.params["test_species"])
