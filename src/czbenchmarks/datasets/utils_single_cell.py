"""Differential expression of every condition against its own control cells."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from czbenchmarks import _check, _progress
from czbenchmarks.exceptions import InputError, InputTypeError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

logger = logging.getLogger(__name__)

_COLUMNS = {"scores": "score", "logfoldchanges": "logfoldchange", "pvals": "pval", "pvals_adj": "pval_adj"}
_TREATED, _CONTROL = "treated", "control"


def run_multicondition_dge_analysis(
    adata: AnnData,
    condition_key: str,
    de_gene_col: str,
    control_cells_ids: Mapping[str, Sequence[str]],
    filter_min_cells: int = 10,
    filter_min_genes: int = 1000,
    min_pert_cells: int = 50,
    remove_avg_zeros: bool = False,
    store_dge_metadata: bool = False,
    return_merged_adata: bool = False,
) -> tuple[pd.DataFrame, AnnData | None]:
    """Return the table that `SingleCellPerturbationDataset` reads from ``uns["de_results_wilcoxon"]``.

    For each condition: cells and genes with too few counts are left out, counts are scaled to 10,000 per cell and
    logged, and a Wilcoxon rank-sum test compares treated with control cells (scanpy's, Benjamini-Hochberg adjusted).

    Parameters
    ----------
    adata
        Raw counts in X, n cells x genes. It is not changed.
    condition_key
        Column of ``adata.obs``.
    de_gene_col
        Name of the column of genes in the table; it holds ``adata.var_names``.
    control_cells_ids
        Condition to the names of its control cells.
    filter_min_cells
        A gene counts if it is in at least as many of the cells compared.
    filter_min_genes
        A cell counts if it has at least as many genes.
    min_pert_cells
        A condition with fewer cells is left out.
    remove_avg_zeros
        Leave out genes that are absent from all treated or from all control cells.
    store_dge_metadata
        Add the column ``dge_params``, these settings as JSON text.
    return_merged_adata
        Return the logged cells too, those of all conditions one after the other, genes that all have; a cell that is
        a control of two conditions is there twice.

    Returns
    -------
    The table (gene, ``score``, ``logfoldchange``, ``pval``, ``pval_adj``, ``condition``), and the cells or None.
    """
    import anndata
    import pandas as pd

    cells = _checked(adata, condition_key, control_cells_ids)
    settings = {
        "filter_min_cells": filter_min_cells,
        "filter_min_genes": filter_min_genes,
        "min_pert_cells": min_pert_cells,
        "remove_avg_zeros": bool(remove_avg_zeros),
    }
    tables, parts = [], []
    for condition, (treated, control) in _progress.track(cells.items(), "Differential expression", len(cells)):
        if len(treated) < max(min_pert_cells, 2):
            logger.warning(
                "Condition %s is left out: %d cells, at least %d count", condition, len(treated), min_pert_cells
            )
            continue
        part = _logged(adata, treated, control, settings)
        groups = part.obs["comparison_group"]
        if min((groups == group).sum() for group in (_TREATED, _CONTROL)) < 2 or part.n_vars == 0:
            logger.warning("Condition %s is left out: too few cells or genes remain (%d x %d)", condition, *part.shape)
            continue
        tables.append(_compared(part, de_gene_col).assign(condition=condition))
        if return_merged_adata:
            part.obs["comparison_group"] = np.where(groups == _TREATED, condition, _CONTROL)
            parts.append(part)
    if not tables:
        return pd.DataFrame(columns=[de_gene_col, *_COLUMNS.values(), "condition"]), None
    table = pd.concat(tables, ignore_index=True)
    if store_dge_metadata:
        table["dge_params"] = json.dumps(settings)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Observation names are not unique")  # said above
        return table, anndata.concat(parts) if parts else None


def _checked(adata: AnnData, condition_key: str, controls: Mapping[str, Sequence[str]]) -> dict[str, tuple[Any, Any]]:
    """Return condition to the positions of its treated and its control cells."""
    if condition_key not in adata.obs:
        raise InputError(_check.unknown("`condition_key`", condition_key, map(str, adata.obs), "is no column of obs"))
    if not isinstance(controls, Mapping) or not controls:
        raise InputTypeError(
            "`control_cells_ids` must be a dict of condition to names of control cells with at least one condition, "
            f"got {_check.kind_of(controls)}."
        )
    for what, names in (("Cell", adata.obs_names), ("Gene", adata.var_names)):
        if not names.is_unique:
            raise InputError(f"{what} names must be unique, got {_check.listing(names[names.duplicated()])} repeated.")
    of = adata.obs[condition_key].astype(str).to_numpy()
    found = {}
    for condition, names in controls.items():
        treated = np.flatnonzero(of == str(condition))
        if len(treated) == 0:
            raise InputError(_check.unknown("Condition", condition, set(of), f"is not in obs[{condition_key!r}]"))
        positions = adata.obs_names.get_indexer(list(names))
        if (positions < 0).any() or len(positions) == 0 or np.isin(positions, treated).any():
            wrong = [n for n, p in zip(names, positions, strict=True) if p < 0 or p in set(treated)]
            raise InputError(
                f"`control_cells_ids` must name cells of the data outside the condition, got {len(wrong):,} of "
                f"{len(positions):,} others for {condition!r} ({_check.listing(wrong) or 'no cell at all'})."
            )
        found[str(condition)] = (treated, np.unique(positions))
    return found


def _logged(adata: AnnData, treated: Any, control: Any, settings: dict[str, Any]) -> AnnData:
    """Return the cells compared: filtered, scaled and logged, those of the condition first."""
    import anndata
    import pandas as pd
    import scanpy as sc

    rows = np.concatenate([treated, control])
    x = _check.matrix(adata.X[rows], "adata.X", keep_sparse=True)
    if x.min() < 0:
        raise InputError(f"`adata.X` must hold counts, none below 0, got {x.min():g}; pass the raw counts.")
    obs = adata.obs.iloc[rows].copy()
    obs["comparison_group"] = pd.Categorical([_TREATED] * len(treated) + [_CONTROL] * len(control))
    part = anndata.AnnData(x.copy(), obs=obs, var=pd.DataFrame(index=adata.var_names))
    sc.pp.filter_cells(part, min_genes=settings["filter_min_genes"])
    if part.n_obs:
        sc.pp.filter_genes(part, min_cells=settings["filter_min_cells"])
    if settings["remove_avg_zeros"] and part.n_obs:
        groups = part.obs["comparison_group"].to_numpy()
        present = [np.asarray(part.X[groups == group].sum(axis=0)).ravel() > 0 for group in (_TREATED, _CONTROL)]
        part = part[:, present[0] & present[1]].copy()
    if 0 not in part.shape:
        sc.pp.normalize_total(part, target_sum=1e4)
        sc.pp.log1p(part)
    return part


def _compared(part: AnnData, de_gene_col: str) -> pd.DataFrame:
    import scanpy as sc

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning)  # a gene absent from a group: log of 0
        sc.tl.rank_genes_groups(
            part, "comparison_group", groups=[_TREATED], reference=_CONTROL, method="wilcoxon", key_added="dge"
        )
    found = sc.get.rank_genes_groups_df(part, _TREATED, key="dge").rename(columns={"names": de_gene_col, **_COLUMNS})
    del part.uns["dge"]
    found[de_gene_col] = found[de_gene_col].astype(str).astype(object)
    return found[[de_gene_col, *_COLUMNS.values()]]
