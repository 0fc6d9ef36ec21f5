"""Cross-species integration: are species mixed, overall and within each label?"""

from __future__ import annotations

import itertools
from typing import Annotated, Any, List

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from czbenchmarks._check import label_names
from czbenchmarks.datasets.types import Organism
from czbenchmarks.exceptions import InputAssertionError
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.integration import ENTROPY_NEIGHBORS
from czbenchmarks.metrics.presets import PUBLISHED
from czbenchmarks.metrics.types import MetricResult, MetricType, metrics_registry
from czbenchmarks.tasks.classification.scores import note
from czbenchmarks.types import ListLike

from ..fields import MaxCellsField, PerCell, Species
from ..scoring import MetricsField
from ..task import TaskInput, TaskOutput, represent
from ..types import CellRepresentation
from ._orthologs import OrthologBaselineInput, OrthologBaselineTask
from ._several import labels_of, rename


class CrossSpeciesIntegrationTaskInput(TaskInput):
    """Input of the cross-species integration task; ``organisms`` is another name of ``organism_list``."""

    labels: Annotated[
        List[ListLike],
        PerCell("labels", default="cell_type", per_data_set=True),
        Field(description="List of ground truth labels for each species dataset (e.g., cell types)."),
    ]
    organism_list: Annotated[
        List[Organism],
        Species(per_data_set=True),
        Field(description="List of organisms corresponding to each dataset for cross-species evaluation."),
    ]
    max_cells: MaxCellsField = None
    metrics: MetricsField = [PUBLISHED]

    @model_validator(mode="before")
    @classmethod
    def _either_name(cls, data: Any) -> Any:
        return rename(data, "organisms", "organism_list")

    @property
    def organisms(self) -> List[Organism]:
        """The organisms, under the other tasks' name."""
        return self.organism_list


class CrossSpeciesIntegrationOutput(TaskOutput):
    """Output of the cross-species integration task: the data sets one below the other."""

    cell_representation: CellRepresentation
    labels: ListLike
    species: ListLike


class CrossSpeciesIntegrationTask(OrthologBaselineTask):
    """Task for evaluating cross-species integration quality.

    Entropy of the species around each cell, and the silhouette of species within labels, over all data sets together.
    """

    display_name = "Cross-species Integration"
    description = "Evaluate cross-species integration quality using various integration metrics."
    question = "Are species mixed, overall and within each label?"
    input_model = CrossSpeciesIntegrationTaskInput
    baseline_model = OrthologBaselineInput
    published = (MetricType.ENTROPY_PER_CELL, MetricType.BATCH_SILHOUETTE)
    offers = ("X", "labels", "batch", "max_cells")
    neighbors = ENTROPY_NEIGHBORS + 1
    takes = "representation"
    draws_nothing = True

    def max_neighbors(self, task_input: CrossSpeciesIntegrationTaskInput) -> int:
        """Return 0: the data sets are joined to an embedding of its own, which nobody shares."""
        return 0

    def _run_task(
        self, cell_representation: Any, task_input: CrossSpeciesIntegrationTaskInput
    ) -> CrossSpeciesIntegrationOutput:
        embeddings = [represent(x) for x in cell_representation]
        organisms = task_input.organism_list
        labels = labels_of(embeddings, task_input.labels, organisms, "organism_list")
        if len(set(organisms)) < 2:
            raise InputAssertionError(
                "At least two organisms are required for cross-species integration, got only "
                f"{organisms[0].name}; pass one data set per organism."
            )
        together = np.concatenate([embedding.array for embedding in embeddings])
        joined = Representation(together, super().max_neighbors(task_input), search=embeddings[0].search)
        output = CrossSpeciesIntegrationOutput(
            cell_representation=joined.array,
            labels=np.concatenate([found.names[found.codes] for found in labels]),
            species=np.repeat([organism.name for organism in organisms], [embedding.n for embedding in embeddings]),
        )
        output.with_representation(joined)
        return output

    def _compute_metrics(
        self, task_input: CrossSpeciesIntegrationTaskInput, task_output: CrossSpeciesIntegrationOutput
    ) -> List[MetricResult]:
        joined = task_output.representation(task_output.cell_representation)
        results = self.scores(task_input, X=joined, labels=task_output.labels, batch=task_output.species)
        if said := _not_compared(np.asarray(task_output.labels), np.asarray(task_output.species)):
            for result in results:
                if "labels" in metrics_registry.declaration(result.metric_type).asks:
                    note(result, said)
        return results


def _not_compared(labels: NDArray[Any], species: NDArray[Any]) -> str:
    """Say what keeps labels from being compared between species: none is in two, or some only under two spellings."""
    of_species = {name: np.unique(labels[species == name]) for name in np.unique(species)}
    _, times = np.unique(np.concatenate(list(of_species.values())), return_counts=True)
    said = [] if (times > 1).any() else ["no label occurs in two species, so none is compared between them"]
    pairs = {
        pair
        for one, other in itertools.combinations(of_species.values(), 2)
        for pair in label_names.spelt_otherwise(np.setdiff1d(one, other), np.setdiff1d(other, one))
    }
    return "; ".join(filter(None, [*said, label_names.said_of_spelling(sorted(pairs))]))
