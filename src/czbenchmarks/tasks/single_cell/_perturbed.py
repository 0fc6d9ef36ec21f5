"""Predicted and true changes of all conditions of a perturbation data set, computed together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, repeat
from typing import Any, Dict, List, Optional

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from czbenchmarks import _check
from czbenchmarks._check.naming import as_names
from czbenchmarks._check.text import as_text
from czbenchmarks.exceptions import InputError
from czbenchmarks.kernels.groups import group_sums

EPSILON = 1e-8

_COMPARED = 50
"""Target genes of a condition by which another one's predicted cells are told from its own: enough, and cheap."""

_SWITCHED = "the effect is the difference of means, not their ratio: a mean is 0 or negative"
_FLAT_TREATED = (
    "the treated cells are predicted with one value for all target genes, so the genes are ranked by their control "
    "means alone"
)
_FLAT_CONTROL = (
    "the control cells are predicted with one value for all target genes, so the genes are ranked by their treated "
    "means alone"
)
_ALIKE = "the treated cells are predicted alike for all conditions, so the score says nothing of one perturbation"

Change = tuple[NDArray[np.float64], NDArray[np.float64]]


class Perturbed:
    """The data set of a run: what its ``uns`` says, and where the predictions' rows and columns are in it.

    Names are looked up once, all together; from there on there are positions only.

    Parameters
    ----------
    adata
        As ``SingleCellPerturbationDataset`` leaves it; its names and its ``uns`` are read, so it may be backed.
    cell_index, gene_index
        Names of the predictions' rows and columns; None for those of `adata`.
    shape
        Shape of the predictions.
    """

    def __init__(
        self, adata: Any, cell_index: Optional[pd.Index], gene_index: Optional[pd.Index], shape: tuple[int, int]
    ) -> None:
        uns = adata.uns
        self.targets = {
            condition: list(dict.fromkeys(_names(genes, f"adata.uns['target_conditions_dict'][{condition!r}]")))
            for condition, genes in _mapping(uns, "target_conditions_dict").items()
        }
        if not self.targets:
            raise InputError(
                "adata.uns['target_conditions_dict'] must name at least one condition, got none; loosen the data set's "
                "thresholds (`pval_threshold`, `min_logfoldchange`, `min_de_genes_to_mask`)."
            )
        pairs = _control_pairs(uns)
        self._mapped = np.array([condition in pairs for condition in self.targets])
        sizes = np.array([len(genes) for genes in self.targets.values()])
        self._condition = np.repeat(np.arange(len(sizes)), sizes)  # of each target
        self._names: List[str] = list(chain.from_iterable(self.targets.values()))
        number = {name: i for i, name in enumerate(dict.fromkeys(self._names))}
        gene = _looked_up(number, self._names)
        known, true = _true_changes(uns, list(self.targets), number, self._condition, gene)
        cells = _positions(adata.obs_names, cell_index, shape[0], "cell_index", "cells")
        genes = _positions(adata.var_names, gene_index, shape[1], "gene_index", "genes")
        self._true = true
        self._column = _looked_up(genes, number)[gene] if number else gene
        self._usable = known & np.isfinite(true) & (self._column >= 0)
        self._weigh(pairs, cells, shape[0])

    def _weigh(self, pairs: Mapping[str, _Pairs], cells: Mapping[str, int], n: int) -> None:
        """Find the weight of every predicted row as treated and as control cell of each condition.

        A treated cell with several controls is paired with their mean. A pair whose treated cell or controls are not
        among the predictions is left out.
        """
        from scipy.sparse import csc_matrix

        found = [pairs.get(condition, _Pairs([], [], None)) for condition in self.targets]
        self._pairs = np.array([len(one.cells) for one in found])
        treated = _looked_up(cells, chain.from_iterable(one.cells for one in found))
        control = _looked_up(cells, chain.from_iterable(one.controls for one in found))
        sizes = np.fromiter(chain.from_iterable(one.sizes or repeat(1, len(one.cells)) for one in found), np.int64)
        condition = np.repeat(np.arange(len(found)), self._pairs)
        pair = np.repeat(np.arange(len(sizes)), sizes)
        predicted = (treated >= 0) & (sizes > 0)
        self._treated_predicted = np.bincount(condition[treated >= 0], minlength=len(found)) > 0
        self._controls_predicted = np.bincount(condition[pair[control >= 0]], minlength=len(found)) > 0
        predicted[pair[control < 0]] = False
        used = predicted[pair]
        pair = pair[used]
        self._total = np.bincount(condition[predicted], minlength=len(found))
        weights = np.concatenate([np.ones(int(predicted.sum())), 1 / sizes[pair]])
        groups = np.concatenate([condition[predicted], len(found) + condition[pair]])
        rows = np.concatenate([treated[predicted], control[used]])
        # Conditions as treated, then conditions as controls; what a condition has of one row several times is added up.
        self._weights = csc_matrix((weights, (groups, rows)), shape=(2 * len(found), n))

    def changes(self, predictions: Any, operation: str) -> Iterator[tuple[str, Dict[str, Any], Optional[Change]]]:
        """Yield each condition, what is known of it, and its predicted and true change unless it cannot be scored."""
        n = len(self.targets)
        targets = np.bincount(self._condition, minlength=n)
        usable = np.bincount(self._condition[self._usable], minlength=n)
        scored = self._mapped & (self._total > 0) & (usable >= 2)
        chosen = np.flatnonzero(self._usable & scored[self._condition])
        condition = self._condition[chosen]
        ends = np.cumsum(np.where(scored, usable, 0))
        change, switched, notes = self._effect(predictions, operation, condition, self._column[chosen], scored)
        true = self._true[chosen]
        genes: List[List[str]] = [[] for _ in range(n)]
        for target in np.flatnonzero(self._usable).tolist():
            genes[self._condition[target]].append(self._names[target])
        for i, (name, total) in enumerate(zip(self.targets, self._total.tolist(), strict=True)):
            pairs, used, of = int(self._pairs[i]), int(usable[i]), int(targets[i])
            counts = {"used": used, "left_out": of - used, "pairs": total, "pairs_left_out": pairs - total}
            facts: Dict[str, Any] = {"counts": counts, "genes": genes[i]}
            if not self._mapped[i]:
                facts["reason"] = "no controls are mapped to its cells in adata.uns['control_cells_map']"
            elif not total:
                facts["reason"] = self._unpaired(i)
            elif used < 2:
                facts["reason"] = f"{used} of its {of} target genes can be compared, two are needed to rank"
            elif switched[i] or notes[i]:
                said = [_SWITCHED] * bool(switched[i]) + notes[i]
                facts["details"] = {
                    **({"pred_effect_operation": "difference"} if switched[i] else {}),
                    "note": "; ".join(said),
                }
            own = slice(ends[i] - used, ends[i])
            yield name, facts, (change[own], true[own]) if scored[i] else None

    def _effect(
        self,
        predictions: Any,
        operation: str,
        condition: NDArray[np.int64],
        columns: NDArray[np.int64],
        scored: NDArray[np.bool_],
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], List[List[str]]]:
        """Return the predicted change of every chosen target, which conditions switch to the difference, and notes."""
        n = len(scored)
        place, following = _first_targets(condition, scored)
        groups = np.concatenate([condition, following, n + condition])
        order = np.argsort(groups, kind="stable")
        sums = np.empty(len(groups))
        sums[order] = group_sums(
            predictions, self._weights, groups[order], np.concatenate([columns, columns[place], columns])[order]
        )
        total = self._total[condition]
        treated, control = sums[: len(condition)] / total, sums[-len(condition) :] / total
        others = sums[len(condition) : len(condition) + len(place)] / self._total[following]
        most = np.maximum(total[place], self._total[following])
        alike = len(place) > 0 and bool((np.abs(treated[place] - others) <= _noise(treated[place], others, most)).all())
        notes = self._notes(condition, treated, control, alike, scored)
        noise = _noise(treated, control, total)
        if getattr(predictions, "dtype", None) == np.float32:  # a mean of cells that is a prediction was rounded to it
            single = 4 * np.finfo(np.float32).eps * np.sqrt(total) * np.maximum(np.abs(treated), np.abs(control))
            noise = np.maximum(noise, single)
        treated = np.where(np.abs(treated - control) <= noise, control, treated)
        change = treated - control
        switched = np.zeros(n, dtype=bool)
        if operation == "ratio":
            switched[condition[(treated <= 0) | (control <= 0)]] = True
            ratio = ~switched[condition]
            change[ratio] = np.log((treated[ratio] + EPSILON) / (control[ratio] + EPSILON))
        return change, switched, notes

    def _notes(
        self,
        condition: NDArray[np.int64],
        treated: NDArray[np.float64],
        control: NDArray[np.float64],
        alike: bool,
        scored: NDArray[np.bool_],
    ) -> List[List[str]]:
        """Say which conditions get their score from one side alone, or from what all of them share (`alike`)."""
        flat_treated, flat_control = (self._flat(condition, side, len(scored)) for side in (treated, control))
        notes: List[List[str]] = [[] for _ in scored]
        for i in np.flatnonzero(scored & ~(flat_treated & flat_control)).tolist():
            if flat_treated[i] or flat_control[i]:
                notes[i].append(_FLAT_TREATED if flat_treated[i] else _FLAT_CONTROL)
            elif alike:
                notes[i].append(_ALIKE)
        return notes

    def _flat(self, condition: NDArray[np.int64], means: NDArray[np.float64], n: int) -> NDArray[np.bool_]:
        """Tell which conditions have one mean for all their target genes."""
        least, most = np.full(n, np.inf), np.full(n, -np.inf)
        np.minimum.at(least, condition, means)
        np.maximum.at(most, condition, means)
        known = np.isfinite(least)
        flat = np.zeros(n, dtype=bool)
        flat[known] = most[known] - least[known] <= _noise(least[known], most[known], self._total[known])
        return flat

    def _unpaired(self, i: int) -> str:
        """Say why a condition has no pair among the predictions."""
        treated, controls = self._treated_predicted[i], self._controls_predicted[i]
        if treated and not controls:
            return (
                "none of its control cells is among the predictions; give the predictions a row for each control cell "
                "too, in the same units"
            )
        if controls and not treated:
            return "none of its treated cells is among the predictions"
        return "none of its pairs of a treated cell and a control is among the predictions"


