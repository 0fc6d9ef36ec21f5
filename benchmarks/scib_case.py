"""The ten metrics of scib-metrics' table on generated cells, by this package or by scib-metrics, in this process.

    python benchmarks/scib_case.py ours         --cells 10000
    python benchmarks/scib_case.py scib-metrics --cells 10000

Either side needs only its own package. The last line is ``RESULT`` and JSON: seconds of import, generation and each
call, peak memory, scores.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import time
import warnings
from typing import Any

from task_cases import peak_mb, reset_peak

SIDES = ("ours", "scib-metrics")
_KEYS = {"batch_key": "batch", "label_key": "cell_type", "embedding_obsm_keys": ["X_model"]}
_BEFORE = {"pre_integrated_embedding_obsm_key": "X_before"}


def annotated(n: int, dims: int) -> Any:
    """Return generated cells as an AnnData: an embedding, and one before, batches twice as far apart."""
    import anndata as ad
    import cells
    import numpy as np

    made = cells.embedding(n, dims)
    before = made.X.copy()
    for batch in np.unique(made.batches):
        own = made.batches == batch
        before[own] += made.X[own].mean(axis=0) - made.X.mean(axis=0)
    adata = ad.AnnData(X=np.zeros((n, 1), dtype=np.float32), obs=made.obs())
    adata.obsm.update(X_model=made.X, X_before=before)
    return adata


def table(side: str, adata: Any) -> Any:
    """Return the table of one side."""
    if side == "ours":
        from czbenchmarks.scib import benchmark

        return benchmark(adata, **_KEYS, **_BEFORE, every_label_if_none=True)
    from scib_metrics.benchmark import Benchmarker

    benchmarker = Benchmarker(adata, **_KEYS, **_BEFORE, progress_bar=False)
    benchmarker.benchmark()
    return benchmarker.get_results(min_max_scale=False)


def measure(side: str, n: int, dims: int, calls: int) -> dict[str, Any]:
    """Score the cells in this fresh process; times in seconds, memory in MB."""
    started = time.perf_counter()
    import anndata  # noqa: F401 - whoever calls either package has it, so it counts as import

    if side == "ours":
        import czbenchmarks.scib  # noqa: F401
    else:
        import scib_metrics.benchmark  # noqa: F401
    found = {"import_s": time.perf_counter() - started}
    started = time.perf_counter()
    adata = annotated(n, dims)
    found["generate_s"] = time.perf_counter() - started
    reset_peak()
    for name in ("first_s", "second_s")[:calls]:
        started = time.perf_counter()
        shown = table(side, adata.copy())
        found[name] = time.perf_counter() - started
        found.setdefault("first_at", time.time())
    found["peak_mb"] = peak_mb()
    values = {name: float(value) for name, value in shown.loc["X_model"].items()}
    metrics = {name: {"value": value if math.isfinite(value) else None, "count": 1} for name, value in values.items()}
    return {name: round(value, 6) for name, value in found.items()} | {"metrics": metrics, "details": {}}


def main() -> None:
    """Run one side and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--dims", type=int, default=50)
    parser.add_argument("--calls", type=int, choices=[1, 2], default=2)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    print("RESULT " + json.dumps(measure(given.side, given.cells, given.dims, given.calls)), flush=True)


if __name__ == "__main__":
    main()
