"""The store: many runs in one file, whole or not at all, whoever else writes."""

import sqlite3
import sys

import pytest

from czbenchmarks.metrics.types import MetricResult, MetricType
from czbenchmarks.results import RunRecord, Score, Store
from czbenchmarks.results.record import RunSpecification


def make_record(value=0.5):
    result = MetricResult(metric_type=MetricType.SILHOUETTE_SCORE, value=value, reason=None)
    return RunRecord(
        result_metrics=[Score.of("embedding", "ours", [result])],
        run_specification=RunSpecification(tasks={"embedding": {}}, data=[{"path": "cells.h5ad"}], random_seeds=[1]),
    )


def test_records_come_back_as_they_were(tmp_path):
    store = Store(tmp_path / "runs.db")
    assert not store.path.exists()  # made when it is used
    records = [make_record(0.1), make_record(float("nan"))]
    assert [store.add(record) for record in records] == [1, 2]
    again = Store(str(tmp_path / "runs.db"))
    assert [again.get(number).to_dict() for number in (1, 2)] == [record.to_dict() for record in records]
    first, second = again.runs()
    assert (first.id, first.tasks, first.embeddings, first.data, first.scores, first.complete) == (
        1, "embedding", "ours", "cells.h5ad", 1, True,
    )  # fmt: skip
    assert not first.failed
    assert not second.complete
    assert second.failed


def test_a_store_of_before_is_read_and_written(tmp_path):
    """It does not say what failed: whatever was not complete did."""
    store = Store(tmp_path / "runs.db")
    for value in (0.1, float("nan")):
        store.add(make_record(value))
    with sqlite3.connect(store.path) as old:
        old.execute("ALTER TABLE runs DROP COLUMN failed")
    old.close()
    before = store.path.read_bytes()
    assert [run.failed for run in store.runs()] == [False, True]
    assert store.get(2).failed
    assert store.path.read_bytes() == before  # looking changes nothing
    store.add(make_record(0.5))
    assert [run.failed for run in store.runs()] == [False, True, False]


@pytest.mark.parametrize("number", [0, 3, -1, 10**30])
def test_unknown_numbers_are_refused(tmp_path, number):
    store = Store(tmp_path / "runs.db")
    store.add(make_record())
    with pytest.raises(ValueError, match="it holds 1 to 1"):
        store.get(number)


def test_other_files_are_refused_and_stay(tmp_path):
    (tmp_path / "text.db").write_text("no database, but long enough to be looked at" * 100)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for name, says in (
        ("text.db", "not a database"), ("other.db", "another program's"), ("none/runs.db", "existing folder"),
        (".", "something else"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=says) as caught:
            Store(tmp_path / name).add(make_record())
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="must exist"):
        Store(tmp_path / "new.db").runs()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_empty_store_says_so(tmp_path):
    store = Store(tmp_path / "runs.db")
    store.check()
    assert store.runs() == []
    with pytest.raises(ValueError, match="it is empty"):
        store.get(1)


def test_two_processes_write_to_one_store(tmp_path, start):
    code = (
        "import sys; from czbenchmarks.results import RunRecord, Store\n"
        "for _ in range(20): Store(sys.argv[1]).add(RunRecord())"
    )
    processes = [start([sys.executable, "-c", code, tmp_path / "runs.db"]) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert [run.id for run in Store(tmp_path / "runs.db").runs()] == list(range(1, 41))


def test_a_store_that_another_process_makes_meanwhile_is_one(tmp_path, monkeypatch):
    real, path = sqlite3.connect, tmp_path / "runs.db"

    class Meanwhile(sqlite3.Connection):
        def execute(self, *given):
            rows = super().execute(*given)
            if not path.stat().st_size:  # after our first look another makes it
                rows = iter(rows.fetchall())
                monkeypatch.setattr(sqlite3, "connect", real)
                Store(path).add(make_record())
            return rows

    monkeypatch.setattr(sqlite3, "connect", lambda *given, **more: real(*given, factory=Meanwhile, **more))
    assert Store(path).add(make_record()) == 2