def _noise(a: NDArray[np.float64], b: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what rounding alone can tell apart in means over cells: ranking that would score noise."""
    found: NDArray[np.float64] = 8 * np.finfo(np.float64).eps * cells * np.maximum(np.abs(a), np.abs(b))
    return found


def _first_targets(
    condition: NDArray[np.int64], scored: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of the first targets of each condition, and the scored condition after it; none of one alone.

    If every condition's cells are predicted as the next one's, all are predicted alike.
    """
    several = np.flatnonzero(scored)
    if len(several) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    after = np.zeros(len(scored), dtype=np.int64)
    after[several] = np.roll(several, -1)
    starts = np.searchsorted(condition, condition)
    place = np.flatnonzero(np.arange(len(condition)) - starts < _COMPARED)
    return place, after[condition[place]]


class _Pairs:
    """The treated cells of a condition, their controls one after the other, and how many each has (None: one)."""

    __slots__ = ("cells", "controls", "sizes")

    def __init__(self, cells: List[str], controls: List[str], sizes: Optional[List[int]]) -> None:
        self.cells, self.controls, self.sizes = cells, controls, sizes


def _control_pairs(uns: Any) -> Dict[str, _Pairs]:
    """Return the controls of every treated cell, by condition."""
    where = "adata.uns['control_cells_map']"
    found: Dict[str, _Pairs] = {}
    for condition, pairs in _mapping(uns, "control_cells_map").items():
        if not isinstance(pairs, dict):
            raise InputError(
                f"{where}[{condition!r}] must map each treated cell to its control, got {_check.kind_of(pairs)}."
            )
        cells = list(map(as_text, pairs))
        if set(map(type, pairs.values())) <= {str}:
            found[condition] = _Pairs(cells, list(pairs.values()), None)
            continue
        mapped = [
            [as_text(one)] if isinstance(one, (str, bytes)) else _names(one, f"{where}[{condition!r}][{cell!r}]")
            for cell, one in pairs.items()
        ]
        found[condition] = _Pairs(cells, list(chain.from_iterable(mapped)), [len(one) for one in mapped])
    return found


def _true_changes(
    uns: Any,
    conditions: List[str],
    genes: Mapping[str, int],
    of_target: NDArray[np.int64],
    gene: NDArray[np.int64],
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return for each target, a condition and a gene, whether the table has it once, and its true change."""
    metric = as_text(uns.get("metric_column", "logfoldchange"))
    config = uns.get("config") if isinstance(uns.get("config"), dict) else {}
    condition_key = as_text(config.get("condition_key", "condition"))
    gene_key = as_text(config.get("de_gene_col", "gene_id"))
    table = uns.get("de_results")
    if not isinstance(table, pd.DataFrame):
        raise InputError(
            "adata.uns['de_results'] is required and must be a DataFrame; "
            "load the data with SingleCellPerturbationDataset."
        )
    for column in (condition_key, gene_key, metric):
        if column not in table.columns:
            raise InputError(
                _check.unknown("Column", column, map(str, table.columns), "is not in adata.uns['de_results']")
            )
    try:
        values = table[metric].astype(np.float64).to_numpy()
    except (ValueError, TypeError):
        raise InputError(f"adata.uns['de_results'][{metric!r}] must hold numbers.") from None
    row_condition = _coded(table[condition_key], {name: i for i, name in enumerate(conditions)})
    row_gene = _coded(table[gene_key], genes)
    rows = np.flatnonzero((row_condition >= 0) & (row_gene >= 0))
    keys = row_condition[rows] * len(genes) + row_gene[rows]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    wanted = of_target * len(genes) + gene
    first = np.searchsorted(keys, wanted)
    once = np.searchsorted(keys, wanted, side="right") - first == 1
    true = np.full(len(wanted), np.nan)
    true[once] = values[rows[order[first[once]]]]
    return once, true


def _coded(column: pd.Series[Any], number: Mapping[str, int]) -> NDArray[np.int64]:
    """Return the number of each entry's name; -1 for others and for missing ones."""
    codes, distinct = pd.factorize(column)
    return np.append(_looked_up(number, map(as_text, distinct)), -1)[codes]


def _looked_up(number: Mapping[str, int], names: Iterable[str]) -> NDArray[np.int64]:
    """Return the number of each name; -1 for unknown ones."""
    return np.fromiter(map(number.get, names, repeat(-1)), np.int64)


def _mapping(uns: Any, key: str) -> Dict[str, Any]:
    found = uns.get(key)
    if isinstance(found, (str, bytes)):  # h5ad cannot hold names with a slash as keys, so they are stored as JSON
        try:
            found = json.loads(found)
        except ValueError:
            found = None
    if not isinstance(found, dict):
        raise InputError(
            f"adata.uns[{key!r}] is required and must be a dict; load the data with SingleCellPerturbationDataset, on "
            'the command line by -u \'{"dataset_class": "SingleCellPerturbationDataset", "organism": …, "path": …}\'.'
        )
    return {as_text(name): value for name, value in found.items()}


def _names(value: Any, where: str) -> List[str]:
    if not isinstance(value, (list, tuple, np.ndarray, pd.Index, pd.Series)):
        raise InputError(f"{where} must be a list of names, got {value!r}.")
    return list(map(as_text, value))


def _positions(names: pd.Index, given: Optional[pd.Index], size: int, name: str, what: str) -> Dict[str, int]:
    """Return the row (or column) of the predictions that holds each name of the data."""
    own = given is None
    if given is None:
        if len(names) != size:
            raise InputError(
                f"Predictions must match adata shape (n_obs, n_vars) when no indices are provided: expected "
                f"{len(names):,} {what}, got {size:,}; name them in `{name}`."
            )
        given = names
    elif len(given) != size:
        raise InputError(f"`{name}` must name every one of the predictions' {size:,} {what}, got {len(given):,} names.")
    names, given = as_names(names), as_names(given)
    if not given.is_unique:
        twice = given[given.duplicated()].unique()
        raise InputError(f"adata must name its {what} uniquely, got {_check.listing(twice)} more than once.")
    missing = given[:0] if own else given[~given.isin(names)]
    if len(missing):
        raise InputError(
            f"`{name}` must hold names of adata only, got {len(missing):,} unknown {what}: {_check.listing(missing)}."
        )
    return dict(zip(given, range(size), strict=True))
