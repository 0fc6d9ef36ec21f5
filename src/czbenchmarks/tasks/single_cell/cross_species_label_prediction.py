"""Cross-species label prediction: do labels learned on one species hold on another?"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Dict, List, Literal, Optional, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr, model_validator

from czbenchmarks import _check
from czbenchmarks._check import Labels, label_names
from czbenchmarks.datasets.types import Organism
from czbenchmarks.exceptions import InputError
from czbenchmarks.metrics.presets import PUBLISHED
from czbenchmarks.metrics.types import MetricResult, MetricType
from czbenchmarks.tasks.classification.classifiers import NAMES, Classifiers, EngineField
from czbenchmarks.tasks.classification.folds import split
from czbenchmarks.types import ListLike

from ..classification import scores as classification
from ..constants import N_FOLDS
from ..fields import PerCell, Species, whole_number
from ..scoring import MetricsField
from ..task import TaskInput, TaskOutput, represent
from ..utils import aggregate_cells_to_samples
from ._orthologs import OrthologBaselineInput, OrthologBaselineTask
from ._several import labels_of, rename

_MEAN = "MEAN(lr,knn,rf)"
_FAMILIES = (classification.MEAN_FOLD, classification.SINGLE)


class CrossSpeciesLabelPredictionTaskInput(TaskInput):
    """Input of the cross-species label prediction task; ``organism_list`` is another name of ``organisms``."""

    labels: Annotated[
        List[ListLike],
        PerCell("labels", default="cell_type", per_data_set=True),
        Field(description="List of ground truth labels for each species dataset (e.g., cell types)."),
    ]
    organisms: Annotated[
        List[Organism],
        Species(per_data_set=True),
        Field(description="List of organisms corresponding to each dataset for cross-species evaluation."),
    ]
    sample_ids: Annotated[
        Optional[List[ListLike]],
        PerCell("donor", per_data_set=True),
        Field(description="Optional list of sample/donor IDs for aggregation, one per dataset."),
    ] = None
    aggregation_method: Annotated[
        Literal["none", "mean", "median"],
        Field(description="Method to aggregate cells with the same sample_id ('none', 'mean', or 'median')."),
    ] = "mean"
    n_folds: Annotated[
        int,
        whole_number(2),
        Field(description="Number of cross-validation folds for intra-species evaluation."),
    ] = N_FOLDS
    engine: EngineField = "exact"
    metrics: MetricsField = [PUBLISHED]

    @model_validator(mode="before")
    @classmethod
    def _either_name(cls, data: Any) -> Any:
        return rename(data, "organism_list", "organisms")

    @property
    def organism_list(self) -> List[Organism]:
        """The organisms, under the other tasks' name."""
        return self.organisms


class _DataSet:
    """One data set as it is classified: cells, or samples if cells were averaged."""

    def __init__(self, X: Any, labels: Labels, samples: Labels | None, mixed: int = 0, rows: str = "cells") -> None:
        self.X, self.labels, self.samples = X, labels, samples
        self.mixed = mixed  # averaged samples whose cells had several labels
        self.rows = rows  # what they are: cells, or averaged samples


@dataclass
class _Pair:
    """An ordered pair of data sets: what is trained and tested, and what came of it."""

    params: Dict[str, Any]
    splits: Sequence[classification.Split]
    names: NDArray[Any]
    counts: Dict[str, int]
    within: bool
    mixed: int
    scored: Sequence[classification.Scored] = ()
    shared: NDArray[np.bool_] | None = None  # test cells whose label occurs in training, if there are others
    spelling: str = ""  # labels of the others that training has under another spelling
    rows: str = "cells"

    @property
    def where(self) -> str:
        """Begin a sentence on this pair among others."""
        train, test = (
            self.params[f"{side}_species"]
            + (f" ({self.params[key]})" if (key := f"{side}_dataset") in self.params else "")
            for side in ("train", "test")
        )
        return f"within {train}, " if self.within else f"from {train} to {test}, "


class CrossSpeciesLabelPredictionOutput(TaskOutput):
    """Output of the cross-species label prediction task: one row per pair, classifier and fold."""

    results: List[Dict[str, Any]]
    _groups: Sequence[_Pair] = PrivateAttr(default=())
    _details: Optional[Dict[str, Any]] = PrivateAttr(default=None)


