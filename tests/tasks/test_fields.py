"""What fields hold: said or told from the annotation, and the same input for some of the cells."""

from __future__ import annotations

from typing import Annotated, List, Optional

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from pydantic import Field

from czbenchmarks.datasets import SingleCellPerturbationDataset
from czbenchmarks.datasets.types import Organism
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.tasks import TASK_REGISTRY, TaskInput
from czbenchmarks.tasks.fields import (
    CellIndex,
    Data,
    Genes,
    Index,
    Matrix,
    MatrixLike,
    Metrics,
    PerCell,
    Species,
    Table,
    Value,
    roles_of,
)
from czbenchmarks.tasks.registry import _BUILT_IN
from czbenchmarks.testing import simulate_screen
from czbenchmarks.types import ListLike

KINDS = {
    "batch_integration": {
        "batch_labels": PerCell, "labels": PerCell, "max_cells": Value, "metrics": Metrics, "unintegrated": Matrix,
        "expression": Matrix, "gene_names": Genes, "corrected": Matrix, "pseudotime": PerCell, "organism": Species,
    },
    "clustering": {
        "obs": Table, "input_labels": PerCell, "use_rep": Value, "n_iterations": Value, "flavor": Value,
        "key_added": Value, "metrics": Metrics,
    },
    "cross-species_label_prediction": {
        "labels": PerCell, "organisms": Species, "sample_ids": PerCell, "aggregation_method": Value, "n_folds": Value,
        "engine": Value, "metrics": Metrics,
    },
    "perturbation_expression_prediction": {
        "adata": Data, "pred_effect_operation": Value, "gene_index": Genes, "cell_index": CellIndex,
    },
}  # fmt: skip


@pytest.mark.parametrize("key", KINDS)
def test_parameters_say_what_they_hold(key):
    parameters = TASK_REGISTRY.get_task_info(key).task_params
    assert {name: type(parameter.role) for name, parameter in parameters.items()} == KINDS[key]


def test_fields_that_say_nothing_are_told_by_their_annotation():
    class Plain(TaskInput):
        labels: Annotated[ListLike, Field(description="Labels.")]
        batch_labels: pd.Series
        others: Optional[ListLike] = None
        per_data_set: List[ListLike] = []
        obs: pd.DataFrame
        table: pd.DataFrame
        adata: ad.AnnData
        before: Optional[MatrixLike] = None
        gene_names: Optional[pd.Index] = None
        names: Optional[pd.Index] = None
        organisms: List[Organism] = []
        k: int = 3
        words: List[str] = []

    assert roles_of(Plain.model_fields) == {
        "labels": PerCell("labels", "cell_type"),
        "batch_labels": PerCell("batch", "batch"),
        "others": PerCell(),
        "per_data_set": PerCell(per_data_set=True),
        "obs": Table(),
        "table": Table(of=None),
        "adata": Data(),
        "before": Matrix(),
        "gene_names": Genes(column_of="var"),
        "names": Index(),
        "organisms": Species(per_data_set=True),
        "k": Value(),
        "words": Value(),
    }


N = 150
ROWS = np.sort(np.random.default_rng(9).choice(N, 90, replace=False))


def matrix(i: int = 0, d: int = 6) -> np.ndarray:
    return np.random.default_rng(i).normal(size=(N, d)) + np.arange(N)[:, None] % 3


