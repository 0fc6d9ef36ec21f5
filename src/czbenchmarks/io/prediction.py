"""Predicted expression: its columns in the order of the genes."""

from __future__ import annotations

from typing import Any

from czbenchmarks import _check
from czbenchmarks._check import naming
from czbenchmarks.exceptions import InputError

from .dataset import Cells
from .embedding import LoadedEmbedding


def prediction(found: LoadedEmbedding, cells: Cells, *, named: bool) -> tuple[Any, tuple[str, ...]]:
    """Return predicted expression as its task takes it, named columns in the order of the genes, and notes on that.

    `cells` are the data it predicts. It is `named` if options name rows or columns, which the task compares with the
    names there are.
    """
    import pandas as pd

    names, prepared = found.columns, found.representation
    if named:
        rows = found.value.index if hasattr(found.value, "iloc") else None
        if not names and rows is None:
            return prepared, ()
        return pd.DataFrame(prepared.array, index=rows, columns=names or None), ()
    if not names:
        return prepared, ()
    genes = naming.as_names(cells.piece("var").index)
    place = naming.places(names, genes, "the prediction", cells.name, "Gene")
    if place is None:
        return prepared, ("names no genes, so its columns were taken in the order of the data",)
    absent, strange = genes[place < 0], naming.as_names(names).delete(place[place >= 0])
    if len(absent) or len(strange):
        raise InputError(
            f"The columns of a prediction must be the genes of `{cells.name}`: expected {len(genes):,}, got "
            f"{len(names):,}, of which {len(strange):,} are unknown ({_check.listing(strange) or 'none'}) and "
            f"{len(absent):,} are missing ({_check.listing(absent) or 'none'}); name a subset with gene_index, "
            f"{naming.BY_POSITION}."
        )
    return (prepared if (place[1:] > place[:-1]).all() else prepared.values[:, place]), ()
