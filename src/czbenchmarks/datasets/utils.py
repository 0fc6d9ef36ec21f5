"""Data sets by name, or from a description of them."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path
from typing import Any

from czbenchmarks import _check
from czbenchmarks._check.addresses import shown
from czbenchmarks.exceptions import DatasetFileNotFoundError, InputError, InputTypeError

from .catalogue import catalogue
from .dataset import Dataset
from .download.cache import cache_folder, expanded
from .download.fetching import check_content, fetch
from .single_cell_labeled import SingleCellLabeledDataset
from .single_cell_perturbation import SingleCellPerturbationDataset
from .types import Organism

_NO_ARGUMENTS = ("about", "sha256")
"""Keys of an entry that say something about the file, not to the class, unless the class takes them."""

_MOST_VALUES = 100_000
"""Of a configuration file."""


def list_available_datasets() -> dict[str, dict[str, str]]:
    """Return the catalogue: ``{name: {"organism": scientific name, "url": address}}``, sorted by name."""
    return {
        name: {"organism": str(Organism(entry["organism"])), "url": str(entry["path"])}
        for name, entry in catalogue().items()
    }


def load_dataset(dataset_name: str) -> Dataset:
    """Load a data set of the catalogue, downloading it if it is not in the cache.

    Parameters
    ----------
    dataset_name
        A name of `list_available_datasets`.

    Returns
    -------
    The data set, loaded.
    """
    dataset = open_dataset(dataset_name)
    dataset.load_data()
    return dataset


def open_dataset(dataset_name: str) -> Dataset:
    """Return a data set of the catalogue, downloaded if need be, its file not read yet.

    Parameters
    ----------
    dataset_name
        A name of `list_available_datasets`.
    """
    entries = catalogue()
    if not isinstance(dataset_name, str) or dataset_name not in entries:
        raise InputError(_check.unknown("Dataset", dataset_name, entries, "not found in the catalogue"))
    return _made(dataset_name, entries[dataset_name], None)


def load_custom_dataset(
    dataset_name: str,
    custom_dataset_config_path: str | None = None,
    custom_dataset_kwargs: dict[str, Any] | None = None,
    cache_dir: str | None = None,
) -> Dataset:
    """Make a data set of a file of your own, local or remote, and load it.

    What is said of `dataset_name` in the catalogue, in the configuration file and in the keywords is put together,
    the later taking precedence.

    Parameters
    ----------
    dataset_name
        Its entry in the configuration file or the catalogue; any name where the keywords say everything.
    custom_dataset_config_path
        YAML file, ``datasets: {name: {_target_: …, path: …, organism: …}}`` or the inner mapping alone.
    custom_dataset_kwargs
        ``_target_``, the name of a `Dataset` class, and the arguments of its constructor. ``path`` may be a remote
        address (``https://``, ``http://``, ``s3://``), with the ``sha256`` of its content if you know it.
    cache_dir
        Folder that keeps the download of this call; by default that of the variable ``CZBENCHMARKS_CACHE``.

    Returns
    -------
    The data set, loaded.
    """
    dataset = open_custom_dataset(dataset_name, custom_dataset_config_path, custom_dataset_kwargs, cache_dir)
    dataset.load_data()
    return dataset


def open_custom_dataset(
    dataset_name: str,
    custom_dataset_config_path: str | None = None,
    custom_dataset_kwargs: dict[str, Any] | None = None,
    cache_dir: str | None = None,
) -> Dataset:
    """Return the data set that `load_custom_dataset` loads, its file not read yet.

    Parameters
    ----------
    dataset_name, custom_dataset_config_path, custom_dataset_kwargs, cache_dir
        As there.
    """
    if not isinstance(dataset_name, str):
        raise InputTypeError(f"`dataset_name` must be text, got {_check.kind_of(dataset_name)}.")
    entries = catalogue()
    listed = dataset_name in entries
    layers = [entries[dataset_name]] if listed else []
    if custom_dataset_config_path is not None:
        required = not custom_dataset_kwargs and not listed
        layers.append(_from_file(custom_dataset_config_path, dataset_name, required))
    if custom_dataset_kwargs is not None:
        if not isinstance(custom_dataset_kwargs, dict):
            raise InputTypeError(
                f"`custom_dataset_kwargs` must be a dict of arguments, got {_check.kind_of(custom_dataset_kwargs)}."
            )
        layers.append({str(name): value for name, value in custom_dataset_kwargs.items()})
    if not layers:
        sentence = _check.unknown("Dataset", dataset_name, entries, "not found in the catalogue")
        raise InputError(f"{sentence.rstrip('.')}; describe data of your own in `custom_dataset_kwargs`.")
    description: dict[str, Any] = {}
    for layer in layers:
        if "path" in layer:
            description.pop("sha256", None)  # it was that of another file
        description |= layer
    folder = None if cache_dir is None else expanded(cache_dir)
    return _made(dataset_name, description, folder)


def _made(dataset_name: str, description: dict[str, Any], folder: Path | None) -> Dataset:
    """Return the data set that a description describes."""
    arguments = dict(description)
    dataset_class = _dataset_class(dataset_name, arguments.pop("_target_", None))
    takes = inspect.signature(dataset_class).parameters
    about = {key: arguments.pop(key) for key in _NO_ARGUMENTS if key in arguments and key not in takes}
    given = arguments.get("path")
    if not isinstance(given, (str, Path)):
        raise InputError(
            f"Path required but not found in resolved configuration of data set {shown(dataset_name)!r}: "
            f"got {_check.listing(description, 8)}; give `path`, a local .h5ad file or an address."
        )
    if isinstance(arguments.get("organism"), str):  # published configuration files write ${organism:HUMAN}
        arguments["organism"] = re.sub(r"^\$\{organism:\s*(.*?)\s*\}$", r"\1", arguments["organism"])
        arguments["organism"] = Organism(arguments["organism"])  # before anything is downloaded
    _fitting(dataset_class, arguments)
    arguments["path"] = _local(given, about.get("sha256"), folder)
    dataset = dataset_class(**arguments)
    dataset.origin = {"name": shown(dataset_name), "address": shown(given)}
    if str(given).startswith("package://") and "task_inputs_dir" not in arguments:
        # Not beside the file: that is inside the installed package.
        inside = Path(f"{dataset.path.stem}_task_inputs", dataset.task_inputs_dir.name)
        dataset.task_inputs_dir = (folder or cache_folder()) / inside
    return dataset


def _local(path: str | Path, sha256: Any, folder: Path | None) -> Path:
    """Return the local file of a path or an address."""
    if sha256 is not None and not isinstance(sha256, str):
        raise InputTypeError(f"`sha256` must be text, got {_check.kind_of(sha256)}; put it in quotes.")
    if isinstance(path, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path):
        return fetch(path, sha256=sha256, folder=folder)
    local = expanded(path)
    if not local.exists():
        raise DatasetFileNotFoundError(f"Local dataset file not found at path: {shown(local)}")
    if sha256 is not None:
        check_content(local, sha256)
    return local


def _from_file(path: str, dataset_name: str, required: bool) -> dict[str, Any]:
    """Return one entry of a YAML file, which may be missing if not required."""
    import yaml

    if not isinstance(path, (str, os.PathLike)):
        raise InputTypeError(
            f"`custom_dataset_config_path` must be the path of a YAML file, got {_check.kind_of(path)}."
        )
    file = expanded(path)
    if not file.is_file():
        raise DatasetFileNotFoundError(f"Custom config file not found: {shown(file)}")
    content, reason = None, ""
    try:
        content = _loaded(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        reason += f" in line {mark.line + 1}" if mark else ""
    if reason:  # not chained to the error: it holds the line itself, which may be an address with a password
        raise InputError(f"`custom_dataset_config_path` must be a YAML file, got {file}: {reason}.")
    if isinstance(content, dict) and "_target_" in content:
        return content
    entries = content.get("datasets") if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise InputError(
            f"`custom_dataset_config_path` must hold `datasets: {{name: {{_target_: …, path: …}}}}`, "
            f"got {file} without."
        )
    entry = entries.get(dataset_name, None if required else {})
    if entry is None:
        raise InputError(_check.unknown("Dataset", dataset_name, map(str, entries), f"not found in {file}"))
    if not isinstance(entry, dict):
        raise InputTypeError(
            f"Data set {shown(dataset_name)!r} of {file} must be a mapping, got {_check.kind_of(entry)}."
        )
    return entry


def _loaded(text: str) -> Any:
    """Load YAML with the safe loader; a few aliases of aliases, which stand for billions of values, are refused."""
    import yaml

    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        waiting, count = [root], 1
        while waiting:
            node = waiting.pop()
            if isinstance(node, yaml.CollectionNode):
                pairs = isinstance(node, yaml.MappingNode)
                inner = [one for pair in node.value for one in pair] if pairs else node.value
                waiting += inner
                count += len(inner)
            if count > _MOST_VALUES:
                raise yaml.YAMLError(f"its aliases written out, it has more than {_MOST_VALUES:,} values")
        return None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _dataset_class(dataset_name: str, target: object) -> type[Dataset]:
    """Return the class that `target` names, among those that exist: nothing is imported."""
    found: dict[str, type[Dataset]] = {}
    waiting: list[type[Dataset]] = list(Dataset.__subclasses__())
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if not inspect.isabstract(one):
            for name in (one.__name__, f"{one.__module__}.{one.__qualname__}"):
                found.setdefault(name, one)  # the newest is seen first: a notebook defines a class again and again
    for ours in (SingleCellLabeledDataset, SingleCellPerturbationDataset):
        # The short name is ours, whoever else uses it.
        found |= {ours.__name__: ours, f"czbenchmarks.datasets.{ours.__name__}": ours}
    if target is None:
        raise InputError(
            f"Data set {shown(dataset_name)!r} must name its class as `_target_`, got none; "
            f"give one of {', '.join(sorted(found))}."
        )
    dataset_class = found.get(target) if isinstance(target, str) else None
    if dataset_class is None:
        raise InputError(_check.unknown("`_target_`", target, found, "is not a data set class"))
    return dataset_class


def _fitting(dataset_class: type[Dataset], arguments: dict[str, Any]) -> None:
    """Refuse arguments that the constructor does not take, or too few of them."""
    try:
        inspect.signature(dataset_class).bind(**arguments)
    except TypeError as error:
        takes = ", ".join(inspect.signature(dataset_class).parameters)
        raise InputTypeError(f"{dataset_class.__name__} must get the arguments it takes ({takes}): {error}.") from None
