"""Ctrl-C and SIGTERM: stop at once, say so, leave the terminal as it was."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

_GRACE = 1.0
"""Seconds in which temporary files can be removed."""

_received: signal.Signals | None = None
_undoing: list[Callable[[], None]] = []


def take() -> None:
    """Let SIGTERM interrupt like Ctrl-C, and end the process where a library does not hear either in time."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) is usual:  # else whoever started us wants it ignored
            signal.signal(number, _interrupt)
    if os.name == "nt":  # a pipe cannot be woken there
        return
    ear, mouth = os.pipe()
    os.set_blocking(mouth, False)
    signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    threading.Thread(target=_insist, args=(ear,), daemon=True).start()


@contextmanager
def undone(undo: Callable[[], None]) -> Iterator[None]:
    """Undo the work inside when a signal ends it, also where a library does not hear it in time.

    `undo` is called from another thread, and perhaps once more by the work itself.
    """
    _undoing.append(undo)
    try:
        yield
    finally:
        _undoing.remove(undo)


def received() -> bool:
    """Tell whether a signal came: a library may make another error of it."""
    return _received is not None


def stop() -> NoReturn:
    """End the process with "Stopped."; Python itself would wait for the threads that are still computing."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is sys.stderr and stream is not None:
                # A terminal has just echoed ^C.
                stream.write("\nStopped.\n" if stream.isatty() else "Stopped.\n")
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # nobody reads it
            continue
    os._exit(128 + (_received or signal.SIGINT))


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    global _received
    _received = signal.Signals(number)
    raise KeyboardInterrupt


def _insist(ear: int) -> None:
    """Wait for a signal; it arrives here even while the main thread is deep inside a library."""
    while True:
        number = os.read(ear, 1)[0]
        if number in (signal.SIGINT, signal.SIGTERM) and signal.getsignal(number) is not signal.SIG_IGN:
            time.sleep(_GRACE)
            for undo in reversed(_undoing):
                with suppress(Exception):
                    undo()
            try:
                os.write(2, (b"\x1b[?25h" if os.isatty(2) else b"") + b"Stopped.\n")  # a bar hides the cursor
            finally:
                os._exit(128 + number)
