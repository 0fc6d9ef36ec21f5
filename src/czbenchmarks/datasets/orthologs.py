"""Data sets of several species, restricted to the one-to-one orthologues that all of them have.

A table of orthologues has one row per gene and a column per organism, or two: ``human_symbol``, ``mouse_symbol``,
``human_ensembl_id``, … The table of human and mouse comes with the package.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks import _check
from czbenchmarks._notes import note
from czbenchmarks.exceptions import InputError, InputTypeError

from .ortholog_tables import Names, once, plain_names, positions_of, read_all
from .types import Organism

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

logger = logging.getLogger(__name__)

FEWEST = 100
"""Shared genes below which names were most likely mixed up."""

_COLUMNS = ("gene_symbol", "gene_symbols", "ensembl_id", "gene_ids", "feature_id", "feature_name")
"""Columns of `var` that may name the genes: of this package's data sets, of ``scanpy.read_10x_mtx``, of CELLxGENE."""


def join_orthologs(adatas: Sequence[Any], organisms: Sequence[Any] | None = None, table: Any = None) -> list[AnnData]:
    """Restrict data sets of several species to the one-to-one orthologues that all of them have.

    Genes are found by symbol or Ensembl id (its version aside), in ``var_names`` or the column of ``var`` that names
    most of them (``gene_symbol``, ``gene_symbols``, ``ensembl_id``, ``gene_ids``, ``feature_id``, ``feature_name``);
    the log says which. What names two genes, in a data set or in the table, is not one-to-one: it is left out, with
    a warning.

    Parameters
    ----------
    adatas
        Two or more AnnData or data set objects; they are not changed.
    organisms
        The organism of each, such as ``"human"``; None for the data set object's, or the column ``organism`` of `obs`.
    table
        None or ``"human-mouse"`` for the table that comes with the package (Ensembl); else a DataFrame or the path of a
        ``.csv`` or ``.tsv`` file (``.gz`` too) with a column per organism that begins with its name: ``human_symbol``,
        ``mouse_symbol``, ``mouse_ensembl_id``. A list of tables of human and one other each for more species.

    Returns
    -------
    One AnnData per data set with the same genes in the same order, that of the table. ``var_names`` are the human
    genes, ``var["original_name"]`` are the data's own. ``X``, ``layers``, ``var``, ``obs``, ``obsm``, ``obsp`` and
    ``uns`` are kept, sparse as sparse; ``raw``, ``varm`` and ``varp`` are not.

    Raises
    ------
    ValueError, TypeError
        One sentence, if fewer than 100 genes are shared, or if the table or the data cannot be used.

    Examples
    --------
    >>> from czbenchmarks.datasets import load_dataset
    >>> human, mouse = join_orthologs([load_dataset("baron_pancreas_human"), load_dataset("baron_pancreas_mouse")])
    >>> human.shape, mouse.shape, mouse.var_names[0], mouse.var["gene_symbol"].iloc[0]
    ((812, 10673), (812, 10673), 'STC2', 'Stc2')
    """
    if not isinstance(adatas, (list, tuple)):
        raise InputTypeError(f"`adatas` must be a list of AnnData, got {_check.kind_of(adatas)}.")
    given = [_annotated(one, f"adatas[{i}]") for i, one in enumerate(adatas)]
    if organisms is None:
        organisms = [organism_of(one, f"adatas[{i}]") for i, one in enumerate(adatas)]
    shared = shared_orthologs([one.var for one in given], organisms, table, "adatas")
    return [_restricted(one, columns, shared.names) for one, columns in zip(given, shared.columns, strict=True)]


@dataclass(frozen=True)
class Shared:
    """Genes that all data sets have."""

    names: Names  # those of the human genes where the table has them
    columns: list[NDArray[np.int64]]  # per data set the positions of these genes


def shared_orthologs(genes: Sequence[pd.DataFrame], organisms: Sequence[Any], table: Any, name: str) -> Shared:
    """Find the orthologues that all data sets have; the log says how.

    `genes` is `var` of every data set, whose index and some columns may name the genes, and `name` how a sentence calls
    the list of data sets.
    """
    if len(genes) < 2:
        raise InputError(f"`{name}` must be at least two data sets, got {len(genes)}; pass one per organism.")
    if isinstance(organisms, str) or len(organisms) != len(genes):
        got = repr(organisms) if isinstance(organisms, str) else str(len(organisms))
        raise InputError(f"`organisms` must name one organism per data set: expected {len(genes)}, got {got}.")
    kinds = [Organism(one) for one in organisms]
    known = read_all(table)
    for kind in dict.fromkeys(kinds):
        if kind not in known.names:
            raise InputError(
                f"The table of orthologues must have a column of every organism, got {known.called} of "
                f"{_check.listing(map(_plain, known.names))} without {_plain(kind)}; pass a table with a column "
                f"'{_plain(kind)}_symbol'."
            )
    names = known.labels()
    keep = np.ones(len(names), dtype=bool)
    found = []
    for i, (var, kind) in enumerate(zip(genes, kinds, strict=True)):
        match = _best_match(var, known.names[kind])
        match.log(f"{name}[{i}] ({_plain(kind)})", known.called, len(var))
        keep &= match.positions >= 0
        found.append(match)
    if nameless := int((keep & (names == "")).sum()):
        note(logger, f"{nameless:,} rows of the table of orthologues name no gene of their own and were left out")
    keep &= names != ""
    if keep.sum() < FEWEST:
        each = "; ".join(
            f"{name}[{i}] ({_plain(kind)}) has {(match.positions >= 0).sum():,} of them among {len(var):,} genes "
            f"such as {_check.listing(var.index[:3]) or 'none'}"
            for i, (var, kind, match) in enumerate(zip(genes, kinds, found, strict=True))
        )
        raise InputError(
            f"`{name}` must share at least {FEWEST} one-to-one orthologues, got {keep.sum():,} ({each}); check the "
            "organisms, the names of the genes and the table."
        )
    note(logger, f"{keep.sum():,} one-to-one orthologues of {known.called} are in every data set", level=logging.INFO)
    return Shared(names[keep], [match.positions[keep] for match in found])


