"""What integration should leave as it was: the cell cycle and the variable genes of each batch, and a trajectory."""

from __future__ import annotations

import csv
import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import Labels, kind_of, numbers, one_dimensional, printable, same_length, whole
from czbenchmarks._check import labels as _labels
from czbenchmarks._check import seed as checked_seed
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.exceptions import InputError, InputTypeError
from czbenchmarks.kernels.expression import Expression, dispersed_genes, moments, taken
from czbenchmarks.kernels.gene_sets import control_genes, explained_jointly, set_scores
from czbenchmarks.kernels.projection import project
from czbenchmarks.kernels.ranks import rank_correlations
from czbenchmarks.kernels.representation import digest
from czbenchmarks.kernels.trajectory import diffusion_components, diffusion_pseudotime, largest_component, root_cell

from ._expression import logged, state
from .inputs import nearest, neighbor_graph, represent
from .results import Measurement, Units

N_COMPONENTS = 50
MIN_CYCLE_CELLS = 10
N_TOP_GENES = 500
GRAPH_NEIGHBORS = 15
_DIFFUSION = 9  # components of the pseudotime, beside the stationary one
_VOTES = 3  # components that choose the root, the stationary one among them
_NOTHING = 1e-12  # a share explained by rounding

_ORGANISMS = {"human": "human", "homo_sapiens": "human", "mouse": "mouse", "mus_musculus": "mouse"}


def cell_cycle_conservation(
    X: Any,
    batch: Any,
    expression: Any,
    gene_names: Any,
    organism: Any,
    n_components: int = N_COMPONENTS,
    random_seed: int = RANDOM_SEED,
) -> Measurement:
    """Mean over batches of 1 - |after - before| / before: what the cell cycle explains of the variance.

    In each batch cells are scored for S and for G2 and M phase: the mean of the phase's genes less that of genes
    expressed alike. Before is the share of the variance of the expression's 50 principal components that a regression
    on both scores explains, after is that of the embedding's. Best 1, least 0 (values below are set to 0). A batch of
    fewer than 10 cells, or whose cell cycle explains nothing before, has no value; not defined where no batch has one,
    and where no gene of a phase is among the names.

    The breakdown has a row for every batch: its cells, before, after and score, or the reason why it has none.

    Parameters
    ----------
    X
        n x d embedding, or the corrected expression.
    batch
        n batches.
    expression
        n x g counts or log-normalised expression before integration, dense or sparse. Values that are all whole are
        counts: they are scaled to 10,000 per cell and log(1 + x) is taken.
    gene_names
        g gene symbols.
    organism
        ``"HUMAN"`` or ``"MOUSE"``, plain or scientific name.
    n_components
        Principal components, of the expression and of an embedding that has more dimensions.
    random_seed
        Seed of the choice of genes to compare with.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8; genes of Tirosh et al. 2016, doi:10.1126/science.aad0501

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names = ["MCM5", "PCNA", "TYMS", "TOP2A", "MKI67", *(f"gene{i}" for i in range(95))]
    >>> cells = rng.poisson(rng.gamma(2, 1, (60, 1)) * np.ones((60, 100)))
    >>> cells[:, :5] += rng.poisson(4, (60, 1))
    >>> round(cell_cycle_conservation(np.log1p(cells), ["x"] * 60, np.log1p(cells), names, "HUMAN", 99).value, 6)
    1.0
    """
    embedding = represent(X, "X")
    batches = _labels(batch, "batch", embedding.n)
    given, values = logged(expression, "expression", embedding.n)
    n_components, seed = whole(n_components, "n_components", 1), checked_seed(random_seed)
    sets = _phases(gene_names, organism, values.genes)
    if isinstance(sets, str):
        return Measurement.undefined(sets)
    key = ("cell cycle", digest(*sets), digest(batches.codes), n_components, seed)
    before = given.once(key, lambda: _before(values, sets, batches, n_components, seed))
    rows: list[dict[str, Any]] = []
    for one, (name, (scores, share, reason)) in enumerate(zip(batches.names, before, strict=True)):
        cells = np.flatnonzero(batches.codes == one)
        row = {"batch": str(name), "cells": len(cells), "before": share, "after": np.nan, "score": np.nan}
        if not reason:
            own = embedding.array[cells]
            after = explained_jointly(project(own, n_components) if embedding.d > n_components else own, scores)
            # Cells that all lie at one place vary with nothing.
            row["after"] = after = 0.0 if np.isnan(after) else after
            row["score"] = max(0.0, 1 - abs(after - share) / share)
        rows.append({**row, "reason": reason})
    details = {
        "s_genes": len(sets[0]), "g2m_genes": len(sets[1]), "expression": state(values), "n_components": n_components,
    }  # fmt: skip
    return _mean_over_batches(rows, batches, details)


