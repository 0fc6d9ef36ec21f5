"""Score the cases with scib-metrics, in an environment that holds it.

    python scripts/parity/scib/peer.py ../shared/data --output tests/parity/scib.json

The values replace those of scib-metrics in the file; those of scib stay.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from scib_cases import EMBEDDINGS, FILES, LABEL, THRESHOLD, Case, graph_error, key, number, read
from scib_store import keep

SEEDS = range(10)
VERSIONS = ("scib-metrics", "jax", "numpy", "scipy", "scikit-learn", "igraph", "umap-learn", "pynndescent")


def table(case: Case) -> Any:
    """Return the table of the Benchmarker with its defaults."""
    from scib_metrics.benchmark import Benchmarker

    benchmark = Benchmarker(
        case.adata(), "batch", LABEL, list(EMBEDDINGS), pre_integrated_embedding_obsm_key="unintegrated",
        progress_bar=False,
    )  # fmt: skip
    benchmark.benchmark()
    return benchmark


def beyond(case: Case, X: np.ndarray) -> dict[str, float | None]:
    """Return what the table does not hold, by metric."""
    import scib_metrics as peer
    from scib_metrics.nearest_neighbors import pynndescent

    batch, labels = case.batch.astype(str), case.labels.astype(str)
    neighbors = pynndescent(X, n_neighbors=90, random_state=0)
    found: dict[str, Any] = {
        "silhouette_score, not rescaled": peer.silhouette_label(X, labels, rescale=False),
        "batch_silhouette": peer.silhouette_batch(X, labels, batch),
        "bras, furthest": peer.bras(X, labels, batch, between_cluster_distances="furthest"),
        "isolated_labels, not rescaled": peer.isolated_labels(X, labels, batch, rescale=False),
        f"isolated_labels, threshold {THRESHOLD}": peer.isolated_labels(X, labels, batch, iso_threshold=THRESHOLD),
        "pcr_comparison, not scaled": peer.pcr_comparison(case.unintegrated, X, batch_numbers(batch),
                                                          scale=False, categorical=True),
        "pcr": peer.utils.principal_component_regression(X, batch_numbers(batch), categorical=True),
    }  # fmt: skip
    for k in (15, 25, 50):
        found[f"kbet_global, k {k}"] = peer.kbet(neighbors.subset_neighbors(k), batch)[0]
    nearest = neighbors.subset_neighbors(15)
    for name, best in (("leiden_{}", False), ("leiden_{}_best", True)):
        scores = peer.nmi_ari_cluster_labels_leiden(nearest, labels, optimize_resolution=best)
        found |= {name.format(of): scores[of] for of in ("nmi", "ari")}
    for name, groups in (("clisi", labels), ("ilisi", batch)):
        lisi = np.asarray(peer.lisi_knn(neighbors, groups), dtype=np.float64)
        found |= {f"{name}, {q} % of cells": np.percentile(lisi, q) for q in (5, 25, 75, 95)}
        found[f"{name}, mean over cells"] = lisi.mean()
    _, rows = peer.kbet_per_label(neighbors.subset_neighbors(50), batch, labels, return_df=True)
    for row in rows.itertuples(index=False):
        found[key("kbet", row.cluster)] = row.kBET
    return {name: number(value) for name, value in found.items()}


def batch_numbers(batch: np.ndarray) -> np.ndarray:
    """Return batches as codes: text fails in the peer's regression."""
    return np.unique(batch, return_inverse=True)[1]


def starts(X: np.ndarray, labels: np.ndarray) -> dict[str, float | None]:
    """Return what k-means gives from the starts of several seeds, for the default is one of many."""
    from scib_metrics.utils import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    found: dict[str, list[float]] = {"kmeans_nmi": [], "kmeans_ari": [], "inertia": []}
    for seed in SEEDS:
        model = KMeans(n_clusters=len(np.unique(labels)), seed=seed).fit(X)
        clusters = np.asarray(model.labels_)
        found["kmeans_nmi"].append(normalized_mutual_info_score(labels, clusters))
        found["kmeans_ari"].append(adjusted_rand_score(labels, clusters))
        centres = np.stack([X[clusters == c].mean(axis=0, dtype=np.float64) for c in range(clusters.max() + 1)])
        found["inertia"].append(float(((X - centres[clusters]) ** 2).sum()))
    return {
        f"{name}, {what} of {len(SEEDS)} starts": number(of(values))
        for name, values in found.items() for what, of in (("least", np.min), ("greatest", np.max))
    }  # fmt: skip


def score(shared: Path, names: Iterable[str] = FILES) -> dict[str, Any]:
    """Return the tables and all values of some files."""
    tables: dict[str, Any] = {}
    values: dict[str, float | None] = {}
    for name in names:
        started = time.perf_counter()
        case = read(shared, name)
        benchmark = table(case)
        for clean in (True, False):
            shown = benchmark.get_results(min_max_scale=False, clean_names=clean)
            tables[key(name, "clean names" if clean else "names")] = as_stored(shown)
        tables[key(name, "scaled")] = as_stored(benchmark.get_results(min_max_scale=True, clean_names=True))
        for embedding, X in case.embeddings.items():
            found = beyond(case, X) | starts(X, case.labels.astype(str))
            values |= {key(name, embedding, metric): value for metric, value in found.items()}
        print(f"{time.perf_counter() - started:6.1f} s  {name}", flush=True)
    return {"tables": tables, "values": values}


def as_stored(frame: Any) -> dict[str, Any]:
    """Return a table for JSON: numbers stay numbers."""
    plain = [
        [value if isinstance(value, str) else number(value) for value in row]
        for row in frame.itertuples(index=False, name=None)
    ]
    return {
        "index": list(frame.index), "index_name": frame.index.name, "columns": list(frame.columns),
        "dtypes": [str(dtype) for dtype in frame.dtypes], "rows": plain,
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared_data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=FILES, default=list(FILES), metavar="FILE", help=", ".join(FILES))
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    error = graph_error(given.shared_data)
    if error > 1e-3:
        raise SystemExit(f"the neighbour graph here is wrong (off by {error:.2g}); install umap-learn 0.5.12")
    keep(given.output, "scib-metrics", VERSIONS, {"graph_error": error, **score(given.shared_data, given.only)})
