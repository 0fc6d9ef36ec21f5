"""The registry of tasks. It lists those of the package without importing them."""

from __future__ import annotations

import ast
import functools
import importlib.util
import pkgutil
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Type

from czbenchmarks._lazy import load
from czbenchmarks.exceptions import InputError, InputTypeError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from .task import BaselineInput, Task, TaskInfo, TaskInput, TaskParameter


class Summary(NamedTuple):
    """What a listing shows of a task."""

    display_name: str
    summary: str
    requires_multiple_datasets: bool


_SINGLE_CELL = "czbenchmarks.tasks.single_cell"
_FOLDERS = ("czbenchmarks.tasks", _SINGLE_CELL)
_NO_TASKS = frozenset(
    "classification constants fields models registry scoring single_cell task types utils".split()  # noqa: SIM905
)
# key: (class, display name, one line, several data sets?). What the classes say, so that a listing need not wait for
# their import. Of a file without a row here this is read; a test holds all rows equal to the classes.
_BUILT_IN: dict[str, tuple[str, str, str, bool]] = {
    "batch_integration": (
        "czbenchmarks.tasks.integration:BatchIntegrationTask", "Batch Integration",
        "Evaluate batch integration quality using various integration metrics.", False,
    ),
    "clustering": (
        "czbenchmarks.tasks.clustering:ClusteringTask", "Clustering",
        "Evaluate clustering performance against ground truth labels using ARI and NMI metrics.", False,
    ),
    "cross-species_integration": (
        f"{_SINGLE_CELL}.cross_species_integration:CrossSpeciesIntegrationTask", "Cross-species Integration",
        "Evaluate cross-species integration quality using various integration metrics.", True,
    ),
    "cross-species_label_prediction": (
        f"{_SINGLE_CELL}.cross_species_label_prediction:CrossSpeciesLabelPredictionTask",
        "cross-species label prediction",
        "Evaluate cross-species label prediction performance using multiple classifiers.", True,
    ),
    "embedding": (
        "czbenchmarks.tasks.embedding:EmbeddingTask", "Embedding",
        "Evaluate cell representation quality using silhouette score with ground truth labels.", False,
    ),
    "label_prediction": (
        "czbenchmarks.tasks.label_prediction:MetadataLabelPredictionTask", "Label Prediction",
        "Predict labels from embeddings using cross-validated classifiers and standard metrics.", False,
    ),
    "perturbation_expression_prediction": (
        f"{_SINGLE_CELL}.perturbation_expression_prediction:PerturbationExpressionPredictionTask",
        "Perturbation Expression Prediction",
        "Evaluate the quality of predicted changes in expression levels for genes that are differentially expressed "
        "under perturbation(s) using multiple classification and correlation metrics.", False,
    ),
    "sequential_organization": (
        "czbenchmarks.tasks.sequential:SequentialOrganizationTask", "Sequential Organization",
        "Evaluate sequential consistency in embeddings using time point labels and k-NN based metrics.", False,
    ),
}  # fmt: skip


def key_of(name: str) -> str:
    """Return the registry key of a display name."""
    return name.lower().replace(" ", "_")


@functools.cache
def _rows() -> dict[str, tuple[str, str, str, bool]]:
    """Return the rows of all tasks in the package; those that are not kept above are read, not imported."""
    rows = dict(_BUILT_IN)
    known = {row[0].partition(":")[0] for row in rows.values()}
    for folder in _FOLDERS:
        for module in pkgutil.iter_modules(importlib.import_module(folder).__path__, f"{folder}."):
            name = module.name.rpartition(".")[2]
            if module.name not in known and name not in _NO_TASKS and not name.startswith("_"):
                rows |= _read(module.name)
    return rows


def _read(module: str) -> dict[str, tuple[str, str, str, bool]]:
    """Return the rows of the classes in a file that say their `display_name`."""
    found = importlib.util.find_spec(module)
    tree = ast.parse(Path(str(found and found.origin)).read_text(encoding="utf-8"))
    rows = {}
    for node in tree.body:
        said: dict[str, Any] = {}
        for line in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                with suppress(ValueError):  # what is no literal, such as the input model
                    said[line.targets[0].id] = ast.literal_eval(line.value)
        if isinstance(node, ast.ClassDef) and "display_name" in said:
            about = said.get("description") or (ast.get_docstring(node) or node.name)
            several = bool(said.get("requires_multiple_datasets", False))
            rows[key_of(said["display_name"])] = (f"{module}:{node.name}", said["display_name"], about, several)
    return rows


def _loose(key: object) -> str:
    return str(key).lower().replace("-", "_").replace(" ", "_")


