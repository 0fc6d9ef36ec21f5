"""Progress: long work says what it does and how far it is; who wants to show it listens.

>>> class Printed:
...     def began(self, work):
...         print("  " * work.depth + work.what)
...     def ended(self, work):
...         print("  " * work.depth + f"{work.done:g} of {work.total:g} done")
>>> with listening(Printed()):
...     for name in track(["human", "mouse"], "data sets"):
...         with work("neighbours", 512) as advance:
...             advance(512)
data sets
  neighbours
  512 of 512 done
  neighbours
  512 of 512 done
2 of 2 done

Without a listener an announcement costs a look-up. A listener hears of beginnings and ends only, and reads the amounts
when it likes, so that work never waits for whoever shows it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

T = TypeVar("T")


class Work:
    """A piece of announced work.

    Attributes
    ----------
    what
        What is done, in a few words.
    total
        Units in all; None if nobody knows.
    unit
        ``"B"`` for bytes, else empty.
    outer
        The work it is a part of.
    done
        Units done so far.
    started, moved
        When it began and when it last advanced, on the clock of ``time.monotonic``.
    """

    def __init__(self, what: str, total: float | None = None, unit: str = "", outer: Work | None = None) -> None:
        self.what, self.total, self.unit, self.outer = what, total, unit, outer
        self.done = 0.0
        self.started = self.moved = time.monotonic()
        self._lock = threading.Lock()

    def advance(self, amount: float = 1) -> None:
        """Add to what is done; from any thread."""
        with self._lock:
            self.done += amount
            self.moved = time.monotonic()

    @property
    def depth(self) -> int:
        """How many works it is a part of."""
        return 0 if self.outer is None else self.outer.depth + 1

    @property
    def share(self) -> float | None:
        """The part done, 0 to 1; None if the total is not known."""
        return min(1.0, self.done / self.total) if self.total else None

    def seconds_left(self, now: float) -> float | None:
        """Return the time left if it goes on as it did; None before anything is done."""
        if not self.total or not self.done:
            return None
        # The rate is that of what is done: between two advances only the clock moves.
        whole = (self.moved - self.started) * self.total / self.done
        return max(0.0, whole - (now - self.started))


class Listener(Protocol):
    """Who shows progress. Both are called by the thread that works."""

    def began(self, work: Work) -> None:
        """Hear of new work."""

    def ended(self, work: Work) -> None:
        """Hear of its end, whether it succeeded or not."""


# Of a context, not of the process: two runs in two threads do not hear each other.
_state: ContextVar[tuple[Listener, Work | None] | None] = ContextVar("progress", default=None)


@contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Let `listener` hear of the work announced inside; None for nobody.

    Threads started inside do not pass it on, unless they run in a copy of the context; the amounts they report to
    ``advance`` count.
    """
    token = _state.set(None if listener is None else (listener, None))
    try:
        yield
    finally:
        _state.reset(token)


@contextmanager
def work(what: str, total: float | None = None, *, unit: str = "") -> Iterator[Callable[[float], None]]:
    """Announce work of `total` units (``"B"``: bytes); call what it yields with each amount done, from any thread."""
    before = _state.get()
    if before is None:
        yield _nobody_listens
        return
    listener, outer = before
    own = Work(what, total, unit, outer)
    _state.set((listener, own))
    listener.began(own)
    try:
        yield own.advance
    finally:
        # A generator that was left early may end after the work around it.
        if _is_inside(_state.get(), own):
            _state.set(before)
        listener.ended(own)


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield `items`, announcing each as one unit of work done."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with work(what, total) as advance:
        for item in items:
            yield item
            advance(1)


def _nobody_listens(amount: float) -> None:
    pass


def _is_inside(state: tuple[Listener, Work | None] | None, own: Work) -> bool:
    current = state[1] if state else None
    while current is not None and current is not own:
        current = current.outer
    return current is own
