"""Sequential organisation: does the embedding keep the order of time points?"""

from __future__ import annotations

from typing import Annotated, Any, List

import pandas as pd
from pydantic import Field

from czbenchmarks import _check
from czbenchmarks.kernels.sequence import density_list_length
from czbenchmarks.metrics.types import MetricResult, MetricType
from czbenchmarks.types import ListLike

from .fields import MaxCellsField, ObsField, PerCell, Value, whole_number
from .task import Task, TaskInput, TaskOutput, represent
from .types import CellRepresentation


class SequentialOrganizationTaskInput(TaskInput):
    """Input of the sequential organisation task."""

    obs: ObsField
    input_labels: Annotated[
        ListLike,
        PerCell("time", default="time", help="Time of each cell, as numbers (e.g. the column `time`)."),
        Field(description="Ground truth labels for metric calculation (e.g. `obs.cell_type` from an AnnData object)."),
    ]
    k: Annotated[int, whole_number(1), Field(description="Number of nearest neighbors for k-NN based metrics.")] = 15
    normalize: Annotated[
        bool,
        Value(help="Divide the alignment by its value for random neighbours, so that 0 is chance and 1 the best."),
        Field(description="Whether to normalize the embedding for k-NN based metrics."),
    ] = True
    adaptive_k: Annotated[
        bool, Field(description="Whether to use an adaptive number of nearest neighbors for k-NN based metrics.")
    ] = False
    max_cells: MaxCellsField = None


class SequentialOrganizationOutput(TaskOutput):
    """Output of the sequential organisation task."""

    embedding: CellRepresentation


class SequentialOrganizationTask(Task):
    """Task for evaluating sequential consistency in embeddings.

    The silhouette of the time points, and the alignment of neighbours in time. ``normalize`` divides the alignment by
    its expectation for random neighbours.
    """

    display_name = "Sequential Organization"
    description = "Evaluate sequential consistency in embeddings using time point labels and k-NN based metrics."
    question = "Does the embedding keep the order of time points?"
    input_model = SequentialOrganizationTaskInput
    published = (MetricType.SILHOUETTE_SCORE, MetricType.SEQUENTIAL_ALIGNMENT)
    takes = "representation"
    draws_nothing = True

    def max_neighbors(self, task_input: SequentialOrganizationTaskInput) -> int:
        """Return the number of neighbours compared in time, the cell itself included."""
        n = len(task_input.obs)
        widest = max(51, density_list_length(n, task_input.k)) if task_input.adaptive_k else task_input.k + 1
        return min(widest, n)

    def _run_task(
        self, cell_representation: Any, task_input: SequentialOrganizationTaskInput
    ) -> SequentialOrganizationOutput:
        embedding = represent(cell_representation)
        times = _check.numbers(task_input.input_labels, "input_labels", embedding.n)
        _check.same_length(len(task_input.obs), embedding.n, "obs")
        _check.at_least_two(_check.labels(times, "input_labels"), "input_labels", "time points")
        output = SequentialOrganizationOutput(embedding=embedding.array)
        output.with_representation(embedding)
        return output

    def _compute_metrics(
        self, task_input: SequentialOrganizationTaskInput, task_output: SequentialOrganizationOutput
    ) -> List[MetricResult]:
        embedding = task_output.representation(task_output.embedding)
        given = task_input.input_labels
        times = pd.Series(_check.numbers(given, "input_labels"), index=_check.cell_ids(given, embedding.n))
        return [
            self.score(
                MetricType.SILHOUETTE_SCORE,
                X=embedding,
                labels=times,
                max_cells=task_input.max_cells,
                random_seed=self.random_seed,
            ),
            self.score(
                MetricType.SEQUENTIAL_ALIGNMENT,
                X=embedding,
                labels=times,
                k=task_input.k,
                normalize=task_input.normalize,
                adaptive_k=task_input.adaptive_k,
            ),
        ]
