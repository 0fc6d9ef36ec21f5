"""Neighbours that the data hold: read alone, of one embedding, and of all its cells."""

import re
import warnings

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr

from czbenchmarks import evaluate
from czbenchmarks.datasets import SingleCellLabeledDataset
from czbenchmarks.datasets.types import Organism
from czbenchmarks.kernels.neighbors import exact_neighbors
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.results import RunRecord

N, D = 260, 6
TASKS = {"clustering": {}, "sequential_organization": {"labels": "time", "k": 9}}


def distances(X, k):
    """As scanpy writes them: k - 1 others for every cell."""
    found = exact_neighbors(X, k)
    indptr = np.arange(0, len(X) * (k - 1) + 1, k - 1)
    return sp.csr_matrix((found.distances[:, 1:].ravel(), found.indices[:, 1:].ravel(), indptr), shape=(len(X), len(X)))


@pytest.fixture(scope="module")
def adata():
    rng = np.random.default_rng(0)
    times = rng.integers(0, 4, N)
    X = (rng.normal(size=(4, D))[times] + rng.normal(size=(N, D))).astype("f4")
    return ad.AnnData(
        X=sp.csr_matrix((N, 3), dtype="f4"),
        obs=pd.DataFrame(
            {"cell_type": pd.Categorical(times.astype(str)), "time": times, "batch": rng.choice(["a", "b"], N)},
            index=[f"cell{i}" for i in range(N)],
        ),
        obsm={"X_model": X},
        obsp={
            "distances": distances(X, 15),
            "many": distances(X, 201),
            "others": distances(rng.normal(size=(N, D)), 15),
            "connectivities": sp.identity(N, format="csr"),
            "full": np.zeros((N, N)),
        },
    )


@pytest.fixture(scope="module")
def folder(adata, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    adata.write_h5ad(folder / "cells.h5ad")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the format's future
        adata.write_zarr(folder / "cells.zarr")
    return folder


def values(record):
    return [(score.task, score.metric_type, score.value) for score in record.result_metrics]


@pytest.mark.parametrize("form", ["memory", "backed", "h5ad", "zarr", "unloaded"])
def test_given_neighbours_are_those_of_a_search(adata, folder, form):
    data = {
        "memory": adata,
        "backed": ad.read_h5ad(folder / "cells.h5ad", backed="r"),
        "h5ad": folder / "cells.h5ad",
        "zarr": folder / "cells.zarr",
        "unloaded": SingleCellLabeledDataset(
            path=folder / "cells.h5ad", label_column_key="cell_type", organism=Organism.HUMAN
        ),
    }[form]
    before = {key: adata.obsp[key].copy() for key in adata.obsp}
    searched = evaluate("@obsm:X_model", data, TASKS)
    given = evaluate("@obsm:X_model", data, TASKS, neighbors="@obsp:distances")
    assert values(given) == values(searched)
    assert values(evaluate("@obsm:X_model", data, TASKS, neighbors="@0:obsp:distances")) == values(searched)
    others = evaluate("@obsm:X_model", data, TASKS, neighbors="@obsp:others")
    assert not [text for text in given.warnings if "obsp" in text]
    assert [re.sub(r"\(2.. of 260", "(all of 260", text) for text in others.warnings if "obsp" in text] == [
        "@obsp:others holds other distances than @obsm:X_model has (all of 260 pairs of cells differ), "
        "so its neighbours may be those of another embedding"
    ]
    for mine, yours in zip(values(others), values(searched), strict=True):  # the silhouette has no neighbours
        assert (mine == yours) == (mine[1] == "silhouette_score")
    for key, value in before.items():
        assert (adata.obsp[key] != value).sum() == 0


def test_no_search_is_made_and_no_other_matrix_read(adata, tmp_path, monkeypatch):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        del file["X"], file["obsp/many/data"]
    monkeypatch.setattr("czbenchmarks.kernels.representation.exact_neighbors", None)
    record = evaluate("@obsm:X_model", tmp_path / "cells.h5ad", "clustering", neighbors="@obsp:distances")
    assert record.complete


def test_the_record_says_where_neighbours_came_from(adata, tmp_path):
    for neighbors in ("auto", "exact", "@obsp:distances"):
        record = evaluate("@obsm:X_model", adata, "clustering", neighbors=neighbors)
        assert record.run_specification.neighbors == neighbors
        assert RunRecord.read(record.write(tmp_path / "record.json")) == record
    content = record.to_dict()
    del content["run_specification"]["neighbors"]  # as before there was a choice
    assert RunRecord.model_validate(content).run_specification.neighbors == "exact"


def test_the_scores_say_that_neighbours_were_given(adata):
    record = evaluate("@obsm:X_model", adata, ["batch_integration", "clustering"], neighbors="@obsp:many")
    details = {score.metric_type: score.details for score in record.result_metrics}
    assert details["entropy_per_cell"]["neighbors"] == "given"
    assert "neighbors" not in (details["batch_silhouette"] or {})


def test_the_baseline_has_neighbours_of_its_own():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(120, 3))
    data = ad.AnnData(
        X=rng.poisson(3.0, (120, 150)).astype("f4"),
        obs=pd.DataFrame({"cell_type": list("abc") * 40}, index=[f"c{i}" for i in range(120)]),
        obsm={"m": X},
    )
    data.obsp["d"] = distances(X, 15)
    options = {"baseline": True, "baseline_n_top_genes": 100, "baseline_n_pcs": 5}
    given = evaluate("@obsm:m", data, "clustering", neighbors="@obsp:d", **options)
    assert values(given) == values(evaluate("@obsm:m", data, "clustering", **options))


