"""Folders follow the environment and are read at use; the rest is constant."""

import pytest

from czbenchmarks import constants
from czbenchmarks.exceptions import CZBenchmarksException, RemoteStorageError


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for variable in ("CZBENCHMARKS_CACHE", "DATASETS_CACHE_PATH", "PROCESSED_DATASETS_CACHE_PATH"):
        monkeypatch.delenv(variable, raising=False)


def test_the_folders_as_published():
    assert constants.DATASETS_CACHE_PATH == "~/.cz-benchmarks/datasets"
    assert constants.PROCESSED_DATASETS_CACHE_PATH == "~/.cz-benchmarks/processed_datasets"
    assert {"DATASETS_CACHE_PATH", "PROCESSED_DATASETS_CACHE_PATH", "RANDOM_SEED"} <= set(dir(constants))
    with pytest.raises(AttributeError, match="no attribute 'DATASETS'"):
        _ = constants.DATASETS


def test_the_environment_is_read_at_use(monkeypatch):
    monkeypatch.setenv("DATASETS_CACHE_PATH", "/one")
    monkeypatch.setenv("PROCESSED_DATASETS_CACHE_PATH", "/two")
    assert (constants.DATASETS_CACHE_PATH, constants.PROCESSED_DATASETS_CACHE_PATH) == ("/one", "/two")
    monkeypatch.setenv("CZBENCHMARKS_CACHE", "/three")
    assert constants.DATASETS_CACHE_PATH == "/three"
    monkeypatch.setenv("CZBENCHMARKS_CACHE", " ")
    assert constants.DATASETS_CACHE_PATH == "/one"


@pytest.mark.parametrize(
    ("path", "base", "second"),
    [
        ("a/b/c_1.h5ad", "c_1*.h5ad", "a/b/c_1_2.h5ad"),
        ("/x/y.csv.gz", "y.csv*.gz", "/x/y.csv_2.gz"),
        ("noext", "noext*", "noext_2"),
    ],
)
def test_numbered_files(path, base, second):
    assert (constants.get_base_name(path), constants.get_numbered_path(path, 2)) == (base, second)


def test_a_failed_download_is_bad_input_too():
    assert issubclass(RemoteStorageError, CZBenchmarksException)
    assert issubclass(RemoteStorageError, ValueError)
