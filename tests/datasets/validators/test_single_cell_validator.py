import pytest

from czbenchmarks.datasets import Organism, SingleCellLabeledDataset
from czbenchmarks.datasets.validators import SingleCellLabeledValidator


def validator(**changes):
    given = {
        "available_organisms": [Organism.HUMAN],
        "required_obs_keys": ["condition"],
        "required_var_keys": [],
        **changes,
    }
    variables = {name: value for name, value in given.items() if value is not None}
    return type("Own", (SingleCellLabeledValidator,), variables)()


@pytest.fixture
def data(cells, write):
    data = SingleCellLabeledDataset(write(cells), "human")
    data.load_data()
    return data


def test_what_must_hold(data):
    validator().validate_dataset(data)
    with pytest.raises(ValueError, match=r"^Dataset organism homo_sapiens is not supported for Own$"):
        validator(available_organisms=[Organism.MOUSE]).validate_dataset(data)
    with pytest.raises(ValueError, match=r"^Missing required obs keys: \['zz'\]$"):
        validator(required_obs_keys=["condition", "zz"]).validate_dataset(data)
    with pytest.raises(ValueError, match=r"^Missing required var keys: \['zz'\]$"):
        validator(required_var_keys=["zz"]).validate_dataset(data)


@pytest.mark.parametrize("name", ["available_organisms", "required_obs_keys", "required_var_keys"])
def test_every_requirement_is_stated(data, name):
    with pytest.raises(TypeError, match=rf"Can't instantiate Own without {name} class variable"):
        validator(**{name: None})
    with pytest.raises(TypeError, match=r"without available_organisms class variable"):
        SingleCellLabeledValidator().validate_dataset(data)
