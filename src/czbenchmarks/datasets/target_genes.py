"""Which genes a model must predict for each perturbation, from a table of differential expression."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from czbenchmarks import _check
from czbenchmarks._check.text import decoded_table
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.exceptions import InputError, InputTypeError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def sample_de_genes(
    de_results: pd.DataFrame,
    percent_genes_to_mask: float,
    min_de_genes_to_mask: int,
    condition_col: str,
    gene_col: str,
    seed: int = RANDOM_SEED,
) -> dict[str, list[str]]:
    """Draw, for each condition, a share of its differentially expressed genes without replacement.

    Conditions come in order of first appearance and draw from one ``RandomState(seed)``, as published.
    A condition that would get fewer than `min_de_genes_to_mask` genes is left out and draws nothing.

    Parameters
    ----------
    de_results
        One row per condition and gene.
    percent_genes_to_mask
        Share of the genes, above 0 and at most 1; the number is rounded down.
    min_de_genes_to_mask
        Fewest genes a condition may get.
    condition_col, gene_col
        Columns of `de_results`.
    seed
        Seed of the draws.

    Returns
    -------
    Condition to its genes, in the order drawn.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"condition": ["b", "a", "b"], "gene_id": ["x", "y", "z"]})
    >>> sample_de_genes(table, 1.0, 1, "condition", "gene_id")
    {'b': ['z', 'x'], 'a': ['y']}
    """
    check_sampling(percent_genes_to_mask, min_de_genes_to_mask, seed)
    for column in (condition_col, gene_col):
        if column not in de_results:
            raise InputError(_check.unknown("Column", column, map(str, de_results), "not found in de_results"))
        if de_results[column].isna().any():
            raise InputError(f"{column} must be named in every row of de_results, got missing ones; drop those rows.")
    de_results = decoded_table(de_results[[condition_col, gene_col]])
    random = np.random.RandomState(seed)  # the published draws are this generator's
    targets = {}
    for condition, genes in de_results.groupby(de_results[condition_col].astype(str), sort=False)[gene_col]:
        n = int(len(genes) * percent_genes_to_mask)
        if n >= min_de_genes_to_mask:
            targets[str(condition)] = random.choice(np.asarray(genes, dtype=object), n, replace=False).tolist()
    return targets


def redraw(uns: Mapping[str, Any], seed: int) -> dict[str, list[str]] | None:
    """Draw the target genes of a loaded data set under another seed, from the same rows and by the same settings.

    None if those in `uns` are not what its own seed draws, so that they were given by name.
    """
    try:
        config, table, own = uns["config"], uns["de_results"], uns["random_seed"]
        share, fewest, key = (
            config[name] for name in ("percent_genes_to_mask", "min_de_genes_to_mask", "condition_key")
        )
    except KeyError:  # not as loading leaves it
        return None
    drawn, again = (sample_de_genes(table, share, fewest, key, "gene_id", one) for one in (own, seed))
    return again if drawn == uns.get("target_conditions_dict") else None


def without_targets(adata: AnnData, with_targets: Collection[str]) -> dict[str, list[str]]:
    """Return the conditions that have no target genes, by the reason."""
    uns = adata.uns
    config = uns["config"] if isinstance(uns.get("config"), Mapping) else {}
    key, control = str(config.get("condition_key", "condition")), config.get("control_name")
    passing, tested = _rows_by_condition(uns, "de_results", key), _rows_by_condition(uns, "de_results_wilcoxon", key)
    known = control is not None and key in adata.obs
    conditions = set(map(str, adata.obs[key].dropna().unique())) if known else {*passing, *tested}
    share, fewest = config.get("percent_genes_to_mask", 1), config.get("min_de_genes_to_mask", 0)
    reasons: dict[str, list[str]] = {}
    for condition in sorted(conditions - {str(control), *with_targets}):
        if condition not in tested and condition not in passing:
            reason = "not in the table of differential expression"
        elif condition not in passing:
            reason = "no gene passes pval_threshold and min_logfoldchange"
        elif int(passing[condition] * share) < fewest:
            reason = f"fewer than {fewest} target genes (min_de_genes_to_mask)"
        else:
            reason = "no target genes named"
        reasons.setdefault(reason, []).append(condition)
    return reasons


def _rows_by_condition(uns: Mapping[str, Any], key: str, condition_key: str) -> dict[str, int]:
    """Return the number of rows of each condition in a table that may be missing."""
    if key not in uns or condition_key not in (table := de_table(uns, key)):
        return {}
    return {str(condition): int(n) for condition, n in table[condition_key].value_counts(sort=False).items() if n}


def check_sampling(percent_genes_to_mask: object, min_de_genes_to_mask: object, seed: object) -> None:
    """Refuse impossible settings of `sample_de_genes`."""
    share = number(percent_genes_to_mask, "percent_genes_to_mask")
    if not 0 < share <= 1:
        raise InputError(f"`percent_genes_to_mask` must be a share above 0 and at most 1, got {share:g}.")
    _check.whole(min_de_genes_to_mask, "min_de_genes_to_mask", 0)
    _check.whole(seed, "random_seed", 0, 2**32 - 1)


def number(value: Any, name: str) -> float:
    """Return a number that is not NaN."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InputTypeError(f"`{name}` must be a number, got {value!r}.")
    if math.isnan(value):
        raise InputError(f"`{name}` must be a number, got NaN.")
    return float(value)


def de_table(uns: Mapping[str, Any], key: str) -> pd.DataFrame:
    """Return a table of ``adata.uns``, stored as a DataFrame, a record array or a dict of columns."""
    import pandas as pd

    if key not in uns:
        raise InputError(
            f"Key {key!r} not found in adata.uns; store there the differential expression table "
            "(columns condition, gene, logfoldchange, pval_adj)."
        )
    value = uns[key]
    if isinstance(value, pd.DataFrame):
        return decoded_table(value)
    try:
        return decoded_table(pd.DataFrame(value))
    except (ValueError, TypeError):
        raise InputTypeError(
            f"adata.uns[{key!r}] must be a table of differential expression, got {_check.kind_of(value)}; "
            "store a DataFrame."
        ) from None
