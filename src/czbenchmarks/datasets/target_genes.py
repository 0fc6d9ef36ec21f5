"""Which genes a model must predict for each perturbation, from a table of differential expression."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from czbenchmarks import _check
from czbenchmarks._text import decoded_table
from czbenchmarks.constants import RANDOM_SEED

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
            raise ValueError(_check.unknown("Column", column, map(str, de_results), "not found in de_results"))
        if de_results[column].isna().any():
            raise ValueError(f"{column} must be named in every row of de_results, got missing ones; drop those rows.")
    de_results = decoded_table(de_results[[condition_col, gene_col]])
    random = np.random.RandomState(seed)  # the published draws are this generator's
    targets = {}
    for condition, genes in de_results.groupby(de_results[condition_col].astype(str), sort=False)[gene_col]:
        n = int(len(genes) * percent_genes_to_mask)
        if n >= min_de_genes_to_mask:
            targets[str(condition)] = random.choice(np.asarray(genes, dtype=object), n, replace=False).tolist()
    return targets


def check_sampling(percent_genes_to_mask: object, min_de_genes_to_mask: object, seed: object) -> None:
    """Refuse impossible settings of `sample_de_genes`."""
    share = number(percent_genes_to_mask, "percent_genes_to_mask")
    if not 0 < share <= 1:
        raise ValueError(f"`percent_genes_to_mask` must be a share above 0 and at most 1, got {share:g}.")
    _check.whole(min_de_genes_to_mask, "min_de_genes_to_mask", 0)
    _check.whole(seed, "random_seed", 0, 2**32 - 1)


def number(value: Any, name: str) -> float:
    """Return a number that is not NaN."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"`{name}` must be a number, got {value!r}.")
    if math.isnan(value):
        raise ValueError(f"`{name}` must be a number, got NaN.")
    return float(value)


def de_table(adata: AnnData, key: str) -> pd.DataFrame:
    """Return a table of ``adata.uns``, stored as a DataFrame, a record array or a dict of columns."""
    import pandas as pd

    if key not in adata.uns:
        raise ValueError(
            f"Key {key!r} not found in adata.uns; store there the differential expression table "
            "(columns condition, gene, logfoldchange, pval_adj)."
        )
    value = adata.uns[key]
    if isinstance(value, pd.DataFrame):
        return decoded_table(value)
    try:
        return decoded_table(pd.DataFrame(value))
    except (ValueError, TypeError):
        raise TypeError(
            f"adata.uns[{key!r}] must be a table of differential expression, got {_check.kind_of(value)}; "
            "store a DataFrame."
        ) from None