class CrossSpeciesLabelPredictionTask(OrthologBaselineTask):
    """Task for cross-species label prediction evaluation.

    For each ordered pair of data sets, three classifiers learn on one and are tested on the other; within each data
    set, they are cross-validated, folds grouped by sample where samples are known. Cells can be averaged by sample
    first.
    """

    display_name = "cross-species label prediction"
    description = "Evaluate cross-species label prediction performance using multiple classifiers."
    question = "Do labels learned on one species hold on another?"
    input_model = CrossSpeciesLabelPredictionTaskInput
    baseline_model = OrthologBaselineInput
    published = tuple(family[score] for family in _FAMILIES for score in classification.PUBLISHED_SCORES)
    more = tuple(family[score] for family in _FAMILIES for score in classification.MORE_SCORES)
    takes = "representation"
    smallest_label = "n_folds"
    example = MappingProxyType({"aggregation_method": "none"})

    def _run_task(
        self, cell_representation: Any, task_input: CrossSpeciesLabelPredictionTaskInput
    ) -> CrossSpeciesLabelPredictionOutput:
        self._chosen(task_input)
        data_sets = _data_sets([represent(x) for x in cell_representation], task_input)
        for data, X in zip(data_sets, classification.in_usual_units([data.X for data in data_sets]), strict=True):
            data.X = X
        names = [organism.name for organism in task_input.organisms]
        repeated = len(set(names)) < len(names)
        pairs: List[_Pair] = []
        for i, j in itertools.product(range(len(data_sets)), repeat=2):
            params: Dict[str, Any] = {"train_species": names[i], "test_species": names[j]}
            if repeated:
                params |= {"train_dataset": i, "test_dataset": j}
            if i == j:
                pairs.append(self._within(data_sets[i], task_input.n_folds, params))
            else:
                pairs.append(self._across(data_sets[i], data_sets[j], params))
        classifiers = Classifiers(self.random_seed, centre=True, max_iter=1000, engine=task_input.engine)
        found = classification.run_splits([p.splits for p in pairs], [len(p.names) for p in pairs], classifiers)
        for pair, scored in zip(pairs, found, strict=True):
            pair.scored = pair.scored or scored
        output = CrossSpeciesLabelPredictionOutput(results=[s.row for pair in pairs for s in pair.scored])
        n_labels = max(len(pair.names) for pair in pairs)
        output._groups, output._details = pairs, classifiers.details(data_sets[0].X, n_labels)
        return output

    def _within(self, data: _DataSet, n_folds: int, params: Dict[str, Any]) -> _Pair:
        """Cross-validate within one data set; labels with fewer cells (samples) than folds are left out."""
        labels = data.labels
        sizes = labels.counts
        if data.samples is not None:
            pairs = np.unique(np.column_stack([labels.codes, data.samples.codes]), axis=0)
            sizes = np.bincount(pairs[:, 0], minlength=len(labels.names))
        keep = np.flatnonzero(sizes[labels.codes] >= n_folds)
        counts = {
            "used": len(keep),
            "left_out": len(labels) - len(keep),
            "labels_left_out": int((sizes < n_folds).sum()),
        }
        kept = labels.take(keep)
        if len(kept.names) < 2:
            what = "cells" if data.samples is None else "samples"
            counts |= {"used": 0, "left_out": len(labels)}
            reason = f"fewer than two labels have at least {n_folds} {what}, one per fold"
            nothing = [_nothing(name, params, reason) for name in NAMES]
            return _Pair(params, [], kept.names, counts, True, data.mixed, nothing)
        X = data.X if len(keep) == len(labels) else data.X[keep]
        groups = None if data.samples is None else data.samples.codes[keep]
        parts = split(kept.codes, n_folds, self.random_seed, groups)
        splits = [
            classification.Split(
                (X, train), kept.codes[train], (X, test), kept.codes[test], kept.ids[test], {"split": k, **params}
            )
            for k, (train, test) in enumerate(parts)
        ]
        return _Pair(params, splits, kept.names, counts, True, data.mixed)

    def _across(self, train: _DataSet, test: _DataSet, params: Dict[str, Any]) -> _Pair:
        """Train on one data set, test on another."""
        names = np.union1d(train.labels.names, test.labels.names)
        y_train = np.searchsorted(names, train.labels.names)[train.labels.codes]
        y_test = np.searchsorted(names, test.labels.names)[test.labels.codes]
        seen = np.isin(y_test, y_train)
        counts = {
            "used": len(y_test),
            "left_out": 0,
            "train": len(y_train),
            "unseen_labels": len(np.unique(y_test[~seen])),
            "unseen_cells": int((~seen).sum()),
        }
        every = slice(None)
        only = classification.Split(
            (train.X, every), y_train, (test.X, every), y_test, test.labels.ids, {"split": 0, **params}
        )
        pair = _Pair(params, [only], names, counts, False, train.mixed + test.mixed, rows=test.rows)
        if not seen.all():
            never = np.setdiff1d(test.labels.names, train.labels.names)
            pair.shared = seen
            pair.spelling = label_names.said_of_spelling(label_names.spelt_otherwise(never, train.labels.names))
        return pair

    def _compute_metrics(
        self,
        task_input: CrossSpeciesLabelPredictionTaskInput,
        task_output: CrossSpeciesLabelPredictionOutput,
    ) -> List[MetricResult]:
        of_folds, of_one_test = self._chosen(task_input)
        results: List[MetricResult] = []
        for pair in task_output._groups:
            found = classification.summarise(
                pair.scored,
                of_folds if pair.within else of_one_test,
                mean_name=_MEAN,
                params=pair.params,
                counts=pair.counts,
                labels=pair.names,
                details=task_output._details,
                where=pair.where,
            )
            if pair.mixed:
                said = f"{pair.mixed} of the averaged samples hold cells of several labels; each took its first cell's"
                for result in found:
                    classification.note(result, said, mixed_samples=pair.mixed)
            if pair.shared is not None:
                _note_what_is_shared(found, pair)
            results += found
        return results

    def _chosen(self, task_input: CrossSpeciesLabelPredictionTaskInput) -> tuple[dict[str, MetricType], ...]:
        """Return the scores asked for: of folds, and of one data set on another."""
        return classification.chosen(task_input.metrics, self.display_name, *_FAMILIES)


