"""Embedding: are the labels separated?"""

from __future__ import annotations

from typing import Annotated, Any, List

from pydantic import Field

from czbenchmarks import _check
from czbenchmarks.metrics.presets import PUBLISHED
from czbenchmarks.metrics.types import MetricResult, MetricType
from czbenchmarks.types import ListLike

from .fields import MaxCellsField, PerCell, UnintegratedField
from .scoring import MetricsField, check_compared
from .task import Task, TaskInput, TaskOutput, represent
from .types import CellRepresentation


class EmbeddingTaskInput(TaskInput):
    """Input of the embedding task."""

    input_labels: Annotated[
        ListLike,
        PerCell("labels", default="cell_type"),
        Field(description="Ground truth labels for metric calculation (e.g. `obs.cell_type` from an AnnData object)."),
    ]
    max_cells: MaxCellsField = None
    metrics: MetricsField = [PUBLISHED]
    unintegrated: UnintegratedField = None


class EmbeddingOutput(TaskOutput):
    """Output of the embedding task."""

    cell_representation: CellRepresentation


class EmbeddingTask(Task):
    """Task for evaluating cell representation quality using labeled data.

    The silhouette of the labels, rescaled to [0, 1].
    """

    display_name = "Embedding"
    description = "Evaluate cell representation quality using silhouette score with ground truth labels."
    question = "Are the labels separated?"
    input_model = EmbeddingTaskInput
    published = (MetricType.SILHOUETTE_SCORE,)
    offers = ("X", "labels", "unintegrated", "max_cells")
    takes = "representation"
    draws_nothing = True

    def _run_task(self, cell_representation: Any, task_input: EmbeddingTaskInput) -> EmbeddingOutput:
        embedding = represent(cell_representation)
        labels = _check.labels(task_input.input_labels, "input_labels", embedding.n)
        _check.at_least_two(labels, "input_labels")
        check_compared(task_input, embedding.n)
        output = EmbeddingOutput(cell_representation=embedding.array)
        output.with_representation(embedding)
        return output

    def _compute_metrics(self, task_input: EmbeddingTaskInput, task_output: EmbeddingOutput) -> List[MetricResult]:
        embedding = task_output.representation(task_output.cell_representation)
        return self.scores(task_input, X=embedding, labels=task_input.input_labels)
