"""Label prediction: can labels be read off the embedding?"""

from __future__ import annotations

from typing import Annotated, Any, Dict, List, Optional, Sequence

from pydantic import Field, PrivateAttr

from czbenchmarks import _check
from czbenchmarks.metrics.types import MetricResult
from czbenchmarks.types import ListLike

from . import _classification as classification
from ._classifiers import Classifiers, EngineField
from ._fields import ONE_PER_CELL, whole_number
from .constants import MIN_CLASS_SIZE, N_FOLDS
from .task import BaselineInput, Task, TaskInput, TaskOutput, represent
from .types import CellRepresentation

WIDEST_DENSE = 1000


class MetadataLabelPredictionTaskInput(TaskInput):
    """Input of the label prediction task."""

    labels: Annotated[
        ListLike,
        ONE_PER_CELL,
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


class MetadataLabelPredictionOutput(TaskOutput):
    """Output of the label prediction task: one row per classifier and fold."""

    results: List[Dict[str, Any]]
    _scored: Sequence[classification.Scored] = PrivateAttr(default=())
    _counts: Dict[str, int] = PrivateAttr(default_factory=dict)
    _details: Optional[Dict[str, Any]] = PrivateAttr(default=None)


class LabelPredictionBaselineInput(BaselineInput):
    """Input of the label prediction baseline, which has no parameters."""


class MetadataLabelPredictionTask(Task):
    """Task for predicting labels from embeddings using cross-validation.

    Logistic regression, 5 nearest neighbours and a random forest, in stratified shuffled folds.
    """

    display_name = "Label Prediction"
    description = "Predict labels from embeddings using cross-validated classifiers and standard metrics."
    input_model = MetadataLabelPredictionTaskInput
    baseline_model = LabelPredictionBaselineInput
    _accepts_representation = True
    _keeps_sparse = True

    def _run_task(
        self, cell_representation: Any, task_input: MetadataLabelPredictionTaskInput
    ) -> MetadataLabelPredictionOutput:
        import numpy as np
        from sklearn.model_selection import StratifiedKFold

        embedding = represent(cell_representation, keep_sparse=True)
        labels = _check.labels(task_input.labels, "labels", embedding.n)
        n_folds, smallest = task_input.n_folds, task_input.min_class_size
        if n_folds > smallest:
            raise ValueError(
                f"`n_folds` must be at most `min_class_size`, so that every fold has every class, got "
                f"n_folds={n_folds} and min_class_size={smallest}; lower the one or raise the other."
            )
        keep = np.flatnonzero(labels.counts[labels.codes] >= smallest)
        small = int((labels.counts < smallest).sum())
        kept = labels.take(keep)
        if len(kept.names) < 2:
            raise ValueError(
                f"`labels` must hold at least two labels with {smallest} cells or more, got {len(kept.names)} "
                f"({small} smaller ones left out); lower `min_class_size` or score more cells."
            )
        # Expression stays sparse; a narrow embedding is dense, so that its container does not choose the search.
        X = embedding.array if embedding.d <= WIDEST_DENSE else embedding.values
        [X] = classification.in_usual_units([X if len(keep) == embedding.n else X[keep]])
        folds = StratifiedKFold(n_splits=n_folds, shuffle=True, random_state=self.random_seed)
        splits = [
            classification.Split(
                (X, train), kept.codes[train], (X, test), kept.codes[test], kept.ids[test], {"split": i}
            )
            for i, (train, test) in enumerate(folds.split(kept.codes, kept.codes))
        ]
        classifiers = Classifiers(self.random_seed, centre=False, max_iter=100, engine=task_input.engine)
        [scored] = classification.run_splits([splits], [len(kept.names)], classifiers)
        output = MetadataLabelPredictionOutput(results=[s.row for s in scored])
        output._scored, output._details = scored, classifiers.details(X, len(kept.names))
        output._counts = {
            "used": len(keep),
            "left_out": embedding.n - len(keep),
            "labels": len(kept.names),
            "labels_left_out": small,
        }
        return output

    def _compute_metrics(
        self, task_input: MetadataLabelPredictionTaskInput, task_output: MetadataLabelPredictionOutput
    ) -> List[MetricResult]:
        return classification.summarise(
            task_output._scored,
            classification.MEAN_FOLD,
            mean_name="MEAN(knn,lr,rf)",
            params={},
            counts=task_output._counts,
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
