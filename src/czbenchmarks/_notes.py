"""Notes: what a function has to say beside its result. Who gathers them hears them; otherwise they are logged.

>>> import logging
>>> with gathered() as notes:
...     note(logging.getLogger("example"), "Half of the genes are unknown.", about="genes")
>>> notes
[Note(text='Half of the genes are unknown.', about='genes')]
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Note(NamedTuple):
    """A sentence, and what it is about."""

    text: str
    about: str


_gathered: ContextVar[list[Note] | None] = ContextVar("gathered", default=None)


def note(logger: logging.Logger, text: str, about: str = "", level: int = logging.WARNING) -> None:
    """Say something, and in a word what it is about, to who gathers notes; else log it."""
    notes = _gathered.get()
    if notes is None:
        logger.log(level, "%s", text)
    else:
        notes.append(Note(text, about))


@contextmanager
def gathered() -> Iterator[list[Note]]:
    """Gather the notes of what is done inside; another thread's are not among them."""
    notes: list[Note] = []
    token = _gathered.set(notes)
    try:
        yield notes
    finally:
        _gathered.reset(token)
