"""Medians, exponents, merging and tables, on measurements made up here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import report

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def ran(seconds: float, value: float = 0.5, **more):
    return {
        "seconds": seconds + 1, "fresh_s": seconds + 0.5, "first_s": seconds, "second_s": seconds / 2, "import_s": 0.25,
        "peak_mb": 100.0, "metrics": {"ari": {"value": value, "count": 1}}, "details": {}, **more,
    }  # fmt: skip


def task(name="clustering", cells=1000, **runs):
    runs = runs or {"ours": [ran(1.0)], "other": [ran(8.0)]}
    return {
        "kind": "task", "task": name, "cells": cells, "width": 50, "columns": "dimensions", "runs": runs,
        "date": "2026-01-02",
    }  # fmt: skip


def results(**cases):
    return {
        "schema": report.SCHEMA,
        "machine": {"processor": "A chip", "cores": 2, "memory_gib": 16.0, "system": "Linux", "threads": 2},
        "environments": {"ours": {"python": "3.11", "packages": {"numpy": "2"}}},
        "cases": cases,
    }


def cells_of(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_medians_leave_failed_runs_and_missing_measures_out():
    runs = [ran(1.0), ran(5.0), ran(2.0), {"failed": "no"}]
    del runs[1]["second_s"]
    found = report.medians(runs)
    assert found["first_s"] == 2.0
    assert found["second_s"] == 0.75
    assert report.medians([{"failed": "no"}]) == {}
    assert report.failure(runs) == "no"
    assert report.failure(runs[:3]) is None


@pytest.mark.parametrize("power", [0.0, 1.0, 1.5, 2.0])
def test_exponent_of_a_power(power):
    sizes = [2_000, 10_000, 50_000]
    assert report.exponent(sizes, [3e-7 * n**power for n in sizes]) == pytest.approx(power, abs=1e-9)


def test_exponent_needs_two_sizes():
    assert report.exponent([1000], [1.0]) is None
    assert report.exponent([], []) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"), (None, "–"), (float("nan"), "–"), (0.012345, "0.0123"), (1.2345, "1.23"), (12.345, "12.3"),
        (1234.5, "1,234"), (2.2e-16, "2.2e-16"), (-3.14159, "-3.14"),
    ],
)  # fmt: skip
def test_number(value, shown):
    assert report.number(value) == shown


def test_table_escapes_what_would_end_a_cell():
    assert report.table(["a", "b"], [["x|y", "1"]]).splitlines() == ["| a | b |", "| --- | ---: |", r"| x\|y | 1 |"]


def test_aligned_columns_end_together():
    lines = report.aligned(["name", "s"], [["a", "1.25"], ["longer", "10"]]).splitlines()
    assert lines == ["name       s", "a       1.25", "longer    10"]


def test_merging_replaces_the_runs_of_a_side_only():
    old = results(a=task(ours=[ran(1.0)], other=[ran(8.0)]), b=task("embedding"))
    new = results(a=task(ours=[ran(2.0), ran(3.0)]), c=task("sequential"))
    merged = report.merge(old, new)
    assert list(merged["cases"]) == ["a", "b", "c"]
    assert [run["first_s"] for run in merged["cases"]["a"]["runs"]["ours"]] == [2.0, 3.0]
    assert [run["first_s"] for run in merged["cases"]["a"]["runs"]["other"]] == [8.0]
    assert merged["cases"]["b"] == old["cases"]["b"]
    assert [run["first_s"] for run in old["cases"]["a"]["runs"]["ours"]] == [1.0]
    assert report.merge({}, new) == new


def test_merging_keeps_the_environment_of_a_side_that_was_not_run():
    old = results(a=task())
    old["environments"]["other"] = {"python": "3.11", "packages": {"numpy": "1"}}
    assert report.merge(old, results(b=task()))["environments"] == old["environments"]


@pytest.mark.parametrize("what", ["machine", "environment"])
def test_other_machines_and_versions_are_refused(what):
    old, new = results(a=task()), results(a=task())
    if what == "machine":
        new["machine"] = {**new["machine"], "cores": 64}
    else:
        new["environments"] = {"ours": {"python": "3.14", "packages": {"numpy": "2"}}}
    with pytest.raises(
        ValueError, match=f"must share the {what}.*({'cores' if what == 'machine' else 'python'}) diff.*--fresh"
    ):
        report.merge(old, new)


def test_a_file_is_what_was_saved(tmp_path):
    path = tmp_path / "deeper" / "performance.json"
    assert report.load(path) == {}
    report.save(path, results(a=task()))
    assert report.load(path) == results(a=task())
    assert list(path.parent.iterdir()) == [path]


def test_a_file_of_another_schema_is_refused(tmp_path):
    path = tmp_path / "performance.json"
    path.write_text('{"schema": 99}')
    with pytest.raises(ValueError, match="must have schema 1, got 99"):
        report.load(path)


def test_sections_are_replaced_and_the_rest_stays():
    page = "<!-- begin: a -->\nold\n<!-- end: a -->\n\nBy hand.\n<!-- begin: b -->\n<!-- end: b -->\n"
    once = report.replace_sections(page, {"a": "new", "b": "more\n"})
    assert once == (
        "<!-- begin: a -->\n\nnew\n\n<!-- end: a -->\n\nBy hand.\n<!-- begin: b -->\n\nmore\n\n<!-- end: b -->\n"
    )
    assert report.replace_sections(once, {"a": "new", "b": "more\n"}) == once


@pytest.mark.parametrize("page", ["", "<!-- begin: a -->", "<!-- end: a --><!-- begin: a -->"])
def test_a_page_without_its_markers_is_refused(page):
    with pytest.raises(ValueError, match="must hold '<!-- begin: a -->'"):
        report.replace_sections(page, {"a": "new"})


def test_times_show_medians_ratios_and_failures():
    text = report.sections(
        results(
            small=task(cells=1000, ours=[ran(1.0), ran(3.0), ran(2.0)], other=[ran(8.0)]),
            large=task(cells=10_000, ours=[ran(4.0)], other=[{"failed": "took longer than 5 s"}]),
        )
    )["times"]
    first = text.partition("### First call, s\n\n")[2].partition("\n\n")[0]
    assert cells_of(first)[2] == ["clustering", "2.00 / 8.00", "4.0", "4.00 / failed", ""]
    second = text.partition("### Second call")[2].partition("###")[0]
    assert cells_of(second)[2][1:3] == ["1.00 / 4.00", "4.0"]
    assert "- clustering, 10,000 cells, published: `took longer than 5 s`" in text
    assert "1 to 3 at 1,000 cells, 1 at 10,000 cells" in text


def test_the_fast_engine_is_a_row_of_its_own_beside_the_same_published_runs():
    case = task("label_prediction", ours=[ran(4.0)], fast=[ran(1.0)], other=[ran(8.0)])
    first = report.sections(results(a=case))["times"].partition("### First call, s\n\n")[2].partition("\n\n")[0]
    rows = cells_of(first)[2:]
    assert rows == [["label prediction", "4.00 / 8.00", "2.0"], ["label prediction, fast engine", "1.00 / 8.00", "8.0"]]


def test_scaling_takes_second_calls_or_first_calls_never_both():
    both = {n: ran(n / 1000) for n in (1000, 10_000)}
    one_call = {n: ran((n / 1000) ** 2) for n in (1000, 10_000)}
    del one_call[10_000]["second_s"]
    found = report.sections(
        results(**{str(n): task(cells=n, ours=[both[n]], other=[one_call[n]]) for n in (1000, 10_000)})
    )
    assert cells_of(found["scaling"])[2] == ["clustering", "1.00", "2.00"]


def test_values_stand_side_by_side():
    case = task(ours=[ran(1.0, 0.25)], other=[ran(1.0, 0.15)])
    assert cells_of(report.sections(results(a=case))["values"])[2] == [
        "clustering", "1,000", "ari", "0.25", "0.15", "0.10",
    ]  # fmt: skip


def test_the_bound_shows_the_ratio_of_medians():
    run = {"bound_s": [1.0, 2.0, 9.0], "ours_s": [3.0, 3.0, 4.0], "labels": 20}
    case = {"kind": "bound", "cells": 20_000, "width": 50, "runs": {"ours": [run]}, "date": "2026-01-02"}
    assert cells_of(report.sections(results(a=case))["bound"])[2] == ["20,000 x 50", "20", "2.00", "3.00", "1.50"]


def test_an_estimate_is_compared_with_the_exact_value():
    def million(name, value, **details):
        run = ran(60.0, peak_mb=2048.0, metrics={"silhouette_score": {"value": value, "count": 1}}, details=details)
        return {"kind": "million", "case": name, "cells": 1_000_000, "width": 50, "runs": {"ours": [run]},
                "date": "2026-01-03"}  # fmt: skip

    estimated = million("silhouette_estimated", 0.52, silhouette_score={"standard_error": 0.01})
    clustering = million("clustering", 0.1, silhouette_score={"neighbors_recall": 0.97})
    rows = cells_of(report.sections(results(a=clustering, b=million("silhouette", 0.5), c=estimated))["million"])[2:]
    assert rows[0][2:5] == ["60.0", "2.00", "0.9700"]
    assert rows[1][5] == "silhouette_score 0.5"
    assert rows[2][5] == "silhouette_score 0.52 ± 0.01, 2.0 standard errors from the exact value"


def test_the_start_is_a_ratio_of_medians():
    runs = {"ours": [{"seconds": 0.5}], "other": [{"seconds": 4.0}, {"seconds": 6.0}]}
    case = {"kind": "start", "what": "import czbenchmarks", "runs": runs, "date": "2026-01-02"}
    found = cells_of(report.sections(results(a=case))["start"])[2]
    assert found == ["`import czbenchmarks`", "0.500", "5.00", "10"]


def test_nothing_measured_says_so():
    assert set(report.sections({}).values()) == {report.NOT_MEASURED}


def test_the_page_holds_every_section_once():
    page = PAGE.read_text(encoding="utf-8")
    marked = re.findall(r"^<!-- begin: (\w+) -->$", page, re.MULTILINE)
    assert sorted(marked) == sorted(report.sections({}))
    assert "A chip" in report.replace_sections(page, report.sections(results(a=task())))


def test_the_page_shows_what_the_file_holds():
    page = PAGE.read_text(encoding="utf-8")
    assert report.replace_sections(page, report.sections(report.load(PAGE.with_suffix(".json")))) == page
