"""Perturbation: do predicted expression changes rank genes as the measured ones do?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Dict, List, Literal, NoReturn, Optional

import numpy as np
import pandas as pd
from pydantic import Field, PrivateAttr, field_validator

from czbenchmarks import _check
from czbenchmarks._check import naming
from czbenchmarks.exceptions import InputError, InputTypeError, NotOfferedError
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.kernels.stored import StoredMatrix, is_stored
from czbenchmarks.metrics.perturbation import each_rank_correlation
from czbenchmarks.metrics.types import MetricResult, MetricType, Units, metrics_registry

from ..fields import AnnDataLike
from ..task import NoBaselineInput, Task, TaskInput, TaskOutput, represent
from ..types import CellRepresentation
from ._perturbed import Perturbed

if TYPE_CHECKING:
    from anndata import AnnData

_METRIC = MetricType.SPEARMAN_CORRELATION_CALCULATION


def _index(value: Any, name: str) -> Optional[pd.Index]:
    if value is None:
        return None
    if isinstance(value, pd.MultiIndex):
        raise InputTypeError(f"`{name}` must hold one name per entry, got a MultiIndex; flatten it.")
    index = value if isinstance(value, pd.Index) else pd.Index(_check.one_dimensional(value, name))
    if not index.is_unique:
        twice = index[index.duplicated()].unique()
        raise InputError(f"`{name}` must hold each name once, got {_check.listing(twice)} more than once.")
    return index


class PerturbationExpressionPredictionTaskInput(TaskInput):
    """Input of the perturbation task.

    ``adata`` comes from ``SingleCellPerturbationDataset``. Predictions that are reordered or a subset of it name their
    rows in ``cell_index`` and their columns in ``gene_index``.
    """

    adata: Annotated[
        AnnDataLike,
        Field(
            description="AnnData object from SingleCellPerturbationDataset containing perturbation data and metadata."
        ),
    ]
    pred_effect_operation: Annotated[
        Literal["difference", "ratio"],
        Field(
            description="Method to compute predicted effect: 'difference' (mean(treated) - mean(control)) "
            "or 'ratio' (log ratio of means)."
        ),
    ] = "ratio"
    gene_index: Annotated[
        Optional[pd.Index],
        Field(description="Optional gene index for predictions to align model predictions with dataset genes."),
    ] = None
    cell_index: Annotated[
        Optional[pd.Index],
        Field(description="Optional cell index for predictions to align model predictions with dataset cells."),
    ] = None

    @field_validator("gene_index", mode="before")
    @classmethod
    def _check_gene_index(cls, value: Any) -> Any:
        return _index(value, "gene_index")

    @field_validator("cell_index", mode="before")
    @classmethod
    def _check_cell_index(cls, value: Any) -> Any:
        return _index(value, "cell_index")


class PerturbationExpressionPredictionOutput(TaskOutput):
    """Output of the perturbation task: predicted and true change of each target gene, by condition."""

    pred_mean_change_dict: Dict[str, np.ndarray]
    true_mean_change_dict: Dict[str, np.ndarray]
    _conditions: Dict[str, Dict[str, Any]] = PrivateAttr(default_factory=dict)


class PerturbationExpressionPredictionTask(Task):
    """Task for evaluating perturbation-induced expression predictions against their ground truth values.

    For each condition, Spearman's rank correlation over the target genes between the true log fold change and the
    predicted effect, taken over the pairs of a treated cell and its control.
    """

    display_name = "Perturbation Expression Prediction"
    description = (
        "Evaluate the quality of predicted changes in expression levels for genes that are differentially expressed "
        "under perturbation(s) using multiple classification and correlation metrics."
    )
    input_model = PerturbationExpressionPredictionTaskInput
    baseline_model = NoBaselineInput
    condition_key: Optional[str] = None
    draws_nothing = True
    _accepts_representation = True
    _keeps_sparse = True

    def results(self, cell_representation: Any, task_input: Any) -> List[MetricResult]:
        """Score predicted expression; a table of predictions must name cells and genes in the order they are taken.

        Parameters
        ----------
        cell_representation
            Cells x genes: array, sparse matrix or DataFrame; or what is left in its file, the `X` of an AnnData opened
            with ``backed="r"`` or an HDF5 data set, which is read in blocks within the memory budget.
        task_input
            The data set, and the names of rows and columns if they are reordered or a subset.
        """
        if isinstance(cell_representation, pd.DataFrame) and isinstance(task_input, self.input_model):
            adata: Any = task_input.adata
            for theirs, index, names, field in (
                (cell_representation.index, task_input.cell_index, adata.obs_names, "cell_index"),
                (cell_representation.columns, task_input.gene_index, adata.var_names, "gene_index"),
            ):
                of = "adata" if index is None else field
                naming.refuse_another_order(theirs, names if index is None else index, "cell_representation", of)
        return super().results(cell_representation, task_input)

    def _prepare(self, value: Any, name: str) -> Any:
        return _prepared(value, name)

    def _run_task(
        self, cell_representation: Any, task_input: PerturbationExpressionPredictionTaskInput
    ) -> PerturbationExpressionPredictionOutput:
        predictions = _prepared(cell_representation).values
        data = Perturbed(task_input.adata, task_input.cell_index, task_input.gene_index, predictions.shape)
        output = PerturbationExpressionPredictionOutput(pred_mean_change_dict={}, true_mean_change_dict={})
        for condition, facts, change in data.changes(predictions, task_input.pred_effect_operation):
            output._conditions[condition] = facts
            if change is not None:
                output.pred_mean_change_dict[condition], output.true_mean_change_dict[condition] = change
        return output

    def _compute_metrics(
        self,
        task_input: PerturbationExpressionPredictionTaskInput,
        task_output: PerturbationExpressionPredictionOutput,
    ) -> List[MetricResult]:
        results = []
        conditions = task_output._conditions or {name: {} for name in task_output.pred_mean_change_dict}
        scores = self._scores([name for name, facts in conditions.items() if not facts.get("reason")], task_output)
        for condition, facts in conditions.items():
            if facts.get("reason"):
                params = {"condition": condition}
                result = MetricResult(metric_type=_METRIC, value=float("nan"), params=params, reason=facts["reason"])
            else:
                result = next(scores)
                columns = {
                    "true": task_output.true_mean_change_dict[condition],
                    "predicted": task_output.pred_mean_change_dict[condition],
                }
                genes = facts.get("genes", range(len(columns["true"])))
                result._units = Units("gene", np.asarray(genes), None, columns)
            result.counts = facts.get("counts") or result.counts
            result.details = facts.get("details") or result.details
            if result.reason in ("the first side is constant", "the second side is constant"):
                side = "true" if "first" in result.reason else "predicted"
                result.reason = f"the {side} change is the same for all target genes"
            results.append(result)
        return results

    def _scores(self, conditions: List[str], output: PerturbationExpressionPredictionOutput) -> Iterator[MetricResult]:
        """Yield the score of each condition; all are ranked at once, unless the metric is not our own."""
        both = (output.true_mean_change_dict, output.pred_mean_change_dict)
        sides = [[side[name] for name in conditions] for side in both]
        if metrics_registry.declaration(_METRIC) is _METRIC.declaration:
            for condition, found in zip(conditions, each_rank_correlation(*sides), strict=True):
                yield MetricResult(
                    metric_type=_METRIC,
                    value=found.value,
                    params={"condition": condition},
                    reason=found.reason,
                    counts=dict(found.counts),
                )
        else:
            for condition, true, predicted in zip(conditions, *sides, strict=True):
                yield self.score(_METRIC, {"condition": condition}, a=true, b=predicted)

    def compute_baseline(
        self,
        expression_data: CellRepresentation,
        baseline_input: Optional[NoBaselineInput] = None,  # type: ignore[override]
    ) -> NoReturn:
        """Raise: this task scores expression, not embeddings."""
        raise NotOfferedError(
            "Baseline not implemented for perturbation expression prediction: the task scores predicted expression, "
            "not an embedding."
        )


def _prepared(value: Any, name: str = "cell_representation") -> Representation:
    """Return checked predictions: stored ones in their file, csc as it is, sparse ones sparse."""
    if is_stored(value):
        return Representation(StoredMatrix(value, name))
    if getattr(value, "format", "") == "csc" and 0 not in value.shape:
        return Representation(represent(value.T, name, keep_sparse=True).values.T)
    return represent(value, name, keep_sparse=True)


def build_task_input_from_predictions(
    predictions_adata: AnnData,
    dataset_adata: AnnData,
    pred_effect_operation: Literal["difference", "ratio"] = "ratio",
) -> PerturbationExpressionPredictionTaskInput:
    """Build the task input for predictions held in an AnnData of their own.

    Parameters
    ----------
    predictions_adata
        Predicted expression; its cell and gene names may be reordered or a subset of the data set's.
    dataset_adata
        From ``SingleCellPerturbationDataset``.
    pred_effect_operation
        ``"difference"`` or ``"ratio"``.
    """
    return PerturbationExpressionPredictionTaskInput(
        adata=dataset_adata,
        pred_effect_operation=pred_effect_operation,
        gene_index=predictions_adata.var_names,
        cell_index=predictions_adata.obs_names,
    )
