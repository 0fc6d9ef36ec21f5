"""Single cells with one label each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .single_cell import SingleCellDataset
from .types import Organism

if TYPE_CHECKING:
    import pandas as pd


class SingleCellLabeledDataset(SingleCellDataset):
    """Single cells and a column that labels them; `labels` holds it after `load_data`.

    Parameters
    ----------
    path
        An ``.h5ad`` file.
    organism
        An `Organism` or its name.
    label_column_key
        Column of ``adata.obs``.
    task_inputs_dir
        Folder for `store_task_inputs`.
    """

    labels: pd.Series[Any]

    def __init__(
        self,
        path: str | Path,
        organism: Organism | str,
        label_column_key: str = "cell_type",
        task_inputs_dir: Path | None = None,
    ):
        super().__init__("single_cell_labeled", path, organism, task_inputs_dir)
        self.label_column_key = label_column_key

    def load_data(self) -> None:  # type: ignore[override]  # the published signature: labels are read into memory
        """Read the file into `adata` and its label column into `labels`."""
        super().load_data()
        self.labels = self._column(self.label_column_key)

    def store_task_inputs(self) -> Path:
        """Write ``labels_<column>.json``, one label per cell name, and return its folder."""
        self._unique_cells()
        column = re.sub(r"[/\\]", "_", self.label_column_key)  # a column named a/b is no folder
        self._store_task_input(f"labels_{column}.json", self.labels.to_json())
        return self.task_inputs_dir

    def _validate(self) -> None:
        super()._validate()
        self._column(self.label_column_key)
