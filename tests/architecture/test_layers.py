"""Which module may import which: dependencies point one way, and kernels see arrays only."""

from __future__ import annotations

import ast
import functools
import pathlib
import re
import sys
import tomllib

import pytest

import czbenchmarks

SOURCE = pathlib.Path(czbenchmarks.__file__).parent
ROOT = pathlib.Path(__file__).resolve().parents[2]

BASE = {"types", "constants", "exceptions", "_lazy", "_check", "_notes", "_progress"}
CORE = {*BASE, "kernels", "metrics"}
# Layer -> the layers it may import, its own aside. A layer is a module or folder directly in the package.
ALLOWED: dict[str, set[str]] = {
    **{name: BASE - {name} for name in BASE},
    "kernels": BASE,
    "metrics": {*BASE, "kernels"},
    "datasets": BASE,
    "file_utils": {*BASE, "datasets"},
    "results": CORE,
    "tasks": {*CORE, "datasets"},
    "io": {*CORE, "datasets"},
    "checks": {*CORE, "tasks"},
    "run": {*CORE, "datasets", "results", "tasks", "io", "checks"},
    "testing": {*CORE, "tasks", "datasets"},
    "scib": {*CORE, "io", "results", "run"},
    "cli": {*CORE, "datasets", "results", "tasks", "io", "checks", "run", "testing"},
}
LAZY = re.compile(r"czbenchmarks(\.\w+)+(:\w+)?")
NOT_IN_KERNELS = {"pandas", "pydantic", "anndata", "scanpy"}
# Import name -> distribution, where they differ.
DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "pyyaml"}


def modules() -> list[pathlib.Path]:
    return sorted(SOURCE.rglob("*.py"))


def name_of(path: pathlib.Path) -> str:
    parts = ["czbenchmarks", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def imports(path: pathlib.Path) -> list[tuple[int, str]]:
    """Return line and absolute name of everything a file imports, anywhere in it, lazily by name included."""
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and LAZY.fullmatch(node.value):
            found.append((node.lineno, node.value.partition(":")[0]))
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            inside = [f"{module}.{alias.name}" for alias in node.names]
            found += [
                (node.lineno, name if module in ("czbenchmarks", "czbenchmarks.datasets") else module)
                for name in inside
            ]
    return found


def layer(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_every_layer_is_known():
    unknown = {layer(name_of(path)) for path in modules()} - {*ALLOWED, ""}
    assert unknown == set(), "say in ALLOWED what a new module or folder may import"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_arrows(path):
    name = name_of(path)
    own = layer(name)
    wrong = []
    for line, imported in imports(path):
        if imported.split(".")[0] != "czbenchmarks":
            continue
        target = layer(imported)
        narrow = ".".join(imported.split(".")[1:3])
        if own == "":  # the package itself: lazy exports, no arithmetic
            continue
        if target in ("", "__version__"):  # the version is no dependency
            continue
        if target != own and target not in ALLOWED[own] and narrow not in ALLOWED[own]:
            wrong.append(f"{path.relative_to(SOURCE)}:{line} imports {imported}")
    assert wrong == []


def test_relative_and_lazy_imports_are_seen():
    found = {name for _, name in imports(SOURCE / "tasks" / "single_cell" / "cross_species_integration.py")}
    assert {
        "czbenchmarks.tasks.task",
        "czbenchmarks.tasks.single_cell._several",
        "czbenchmarks.datasets.types",
    } <= found
    assert "czbenchmarks.metrics" in {name for _, name in imports(SOURCE / "metrics" / "catalogue.py")}


def test_kernels_see_arrays_only():
    wrong = [
        f"{path.relative_to(SOURCE)}:{line} imports {imported}"
        for path in modules()
        if layer(name_of(path)) == "kernels"
        for line, imported in imports(path)
        if imported.split(".")[0] in NOT_IN_KERNELS
    ]
    assert wrong == []


def third_party() -> dict[str, str]:
    """Return distribution -> a place that imports it."""
    found = {}
    for path in modules():
        for line, imported in imports(path):
            top = imported.split(".")[0]
            if top not in ("czbenchmarks", "__future__") and top not in sys.stdlib_module_names:
                found[DISTRIBUTIONS.get(top, top).replace("_", "-").lower()] = f"{path.relative_to(SOURCE)}:{line}"
    return found


FOR_DEVELOPERS = {"dev", "test", "docs"}


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project.get("optional-dependencies", {})
    optional = [line for group, lines in groups.items() if group not in FOR_DEVELOPERS for line in lines]
    names = {line.split(";")[0] for line in [*project["dependencies"], *optional]}
    return {"".join(c if c not in "<>=!~[ " else "\0" for c in name).split("\0")[0].lower() for name in names}


# Another dependency brings them in the one version that fits.
BROUGHT_ALONG = {"pydantic-core", "botocore"}
# Used where a user has it, never needed.
USED_IF_THERE = {"pyarrow", "dask", "hdf5plugin"}
# Imported by another library: fsspec's s3.
LOADED_BY_NAME = {"s3fs"}


def test_what_is_imported_is_declared():
    missing = {
        name: place for name, place in third_party().items() if name not in declared() | BROUGHT_ALONG | USED_IF_THERE
    }
    assert missing == {}


def test_what_is_declared_is_imported():
    assert sorted(declared() - set(third_party()) - LOADED_BY_NAME) == []
