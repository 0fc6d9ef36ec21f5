"""The base of validators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from czbenchmarks.datasets.dataset import Dataset
from czbenchmarks.exceptions import InputError, InputTypeError


def require_class_variables(cls: type, *names: str) -> None:
    """Refuse a validator class that does not say what it validates."""
    for name in names:
        if not hasattr(cls, name):
            raise InputTypeError(f"Can't instantiate {cls.__name__} without {name} class variable")


class DatasetValidator(ABC):
    """Checks one kind of data set. A subclass names the kind in `dataset_type` and says what must hold."""

    dataset_type: ClassVar[type[Dataset]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        require_class_variables(cls, "dataset_type")

    @abstractmethod
    def _validate_dataset(self, dataset: Any) -> None:
        """Refuse a loaded data set, of the right kind, that lacks something."""

    def validate_dataset(self, dataset: Dataset) -> None:
        """Refuse a loaded data set of another kind, or one that lacks something."""
        if not isinstance(dataset, self.dataset_type):
            raise InputError(
                f"Dataset type mismatch. Expected {self.dataset_type.__name__}, got {type(dataset).__name__}"
            )
        self._validate_dataset(dataset)
