"""The cases of the parity study, as data: what is scored, with which columns and options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# name of a case file -> the real file it is made from
SOURCES = {
    "baron_human": "baron_pancreas_human",
    "mixology": "mixology_cell_lines",
    "kang_two_donors": "kang_pbmc_two_donors",
    "cross_human": "baron_pancreas_human",
    "cross_mouse": "baron_pancreas_mouse",
    "worm": "worm_embryo_time",
    "ipsc": "ipsc_cardiomyocyte_time",
    "kang_ifnb": "kang_pbmc_ifnb",
}
# organism of a file -> (member of `Organism`, its name on the command line)
ORGANISMS = {"cross_human": ("HUMAN", "homo_sapiens"), "cross_mouse": ("MOUSE", "mus_musculus")}
# registry name -> prefix of the two public class names
CLASSES = {
    "clustering": "Clustering",
    "embedding": "Embedding",
    "batch_integration": "BatchIntegration",
    "label_prediction": "MetadataLabelPrediction",
    "sequential_organization": "SequentialOrganization",
    "cross-species_integration": "CrossSpeciesIntegration",
    "cross-species_label_prediction": "CrossSpeciesLabelPrediction",
    "perturbation_expression_prediction": "PerturbationExpressionPrediction",
}
PERTURBATION = "perturbation_expression_prediction"
SYNTHETIC = "synthetic_10000"
SEEDS = range(11)


@dataclass(frozen=True)
class Case:
    """One call of one task."""

    data: str  # what the key calls it
    task: str
    files: tuple[str, ...]
    columns: dict[str, str]  # field of the task input -> obs column
    options: dict[str, Any] = field(default_factory=dict)  # further fields, plain values
    predictions: str = ""  # perturbation only: which saved matrix

    @property
    def name(self) -> str:
        """The case as it stands in a key: data, and what tells it from its neighbours."""
        marks = [self.predictions] if self.predictions else []
        marks += [f"{name}={self.columns[name]}" for name in ("sample_ids",) if name in self.columns]
        marks += [f"{name}={value}" for name, value in self.options.items()]
        return f"{self.data} [{', '.join(marks)}]" if marks else self.data


def _cases() -> list[Case]:
    found = []
    for data in ("baron_human", "mixology", "kang_two_donors"):
        labels = {"labels": "cell_type"}
        found += [
            Case(data, "clustering", (data,), {"input_labels": "cell_type"}),
            Case(data, "embedding", (data,), {"input_labels": "cell_type"}),
            Case(data, "batch_integration", (data,), {**labels, "batch_labels": "batch"}),
            Case(data, "label_prediction", (data,), labels),
        ]
    both = ("cross_human", "cross_mouse")
    found.append(Case("baron_both", "cross-species_integration", both, {"labels": "cell_type"}))
    for ids, options in [
        ("", {"aggregation_method": "none"}),
        ("batch", {"aggregation_method": "none"}),
        ("donor", {"aggregation_method": "none", "n_folds": 2}),
        ("sample", {"aggregation_method": "mean"}),
        ("sample", {"aggregation_method": "median"}),
    ]:
        columns = {"labels": "cell_type"} | ({"sample_ids": ids} if ids else {})
        found.append(Case("baron_both", "cross-species_label_prediction", both, columns, options))
    for data, column in (("worm", "time_code"), ("ipsc", "time")):
        for normalize in (True, False):
            for adaptive_k in (True, False):
                options = {"normalize": normalize, "adaptive_k": adaptive_k}
                found.append(Case(data, "sequential_organization", (data,), {"input_labels": column}, options))
    for predictions in ("noisy", "sparse", "reordered"):
        for operation in ("ratio", "difference"):
            options = {"pred_effect_operation": operation}
            found.append(Case("kang_ifnb", PERTURBATION, ("kang_ifnb",), {}, options, predictions))
    return found


CASES = _cases()
