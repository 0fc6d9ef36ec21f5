"""What the fields of input models hold: said in their annotation, checked, read by everyone who fills or shows them.

``labels: Annotated[ListLike, PerCell("labels", default="cell_type"), Field(description="…")]``

What clients see of a field is the plain annotation.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Optional, get_args, get_origin

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from czbenchmarks._check import Labels, kind_of, listing, one_dimensional, whole
from czbenchmarks._check.containers import plain
from czbenchmarks.datasets.types import Organism
from czbenchmarks.exceptions import InputError, InputTypeError
from czbenchmarks.kernels.representation import Representation

ALIASES = {
    "labels": "input_labels",
    "input_labels": "labels",
    "organisms": "organism_list",
    "organism_list": "organisms",
}
"""One option under two names: the tasks differ in what they call it."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """A plain value, the same for any cells; the base of everything that a field may hold.

    Attributes
    ----------
    help
        What the command line says of the option, where that differs from the description of the field.
    hidden
        Whether the command line does not show it: it has no effect there, or is known from the data.
    """

    help: str = ""
    hidden: bool = False
    metavar: ClassVar[str | None] = None
    from_data: ClassVar[str | None] = None
    """What a required field is filled from unless it is given, as the command line says it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the value when it arrives, then as the annotation says."""
        return BeforeValidator(self._arrived).__get_pydantic_core_schema__(source, handler)

    def _arrived(self, value: Any, info: ValidationInfo) -> Any:
        return self.checked(value, str(info.field_name))

    def checked(self, value: Any, name: str) -> Any:
        """Return a value as the field keeps it; refuse what it cannot hold."""
        return value

    def take(self, value: Any, rows: Any) -> Any:
        """Return the value for some cells, named by their positions; per data set where the field has one for each."""
        return value


@dataclass(frozen=True, kw_only=True)
class Metrics(Value):
    """Names of metrics and presets."""

    metavar = "NAME"


@dataclass(frozen=True)
class PerCell(Value):
    """One value per cell: labels, batches, times.

    Attributes
    ----------
    of
        What it tells of a cell: ``"labels"``, ``"batch"``, ``"donor"``, or ``"time"`` and ``"pseudotime"``, which are
        numbers.
    default
        Column of `obs` that fills a required field unless another is named.
    per_data_set
        Whether the field is a list with one entry per data set.
    """

    of: str = ""
    default: str | None = None
    per_data_set: bool = False
    metavar = "COLUMN"

    @property
    def names_groups(self) -> bool:
        """Whether its values name groups of cells."""
        return self.of not in ("time", "pseudotime")

    def checked(self, value: Any, name: str) -> Any:
        """Return labels in a container that clients know, checked to be one per cell."""
        if not self.per_data_set:
            return _labels(value, name)
        if value is None:
            return None
        if not isinstance(value, (list, tuple)):
            raise InputTypeError(f"`{name}` must be a list with one entry per data set, got {kind_of(value)}.")
        return [_labels(entry, f"{name}[{position}]") for position, entry in enumerate(value)]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the value when it arrives; a run passes labels that are coded already."""
        plainly = super().__get_pydantic_core_schema__(source, handler)
        return core_schema.no_info_wrap_validator_function(
            lambda value, check: value if _are_coded(value) else check(value), plainly
        )

    def take(self, value: Any, rows: Any) -> Any:
        """Return the entries of some cells."""
        if self.per_data_set:
            return [_entries(entry, some) for entry, some in zip(value, rows, strict=True)]
        return _entries(value, rows)


@dataclass(frozen=True, kw_only=True)
class Matrix(Value):
    """One row of numbers per cell."""

    metavar = "REFERENCE"

    def checked(self, value: Any, name: str) -> Any:
        """Return the matrix, checked, and kept so that its work is done once."""
        return value if value is None else MatrixLike.checked(value, name)

    def take(self, value: Any, rows: Any) -> Any:
        """Return the rows of some cells."""
        if isinstance(value, Representation):
            return Representation(value.values[rows], search=value.search)
        return value.iloc[rows] if hasattr(value, "iloc") else value[rows]


@dataclass(frozen=True, kw_only=True)
class Table(Value):
    """A table of the data, one row per cell: `obs`."""

    of: Literal["obs", "var"] | None = "obs"
    from_data = "@obs"

    def take(self, value: Any, rows: Any) -> Any:
        """Return the rows of some cells."""
        return value.iloc[rows] if self.of == "obs" else value


@dataclass(frozen=True, kw_only=True)
class Index(Value):
    """Names of cells or genes."""

    unique: bool = False  # whether each may occur once only
    metavar = "REFERENCE"

    def checked(self, value: Any, name: str) -> pd.Index | None:
        """Return the names as an index."""
        if value is None:
            return None
        if not self.unique:
            return pd.Index(one_dimensional(value, name))
        if isinstance(value, pd.MultiIndex):
            raise InputTypeError(f"`{name}` must hold one name per entry, got a MultiIndex; flatten it.")
        index = value if isinstance(value, pd.Index) else pd.Index(one_dimensional(value, name))
        if not index.is_unique:
            twice = index[index.duplicated()].unique()
            raise InputError(f"`{name}` must hold each name once, got {listing(twice)} more than once.")
        return index


@dataclass(frozen=True, kw_only=True)
class Genes(Index):
    """Names of genes."""

    column_of: Literal["obs", "var"] = "obs"  # the table that a name without ``@`` is a column of


@dataclass(frozen=True, kw_only=True)
class CellIndex(Index):
    """Names of the cells that the rows of a prediction are of: whoever gives them may score any number of rows."""

    def take(self, value: Any, rows: Any) -> Any:
        """Return the names of some rows."""
        return value[rows]