def _phases(gene_names: Any, organism: Any, genes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]] | str:
    """Return the positions of the genes of both phases, or why there are none."""
    names = [str(name) for name in one_dimensional(gene_names, "gene_names")]
    same_length(len(names), genes, "gene_names", "gene of `expression`")
    called = getattr(organism, "name", organism)
    if not isinstance(called, str):
        raise InputTypeError(f"`organism` must be 'HUMAN' or 'MOUSE', got {kind_of(organism)}.")
    species = _ORGANISMS.get(called.lower().replace(" ", "_"))
    if species is None:
        return f"cell-cycle genes are known for human and mouse, not for {printable(called)}"
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        places.setdefault(name, place)
    listed, found = _cell_cycle_genes(), []
    for symbols in listed.values():
        # Mouse symbols of these genes are the human ones, capitalised.
        written = [[s.capitalize() if species == "mouse" else s for s in one] for one in symbols]
        known = [[places[s] for s in one if s in places] for one in written]
        found.append(np.unique(np.array([one[0] for one in known if one], dtype=np.int64)))
    total = sum(map(len, listed.values()))
    if not any(map(len, found)):
        return f"none of the {total} cell-cycle genes is among the gene names; pass gene symbols as `gene_names`"
    for (phase, symbols), own in zip(listed.items(), found, strict=True):
        if not len(own):
            return f"none of the {len(symbols)} genes of {phase} phase is among the gene names"
    return found[0], found[1]


def _cell_cycle_genes() -> dict[str, list[list[str]]]:
    """Return the human symbols of the genes of both phases: today's, and the former one if there is one."""
    with Path(__file__).with_name("cell_cycle_genes.csv").open(encoding="utf-8", newline="") as file:
        found: dict[str, list[list[str]]] = {"S": [], "G2M": []}
        for row in csv.DictReader(file):
            found[row["phase"]].append([name for name in (row["symbol"], row["former_symbol"]) if name])
    return found


_Before = list[tuple[NDArray[np.float64], float, str]]


def _before(
    values: Expression, sets: tuple[NDArray[np.int64], NDArray[np.int64]], batches: Labels, n_components: int, seed: int
) -> _Before:
    """Return, for each batch, its cells' scores, what they explain of the expression, and why it has no value."""
    n_controls, every = min(map(len, sets)), np.arange(values.genes)
    found: _Before = []
    for one, size in enumerate(batches.counts):
        cells = np.flatnonzero(batches.codes == one)
        scores, share = np.zeros((size, len(sets))), np.nan
        if size < MIN_CYCLE_CELLS:
            found.append((scores, share, f"{size} cells are too few, {MIN_CYCLE_CELLS} are needed"))
            continue
        mean = moments(values, cells).mean
        controls = [control_genes(mean, own, n_controls, seed) for own in sets]
        if not all(map(len, controls)):
            found.append((scores, share, "no other genes are expressed like the cell-cycle genes"))
            continue
        scores = set_scores(values, cells, list(zip(sets, controls, strict=True)))
        share = explained_jointly(project(taken(values, cells, every), n_components), scores)
        known = share > _NOTHING
        found.append((scores, share, "" if known else "the cell cycle explains nothing before integration"))
    return found


