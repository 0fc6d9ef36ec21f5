"""Validator of labelled single cells."""

from __future__ import annotations

from typing import Any, ClassVar

from czbenchmarks.datasets.dataset import Dataset
from czbenchmarks.datasets.single_cell import SingleCellDataset
from czbenchmarks.datasets.single_cell_labeled import SingleCellLabeledDataset
from czbenchmarks.datasets.types import Organism
from czbenchmarks.exceptions import InputError

from .dataset_validator import DatasetValidator, require_class_variables


class SingleCellLabeledValidator(DatasetValidator):
    """Checks the organism and the columns of a labelled data set.

    A subclass sets `available_organisms`, `required_obs_keys` and `required_var_keys`.
    """

    dataset_type: ClassVar[type[Dataset]] = SingleCellLabeledDataset
    available_organisms: ClassVar[list[Organism]]
    required_obs_keys: ClassVar[list[str]]
    required_var_keys: ClassVar[list[str]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        require_class_variables(cls, "available_organisms", "required_obs_keys", "required_var_keys")

    def _validate_dataset(self, dataset: SingleCellDataset) -> None:
        require_class_variables(type(self), "available_organisms", "required_obs_keys", "required_var_keys")
        if dataset.organism not in self.available_organisms:
            raise InputError(f"Dataset organism {dataset.organism} is not supported for {type(self).__name__}")
        for kind, required, columns in (
            ("obs", self.required_obs_keys, dataset.adata.obs.columns),
            ("var", self.required_var_keys, dataset.adata.var.columns),
        ):
            missing = [key for key in required if key not in columns]
            if missing:
                raise InputError(f"Missing required {kind} keys: {missing}")
