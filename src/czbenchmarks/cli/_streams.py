"""Output for streams that cannot hold every character: containers without UTF-8, pipes on Windows.

A score that was computed is not lost for want of a ``±``: what a stream's encoding lacks is written with plain
characters, or escaped. Files that the program writes are UTF-8 wherever it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TextIO

_PLAIN = str.maketrans({
    "±": "+-", "…": "...", "×": "x", "·": ".", "•": "*", "↑": "^", "↓": "v", "→": "->", "←": "<-", "≤": "<=", "≥": ">=",
    "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "\xa0": " ", "µ": "u",
    "─": "-", "━": "-", "╸": "-", "╺": "-", "╴": "-", "╶": "-", "│": "|", "┃": "|", "┼": "+", "═": "=",
})  # fmt: skip


def plain(text: str, encoding: str | None) -> str:
    r"""Return text as a stream of an encoding can hold it: ``+-`` for ``±``, letters that it lacks as ``\xe9``.

    None is the encoding of a stream that takes all text.

    Examples
    --------
    >>> plain("0.5 ± 0.1 of γδ T", "ascii"), plain("0.5 ± 0.1", "latin-1")
    ('0.5 +- 0.1 of \\u03b3\\u03b4 T', '0.5 ± 0.1')
    """
    if encoding is None or text.isascii():
        return text
    with suppress(UnicodeEncodeError, LookupError):
        text.encode(encoding)
        return text
    return "".join(_one(character, encoding) for character in text)


def _one(character: str, encoding: str) -> str:
    for known in (character, character.translate(_PLAIN)):
        with suppress(UnicodeEncodeError, LookupError):
            known.encode(encoding)
            return known
    return character.encode("ascii", "backslashreplace").decode()


def fitting(text: str) -> str:
    """Return text as stdout can hold it: before it is laid out, since an escaped letter is wider than the letter."""
    return plain(text, getattr(sys.stdout, "encoding", None))


def exactly(text: str) -> str:
    """Return text as stdout can hold it, for programs: what it lacks is escaped, so that no two texts become one."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    with suppress(LookupError):
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def has_arrows() -> bool:
    """Tell whether stdout can hold arrows and the lines of tables."""
    return _is_unicode(getattr(sys.stdout, "encoding", None) or "utf-8")


class Plain:
    """A text stream that writes with plain characters what its encoding lacks.

    It has no ``buffer``: click would write UTF-8 into that where the encoding is ASCII.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text."""
        return self._stream.write(plain(text, self._stream.encoding))

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)


@contextmanager
def all_text() -> Iterator[None]:
    """Let stdout and stderr take any text while the program runs."""
    with ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            encoding = getattr(stream, "encoding", None)
            if encoding is None:  # there is no stream, or it is not made of bytes
                continue
            if not _is_unicode(encoding):
                setattr(sys, name, Plain(stream))
                stack.callback(setattr, sys, name, stream)
            elif hasattr(stream, "reconfigure"):  # file names may hold what is no Unicode
                stack.callback(_escape, stream, stream.errors)
                _escape(stream, "backslashreplace")
        yield


def _escape(stream: Any, errors: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads it any more
        stream.reconfigure(errors=errors)


def _is_unicode(encoding: str) -> bool:
    return encoding.lower().startswith("utf")
