"""The command gives the values of the Python API on real cells."""

import pytest
from cases import CASES
from command import disagreements, run
from score import score_case

SEQUENTIAL = [case for case in CASES if case.data == "worm"][:1]
SEVERAL = [case for case in CASES if case.task == "cross-species_integration"]
PERTURBATION = [case for case in CASES if case.predictions == "noisy"][:1]


@pytest.mark.long
@pytest.mark.parametrize("case", SEQUENTIAL + SEVERAL + PERTURBATION, ids=lambda case: case.task)
def test_the_command_agrees_with_the_api(case, prepared):
    assert disagreements(run(case, prepared), score_case(case, prepared)) == []
