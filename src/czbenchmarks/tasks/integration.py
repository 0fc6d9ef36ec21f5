"""Batch integration: are batches mixed, overall and within each label?"""

from __future__ import annotations

from typing import Annotated, Any, List, Optional

import pandas as pd
from pydantic import Field

from czbenchmarks import _check
from czbenchmarks.datasets.types import Organism
from czbenchmarks.metrics.integration import ENTROPY_NEIGHBORS
from czbenchmarks.metrics.presets import PUBLISHED
from czbenchmarks.metrics.types import MetricResult, MetricType
from czbenchmarks.types import ListLike

from .fields import Genes, Matrix, MatrixLike, MaxCellsField, PerCell, Species, UnintegratedField
from .scoring import MetricsField, check_compared
from .task import Task, TaskInput, TaskOutput, represent
from .types import CellRepresentation


class BatchIntegrationTaskInput(TaskInput):
    """Input of the batch integration task."""

    batch_labels: Annotated[
        ListLike,
        PerCell("batch", default="batch"),
        Field(description="Batch labels for each cell  (e.g. `obs.batch` from an AnnData object)."),
    ]
    labels: Annotated[
        ListLike,
        PerCell("labels", default="cell_type"),
        Field(description="Ground truth labels for metric calculation (e.g. `obs.cell_type` from an AnnData object)."),
    ]
    max_cells: MaxCellsField = None
    metrics: MetricsField = [PUBLISHED]
    unintegrated: UnintegratedField = None
    expression: Annotated[
        Optional[MatrixLike],
        Matrix(
            help="Expression before integration, such as @layers:counts. [default, if a metric needs it: @X]",
        ),
        Field(description="Expression before integration, counts or logged: cells x genes."),
    ] = None
    gene_names: Annotated[
        Optional[pd.Index],
        Genes(
            column_of="var",
            help="Symbols of the genes of the expression, such as @var:symbol. [default, if a metric needs them: the "
            "names of the genes]",
        ),
        Field(description="Symbols of the genes of `expression`."),
    ] = None
    corrected: Annotated[
        Optional[MatrixLike],
        Matrix(help="Corrected expression, if the model makes it: a reference such as @layers:corrected."),
        Field(description="Corrected expression, if the model makes it: cells x genes."),
    ] = None
    pseudotime: Annotated[
        Optional[ListLike],
        PerCell("pseudotime"),
        Field(description="Pseudotime of each cell before integration, for the conservation of a trajectory."),
    ] = None
    organism: Annotated[Optional[Organism], Species(), Field(description="Organism, for its cell-cycle genes.")] = None


class BatchIntegrationOutput(TaskOutput):
    """Output of the batch integration task."""

    cell_representation: CellRepresentation


class BatchIntegrationTask(Task):
    """Task for evaluating batch integration quality.

    Entropy of the batches around each cell, and the silhouette of batches within labels.
    """

    display_name = "Batch Integration"
    description = "Evaluate batch integration quality using various integration metrics."
    question = "Are batches mixed, overall and within each label?"
    input_model = BatchIntegrationTaskInput
    published = (MetricType.ENTROPY_PER_CELL, MetricType.BATCH_SILHOUETTE)
    offers = (
        "X", "labels", "batch", "unintegrated", "expression", "gene_names", "corrected", "pseudotime", "organism",
        "max_cells",
    )  # fmt: skip
    neighbors = ENTROPY_NEIGHBORS + 1  # as ever: what an approximate search finds depends on how many are asked for
    takes = "representation"
    draws_nothing = True

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
        return self.scores(
            task_input,
            X=task_output.representation(task_output.cell_representation),
            batch=task_input.batch_labels,
            organism=task_input.organism.name if task_input.organism else None,
        )
