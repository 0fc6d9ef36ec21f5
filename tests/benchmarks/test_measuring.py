"""The generated cells, and what becomes of processes that work, fail, hang or are killed."""

from __future__ import annotations

import os
import sys

import bound
import cells
import numpy as np
import pytest
import side_by_side
import task_cases


def python(code: str, timeout: float = 60.0, **more):
    return side_by_side.run([sys.executable, "-c", code], timeout, {**os.environ, **more}, "a case")


def test_cells_are_the_same_for_the_same_seed_and_differ_for_another():
    one, again, other = cells.embedding(300, 8), cells.embedding(300, 8), cells.embedding(300, 8, seed=8)
    assert one.X.dtype == np.float32
    np.testing.assert_array_equal(one.X, again.X)
    np.testing.assert_array_equal(one.labels, again.labels)
    assert not np.array_equal(one.X, other.X)


def test_cells_do_not_depend_on_how_many_are_made_at_a_time(monkeypatch):
    whole = cells.embedding(300, 8)
    monkeypatch.setattr(cells, "_ROWS", 7)
    np.testing.assert_array_equal(cells.embedding(300, 8).X, whole.X)


def test_types_batches_and_times_are_what_is_said():
    made = cells.embedding(4000, 5)
    shares = np.unique(made.labels, return_counts=True)[1] / 4000
    assert len(shares) == cells.LABELS
    assert shares.max() > 2 * shares.min()
    assert len(np.unique(made.batches)) == cells.BATCHES
    assert set(made.times) == set(range(1, cells.TIMES + 1))
    assert all(len(set(made.times[made.labels == label])) == 1 for label in np.unique(made.labels))
    assert list(made.obs().columns) == ["cell_type", "batch", "time"]


def test_counts_are_sparse_whole_numbers():
    counts = cells.counts(100, 60)
    assert counts.shape == (100, 60)
    assert counts.dtype == np.float32
    assert 0 < counts.nnz < counts.shape[0] * counts.shape[1]
    np.testing.assert_array_equal(counts.data, np.rint(counts.data))


def test_targets_of_the_screen_changed():
    screen = cells.screen(3, 10, 80)
    assert screen.shape == (3 * 10 + 40, 80)
    table = screen.uns["de_results"].set_index(["condition", "gene_id"])["logfoldchange"]
    control = screen[screen.obs["condition"] == "ctrl"].to_df().mean()
    for condition, genes in screen.uns["target_conditions_dict"].items():
        treated = screen[screen.obs["condition"] == condition].to_df().mean()
        found = np.log(treated[genes] / control[genes])
        assert np.corrcoef(found, table[condition][genes])[0, 1] > 0.95
        assert set(screen.uns["control_cells_map"][condition].values()) <= set(screen.obs_names[-40:])


def test_a_result_is_read_from_the_last_line_that_says_so():
    found = python("print('RESULT {\"first_s\": 1}'); print('noise'); print('RESULT {\"first_s\": 2}')")
    assert found["first_s"] == 2
    assert found["seconds"] > 0
    assert "failed" not in found


def test_the_first_result_counts_from_the_start_of_the_process_without_generating():
    said = "{'first_at': time.time() + 1000, 'generate_s': 200}"
    found = python(f"import json, time; print('RESULT ' + json.dumps({said}))")
    assert 800 <= found["fresh_s"] < 860  # a process may take a minute to begin
    assert "first_at" not in found


def test_a_failure_is_its_last_words():
    assert python("raise ValueError('no such thing')") == {"failed": "ValueError: no such thing"}
    assert python("import os; os.kill(os.getpid(), 9)") == {"failed": "ended by signal 9"}


def test_a_case_that_takes_too_long_is_ended_with_its_children(tmp_path):
    alive = tmp_path / "alive"
    child = f"import time, pathlib; time.sleep(1.5); pathlib.Path({str(alive)!r}).touch()"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    found = python(code, timeout=1.0)
    assert found == {"failed": "took longer than 1 s"}
    assert "failed" not in python("import time; time.sleep(1.5)")
    assert not alive.exists()


def test_sides_take_turns_and_one_that_failed_is_left_alone(monkeypatch):
    asked = []

    def run(command, timeout, surroundings, what):
        asked.append(command[0])
        return {"failed": "no"} if command == ["b"] else {"seconds": 1.0}

    monkeypatch.setattr(side_by_side, "run", run)
    given = side_by_side._parser().parse_args(["tasks", "--repeat", "3"])
    runs = side_by_side.in_turn({"ours": ["a"], "other": ["b"]}, given, "a case")
    assert asked == ["a", "b", "a", "a"]
    assert [len(of) for of in runs.values()] == [3, 1]


def test_threads_hold_every_library(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert side_by_side.variables(None)["OMP_NUM_THREADS"] == "7"
    assert {side_by_side.variables(2)[name] for name in ("OMP_NUM_THREADS", "CZBENCHMARKS_NUM_THREADS")} == {"2"}


def test_the_bound_computes_half_of_all_pairs_and_the_diagonal_tiles():
    from concurrent.futures import ThreadPoolExecutor

    points = np.abs(np.random.default_rng(0).normal(1, 0.1, (50, 4))).astype(np.float32)
    with ThreadPoolExecutor(2) as pool:
        # 10 tiles of 16 and 2 on or above the diagonal, of 4 x 4
        assert bound.half_of_all_pairs(points, 16, pool) == 6 * 16 * 16 + 3 * 16 * 2 + 2 * 2


def test_peak_memory_is_what_was_held_since_the_reset():
    if not os.path.exists("/proc/self/clear_refs"):
        pytest.skip("only Linux can forget the peak")
    task_cases.reset_peak()
    before = task_cases.peak_mb()
    held = np.ones(40 << 17)  # 40 MB
    assert task_cases.peak_mb() - before == pytest.approx(40, abs=8)
    del held
    task_cases.reset_peak()
    assert task_cases.peak_mb() - before < 20


def test_a_task_is_measured_from_start_to_page(tmp_path, monkeypatch):
    page, kept = tmp_path / "performance.md", tmp_path / "performance.json"
    page.write_text((side_by_side.DOCS / "performance.md").read_text(encoding="utf-8"), encoding="utf-8")
    failing = tmp_path / "python"
    failing.write_text(f'#!/bin/sh\ncase $1 in -c) exec {sys.executable} "$@";; esac\necho broken >&2; exit 3\n')
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [
        "side_by_side.py", "tasks", "--tasks", "clustering", "--cells", "150", "--repeat", "1", "--no-warm-up",
        "--other", str(failing), "--json", str(kept), "--page", str(page),
    ])  # fmt: skip
    side_by_side.main()
    [case] = side_by_side.report.load(kept)["cases"].values()
    assert case["runs"]["other"] == [{"failed": "broken"}]
    [ours] = case["runs"]["ours"]
    assert 0 < ours["second_s"] <= ours["first_s"] <= ours["fresh_s"] <= ours["seconds"]
    assert 0 < ours["before_mb"] <= ours["peak_mb"]
    assert set(ours["metrics"]) == {"adjusted_rand_index", "normalized_mutual_info"}
    assert "- clustering, 150 cells, published: `broken`" in page.read_text(encoding="utf-8")