def case(key):
    """Return embedding and fields of a task, and both for some of the cells."""
    labels, batch = np.array(list("abc"))[np.arange(N) % 3], np.array(["x", "y"])[np.arange(N) // 7 % 2]
    time, names = np.arange(N) % 5, [f"cell{i}" for i in range(N)]
    obs = pd.DataFrame({"cell_type": labels}, index=names)
    series = pd.Series(pd.Categorical(labels), index=names)
    fields = {
        "clustering": ({"obs": obs, "input_labels": series}, {"obs": obs.iloc[ROWS], "input_labels": labels[ROWS]}),
        "embedding": (
            {"input_labels": labels.tolist(), "unintegrated": matrix(1)},
            {"input_labels": labels[ROWS], "unintegrated": matrix(1)[ROWS]},
        ),
        "batch_integration": (
            {"labels": pd.Index(labels), "batch_labels": batch, "unintegrated": sp.csr_matrix(matrix(1)),
             "metrics": ["published", "pcr_comparison"]},
            {"labels": labels[ROWS], "batch_labels": batch[ROWS], "unintegrated": sp.csr_matrix(matrix(1)[ROWS]),
             "metrics": ["published", "pcr_comparison"]},
        ),
        "label_prediction": (
            {"labels": labels, "groups": batch, "n_folds": 2},
            {"labels": labels[ROWS], "groups": batch[ROWS], "n_folds": 2},
        ),
        "sequential_organization": (
            {"obs": obs, "input_labels": time, "k": 5}, {"obs": obs.iloc[ROWS], "input_labels": time[ROWS], "k": 5},
        ),
    }  # fmt: skip
    if key in fields:
        return (matrix(), *fields[key], matrix()[ROWS], ROWS)
    others = np.arange(0, N, 2)
    both = [ROWS, others]
    organisms = [Organism.HUMAN, Organism.MOUSE]
    more = {"organisms": organisms, **({"sample_ids": [batch, time], "aggregation_method": "none", "n_folds": 2}
            if "label" in key else {})}  # fmt: skip
    cut = dict(more)
    if "sample_ids" in cut:
        cut["sample_ids"] = [batch[ROWS], time[others]]
    whole, part = [matrix(), matrix(1)], [matrix()[ROWS], matrix(1)[others]]
    return (
        whole,
        {"labels": [labels, list(labels)], **more},
        {"labels": [labels[ROWS], labels[others]], **cut},
        part,
        both,
    )


@pytest.mark.parametrize("key", [key for key in _BUILT_IN if not key.startswith("perturbation")])
def test_the_input_for_some_cells_scores_as_one_built_from_them(key):
    _, fields, of_some, some, rows = case(key)
    cls = TASK_REGISTRY.get_task_class(key)
    task_input = cls.input_model(**fields)
    expected = cls().run(some, cls.input_model(**of_some))
    found = cls().run(some, task_input.take(rows))
    assert [result.model_dump() for result in found] == [result.model_dump() for result in expected]
    masks = [np.isin(np.arange(N), one) for one in rows] if isinstance(rows, list) else np.isin(np.arange(N), rows)
    assert [r.value for r in cls().run(some, task_input.take(masks))] == [r.value for r in expected]


def test_predictions_of_some_cells_are_named(tmp_path):
    cls = TASK_REGISTRY.get_task_class("perturbation_expression_prediction")
    screen = simulate_screen(n_conditions=2, n_cells_per_condition=20)
    predicted = np.asarray(screen.layers["perfect_prediction"])
    screen.write_h5ad(tmp_path / "screen.h5ad")
    data_set = SingleCellPerturbationDataset(tmp_path / "screen.h5ad", Organism.HUMAN)
    data_set.load_data()
    data = data_set.adata
    whole = cls.input_model(adata=data)
    rows = np.sort(np.random.default_rng(0).choice(data.n_obs, data.n_obs * 3 // 4, replace=False))
    expected = cls().run(predicted[rows], cls.input_model(adata=data[rows].copy()))
    assert cls().run(predicted[rows], whole.take(rows)) == expected
    again = whole.take(rows).take(np.arange(0, len(rows), 2))
    assert again.cell_index.tolist() == data.obs_names[rows[::2]].tolist()


def test_what_is_no_cell_stays():
    cls = TASK_REGISTRY.get_task_class("batch_integration")
    genes = ["g0", "g1"]
    expression = np.arange(2.0 * N).reshape(N, 2)
    task_input = cls.input_model(
        labels=["a", "b"] * (N // 2), batch_labels=["x", "y"] * (N // 2), expression=expression, gene_names=genes,
        organism="human", max_cells=20, pseudotime=pd.Series(np.arange(N)),
    )  # fmt: skip
    task_input._unusable = {"corrected": object()}
    part = task_input.take(ROWS)
    assert (part.gene_names.tolist(), part.organism, part.max_cells, part.corrected) == (
        genes,
        Organism.HUMAN,
        20,
        None,
    )
    assert isinstance(part.expression, Representation)
    np.testing.assert_array_equal(part.expression.array, expression[ROWS])
    assert part.pseudotime.tolist() == ROWS.tolist()
    assert part._unusable == task_input._unusable
