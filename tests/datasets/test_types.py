import copy
import pickle
import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from czbenchmarks.datasets.types import Organism


@pytest.mark.parametrize(
    "text",
    ["human", "HUMAN", "homo_sapiens", "Homo sapiens", "Organism.HUMAN", " Human ", ("homo_sapiens", "ENSG")],
)
def test_found_by_any_of_its_names(text):
    assert Organism(text) is Organism.HUMAN


def test_the_published_members():
    assert len(Organism) == 26
    assert Organism["HUMAN"] is Organism.HUMAN
    assert Organism.HUMAN.value == ("homo_sapiens", "ENSG")
    assert (str(Organism.MOUSE), repr(Organism.MOUSE), Organism.MOUSE.name) == ("mus_musculus",) * 3
    assert Organism.MOUSE.prefix == "ENSMUSG"
    assert [o._name_ for o in Organism if not o.prefix] == ["YEAST", "SEA_URCHIN"]
    assert len({o.value for o in Organism}) == 26


@pytest.mark.parametrize("organism", Organism, ids=lambda o: o._name_)
def test_survives_copies_and_json(organism):
    assert pickle.loads(pickle.dumps(organism)) is organism
    assert copy.deepcopy(organism) is organism
    adapter = TypeAdapter(Organism)
    assert adapter.validate_json(adapter.dump_json(organism)) is organism
    assert adapter.validate_python(organism._name_) is organism


def test_unknown_names_get_a_hint():
    with pytest.raises(ValueError, match=r"^Organism 'humn' is not known\. Did you mean 'human'\?"):
        Organism("humn")
    with pytest.raises(ValueError, match=r"Did you mean 'homo_sapiens'"):
        Organism("Homo Sapien")
    with pytest.raises(ValueError, match=r"Organism '3' is not known"):
        Organism(3)
    with pytest.raises(ValidationError):
        TypeAdapter(Organism).validate_python("humn")


def test_the_import_is_light():
    heavy = "{'pandas', 'anndata', 'scanpy', 'sklearn', 'scipy', 'h5py', 'yaml'} & set(sys.modules)"
    code = "import sys, czbenchmarks.datasets.types, czbenchmarks.datasets.validators; "
    code += f"print({heavy} or 'light')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "light"


def test_the_package_offers_its_names():
    import czbenchmarks.datasets as datasets

    names = {"load_custom_dataset", "Dataset", "Organism"}
    names |= {"SingleCellLabeledDataset", "SingleCellPerturbationDataset"}
    assert names <= set(datasets.__all__)
    assert names <= set(dir(datasets))
    assert {getattr(datasets, name).__name__ for name in names} == names
    with pytest.raises(AttributeError, match=r"nothing"):
        datasets.nothing  # noqa: B018
