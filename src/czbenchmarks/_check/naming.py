"""Names of cells and genes: whether rows follow them, and when rows are taken by position instead.

Names are compared as text (``7``, ``"7"`` and ``b"7"`` are one name). The same names in another order are put in order.
Whole numbers that only count (0, 1, 2, … or 1, 2, 3, …) name nothing, unless the data's own names are whole numbers.
Any other names are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks import _check
from czbenchmarks.exceptions import InputError

from .text import as_text

if TYPE_CHECKING:
    import pandas as pd

BY_POSITION = "or pass an array to go by position"
"""How an error sentence says that names can be left aside."""


def as_names(values: Any) -> pd.Index[Any]:
    """Return names as text, in whatever container and of whatever type they are."""
    import pandas as pd

    return pd.Index([as_text(value) for value in values], dtype=object)


def counts_rows(names: Any) -> bool:
    """Tell whether names are 0, 1, 2, … or 1, 2, 3, …: the numbers of the rows, by which nothing is found."""
    text = [as_text(value) for value in names[:1]]
    if text not in (["0"], ["1"]):
        return False
    return all(as_text(value) == str(i) for i, value in enumerate(names, int(text[0])))


def places(theirs: Any, ours: Any, name: str, of: str, what: str = "Cell") -> NDArray[np.int64] | None:
    """Return where each of the data's names is among the names that were given; -1 where it is not.

    None if the given names, of an embedding, a prediction or labels, only count, so that they are to be taken by
    position. A sentence calls the two `name` and `of`, and what is named ``"Cell"`` or ``"Gene"``.
    """
    if _equal(theirs, ours):  # then names that occur twice do no harm
        return np.arange(len(ours))
    theirs, ours = as_names(theirs), as_names(ours)
    if counts_rows(theirs) and not all(name.isdecimal() for name in ours):
        return None
    for index, owner in ((theirs, name), (ours, of)):
        if not index.is_unique:
            twice = index[index.duplicated()].unique()
            raise InputError(
                f"{what} names must be unique to be aligned, `{owner}` has {len(twice):,} more than once "
                f"({_check.listing(twice)}); make them unique, or pass an array in the order of the data."
            )
    found: NDArray[np.int64] = theirs.get_indexer(ours).astype(np.int64)
    return found


def refuse_another_order(theirs: Any, ours: Any, name: str, of: str) -> None:
    """Refuse names that are those of `of` in another order, or only some of them, where no data set has the say.

    Names that only count, and names of which none are shared, name something else, or nothing.
    """
    if len(theirs) != len(ours) or _equal(theirs, ours):
        return
    theirs, ours = as_names(theirs), as_names(ours)
    shared = int(theirs.isin(ours).sum())
    if shared == len(ours) and ours.isin(theirs).all():
        raise InputError(
            f"`{name}` must follow the order of `{of}`, got the same {len(ours):,} names in another order; "
            f"reorder it: {name}.loc[{of}.index], {BY_POSITION}."
        )
    if shared and not counts_rows(theirs) and not counts_rows(ours):
        strange = theirs[~theirs.isin(ours)] if shared < len(theirs) else ours[~ours.isin(theirs)]
        raise InputError(
            f"`{name}` must name what `{of}` names, got {len(strange):,} names that only one of them has "
            f"({_check.listing(strange)}); correct its index, {BY_POSITION}."
        )


def _equal(theirs: Any, ours: Any) -> bool:
    """Tell whether names are the same in the same order; text is made of them only where they differ as they are."""
    same = getattr(theirs, "equals", None)
    return theirs is ours or bool(same and same(ours)) or as_names(theirs).equals(as_names(ours))
