"""Draw the README's picture: the scores of `czbenchmarks demo`, three embeddings on eight tasks."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import matplotlib

from czbenchmarks.cli import demo

matplotlib.use("Agg")
import matplotlib.pyplot as plt

TARGET = Path(__file__).parent.parent / "docs" / "images" / "demo.png"
# Task, metric -> how the picture calls it; from top to bottom.
SHOWN = {
    ("clustering", "adjusted_rand_index"): "Clustering: adjusted Rand index",
    ("embedding", "silhouette_score"): "Embedding: silhouette of cell types",
    ("label_prediction", "mean_fold_f1"): "Label prediction: F1",
    ("batch_integration", "batch_silhouette"): "Batch integration: donors mixed",
    ("cross-species_integration", "batch_silhouette"): "Cross-species integration: species mixed",
    ("cross-species_label_prediction", "f1"): "Cross-species label prediction: F1",
    ("sequential_organization", "sequential_alignment"): "Order in time: alignment (simulated)",
    ("perturbation_expression_prediction", "spearman_correlation_calculation"): "Perturbation: correlation (simulated)",
}
# Colours that stay apart for the colour-blind (Okabe and Ito), shapes that stay apart without colour.
LOOKS = {
    "PCA": ("#0072B2", "o", "PCA of the counts"),
    "shuffled": ("#D55E00", "X", "the same, shuffled: chance"),
    "perfect": ("#009E73", "D", "knows the answer"),
}


def scores(folder: Path) -> dict[tuple[str, str], dict[str, float]]:
    """Run the demo, and return the numbers of its table."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    task = ""
    for name, _, best, *values in demo.table(demo.run(folder)):
        if not best:
            task = name
            continue
        found[task, name.strip()] = dict(zip(LOOKS, map(float, values), strict=True))
    return found


def draw(found: dict[tuple[str, str], dict[str, float]], target: Path) -> None:
    """Draw a line per score and a mark per embedding, and write the picture."""
    figure, axes = plt.subplots(figsize=(7.6, 3.5), dpi=150, layout="constrained")
    places = range(len(SHOWN) - 1, -1, -1)
    axes.hlines(places, 0, 1, color="#dddddd", linewidth=1, zorder=1)
    for kind, (colour, marker, label) in LOOKS.items():
        values = [found[row][kind] for row in SHOWN]
        axes.scatter(values, places, s=46, color=colour, marker=marker, label=label, zorder=3, linewidths=0)
    for place, row in zip(places, SHOWN, strict=True):
        axes.annotate(f"{found[row]['PCA']:.2f}", (1.11, place), color=LOOKS["PCA"][0], va="center", ha="right", size=9)
    axes.set_yticks(list(places), list(SHOWN.values()), fontsize=9)
    axes.set_xlim(-0.03, 1.12)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.tick_params(length=0)
    axes.set_xlabel("score (1 is best; the numbers are those of the PCA)", fontsize=9)
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="x", labelsize=9)
    figure.text(0.005, 0.01, "Pancreas cells: Baron et al. 2016", fontsize=8, color="#777777")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, metadata={"Software": None})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        draw(scores(Path(temporary)), Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