@dataclass(frozen=True, kw_only=True)
class Data(Value):
    """The data set itself, as AnnData."""

    from_data = "@, the data set"

    def take(self, value: Any, rows: Any) -> Any:
        """Return the data of some cells."""
        return value[rows]


@dataclass(frozen=True, kw_only=True)
class Species(Value):
    """The organism of the cells."""

    per_data_set: bool = False  # whether the field is a list with one organism per data set
    metavar = "NAME"
    from_data = "column 'organism' of obs"

    def checked(self, value: Any, name: str) -> Any:
        """Return organisms, also where they were named by text."""
        if not self.per_data_set:
            return value if value is None else Organism(value)
        if isinstance(value, (str, Organism)) or not isinstance(value, (list, tuple)):
            raise InputTypeError(f"`{name}` must be a list with one organism per data set, got {value!r}.")
        return [Organism(entry) for entry in value]


class MatrixLike:
    """The annotation of a field that holds one row of numbers per cell; checked, and kept so its work is done once."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the value when it arrives."""
        return core_schema.with_info_plain_validator_function(
            lambda value, info: cls.checked(value, str(info.field_name))
        )

    @staticmethod
    def checked(value: Any, name: str) -> Representation:
        """Return the prepared matrix."""
        from czbenchmarks.metrics.inputs import represent

        return represent(value, name, keep_sparse=True)


class AnnDataLike:
    """The annotation of a field that holds an ``anndata.AnnData``, without importing anndata."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the value when it arrives: by then anndata is imported, or the value is none of its own."""
        return core_schema.with_info_plain_validator_function(cls._check)

    @staticmethod
    def _check(value: Any, info: core_schema.ValidationInfo) -> Any:
        if not any(c.__name__ == "AnnData" and c.__module__.startswith("anndata") for c in type(value).__mro__):
            raise InputTypeError(f"`{info.field_name}` must be an anndata.AnnData, got {kind_of(value)}.")
        return value


def role_of(name: str, field: FieldInfo) -> Value:
    """Return what a field holds: as it says, else as its annotation and its name tell."""
    for marker in field.metadata:
        if isinstance(marker, Value):
            return marker
    leaves = _leaves(field.annotation)
    many = _is_list(field.annotation)
    anndata = sys.modules.get("anndata")  # who annotates with it has imported it
    roles: list[tuple[Any, Value]] = [
        (getattr(anndata, "AnnData", AnnDataLike), Data()),
        (AnnDataLike, Data()),
        (MatrixLike, Matrix()),
        (pd.DataFrame, Table(of=name if name in ("obs", "var") else None)),  # type: ignore[arg-type]
        (Organism, Species(per_data_set=many)),
        (pd.Series, _per_cell(name, many)),  # before the index: labels may be one too
        (pd.Index, Genes(column_of="var") if name == "gene_names" else Index()),
    ]
    return next((role for kind, role in roles if any(leaf is kind for leaf in leaves)), Value())


def roles_of(fields: Mapping[str, FieldInfo]) -> dict[str, Value]:
    """Return what every field of a model holds."""
    return {name: role_of(name, field) for name, field in fields.items()}


_KNOWN = {
    "labels": ("labels", "cell_type"),
    "input_labels": ("labels", "cell_type"),
    "batch_labels": ("batch", "batch"),
    "sample_ids": ("donor", None),
    "groups": ("donor", None),
    "pseudotime": ("pseudotime", None),
}
"""What fields of these names hold in tasks that do not say it, and the column they are filled from."""


def _per_cell(name: str, many: bool) -> PerCell:
    of, default = _KNOWN.get(name, ("", None))
    return PerCell(of, default, many)


def _leaves(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Literal or not get_args(annotation):
        return [annotation]
    return [leaf for inner in get_args(annotation) for leaf in _leaves(inner)]


def _is_list(annotation: Any) -> bool:
    if get_origin(annotation) in (list, tuple):
        return True
    return any(map(_is_list, get_args(annotation)))


def _are_coded(value: Any) -> bool:
    several = value if isinstance(value, list) else [value]
    return bool(several) and all(isinstance(one, Labels) for one in several)


def _labels(value: Any, name: str) -> Any:
    if isinstance(value, Labels):
        return value
    array = one_dimensional(value, name)
    value = plain(value, name)
    if isinstance(value, (list, tuple, np.ndarray, pd.Series, pd.Index)):
        return value
    return pd.Series(value if isinstance(value, pd.api.extensions.ExtensionArray) else array)


def _entries(value: Any, rows: Any) -> Any:
    if isinstance(value, Labels):
        return value.take(rows)
    if isinstance(value, (list, tuple)):
        return [value[i] for i in np.arange(len(value))[rows]]
    return value.iloc[rows] if hasattr(value, "iloc") else value[rows]


def whole_number(least: int) -> BeforeValidator:
    """Accept whole numbers of at least `least`."""
    return BeforeValidator(lambda value, info: whole(value, str(info.field_name), least))


def _sample_size(value: Any, info: ValidationInfo) -> Any:
    return None if value is None else whole(value, str(info.field_name), 2)


ObsField = Annotated[
    pd.DataFrame, Table(), Field(description="Cell metadata DataFrame (e.g. the `obs` from an AnnData object).")
]
MaxCellsField = Annotated[
    Optional[int],
    BeforeValidator(_sample_size),
    Field(
        description="Estimate silhouettes from about this many cells, with a standard error; by default all cells are "
        "used."
    ),
]
UnintegratedField = Annotated[
    Optional[MatrixLike],
    Matrix(help="The data before integration, such as @obsm:X_pca. [default, if a metric needs it: @X]"),
    Field(
        description="The data before integration, for metrics that compare with them: principal components, or "
        "expression."
    ),
]