class TaskRegistry:
    """Tasks by name: the built-in ones, and every class defined elsewhere that subclasses ``Task``."""

    def __init__(self) -> None:
        self._classes: dict[str, Type[Task]] = {}

    def register_task(self, task_class: Type[Task]) -> None:
        """Register a task class under its display name (a subclass without its own: under its class name).

        Parameters
        ----------
        task_class
            The class; defining a subclass of ``Task`` calls this.
        """
        own_name = vars(task_class).get("display_name")
        if not own_name:
            words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", task_class.__name__.removesuffix("Task"))
            own_name = words or task_class.__name__
        key = key_of(own_name)
        if key in _rows() and _rows()[key][0] != f"{task_class.__module__}:{task_class.__name__}":
            raise InputError(
                f"`display_name` of {task_class.__name__} must be new, got {own_name!r}, which names a built-in task; "
                "choose another."
            )
        self._classes[key] = task_class

    def list_tasks(self) -> List[str]:
        """Return the names of all tasks, sorted."""
        return sorted({*_rows(), *self._classes})

    def summaries(self) -> Dict[str, Summary]:
        """Return what a listing shows of each task; imports none of the built-in ones."""
        found = {}
        for key in self.list_tasks():
            if key in _rows():
                found[key] = Summary(*_rows()[key][1:])
            else:
                cls = self._classes[key]
                found[key] = Summary(cls.display_name, cls.description, cls.requires_multiple_datasets)
        return found

    def resolve(self, task_name: str) -> str:
        """Return the key of a task, found with either spelling (``cross-species_…``, ``cross_species_…``)."""
        from czbenchmarks._check import unknown

        keys = self.list_tasks()
        if task_name in keys:
            return task_name
        for key in keys:
            if _loose(task_name) == _loose(key):
                return key
        raise InputError(unknown("Task", task_name, self.list_tasks(), "not found"))

    def get_task_class(self, task_name: str) -> Type[Task]:
        """Return the class of a task."""
        key = self.resolve(task_name)
        if key not in self._classes:
            load(_rows()[key][0])  # defining the class registers it
        return self._classes[key]

    def get_task_info(self, task_name: str) -> TaskInfo:
        """Return a task's name, description and parameters."""
        key = self.resolve(task_name)
        return self.get_task_class(key).task_info(key)

    def get_task_help(self, task_name: str) -> str:
        """Return a text with a task's description and parameters."""
        info = self.get_task_info(task_name)
        lines = [f"Task: {info.display_name}", f"Description: {info.description}"]
        if info.requires_multiple_datasets:
            lines += ["", "Note: This task requires multiple datasets as input."]
        lines += ["", "Task Parameters:", *(_help_line("", p) for p in info.task_params.values())]
        if info.baseline_params:
            lines += ["", "Baseline Parameters:", *(_help_line("baseline-", p) for p in info.baseline_params.values())]
        else:
            lines += ["", "Baseline: This task has no baseline parameters."]
        return "\n".join(lines) + "\n"

    def validate_task_inputs(self, task_name: str, params: Dict[str, Any]) -> TaskInput:
        """Build a task's input from keyword values.

        Raises
        ------
        ValueError, TypeError
            One sentence, if a value is missing, unknown or bad.
        """
        return self.get_task_class(task_name).input_model(**_keywords(params))

    def validate_baseline_inputs(self, task_name: str, params: Dict[str, Any]) -> BaselineInput:
        """Build a task's baseline input from keyword values; raises as ``validate_task_inputs``."""
        return self.get_task_class(task_name).baseline_model(**_keywords(params))

    def validate_and_build_inputs(self, task_name: str, model_type: str, params: Dict[str, Any]) -> BaseModel:
        """Build ``"input_model"`` or ``"baseline_model"`` of a task from keyword values."""
        if model_type not in ("input_model", "baseline_model"):
            raise InputError(f"Invalid model_type {model_type!r}. Must be 'input_model' or 'baseline_model'.")
        build = self.validate_task_inputs if model_type == "input_model" else self.validate_baseline_inputs
        return build(task_name, params)


def _keywords(params: Any) -> Dict[str, Any]:
    if not isinstance(params, dict):
        raise InputTypeError(f"`params` must be a dict of option names and values, got {type(params).__name__}.")
    return params


def _help_line(prefix: str, parameter: TaskParameter) -> str:
    option = f"--{prefix}{parameter.name.replace('_', '-')}"
    many = " [multiple]" if parameter.is_multiple else ""
    default = "" if parameter.default is None else f" (Default: {parameter.default})"
    return f"  {option} : {parameter.help_text}{many}{default}"


TASK_REGISTRY = TaskRegistry()
