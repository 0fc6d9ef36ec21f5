import pytest

from czbenchmarks.datasets import Organism, SingleCellLabeledDataset, load_custom_dataset
from czbenchmarks.exceptions import DatasetFileNotFoundError

LABELED = "czbenchmarks.datasets.SingleCellLabeledDataset"


@pytest.fixture
def kwargs(cells, write):
    return {"_target_": LABELED, "organism": Organism.HUMAN, "path": str(write(cells))}


@pytest.mark.parametrize(
    "target",
    [
        "SingleCellLabeledDataset",
        LABELED,
        "czbenchmarks.datasets.single_cell_labeled.SingleCellLabeledDataset",
    ],
)
def test_a_loaded_data_set_by_any_name_of_its_class(kwargs, target):
    given = {**kwargs, "_target_": target, "organism": "HUMAN", "label_column_key": "condition"}
    data = load_custom_dataset("mine", custom_dataset_kwargs=given)
    assert type(data) is SingleCellLabeledDataset
    assert data.organism is Organism.HUMAN
    assert data.labels.value_counts()["ctrl"] == 20
    assert given["_target_"] == target


def test_the_other_class(kwargs):
    given = {**kwargs, "_target_": "SingleCellPerturbationDataset", "min_de_genes_to_mask": 9}
    assert list(load_custom_dataset("mine", None, given).target_genes) == ["p2", "p1"]


def test_a_subclass_is_known_once_defined(kwargs):
    class OwnDataset(SingleCellLabeledDataset):
        pass

    for target in ("OwnDataset", f"{__name__}.{OwnDataset.__qualname__}"):
        assert type(load_custom_dataset("mine", None, {**kwargs, "_target_": target})) is OwnDataset


def test_a_namesake_does_not_replace_ours(kwargs):
    namesake = type("SingleCellLabeledDataset", (SingleCellLabeledDataset,), {"__module__": "elsewhere"})
    given = {**kwargs, "_target_": "SingleCellLabeledDataset"}
    assert type(load_custom_dataset("mine", None, given)) is SingleCellLabeledDataset
    given["_target_"] = "elsewhere.SingleCellLabeledDataset"
    assert type(load_custom_dataset("mine", None, given)) is namesake


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"_target_": "os.system"}, ValueError, "`_target_` 'os.system' is not a data set class"),
        ({"_target_": "Dataset"}, ValueError, "`_target_` 'Dataset' is not a data set class"),
        ({"_target_": LABELED + "s"}, ValueError, f"Did you mean '{LABELED}'"),
        ({"_target_": ["os"]}, ValueError, "is not a data set class"),
        ({"_target_": None}, ValueError, "must name its class as `_target_`, got none"),
        ({"path": None}, ValueError, "Path required but not found in resolved configuration"),
        ({"path": "/no/such.h5ad"}, FileNotFoundError, "Local dataset file not found at path: /no/such.h5ad"),
        ({"organism": "humn"}, ValueError, "Did you mean 'human'"),
        ({"zz": 3}, TypeError, "SingleCellLabeledDataset must get .* unexpected keyword argument 'zz'"),
    ],
)
def test_bad_arguments(kwargs, change, error, words):
    with pytest.raises(error, match=words) as caught:
        load_custom_dataset("mine", custom_dataset_kwargs={**kwargs, **change})
    assert "\n" not in str(caught.value)


def test_nothing_given():
    with pytest.raises(ValueError, match=r"'mine' must name its class as `_target_`, got none"):
        load_custom_dataset("mine")
    with pytest.raises(TypeError, match=r"`custom_dataset_kwargs` must be a dict of arguments, got list"):
        load_custom_dataset("mine", custom_dataset_kwargs=[1])


@pytest.fixture
def config(kwargs, tmp_path):
    entry = f"_target_: {LABELED}\npath: {kwargs['path']}\norganism: ${{organism:HUMAN}}\n"
    entry += "label_column_key: condition\n"
    file = tmp_path / "config.yaml"
    file.write_text("datasets:\n  mine:\n" + "".join(f"    {line}\n" for line in entry.splitlines()))
    (tmp_path / "flat.yaml").write_text(entry)
    return file


def test_a_configuration_file(config, kwargs):
    data = load_custom_dataset("mine", str(config))
    assert (data.organism, data.label_column_key) == (Organism.HUMAN, "condition")
    assert load_custom_dataset("any", str(config.with_name("flat.yaml"))).label_column_key == "condition"
    data = load_custom_dataset("mine", str(config), {"label_column_key": "cell_type"})
    assert data.label_column_key == "cell_type"
    assert load_custom_dataset("other", str(config), kwargs).label_column_key == "cell_type"


def test_bad_configuration_files(config, tmp_path):
    with pytest.raises(ValueError, match=r"Dataset 'mne' not found in .*\. Did you mean 'mine'\?"):
        load_custom_dataset("mne", str(config))
    with pytest.raises(DatasetFileNotFoundError, match=r"Custom config file not found: .*none.yaml"):
        load_custom_dataset("mine", str(tmp_path / "none.yaml"))
    for text in (
        "a: [1",
        "!!python/object/apply:os.system ['true']",
        "- 1",
        "datasets: 3",
        "",
        "datasets: {mine: 3}",
    ):
        config.write_text(text)
        with pytest.raises((ValueError, TypeError), match=r"must (be|hold)") as caught:
            load_custom_dataset("mine", str(config))
        assert "\n" not in str(caught.value)
