"""Tables for people: as wide as the terminal, words whole while there is room for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ._streams import fitting, has_arrows

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 100
"""Columns of a table that is not printed to a terminal, unless the variable COLUMNS says how many."""
_BETWEEN = 3  # characters between two columns
_LEAST = 8  # characters of a sentence in a line, beside names
_BREAKS = "/\\_-.,;:=|"
"""After these a word that is too long for its column is broken, if it must be."""


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, numbers: Sequence[str] = ()) -> None:
    """Print a table, columns of `numbers` to the right; text that does not fit is folded, never cut."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console = _console()
    cells = [[fitting("" if cell is None else str(cell)) for cell in row] for row in (columns, *rows)]
    widths = column_widths(cells, console.width - _BETWEEN * (len(columns) - 1) - 2)
    lines = box.SIMPLE_HEAD if has_arrows() else box.Box(str(box.SIMPLE_HEAD).replace("─", "-"), ascii=True)
    table = Table(box=lines, pad_edge=False)
    for name, heading, width in zip(columns, cells[0], widths, strict=True):
        justify: Literal["left", "right"] = "right" if name in numbers else "left"
        table.add_column(Text(_broken(heading, width)), justify=justify, overflow="fold", width=width)
    for row in cells[1:]:
        table.add_row(*(Text(_broken(cell, width)) for cell, width in zip(row, widths, strict=True)))
    console.print(table)


def table_width() -> int:
    """Return how many columns `print_table` has."""
    return _console().width


def column_widths(cells: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return the width of every column: its longest text, if that fits; else sentences give way first, then words."""
    columns = list(zip(*cells, strict=True))
    whole = [max(1, *map(_width, column)) for column in columns]
    words = [max((_width(word) for text in column for word in text.split()), default=1) for column in columns]
    both = list(zip(words, whole, strict=True))
    if sum(whole) <= room:
        return whole
    if sum(words) <= room:
        return _largest(lambda most: [max(word, min(text, most)) for word, text in both], room)
    names = [not any(" " in text for text in column) for column in columns]
    if sum(width if name else min(width, _LEAST) for name, width in zip(names, whole, strict=True)) <= room:
        # What can be copied stays in one piece; words of sentences give way.
        kinds = list(zip(names, both, strict=True))
        return _largest(lambda most: [text if name else min(word, most) for name, (word, text) in kinds], room)
    # Some words are longer than there is room for: what is short stays as it is beside them.
    return _largest(lambda most: [text if text <= most else max(1, min(word, most)) for word, text in both], room)


def _largest(widths: Callable[[int], list[int]], room: int) -> list[int]:
    """Return the widths for the largest limit under which they fit."""
    most = next((most for most in range(room, 1, -1) if sum(widths(most)) <= room), 1)
    found = widths(most)
    for i, (now, more) in enumerate(zip(found, widths(most + 1), strict=True)):
        if more > now and sum(found) < room:  # what is left, one character each
            found[i] = more
    return found


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _broken(text: str, width: int) -> str:
    """Break words that are too long for their column, after what joins their parts if they have such."""
    if all(_width(word) <= width for word in text.split()):
        return text
    words = []
    for word in text.split():
        pieces = []
        while _width(word) > width:
            end = next(i for i in range(len(word), 0, -1) if i == 1 or _width(word[:i]) <= width)
            joint = max(word.rfind(mark, 0, end) for mark in _BREAKS) + 1
            end = joint if joint > end // 3 else end
            pieces.append(word[:end])
            word = word[end:]
        words.append("\n".join([*pieces, word]))
    return " ".join(words)


def _console() -> Console:
    from rich.console import Console

    console = Console()
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked) > 0:
        console.width = int(asked)
    elif not console.is_terminal:
        console.width = max(_WIDTH, console.width)
    return console