def test_exact_neighbours_may_be_asked_for(adata, searches):
    expected = values(evaluate("@obsm:X_model", adata, TASKS))
    searches.clear()
    assert values(evaluate("@obsm:X_model", adata, TASKS, neighbors="exact")) == expected
    assert searches == [15]


@pytest.mark.parametrize("asked", ["auto", "exact", "approximate"])
def test_the_search_asked_for_is_made_whatever_is_scored(adata, monkeypatch, asked):
    made = []

    def noted(self, k):
        made.append(self.search)
        return exact_neighbors(self.array, k)

    monkeypatch.setattr(Representation, "_found", noted)
    evaluate("@obsm:X_model", adata, TASKS, neighbors=asked)
    some = pd.DataFrame(adata.obsm["X_model"], index=adata.obs_names).iloc[:200]
    evaluate(some, adata, "clustering", allow_missing_cells=True, neighbors=asked)
    two = {"tasks": "cross_species_integration", "organisms": ["human", "mouse"]}
    evaluate(["@obsm:X_model"] * 2, [adata, adata], **two, neighbors=asked)
    assert made == [asked] * 3


def test_a_representation_of_the_callers_keeps_its_own_search(adata, monkeypatch):
    made = []

    def noted(self, k):
        made.append(self.search)
        return exact_neighbors(self.array, k)

    monkeypatch.setattr(Representation, "_found", noted)
    mine = Representation(adata.obsm["X_model"], search="approximate")
    evaluate(mine, adata, "clustering")
    evaluate(mine, adata, "clustering", neighbors="exact")
    assert made == ["approximate", "exact"]
    assert (mine.search, mine.max_neighbors) == ("approximate", 0)


