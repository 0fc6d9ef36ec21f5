"""What metrics share on a ``Representation`` is shared only where it is the same; rows tell what they ask for and draw.

A new row gets these tests for nothing; a keyword that changes the value without being varied here fails one of them.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from inputs import IGNORED, N, arguments

from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.inputs import represent
from czbenchmarks.metrics.types import MetricType, metrics_registry

ROWS = {metric: metric.declaration for metric in MetricType}
OF_CELLS = [metric for metric, row in ROWS.items() if {"X", "expression"} & {*row.needs}]
metrics_of_cells = pytest.mark.parametrize("metric", OF_CELLS, ids=lambda metric: metric.name)
CONTAINERS = ("X", "unintegrated", "expression", "corrected")
COPIES = 3  # of the 90 cells: more than any metric has neighbours

# Another value for keywords; its metrics may refuse none of them.
OTHER: dict[str, Any] = {
    "rescale": False, "max_cells": 80, "random_seed": 7, "n_neighbors": 12, "alpha": 0.3, "n_components": 3,
    "resolution": 0.3, "resolutions": (0.3, 2.0), "n_starts": 2, "iso_threshold": 1, "every_label_if_none": True,
    "other": "furthest", "min_share": 0.5, "categorical": False, "scale": False, "max_reference": 5, "n_top_genes": 15,
    "min_batch_cells": 140, "min_label_cells": 60, "batch": np.arange(COPIES * N) % 3, "root": 40, "normalize": False,
    "k": 5, "adaptive_k": True,
}  # fmt: skip
# What a keyword needs beside it, to matter.
BESIDE = {"every_label_if_none": {"iso_threshold": 3}}
AS_THE_TASK = {MetricType.SEQUENTIAL_ALIGNMENT: {"k": 15}}
DRAWN_BY = {"max_cells": 80, "max_reference": 5}  # what makes a sample of the few cells here


def optional(metric: MetricType) -> dict[str, Any]:
    """Return keywords and their defaults; those of another library share nothing, but for what tasks pass."""
    row = ROWS[metric]
    parameters = inspect.signature(row.load()).parameters.values()
    found = {p.name: p.default for p in parameters if p.default is not p.empty and p.name not in row.needs}
    return {name: default for name, default in found.items() if name in row.takes} if row.foreign else found


def other(name: str, default: Any) -> Any:
    """Return another value for a keyword: half a number, the contrary of a boolean, or what OTHER says."""
    if name in OTHER:
        return OTHER[name]
    assert isinstance(default, (bool, int, float)), f"say in OTHER what else `{name}` can be"
    return not default if isinstance(default, bool) else type(default)(default / 2)


def cells(metric: MetricType) -> dict[str, Any]:
    """Return arguments of 270 cells, in three batches and hardly apart, and of three times as many genes."""
    rng = np.random.default_rng(11)
    found = {}
    for name, value in arguments(metric).items():
        if np.shape(value)[:1] == (N,):
            value = np.concatenate([np.asarray(value)] * COPIES)
        if name in ("expression", "corrected"):
            value = rng.poisson(np.tile(value, (1, COPIES)).clip(0) + 0.1)
            value = value.astype(float) if name == "expression" else np.log1p(value)
        elif name in ("X", "unintegrated"):
            value = value + rng.normal(0, 9, value.shape)
        elif name == "gene_names":
            value = [*value, *(f"further{i}" for i in range((COPIES - 1) * len(value)))]
        found[name] = value
    if "labels" in found and "time" not in ROWS[metric].asks:
        # A label of its own for some cells: of few cells, and in two of three batches.
        found["labels"] = np.where(np.arange(COPIES * N) < 40, 3, found["labels"])
    for name in [name for name, asked in zip(ROWS[metric].needs, ROWS[metric].asks, strict=True) if asked == "batch"]:
        found[name] = rng.integers(0, 3, COPIES * N)
    if "batch" in found and "labels" in found:
        found["batch"] = np.where(found["labels"] == 3, found["batch"] % 2, found["batch"])
    return found


def prepared(given: dict[str, Any]) -> dict[str, Any]:
    return {
        name: represent(value, name, keep_sparse=True) if name in CONTAINERS else value for name, value in given.items()
    }


def told(metric: MetricType, given: dict[str, Any]) -> tuple[Any, ...]:
    measured = metrics_registry.measure(metric, **given)
    return str(measured.value), measured.reason, str(measured.details), str(measured.breakdowns)


def sampling(metric: MetricType) -> dict[str, int]:
    return {name: value for name, value in DRAWN_BY.items() if name in optional(metric)}


def variants(metric: MetricType) -> list[dict[str, Any]]:
    """Return changes to the arguments, one at a time, and first none."""
    n = COPIES * N
    found: list[dict[str, Any]] = [
        {},
        *({name: other(name, default)} | BESIDE.get(name, {}) for name, default in optional(metric).items()),
    ]
    if "random_seed" in optional(metric):
        found += [{**sampling(metric), "random_seed": seed} for seed in range(2)]
    for name in ("labels", "batch", "pseudotime"):
        if name in ROWS[metric].needs:
            found.append({name: np.random.default_rng(3).permutation(cells(metric)[name])})
            found.append({name: np.arange(n) % 2})
    if "organism" in ROWS[metric].needs:
        genes = cells(metric)["gene_names"]
        found.append({"gene_names": genes[::-1]})
        found.append({"organism": "MOUSE", "gene_names": [name.capitalize() for name in genes]})
    return found


@metrics_of_cells
def test_every_keyword_matters(metric):
    given = cells(metric)
    for name, default in optional(metric).items():
        beside = BESIDE.get(name, {}) | ({} if name != "random_seed" else sampling(metric))
        changed = told(metric, {**given, **beside, name: other(name, default)}) != told(metric, {**given, **beside})
        assert changed == ((metric, name) not in IGNORED), name


@metrics_of_cells
def test_one_representation_gives_what_fresh_ones_give(metric):
    given = cells(metric)
    shared = prepared(given)
    changes = variants(metric)
    for change in [*changes, *changes[:1]]:  # what one leaves behind must not reach the next, nor the first again
        assert told(metric, {**shared, **change}) == told(metric, {**given, **change}), change


@metrics_of_cells
def test_the_row_says_how_many_neighbours_are_asked_for(metric, monkeypatch):
    shared, asked, searched = prepared(cells(metric)), [], []
    neighbors, found = Representation.neighbors, Representation._found

    def counted(self: Representation, k: int) -> Any:
        asked.extend([k] if self is shared.get("X") else [])
        return neighbors(self, k)

    def searching(self: Representation, k: int) -> Any:
        searched.append(id(self))
        return found(self, k)

    if "X" in shared:
        shared["X"].max_neighbors = ROWS[metric].neighbors
    monkeypatch.setattr(Representation, "neighbors", counted)
    monkeypatch.setattr(Representation, "_found", searching)
    for _ in range(2):
        metrics_registry.measure(metric, **shared, **AS_THE_TASK.get(metric, {}))
    assert max(asked, default=0) == ROWS[metric].neighbors
    assert searched.count(id(shared.get("X"))) <= 1


@metrics_of_cells
def test_the_row_says_whether_a_seed_matters(metric):
    given = cells(metric)
    if "random_seed" not in optional(metric):
        assert not ROWS[metric].draws
        return

    def under(seed: int, **more: int) -> Any:
        return told(metric, {**given, **more, "random_seed": seed})

    some = sampling(metric)
    assert (len({under(seed, **some) for seed in range(4)}) > 1) == (ROWS[metric].draws or bool(some))
    assert ROWS[metric].draws or len({under(seed) for seed in range(4)}) == 1
    assert under(3, **some) == under(3, **some)


@metrics_of_cells
def test_the_global_generator_does_not_matter(metric):
    found = set()
    for seed in range(2):
        np.random.seed(seed)  # noqa: NPY002, TID251
        before = np.random.get_state()[1].tolist()  # noqa: NPY002
        found.add(told(metric, cells(metric) | sampling(metric)))
        assert np.random.get_state()[1].tolist() == before, "it was used"  # noqa: NPY002
    assert len(found) == 1


@metrics_of_cells
@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", True, None])
def test_a_seed_is_a_whole_number(metric, seed):
    if "random_seed" not in optional(metric) or (metric, "random_seed") in IGNORED:
        return
    with pytest.raises((ValueError, TypeError), match=r"^`random_seed` must be (a whole number|between 0 and 4,294)"):
        metrics_registry.measure(metric, **cells(metric), random_seed=seed)
