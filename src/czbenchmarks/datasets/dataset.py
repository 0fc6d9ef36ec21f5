"""What every data set is: a local file, an organism, and the inputs it gives to tasks."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from czbenchmarks._check.addresses import shown
from czbenchmarks.exceptions import DatasetFileNotFoundError, InputTypeError

from .types import Organism


class Dataset(ABC):
    """A local file that holds cells of one organism. `load_custom_dataset` finds every subclass by its name.

    Parameters
    ----------
    dataset_type_name
        Names the folder of task inputs.
    path
        The file; it must exist, and it is never changed.
    organism
        An `Organism` or its name.
    task_inputs_dir
        Folder for `store_task_inputs`; by default ``<path without suffix>_task_inputs/<dataset_type_name>``.
        It appears when something is stored.
    **kwargs
        Kept in the attribute `kwargs`.
    """

    origin: Mapping[str, str] = MappingProxyType({})
    """Name and address it was opened by, for the record of a run; empty for one made from a path."""

    def __init__(
        self,
        dataset_type_name: str,
        path: str | Path,
        organism: Organism | str,
        task_inputs_dir: Path | None = None,
        **kwargs: Any,
    ):
        if not isinstance(path, (str, os.PathLike)):
            raise InputTypeError(f"`path` must be the path of a local file, got {path!r}.")
        self.path = Path(path)
        if not self.path.exists():
            raise DatasetFileNotFoundError(
                f"Dataset path does not exist: got {shown(self.path)}; give that of a local file."
            )
        if task_inputs_dir is None:
            task_inputs_dir = self.path.parent / f"{self.path.stem}_task_inputs" / dataset_type_name
        self.task_inputs_dir = Path(task_inputs_dir)
        self.organism = Organism(organism)
        self.kwargs = kwargs

    @property
    def organism(self) -> Organism:
        """The organism; what is assigned may be its name."""
        return self._organism

    @organism.setter
    def organism(self, value: Organism | str) -> None:
        self._organism = Organism(value)

    if not TYPE_CHECKING:  # a type checker would take it for "any attribute exists"

        def __getattr__(self, name: str) -> Any:
            hint = "" if name.startswith("_") else "; the data are there after `load_data()`"
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    @abstractmethod
    def load_data(self) -> None:
        """Read the file into memory."""

    @abstractmethod
    def store_task_inputs(self) -> Path:
        """Write what tasks need beside the data, and return the folder."""

    @abstractmethod
    def _validate(self) -> None:
        """Refuse loaded data that tasks could not use."""

    def validate(self) -> None:
        """Refuse loaded data that tasks could not use, in one sentence."""
        self._validate()

    def _store_task_input(self, path: Path | str, data: StringIO | str) -> None:
        """Write text to a file, its path relative to the folder of task inputs."""
        text = data if isinstance(data, str) else data.getvalue()
        self._write(path, lambda part: part.write_text(text, encoding="utf-8"))

    def _write(self, path: Path | str, write: Callable[[Path], object]) -> None:
        """Let `write` fill a temporary file and move it into place: no half-written file is ever seen."""
        target = self.task_inputs_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as folder:
            part = Path(folder) / target.name
            write(part)
            os.replace(part, target)
