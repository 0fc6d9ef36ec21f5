"""Batch integration: are batches mixed, overall and within each label?"""

from __future__ import annotations

from typing import Annotated, Any, List, Optional

from pydantic import Field

from czbenchmarks import _check
from czbenchmarks.metrics.integration import ENTROPY_NEIGHBORS
from czbenchmarks.metrics.types import MetricResult, MetricType
from czbenchmarks.types import ListLike

from ._fields import MAX_CELLS, ONE_PER_CELL, SAMPLE_SIZE
from .task import Task, TaskInput, TaskOutput, represent
from .types import CellRepresentation


class BatchIntegrationTaskInput(TaskInput):
    """Input of the batch integration task."""

    batch_labels: Annotated[
        ListLike,
        ONE_PER_CELL,
        Field(description="Batch labels for each cell  (e.g. `obs.batch` from an AnnData object)."),
    ]
    labels: Annotated[
        ListLike,
        ONE_PER_CELL,
        Field(description="Ground truth labels for metric calculation (e.g. `obs.cell_type` from an AnnData object)."),
    ]
    max_cells: Annotated[Optional[int], SAMPLE_SIZE, Field(description=MAX_CELLS)] = None


class BatchIntegrationOutput(TaskOutput):
    """Output of the batch integration task."""

    cell_representation: CellRepresentation


class BatchIntegrationTask(Task):
    """Task for evaluating batch integration quality.

    Entropy of the batches around each cell, and the silhouette of batches within labels.
    """

    display_name = "Batch Integration"
    description = "Evaluate batch integration quality using various integration metrics."
    input_model = BatchIntegrationTaskInput
    draws_nothing = True
    _accepts_representation = True

    def max_neighbors(self, task_input: BatchIntegrationTaskInput) -> int:
        """Return the number of cells around each cell."""
        return ENTROPY_NEIGHBORS + 1  # one more tells whether the last ones tie

    def _run_task(self, cell_representation: Any, task_input: BatchIntegrationTaskInput) -> BatchIntegrationOutput:
        embedding = represent(cell_representation)
        _check.labels(task_input.labels, "labels", embedding.n)
        batches = _check.labels(task_input.batch_labels, "batch_labels", embedding.n)
        _check.at_least_two(batches, "batch_labels", "batches")
        output = BatchIntegrationOutput(cell_representation=embedding.array)
        output.with_representation(embedding)
        return output

    def _compute_metrics(
        self, task_input: BatchIntegrationTaskInput, task_output: BatchIntegrationOutput
    ) -> List[MetricResult]:
        embedding = task_output.representation(task_output.cell_representation)
        batches = task_input.batch_labels
        return [
            self.score(MetricType.ENTROPY_PER_CELL, X=embedding, labels=batches),
            self.score(
                MetricType.BATCH_SILHOUETTE,
                X=embedding,
                labels=task_input.labels,
                batch=batches,
                max_cells=task_input.max_cells,
                random_seed=self.random_seed,
            ),
        ]
