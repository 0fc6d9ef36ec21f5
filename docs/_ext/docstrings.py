"""Makes Sphinx read docstrings as this package writes them.

A ``Returns`` section here is prose, since the type is in the signature; napoleon would take its first line for a type.
And the fields of a pydantic model describe themselves in code, so their descriptions become the list of parameters.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx

FIRST, LAST = 400, 600  # before and after napoleon, which has the default priority of 500
NO_TYPE = "no-type"


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the readers."""
    app.connect("autodoc-process-docstring", returns_as_prose, priority=FIRST)
    app.connect("autodoc-process-docstring", fields_as_parameters, priority=FIRST)
    app.connect("autodoc-process-docstring", without_words, priority=LAST)
    app.connect("autodoc-process-docstring", first_line_of_a_property, priority=LAST)
    app.connect("autodoc-skip-member", skip_machinery)
    return {"parallel_read_safe": True}


def returns_as_prose(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put a word where napoleon wants the type of what is returned."""
    for title in ("Returns", "Yields"):
        if title not in lines or lines[lines.index(title) + 1 : lines.index(title) + 2] != ["-" * len(title)]:
            continue
        start = lines.index(title)
        end = next((i for i in range(start + 2, len(lines) - 1) if _is_section(lines, i)), len(lines))
        body = lines[start + 2 : end]
        if any(line.startswith(" ") for line in body):
            continue  # a name or type with its description below
        lines[start + 2 : end] = [NO_TYPE, *(f"    {line}" if line else "" for line in body)]


def without_words(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Take that word out again."""
    lines[:] = [line for line in lines if line != f":rtype: {NO_TYPE}"]


def first_line_of_a_property(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put back what stands before a colon on the first line of a property: napoleon takes it for a type."""
    taken = [line for line in lines if line.startswith(":type: ")]
    if what in ("property", "attribute", "data") and taken and lines[0]:
        lines.remove(taken[0])
        lines[0] = f"{taken[0].removeprefix(':type: ')}: {lines[0]}"


def _is_section(lines: list[str], i: int) -> bool:
    return bool(lines[i].strip()) and lines[i + 1] == "-" * len(lines[i])


def fields_as_parameters(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """List the fields of a model whose docstring does not."""
    if not (isinstance(obj, type) and issubclass(obj, BaseModel)):
        return
    if "Attributes" in lines or "Parameters" in lines:
        return
    found = []
    for field, info in obj.model_fields.items():
        if info.description:
            default = "" if info.default in (PydanticUndefined, None) else f" Default: ``{info.default!r}``."
            found += [field, f"    {info.description}{default}"]
    if found:
        lines += ["", "Parameters", "----------", *found, ""]


def skip_machinery(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what pydantic adds to every model."""
    return True if name.startswith("model_") else None