def organism_of(data: Any, name: str) -> Organism:
    """Return the organism of a data set object, or that of the column ``organism`` of `obs`."""
    known = getattr(data, "organism", None)
    if isinstance(known, Organism):
        return known
    obs = getattr(data, "adata", data).obs
    if "organism" not in obs:
        raise InputError(
            f"The organism of `{name}` must be known, got no column 'organism' in obs; pass `organisms`, one per data "
            "set."
        )
    found = obs["organism"].dropna().unique()
    if len(found) != 1:
        raise InputError(
            f"Column 'organism' of `{name}` must hold one organism, got {len(found):,}: "
            f"{_check.listing(found) or 'none'}; split the data or pass `organisms`."
        )
    return Organism(found[0])


def _annotated(value: Any, name: str) -> AnnData:
    found = getattr(value, "adata", value)
    if not hasattr(found, "var") or not hasattr(found, "obsm"):
        hint = "; read it with anndata.read_h5ad" if isinstance(value, (str, Path)) else ""
        raise InputTypeError(f"`{name}` must be an AnnData or a data set object, got {_check.kind_of(value)}{hint}.")
    annotated: AnnData = found.to_memory() if found.isbacked else found
    return annotated


def _restricted(adata: AnnData, columns: NDArray[np.int64], names: Names) -> AnnData:
    import anndata
    import pandas as pd

    layers = {key: layer for key, layer in adata.layers.items() if key is not None}  # X, for anndata from 0.13
    var = adata.var.iloc[columns].copy()
    var["original_name"] = adata.var_names[columns].astype(str)
    var.index = pd.Index(names)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Observation names are not unique")  # as they were
        return anndata.AnnData(
            X=None if adata.X is None else adata.X[:, columns],
            obs=adata.obs.copy(),
            var=var,
            layers={key: layer[:, columns] for key, layer in layers.items()},
            obsm={key: value.copy() for key, value in adata.obsm.items()},
            obsp={key: value.copy() for key, value in adata.obsp.items()},
            uns=copy.deepcopy(dict(adata.uns)),
        )


def _plain(organism: Organism) -> str:
    """Return the plain name of an organism, as headings of tables have it."""
    return organism._name_.lower()


@dataclass(frozen=True)
class _Match:
    """The genes of a data set that a table names."""

    positions: NDArray[np.int64]  # per row of the table the position in the data set, or -1
    source: str  # what names the genes in the data
    heading: str  # and in the table
    repeated: list[str]  # names of the table that several genes of the data have
    ambiguous: list[str]  # names of genes of the data that several rows of the table have

    def log(self, data: str, table: str, n: int) -> None:
        """Say what was matched, and what was left out."""
        found = int((self.positions >= 0).sum())
        where = f"{table}, by {self.source} and its column {self.heading}"
        note(logger, f"{data}: {found:,} of {n:,} genes are in {where}", level=logging.INFO)
        for names, where in ((self.repeated, "the data"), (self.ambiguous, "the table of orthologues")):
            if names:
                listed = _check.listing(names)
                said = f"{len(names):,} names are there more than once in {where} ({listed}) and were left out"
                note(logger, f"{data}: {said}")


def _best_match(var: pd.DataFrame, columns: Mapping[str, Names]) -> _Match:
    """Return the genes by the source that names most of them; the first of equally good ones."""
    best: tuple[int, NDArray[np.int64], str, str, Names] | None = None
    for source, names in _sources(var):
        for heading, rows in columns.items():
            positions = positions_of(rows, names)
            found = int((positions >= 0).sum())
            if best is None or found > best[0]:
                best = (found, positions, source, heading, names)
    assert best is not None
    _, positions, source, heading, names = best
    rows = columns[heading]
    in_table, in_data = set(rows), set(names)
    repeated = sorted({*names[~once(names)]} & in_table - {""})
    ambiguous = sorted({*rows[~once(rows)]} & in_data - {""})
    return _Match(positions, source, heading, repeated, ambiguous)


def _sources(var: pd.DataFrame) -> Iterator[tuple[str, Names]]:
    yield "var_names", plain_names(var.index)
    for column in _COLUMNS:
        if column in var:
            yield f"var['{column}']", plain_names(var[column])
