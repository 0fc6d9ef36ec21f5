"""Tasks on several data sets, and on perturbations."""

from typing import TYPE_CHECKING

from czbenchmarks._lazy import lazy_exports

if TYPE_CHECKING:
    from ._orthologs import OrthologBaselineInput
    from .cross_species_integration import (
        CrossSpeciesIntegrationOutput,
        CrossSpeciesIntegrationTask,
        CrossSpeciesIntegrationTaskInput,
    )
    from .cross_species_label_prediction import (
        CrossSpeciesLabelPredictionOutput,
        CrossSpeciesLabelPredictionTask,
        CrossSpeciesLabelPredictionTaskInput,
    )
    from .perturbation_expression_prediction import (
        PerturbationExpressionPredictionOutput,
        PerturbationExpressionPredictionTask,
        PerturbationExpressionPredictionTaskInput,
    )

_HERE = "czbenchmarks.tasks.single_cell"
_PREFIXES = {
    "CrossSpeciesIntegration": "cross_species_integration",
    "CrossSpeciesLabelPrediction": "cross_species_label_prediction",
    "PerturbationExpressionPrediction": "perturbation_expression_prediction",
}
__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        f"{prefix}{kind}": f"{_HERE}.{module}"
        for prefix, module in _PREFIXES.items()
        for kind in ("TaskInput", "Output", "Task")
    }
    | {"OrthologBaselineInput": f"{_HERE}._orthologs"},
)
