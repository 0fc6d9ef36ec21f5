import pytest

from czbenchmarks.datasets import SingleCellLabeledDataset, SingleCellPerturbationDataset
from czbenchmarks.datasets.validators import DatasetValidator


def test_a_validator_names_its_kind_of_data_set():
    with pytest.raises(TypeError, match=r"Can't instantiate Nameless without dataset_type class variable"):

        class Nameless(DatasetValidator):
            pass


def test_only_that_kind_is_validated(cells, write):
    seen = []

    class Labeled(DatasetValidator):
        dataset_type = SingleCellLabeledDataset

        def _validate_dataset(self, dataset):
            seen.append(dataset)

    path = write(cells)
    labeled = SingleCellLabeledDataset(path, "human")
    Labeled().validate_dataset(labeled)
    assert seen == [labeled]
    with pytest.raises(
        ValueError,
        match=r"^Dataset type mismatch\. Expected SingleCellLabeledDataset, got SingleCellPerturbation",
    ):
        Labeled().validate_dataset(SingleCellPerturbationDataset(path, "human"))
