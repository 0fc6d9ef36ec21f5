"""The catalogue holds what the published one says, and entries that its classes take."""

import inspect
import json
import pathlib

import pytest

import czbenchmarks.datasets as datasets
from czbenchmarks.datasets import Organism, list_available_datasets, open_dataset, utils
from czbenchmarks.datasets.catalogue import catalogue

FILE = pathlib.Path(__file__).parents[1] / "contract" / "published_catalogue.json"
PUBLISHED = json.loads(FILE.read_text(encoding="utf-8"))
OURS = {"baron_pancreas_human", "baron_pancreas_mouse"}


def test_all_published_entries_and_ours():
    assert len(PUBLISHED) == 38
    assert set(catalogue()) == set(PUBLISHED) | OURS


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_entry(name, tmp_path, monkeypatch):
    published = PUBLISHED[name]
    assert list_available_datasets()[name] == {key: published[key] for key in ("organism", "url")}
    asked, path = [], tmp_path / "cells.h5ad"
    path.touch()
    monkeypatch.setattr(utils, "fetch", lambda address, sha256, folder: asked.append(address) or path)
    data = open_dataset(name)
    assert (asked, type(data).__name__) == ([published["url"]], published["class"])
    assert str(data.organism) == published["organism"]
    assert {key: getattr(data, key) for key in published["arguments"]} == published["arguments"]
    defaults = {
        key: parameter.default
        for key, parameter in inspect.signature(type(data)).parameters.items()
        if key not in published["arguments"] and key not in ("path", "organism", "task_inputs_dir")
    }
    assert {key: getattr(data, key) for key in defaults} == defaults


@pytest.mark.parametrize("name", catalogue())
def test_every_entry_can_be_made(name):
    entry = catalogue()[name]
    assert {"_target_", "organism", "path", "about"} <= set(entry)
    assert "\n" not in entry["about"]
    takes = inspect.signature(getattr(datasets, entry["_target_"])).parameters
    assert set(entry) - {"_target_", "about", "sha256"} <= set(takes)
    assert entry["organism"] == Organism(entry["organism"]).name


def test_what_is_returned_is_the_caller_s_own():
    catalogue()["tsv2_ear"].clear()
    assert catalogue()["tsv2_ear"]
