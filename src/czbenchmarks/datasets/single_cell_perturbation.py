"""Single cells under perturbations, their control cells, and the genes a model must predict."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks import _check
from czbenchmarks._check.text import as_text
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.exceptions import InputError, InputTypeError

from . import control_cells
from .single_cell import SingleCellDataset
from .target_genes import check_sampling, de_table, number, redraw, sample_de_genes
from .types import Organism

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

logger = logging.getLogger(__name__)

_CONTROLS = "control_cells_map must name control cells"


class SingleCellPerturbationDataset(SingleCellDataset):
    """Perturbed and control cells, with differential expression and the controls of every treated cell.

    The file holds in ``adata.uns`` the table ``de_results_wilcoxon`` and ``control_cells_map``: condition to
    treated cell to one control cell or several, or condition to its control cells. HDF5 cannot hold a name
    with ``/`` as a key, so the map may also be a JSON text. After `load_data`, ``adata.uns`` also holds
    ``de_results`` (the rows that pass the thresholds), ``metric_column``, ``target_conditions_dict``,
    ``random_seed`` and ``config``.

    Parameters
    ----------
    path
        An ``.h5ad`` file.
    organism
        An `Organism` or its name.
    condition_key
        Column of conditions, in ``adata.obs`` and in the table.
    control_name
        The condition of control cells.
    de_gene_col, de_metric_col, de_pval_col
        Columns of the table: gene (or else ``gene_id``), effect, adjusted p-value.
    percent_genes_to_mask, min_de_genes_to_mask, random_seed
        How target genes are drawn, see `sample_de_genes`.
    pval_threshold, min_logfoldchange
        Rows with a smaller p-value and at least this absolute effect are kept.
    task_inputs_dir
        Folder for `store_task_inputs`.
    target_conditions_override
        Condition to target genes, instead of drawing them.
    """

    UNS_DE_RESULTS_KEY = "de_results"
    UNS_CONTROL_MAP_KEY = "control_cells_map"
    UNS_TARGET_GENES_KEY = "target_conditions_dict"
    UNS_METRIC_COL_KEY = "metric_column"
    UNS_CONFIG_KEY = "config"
    UNS_RANDOM_SEED_KEY = "random_seed"

    def __init__(
        self,
        path: str | Path,
        organism: Organism | str,
        condition_key: str = "condition",
        control_name: str = "ctrl",
        de_gene_col: str = "gene",
        de_metric_col: str = "logfoldchange",
        de_pval_col: str = "pval_adj",
        percent_genes_to_mask: float = 0.5,
        min_de_genes_to_mask: int = 5,
        pval_threshold: float = 1e-4,
        min_logfoldchange: float = 1.0,
        task_inputs_dir: Path | None = None,
        random_seed: int = RANDOM_SEED,
        target_conditions_override: dict[str, list[str]] | None = None,
    ):
        super().__init__("single_cell_perturbation", path, organism, task_inputs_dir)
        self.random_seed = random_seed
        self.condition_key = condition_key
        self.control_name = control_name
        self.deg_test_name = "wilcoxon"
        self.de_gene_col = de_gene_col
        self.de_metric_col = de_metric_col
        self.de_pval_col = de_pval_col
        self.target_conditions_override = target_conditions_override
        self.percent_genes_to_mask = percent_genes_to_mask
        self.min_de_genes_to_mask = min_de_genes_to_mask
        self.pval_threshold = pval_threshold
        self.min_logfoldchange = min_logfoldchange

    def load_data(self) -> None:  # type: ignore[override]  # the published signature: always read into memory
        """Read the file, keep the significant genes, draw the targets and check the controls."""
        check_sampling(self.percent_genes_to_mask, self.min_de_genes_to_mask, self.random_seed)
        number(self.pval_threshold, "pval_threshold")
        number(self.min_logfoldchange, "min_logfoldchange")
        super().load_data()
        self.draw_target_genes()
        self._validate_uns_for_task(self.adata)

    def draw_target_genes(self) -> None:
        """Keep the significant genes of the table and draw the targets, from ``obs`` and ``uns`` of `adata`."""
        self._unique_cells()
        conditions = set(self._conditions().cat.categories)
        if str(self.control_name) not in conditions:
            raise InputError(
                f"Data in condition key {self.condition_key!r} column does not contain control condition "
                f"{self.control_name!r}; name one of {_check.listing(sorted(conditions))} as `control_name`."
            )
        self._populate_task_uns(self.load_and_filter_deg_results())

    def load_and_filter_deg_results(self) -> pd.DataFrame:
        """Return the rows of the table that pass the thresholds, with the columns of the file."""
        key = f"de_results_{self.deg_test_name}"
        table = self._of_its_condition(de_table(self.adata.uns, key))
        for setting, column in (
            ("condition_key", self.condition_key),
            ("de_gene_col", self._gene_column(table)),
            ("de_metric_col", self.de_metric_col),
            ("de_pval_col", self.de_pval_col),
        ):
            if column not in list(table):
                raise InputError(
                    f"{column} column not found in de_results and required for {self.deg_test_name} test: "
                    f"adata.uns[{key!r}] has {_check.listing(table.columns, 12)}; "
                    f"add it, or name another by the data set's `{setting}`."
                )
        for column in (self.de_metric_col, self.de_pval_col):
            if table[column].dtype.kind not in "fiu":
                raise InputTypeError(f"{column} of adata.uns[{key!r}] must hold numbers, got {table[column].dtype}.")
        small = table[self.de_pval_col] < self.pval_threshold
        kept = table[small & (table[self.de_metric_col].abs() >= self.min_logfoldchange)]
        if kept.empty:
            raise InputError(
                f"No differential expression results remain after filtering: of {len(table):,} rows none has "
                f"{self.de_pval_col} < {self.pval_threshold:g} and "
                f"|{self.de_metric_col}| >= {self.min_logfoldchange:g}; check the table and the thresholds."
            )
        strange = set(kept[self.condition_key].astype(str)) - set(self._conditions().cat.categories)
        if strange:
            raise InputError(
                f"de_results[{self.condition_key}] contains conditions not in adata.obs[{self.condition_key}]"
                f": {_check.listing(sorted(strange))}; rename or drop them."
            )
        return kept

    def _of_its_condition(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the table with the condition of its rows: of a single one, scanpy writes no column."""
        perturbed = [name for name in self._conditions().cat.categories if name != str(self.control_name)]
        if self.condition_key in table or len(perturbed) != 1:
            return table
        return table.assign(**{self.condition_key: perturbed[0]})

    def _gene_column(self, table: pd.DataFrame) -> str:
        renamed = self.de_gene_col not in table and "gene_id" in table
        return "gene_id" if renamed else self.de_gene_col

    def _populate_task_uns(self, de_results_df: pd.DataFrame) -> None:
        """Write what the task reads into ``adata.uns``."""
        import pandas as pd

        source = [self.condition_key, self._gene_column(de_results_df), self.de_metric_col]
        names = [self.condition_key, "gene_id", self.de_metric_col]
        results = pd.DataFrame({new: de_results_df[old] for new, old in zip(names, source, strict=True)})
        settings = ("pval_threshold", "min_logfoldchange", "percent_genes_to_mask", "min_de_genes_to_mask")
        if self.target_conditions_override is None:
            targets = sample_de_genes(
                results,
                self.percent_genes_to_mask,
                self.min_de_genes_to_mask,
                self.condition_key,
                "gene_id",
                self.random_seed,
            )
            logger.info("Target genes drawn for %d of %d conditions.", len(targets), results[names[0]].nunique())
        else:
            targets = self._checked_targets(self.target_conditions_override)
        self.target_conditions_dict = targets
        self.adata.uns.update(
            {
                self.UNS_DE_RESULTS_KEY: results,
                self.UNS_METRIC_COL_KEY: self.de_metric_col,
                self.UNS_TARGET_GENES_KEY: targets,
                self.UNS_RANDOM_SEED_KEY: self.random_seed,
                self.UNS_CONFIG_KEY: {
                    "condition_key": self.condition_key,
                    "control_name": self.control_name,
                    "de_gene_col": "gene_id",
                    "de_metric_col": self.de_metric_col,
                    "de_pval_col": self.de_pval_col,
                    **{name: getattr(self, name) for name in settings},
                },
            }
        )

    def _checked_targets(self, targets: Any) -> dict[str, list[str]]:
        name = "target_conditions_override"
        if not isinstance(targets, Mapping):
            raise InputTypeError(f"`{name}` must map conditions to genes, got {_check.kind_of(targets)}.")
        known = set(self._conditions().cat.categories)
        for condition in targets:
            if as_text(condition) not in known:
                raise InputError(_check.unknown("Condition", condition, known, f"of `{name}` is not in the data"))
        return {
            as_text(condition): control_cells.texts(genes, f"{name}[{condition!r}]")
            for condition, genes in targets.items()
        }

    def _validate_uns_for_task(self, adata: AnnData) -> None:
        """Refuse a missing or malformed control map or one with unknown cells; parse JSON text."""
        raw = control_cells.read(adata.uns)
        mapping = self._normalize_control_mapping(raw)
        self._known_controls(mapping)
        self.control_cells_ids = raw if control_cells.one_to_one(raw) else mapping
        adata.uns[self.UNS_CONTROL_MAP_KEY] = self.control_cells_ids

    @property
    def metric_column(self) -> str:
        """The effect column of `de_results`."""
        return str(self.adata.uns[self.UNS_METRIC_COL_KEY])

    @property
    def de_results(self) -> pd.DataFrame:
        """Condition, ``gene_id`` and effect of every row that passed the thresholds."""
        table: pd.DataFrame = self.adata.uns[self.UNS_DE_RESULTS_KEY]
        return table

    @property
    def control_mapping(self) -> dict[str, dict[str, list[str]]]:
        """Condition to treated cell to its control cells."""
        return self._normalize_control_mapping(control_cells.read(self.adata.uns))

    @property
    def target_genes(self) -> dict[str, list[str]]:
        """Condition to the genes a model must predict."""
        targets: dict[str, list[str]] = self.adata.uns[self.UNS_TARGET_GENES_KEY]
        return targets

    def set_control_mapping(self, raw_mapping: dict[str, Any]) -> None:
        """Replace the control map.

        Parameters
        ----------
        raw_mapping
            Condition to treated cell to one control cell or several, or condition to the control cells that
            all its cells share.
        """
        mapping = self._normalize_control_mapping(raw_mapping)
        self._known_controls(mapping)
        self.adata.uns[self.UNS_CONTROL_MAP_KEY] = mapping

    def _normalize_control_mapping(self, raw_mapping: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
        raw = control_cells.mapping(raw_mapping)
        by_condition = functools.cache(self._cells_by_condition)  # once, and only if a condition lists controls
        return {
            as_text(condition): control_cells.cells_of(condition, cells, lambda one: by_condition().get(one, []))
            for condition, cells in raw.items()
        }

    def _cells_by_condition(self) -> dict[str, list[str]]:
        names = self.adata.obs_names.to_series()
        return {
            as_text(condition): list(cells) for condition, cells in names.groupby(self._conditions(), observed=True)
        }

    def _known_controls(self, mapping: dict[str, dict[str, list[str]]]) -> None:
        found = sorted({control for cells in mapping.values() for control in control_cells.union(cells)})
        control_cells.positions(self.adata.obs_names, found, _CONTROLS)

    def _conditions(self) -> pd.Series[Any]:
        """Return the condition of every cell as a category of text, every category in use."""
        column = self._column(self.condition_key, "Condition key", "not found in adata.obs")
        return column.astype("category").cat.remove_unused_categories().cat.rename_categories(as_text)

    def _cells(self, condition: str) -> list[str]:
        return [str(cell) for cell in self.adata.obs_names[self._conditions() == condition]]

    def get_controls(self, condition: str, treated_barcode: str | None = None) -> list[str]:
        """Return the control cells of a condition, sorted, or those of one treated cell, as mapped.

        A cell that the map does not name has all control cells of its condition.
        """
        cells = self._controls_by_cell(condition)
        if treated_barcode in cells:
            return cells[treated_barcode]
        return control_cells.union(cells)

    def _controls_by_cell(self, condition: str) -> dict[str, list[str]]:
        raw = control_cells.read(self.adata.uns)
        if condition not in raw:
            raise InputError(f"Condition {condition} not found in control mapping; it has {_check.listing(raw)}.")
        return control_cells.cells_of(condition, raw[condition], self._cells)

    def get_indices_for(
        self, condition: str, treated_barcodes: list[str] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of treated cells, and of their control cells sorted by name, each once.

        Parameters
        ----------
        condition
            A condition of the control map.
        treated_barcodes
            Treated cells; by default all cells of the condition.
        """
        cells = self._controls_by_cell(condition)
        if treated_barcodes is None:
            treated = self._cells(condition)
        else:
            treated = control_cells.texts(treated_barcodes, "treated_barcodes")
        # A cell that the map does not name has all controls.
        if all(cell in cells for cell in treated):
            cells = {cell: cells[cell] for cell in treated}
        names = self.adata.obs_names
        rows = control_cells.positions(names, treated, "`treated_barcodes` must be cells")
        return rows, control_cells.positions(names, control_cells.union(cells), _CONTROLS)

    def store_task_inputs(self) -> Path:
        """Write ``perturbation_task_inputs.h5ad``, the loaded data, and return its folder."""
        adata = self.adata
        uns = dict(adata.uns)
        for key in (self.UNS_CONTROL_MAP_KEY, self.UNS_TARGET_GENES_KEY):
            if control_cells.has_slash(uns.get(key)):
                uns[key] = json.dumps(uns[key], default=list)
        # Writing turns text columns into categories, so it is given a copy.
        self._write("perturbation_task_inputs.h5ad", with_uns(adata, uns).write_h5ad)
        return self.task_inputs_dir

    def _validate(self) -> None:
        super()._validate()
        self._conditions()
        self._validate_uns_for_task(self.adata)


def with_uns(adata: AnnData, uns: Mapping[str, Any]) -> AnnData:
    """Return the data with another ``uns``; the arrays are shared."""
    from anndata import AnnData

    found = AnnData(
        adata.X,
        adata.obs,
        adata.var,
        dict(uns),
        **{name: dict(getattr(adata, name)) for name in ("obsm", "varm", "layers", "obsp", "varp")},
    )
    if adata.raw is not None:
        found.raw = adata.raw.to_adata()
    return found


def data_under_seeds(source: Any, adata: AnnData) -> Callable[[int], AnnData] | None:
    """Return what gives the data with the target genes of a seed; None if no seed reaches them."""
    if not isinstance(source, SingleCellPerturbationDataset) or redraw(adata.uns, 0) is None:
        return None
    return lambda seed: with_uns(adata, {**adata.uns, "target_conditions_dict": redraw(adata.uns, seed)})
