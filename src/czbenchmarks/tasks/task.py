"""What every task is made of: its inputs, its outputs, its run."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    List,
    Literal,
    Optional,
    Type,
    Union,
    get_origin,
)

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from czbenchmarks._check import kind_of, naming, whole
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.exceptions import InputError, InputTypeError
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.inputs import represent as represent
from czbenchmarks.metrics.presets import PUBLISHED
from czbenchmarks.metrics.types import MetricResult, MetricType, metrics_registry

from . import scoring
from .fields import Value, role_of, roles_of
from .models import BaselineInput as BaselineInput
from .models import NoBaselineInput as NoBaselineInput
from .models import PCABaselineInput as PCABaselineInput
from .models import TaskInput as TaskInput
from .models import TaskOutput as TaskOutput
from .registry import TASK_REGISTRY as TASK_REGISTRY
from .registry import TaskRegistry as TaskRegistry
from .scoring import most_neighbors, result_of

if TYPE_CHECKING:
    from .types import CellRepresentation


class TaskParameter(BaseModel):
    """One parameter of a task; `role` says what it holds, see ``czbenchmarks.tasks.fields``."""

    model_config = {"arbitrary_types_allowed": True}

    name: str
    type: Any
    stringified_type: str
    default: Any = None
    required: bool
    help_text: str
    is_multiple: bool
    role: Any = Value()


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
    display_name
        Its name; in lower case and with underscores the key that finds it.
    description
        What it does, in one sentence.
    question
        What it asks, for the documentation.
    version
        Raised when a score of the task changes.
    published
        Metrics that are computed by default.
    more
        Further metrics of which only this task has the arguments.
    offers
        Names of the arguments that it has for metrics: any metric that needs no more can be asked for.
    neighbors
        Cells around each cell, itself included, that the published metrics ask for; 0 for what their rows say.
    takes
        What `_run_task` is given: a plain ``"array"``; or the prepared ``"representation"``, whose neighbours all tasks
        and metrics of a run share, dense or as a ``"sparse representation"`` where it was sparse.
    predicts_expression
        Whether it scores predicted expression, cells x genes of the data, rather than an embedding.
    draws_nothing
        Whether the scores do not depend on the seed, so that several seeds need one run; a sample of the cells
        (`max_cells`) always depends on it. A subclass says so itself, or is run once per seed.
    checks
        Functions of ``czbenchmarks.checks`` that suit its input. A subclass says so itself.
    smallest_label
        The field that says how many cells a label must have to be used; empty if all are.
    example
        Options that its example needs beside the labels.

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
    question: str = ""
    version: int = 1
    published: Sequence[MetricType] = ()
    more: Sequence[MetricType] = ()
    offers: Sequence[str] = ()
    neighbors: int = 0
    takes: Literal["array", "representation", "sparse representation"] = "array"
    predicts_expression: bool = False
    draws_nothing: bool = False
    checks: Sequence[str] = ()
    smallest_label: str = ""
    example: Mapping[str, str] = MappingProxyType({})

    def __init__(self, *, random_seed: int = RANDOM_SEED) -> None:
        self.random_seed = whole(RANDOM_SEED if random_seed is None else random_seed, "random_seed", 0, 2**32 - 1)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the subclass, once both methods are there."""
        super().__init_subclass__(**kwargs)
        if "_run_task" in vars(cls) and "takes" not in vars(cls):
            cls.takes = "array"
        if "draws_nothing" not in vars(cls):
            cls.draws_nothing = False
        if "checks" not in vars(cls):
            cls.checks = ()
        named = hasattr(cls, "display_name") or cls.input_model is not TaskInput
        if not hasattr(cls, "display_name"):
            cls.display_name = cls.__name__
        if not hasattr(cls, "description"):
            cls.description = (cls.__doc__ or cls.__name__).strip()
        methods = (cls._run_task, cls._compute_metrics)
        if named and not any(getattr(m, "__isabstractmethod__", False) for m in methods):
            TASK_REGISTRY.register_task(cls)

    @classmethod
    def task_info(cls, key: str) -> TaskInfo:
        """Return its name, description and parameters, under the key that finds it."""
        return TaskInfo(
            name=key,
            display_name=cls.display_name,
            description=cls.description,
            task_params=_parameters(cls.input_model),
            baseline_params=_parameters(cls.baseline_model),
            requires_multiple_datasets=cls.requires_multiple_datasets,
        )

    @abstractmethod
    def _run_task(self, cell_representation: Any, task_input: Any) -> TaskOutput:
        """Compute what the metrics need."""

    @abstractmethod
    def _compute_metrics(self, task_input: Any, task_output: Any) -> List[MetricResult]:
        """Score the output."""

    def max_neighbors(self, task_input: Any) -> int:
        """Return how many neighbours (the cell itself included) a run will ask for; 0 if none."""
        if "X" not in self.offers:
            return 0
        published = self.neighbors or max(
            (metrics_registry.declaration(one).neighbors for one in self.published), default=0
        )
        return most_neighbors(getattr(task_input, "metrics", [PUBLISHED]), published, self.offers)

    scores = scoring.scores

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
        """Return why none of the results has a value; None if one has."""
        reasons = [result.reason for result in results]
        if not results or not all(reasons):
            return None
        return InputError(
            f"{self.display_name} has no score on this input: {'; '.join(dict.fromkeys(map(str, reasons)))}."
        )

    def results(self, cell_representation: Any, task_input: TaskInput) -> List[MetricResult]:
        """Return what ``run`` returns, also where no score is defined."""
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

    def _refuse_other_orders(self, embeddings: Sequence[Any], task_input: TaskInput) -> None:
        """Refuse tables and Series of labels that name the same cells in different orders, or only some of the same."""
        roles = roles_of(getattr(type(task_input), "model_fields", {}))
        named_cells = sorted((place, name) for name, role in roles.items() if (place := _place(role)) >= 0)
        fields = {name: getattr(task_input, name) for _, name in named_cells}
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
        prepared = represent(value, name, keep_sparse=self.takes == "sparse representation")
        return prepared.array if self.takes == "array" else prepared


_IN_ORDER = ("obs", "labels", "time", "batch", "donor", "pseudotime")


def _place(role: Value) -> int:
    """Return when what names cells is compared with the others; -1 for anything else."""
    of = getattr(role, "of", None)
    return _IN_ORDER.index(of) if of in _IN_ORDER else -1


def _entry(value: Any, i: int) -> Any:
    """Return the entry of one data set where there are several; too short a list is refused later, in its own words."""
    return (value[i] if i < len(value) else None) if isinstance(value, list) else value


def _check_kind(value: Any, kind: Type[BaseModel], name: str) -> None:
    if not isinstance(value, kind):
        raise InputTypeError(f"`{name}` must be a {kind.__name__}, got {kind_of(value)}.")


def _parameters(model: Type[BaseModel]) -> Dict[str, TaskParameter]:
    found = {}
    for name, info in model.model_fields.items():
        found[name] = TaskParameter(
            name=name,
            type=info.annotation,
            stringified_type=str(info.annotation).replace("typing.", ""),
            default=None if info.default is PydanticUndefined else info.default,
            required=info.is_required(),
            help_text=info.description or "",
            is_multiple=get_origin(info.annotation) in (list, tuple),
            role=role_of(name, info),
        )
    return found
