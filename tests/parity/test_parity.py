"""The values of the published package on real cells, each within a tolerance that has its reason."""

import json
from pathlib import Path

import pytest
from cases import CASES, SYNTHETIC
from score import score_case, score_seeds
from tolerances import compare

PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text())["values"]


def stored(case_name: str, task: str) -> dict:
    return {key: value for key, value in PUBLISHED.items() if key.split(" | ")[:2] == [case_name, task]}


def assert_parity(published, ours):
    rows = compare(published, ours)
    assert rows, "no value is stored for this case; make published.json anew"
    out = [f"{r.key}: ours {r.ours}, published {r.published}, allowed {r.tolerance}" for r in rows if not r.within]
    assert not out, "\n" + "\n".join(out)


def parameter(case):
    """The first case of each task is quick; `make acceptance` compares all."""
    quick = case is next(one for one in CASES if one.task == case.task)
    return pytest.param(case, id=f"{case.task}-{case.name}", marks=[] if quick else [pytest.mark.long])


@pytest.mark.parametrize("case", [parameter(case) for case in CASES])
def test_values_of_the_published_package(case, prepared):
    assert_parity(stored(case.name, case.task), score_case(case, prepared))


@pytest.mark.long
def test_median_clustering_of_many_cells():
    seeds = {key: value for key, value in PUBLISHED.items() if key.startswith(SYNTHETIC)}
    assert_parity(seeds, score_seeds())


def test_every_stored_value_belongs_to_a_case():
    known = {(case.name, case.task) for case in CASES}
    stray = [key for key in PUBLISHED if tuple(key.split(" | ")[:2]) not in known and not key.startswith(SYNTHETIC)]
    assert not stray
