"""Neighbours: searched for as asked, or those that the data hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from czbenchmarks import _check
from czbenchmarks.exceptions import InputError, InputTypeError
from czbenchmarks.kernels.representation import Representation

from .dataset import Cells
from .references import reference_for

if TYPE_CHECKING:
    from czbenchmarks.kernels.neighbors import Neighbors

    from .embedding import LoadedEmbedding

SEARCHES = ("auto", "exact", "approximate")


def check_search(neighbors: Any, embedding: Any, n_data: int) -> None:
    """Refuse a way of finding neighbours that is none, or neighbours of one embedding for several."""
    if not isinstance(neighbors, str):
        raise InputTypeError(
            f"`neighbors` must be {', '.join(map(repr, SEARCHES))} or a reference @obsp:KEY into the data, "
            f"got {_check.kind_of(neighbors)}."
        )
    if neighbors in SEARCHES:
        return
    if not re.fullmatch(r"@(0:)?obsp:.+", neighbors, re.DOTALL):
        raise InputError(_check.unknown("`neighbors`", neighbors, [*SEARCHES, "@obsp:KEY"]))
    several = len(embedding) if isinstance(embedding, Mapping) else int(embedding is not None)
    for got, what in ((n_data, "data set"), (several, "embedding")):
        if got != 1:
            raise InputError(
                f"{neighbors} must be the neighbours of one {what}, got {got or 'no'} {what}s; "
                f"{'score them apart' if got else 'name the embedding'}, or leave `neighbors` out."
            )


def given_neighbors(reference: str, cells: Sequence[Cells]) -> Neighbors | None:
    """Return the neighbours that the data hold under a reference; None if they are to be searched for."""
    if reference in SEARCHES:
        return None
    from czbenchmarks.kernels.given import neighbors_from_distances

    where, name = reference_for(reference, cells, 0)
    return neighbors_from_distances(where.piece("obsp", name.removeprefix("@obsp:")), reference)


def strange_neighbors(
    given: Neighbors | None, reference: str, embeddings: Mapping[str, list[LoadedEmbedding]]
) -> list[str]:
    """Say so if given distances are not those of the embedding: it is likely another one's, but may be meant."""
    if given is None:
        return []
    from czbenchmarks.kernels.given import strange_pairs

    (name, (one,)), *_ = embeddings.items()
    strange, looked = strange_pairs(given, one.representation.values)
    if not strange:
        return []
    return [
        f"{reference} holds other distances than {name} has ({strange:,} of {looked:,} pairs of cells differ), "
        "so its neighbours may be those of another embedding"
    ]


def searching(whole: Representation, search: str, given: Neighbors | None = None) -> Representation:
    """Return an embedding that finds its neighbours as asked, or has them."""
    if given is not None:
        return Representation(whole.values, neighbors=given)
    if search in ("exact", "approximate"):
        return Representation(whole.values, search=cast("Literal['exact', 'approximate']", search))
    return whole
