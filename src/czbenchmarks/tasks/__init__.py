"""The tasks. Importing this package imports none of them; each is loaded when its name is first used."""

from typing import TYPE_CHECKING

from czbenchmarks._lazy import lazy_exports

if TYPE_CHECKING:
    from czbenchmarks.metrics.inputs import represent as represent
    from czbenchmarks.metrics.types import MetricResult as MetricResult

    from .clustering import ClusteringOutput, ClusteringTask, ClusteringTaskInput
    from .embedding import EmbeddingOutput, EmbeddingTask, EmbeddingTaskInput
    from .integration import BatchIntegrationOutput, BatchIntegrationTask, BatchIntegrationTaskInput
    from .label_prediction import (
        MetadataLabelPredictionOutput,
        MetadataLabelPredictionTask,
        MetadataLabelPredictionTaskInput,
    )
    from .scoring import MetricsField as MetricsField
    from .sequential import SequentialOrganizationOutput, SequentialOrganizationTask, SequentialOrganizationTaskInput
    from .single_cell import *  # noqa: F403
    from .task import TASK_REGISTRY as TASK_REGISTRY
    from .task import Task as Task
    from .task import TaskInput as TaskInput
    from .task import TaskOutput as TaskOutput

_HERE = "czbenchmarks.tasks"
_MODULES = {
    f"{_HERE}.task": ["Task", "TaskInput", "TaskOutput", "TASK_REGISTRY"],
    "czbenchmarks.metrics.types": ["MetricResult"],
    "czbenchmarks.metrics.inputs": ["represent"],
    f"{_HERE}.scoring": ["MetricsField"],
    f"{_HERE}.clustering": ["ClusteringTaskInput", "ClusteringOutput", "ClusteringTask"],
    f"{_HERE}.embedding": ["EmbeddingTaskInput", "EmbeddingOutput", "EmbeddingTask"],
    f"{_HERE}.label_prediction": [
        "MetadataLabelPredictionTaskInput", "MetadataLabelPredictionOutput", "MetadataLabelPredictionTask",
    ],
    f"{_HERE}.integration": ["BatchIntegrationTaskInput", "BatchIntegrationOutput", "BatchIntegrationTask"],
    f"{_HERE}.sequential": [
        "SequentialOrganizationTaskInput", "SequentialOrganizationOutput", "SequentialOrganizationTask",
    ],
    f"{_HERE}.single_cell": [
        "CrossSpeciesIntegrationTaskInput", "CrossSpeciesIntegrationOutput", "CrossSpeciesIntegrationTask",
        "CrossSpeciesLabelPredictionTaskInput", "CrossSpeciesLabelPredictionOutput", "CrossSpeciesLabelPredictionTask",
        "PerturbationExpressionPredictionTaskInput", "PerturbationExpressionPredictionOutput",
        "PerturbationExpressionPredictionTask", "OrthologBaselineInput",
    ],
}  # fmt: skip
__getattr__, __dir__, __all__ = lazy_exports(
    __name__, {name: module for module, names in _MODULES.items() for name in names}
)
