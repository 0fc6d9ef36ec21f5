"""No module imports one that imports it, by however many others: also not inside a function."""

from __future__ import annotations

import ast
import pathlib

import czbenchmarks

SOURCE = pathlib.Path(czbenchmarks.__file__).parent


def name_of(path: pathlib.Path) -> str:
    parts = ["czbenchmarks", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imported(name: str) -> set[str]:
    """Return the modules of the package that a module imports anywhere but for a type checker."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo += node.orelse
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return {known for one in found if (known := module_of(one)) is not None} - {name}


def module_of(name: str) -> str | None:
    """Return the module of the package that has a name, or is called so."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


def circles(edges: dict[str, set[str]]) -> set[frozenset[str]]:
    """Return the modules that reach each other, together."""
    reached = {}
    for start in edges:
        seen, todo = set(), list(edges[start])
        while todo:
            if (one := todo.pop()) not in seen:
                seen.add(one)
                todo += edges[one]
        reached[start] = seen
    together = (frozenset(b for b in reached[a] if a in reached[b]) for a in reached if a in reached[a])
    return set(together)


def test_no_circles():
    assert [sorted(circle) for circle in circles({name: imported(name) for name in MODULES})] == []


def test_a_circle_is_seen():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == {frozenset({"b", "c"})}
    assert "czbenchmarks.cli.options" in imported("czbenchmarks.cli.run")  # inside a function
    assert "czbenchmarks.tasks.task" not in imported("czbenchmarks.tasks.registry")  # for a type checker only
