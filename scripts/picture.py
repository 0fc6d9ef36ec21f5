"""Draw the README's picture: PCA against UMAP of the 700 blood cells that scanpy ships, on three tasks."""

import importlib.util
from pathlib import Path

import anndata
import matplotlib

import czbenchmarks

matplotlib.use("Agg")
import matplotlib.pyplot as plt

CELLS = Path(str(importlib.util.find_spec("scanpy").origin)).parent / "datasets" / "10x_pbmc68k_reduced.h5ad"
TARGET = Path(__file__).parent.parent / "docs" / "images" / "pbmc68k_reduced.png"
SHOWN = {
    "normalized_mutual_info": "Clustering, NMI",
    "adjusted_rand_index": "Clustering, ARI",
    "silhouette_score": "Embedding, silhouette",
    "mean_fold_f1": "Label prediction, F1",
}
COLOURS = {"X_pca": "#1b6ca8", "X_umap": "#e08e0b"}


def scores() -> dict[str, dict[str, float]]:
    """Score both embeddings; the label prediction is the mean over its three classifiers."""
    cells = anndata.read_h5ad(CELLS)
    found = {}
    for name in COLOURS:
        record = czbenchmarks.evaluate(
            cells.obsm[name], cells, tasks=["clustering", "embedding", "label_prediction"], labels="bulk_labels"
        )
        frame = record.to_frame()
        found[name] = frame.groupby("metric", sort=False)["value"].first().to_dict()
    return found


def draw(found: dict[str, dict[str, float]]) -> None:
    """Draw one group of bars per score and write the picture."""
    figure, axes = plt.subplots(figsize=(7.2, 3.0), dpi=150, layout="constrained")
    for shift, (name, colour) in zip((0.19, -0.19), COLOURS.items(), strict=True):
        values = [found[name][metric] for metric in SHOWN]
        places = [len(SHOWN) - 1 - i + shift for i in range(len(SHOWN))]
        bars = axes.barh(
            places, values, 0.36, color=colour, label=f"{name} ({50 if name == 'X_pca' else 2} dimensions)"
        )
        axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=9)
    axes.set_yticks(range(len(SHOWN)), list(SHOWN.values())[::-1])
    axes.set_xlim(0, 1.0)
    axes.set_xlabel("score (1 is best)")
    axes.set_title("700 blood cells (pbmc68k_reduced), 10 cell types", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, fontsize=9)
    figure.savefig(TARGET, metadata={"Software": None})


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    draw(scores())
