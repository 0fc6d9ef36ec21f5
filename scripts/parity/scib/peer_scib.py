"""Score the cases with scib, in an environment that holds it.

    python scripts/parity/scib/peer_scib.py ../shared/data --output tests/parity/scib.json

The values replace those of scib in the file; those of scib-metrics stay. Not run: kBET, which needs R, and the LISI of
the graph, whose compiled program in the wheel asks for a newer C library than many systems have (and which walks the
graph of 15 neighbours where everything here takes the 90 nearest cells).
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

from scib_cases import FILES, LABEL, RESOLUTIONS, THRESHOLD, Case, corrected_expression, graph_error, key, number, read
from scib_store import keep

VERSIONS = ("scib", "scanpy", "numpy", "scipy", "scikit-learn", "igraph", "leidenalg", "umap-learn", "pandas")
CELL_CYCLE = ("baron", "mixology")  # human, with the genes
VARIABLE_GENES = ("mixology", "kang")
TRAJECTORY = ("worm",)


def of_embedding(case: Case, name: str) -> dict[str, Any]:
    """Return what scib says of one embedding, by metric."""
    import anndata as ad
    import scanpy as sc
    import scib.metrics as peer

    adata = case.adata()
    adata.obs = adata.obs.astype("category")
    before = ad.AnnData(X=case.unintegrated, obs=adata.obs.copy(), obsm={"X_pca": case.unintegrated})
    before.uns["pca"] = {"variance": case.unintegrated.var(axis=0, ddof=1)}
    sc.pp.neighbors(adata, use_rep=name, n_neighbors=15)
    d = adata.obsm[name].shape[1]
    isolated = {"label_key": LABEL, "batch_key": "batch", "embed": name, "verbose": False}
    best = peer.cluster_optimal_resolution(
        adata, LABEL, "best", metric=peer.nmi, resolutions=list(RESOLUTIONS), verbose=False, return_all=True
    )
    found = {
        "silhouette_score": peer.silhouette(adata, LABEL, name),
        "batch_silhouette": peer.silhouette_batch(adata, "batch", LABEL, name, verbose=False),
        "graph_connectivity_weak": peer.graph_connectivity(adata, LABEL),
        "pcr": peer.pcr(adata, "batch", embed=name, n_comps=d),
        "pcr_comparison": peer.pcr_comparison(before, adata, "batch", embed=name, n_comps=d),
        "pcr_comparison, not scaled": peer.pcr_comparison(before, adata, "batch", embed=name, n_comps=d, scale=False),
        "leiden_nmi_best": best[1],
        "leiden_ari_best": peer.ari(adata, "best", LABEL),
    }
    found |= {f"leiden_nmi_best, resolution {row.resolution:.1f}": row.score for row in best[2].itertuples()}
    for said, threshold in (("", None), (f", threshold {THRESHOLD}", THRESHOLD)):
        one = {**isolated, "iso_threshold": threshold}
        found[f"isolated_labels{said}"] = peer.isolated_labels_asw(adata, **one)
        found[f"isolated_labels_f1{said}"] = peer.isolated_labels_f1(adata, **one, resolutions=list(RESOLUTIONS))
    return found


def conservation(case: Case, name: str) -> dict[str, Any]:
    """Return what scib says of the cell cycle and the trajectory."""
    import scanpy as sc
    import scib.metrics as peer

    adata = case.adata(expression=True)
    adata.obs = adata.obs.astype("category")
    found = {}
    if case.name in CELL_CYCLE:
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
        found["cell_cycle_conservation"] = peer.cell_cycle(adata, adata, "batch", embed=name, organism="human")
    if case.name in TRAJECTORY:
        sc.pp.neighbors(adata, use_rep=name, n_neighbors=15)
        before = adata.copy()
        before.obs["dpt_pseudotime"] = case.time
        for said, batch in (("", None), (", by batch", "batch")):
            score = peer.trajectory_conservation(before, adata.copy(), LABEL, batch_key=batch)
            found[f"trajectory_conservation{said}"] = score
    return found


def variable_genes(case: Case) -> float:
    """Return what scib says of the variable genes of corrected expression."""
    import anndata as ad
    import scib.metrics as peer

    obs = case.adata().obs.astype("category")
    names, logged, corrected = corrected_expression(case)
    before, after = (ad.AnnData(X=X, obs=obs.copy()) for X in (logged, corrected))
    before.var_names = after.var_names = names
    return float(peer.hvg_overlap(before, after, "batch"))


def score(shared: Path) -> dict[str, float | None]:
    """Return all values."""
    values: dict[str, float | None] = {}
    for file in FILES:
        started = time.perf_counter()
        case = read(shared, file)
        for embedding in case.embeddings:
            found = of_embedding(case, embedding) | conservation(case, embedding)
            values |= {key(file, embedding, metric): number(value) for metric, value in found.items()}
        if file in VARIABLE_GENES:
            values[key(file, "expression", "hvg_conservation")] = number(variable_genes(case))
        print(f"{time.perf_counter() - started:6.1f} s  {file}", flush=True)
    return values


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared_data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    error = graph_error(given.shared_data)
    if error > 1e-3:
        raise SystemExit(f"the neighbour graph here is wrong (off by {error:.2g}); install umap-learn 0.5.12")
    keep(given.output, "scib", VERSIONS, {"graph_error": error, "values": score(given.shared_data)})
