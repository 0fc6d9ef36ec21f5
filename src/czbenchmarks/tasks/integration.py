"""Batch integration: are batches mixed, overall and within each label?"""

from __future__ import annotations

from typing import Annotated, Any, List, Optional

import pandas as pd
from pydantic import BeforeValidator, Field, field_validator

from czbenchmarks import _check
from czbenchmarks._check import one_dimensional
from czbenchmarks.datasets.types import Organism
from czbenchmarks.metrics.integration import ENTROPY_NEIGHBORS
from czbenchmarks.metrics.presets import PUBLISHED
from czbenchmarks.metrics.types import MetricResult, MetricType
from czbenchmarks.types import ListLike

from .fields import MAX_CELLS, ONE_PER_CELL, ONE_PER_CELL_IF_ANY, SAMPLE_SIZE, UNINTEGRATED, MatrixLike
from .scoring import MetricsField, check_compared, most_neighbors
from .task import Task, TaskInput, TaskOutput, represent
from .types import CellRepresentation

# What its metrics may take.
_ARGUMENTS = (
    "X", "labels", "batch", "unintegrated", "expression", "gene_names", "corrected", "pseudotime", "organism",
)  # fmt: skip


def _index(value: Any) -> Any:
    return value if value is None else pd.Index(one_dimensional(value, "gene_names"))


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
    metrics: MetricsField = [PUBLISHED]
    unintegrated: Annotated[Optional[MatrixLike], Field(description=UNINTEGRATED)] = None
    expression: Annotated[
        Optional[MatrixLike], Field(description="Expression before integration, counts or logged: cells x genes.")
    ] = None
    gene_names: Annotated[
        Optional[pd.Index], BeforeValidator(_index), Field(description="Symbols of the genes of `expression`.")
    ] = None
    corrected: Annotated[
        Optional[MatrixLike], Field(description="Corrected expression, if the model makes it: cells x genes.")
    ] = None
    pseudotime: Annotated[
        Optional[ListLike],
        ONE_PER_CELL_IF_ANY,
        Field(description="Pseudotime of each cell before integration, for the conservation of a trajectory."),
    ] = None
    organism: Annotated[Optional[Organism], Field(description="Organism, for its cell-cycle genes.")] = None

    @field_validator("organism", mode="before")
    @classmethod
    def _organism(cls, value: Any) -> Any:
        return value if value is None else Organism(value)


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
        """Return how many cells around each cell the metrics ask for."""
        published = ENTROPY_NEIGHBORS + 1  # as ever: what an approximate search finds depends on how many are asked for
        return most_neighbors(task_input.metrics, published, _ARGUMENTS)

    def _run_task(self, cell_representation: Any, task_input: BatchIntegrationTaskInput) -> BatchIntegrationOutput:
        embedding = represent(cell_representation)
        _check.labels(task_input.labels, "labels", embedding.n)
        batches = _check.labels(task_input.batch_labels, "batch_labels", embedding.n)
        if task_input.metrics == [PUBLISHED]:  # others may have a value with a single batch
            _check.at_least_two(batches, "batch_labels", "batches")
        check_compared(task_input, embedding.n)
        output = BatchIntegrationOutput(cell_representation=embedding.array)
        output.with_representation(embedding)
        return output

    def _compute_metrics(
        self, task_input: BatchIntegrationTaskInput, task_output: BatchIntegrationOutput
    ) -> List[MetricResult]:
        given = {
            "X": task_output.representation(task_output.cell_representation),
            "labels": task_input.labels,
            "batch": task_input.batch_labels,
            "organism": task_input.organism.name if task_input.organism else None,
        }
        given |= {name: getattr(task_input, name) for name in _ARGUMENTS if name not in given}
        published = [MetricType.ENTROPY_PER_CELL, MetricType.BATCH_SILHOUETTE]
        return self.scores(task_input, published, {**given, "max_cells": task_input.max_cells})
