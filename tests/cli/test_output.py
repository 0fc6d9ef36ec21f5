"""How a score was computed stands beside it wherever it is printed."""

import pytest

from czbenchmarks.cli.output import print_record
from czbenchmarks.metrics.types import MetricResult, MetricType
from czbenchmarks.results import RunRecord, Score

SAID = "estimated from 1,500 cells, standard error 0.0024"
DETAILS = {"estimated_from": 1500, "standard_error": 0.00236}


def score(embedding, details):
    one = MetricResult(metric_type=MetricType.SILHOUETTE_SCORE, value=0.5, details=details)
    return Score.of("embedding", embedding, [one])


def lines(capsys, form, *scores):
    print_record(RunRecord(result_metrics=list(scores)), form)
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out.splitlines()


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_an_estimate_is_called_one(capsys, form):
    *_, last = [line for line in lines(capsys, form, score("mine", DETAILS)) if line.strip()]
    assert SAID in last


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_what_is_exact_needs_no_column(capsys, form):
    assert "Note" not in "".join(lines(capsys, form, score("mine", None)))


def test_the_same_of_all_is_said_once(capsys):
    printed = lines(capsys, "markdown", score("mine", DETAILS), score("other", DETAILS))
    assert printed[-1] == f"| silhouette\\_score | 0.5000 | 0.5000 | {SAID} |"


def test_another_of_each_is_said_of_each(capsys):
    printed = lines(capsys, "markdown", score("mine", DETAILS), score("other", {"neighbors": "given"}))
    assert printed[-1] == f"| silhouette\\_score | 0.5000 | 0.5000 | mine: {SAID}; other: neighbours given |"
