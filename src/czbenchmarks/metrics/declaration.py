"""What is known about a metric: the kind of row that the catalogue is made of."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from czbenchmarks import _lazy

OFFERED = ("max_cells", "random_seed")
"""Arguments that every task has for the metrics that take them."""

Part = Literal["", "bio", "batch"]


@dataclass(frozen=True)
class Declaration:
    """What is known about a metric.

    Attributes
    ----------
    chance
        What an embedding (or prediction) that knows nothing gets: a number, or words where it depends on the data.
    part
        What it rewards: ``"bio"`` (the biology is kept), ``"batch"`` (batches are mixed), or neither alone.
    roles
        Which of a task's arguments an argument takes, where the names differ: ``labels`` of a mixing score are the
        task's ``batch``.
    no_units
        Why it has no value per cell, label, …: in a few words; empty where it has, or is a function of another
        library.
    outside
        Whether it was registered from outside the package: its function gets labels and matrices as they were passed,
        unchecked, and `takes` is what its signature says.
    """

    function: Any  # ``"module:function"``, imported at first use, or the function itself
    needs: tuple[str, ...]  # names of the arguments without which it cannot be computed
    tags: tuple[str, ...]  # subjects it belongs to
    range: tuple[float, float]  # least and greatest value
    best: float  # the value of a perfect result
    about: str  # one sentence: what a good value says
    reference: str = ""  # paper or DOI
    defaults: dict[str, Any] = field(default_factory=dict)  # arguments passed unless given
    chance: float | str = ""
    pitfalls: str = ""  # one sentence: when a good value is not good news
    part: Part = ""
    scib_name: str = ""  # its name in the tables of scib-metrics; `metrics` takes it too
    neighbors: int = 0  # nearest cells it asks for, itself included
    cost: str = ""  # in a few words, what takes the time
    roles: dict[str, str] = field(default_factory=dict)
    draws: bool = False  # whether it depends on a seed
    version: int = 1  # raised when a number changes
    optional: tuple[str, ...] = ()  # those of ``OFFERED`` that its function takes; see `takes`
    no_units: str = ""
    outside: bool = False

    @property
    def asks(self) -> tuple[str, ...]:
        """The arguments of a task that it needs."""
        return tuple(self.roles.get(name, name) for name in self.needs)

    @property
    def direction(self) -> Literal["higher", "lower"]:
        """Which values are the better ones."""
        return "lower" if self.best == self.range[0] else "higher"

    @property
    def takes(self) -> tuple[str, ...]:
        """The optional arguments that a task passes to its function."""
        if not self.outside:
            return self.optional
        names = self.signature[0]
        return tuple(name for name in OFFERED if name in names and name not in self.needs)

    @property
    def foreign(self) -> bool:
        """Whether its function is one of another library, or one that only calls such a function."""
        module = getattr(self.load(), "__module__", None) or ""
        return not module.startswith("czbenchmarks.") or module == "czbenchmarks.metrics.implementations"

    def load(self) -> Callable[..., Any]:
        """Return its function, imported at first use."""
        found: Callable[..., Any] = _lazy.load(self.function) if isinstance(self.function, str) else self.function
        return found

    @functools.cached_property
    def signature(self) -> tuple[tuple[str, ...], bool]:
        """The arguments that its function names, and whether it takes others; looked up once."""
        try:
            parameters = inspect.signature(self.load()).parameters.values()
        except ValueError:  # a builtin without a signature checks its own arguments
            return (), True
        return tuple(p.name for p in parameters), any(p.kind is p.VAR_KEYWORD for p in parameters)


def declare(
    function: Any,
    *,
    needs: str,
    tags: str,
    range: tuple[float, float],
    best: float,
    about: str,
    reference: str = "",
    chance: float | str = "",
    pitfalls: str = "",
    part: Part = "",
    scib_name: str = "",
    neighbors: int = 0,
    cost: str = "",
    roles: str = "",
    draws: bool = False,
    version: int = 1,
    takes: str = "",
    no_units: str = "",
    **defaults: Any,
) -> Declaration:
    """Write a row: `needs`, `tags` and `takes` are words separated by spaces, `roles` pairs such as ``labels=batch``.

    What `draws` takes a ``random_seed``. Further keywords are default arguments.
    """
    pairs = dict(pair.split("=") for pair in roles.split())
    words = {*takes.split(), *(["random_seed"] if draws else [])}
    return Declaration(
        function, tuple(needs.split()), tuple(tags.split()), range, best, about, reference, defaults, chance, pitfalls,
        part, scib_name, neighbors, cost, pairs, draws, version,
        tuple(name for name in OFFERED if name in words), no_units,
    )  # fmt: skip
