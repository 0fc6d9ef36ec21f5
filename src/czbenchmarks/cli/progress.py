"""Showing on stderr how far long work is: bars on a terminal, else a plain line now and then.

Python users get the same by ``with showing(): evaluate(...)``.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import click

from czbenchmarks._check import printable as printable
from czbenchmarks._progress import Work, listening

AFTER = 2.0
"""Seconds of work that nobody needs to hear of."""
_GAPS = 5.0, 10.0  # between the first two plain lines, and between all others
_REFRESH = 0.2


@contextmanager
def showing(quiet: bool = False) -> Iterator[None]:
    """Show on stderr the progress of whatever inside takes more than two seconds; nothing if `quiet`."""
    if quiet or sys.stderr is None:
        with listening(None):
            yield
        return
    display = Display(sys.stderr, AFTER)
    try:
        with listening(display):
            yield
    finally:
        display.close()


def note(text: str) -> None:
    """Print a message for people on stderr, unless the command was given ``--quiet``."""
    context = click.get_current_context(silent=True)
    if context is None or not context.find_root().params.get("quiet"):
        with suppress(OSError):  # a full disk behind stderr is no reason to lose the scores
            click.echo(text, err=True)


def one_line(text: object) -> str:
    """Return text as one line of printable characters: a file name must not steer the terminal."""
    return printable(" ".join(str(text).split()))


class Display:
    """Shows work that takes longer than `after` seconds, drawn by a thread of its own."""

    def __init__(self, stream: TextIO, after: float, gaps: tuple[float, float] = _GAPS) -> None:
        self._stream = stream
        self._after, self._gaps = after, gaps
        self._works: list[Work] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._bars = _Bars(stream) if _draws(stream) else None
        self._next_line = 0.0
        self._lines = 0

    def began(self, work: Work) -> None:
        """Hear of new work."""
        with self._lock:
            self._works.append(work)
            if self._thread is None:
                self._thread = threading.Thread(target=self._draw, daemon=True)
                self._thread.start()

    def ended(self, work: Work) -> None:
        """Hear of its end; the last one's takes the bars away."""
        with self._lock:
            self._works.remove(work)
            if not self._works:
                self._clear()

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._closed.set()
        with self._lock:
            self._works.clear()
            self._clear()

    def _clear(self) -> None:
        self._lines = 0
        if self._bars is not None:
            self._bars.clear()

    def _draw(self) -> None:
        while not self._closed.wait(_REFRESH):
            with self._lock:
                now = time.monotonic()
                long = [work for work in self._works if now - work.started >= self._after]
                if len(long) > 1:
                    long = [work for work in long if not _is_run_of_one(work)]
                if not long or self._closed.is_set():
                    continue
                try:
                    if self._bars is not None:
                        self._bars.show(long, now)
                    elif now >= self._next_line or not self._lines:
                        self._stream.write(described(self._works[-1], now) + "\n")
                        self._stream.flush()
                        self._next_line = now + self._gaps[min(self._lines, 1)]
                        self._lines += 1
                except (OSError, ValueError):  # nobody reads stderr any more; the work goes on
                    return


def described(work: Work, now: float) -> str:
    """Describe a piece of work, and what it is a part of, in one line."""
    parts: list[str] = []
    outer = work.outer
    while outer is not None:
        of = f" {min(outer.done + 1, outer.total):,.0f} of {outer.total:,.0f}" if outer.total else ""
        if not _is_run_of_one(outer):
            parts.insert(0, one_line(outer.what) + of)
        outer = outer.outer
    return ": ".join([*parts, ", ".join([one_line(work.what), *_state(work, now)])])


def _is_run_of_one(work: Work) -> bool:
    """Tell whether naming a piece of work beside its only part would say nothing."""
    return work.outer is None and work.total == 1


def _state(work: Work, now: float) -> list[str]:
    share, left = work.share, work.seconds_left(now)
    if share is None or work.total is None:
        return [f"{_duration(now - work.started)} so far" + (f", {work.done / 1e6:,.1f} MB" if work.unit else "")]
    done = f"{work.done / 1e6:,.1f} of {work.total / 1e6:,.1f} MB" if work.unit == "B" else f"{share:.0%}"
    return [done] if left is None else [done, f"about {_duration(left)} left"]


def _duration(seconds: float) -> str:
    whole = max(1, round(seconds))
    if whole < 100:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _draws(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that can move its cursor; FORCE_COLOR does not make a file one."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


class _Bars:
    """One bar per piece of work, on a terminal; they vanish when the work is over."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._progress: Any = None
        self._rows: dict[Work, Any] = {}

    def show(self, works: list[Work], now: float) -> None:
        if self._progress is None:
            self._progress = self._begin()
        for gone in [work for work in self._rows if work not in works]:
            self._progress.remove_task(self._rows.pop(gone))
        for work in works:
            fields = {
                "what": "  " * (work.depth - works[0].depth) + one_line(work.what),
                "state": ", ".join(_state(work, now)),
            }
            if work in self._rows:
                self._progress.update(self._rows[work], completed=work.done, **fields)
            else:
                self._rows[work] = self._progress.add_task("", total=work.total, completed=work.done, **fields)
        self._progress.refresh()

    def clear(self) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress, self._rows = None, {}

    def _begin(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        progress = Progress(
            TextColumn("{task.fields[what]}", markup=False),  # a name may hold what rich takes for markup
            BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}"),
            console=Console(file=self._stream),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,  # stdout may be a file
        )
        progress.start()
        return progress
