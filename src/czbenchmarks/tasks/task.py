"""What every task is made of: its inputs, its outputs, its run."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Dict, List, NoReturn, Optional, Type, Union

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, field_validator

from czbenchmarks._check import is_given, kind_of, naming, unknown, whole
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.exceptions import BAD_INPUT, InputAssertionError, InputError, InputTypeError
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.inputs import represent as represent
from czbenchmarks.metrics.presets import PUBLISHED
from czbenchmarks.metrics.types import MetricResult, MetricType, metrics_registry

from .registry import TASK_REGISTRY as TASK_REGISTRY
from .registry import TaskRegistry as TaskRegistry
from .scoring import Unusable, result_of, score_all

if TYPE_CHECKING:
    from .types import CellRepresentation


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
    """Base class for baseline inputs."""


class NoBaselineInput(BaselineInput):
    """Input of tasks without a baseline."""


class PCABaselineInput(BaselineInput):
    """Input of the PCA baseline."""

    n_top_genes: Annotated[int, Field(description="Number of highly variable genes for PCA baseline.")] = 3000
    n_pcs: Annotated[int, Field(description="Number of principal components for PCA baseline.")] = 50
    obsm_key: Annotated[str, Field(description="AnnData .obsm key to store the baseline PCA embedding.")] = "emb"

    @field_validator("n_top_genes", mode="before")
    @classmethod
    def _check_n_top_genes(cls, value: Any) -> int:
        return whole(value, "n_top_genes", 100, 20_000)

    @field_validator("n_pcs", mode="before")
    @classmethod
    def _check_n_pcs(cls, value: Any) -> int:
        return whole(value, "n_pcs", 1, 1000)


class TaskParameter(BaseModel):
    """One parameter of a task."""

    model_config = {"arbitrary_types_allowed": True}

    name: str
    type: Any
    stringified_type: str
    default: Any = None
    required: bool
    help_text: str
    is_multiple: bool


class TaskInfo(BaseModel):
    """A task's name, description and parameters."""

    name: str
    display_name: str
    description: str
    task_params: Dict[str, TaskParameter]
    baseline_params: Dict[str, TaskParameter]
    requires_multiple_datasets: bool


