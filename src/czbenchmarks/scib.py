"""The table of scib-metrics' ``Benchmarker``, from one call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from czbenchmarks.exceptions import InputError, InputTypeError

from . import _check
from .constants import RANDOM_SEED
from .io.dataset import Cells
from .metrics.presets import find
from .metrics.types import MetricType, metrics_registry

if TYPE_CHECKING:
    import pandas as pd

    from .results.record import RunRecord

_TASK = "batch_integration"
_TYPE_ROW, _INDEX_NAME = "Metric Type", "Embedding"
_BIO, _BATCH, _OTHER, _AGGREGATE = "Bio conservation", "Batch correction", "Other", "Aggregate score"
_TYPES = {"bio": _BIO, "batch": _BATCH, "": _OTHER}
_TOTAL = "Total"
# What its table calls a metric with ``clean_names=False``, where that is not our key.
_NAMES = {
    "kmeans_nmi": "nmi_ari_cluster_labels_kmeans_nmi",
    "kmeans_ari": "nmi_ari_cluster_labels_kmeans_ari",
    "leiden_nmi_best": "nmi_ari_cluster_labels_leiden_nmi",
    "leiden_ari_best": "nmi_ari_cluster_labels_leiden_ari",
    "silhouette_score": "silhouette_label",
    "clisi": "clisi_knn",
    "ilisi": "ilisi_knn",
    "kbet": "kbet_per_label",
    "batch_silhouette": "silhouette_batch",
}

Table = dict[str, dict[str, float]]  # column (a metric's key) -> embedding -> value
Reasons = dict[str, dict[str, str]]  # embedding -> column -> why it has no value


def benchmark(
    adata: Any,
    batch_key: str,
    label_key: str,
    embedding_obsm_keys: Sequence[str],
    *,
    pre_integrated_embedding_obsm_key: str | None = None,
    metrics: Any = "scib",
    min_max_scale: bool = False,
    clean_names: bool = True,
    every_label_if_none: bool = False,
    random_seed: int | Iterable[int] = RANDOM_SEED,
    neighbors: str = "auto",
    threads: int | None = None,
    memory: int | str | None = None,
) -> pd.DataFrame:
    """Return the table that scib-metrics' ``Benchmarker`` gives after ``benchmark()``, by its ``get_results()``.

    The scores are those of ``czbenchmarks.evaluate(..., "batch_integration", metrics=...)``, which also leaves a
    record. The names of its arguments and their order are those of the ``Benchmarker``.

    Parameters
    ----------
    adata
        AnnData, or path to an ``.h5ad`` file or ``.zarr`` folder. It is not changed.
    batch_key, label_key
        Columns of `obs`: the batches, the cell types.
    embedding_obsm_keys
        Keys of `obsm`: the embeddings to score.
    pre_integrated_embedding_obsm_key
        Key of `obsm` of the embedding before integration, for "PCR comparison". By default the principal components
        of X, which is normalised and logged first if it holds counts (scib-metrics takes X as it is).
    metrics
        Names of metrics or presets, such as ``["scib", "Leiden NMI", "Leiden ARI"]``.
    min_max_scale
        Scale every metric to 0 for the worst and 1 for the best of these embeddings, before the means are taken. A
        score then depends on what it is compared with; where all embeddings are equal it is 0.
    clean_names
        Name columns as in figures, or as the functions of scib-metrics are called.
    every_label_if_none
        Where every label occurs in every batch, none is isolated: "Isolated labels" is then NaN and stays out of the
        means, as in ``evaluate``. With True the mean over all labels takes its place, as in scib-metrics.
    random_seed
        Seed of the clusterings; several give the mean of their scores.
    neighbors, threads, memory
        As in ``czbenchmarks.evaluate``.

    Returns
    -------
    A row per embedding and the row "Metric Type"; a column per metric (biology, batches, others), then the means "Batch
    correction" and "Bio conservation" of the metrics shown, and "Total", 0.6 times biology plus 0.4 times batches. What
    is not defined is NaN and stays out of the means; ``table.attrs["reasons"][embedding][column]`` says why.

    Raises
    ------
    ValueError, TypeError
        One sentence, if a column or an embedding is missing or bad.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> obs = pd.DataFrame({"cell_type": ["a", "b"] * 60, "batch": ["x"] * 60 + ["y"] * 60}, index=map(str, range(120)))
    >>> adata = anndata.AnnData(np.zeros((120, 1)), obs)
    >>> adata.obsm["noise"] = rng.normal(size=(120, 5))
    >>> adata.obsm["model"] = adata.obsm["noise"] + 9.0 * (obs[["cell_type"]] == "a").to_numpy()
    >>> table = benchmark(
    ...     adata, "batch", "cell_type", ["model", "noise"], pre_integrated_embedding_obsm_key="noise"
    ... )
    >>> list(table.index), list(table.columns)[-3:]
    (['model', 'noise', 'Metric Type'], ['Batch correction', 'Bio conservation', 'Total'])
    >>> bool(table.loc["model", "Total"] > table.loc["noise", "Total"])
    True
    """
    from .run.evaluate import evaluate

    keys = _keys(embedding_obsm_keys)
    cells = Cells(adata, "adata")
    for name in (batch_key, label_key):
        if name not in cells.columns:
            raise InputError(_check.unknown("Column", name, cells.columns, "is not in obs"))
    before = pre_integrated_embedding_obsm_key
    for key in [*keys, *([before] if before is not None else [])]:
        cells.piece("obsm", key)  # a missing one is refused, with those there are
    options: dict[str, Any] = {} if before is None else {"unintegrated": f"@obsm:{before}"}
    record = evaluate(
        {key: f"@obsm:{key}" for key in keys}, adata, _TASK, labels=f"@obs:{label_key}",
        batch_labels=f"@obs:{batch_key}", metrics=metrics, random_seed=random_seed, neighbors=neighbors,
        threads=threads, memory=memory, **options,
    )  # fmt: skip
    table, reasons = _scores(record, keys)
    if every_label_if_none and "isolated_labels" in table:
        _score_every_label(table, reasons, record)
    if min_max_scale:
        table = {column: _scaled(values) for column, values in table.items()}
    return _frame(table, reasons, keys, clean_names)


def _keys(given: Any) -> list[str]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InputTypeError(
            f"`embedding_obsm_keys` must be a list of keys of obsm, got {given!r}; write [{given!r}] for one."
        )
    keys = list(given)
    if strange := [key for key in keys if not isinstance(key, str)]:
        raise InputTypeError(
            f"`embedding_obsm_keys` must hold text, got {_check.kind_of(strange[0])}; name keys of obsm."
        )
    if not keys or len(set(keys)) < len(keys):
        raise InputError(f"`embedding_obsm_keys` must name every embedding once, got {_check.listing(keys) or 'none'}.")
    return keys


def _scores(record: RunRecord, keys: Sequence[str]) -> tuple[Table, Reasons]:
    """Return the scores by metric and embedding; the overall ones are made anew from what the table shows."""
    table: Table = {}
    reasons: Reasons = {key: {} for key in keys}
    for score in record.result_metrics:
        if "overall" in metrics_registry.declaration(find_key(score.metric_type)).tags:
            continue
        values = table.setdefault(score.metric_type, dict.fromkeys(keys, math.nan))
        values[score.embedding] = score.value
        if score.reason:
            reasons[score.embedding][score.metric_type] = score.reason
    for failure in record.failures:
        if failure.embedding is not None:
            reasons[failure.embedding] = dict.fromkeys(table, failure.reason)
    in_order = sorted(table, key=lambda column: list(_TYPES).index(_part(column)))  # stable
    return {column: table[column] for column in in_order}, reasons


def find_key(key: str) -> MetricType:
    """Return the metric of a key of a record."""
    found = find(key)
    assert isinstance(found, MetricType)
    return found


def _part(column: str) -> str:
    return metrics_registry.declaration(find_key(column)).part


def _score_every_label(table: Table, reasons: Reasons, record: RunRecord) -> None:
    """Fill in isolated labels where there are none, as the mean over all labels."""
    column = "isolated_labels"
    for score in record.result_metrics:
        if score.metric_type == column and math.isnan(score.value):
            means = [row["score"] for row in score.breakdowns or () if "score" in row]
            if means:
                table[column][score.embedding] = math.fsum(means) / len(means)
                del reasons[score.embedding][column]


def _scaled(values: Mapping[str, float]) -> dict[str, float]:
    """Return values scaled to [0, 1]; where they are all equal, 0 as in scib-metrics."""
    defined = [value for value in values.values() if not math.isnan(value)]
    least, width = (min(defined), max(defined) - min(defined)) if defined else (math.nan, math.nan)
    return {
        key: value if math.isnan(value) else (value - least) / width if width else 0.0 for key, value in values.items()
    }


def _frame(table: Table, reasons: Reasons, keys: Sequence[str], clean_names: bool) -> pd.DataFrame:
    import pandas as pd

    from .metrics.overall import mean_of_scores, weighted_total

    shown = {column: _name(column, clean_names) for column in table}
    types = {shown[column]: _TYPES[_part(column)] for column in table}
    columns: dict[str, dict[str, float]] = {shown[column]: dict(values) for column, values in table.items()}
    said: Reasons = {key: {shown[column]: why for column, why in reasons[key].items()} for key in keys}
    parts = [name for name in (_BATCH, _BIO) if name in types.values()]
    for part in parts:
        members = [name for name in columns if types.get(name) == part]
        columns[part] = {}
        for key in keys:
            mean = mean_of_scores({name: columns[name][key] for name in members})
            columns[part][key] = mean.value
            if mean.reason:
                said[key][part] = mean.reason
    if len(parts) == 2:
        columns[_TOTAL] = {}
        for key in keys:
            total = weighted_total(columns[_BIO][key], columns[_BATCH][key])
            columns[_TOTAL][key] = total.value
            if total.reason:
                said[key][_TOTAL] = total.reason
    rows: list[list[Any]] = [[columns[name][key] for name in columns] for key in keys]
    rows.append([types.get(name, _AGGREGATE) for name in columns])
    index = pd.Index([*keys, _TYPE_ROW], name=_INDEX_NAME, dtype=object)
    frame = pd.DataFrame(rows, index=index, columns=pd.Index(columns, dtype=object), dtype=object)
    frame.attrs["reasons"] = said
    return frame


def _name(column: str, clean: bool) -> str:
    if clean:
        return metrics_registry.declaration(find_key(column)).scib_name or column
    return _NAMES.get(column, column)
