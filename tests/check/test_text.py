"""Text that arrives as bytes is read as UTF-8, wherever it comes in."""

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

from czbenchmarks import _check, evaluate
from czbenchmarks._check.text import as_text, decoded, decoded_table
from czbenchmarks.datasets import SingleCellLabeledDataset
from czbenchmarks.datasets.orthologs import shared_orthologs
from czbenchmarks.datasets.types import Organism
from czbenchmarks.io.dataset import Cells
from czbenchmarks.io.references import look_up

N = 60
KINDS = ["Zelle α", "b"] * (N // 2)


@pytest.fixture
def adata():
    obs = pd.DataFrame({"cell_type": KINDS, "time": np.arange(N)}, index=[f"cell{i}" for i in range(N)])
    X = np.random.default_rng(0).normal(size=(N, 4)) + 3 * (obs[["cell_type"]] == "b").to_numpy()
    return ad.AnnData(X.astype("f4"), obs, pd.DataFrame(index=[f"ENSG{i}" for i in range(4)]), obsm={"X_model": X})


def test_bytes_and_others():
    assert [as_text(value) for value in ("a", "α".encode(), np.bytes_(b"b"), 7)] == ["a", "α", "b", "7"]
    mixed = np.array([b"a", "a", 7, None], dtype=object)
    assert decoded(mixed).tolist() == ["a", "a", 7, None]
    assert decoded(np.array([[b"a", b"bc"]])).tolist() == [["a", "bc"]]
    plain = np.array(["a"], dtype=object)
    assert decoded(plain) is plain


def test_what_is_no_text_is_refused():
    with pytest.raises(ValueError, match=r"^Names and labels must be text in UTF-8, got the bytes b'caf\\xe9'; .*\.$"):
        _check.labels([b"caf\xe9", b"a"], "labels")


def test_a_table_of_bytes():
    table = pd.DataFrame({b"a": [b"x", b"y"], "b": pd.Categorical([b"u", "u"]), "n": [1, 2]}, index=[b"i", b"j"])
    before = table.copy()
    found = decoded_table(table)
    expected = pd.DataFrame({"a": ["x", "y"], "b": pd.Categorical(["u", "u"]), "n": [1, 2]}, index=["i", "j"])
    pd.testing.assert_frame_equal(found, expected)
    pd.testing.assert_frame_equal(table, before)
    assert decoded_table(expected) is expected


@pytest.mark.parametrize("make", [list, np.array, pd.Series, pd.Categorical, pd.Index])
def test_labels_of_bytes(make):
    found = _check.labels(make([kind.encode() for kind in KINDS]), "labels")
    assert found.names.tolist() == ["Zelle α", "b"]
    assert found.codes.tolist() == _check.labels(KINDS, "labels").codes.tolist()


def test_times_of_bytes():
    assert _check.numbers(np.array([b"1", b"2.5"]), "labels").tolist() == [1.0, 2.5]


def test_the_same_cells_as_bytes_and_as_text(adata):
    as_bytes = adata.obs.assign(cell_type=[kind.encode() for kind in KINDS])
    for obs in (
        as_bytes,
        as_bytes.astype({"cell_type": "category"}),
        as_bytes.rename(columns={"cell_type": b"cell_type"}),
    ):
        record = evaluate(
            [adata.obsm["X_model"]] * 2, [obs, adata.obs], "cross-species_label_prediction",
            organisms=["human", "mouse"], aggregation_method="none",
        )  # fmt: skip
        accuracy = [score.value for score in record.result_metrics if score.metric_type == "accuracy"]
        assert min(accuracy) > 0.9


@pytest.mark.filterwarnings("ignore:Transforming to str index")  # anndata, of names in bytes
@pytest.mark.parametrize("encoding", ["array", "string-array"])
@pytest.mark.parametrize("attributes", ["text", "bytes"])
def test_text_of_a_fixed_length_in_a_file(adata, tmp_path, encoding, attributes):
    path = tmp_path / "cells.h5ad"
    adata.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        for where, values in (
            ("obs/_index", adata.obs_names),
            ("obs/cell_type", KINDS),
            ("var/_index", adata.var_names),
        ):
            content = [value.encode() for value in values]
            del file[where]
            file.create_dataset(where, data=content, dtype=h5py.string_dtype("utf-8", max(map(len, content))))
            file[where].attrs.update({"encoding-type": encoding, "encoding-version": "0.2.0"})
        if attributes == "bytes":
            for group in (file["obs"], file["var"]):
                columns = np.array([one.encode() for one in group.attrs["column-order"]] or [], dtype="S9")
                del group.attrs["column-order"], group.attrs["_index"], group.attrs["encoding-type"]
                group.attrs.create("column-order", columns)
                group.attrs.create("_index", b"_index", dtype="S6")
                group.attrs.create("encoding-type", b"dataframe", dtype="S9")
    cells = Cells(path)
    assert cells.names.tolist() == list(adata.obs_names)
    assert cells.columns == ["cell_type", "time"]
    for column in (cells.piece("obs", "cell_type"), cells.piece("obs")["cell_type"], cells.adata.obs["cell_type"]):
        assert column.tolist() == KINDS
    assert look_up(Cells(path), "@var_index").tolist() == list(adata.var_names)
    loaded = SingleCellLabeledDataset(path, Organism.HUMAN)
    loaded.load_data()
    assert loaded.labels.tolist() == KINDS
    table = pd.DataFrame(adata.obsm["X_model"], index=adata.obs_names).iloc[::-1]
    expected = evaluate("@obsm:X_model", adata, "embedding").result_metrics[0].value
    assert evaluate(table, path, "embedding").result_metrics[0].value == pytest.approx(expected, abs=1e-9)


def test_orthologues_in_bytes():
    genes = [f"G{i}" for i in range(100)]
    table = pd.DataFrame({"human_symbol": [g.encode() for g in genes], "mouse_symbol": [g.lower() for g in genes]})
    var = [pd.DataFrame(index=genes), pd.DataFrame(index=[g.lower().encode() for g in genes])]
    assert shared_orthologs(var, ["human", "mouse"], table, "adatas").names.tolist() == genes


def test_the_organism_in_bytes(adata):
    assert Organism(b"human") is Organism.HUMAN
    assert Cells(adata.obs.assign(organism=[b"human"] * N)).organism == "human"
