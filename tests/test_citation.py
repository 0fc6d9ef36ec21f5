"""How to cite is in step with the package, and goes with it."""

import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_citation_is_of_this_version(project, citation):
    of = project["project"]
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == of["version"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in of["authors"]]
    assert citation["license"] == of["license"]
    assert citation["keywords"] == of["keywords"][: len(citation["keywords"])]
    assert of["name"] in citation["title"]
    assert citation["message"]


def test_addresses_of_the_project(project, citation):
    urls = project["project"]["urls"]
    assert {"Documentation", "Source", "Issues", "Changelog"} <= set(urls)
    assert urls["Source"] == citation["repository-code"]
    assert all(url.startswith(urls["Source"]) for url in urls.values())


def test_the_source_distribution_holds_it(project):
    assert "CITATION.cff" in project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]


def test_the_readme_says_how(project):
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## How to cite")[2]
    assert "CITATION.cff" in text
    assert project["project"]["version"].removesuffix(".dev0") in text
