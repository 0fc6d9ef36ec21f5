"""How a score was computed stands beside it wherever it is printed."""

import json

import pandas as pd
import pytest

from czbenchmarks.cli.output import print_frame, print_record, print_table
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


STRANGE = pd.DataFrame(
    {
        "embedding": ["m", "m"],
        "label": ["---|x", "\x1b[31mred\n[bold]"],
        "\x1b[1mcells": [3, 4],
        "score": [0.5, float("nan")],
    }
)


def test_markdown_shows_labels_as_they_are(capsys):
    """A label that looks like the rule of a table, or steers a terminal, is text."""
    print_frame(STRANGE, "markdown")
    assert capsys.readouterr().out.splitlines() == [
        r"| label | \\x1b\[1mcells | score |",
        "| --- | ---: | ---: |",
        r"| ---\|x | 3 | 0.5000 |",
        r"| \\x1b\[31mred\\n\[bold\] | 4 | none |",
    ]


def test_a_table_shows_labels_as_they_are(capsys):
    print_frame(STRANGE, "table")
    printed = capsys.readouterr().out
    assert r"\x1b[31mred\n[bold]" in printed
    assert r"\x1b[1mcells" in printed
    assert "\x1b" not in printed


def test_headings_are_no_markup(capsys):
    print_table(["[red]model", "[/]"], [["1", "2"]])
    assert "[red]model   [/]" in capsys.readouterr().out


def test_programs_get_labels_and_numbers_unchanged(capsys):
    print_frame(STRANGE, "json")
    rows = json.loads(capsys.readouterr().out)
    assert rows[1] == {"embedding": "m", "label": "\x1b[31mred\n[bold]", "\x1b[1mcells": 4, "score": None}
