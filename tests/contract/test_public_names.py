"""Every public name, signature, field and default of cz-benchmarks 0.15.1 that this package keeps.

``published.json`` was made from the published package by introspection. Ours may add optional parameters and fields at
the end; it never removes, renames or reorders one, nor changes a default.
"""

from __future__ import annotations

import enum
import functools
import importlib
import inspect
import json
import pathlib
import re
import typing

import pytest

from czbenchmarks.metrics.types import MetricRegistry, MetricType, metrics_registry
from czbenchmarks.tasks.task import TASK_REGISTRY

PUBLISHED = json.loads(pathlib.Path(__file__).with_name("published.json").read_text(encoding="utf-8"))
MODULES = PUBLISHED["modules"]


def written(annotation: typing.Any) -> str:
    """Return an annotation as text; pandas 3 says `pandas.Series` where pandas 2 named the inner module."""
    text = str(annotation).replace("typing.", "")
    inner = {"DataFrame": "frame.DataFrame", "Series": "series.Series", "Index": "indexes.base.Index"}
    for name, full in inner.items():
        text = re.sub(rf"pandas\.{name}\b", f"pandas.core.{full}", text)
    return text


def leaves(kind: str) -> list[tuple[str, str]]:
    return [(module, name) for module, entries in MODULES.items() for name in entries.get(kind, ())]


