"""Perturbation: do predicted expression changes rank genes as the measured ones do?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Dict, List, Literal, NoReturn, Optional

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr, field_validator

from czbenchmarks import _check
from czbenchmarks._progress import track
from czbenchmarks.kernels.groups import weighted_row_sums
from czbenchmarks.metrics.types import MetricResult, MetricType, Units

from .._fields import AnnDataLike
from ..task import NoBaselineInput, Task, TaskInput, TaskOutput, represent
from ..types import CellRepresentation

if TYPE_CHECKING:
    from anndata import AnnData

EPSILON = 1e-8


def _index(value: Any, name: str) -> Optional[pd.Index]:
    if value is None:
        return None
    if isinstance(value, pd.MultiIndex):
        raise TypeError(f"`{name}` must hold one name per entry, got a MultiIndex; flatten it.")
    index = value if isinstance(value, pd.Index) else pd.Index(_check.one_dimensional(value, name))
    if not index.is_unique:
        twice = index[index.duplicated()].unique()
        raise ValueError(f"`{name}` must hold each name once, got {_check.listing(twice)} more than once.")
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
    _accepts_representation = True
    _keeps_sparse = True

    def run(self, cell_representation: Any, task_input: Any) -> List[MetricResult]:
        """Score predicted expression; a table of predictions must name cells and genes in the order they are taken.

        Parameters
        ----------
        cell_representation
            Cells x genes: array, sparse matrix or DataFrame.
        task_input
            The data set, and the names of rows and columns if they are reordered or a subset.
        """
        if isinstance(cell_representation, pd.DataFrame) and isinstance(task_input, self.input_model):
            adata: Any = task_input.adata
            columns = pd.Series(0, index=cell_representation.columns)
            for table, index, names, field in (
                (cell_representation, task_input.cell_index, adata.obs_names, "cell_index"),
                (columns, task_input.gene_index, adata.var_names, "gene_index"),
            ):
                of = "adata" if index is None else field
                _check.same_order(table, names if index is None else index, "cell_representation", of)
        return super().run(cell_representation, task_input)

    def _run_task(
        self, cell_representation: Any, task_input: PerturbationExpressionPredictionTaskInput
    ) -> PerturbationExpressionPredictionOutput:
        predictions = represent(cell_representation, keep_sparse=True).values
        data = _Data(task_input, predictions.shape)
        output = PerturbationExpressionPredictionOutput(pred_mean_change_dict={}, true_mean_change_dict={})
        for condition in track(data.targets, "conditions"):
            facts, change = data.condition(condition, predictions, task_input.pred_effect_operation)
            output._conditions[condition] = facts
            if change is not None:
                output.pred_mean_change_dict[condition], output.true_mean_change_dict[condition] = change
        return output

    def _compute_metrics(
        self,
        task_input: PerturbationExpressionPredictionTaskInput,
        task_output: PerturbationExpressionPredictionOutput,
    ) -> List[MetricResult]:
        metric = MetricType.SPEARMAN_CORRELATION_CALCULATION
        results = []
        conditions = task_output._conditions or {name: {} for name in task_output.pred_mean_change_dict}
        for condition, facts in conditions.items():
            params = {"condition": condition}
            if facts.get("reason"):
                result = MetricResult(metric_type=metric, value=float("nan"), params=params, reason=facts["reason"])
            else:
                true = task_output.true_mean_change_dict[condition]
                predicted = task_output.pred_mean_change_dict[condition]
                result = self.score(metric, params, a=true, b=predicted)
                columns = {"true": true, "predicted": predicted}
                result._units = Units("gene", np.asarray(facts.get("genes", range(len(true)))), None, columns)
            result.counts = facts.get("counts") or result.counts
            result.details = facts.get("details") or result.details
            if result.reason in ("the first side is constant", "the second side is constant"):
                side = "true" if "first" in result.reason else "predicted"
                result.reason = f"the {side} change is the same for all target genes"
            results.append(result)
        return results

    def compute_baseline(
        self,
        expression_data: CellRepresentation,
        baseline_input: Optional[NoBaselineInput] = None,  # type: ignore[override]
    ) -> NoReturn:
        """Raise: this task scores expression, not embeddings."""
        raise NotImplementedError(
            "Baseline not implemented for perturbation expression prediction: the task scores predicted expression, "
            "not an embedding."
        )


class _Data:
    """The data set of a run: what its ``uns`` says, and where the predictions' rows and columns are in it."""

    def __init__(self, task_input: PerturbationExpressionPredictionTaskInput, shape: tuple[int, int]) -> None:
        adata: Any = task_input.adata
        uns = adata.uns
        self.pairs = _control_pairs(uns)
        self.targets = {
            condition: _names(genes, f"adata.uns['target_conditions_dict'][{condition!r}]")
            for condition, genes in _mapping(uns, "target_conditions_dict").items()
        }
        if not self.targets:
            raise ValueError(
                "adata.uns['target_conditions_dict'] must name at least one condition, got none; loosen the data set's "
                "thresholds (`pval_threshold`, `min_logfoldchange`, `min_de_genes_to_mask`)."
            )
        metric = str(uns.get("metric_column", "logfoldchange"))
        config = uns.get("config") if isinstance(uns.get("config"), dict) else {}
        condition_key = str(config.get("condition_key", "condition"))
        gene_key = str(config.get("de_gene_col", "gene_id"))
        table = uns.get("de_results")
        if not isinstance(table, pd.DataFrame):
            raise ValueError(
                "adata.uns['de_results'] is required and must be a DataFrame; "
                "load the data with SingleCellPerturbationDataset."
            )
        for column in (condition_key, gene_key, metric):
            if column not in table.columns:
                raise ValueError(
                    _check.unknown("Column", column, map(str, table.columns), "is not in adata.uns['de_results']")
                )
        try:
            table = table.assign(**{metric: table[metric].astype(np.float64)})
        except (ValueError, TypeError):
            raise ValueError(f"adata.uns['de_results'][{metric!r}] must hold numbers.") from None
        self.true = {
            str(condition): pd.Series(part[metric].to_numpy(), index=part[gene_key].astype(str))
            for condition, part in table.groupby(condition_key, observed=True)
        }
        self.cells = _positions(adata.obs_names, task_input.cell_index, shape[0], "cell_index", "cells")
        self.genes = _positions(adata.var_names, task_input.gene_index, shape[1], "gene_index", "genes")

    def condition(
        self, condition: str, predictions: Any, operation: str
    ) -> tuple[Dict[str, Any], Optional[tuple[NDArray[np.float64], NDArray[np.float64]]]]:
        """Return what is known of a condition, and its predicted and true change unless it cannot be scored."""
        targets = list(dict.fromkeys(self.targets[condition]))
        true = self.true.get(condition, pd.Series(dtype=np.float64))
        usable = [g for g in targets if g in self.genes.index and g in true.index and np.ndim(true[g]) == 0]
        usable = [g for g in usable if np.isfinite(true[g])]
        treated, controls, pairs = self._weights(condition, predictions.shape[0])
        counts = {
            "used": len(usable),
            "left_out": len(targets) - len(usable),
            "pairs": int(treated.sum()),
            "pairs_left_out": pairs - int(treated.sum()),
        }
        facts: Dict[str, Any] = {"counts": counts, "genes": usable}
        if condition not in self.pairs:
            facts["reason"] = "no controls are mapped to its cells in adata.uns['control_cells_map']"
        elif not treated.any():
            facts["reason"] = "none of its pairs of a treated cell and a control is among the predictions"
        elif len(usable) < 2:
            facts["reason"] = (
                f"{len(usable)} of its {len(targets)} target genes can be compared, two are needed to rank"
            )
        if facts.get("reason"):
            return facts, None
        columns = self.genes[usable].to_numpy()
        total = treated.sum()
        mean_treated = weighted_row_sums(predictions, treated, columns) / total
        mean_control = weighted_row_sums(predictions, controls, columns) / total
        # What rounding alone can tell apart is no effect; ranking it would score noise.
        noise = 8 * np.finfo(np.float64).eps * total * np.maximum(np.abs(mean_treated), np.abs(mean_control))
        mean_treated = np.where(np.abs(mean_treated - mean_control) <= noise, mean_control, mean_treated)
        positive = bool((mean_treated > 0).all() and (mean_control > 0).all())
        if operation == "ratio" and positive:
            change = np.log((mean_treated + EPSILON) / (mean_control + EPSILON))
        else:
            change = mean_treated - mean_control
            if operation == "ratio":
                facts["details"] = {
                    "pred_effect_operation": "difference",
                    "note": "the effect is the difference of means, not their ratio: a mean is 0 or negative",
                }
        return facts, (change, true[usable].to_numpy(dtype=np.float64))

    def _weights(self, condition: str, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """Return the weight of every predicted row as treated and as control cell, and the number of pairs mapped.

        A treated cell with several controls is paired with their mean. A pair whose treated cell or controls are not
        among the predictions is left out.
        """
        treated, controls = np.zeros(n), np.zeros(n)
        pairs = self.pairs.get(condition, {})
        for cell, names in pairs.items():
            rows = [self.cells.get(name) for name in names]
            row = self.cells.get(cell)
            if row is None or not rows or any(r is None for r in rows):
                continue
            treated[row] += 1
            for r in rows:
                controls[r] += 1 / len(rows)
        return treated, controls, len(pairs)


def _mapping(uns: Any, key: str) -> Dict[str, Any]:
    found = uns.get(key)
    if isinstance(found, str):  # h5ad cannot hold names with a slash as keys, so they are stored as JSON
        try:
            found = json.loads(found)
        except ValueError:
            found = None
    if not isinstance(found, dict):
        raise ValueError(
            f"adata.uns[{key!r}] is required and must be a dict; load the data with SingleCellPerturbationDataset, on "
            'the command line by -u \'{"dataset_class": "SingleCellPerturbationDataset", "organism": …, "path": …}\'.'
        )
    return {str(name): value for name, value in found.items()}


def _control_pairs(uns: Any) -> Dict[str, Dict[str, List[str]]]:
    """Return the controls of every treated cell, by condition."""
    where = "adata.uns['control_cells_map']"
    found: Dict[str, Dict[str, List[str]]] = {}
    for condition, pairs in _mapping(uns, "control_cells_map").items():
        if not isinstance(pairs, dict):
            raise ValueError(
                f"{where}[{condition!r}] must map each treated cell to its control, got {_check.kind_of(pairs)}."
            )
        found[condition] = {
            str(cell): [mapped] if isinstance(mapped, str) else _names(mapped, f"{where}[{condition!r}][{cell!r}]")
            for cell, mapped in pairs.items()
        }
    return found


def _names(value: Any, where: str) -> List[str]:
    if not isinstance(value, (list, tuple, np.ndarray, pd.Index, pd.Series)):
        raise ValueError(f"{where} must be a list of names, got {value!r}.")
    return [str(name) for name in value]


def _positions(names: pd.Index, given: Optional[pd.Index], size: int, name: str, what: str) -> pd.Series[Any]:
    """Return the row (or column) of the predictions that holds each name of the data."""
    if given is None:
        if len(names) != size:
            raise ValueError(
                f"Predictions must match adata shape (n_obs, n_vars) when no indices are provided: expected "
                f"{len(names):,} {what}, got {size:,}; name them in `{name}`."
            )
        given = names
    elif len(given) != size:
        raise ValueError(f"`{name}` must name every one of the predictions' {size:,} {what}, got {len(given):,} names.")
    if not given.is_unique:
        twice = given[given.duplicated()].unique()
        raise ValueError(f"adata must name its {what} uniquely, got {_check.listing(twice)} more than once.")
    missing = given[~given.isin(names)]
    if len(missing):
        raise ValueError(
            f"`{name}` must hold names of adata only, got {len(missing):,} unknown {what}: {_check.listing(missing)}."
        )
    return pd.Series(np.arange(size), index=given.astype(str))


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
