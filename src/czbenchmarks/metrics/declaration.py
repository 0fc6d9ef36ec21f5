"""What is known about a metric: the kind of row that the catalogue is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Part = Literal["", "bio", "batch"]


@dataclass(frozen=True)
class Declaration:
    """What is known about a metric.

    Attributes
    ----------
    function
        ``"module:function"``, imported at first use, or the function itself.
    needs
        Names of the arguments without which it cannot be computed.
    tags
        Subjects it belongs to.
    range
        Least and greatest value.
    best
        The value of a perfect result.
    about
        One sentence: what a good value says.
    reference
        Paper or DOI.
    defaults
        Arguments passed unless given.
    chance
        What an embedding (or prediction) that knows nothing gets: a number, or words where it depends on the data.
    pitfalls
        One sentence: when a good value is not good news.
    part
        What it rewards: ``"bio"`` (the biology is kept), ``"batch"`` (batches are mixed), or neither alone.
    scib_name
        Its name in the tables of scib-metrics; `metrics` takes it too.
    neighbors
        Nearest cells it asks for, itself included.
    cost
        In a few words, what takes the time.
    roles
        Which of a task's arguments an argument takes, where the names differ: ``labels`` of a mixing score are the
        task's ``batch``.
    draws
        Whether it depends on a seed.
    """

    function: Any
    needs: tuple[str, ...]
    tags: tuple[str, ...]
    range: tuple[float, float]
    best: float
    about: str
    reference: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)
    chance: float | str = ""
    pitfalls: str = ""
    part: Part = ""
    scib_name: str = ""
    neighbors: int = 0
    cost: str = ""
    roles: dict[str, str] = field(default_factory=dict)
    draws: bool = False

    @property
    def asks(self) -> tuple[str, ...]:
        """The arguments of a task that it needs."""
        return tuple(self.roles.get(name, name) for name in self.needs)

    @property
    def direction(self) -> Literal["higher", "lower"]:
        """Which values are the better ones."""
        return "lower" if self.best == self.range[0] else "higher"


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
    **defaults: Any,
) -> Declaration:
    """Write a row: `needs` and `tags` are words separated by spaces, `roles` pairs such as ``labels=batch``.

    Further keywords are default arguments.
    """
    pairs = dict(pair.split("=") for pair in roles.split())
    return Declaration(
        function, tuple(needs.split()), tuple(tags.split()), range, best, about, reference, defaults, chance, pitfalls,
        part, scib_name, neighbors, cost, pairs, draws,
    )  # fmt: skip
