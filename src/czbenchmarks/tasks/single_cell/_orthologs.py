"""The baseline of tasks on several species: principal components of the counts of the genes that all of them have."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, List, Optional, Union

import numpy as np
from pydantic import Field, ValidationInfo, field_serializer, field_validator

from czbenchmarks import _check
from czbenchmarks._check.addresses import shown
from czbenchmarks.datasets.types import Organism
from czbenchmarks.exceptions import InputError, InputTypeError, NotOfferedError

from ..fields import Value
from ..task import BaselineInput, NoBaselineInput, PCABaselineInput, Task

if TYPE_CHECKING:
    import pandas as pd

    from ..types import CellRepresentation


class OrthologBaselineInput(PCABaselineInput):
    """Input of the baseline of tasks on several species; without `orthologs` they have none."""

    about = "the principal components of the counts of the genes that all species share (variable genes, logged)"
    needs = "orthologs"
    of_all = True

    orthologs: Annotated[
        Any,
        Field(
            description="Table of one-to-one orthologues: 'human-mouse' (comes with the package), or a .csv or .tsv "
            "file with a column per organism (human_symbol, mouse_symbol); without it there is no baseline."
        ),
    ] = None
    # Lists, but not declared so: the established client asks for a baseline wherever one of its fields is a list.
    organisms: Annotated[
        Any,
        Value(hidden=True),
        Field(description="Organism of each data set; by default that of the column 'organism' of obs."),
    ] = None
    gene_names: Annotated[
        Any,
        Value(hidden=True),
        Field(description="Names of the columns of each matrix of counts, where they are not AnnData."),
    ] = None

    def filled(self, task_input: Any) -> OrthologBaselineInput:
        """Return the same with the organisms of the task."""
        organisms = self.organisms or getattr(task_input, "organisms", None)
        return self.model_copy(update={"organisms": organisms})

    @field_validator("organisms", "gene_names", mode="before")
    @classmethod
    def _check_list(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and not isinstance(value, (list, tuple)):
            raise InputTypeError(
                f"`{info.field_name}` must be a list, one entry per data set, got {_check.kind_of(value)}."
            )
        return [Organism(one) for one in value] if value is not None and info.field_name == "organisms" else value

    @field_serializer("orthologs")
    def _say_table(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._say_table(one) for one in value]
        return _digest(value) if hasattr(value, "to_csv") else value if value is None else shown(value)

    @field_serializer("organisms")
    def _say_organisms(self, value: Optional[List[Organism]]) -> Optional[List[str]]:
        return None if value is None else [str(one) for one in value]

    @field_serializer("gene_names")
    def _say_names(self, value: Optional[List[Any]]) -> Optional[List[str]]:
        import pandas as pd

        return None if value is None else [_digest(pd.DataFrame({"gene": list(one)})) for one in value]


@dataclass(frozen=True)
class Expression:
    """Counts of a data set, cells x genes, and the table of its genes."""

    X: Any
    var: pd.DataFrame


class OrthologBaselineTask(Task):
    """A task on several species, whose baseline is made of the orthologues that they share."""

    requires_multiple_datasets = True

    def compute_baseline(  # type: ignore[override]
        self,
        expression_data: Union[List[Any], CellRepresentation],
        baseline_input: Optional[Union[OrthologBaselineInput, NoBaselineInput]] = None,
    ) -> List[Any]:
        """Return the principal components of the orthologues that all data sets have, computed on all cells together.

        The workflow is that of the other tasks: equal totals of the cells, logarithm, variable genes, components.
        Nothing is done per species.

        Parameters
        ----------
        expression_data
            Counts, one entry per data set: AnnData; DataFrames of cells x genes; or matrices, with `gene_names` in
            the input. Nothing is changed.
        baseline_input
            The table of orthologues, and the numbers of genes and components.

        Returns
        -------
        One array per data set, cells x components.

        Raises
        ------
        NotImplementedError
            Without a table of orthologues.
        ValueError, TypeError
            One sentence, if the data or the table cannot be used.
        """
        from ..utils import default_baseline

        if baseline_input is not None and not isinstance(baseline_input, BaselineInput):
            raise InputTypeError(
                f"`baseline_input` must be an OrthologBaselineInput, got {_check.kind_of(baseline_input)}."
            )
        if not isinstance(baseline_input, OrthologBaselineInput) or baseline_input.orthologs is None:
            raise NotOfferedError(
                f"Baseline not implemented for {self.display_name.lower()} without a table of orthologues, since genes "
                'differ between species; pass one with `orthologs` (baseline_orthologs="human-mouse", '
                "--baseline-orthologs human-mouse, or a file)."
            )
        counts, sizes = _joined(expression_data, baseline_input)
        together = default_baseline(counts, baseline_input, self.random_seed)
        return np.split(together, np.cumsum(sizes)[:-1])


def _joined(expression_data: Any, asked: OrthologBaselineInput) -> tuple[Any, List[int]]:
    """Return the counts of the shared orthologues, all cells below each other, and the number of cells of each."""
    from czbenchmarks.datasets.orthologs import organism_of, shared_orthologs
    from czbenchmarks.kernels.stacking import stack_columns

    from ..utils import single_precision

    name = "expression_data"
    if not isinstance(expression_data, (list, tuple)):
        raise InputTypeError(
            f"`{name}` must be a list of AnnData, one per data set, got {_check.kind_of(expression_data)}."
        )
    names = asked.gene_names
    if names is not None and len(names) != len(expression_data):
        raise InputError(
            f"`gene_names` must be one list per data set: expected {len(expression_data)}, got {len(names)}."
        )
    given = [
        _expression(one, None if names is None else names[i], f"{name}[{i}]") for i, one in enumerate(expression_data)
    ]
    matrices = [_check.matrix(single_precision(one.X), f"{name}[{i}]", keep_sparse=True) for i, one in enumerate(given)]
    for i, (matrix, one) in enumerate(zip(matrices, given, strict=True)):
        if matrix.shape[1] != len(one.var):
            raise InputError(
                f"`{name}[{i}]` must have one column per gene: expected {len(one.var):,}, got {matrix.shape[1]:,}."
            )
    organisms = asked.organisms
    if organisms is None:
        organisms = [_organism(one, f"{name}[{i}]", organism_of) for i, one in enumerate(expression_data)]
    shared = shared_orthologs([one.var for one in given], organisms, asked.orthologs, name)
    return stack_columns(matrices, shared.columns), [matrix.shape[0] for matrix in matrices]


def _organism(data: Any, name: str, of: Any) -> Organism:
    if not hasattr(getattr(data, "adata", data), "obs"):
        raise InputError(
            f"The organism of `{name}` must be known, got {_check.kind_of(data)}; name one per data set with "
            "`organisms` of the baseline's input."
        )
    found: Organism = of(data, name)
    return found


def _expression(data: Any, gene_names: Any, name: str) -> Expression:
    """Return counts with the table of their genes."""
    import pandas as pd

    data = getattr(data, "adata", data)
    if hasattr(data, "X") and hasattr(data, "var"):
        if getattr(data, "isbacked", False):
            data = data.to_memory()
        if data.X is None:
            raise InputError(f"`{name}` must hold counts in X, got an AnnData without; put them there.")
        counts, var = data.X, data.var
    else:
        counts, var = data, pd.DataFrame(index=data.columns) if hasattr(data, "columns") else None
    if gene_names is not None:
        var = pd.DataFrame(index=pd.Index(_check.one_dimensional(gene_names, f"gene_names of {name}")))
    if var is None:
        raise InputError(
            f"The genes of `{name}` must be named, got {_check.kind_of(data)}; pass AnnData, or `gene_names` in the "
            "baseline's input."
        )
    return Expression(counts, var)


def _digest(table: pd.DataFrame) -> str:
    """Say which table it was."""
    content = table.to_csv().encode()
    return f"table of {len(table):,} rows (SHA-256 {hashlib.sha256(content).hexdigest()[:12]}…)"
