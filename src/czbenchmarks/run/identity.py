"""What identifies data, embeddings and options: for the record, and for the jobs made of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from czbenchmarks.datasets.dataset import Dataset
from czbenchmarks.datasets.download.cache import cache_folder
from czbenchmarks.io.dataset import Cells
from czbenchmarks.io.embedding import LoadedEmbedding
from czbenchmarks.metrics.types import MetricType, metrics_registry
from czbenchmarks.results.parts import plain
from czbenchmarks.results.provenance import sha256_of_array, sha256_of_file, sha256_of_names
from czbenchmarks.tasks.fields import Table

from .hashing import Contents
from .inputs import described

if TYPE_CHECKING:
    from czbenchmarks.tasks.task import Task

    from .inputs import Plan

_HASHES = "sha256.json"  # in the cache folder


def data_facts(view: Cells) -> dict[str, Any]:
    """Say which data set it was: the hash is of the file, or of the cell names where there is none."""
    whole = view.whole
    source = whole.source
    facts: dict[str, Any] = {
        "source": described(source),
        "n_cells": view.n,
        "n_cells_left_out": whole.n - view.n,
    }
    if isinstance(source, Dataset):
        facts |= {"organism": str(source.organism), "settings": _settings(source)}
    if origin := getattr(source, "origin", None):  # a data set object that was opened by name
        facts |= origin
    if whole.path is None:
        return {**facts, "sha256": sha256_of_names(whole.names), "sha256_of": "cell names"}
    return {**facts, "path": str(whole.path), "sha256": _of_file(whole.path), "sha256_of": "file"}


def _of_file(path: str | Path) -> str:
    return sha256_of_file(Path(path), cache_folder() / _HASHES)


def _settings(source: Dataset) -> dict[str, Any]:
    """Return the arguments that made a data set object, besides its file and its organism, as JSON."""
    names = inspect.signature(type(source)).parameters
    values = {
        name: getattr(source, name, None) for name in names if name not in ("path", "organism", "task_inputs_dir")
    }
    # JSON holds no infinity, which is a threshold that lets everything pass.
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else plain(value)
        for name, value in values.items()
    }


def embedding_facts(several: list[LoadedEmbedding]) -> list[dict[str, Any]]:
    """Say which embedding it was: the hash is of the file, or of the values where there is none."""
    facts = []
    for one in several:
        path, used = one.origin.get("path"), one.representation
        facts.append(
            {
                **one.origin,
                "shape": [used.n, used.d],
                "sha256": _of_file(path) if path else sha256_of_array(used.values),
                "sha256_of": "file" if path else "values",
                "missing_from_embedding": one.missing_from_embedding,
                "missing_from_data": one.missing_from_data,
            }
        )
    return facts


def identity_of_data(view: Cells, facts: Mapping[str, Any], contents: Contents) -> dict[str, Any]:
    """Return what identifies the scored cells of a data set, wherever it is kept."""
    kept = {name: facts[name] for name in ("sha256", "sha256_of", "organism", "settings") if name in facts}
    return {**kept, "cells": None if view.rows is None else contents.of(view.rows)}


def identity_of_embedding(facts: Mapping[str, Any], neighbors: Any) -> dict[str, Any]:
    """Return what identifies an embedding and the way its neighbours are found, wherever it is kept."""
    kept = {name: facts[name] for name in ("sha256", "sha256_of", "key", "aligned") if name in facts}
    return {**kept, "neighbors": neighbors}


def versions_of_metrics(task: type[Task]) -> dict[str, Any]:
    """Return the versions of metrics that a task may compute, where they are no longer the first."""
    rows = {metric: metrics_registry.declaration(metric) for metric in MetricType}
    versions = {
        metric.value: row.version
        for metric, row in rows.items()
        if row.version > 1 and (metric in (*task.published, *task.more) or set(row.asks) <= set(task.offers))
    }
    return {"metric_versions": versions} if versions else {}


def identity_of_options(plan: Plan, data: list[Cells], contents: Contents) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of a task, as given and as defaulted, by their content.

    A reference into a file stands for what it names: the file is known by its hash.
    """
    in_files = all(one.path is not None for one in data)

    ours = plan.task_class.__module__.startswith("czbenchmarks.")

    def of(name: str, said: Any) -> Any:
        if ours and isinstance(plan.roles[name], Table):
            return said  # our tasks look at nothing but its length
        references = said if isinstance(said, list) else [said]
        if in_files and all(isinstance(one, str) and one.startswith("@") for one in references):
            return said
        return contents.of(getattr(plan.task_input, name, said))

    return (
        {name: of(name, said) for name, said in plan.given.items()},
        {name: of(name, said) for name, said in plan.defaulted.items()},
    )
