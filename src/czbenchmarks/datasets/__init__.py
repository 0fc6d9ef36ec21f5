"""Data sets: single cells with labels, or with perturbations, and the organisms they come from."""

from czbenchmarks._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "load_dataset": "czbenchmarks.datasets.utils",
        "load_custom_dataset": "czbenchmarks.datasets.utils",
        "list_available_datasets": "czbenchmarks.datasets.utils",
        "open_dataset": "czbenchmarks.datasets.utils",
        "open_custom_dataset": "czbenchmarks.datasets.utils",
        "SingleCellLabeledDataset": "czbenchmarks.datasets.single_cell_labeled",
        "SingleCellPerturbationDataset": "czbenchmarks.datasets.single_cell_perturbation",
        "Dataset": "czbenchmarks.datasets.dataset",
        "join_orthologs": "czbenchmarks.datasets.orthologs",
        "Organism": "czbenchmarks.datasets.types",
    },
)
