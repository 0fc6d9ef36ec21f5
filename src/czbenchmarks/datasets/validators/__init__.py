"""Validators: what a family of data sets must contain."""

from czbenchmarks._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "DatasetValidator": "czbenchmarks.datasets.validators.dataset_validator",
        "SingleCellLabeledValidator": "czbenchmarks.datasets.validators.single_cell_validator",
    },
)
