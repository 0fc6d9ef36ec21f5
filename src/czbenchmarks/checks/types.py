"""What a check says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["ok", "look", "not checked"]


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes
    ----------
    name
        Its name, the same in every release.
    verdict
        ``"ok"``; ``"look"``: there is a reason to doubt scores; or ``"not checked"``, for the reason in the sentence.
    sentence
        What was found, with its numbers.
    table
        The numbers behind the sentence, row by row.
    details
        What was chosen on the way.

    Examples
    --------
    >>> Check("supervised_embedding", "ok", "Labels explain 0.41 of the variance.").verdict
    'ok'
    """

    name: str
    verdict: Verdict
    sentence: str
    table: tuple[Mapping[str, Any], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