class Task(ABC):
    """A benchmark task: an embedding and labels in, scores out.

    A subclass defines ``display_name``, ``description``, ``input_model`` and two methods, ``_run_task`` and
    ``_compute_metrics``; defining it registers it. Without an ``input_model`` it has no parameters, and a run takes
    whatever is passed as its input. An instance is configuration: a run changes neither it nor what the caller passed.

    Parameters
    ----------
    random_seed
        Seed of everything the task draws.

    Attributes
    ----------
    draws_nothing
        Whether the scores do not depend on the seed, so that several seeds need one run; a sample of the cells
        (`max_cells`) always depends on it. A subclass says so itself, or is run once per seed.

    Examples
    --------
    >>> from czbenchmarks.tasks import EmbeddingTask, EmbeddingTaskInput
    >>> cells = [[0.0], [1.0], [9.0], [10.0]]
    >>> import numpy as np
    >>> EmbeddingTask().run(np.array(cells), EmbeddingTaskInput(input_labels=["a", "a", "b", "b"]))[0].value > 0.9
    True
    """

    display_name: str
    description: str
    input_model: Type[TaskInput] = TaskInput
    baseline_model: Type[BaselineInput] = PCABaselineInput
    random_seed: int = RANDOM_SEED
    requires_multiple_datasets: bool = False
    draws_nothing: bool = False
    version: int = 1
    # Built-in tasks take the prepared embedding; others see plain arrays.
    _accepts_representation: bool = False
    _keeps_sparse: bool = False

    def __init__(self, *, random_seed: int = RANDOM_SEED) -> None:
        self.random_seed = whole(RANDOM_SEED if random_seed is None else random_seed, "random_seed", 0, 2**32 - 1)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the subclass, once both methods are there."""
        super().__init_subclass__(**kwargs)
        if "_run_task" in vars(cls) and "_accepts_representation" not in vars(cls):
            cls._accepts_representation = cls._keeps_sparse = False
        if "draws_nothing" not in vars(cls):
            cls.draws_nothing = False
        named = hasattr(cls, "display_name") or cls.input_model is not TaskInput
        if not hasattr(cls, "display_name"):
            cls.display_name = cls.__name__
        if not hasattr(cls, "description"):
            cls.description = (cls.__doc__ or cls.__name__).strip()
        methods = (cls._run_task, cls._compute_metrics)
        if named and not any(getattr(m, "__isabstractmethod__", False) for m in methods):
            TASK_REGISTRY.register_task(cls)

    @abstractmethod
    def _run_task(self, cell_representation: Any, task_input: Any) -> TaskOutput:
        """Compute what the metrics need."""

    @abstractmethod
    def _compute_metrics(self, task_input: Any, task_output: Any) -> List[MetricResult]:
        """Score the output."""

    def max_neighbors(self, task_input: Any) -> int:
        """Return how many neighbours (the cell itself included) a run will ask for; 0 if none."""
        return 0

    def score(self, metric_type: MetricType, params: Optional[Dict[str, Any]] = None, **arguments: Any) -> MetricResult:
        """Compute one metric and wrap it with its parameters, counts and units.

        Parameters
        ----------
        metric_type
            The metric.
        params
            What tells this score from others of the same metric.
        **arguments
            The metric's arguments.
        """
        return result_of(metric_type, metrics_registry.measure(metric_type, **arguments), params)

    def scores(
        self, task_input: TaskInput, published: Sequence[MetricType], arguments: Mapping[str, Any]
    ) -> List[MetricResult]:
        """Compute the metrics that the input asks for, by its field `metrics`; without that field the published ones.

        Parameters
        ----------
        task_input
            The task's input.
        published
            What is computed by default.
        arguments
            What metrics may take, by the names in their rows (`X`, `labels`, `batch`, …); None for what could have
            been given and was not. Any metric that needs no more can be asked for.
        """
        names = getattr(task_input, "metrics", [PUBLISHED])
        return score_all(self, names, published, arguments, task_input._unusable)

    def compute_baseline(
        self, expression_data: CellRepresentation, baseline_input: Optional[PCABaselineInput] = None
    ) -> CellRepresentation:
        """Return the baseline embedding: PCA of normalised, log-transformed counts of variable genes.

        Parameters
        ----------
        expression_data
            Cells x genes, counts; it is not changed.
        baseline_input
            Number of genes and components.

        Returns
        -------
        Cells x components.
        """
        from .utils import default_baseline

        baseline_input = PCABaselineInput() if baseline_input is None else baseline_input
        _check_kind(baseline_input, PCABaselineInput, "baseline_input")
        return default_baseline(expression_data, baseline_input, self.random_seed)

    def run(
        self,
        cell_representation: Union[CellRepresentation, Representation, List[Any]],
        task_input: TaskInput,
    ) -> List[MetricResult]:
        """Score an embedding.

        Parameters
        ----------
        cell_representation
            Cells x dimensions: array, sparse matrix, DataFrame or ``Representation``; for tasks that require multiple
            data sets a list of them, in the order of the task input's lists.
        task_input
            An instance of the task's ``input_model``; anything for a task of your own that has none.

        Returns
        -------
        One result per score; a score that is not defined has NaN and a reason.

        Raises
        ------
        ValueError, TypeError
            One sentence, if the input is bad or no score is defined on it.
        """
        results = self.results(cell_representation, task_input)
        if (error := self.undefined(results)) is not None:
            raise error
        return results

    def undefined(self, results: Sequence[MetricResult]) -> InputError | None:
        """Return why none of the results has a value; None if one has.

        Parameters
        ----------
        results
            Of ``results``.
        """
        reasons = [result.reason for result in results]
        if not results or not all(reasons):
            return None
        return InputError(
            f"{self.display_name} has no score on this input: {'; '.join(dict.fromkeys(map(str, reasons)))}."
        )

    def results(self, cell_representation: Any, task_input: TaskInput) -> List[MetricResult]:
        """Return what ``run`` returns, also where no score is defined.

        Parameters
        ----------
        cell_representation, task_input
            As ``run`` takes them.
        """
        several = cell_representation if isinstance(cell_representation, (list, tuple)) else None
        if self.requires_multiple_datasets and (several is None or len(several) < 2):
            raise InputError(
                # Callers match on the first half, which is that of 0.15.1.
                "This task requires a list of cell representations but only one was provided; pass one per data set."
            )
        if several is not None and not self.requires_multiple_datasets:
            raise InputError(
                "This task requires a single cell representation (cells x dimensions as an array), got a "
                f"{type(several).__name__} of {len(several)}."
            )
        if self.input_model is not TaskInput:
            _check_kind(task_input, self.input_model, "task_input")
        self._refuse_other_orders(several if several is not None else [cell_representation], task_input)
        given: Any
        if several is not None:
            given = [self._prepare(x, f"cell_representation[{i}]") for i, x in enumerate(several)]
        else:
            given = self._prepare(cell_representation, "cell_representation")
        return self._compute_metrics(task_input, self._run_task(given, task_input))

    @staticmethod
    def _refuse_other_orders(embeddings: Sequence[Any], task_input: TaskInput) -> None:
        """Refuse tables and Series of labels that name the same cells in different orders, or only some of the same."""
        fields = {name: getattr(task_input, name, None) for name in _NAMED_FIELDS}
        for i, embedding in enumerate(embeddings):
            named = [(name, _entry(value, i)) for name, value in fields.items()]
            # Whatever has an index; of two, the first sets the order, `obs` if there is one.
            indices = [
                (name, value.index)
                for name, value in [*named, ("cell_representation", embedding)]
                if hasattr(value, "iloc")
            ]
            for (of, first), (name, index) in itertools.combinations(indices, 2):
                naming.refuse_another_order(index, first, name, of)

    def _prepare(self, value: Any, name: str) -> Any:
        prepared = represent(value, name, keep_sparse=self._keeps_sparse)
        return prepared if self._accepts_representation else prepared.array


_NAMED_FIELDS = ("obs", "labels", "input_labels", "batch_labels", "sample_ids", "groups", "pseudotime")


def _entry(value: Any, i: int) -> Any:
    """Return the entry of one data set where there are several; too short a list is refused later, in its own words."""
    return (value[i] if i < len(value) else None) if isinstance(value, list) else value


def _check_kind(value: Any, kind: Type[BaseModel], name: str) -> None:
    if not isinstance(value, kind):
        raise InputTypeError(f"`{name}` must be a {kind.__name__}, got {kind_of(value)}.")
