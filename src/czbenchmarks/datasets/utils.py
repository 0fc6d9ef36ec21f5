"""Loading a data set from a description of it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from czbenchmarks import _check
from czbenchmarks.exceptions import DatasetFileNotFoundError

from .dataset import Dataset
from .single_cell_labeled import SingleCellLabeledDataset
from .single_cell_perturbation import SingleCellPerturbationDataset


def load_custom_dataset(
    dataset_name: str,
    custom_dataset_config_path: str | None = None,
    custom_dataset_kwargs: dict[str, Any] | None = None,
    cache_dir: str | None = None,
) -> Dataset:
    """Make a data set of a local ``.h5ad`` file and load it.

    Parameters
    ----------
    dataset_name
        Its entry in the configuration file; any name where there is no such file.
    custom_dataset_config_path
        YAML file, ``datasets: {name: {_target_: …, path: …, organism: …}}`` or the inner mapping alone.
    custom_dataset_kwargs
        ``_target_``, the name of a `Dataset` class, and the arguments of its constructor; they take
        precedence over the file.
    cache_dir
        Where downloads are kept; a local file needs none.

    Returns
    -------
    The data set, loaded.
    """
    description: dict[str, Any] = {}
    if custom_dataset_config_path is not None:
        description = _from_file(custom_dataset_config_path, dataset_name, required=not custom_dataset_kwargs)
    if custom_dataset_kwargs is not None:
        if not isinstance(custom_dataset_kwargs, dict):
            raise TypeError(
                f"`custom_dataset_kwargs` must be a dict of arguments, got {_check.kind_of(custom_dataset_kwargs)}."
            )
        description = {**description, **custom_dataset_kwargs}
    arguments = {str(name): value for name, value in description.items()}
    dataset_class = _dataset_class(dataset_name, arguments.pop("_target_", None))
    if not isinstance(arguments.get("path"), (str, Path)):
        raise ValueError(
            f"Path required but not found in resolved configuration of data set {dataset_name!r}: "
            f"got {_check.listing(description, 8)}; give `path`, a local .h5ad file."
        )
    path = Path(arguments["path"]).expanduser()
    if not path.exists():
        raise DatasetFileNotFoundError(f"Local dataset file not found at path: {path}")
    arguments["path"] = path
    if isinstance(arguments.get("organism"), str):  # published configuration files write ${organism:HUMAN}
        arguments["organism"] = re.sub(r"^\$\{organism:\s*(.*?)\s*\}$", r"\1", arguments["organism"])
    _fitting(dataset_class, arguments)
    dataset = dataset_class(**arguments)
    dataset.load_data()
    return dataset


def _from_file(path: str, dataset_name: str, required: bool) -> dict[str, Any]:
    """Return one entry of a YAML file, which may be missing if not required."""
    import yaml

    file = Path(path).expanduser()
    if not file.is_file():
        raise DatasetFileNotFoundError(f"Custom config file not found: {file}")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"`custom_dataset_config_path` must be a YAML file, got {file}: {reason}.") from None
    if isinstance(content, dict) and "_target_" in content:
        return content
    entries = content.get("datasets") if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise ValueError(
            f"`custom_dataset_config_path` must hold `datasets: {{name: {{_target_: …, path: …}}}}`, "
            f"got {file} without."
        )
    entry = entries.get(dataset_name, None if required else {})
    if entry is None:
        raise ValueError(_check.unknown("Dataset", dataset_name, map(str, entries), f"not found in {file}"))
    if not isinstance(entry, dict):
        raise TypeError(f"Data set {dataset_name!r} of {file} must be a mapping, got {_check.kind_of(entry)}.")
    return entry


def _dataset_class(dataset_name: str, target: object) -> type[Dataset]:
    """Return the class that `target` names, among those that exist: nothing is imported."""
    found: dict[str, type[Dataset]] = {}
    waiting: list[type[Dataset]] = list(Dataset.__subclasses__())
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if not inspect.isabstract(one):
            found |= {one.__name__: one, f"{one.__module__}.{one.__qualname__}": one}
    for ours in (SingleCellLabeledDataset, SingleCellPerturbationDataset):
        # The short name is ours, whoever else uses it.
        found |= {ours.__name__: ours, f"czbenchmarks.datasets.{ours.__name__}": ours}
    if target is None:
        raise ValueError(
            f"Data set {dataset_name!r} must name its class as `_target_`, got none; "
            f"give one of {', '.join(sorted(found))}."
        )
    dataset_class = found.get(target) if isinstance(target, str) else None
    if dataset_class is None:
        raise ValueError(_check.unknown("`_target_`", target, found, "is not a data set class"))
    return dataset_class


def _fitting(dataset_class: type[Dataset], arguments: dict[str, Any]) -> None:
    """Refuse arguments that the constructor does not take, or too few of them."""
    try:
        inspect.signature(dataset_class).bind(**arguments)
    except TypeError as error:
        takes = ", ".join(inspect.signature(dataset_class).parameters)
        raise TypeError(f"{dataset_class.__name__} must get the arguments it takes ({takes}): {error}.") from None