def hvg_conservation(expression: Any, corrected: Any, batch: Any, n_top_genes: int = N_TOP_GENES) -> Measurement:
    """Mean over batches of the share of highly variable genes that are highly variable after correction too.

    In each batch, h genes of the largest dispersion among genes of similar mean are chosen before and after; the score
    is the number of those chosen twice over that of the smaller choice. h is 500, or half the genes seen in a cell of
    the batch (on the side where they are fewer). A gene that does not vary is never chosen; genes of equal score go by
    dispersion, then by position. Best 1, least 0, chance h over the number of genes. A batch of fewer
    than two cells, or without variable genes, has no value; not defined where no batch has one.

    The breakdown has a row for every batch: its cells, genes chosen, the share that both hold, or a reason.

    Parameters
    ----------
    expression
        n x g counts or log-normalised expression before integration, dense or sparse.
    corrected
        n x g corrected expression: the output of an integration method that gives one.
    batch
        n batches.
    n_top_genes
        Most genes chosen in a batch.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8; dispersions of Zheng et al. 2017, doi:10.1038/ncomms14049

    Examples
    --------
    >>> cells = np.random.default_rng(0).gamma(1, 1, (20, 30))
    >>> hvg_conservation(cells, 0.5 * cells, ["x"] * 20).value
    1.0
    """
    n_top_genes = whole(n_top_genes, "n_top_genes", 1)
    given, first = logged(expression, "expression")
    batches = _labels(batch, "batch", given.n)
    _, second = logged(corrected, "corrected", given.n, signed=True)
    if first.genes != second.genes:
        raise InputError(
            f"`corrected` must have the genes of `expression`, {first.genes:,}, got {second.genes:,}; pass both with "
            "the same genes in the same order."
        )
    rows: list[dict[str, Any]] = []
    for one, (name, size) in enumerate(zip(batches.names, batches.counts, strict=True)):
        row = {"batch": str(name), "cells": int(size), "genes": 0, "score": np.nan, "reason": ""}
        cells = np.flatnonzero(batches.codes == one)
        if size < 2:
            rows.append({**row, "reason": "one cell has no variance"})
            continue
        before = given.once(("moments of the genes", digest(cells)), functools.partial(moments, first, cells))
        sides = [before, moments(second, cells)]
        seen = [np.flatnonzero(side.cells) for side in sides]
        most = min(n_top_genes, min(map(len, seen)) // 2)
        try:
            chosen = [own[dispersed_genes(side.of(own), most)] for side, own in zip(sides, seen, strict=True)]
        except LookupError:
            most = 0
        if not most:
            rows.append({**row, "reason": "too few genes vary, before or after correction"})
            continue
        shared, smaller = len(np.intersect1d(chosen[0], chosen[1])), min(map(len, chosen))
        rows.append({**row, "genes": most, "score": shared / smaller})
    details = {"n_top_genes": n_top_genes, "expression": state(first), "corrected": state(second)}
    return _mean_over_batches(rows, batches, details)


def _mean_over_batches(rows: list[dict[str, Any]], batches: Labels, details: dict[str, Any]) -> Measurement:
    scores = np.array([row["score"] for row in rows])
    missing = np.isnan(scores)
    counts = {
        "used": int(batches.counts[~missing].sum()), "left_out": int(batches.counts[missing].sum()),
        "batches": int((~missing).sum()), "batches_left_out": int(missing.sum()),
    }  # fmt: skip
    units = Units("batch", batches.names, scores)
    rows = [{name: value for name, value in row.items() if name != "reason" or value} for row in rows]
    if missing.all():
        reason = f"no batch has a value; {rows[0]['batch']}: {rows[0]['reason']}"
        return Measurement.undefined(reason, units=units, counts=counts, details=details, breakdowns=rows)
    return Measurement(float(scores[~missing].mean()), None, units, counts, details, rows)


def trajectory_conservation(
    X: Any, labels: Any, pseudotime: Any, batch: Any = None, root: int | None = None
) -> Measurement:
    """Agreement of diffusion pseudotime on the embedding with one from before: (Spearman's correlation + 1) / 2.

    On the graph of 15 nearest cells: the largest connected part; as root the cell, of the label with the least mean
    pseudotime before, that is farthest out in most of three diffusion components (where votes tie, in the slowest);
    diffusion distance from it over nine components. Cells outside the part have pseudotime 0. Best 1, chance 0.5,
    least 0. Not defined where the label is not in the part, and where either pseudotime is constant.

    With `batch`, one graph and root for all, the mean over batches of the agreement within each; the breakdown then
    has a row for every batch.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels (cell types or stages).
    pseudotime
        n numbers: pseudotime, or time, before integration.
    batch
        n batches, for the mean over batches.
    root
        Position of the cell to start from, in place of the one that is chosen.

    References
    ----------
    Luecken et al. 2022, doi:10.1038/s41592-021-01336-8; pseudotime of Haghverdi et al. 2016, doi:10.1038/nmeth.3971

    Examples
    --------
    >>> along = np.arange(60.0)
    >>> found = trajectory_conservation(np.column_stack([along, along**2 / 60]), along // 20, along)
    >>> found.value > 0.99
    True
    """
    embedding = represent(X, "X")
    groups = _labels(labels, "labels", embedding.n)
    before = numbers(pseudotime, "pseudotime", embedding.n)
    batches = None if batch is None else _labels(batch, "batch", embedding.n)
    if embedding.n < 4:
        counts = {"used": embedding.n, "left_out": 0}
        return Measurement.undefined(f"{embedding.n} connected cells are too few for a trajectory", counts=counts)
    graph = neighbor_graph(embedding, GRAPH_NEIGHBORS)
    inside = embedding.once(("largest component", GRAPH_NEIGHBORS), lambda: largest_component(graph))
    counts = {"used": embedding.n, "left_out": 0, "outside": embedding.n - len(inside)}
    details: dict[str, Any] = dict(nearest(embedding, GRAPH_NEIGHBORS, "bio").details)
    if np.ptp(before) == 0:
        return Measurement.undefined("the pseudotime before integration is constant", counts=counts)
    if not embedding.neighbors(GRAPH_NEIGHBORS).distances.any():
        one = bool((embedding.array == embedding.array[0]).all())
        where = "have one place in the embedding" if one else "are at the place of their nearest cells"
        return Measurement.undefined(f"all cells {where}", counts=counts)
    if len(inside) < 4:
        return Measurement.undefined(f"{len(inside)} connected cells are too few for a trajectory", counts=counts)
    if root is None:
        start = groups.names[np.argmin(np.bincount(groups.codes, before) / groups.counts)]
        candidates = np.flatnonzero(groups.names[groups.codes[inside]] == start)
        which = f"no cell of {start!r}, the earliest label,"
    else:
        candidates = np.flatnonzero(inside == whole(root, "root", 0, embedding.n - 1))
        which = f"the root cell, {root},"
    if not len(candidates):
        where = "is not" if root is not None else "is"
        reason = f"{which} {where} in the largest connected part of the graph"
        return Measurement.undefined(reason, counts=counts, details=details)
    values, vectors = embedding.once(
        ("diffusion components", GRAPH_NEIGHBORS, _DIFFUSION),
        lambda: diffusion_components(graph[inside][:, inside], min(_DIFFUSION, len(inside) - 1)),
    )
    chosen = root_cell(vectors[:, :_VOTES], candidates)
    after = np.zeros(embedding.n)
    after[inside] = diffusion_pseudotime(values, vectors, chosen)
    details["root"] = int(inside[chosen])
    return _agreement(before, after, batches, counts, details)


def _agreement(
    before: NDArray[np.float64], after: NDArray[np.float64], batches: Labels | None, counts: dict[str, int],
    details: dict[str, Any],
) -> Measurement:  # fmt: skip
    codes = np.zeros(len(before), dtype=np.int64) if batches is None else batches.codes
    order = np.argsort(codes, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    found, *_ = rank_correlations(before[order], after[order], bounds)
    scores = (found + 1) / 2
    if batches is None:
        if np.isnan(scores[0]):
            return Measurement.undefined("no cell is away from the root on the embedding's trajectory", counts=counts)
        return Measurement(float(scores[0]), None, None, counts, details)
    rows = [
        {
            "batch": str(name), "cells": int(size), "score": float(score),
            "reason": "pseudotime is constant, before or after" if np.isnan(score) else "",
        }
        for name, size, score in zip(batches.names, batches.counts, scores, strict=True)
    ]  # fmt: skip
    mean = _mean_over_batches(rows, batches, details)
    return replace(mean, counts={**mean.counts, "outside": counts["outside"]})
