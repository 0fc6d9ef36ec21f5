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
    assert printed[-1] == f"| silhouette\\_score ↑ | 0.5000 | 0.5000 | {SAID} |"


def test_another_of_each_is_said_of_each(capsys):
    printed = lines(capsys, "markdown", score("mine", DETAILS), score("other", {"neighbors": "given"}))
    assert printed[-1] == f"| silhouette\\_score ↑ | 0.5000 | 0.5000 | mine: {SAID}; other: neighbours given |"


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


def test_a_reason_that_all_share_is_said_once(capsys):
    def undefined(name, reason):
        one = MetricResult(metric_type=MetricType.ILISI, value=float("nan"), reason=reason)
        return Score.of("batch_integration", name, [one])

    printed = lines(capsys, "markdown", undefined("mine", "one batch"), undefined("other", "one batch"))
    assert printed[-1].endswith("| none | none | one batch |")
    printed = lines(capsys, "markdown", undefined("mine", "one batch"), undefined("other", "two cells"))
    assert printed[-1].endswith("| mine: one batch; other: two cells |")
    printed = lines(capsys, "markdown", undefined("mine", "one batch"))
    assert printed[-1].endswith("| none | one batch |")


def test_a_note_of_scores_is_said_once_and_says_of_which(capsys):
    def noted(name, metric, text):
        one = MetricResult(metric_type=metric, value=0.5, details={"note": text} if text else None)
        return Score.of("batch_integration", name, [one])

    pcr, bio, kbet = MetricType.PCR_COMPARISON, MetricType.BIO_CONSERVATION, MetricType.KBET
    scores = [
        *(noted("mine", pcr, "0 by rule"), noted("other", pcr, "")),
        *(noted(name, metric, "the mean lacks bras") for name in ("mine", "other") for metric in (bio, kbet)),
    ]
    print_record(RunRecord(result_metrics=scores), "csv")
    assert capsys.readouterr().err.splitlines() == [
        "Note: batch_integration of mine (pcr_comparison): 0 by rule.",
        "Note: batch_integration (bio_conservation, kbet): the mean lacks bras.",
    ]


def test_names_are_not_broken_while_sentences_can_give_way(capsys):
    name = "mean_fold_balanced_accuracy"
    print_table(["Metric", "Range", "What it says"], [[name, "0 to 1", "word " * 40], ["f1", "0 to 1", ""]])
    assert name in capsys.readouterr().out
    print_table(["Metric", "What it says"], [["x" * 150, "word"]])  # what cannot fit is folded, not cut
    assert capsys.readouterr().out.count("x") == 150
