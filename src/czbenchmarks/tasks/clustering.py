"""Clustering: do communities of the neighbour graph find the labels again?"""

from __future__ import annotations

from typing import Annotated, Any, Dict, List, Literal, cast

from pydantic import Field, PrivateAttr, field_validator

from czbenchmarks import _check
from czbenchmarks.exceptions import InputError
from czbenchmarks.kernels.graph import leiden
from czbenchmarks.metrics.inputs import nearest, neighbor_graph, noted
from czbenchmarks.metrics.presets import PUBLISHED
from czbenchmarks.metrics.types import MetricResult, MetricType
from czbenchmarks.types import ListLike

from .constants import FLAVOR, KEY_ADDED, N_ITERATIONS
from .fields import ObsField, PerCell, Value, whole_number
from .scoring import MetricsField
from .task import Task, TaskInput, TaskOutput, represent

N_NEIGHBORS = 15  # the cell itself included


class ClusteringTaskInput(TaskInput):
    """Input of the clustering task."""

    obs: ObsField
    input_labels: Annotated[
        ListLike,
        PerCell("labels", default="cell_type"),
        Field(description="Ground truth labels for metric calculation (e.g. `obs.cell_type` from an AnnData object)."),
    ]
    use_rep: Annotated[
        str,
        Value(hidden=True),
        Field(
            description="Data representation to use for clustering "
            "(e.g. the 'X' or obsm['X_pca'] from an AnnData object)."
        ),
    ] = "X"
    n_iterations: Annotated[
        int, whole_number(1), Field(description="Number of iterations for the Leiden algorithm.")
    ] = N_ITERATIONS
    flavor: Annotated[
        Literal["leidenalg", "igraph"], Field(description="Algorithm for Leiden community detection.")
    ] = FLAVOR  # type: ignore[assignment]
    key_added: Annotated[
        str, Value(hidden=True), Field(description="Key in AnnData.obs where cluster assignments are stored.")
    ] = KEY_ADDED
    metrics: MetricsField = [PUBLISHED]

    @field_validator("use_rep")
    @classmethod
    def _only_the_embedding(cls, value: str) -> str:
        if value != "X":
            raise InputError(
                f"`use_rep` must be 'X', the embedding that is scored, got {value!r}; pass that array as the embedding."
            )
        return value


class ClusteringOutput(TaskOutput):
    """Output of the clustering task."""

    predicted_labels: List[int]
    _details: Dict[str, Any] = PrivateAttr(default_factory=dict)


class ClusteringTask(Task):
    """Task for evaluating clustering performance against ground truth labels.

    Fuzzy connectivities of 15 nearest neighbours, Leiden communities at resolution 1, then ARI and NMI against the
    labels.
    """

    display_name = "Clustering"
    description = "Evaluate clustering performance against ground truth labels using ARI and NMI metrics."
    question = "Do clusters of neighbouring cells find the labels again?"
    input_model = ClusteringTaskInput
    published = (MetricType.ADJUSTED_RAND_INDEX, MetricType.NORMALIZED_MUTUAL_INFO)
    offers = ("X", "labels", "labels_true", "labels_pred")
    neighbors = N_NEIGHBORS
    takes = "representation"
    checks = ("resolution_curve_spread",)

    def max_neighbors(self, task_input: ClusteringTaskInput) -> int:
        """Return the number of neighbours in the graph, or what metrics of the embedding ask for."""
        return max(N_NEIGHBORS, super().max_neighbors(task_input))

    def _run_task(self, cell_representation: Any, task_input: ClusteringTaskInput) -> ClusteringOutput:
        embedding = represent(cell_representation)
        labels = _check.labels(task_input.input_labels, "input_labels", embedding.n)
        _check.same_length(len(task_input.obs), embedding.n, "obs")
        if embedding.n < 3:
            raise InputError(f"Need at least 3 cells to cluster, got {embedding.n}.")
        _check.at_least_two(labels, "input_labels")
        if len(labels.names) == embedding.n:
            raise InputError("`input_labels` must group the cells, got a label of its own for every cell.")
        graph = neighbor_graph(embedding, N_NEIGHBORS)  # which the metrics share
        clusters = leiden(graph, self.random_seed, n_iterations=task_input.n_iterations, flavor=task_input.flavor)
        output = ClusteringOutput(predicted_labels=clusters.tolist()).with_representation(embedding)
        output._details = nearest(embedding, N_NEIGHBORS, "bio").details
        return cast(ClusteringOutput, output)

    def _compute_metrics(self, task_input: ClusteringTaskInput, task_output: ClusteringOutput) -> List[MetricResult]:
        labels, clusters = task_input.input_labels, task_output.predicted_labels
        scores = self.scores(
            task_input, X=task_output._representation, labels=labels, labels_true=labels, labels_pred=clusters
        )
        for score in scores:  # the metrics of clusters see clusters only, not how the neighbours were found
            own = score.details or {}
            score.details = noted({**own, **task_output._details}, own.get("note")) or None
        return scores