def signature_problems(ours: typing.Any, published: list[list[typing.Any]]) -> list[str]:
    """Say how a function of ours breaks calls that the published one takes."""
    found = [p for p in inspect.signature(ours).parameters.values() if p.name not in ("self", "cls")]
    problems = []
    fixed = [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    expected = [p for p in published if p[1] not in ("var_positional", "var_keyword")]
    for position, (name, kind, *default) in enumerate(expected):
        mine = fixed[position] if position < len(fixed) else None
        if mine is None or mine.name != name:
            problems.append(f"parameter {position} should be {name!r}, is {mine.name if mine else None!r}")
            break
        # Keyword-only there may be positional here, never the other way round.
        if mine.kind.name.lower() != kind and kind != "keyword_only":
            problems.append(f"{name}: should be {kind}, is {mine.kind.name.lower()}")
        given = mine.default
        if default and (type(given), given) != (type(default[0]), default[0]):
            problems.append(f"{name}: default should be {default[0]!r}, is {given!r}")
        if not default and given is not mine.empty and given is not None:
            problems.append(f"{name}: was required, has default {given!r}")
    problems += [f"{p.name}: added without a default" for p in fixed[len(expected) :] if p.default is p.empty]
    for kind in ("var_positional", "var_keyword"):
        if any(p[1] == kind for p in published) and not any(p.kind.name.lower() == kind for p in found):
            problems.append(f"{kind} is gone")
    return problems


@pytest.mark.parametrize("module", MODULES)
def test_module_exists(module):
    importlib.import_module(module)


@pytest.mark.parametrize(("module", "name"), leaves("names"))
def test_name_is_offered(module, name):
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("module", ["czbenchmarks.tasks", "czbenchmarks.tasks.single_cell", "czbenchmarks.datasets"])
def test_names_are_listed(module):
    found = importlib.import_module(module)
    assert set(MODULES[module]["names"]) <= set(found.__all__)
    assert set(found.__all__) <= set(dir(found))


@pytest.mark.parametrize(("module", "name"), leaves("values"))
def test_value(module, name):
    expected = MODULES[module]["values"][name]
    found = getattr(importlib.import_module(module), name)
    assert (sorted(found) if isinstance(expected, list) else found) == expected


@pytest.mark.parametrize(("module", "name"), leaves("functions"))
def test_function(module, name):
    ours = getattr(importlib.import_module(module), name)
    assert signature_problems(ours, MODULES[module]["functions"][name]) == []


@pytest.mark.parametrize(("module", "name"), leaves("classes"))
def test_class(module, name):
    ours, published = getattr(importlib.import_module(module), name), MODULES[module]["classes"][name]
    assert ours.__name__ == name
    bases = [base.__name__ for base in ours.__mro__]
    assert [base for base in published["bases"] if base not in bases] == [], "lost base classes"
    for attribute, value in published.get("attributes", {}).items():
        assert getattr(ours, attribute) == value
    for prop in published.get("properties", ()):
        assert isinstance(inspect.getattr_static(ours, prop), (property, functools.cached_property)), prop
    problems = {
        method: signature_problems(getattr(ours, method), parameters) if hasattr(ours, method) else ["is gone"]
        for method, parameters in published.get("methods", {}).items()
    }
    assert {method: found for method, found in problems.items() if found} == {}


@pytest.mark.parametrize(
    ("module", "name"), [leaf for leaf in leaves("classes") if "fields" in MODULES[leaf[0]]["classes"][leaf[1]]]
)
def test_fields(module, name):
    ours, published = getattr(importlib.import_module(module), name), MODULES[module]["classes"][name]["fields"]
    found = list(ours.model_fields.items())
    assert [field for field, _ in found][: len(published)] == [field["name"] for field in published]
    for (field, info), expected in zip(found, published, strict=False):
        assert info.is_required() == expected["required"], field
        if field not in ("adata", "func"):  # a marker for anndata.AnnData; Callable with its arguments
            assert written(info.annotation) == expected["annotation"], field
        if not info.is_required():
            default = info.get_default(call_default_factory=True)
            assert (type(default), default) == (type(expected["default"]), expected["default"]), field
        if "description" in expected:
            assert info.description == expected["description"], field
    assert [field for field, info in found[len(published) :] if info.is_required()] == [], "added fields are optional"


@pytest.mark.parametrize(
    ("module", "name"), [leaf for leaf in leaves("classes") if "members" in MODULES[leaf[0]]["classes"][leaf[1]]]
)
def test_members(module, name):
    ours: type[enum.Enum] = getattr(importlib.import_module(module), name)
    expected = MODULES[module]["classes"][name]["members"]
    found = {member._name_: member.value for member in ours}
    found = {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}
    assert {key: found.get(key) for key in expected} == expected
    assert [key for key in found if key in expected] == list(expected), "order of members"
    for value in expected.values():
        assert ours(tuple(value) if isinstance(value, list) else value).value == (
            tuple(value) if isinstance(value, list) else value
        )


@pytest.mark.parametrize("name", PUBLISHED["metrics"])
def test_metric(name):
    info = metrics_registry.get_info(MetricType[name])
    expected = PUBLISHED["metrics"][name]
    assert sorted(info.required_args) == expected["required_args"]
    assert info.default_params == expected["default_params"]
    assert sorted(info.tags) == expected["tags"]
    assert callable(info.func)
    assert isinstance(metrics_registry, MetricRegistry)


@pytest.mark.parametrize("tag", sorted({tag for row in PUBLISHED["metrics"].values() for tag in row["tags"]}))
def test_metrics_of_a_tag(tag):
    expected = {name for name, row in PUBLISHED["metrics"].items() if tag in row["tags"]}
    assert expected <= {metric.name for metric in metrics_registry.list_metrics({tag})}


def test_tasks_are_listed():
    assert set(PUBLISHED["tasks"]) <= set(TASK_REGISTRY.list_tasks())
    assert TASK_REGISTRY.list_tasks() == sorted(TASK_REGISTRY.list_tasks())


@pytest.mark.parametrize("key", PUBLISHED["tasks"])
def test_task(key):
    expected, info, cls = PUBLISHED["tasks"][key], TASK_REGISTRY.get_task_info(key), TASK_REGISTRY.get_task_class(key)
    assert cls.__name__ == expected["class"]
    assert (info.name, info.display_name) == (key, expected["display_name"])
    assert cls.description == expected["description"]
    assert info.requires_multiple_datasets == cls.requires_multiple_datasets == expected["requires_multiple_datasets"]
    assert {cls.input_model.__name__, cls.baseline_model.__name__} <= set(
        vars(importlib.import_module(cls.__module__))
    ) | {"PCABaselineInput"}


@pytest.mark.parametrize("group", ["task_params", "baseline_params"])
@pytest.mark.parametrize("key", PUBLISHED["tasks"])
def test_task_parameters(key, group):
    expected = PUBLISHED["tasks"][key][group]
    found = getattr(TASK_REGISTRY.get_task_info(key), group)
    assert list(found)[: len(expected)] == list(expected)
    differences = {}
    for name, published in expected.items():
        ours = found[name].model_dump(include=set(published))
        if name == "adata":  # a marker stands for anndata.AnnData, so that the task loads without it
            ours.pop("stringified_type")
        if "stringified_type" in ours:
            ours["stringified_type"] = written(ours["stringified_type"])
        wrong = {item: (published[item], value) for item, value in ours.items() if value != published[item]}
        if wrong:
            differences[name] = wrong
    assert differences == {}, "published, ours"
    assert [name for name in list(found)[len(expected) :] if found[name].required] == []