def _note_what_is_shared(results: List[MetricResult], pair: _Pair) -> None:
    """Say how many test cells nobody can get right, what the others score, and which labels are only spelt otherwise.

    The F1 on the test cells whose label occurs in training is the mean over their labels, then over classifiers; the
    details of each F1 hold its own.
    """
    shared = pair.shared
    assert shared is not None
    n = len(shared)
    if not shared.any():
        said = f"{pair.where}none of {n:,} {pair.rows} has a label that was trained on, so the scores say nothing"
    else:
        said = (
            f"{pair.where}{int((~shared).sum()):,} of {n:,} {pair.rows} have labels never trained on, so the accuracy "
            f"is at most {shared.mean():.3f}"
        )
        f1 = {
            s.row["classifier"]: _mean_f1(s.true[shared], s.predicted[shared])
            for s in pair.scored
            if "f1" not in s.reasons
        }
        if f1:
            f1[_MEAN] = float(np.mean(list(f1.values())))
            said += f"; on the others alone the mean F1 of the classifiers is {f1[_MEAN]:.3f}"
        for result in results:
            classifier = (result.params or {})["classifier"]
            if result.metric_type is MetricType.F1_SCORE and classifier in f1:
                result.details = {**(result.details or {}), "f1_on_shared_labels": f1[classifier]}
    for result in results:
        classification.note(result, "; ".join(filter(None, [said, pair.spelling])))


def _mean_f1(true: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Return the mean F1 over the labels that occur."""
    from sklearn.metrics import f1_score

    return float(f1_score(true, predicted, labels=np.unique(true), average="macro", zero_division=0))


def _nothing(name: str, params: Dict[str, Any], reason: str) -> classification.Scored:
    row = {"classifier": name, "split": 0, **params, **dict.fromkeys(classification.SCORES, float("nan"))}
    empty = np.empty(0, dtype=np.int64)
    return classification.Scored(row, empty, empty, empty, reasons=dict.fromkeys(classification.SCORES, reason))


def _data_sets(embeddings: List[Any], task_input: CrossSpeciesLabelPredictionTaskInput) -> List[_DataSet]:
    """Check the lists against each other, and average cells by sample if asked."""
    labels = labels_of(embeddings, task_input.labels, task_input.organisms, "organisms")
    given, method = task_input.sample_ids, task_input.aggregation_method
    if given is None:
        if method != "none":
            raise InputError(
                f"`sample_ids` is required for aggregation_method={method!r}: pass one list of sample or donor names "
                "per data set (--sample-ids COLUMN), or aggregation_method='none' to classify single cells."
            )
        return [_DataSet(x.array, y, None) for x, y in zip(embeddings, labels, strict=True)]
    if len(given) != len(embeddings):
        raise InputError(
            f"Number of cell representations must match `sample_ids`, one entry per data set: expected "
            f"{len(embeddings)}, got {len(given)}."
        )
    found = []
    for i, (x, y) in enumerate(zip(embeddings, labels, strict=True)):
        samples = _check.labels(given[i], f"sample_ids[{i}]", x.n)
        if method == "none":
            found.append(_DataSet(x.array, y, samples))
            continue
        pairs = np.unique(np.column_stack([samples.codes, y.codes]), axis=0)
        mixed = int((np.bincount(pairs[:, 0]) > 1).sum())
        X, means, names = aggregate_cells_to_samples(x.array, y.names[y.codes], samples.names[samples.codes], method)
        found.append(_DataSet(X, _check.labels(means, "labels"), _check.labels(names, "sample_ids"), mixed, "samples"))
    return found
