"""Embedding: are the labels separated?"""

from __future__ import annotations

from typing import Annotated, Any, List, Optional

from pydantic import Field

from czbenchmarks import _check
from czbenchmarks.metrics.presets import PUBLISHED
from czbenchmarks.metrics.types import MetricResult, MetricType
from czbenchmarks.types import ListLike

from .fields import MAX_CELLS, ONE_PER_CELL, SAMPLE_SIZE, UNINTEGRATED, MatrixLike
from .scoring import MetricsField, check_compared, most_neighbors
from .task import Task, TaskInput, TaskOutput, represent
from .types import CellRepresentation


class EmbeddingTaskInput(TaskInput):
    """Input of the embedding task."""

    input_labels: Annotated[
        ListLike,
        ONE_PER_CELL,
        Field(description="Ground truth labels for metric calculation (e.g. `obs.cell_type` from an AnnData object)."),
    ]
    max_cells: Annotated[Optional[int], SAMPLE_SIZE, Field(description=MAX_CELLS)] = None
    metrics: MetricsField = [PUBLISHED]
    unintegrated: Annotated[Optional[MatrixLike], Field(description=UNINTEGRATED)] = None


class EmbeddingOutput(TaskOutput):
    """Output of the embedding task."""

    cell_representation: CellRepresentation


class EmbeddingTask(Task):
    """Task for evaluating cell representation quality using labeled data.

    The silhouette of the labels, rescaled to [0, 1].
    """

    display_name = "Embedding"
    description = "Evaluate cell representation quality using silhouette score with ground truth labels."
    input_model = EmbeddingTaskInput
    draws_nothing = True
    _accepts_representation = True

    def max_neighbors(self, task_input: EmbeddingTaskInput) -> int:
        """Return how many neighbours the metrics ask for."""
        return most_neighbors(task_input.metrics, 0, ("X", "labels", "unintegrated"))

    def _run_task(self, cell_representation: Any, task_input: EmbeddingTaskInput) -> EmbeddingOutput:
        embedding = represent(cell_representation)
        labels = _check.labels(task_input.input_labels, "input_labels", embedding.n)
        _check.at_least_two(labels, "input_labels")
        check_compared(task_input, embedding.n)
        output = EmbeddingOutput(cell_representation=embedding.array)
        output.with_representation(embedding)
        return output

    def _compute_metrics(self, task_input: EmbeddingTaskInput, task_output: EmbeddingOutput) -> List[MetricResult]:
        arguments = {
            "X": task_output.representation(task_output.cell_representation),
            "labels": task_input.input_labels,
            "unintegrated": task_input.unintegrated,
            "max_cells": task_input.max_cells,
        }
        return self.scores(task_input, [MetricType.SILHOUETTE_SCORE], arguments)
