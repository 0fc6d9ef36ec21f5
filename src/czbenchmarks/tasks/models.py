"""What goes into a task and what comes out of it: the base classes of input and output models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NoReturn, Optional, Type, TypeVar

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, field_validator

from czbenchmarks._check import is_given, kind_of, unknown, whole
from czbenchmarks.exceptions import BAD_INPUT, InputAssertionError, InputError, InputTypeError
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.inputs import represent

from .fields import Value, roles_of
from .scoring import Unusable

Input = TypeVar("Input", bound="TaskInput")
Baseline = TypeVar("Baseline", bound="BaselineInput")


class _Input(BaseModel):
    """A model whose bad input is one sentence; an optional field given as None, ``()`` or ``[]`` has its default."""

    model_config = {"arbitrary_types_allowed": True, "extra": "forbid"}

    def __init__(self, /, **data: Any) -> None:
        optional = {name for name, field in type(self).model_fields.items() if not field.is_required()}
        try:
            super().__init__(**{k: value for k, value in data.items() if k not in optional or is_given(value)})
        except ValidationError as error:
            _refuse(error, type(self))


def _refuse(error: ValidationError, model: Type[BaseModel]) -> NoReturn:
    """Raise the first problem pydantic found as one sentence."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    kind, given = first["type"], first["input"]
    fields = model.model_fields
    if kind == "missing":
        about = getattr(fields.get(name), "description", None) or f"{model.__name__} needs it."
        raise InputError(f"`{name}` is required: {about}") from None
    if kind == "extra_forbidden":
        raise InputError(unknown(f"Option of {model.__name__}", name, fields)) from None
    if kind in ("value_error", "assertion_error"):
        raise _as_input_error(first["ctx"]["error"]) from None
    if kind in ("literal_error", "enum"):
        raise InputError(f"`{name}` must be {first['ctx']['expected']}, got {given!r}.") from None
    expected = first["msg"].removeprefix("Input should be ")
    if kind == "is_instance_of":
        expected = expected.replace("an instance of ", "a ")
    shown = repr(given) if isinstance(given, (str, int, float, bool, type(None))) else kind_of(given)
    wrong_kind = kind.endswith(("_type", "_parsing")) or kind == "is_instance_of"
    raise (InputTypeError if wrong_kind else InputError)(f"`{name}` must be {expected}, got {shown}.") from None


def _as_input_error(error: Exception) -> Exception:
    """Return what a validator raised as a fault of the input: those of tasks of others raise Python's own errors."""
    if isinstance(error, BAD_INPUT):
        return error
    return (InputAssertionError if isinstance(error, AssertionError) else InputError)(str(error))


class TaskInput(_Input):
    """Base class for task inputs."""

    # What the data have for a field that nobody named, and why it cannot be used: metrics that need it say so.
    _unusable: Mapping[str, Unusable] = PrivateAttr(default_factory=dict)

    def take(self: Input, rows: Any) -> Input:
        """Return the same input for some cells.

        Parameters
        ----------
        rows
            Positions of the cells; for a task on several data sets a list of them, one per data set.
        """
        roles = roles_of(type(self).model_fields)
        given = {name: value for name in roles if (value := getattr(self, name)) is not None}
        return self.model_copy(update={name: roles[name].take(value, rows) for name, value in given.items()})


class TaskOutput(BaseModel):
    """Base class for task outputs; fields hold plain arrays."""

    model_config = {"arbitrary_types_allowed": True}

    # What the run prepared (dense once, neighbours once), for the metrics of the same run.
    _representation: Optional[Representation] = PrivateAttr(default=None)

    def with_representation(self, representation: Representation) -> Any:
        """Attach the prepared embedding for the metrics; returns self."""
        self._representation = representation
        return self

    def representation(self, array: Any) -> Representation:
        """Return the prepared embedding, or prepare `array` if the output was made by hand."""
        return self._representation if self._representation is not None else represent(array)


class BaselineInput(_Input):
    """Base class for baseline inputs.

    Attributes
    ----------
    about
        What the baseline is, in a few words; None if there is none.
    needs
        The field without which there is none; empty if it needs none.
    of_all
        Whether it is made of all data sets together, each the counts and the table of their genes.
    """

    about: ClassVar[str | None] = ""
    needs: ClassVar[str] = ""
    of_all: ClassVar[bool] = False

    @property
    def exists(self) -> bool:
        """Whether there is a baseline of this input."""
        return self.about is not None and (not self.needs or getattr(self, self.needs) is not None)

    def filled(self: Baseline, task_input: Any) -> Baseline:
        """Return the same with what the task's own input says and nobody gave."""
        return self


class NoBaselineInput(BaselineInput):
    """Input of tasks without a baseline."""

    about = None


class PCABaselineInput(BaselineInput):
    """Input of the PCA baseline."""

    about = "the principal components of the counts (variable genes, logged)"

    n_top_genes: Annotated[int, Field(description="Number of highly variable genes for PCA baseline.")] = 3000
    n_pcs: Annotated[int, Field(description="Number of principal components for PCA baseline.")] = 50
    obsm_key: Annotated[
        str, Value(hidden=True), Field(description="AnnData .obsm key to store the baseline PCA embedding.")
    ] = "emb"

    @field_validator("n_top_genes", mode="before")
    @classmethod
    def _check_n_top_genes(cls, value: Any) -> int:
        return whole(value, "n_top_genes", 100, 20_000)

    @field_validator("n_pcs", mode="before")
    @classmethod
    def _check_n_pcs(cls, value: Any) -> int:
        return whole(value, "n_pcs", 1, 1000)
