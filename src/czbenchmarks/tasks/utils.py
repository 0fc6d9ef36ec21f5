"""Published helpers around tasks."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, List, Literal

import numpy as np

from czbenchmarks import _check
from czbenchmarks._notes import note
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.exceptions import InputError, InputTypeError
from czbenchmarks.kernels.components import principal_components
from czbenchmarks.kernels.graph import connectivities, leiden
from czbenchmarks.metrics.inputs import represent

from .constants import FLAVOR, KEY_ADDED, MIN_CLASS_SIZE, N_ITERATIONS, OBSM_KEY

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from czbenchmarks.metrics.types import MetricResult
    from czbenchmarks.types import ListLike

    from .task import PCABaselineInput
    from .types import CellRepresentation

logger = logging.getLogger(__name__)


def cluster_embedding(
    adata: AnnData,
    n_iterations: int = N_ITERATIONS,
    flavor: Literal["leidenalg", "igraph"] = FLAVOR,  # type: ignore[assignment]
    use_rep: str = "X",
    key_added: str = KEY_ADDED,
    *,
    random_seed: int = RANDOM_SEED,
) -> List[int]:
    """Cluster cells by Leiden on the graph of 15 nearest neighbours.

    Parameters
    ----------
    adata
        Holds the embedding; it is not changed.
    n_iterations
        Rounds of the algorithm.
    flavor
        ``"igraph"`` or ``"leidenalg"``.
    use_rep
        ``"X"`` or a key of ``adata.obsm``.
    key_added
        Accepted for callers of earlier releases; nothing is written.
    random_seed
        Seed of the algorithm.

    Returns
    -------
    The cluster of every cell.
    """
    if not hasattr(adata, "obsm"):
        raise InputTypeError(f"`adata` must be an AnnData, got {_check.kind_of(adata)}.")
    n_iterations = _check.whole(n_iterations, "n_iterations", 1)
    if use_rep != "X" and use_rep not in adata.obsm:
        raise InputError(_check.unknown("`use_rep`", use_rep, ["X", *adata.obsm]))
    if flavor not in ("leidenalg", "igraph"):
        raise InputError(f"`flavor` must be 'leidenalg' or 'igraph', got {flavor!r}.")
    embedding = represent(adata.X if use_rep == "X" else adata.obsm[use_rep], use_rep)
    graph = connectivities(embedding.neighbors(15))
    found: List[int] = leiden(graph, random_seed, n_iterations=n_iterations, flavor=flavor).tolist()
    return found


def filter_minimum_class(features: Any, labels: Any, min_class_size: int = MIN_CLASS_SIZE) -> tuple[Any, Any]:
    """Keep the cells whose label occurs at least `min_class_size` times.

    Parameters
    ----------
    features
        n x d array.
    labels
        n labels; a Series comes back as a Categorical without unused categories.
    min_class_size
        Fewest cells of a label that stays.

    Examples
    --------
    >>> filter_minimum_class(np.eye(3), np.array(["a", "a", "b"]), 2)[1].tolist()
    ['a', 'a']
    """
    import pandas as pd

    min_class_size = _check.whole(min_class_size, "min_class_size", 0)
    array = features.tocsr() if hasattr(features, "tocsr") else np.asarray(features)
    checked = _check.labels(labels, "labels", array.shape[0])
    keep = checked.counts[checked.codes] >= min_class_size
    values = np.asarray(labels)[keep]
    return array[keep], pd.Categorical(values) if isinstance(labels, pd.Series) else values


def is_not_count_data(
    matrix: CellRepresentation, sample_size: int | float = 1000, tol: float = 0.01, random_seed: int = RANDOM_SEED
) -> bool:
    """Tell whether the total of a sampled cell is further than `tol` from a whole number.

    Totals of counts are whole. So may be those of other values, such as halves: see ``holds_fractions``.

    Parameters
    ----------
    matrix
        Cells x genes.
    sample_size
        Cells looked at; a number below 1 is a share of them.
    tol
        How far a total may be off.
    random_seed
        Seed of the sample.

    Examples
    --------
    >>> is_not_count_data(np.array([[0.0, 3.0], [1.0, 2.0]])), is_not_count_data(np.array([[0.5, 1.2]]))
    (False, True)
    """
    part = _some_rows(matrix, sample_size, random_seed)
    totals = np.asarray(part.sum(axis=1)).ravel()
    return bool((np.abs(totals - np.rint(totals)) > tol).any())


def holds_fractions(matrix: CellRepresentation) -> bool:
    """Tell whether more than one in a hundred of the values other than 0 are no whole numbers, by 1,000 cells.

    >>> holds_fractions(np.array([[0.0, 3.0], [1.0, 2.0]])), holds_fractions(np.array([[0.5, 0.5]]))
    (False, True)
    """
    part = _some_rows(matrix, 1000, RANDOM_SEED)
    data = part.data if hasattr(part, "toarray") else part[part != 0]
    off = np.abs(data - np.rint(data)) > 1e-6 * np.maximum(1.0, np.abs(data))
    return bool(data.size and off.mean() > 0.01)


def _some_rows(matrix: CellRepresentation, sample_size: int | float, random_seed: int) -> Any:
    values = represent(matrix, "matrix", keep_sparse=True).values
    n = values.shape[0]
    size = min(n, max(1, int(sample_size * n) if 0 < sample_size < 1 else int(sample_size)))
    return values[np.sort(np.random.default_rng(random_seed).choice(n, size, replace=False))]


def run_standard_scrna_workflow(
    adata: AnnData, n_top_genes: int = 3000, n_pcs: int = 50, obsm_key: str = OBSM_KEY, random_state: int = RANDOM_SEED
) -> CellRepresentation:
    """Return the principal components of normalised, log-transformed counts of variable genes.

    Parameters
    ----------
    adata
        Counts in ``X``; it is not changed.
    n_top_genes
        Number of variable genes.
    n_pcs
        Number of components.
    obsm_key
        Accepted for callers of earlier releases; nothing is written.
    random_state
        Seed of the decomposition.

    Returns
    -------
    Cells x components.
    """
    n_top_genes = _check.whole(n_top_genes, "n_top_genes", 1)
    return pca_baseline(adata.X, n_top_genes, _check.whole(n_pcs, "n_pcs", 1), random_state)


def default_baseline(counts: CellRepresentation, asked: PCABaselineInput, seed: int) -> Any:
    """Return the PCA baseline; a number of components that nobody asked for is lowered to what the data allow."""
    found = pca_baseline(counts, asked.n_top_genes, asked.n_pcs, seed, fewer="n_pcs" not in asked.model_fields_set)
    if found.shape[1] < asked.n_pcs:
        note(
            logger,
            f"`n_pcs` was lowered from its default {asked.n_pcs:,} to {found.shape[1]:,}: {len(found):,} cells and "
            "their variable genes have no more components",
        )
    return found


def pca_baseline(counts: CellRepresentation, n_top_genes: int, n_pcs: int, seed: int, *, fewer: bool = False) -> Any:
    """Normalise, log-transform, choose variable genes and decompose, as scanpy does, without a copy of the counts.

    With `fewer`, fewer components are taken where the data do not have so many.
    """
    embedding = represent(single_precision(counts), "expression_data", keep_sparse=True)
    checked = embedding.values
    least = checked.data.min(initial=0) if hasattr(checked, "toarray") else checked.min()
    if least < 0:
        raise InputError(
            f"`expression_data` must hold counts, got values down to {least:g}; pass raw counts for the baseline."
        )
    most = min(checked.shape[0], min(n_top_genes, checked.shape[1])) - 1
    if holds_fractions(embedding):
        said = "The expression does not look like counts; the baseline normalises and log-transforms it anyway."
        note(logger, said, about="counts")
    try:
        return principal_components(checked, n_top_genes, n_pcs, seed, fewer=fewer)
    except LookupError as error:
        if n_pcs > most and not fewer:
            raise InputError(
                f"`n_pcs` must be less than the numbers of cells and of variable genes, at most {most:,}, "
                f"got {n_pcs:,}."
            ) from None
        raise InputError(
            "`expression_data` must hold genes that vary between cells, got none to choose variable ones from."
        ) from error


def single_precision(counts: Any) -> Any:
    """Return whole numbers as float32, which holds counts exactly; anything else as it is, to be checked."""
    kind = getattr(getattr(counts, "dtype", None), "kind", "")
    if kind not in ("i", "u", "b"):
        return counts
    if not hasattr(counts, "tocsr"):
        return counts.astype(np.float32) if isinstance(counts, np.ndarray) else counts
    if counts.ndim != 2:
        return counts
    rows = counts.tocsr()  # keeps indices, which a conversion of the matrix would copy
    return type(rows)((rows.data.astype(np.float32), rows.indices, rows.indptr), shape=rows.shape)


def aggregate_cells_to_samples(
    embeddings: CellRepresentation,
    labels: ListLike,
    sample_ids: ListLike,
    aggregation_method: Literal["mean", "median"] = "mean",
) -> tuple[Any, pd.Series[Any], pd.Series[Any]]:
    """Average the cells of each sample.

    Parameters
    ----------
    embeddings
        n x d.
    labels
        n labels; a sample takes that of its first cell.
    sample_ids
        n sample names.
    aggregation_method
        ``"mean"`` or ``"median"``.

    Returns
    -------
    Samples x d, the labels of the samples, their names; samples in alphabetical order.

    Examples
    --------
    >>> X, labels, names = aggregate_cells_to_samples(np.array([[1.0], [3.0], [5.0]]), ["a", "a", "b"], [1, 1, 2])
    >>> X.tolist(), labels.tolist(), names.tolist()
    ([[2.0], [5.0]], ['a', 'b'], [1, 2])
    """
    import pandas as pd

    if aggregation_method not in ("mean", "median"):
        raise InputError(f"`aggregation_method` must be 'mean' or 'median', got {aggregation_method!r}.")
    array = represent(embeddings, "embeddings").array
    label_values = _check.one_dimensional(labels, "labels")
    sample_values = _check.one_dimensional(sample_ids, "sample_ids")
    if not len(array) == len(label_values) == len(sample_values):
        raise InputError(
            f"Mismatched lengths: embeddings={len(array)}, labels={len(label_values)}, "
            f"sample_ids={len(sample_values)}; pass one label and one sample per cell."
        )
    _check.labels(labels, "labels")
    _check.labels(sample_ids, "sample_ids")
    groups = pd.DataFrame(array).groupby(sample_values)
    averaged = groups.mean() if aggregation_method == "mean" else groups.median()
    first = pd.Series(label_values).groupby(sample_values).first()
    return (
        averaged.to_numpy(),
        pd.Series(first.to_numpy(), index=pd.Index(averaged.index, name="sample_id"), name="label"),
        pd.Series(averaged.index.to_numpy(), name="sample_id"),
    )


def print_metrics_summary(metrics_list: Iterable[MetricResult]) -> None:
    """Print scores as a table by classifier or condition, or as a list, with their mean and deviation.

    Parameters
    ----------
    metrics_list
        Results of a run.
    """
    import pandas as pd

    results = list(metrics_list)
    lines = ["", "=== Metrics Summary ==="]
    frame = pd.DataFrame(
        {
            "by": [tuple(sorted(r.params or {})) for r in results],
            "of": [tuple(str(v) for _, v in sorted((r.params or {}).items())) for r in results],
            "metric": [r.metric_type.value for r in results],
            "value": [r.value for r in results],
        }
    )
    for by in dict.fromkeys(tuple(sorted(r.params or {})) for r in results):
        part = frame[[names == by for names in frame["by"]]]
        if not by:
            for metric, values in part.groupby("metric", sort=False)["value"]:
                lines += ["", f"{_title(str(metric))}:", *(f"  {i}: {v:.4f}" for i, v in enumerate(values, 1))]
            continue
        table = part.groupby(["of", "metric"])["value"].mean().unstack("metric")[list(dict.fromkeys(part["metric"]))]
        names = pd.DataFrame(list(table.index), columns=list(by))
        shown = pd.concat([names, table.map("{:.4f}".format).reset_index(drop=True)], axis=1)
        what = f"{by[0]}s" if len(by) == 1 else f"combinations of {', '.join(by)}"
        lines += ["", shown.to_string(index=False), "", f"Results across {len(table)} {what}"]
    lines += ["", "Overall Statistics:"]
    for metric, values in frame.groupby("metric", sort=False)["value"]:
        defined = values.dropna()
        line = f"{_title(str(metric))}: mean={defined.mean():.4f}, std={defined.std(ddof=0):.4f}, count={len(defined)}"
        lines.append(line if len(defined) == len(values) else f"{line}, without a value={len(values) - len(defined)}")
    print("\n".join(lines))  # noqa: T201


def _title(metric: str) -> str:
    return metric.replace("_", " ").title()


def print_correlation_metrics_baseline_and_model(
    metrics_df: pd.DataFrame, moderate_correlation_threshold: float = 0.3, precision: int = 4
) -> None:
    """Print the distribution of correlations over conditions, one column per model.

    Parameters
    ----------
    metrics_df
        Conditions x models, numbers.
    moderate_correlation_threshold
        Correlations above it are counted.
    precision
        Digits.

    Examples
    --------
    >>> import pandas as pd
    >>> print_correlation_metrics_baseline_and_model(pd.DataFrame({"model": [0.5, -0.1]}), precision=2)
                                     model
    Number of conditions              2.00
    Mean correlation                  0.20
    Standard Deviation                0.42
    Min correlation                  -0.10
    25th percentile                   0.05
    Median correlation                0.20
    75th percentile                   0.35
    Max correlation                   0.50
    Number of correlations > 0.3      1.00
    Number of negative correlations   1.00
    """
    numeric = metrics_df.select_dtypes("number")
    if numeric.shape[1] != metrics_df.shape[1] or metrics_df.empty:
        raise InputTypeError(f"`metrics_df` must hold numbers only, got columns {_check.listing(metrics_df.columns)}.")
    summary = numeric.describe()
    summary.index = [
        "Number of conditions", "Mean correlation", "Standard Deviation", "Min correlation", "25th percentile",
        "Median correlation", "75th percentile", "Max correlation",
    ]  # fmt: skip
    above = f"Number of correlations > {moderate_correlation_threshold}"
    summary.loc[above] = (numeric > moderate_correlation_threshold).sum()
    summary.loc["Number of negative correlations"] = (numeric < 0).sum()
    print(summary.round(precision).to_string())  # noqa: T201
