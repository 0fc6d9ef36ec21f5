"""Labels that may not mean what they say: texts of missing values, and one name in two spellings."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from . import Labels, listing

# What readers and writers of tables make of a missing value. Words such as "unknown" and "unassigned" are not among
# them: annotators choose those, and mean a group of cells.
_OF_MISSING_VALUES = frozenset(["", "nan", "none", "na", "n/a", "#n/a", "<na>", "null", "nat"])


def without_spelling(name: Any) -> Hashable:
    """Return what a label has in common with others that differ by case, blanks or number format.

    Examples
    --------
    >>> without_spelling(" T_cell") == without_spelling("t cell"), without_spelling("0.0") == without_spelling("0")
    (True, True)
    """
    text = " ".join(str(name).replace("_", " ").split()).casefold()
    try:
        number = Decimal(text)  # exact: identifiers of many digits stay apart
    except InvalidOperation:
        return text
    return number if number.is_finite() else text


def spelt_otherwise(names: Iterable[Any], others: Iterable[Any]) -> list[tuple[str, str]]:
    """Return pairs of labels, one of `names` and one of `others`, that differ by nothing but spelling.

    All are distinct; of several others that one label could be, the first is paired.
    """
    known: dict[Hashable, str] = {}
    for other in others:
        known.setdefault(without_spelling(other), str(other))
    pairs = [(str(name), known.get(without_spelling(name), str(name))) for name in names]
    return [(name, other) for name, other in pairs if name != other]


def said_of_spelling(pairs: Iterable[tuple[str, str]]) -> str:
    """Say which labels of these pairs differ by nothing but spelling, and what to do; empty if none do."""
    shown = listing([f"{one!r} and {other!r}" for one, other in pairs])
    if not shown:
        return ""
    return f"labels that differ only in case, blanks or number format are different labels ({shown}); spell them alike"


def doubts(labels: Labels) -> list[str]:
    """Say what to know of labels that are scored as they are: cells that nobody named, one name in two spellings."""
    said = []
    unnamed = [i for i, name in enumerate(labels.names) if str(name).strip().casefold() in _OF_MISSING_VALUES]
    if unnamed:
        cells = int(labels.counts[unnamed].sum())
        shown = " or ".join(repr(str(labels.names[i])) for i in unnamed)
        said.append(
            f"{cells:,} of {len(labels):,} cells have the label {shown}, the text of a missing value, which is scored "
            "like any other label; leave these cells out or name them"
        )
    if labels.merged:
        shown = listing(map(repr, labels.merged))
        which = f"the label {shown} is" if len(labels.merged) == 1 else f"the labels {shown} are"
        said.append(
            f"{which} of different kinds in different cells (a number and text), which count as one; write them alike, "
            "or rename one of them"
        )
    spelling = said_of_spelling(spelt_otherwise(labels.names, labels.names))
    return [*said, spelling] if spelling else said
