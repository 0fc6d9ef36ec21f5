import hashlib
from pathlib import Path

import pytest

from czbenchmarks.datasets import (
    Dataset,
    Organism,
    SingleCellLabeledDataset,
    list_available_datasets,
    load_custom_dataset,
    load_dataset,
    open_custom_dataset,
    open_dataset,
    utils,
)
from czbenchmarks.exceptions import DatasetFileNotFoundError, RemoteStorageError

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
        ({"path": "gs://bucket/cells.h5ad"}, ValueError, "An address must begin with https://, http:// or s3://"),
        ({"path": "http://host/a.h5ad", "sha256": 12}, TypeError, "`sha256` must be text, got int; put it in quotes"),
        ({"zz": 3}, TypeError, "SingleCellLabeledDataset must get .* unexpected keyword argument 'zz'"),
    ],
)
def test_bad_arguments(kwargs, change, error, words):
    with pytest.raises(error, match=words) as caught:
        load_custom_dataset("mine", custom_dataset_kwargs={**kwargs, **change})
    assert "\n" not in str(caught.value)


def test_nothing_given():
    with pytest.raises(ValueError, match=r"Dataset 'mine' not found in the catalogue.*`custom_dataset_kwargs`\.$"):
        load_custom_dataset("mine")
    with pytest.raises(ValueError, match=r"'mine' must name its class as `_target_`, got none"):
        load_custom_dataset("mine", None, {"path": "x.h5ad"})
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
        "datasets: {mine: !!python/name:os.system }",
        "[" * 1200,
    ):
        config.write_text(text)
        with pytest.raises((ValueError, TypeError), match=r"must (be|hold)") as caught:
            load_custom_dataset("mine", str(config))
        assert "\n" not in str(caught.value)


def test_the_catalogue_is_listed():
    found = list_available_datasets()
    assert list(found) == sorted(found)
    assert found["tsv2_ear"] == {
        "organism": "homo_sapiens",
        "url": "s3://cz-benchmarks-data/datasets/v1/cell_atlases/Homo_sapiens/Tabula_Sapiens_v2/"
        "homo_sapiens_10df7690-6d10-4029-a47e-0f071bb2df83_Ear_v2_curated.h5ad",
    }
    found["tsv2_ear"]["url"] = ""
    assert list_available_datasets()["tsv2_ear"]["url"], "what is returned is the caller's own"


@pytest.mark.parametrize(("name", "organism"), [("human", Organism.HUMAN), ("mouse", Organism.MOUSE)])
def test_a_data_set_that_comes_along(cache, name, organism):
    data = load_dataset(f"baron_pancreas_{name}")
    assert (type(data), data.organism) == (SingleCellLabeledDataset, organism)
    assert data.labels.nunique() > 5
    data.validate()
    assert not cache.exists()
    folder = data.store_task_inputs()
    assert folder == cache / f"baron_pancreas_{name}_task_inputs" / "single_cell_labeled"
    assert (folder / "labels_cell_type.json").exists()


def test_an_opened_data_set_is_not_read(cache):
    data = open_dataset("baron_pancreas_human")
    assert "adata" not in vars(data)
    assert data.path.suffix == ".h5ad"


def test_an_unknown_name():
    with pytest.raises(
        ValueError, match=r"Dataset 'tsv2_bloood' not found in the catalogue\. Did you mean 'tsv2_blood"
    ):
        load_dataset("tsv2_bloood")
    with pytest.raises(ValueError, match=r"Dataset \['a'\] not found"):
        load_dataset(["a"])


@pytest.fixture
def remote(kwargs, web, served_file, cache):
    """Return a served data file, and keywords whose path is its address."""
    served = served_file(Path(kwargs["path"]).read_bytes())
    return served, {**kwargs, "path": web.serve("/cells.h5ad", served)}


def test_a_remote_path(remote, cache, tmp_path):
    served, given = remote
    data = load_custom_dataset("mine", None, {**given, "sha256": served.sha256})
    assert data.path.parent == cache
    assert data.adata.shape == (56, 60)
    load_custom_dataset("mine", None, given)
    assert len(served.requests) == 1
    data = load_custom_dataset("mine", None, given, cache_dir=str(tmp_path / "elsewhere"))
    assert data.path.parent == tmp_path / "elsewhere"
    assert len(served.requests) == 2


def test_a_remote_path_with_another_checksum(remote):
    with pytest.raises(RemoteStorageError, match="must have the SHA-256"):
        load_custom_dataset("mine", None, {**remote[1], "sha256": "0" * 64})


def test_nothing_is_downloaded_for_a_bad_description(remote):
    for change in ({"organism": "humn"}, {"zz": 3}, {"_target_": "os.system"}):
        with pytest.raises((ValueError, TypeError)):
            open_custom_dataset("mine", None, {**remote[1], **change})
    assert remote[0].requests == []


def test_an_entry_of_the_catalogue_with_a_change(cells, write, cache, tmp_path):
    path = str(write(cells))
    data = open_custom_dataset("tsv2_bladder", None, {"path": path})
    assert (data.organism, data.label_column_key) == (Organism.HUMAN, "cell_type")
    data = open_custom_dataset("baron_pancreas_mouse", None, {"label_column_key": "donor"})
    assert (data.organism, data.label_column_key) == (Organism.MOUSE, "donor")
    file = tmp_path / "config.yaml"
    file.write_text("datasets: {baron_pancreas_mouse: {label_column_key: batch}}")
    assert open_custom_dataset("baron_pancreas_mouse", str(file)).label_column_key == "batch"
    assert open_custom_dataset("baron_pancreas_mouse", str(file), {"label_column_key": "x"}).label_column_key == "x"
    assert open_custom_dataset("baron_pancreas_human", str(file)).organism is Organism.HUMAN


