"""Data sets of single cells in an ``.h5ad`` file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from czbenchmarks import _check
from czbenchmarks._check.text import as_text, decode_tables
from czbenchmarks.exceptions import InputError

from .dataset import Dataset
from .types import Organism

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


class SingleCellDataset(Dataset):
    """Single cells of one organism; `adata` holds them after `load_data`.

    Parameters
    ----------
    dataset_type_name
        Names the folder of task inputs.
    path
        An ``.h5ad`` file or a ``.zarr`` folder.
    organism
        An `Organism` or its name.
    task_inputs_dir
        Folder for `store_task_inputs`.
    """

    adata: AnnData

    def __init__(
        self,
        dataset_type_name: str,
        path: str | Path,
        organism: Organism | str,
        task_inputs_dir: Path | None = None,
    ):
        super().__init__(dataset_type_name, path, organism, task_inputs_dir)

    def load_data(self, backed: Literal["r", "r+"] | bool | None = None) -> None:
        """Read the file into `adata`.

        Parameters
        ----------
        backed
            ``"r"`` or True leaves the expression on disk. ``"r+"`` is refused: it would change the file.
        """
        if backed not in (None, False, True, "r"):
            raise InputError(f"`backed` must be 'r' or None, since the data file is never changed, got {backed!r}.")
        self.adata = _read(self.path, "r" if backed else None)

    def _validate(self) -> None:
        prefix = self.organism.prefix
        names = self.adata.var_names
        if all(str(name).startswith(prefix) for name in names):
            return
        ids = self.adata.var.get("ensembl_id")
        if ids is None or not all(as_text(name).startswith(prefix) for name in ids):
            raise InputError(
                "Dataset does not contain valid gene names. "
                f"Gene names must start with {prefix} and be stored in "
                "either adata.var_names or adata.var['ensembl_id']."
            )
        self.adata.var_names = [as_text(name) for name in ids]

    def _column(
        self, key: str, what: str = "Dataset does not contain", verdict: str = "column in obs"
    ) -> pd.Series[Any]:
        """Return a column of `obs`; without it, `what` and `verdict` enclose its name in the sentence."""
        if not isinstance(key, str) or key not in self.adata.obs:
            raise InputError(_check.unknown(what, key, map(str, self.adata.obs), verdict))
        column: pd.Series[Any] = self.adata.obs[key]
        return column

    def _unique_cells(self) -> None:
        names = self.adata.obs_names
        if not names.is_unique:
            doubled = names[names.duplicated()].unique()
            raise InputError(
                f"Cell names must be unique, since cells are found by name: got {len(doubled):,} names "
                f"more than once ({_check.listing(doubled)}); rename with `adata.obs_names_make_unique()`."
            )


def _read(path: Path, backed: Literal["r"] | None) -> AnnData:
    import anndata

    try:
        zarr = path.suffix == ".zarr"
        adata = anndata.io.read_zarr(path) if zarr else anndata.read_h5ad(path, backed=backed)
        decode_tables(adata)
    except (MemoryError, Warning):
        raise
    except Exception as error:
        # Whatever HDF5 or anndata stumbled over: the file is at fault, and their own words rarely say so.
        kind = ".zarr folder" if path.suffix == ".zarr" else ".h5ad file"
        reason = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"`path` must be a complete {kind}, got {path} which cannot be read "
            f"({type(error).__name__}: {reason}); write or download it again."
        ) from error
    return adata
