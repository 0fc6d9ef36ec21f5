"""Label prediction: can labels be read off the embedding?"""

from __future__ import annotations

from typing import Annotated, Any, Dict, List, Optional, Sequence

from pydantic import Field, PrivateAttr

from czbenchmarks import _check
from czbenchmarks.metrics.presets import PUBLISHED
from czbenchmarks.metrics.types import MetricResult
from czbenchmarks.types import ListLike

from .classification import scores as classification
from .classification.classifiers import Classifiers, EngineField
from .classification.folds import make_folds
from .constants import MIN_CLASS_SIZE, N_FOLDS
from .fields import PerCell, whole_number
from .scoring import MetricsField
from .task import BaselineInput, Task, TaskInput, TaskOutput, represent
from .types import CellRepresentation

WIDEST_DENSE = 1000


class MetadataLabelPredictionTaskInput(TaskInput):
    """Input of the label prediction task."""

    labels: Annotated[
        ListLike,
        PerCell("labels", default="cell_type"),
        Field(description="Ground truth labels for prediction (e.g. `obs.cell_type` from an AnnData object)"),
    ]
    n_folds: Annotated[int, whole_number(2), Field(description="Number of folds for stratified cross-validation.")] = (
        N_FOLDS
    )
    min_class_size: Annotated[
        int,
        whole_number(1),
        Field(description="Minimum number of samples required for a class to be included in evaluation."),
    ] = MIN_CLASS_SIZE
    engine: EngineField = "exact"
    groups: Annotated[
        Optional[ListLike],
        PerCell("donor"),
        Field(description="Groups of cells (e.g. donors), none of which is both in training and in test of a fold."),
    ] = None
    metrics: MetricsField = [PUBLISHED]


class MetadataLabelPredictionOutput(TaskOutput):
    """Output of the label prediction task: one row per classifier and fold."""

    results: List[Dict[str, Any]]
    _scored: Sequence[classification.Scored] = PrivateAttr(default=())
    _counts: Dict[str, int] = PrivateAttr(default_factory=dict)
    _details: Dict[str, Any] = PrivateAttr(default_factory=dict)
    _labels: Any = PrivateAttr(default=())


class LabelPredictionBaselineInput(BaselineInput):
    """Input of the label prediction baseline, which has no parameters."""

    about = "the expression itself, all genes"


class MetadataLabelPredictionTask(Task):
    """Task for predicting labels from embeddings using cross-validation.

    Logistic regression, 5 nearest neighbours and a random forest, in stratified shuffled folds. With `groups` no group
    is on both sides of a fold.
    """

    display_name = "Label Prediction"
    description = "Predict labels from embeddings using cross-validated classifiers and standard metrics."
    question = "Can the labels be read off the embedding?"
    input_model = MetadataLabelPredictionTaskInput
    baseline_model = LabelPredictionBaselineInput
    published = tuple(classification.MEAN_FOLD[score] for score in classification.PUBLISHED_SCORES)
    more = tuple(classification.MEAN_FOLD[score] for score in classification.MORE_SCORES)
    takes = "sparse representation"
    checks = ("near_duplicates_across_folds", "donors_across_folds", "better_than_majority")
    smallest_label = "min_class_size"

    def _run_task(
        self, cell_representation: Any, task_input: MetadataLabelPredictionTaskInput
    ) -> MetadataLabelPredictionOutput:
        classification.chosen(task_input.metrics, self.display_name, classification.MEAN_FOLD)
        embedding = represent(cell_representation, keep_sparse=True)
        labels = _check.labels(task_input.labels, "labels", embedding.n)
        groups = None if task_input.groups is None else _check.labels(task_input.groups, "groups", embedding.n)
        folds = make_folds(labels, task_input.n_folds, task_input.min_class_size, self.random_seed, groups)
        keep, kept = folds.keep, folds.labels
        # Expression stays sparse; a narrow embedding is dense, so that its container does not choose the search.
        X = embedding.array if embedding.d <= WIDEST_DENSE else embedding.values
        [X] = classification.in_usual_units([X if len(keep) == embedding.n else X[keep]])
        splits = [
            classification.Split(
                (X, train), kept.codes[train], (X, test), kept.codes[test], kept.ids[test], {"split": i}
            )
            for i, (train, test) in enumerate(folds.parts)
        ]
        classifiers = Classifiers(self.random_seed, centre=False, max_iter=100, engine=task_input.engine)
        [scored] = classification.run_splits([splits], [len(kept.names)], classifiers)
        output = MetadataLabelPredictionOutput(results=[s.row for s in scored])
        output._scored, output._labels = scored, kept.names
        output._details = {**(classifiers.details(X, len(kept.names)) or {}), **(folds.details() or {})}
        output._counts = {
            "used": len(keep),
            "left_out": embedding.n - len(keep),
            "labels": len(kept.names),
            "labels_left_out": folds.too_small,
        }
        if folds.in_one_group:
            output._counts["labels_in_one_group"] = len(folds.in_one_group)
        return output

    def _compute_metrics(
        self, task_input: MetadataLabelPredictionTaskInput, task_output: MetadataLabelPredictionOutput
    ) -> List[MetricResult]:
        [metrics] = classification.chosen(task_input.metrics, self.display_name, classification.MEAN_FOLD)
        return classification.summarise(
            task_output._scored,
            metrics,
            mean_name="MEAN(knn,lr,rf)",
            params={},
            counts=task_output._counts,
            labels=task_output._labels,
            details=task_output._details,
        )

    def compute_baseline(
        self,
        expression_data: CellRepresentation,
        baseline_input: Optional[LabelPredictionBaselineInput] = None,  # type: ignore[override]
    ) -> CellRepresentation:
        """Return the expression itself: labels are predicted from all genes.

        Parameters
        ----------
        expression_data
            Cells x genes.
        baseline_input
            Has no parameters.
        """
        represent(expression_data, "expression_data", keep_sparse=True)
        return expression_data