def test_a_checksum_belongs_to_the_path_beside_it(monkeypatch, cells, write, tmp_path):
    path = write(cells)
    asked = []
    monkeypatch.setattr(utils, "fetch", lambda address, sha256, folder: asked.append(sha256) or path)
    mine = {"_target_": LABELED, "organism": "HUMAN", "path": "https://host/a.h5ad", "sha256": "1" * 64}
    monkeypatch.setattr(utils, "catalogue", lambda: {"mine": mine})
    open_dataset("mine")
    open_custom_dataset("mine", None, {"label_column_key": "condition"})
    open_custom_dataset("mine", None, {"path": "https://host/b.h5ad"})
    assert asked == ["1" * 64, "1" * 64, None]


def test_a_class_that_takes_a_checksum_gets_it(kwargs):
    class WithChecksum(SingleCellLabeledDataset):
        def __init__(self, path, organism, sha256=None):
            super().__init__(path, organism)
            self.sha256 = sha256

    digest = hashlib.sha256(b"").hexdigest()
    given = {**kwargs, "_target_": "WithChecksum", "sha256": digest}
    data = open_custom_dataset("mine", None, given)
    assert isinstance(data, Dataset)
    assert data.sha256 == digest


def alias_bomb(merged):
    lines = ["a: &a {k: 1}"]
    for inner, outer in zip("abcdefghij", "bcdefghijk", strict=True):
        several = ", ".join([f"*{inner}"] * 9)
        lines.append(f"{outer}: &{outer} " + (f"{{<<: [{several}]}}" if merged else f"[{several}]"))
    return "\n".join(lines)


@pytest.mark.parametrize("key", ["organism", "_target_", "path", "label_column_key", "<<"])
def test_aliases_of_aliases_are_refused(tmp_path, kwargs, key):
    entry = {**kwargs, "_target_": "SingleCellLabeledDataset", "organism": "HUMAN", key: "*k"}
    text = "\n    ".join(f"{name}: {value}" for name, value in entry.items())
    file = tmp_path / "config.yaml"
    file.write_text(f"{alias_bomb(key == '<<')}\ndatasets:\n  mine:\n    {text}\n")
    with pytest.raises(ValueError, match=r"its aliases written out, it has more than 100,000 values") as caught:
        load_custom_dataset("mine", str(file))
    assert len(str(caught.value)) < 1000
    file.write_text("datasets: &all\n  mine: *all\n")
    with pytest.raises(ValueError, match="more than 100,000 values"):
        load_custom_dataset("mine", str(file))


def test_an_alias_is_fine(tmp_path, kwargs):
    file = tmp_path / "config.yaml"
    text = "\n    ".join(f"{name}: {value}" for name, value in {**kwargs, "organism": "HUMAN"}.items())
    file.write_text(f"datasets:\n  one: &one\n    {text}\n  two:\n    <<: *one\n")
    assert load_custom_dataset("two", str(file)).organism is Organism.HUMAN


def test_a_class_defined_again_is_the_new_one(kwargs):
    def define(version):
        class Again(SingleCellLabeledDataset):
            """As a cell of a notebook that is run twice."""

            number = version

        return Again

    kept = [define(1), define(2)]
    loaded = open_custom_dataset("mine", custom_dataset_kwargs={**kwargs, "_target_": "Again"})
    assert type(loaded) is kept[1]


def test_the_checksum_of_a_local_file_is_compared(kwargs):
    content = Path(kwargs["path"]).read_bytes()
    good = {**kwargs, "sha256": hashlib.sha256(content).hexdigest()}
    assert open_custom_dataset("mine", custom_dataset_kwargs=good).path == Path(kwargs["path"])
    with pytest.raises(ValueError, match=rf"must have the SHA-256 {'0' * 64}, got {good['sha256']}; it is not"):
        open_custom_dataset("mine", custom_dataset_kwargs={**kwargs, "sha256": "0" * 64})
    with pytest.raises(TypeError, match="`sha256` must be text, got int; put it in quotes"):
        open_custom_dataset("mine", custom_dataset_kwargs={**kwargs, "sha256": 0})
    folder = {**kwargs, "path": str(Path(kwargs["path"]).parent), "sha256": "0" * 64}
    with pytest.raises(ValueError, match="`sha256` is that of a file, got the folder"):
        open_custom_dataset("mine", custom_dataset_kwargs=folder)


def test_names_and_paths_of_the_wrong_kind(kwargs):
    with pytest.raises(TypeError, match="`dataset_name` must be text, got list"):
        open_custom_dataset(["mine"], custom_dataset_kwargs=kwargs)
    with pytest.raises(TypeError, match="`custom_dataset_config_path` must be the path of a YAML file, got int"):
        open_custom_dataset("mine", 3)
    with pytest.raises(ValueError, match="`~` must stand for the home folder of someone known"):
        open_custom_dataset("mine", custom_dataset_kwargs={**kwargs, "path": "~nobody-of-this-name/cells.h5ad"})