@pytest.fixture
def searches(monkeypatch):
    from czbenchmarks.kernels import representation

    asked, search = [], representation.exact_neighbors
    monkeypatch.setattr(representation, "exact_neighbors", lambda X, k: asked.append(k) or search(X, k))
    return asked


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            {"tasks": "batch_integration"},
            "`neighbors` must hold 201 cells per cell, itself included, got 15; ",
        ),
        ({"neighbors": "@obsp:distance"}, "Key 'distance' is not in obsp. Did you mean 'distances'?"),
        ({"neighbors": "@obsp:connectivities"}, "@obsp:connectivities` must hold distances: finite, at least 0, and 0"),
        ({"neighbors": "@obsp:full"}, "`@obsp:full` must be a sparse matrix of distances, as scanpy.pp.neighbors"),
        ({"neighbors": "@1:obsp:distances"}, "`neighbors` '@1:obsp:distances' is not known."),
        (
            {"embedding": {"a": "@obsm:X_model", "b": np.zeros((N, 2))}},
            "@obsp:distances must be the neighbours of one embedding, got 2 embeddings; score them apart, or leave",
        ),
        (
            {"embedding": None, "baseline": True},
            "@obsp:distances must be the neighbours of one embedding, got no embeddings; name the embedding, or leave",
        ),
        ({"embedding": "@obsp:distances"}, "Reference '@obsp:distances' names pairs of cells, which only `neighbors`"),
        ({"data": pd.DataFrame({"cell_type": list("ab") * 130})}, "is a table of obs and holds no"),
    ],
)
def test_what_cannot_be_used_is_refused(adata, call, sentence):
    given = {"embedding": "@obsm:X_model", "data": adata, "tasks": "clustering", "neighbors": "@obsp:distances"} | call
    if isinstance(given["data"], pd.DataFrame):
        given["embedding"] = adata.obsm["X_model"]
    with pytest.raises((ValueError, TypeError), match=re.escape(sentence)) as caught:
        evaluate(**given)
    assert "\n" not in str(caught.value)


def test_neighbours_of_two_data_sets_are_refused(adata):
    with pytest.raises(ValueError, match="@obsp:distances must be the neighbours of one data set, got 2 data sets; "):
        evaluate(
            ["@obsm:X_model"] * 2,
            [adata, adata],
            "cross_species_integration",
            organisms=["human", "mouse"],
            neighbors="@obsp:distances",
        )


@pytest.mark.parametrize("form", ["memory", "h5ad"])
def test_neighbours_among_more_cells_are_refused(adata, folder, form):
    some = pd.DataFrame(adata.obsm["X_model"], index=adata.obs_names).iloc[:200]
    data = adata if form == "memory" else folder / "cells.h5ad"
    with pytest.raises(ValueError, match=r"@obsp:distances must be of the cells that .* 260 .* for 200 of them"):
        evaluate(some, data, "clustering", allow_missing_cells=True, neighbors="@obsp:distances")
    every = pd.DataFrame(adata.obsm["X_model"], index=adata.obs_names)[::-1]
    assert evaluate(every, data, "clustering", allow_missing_cells=True, neighbors="@obsp:distances").complete


def test_a_damaged_matrix_is_refused(adata, tmp_path):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        file["obsp/distances/indices"][5] = 10**6
    with pytest.raises(ValueError, match=r"`data`.*cells\.h5ad") as caught:
        evaluate("@obsm:X_model", tmp_path / "cells.h5ad", "clustering", neighbors="@obsp:distances")
    assert "\n" not in str(caught.value)


def test_missing_chunks_are_no_zeros(adata, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata.write_zarr(tmp_path / "cells.zarr")
    root = zarr.open_group(str(tmp_path / "cells.zarr"), mode="r")
    for name in ("data", "indices"):
        array = tmp_path / "cells.zarr" / "obsp" / "distances" / name
        assert root[f"obsp/distances/{name}"].shape[0] > 1
        chunk = max((file for file in array.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
        content = chunk.read_bytes()
        chunk.unlink()
        with pytest.raises(ValueError, match=r"chunks? of obsp/distances"):
            evaluate("@obsm:X_model", tmp_path / "cells.zarr", "clustering", neighbors="@obsp:distances")
        assert evaluate("@obsm:X_model", tmp_path / "cells.zarr", "clustering").complete  # of no concern
        chunk.write_bytes(content)
