"""Kinds of fields that input models share; what clients see of them is the plain annotation."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BeforeValidator, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from czbenchmarks._check import kind_of, one_dimensional, whole
from czbenchmarks._check.containers import plain
from czbenchmarks.exceptions import InputTypeError


def _one_per_cell(value: Any, info: ValidationInfo) -> Any:
    return _labels(value, str(info.field_name))


def _labels(value: Any, name: str) -> Any:
    """Return labels in a container that clients know, checked to be one per cell."""
    import pandas as pd

    array = one_dimensional(value, name)
    value = plain(value, name)
    if isinstance(value, (list, tuple, np.ndarray, pd.Series, pd.Index)):
        return value
    return pd.Series(value if isinstance(value, pd.api.extensions.ExtensionArray) else array)


def _one_per_data_set(value: Any, info: ValidationInfo) -> Any:
    if value is None:
        return None
    name = str(info.field_name)
    if not isinstance(value, (list, tuple)):
        raise InputTypeError(f"`{name}` must be a list with one entry per data set, got {kind_of(value)}.")
    return [_labels(entry, f"{name}[{position}]") for position, entry in enumerate(value)]


def _organisms(value: Any, info: ValidationInfo) -> Any:
    from czbenchmarks.datasets.types import Organism

    if isinstance(value, (str, Organism)) or not isinstance(value, (list, tuple)):
        raise InputTypeError(f"`{info.field_name}` must be a list with one organism per data set, got {value!r}.")
    return [Organism(entry) for entry in value]


def whole_number(least: int) -> BeforeValidator:
    """Accept whole numbers of at least `least`."""
    return BeforeValidator(lambda value, info: whole(value, str(info.field_name), least))


def _sample_size(value: Any, info: ValidationInfo) -> Any:
    return None if value is None else whole(value, str(info.field_name), 2)


ONE_PER_CELL = BeforeValidator(_one_per_cell)
ONE_PER_CELL_IF_ANY = BeforeValidator(lambda value, info: None if value is None else _one_per_cell(value, info))
ONE_PER_DATA_SET = BeforeValidator(_one_per_data_set)
ORGANISMS = BeforeValidator(_organisms)
SAMPLE_SIZE = BeforeValidator(_sample_size)
UNINTEGRATED = "The data before integration, for metrics that compare with them: principal components, or expression."
MAX_CELLS = "Estimate silhouettes from about this many cells, with a standard error; by default all cells are used."


class MatrixLike:
    """Marks a field that holds one row of numbers per cell; checked, and kept so that its work is done once."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the value when it arrives."""
        return core_schema.with_info_plain_validator_function(cls._check)

    @staticmethod
    def _check(value: Any, info: core_schema.ValidationInfo) -> Any:
        from czbenchmarks.metrics.inputs import represent

        return represent(value, str(info.field_name), keep_sparse=True)


class AnnDataLike:
    """Marks a field that holds an ``anndata.AnnData``, without importing anndata."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the value when it arrives: by then anndata is imported, or the value is none of its own."""
        return core_schema.with_info_plain_validator_function(cls._check)

    @staticmethod
    def _check(value: Any, info: core_schema.ValidationInfo) -> Any:
        if not any(c.__name__ == "AnnData" and c.__module__.startswith("anndata") for c in type(value).__mro__):
            raise InputTypeError(f"`{info.field_name}` must be an anndata.AnnData, got {kind_of(value)}.")
        return value
