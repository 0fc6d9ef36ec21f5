import hashlib
import json

import pandas as pd
import pytest

from czbenchmarks.datasets import Organism, SingleCellLabeledDataset
from czbenchmarks.datasets.single_cell import SingleCellDataset
from czbenchmarks.exceptions import DatasetFileNotFoundError


def test_labels_are_the_column(cells, write):
    data = SingleCellLabeledDataset(write(cells), "human")
    assert data.organism is Organism.HUMAN
    data.load_data()
    data.validate()
    assert data.labels.tolist() == cells.obs["cell_type"].tolist()
    assert data.labels.index.equals(cells.obs_names)


def test_an_organism_set_as_text_is_the_organism(cells, write):
    data = SingleCellLabeledDataset(write(cells), "mouse")
    data.organism = "Homo sapiens"
    data.load_data()
    data.validate()
    assert data.organism is Organism.HUMAN
    with pytest.raises(ValueError, match=r"Organism 'klingon' is not known\. Available: "):
        data.organism = "klingon"
    assert data.organism is Organism.HUMAN


def test_stored_labels_and_an_unchanged_file(cells, write, tmp_path):
    path = write(cells, "a.b.h5ad")
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    data = SingleCellLabeledDataset(path, Organism.HUMAN, "condition")
    data.load_data()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.b.h5ad"]
    folder = data.store_task_inputs()
    assert folder == tmp_path / "a.b_task_inputs" / "single_cell_labeled"
    assert [p.name for p in folder.iterdir()] == ["labels_condition.json"]
    assert json.loads((folder / "labels_condition.json").read_text()) == cells.obs["condition"].to_dict()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_a_chosen_folder_and_a_column_with_a_slash(cells, write, tmp_path):
    data = SingleCellLabeledDataset(write(cells), "human", "condition", task_inputs_dir=tmp_path / "in")
    data.load_data()
    data.label_column_key = "../cell/type"
    assert [p.name for p in data.store_task_inputs().iterdir()] == ["labels_.._cell_type.json"]


def test_a_missing_file_is_both_errors(tmp_path):
    with pytest.raises(DatasetFileNotFoundError, match=r"Dataset path does not exist") as caught:
        SingleCellLabeledDataset(tmp_path / "none.h5ad", "human")
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(TypeError, match=r"`path` must be the path of a local file, got 3"):
        SingleCellLabeledDataset(3, "human")


def test_a_missing_column(cells, write):
    data = SingleCellLabeledDataset(write(cells), "human", "cell_typ")
    with pytest.raises(
        ValueError, match=r"Dataset does not contain 'cell_typ' column in obs\. Did you mean 'cell_type'\?"
    ):
        data.load_data()


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "folder", "hdf5"])
def test_a_damaged_file_gets_one_sentence(cells, write, tmp_path, damage):
    path = tmp_path / "bad.h5ad"
    if damage == "truncated":
        path.write_bytes(write(cells).read_bytes()[:20000])
    elif damage == "text":
        path.write_text("cell,type\n1,a\n")
    elif damage == "empty":
        path.touch()
    elif damage == "folder":
        path.mkdir()
    else:
        import h5py

        with h5py.File(path, "w") as file:
            file.attrs.update({"encoding-type": "anndata", "encoding-version": "9.9.9"})
    with pytest.raises(ValueError, match=r"must be a complete \.h5ad file, got .*; write or") as caught:
        SingleCellLabeledDataset(path, "human").load_data()
    assert "\n" not in str(caught.value)


def test_nothing_is_there_before_loading(cells, write):
    data = SingleCellLabeledDataset(write(cells), "human")
    assert not hasattr(data, "adata")
    with pytest.raises(AttributeError, match=r"no attribute 'labels'; the data are there after `load_data\(\)`"):
        data.labels  # noqa: B018


def test_doubled_cell_names_cannot_be_stored(cells, write):
    cells.obs_names = ["twice", "twice", *cells.obs_names[2:]]
    data = SingleCellLabeledDataset(write(cells), "human")
    with pytest.warns(UserWarning, match=r"not unique"):
        data.load_data()
    with pytest.raises(ValueError, match=r"Cell names must be unique.* got 1 names more than once \(twice\)"):
        data.store_task_inputs()


def test_gene_names_must_fit_the_organism(cells, write):
    data = SingleCellLabeledDataset(write(cells), "mouse")
    data.load_data()
    with pytest.raises(
        ValueError,
        match=r"^Dataset does not contain valid gene names\. Gene names must start with ENSMUSG and be "
        r"stored in either adata\.var_names or adata\.var\['ensembl_id'\]\.$",
    ):
        data.validate()
    data.organism = Organism.YEAST
    data.validate()


def test_ensembl_ids_of_a_column_become_the_gene_names(cells, write):
    ids = cells.var_names.tolist()
    cells.var["ensembl_id"] = ids
    cells.var_names = [f"S{i}" for i in range(60)]
    data = SingleCellLabeledDataset(write(cells), "human")
    data.load_data()
    assert data.adata.var_names[0] == "S0"
    data.validate()
    assert data.adata.var_names.tolist() == ids
    data.adata.var["ensembl_id"] = ["", *ids[1:]]
    data.adata.var_names = [f"S{i}" for i in range(60)]
    with pytest.raises(ValueError, match=r"valid gene names"):
        data.validate()


def test_backed_reading_never_opens_for_writing(cells, write):
    class Plain(SingleCellDataset):
        def store_task_inputs(self):
            return self.task_inputs_dir

    data = Plain("plain", write(cells), "human")
    data.load_data(backed="r")
    assert data.adata.isbacked
    assert data.adata.file._filemode == "r"
    data.adata.file.close()
    with pytest.raises(ValueError, match=r"the data file is never changed, got 'r\+'"):
        data.load_data(backed="r+")


def test_real_cells(shared_data):
    data = SingleCellLabeledDataset(shared_data / "kang_pbmc_two_donors.h5ad", "Homo sapiens")
    data.load_data()
    data.validate()
    assert data.adata.shape == (1556, 1267)
    assert isinstance(data.labels, pd.Series)
    assert data.labels.nunique() == 5
