"""Records: what a run gave survives the file, whoever wrote it; what is no record is refused in one sentence."""

import json
import math
import os
import pathlib
import statistics

import jsonschema
import numpy as np
import pandas as pd
import pytest

import czbenchmarks.results
from czbenchmarks.metrics.types import MetricResult, MetricType
from czbenchmarks.results import Failure, RunRecord, Score
from czbenchmarks.results.record import RunSpecification, RuntimeMetrics

OLD = sorted((pathlib.Path(__file__).parents[1] / "data" / "records").glob("v*.json"))
SCHEMA = pathlib.Path(czbenchmarks.results.__file__).parent / "run_record.schema.json"


def result(value, metric=MetricType.ADJUSTED_RAND_INDEX, **more):
    return MetricResult(metric_type=metric, value=value, **more)


def make_record(**more):
    scores = [
        Score.of("clustering", "ours", [result(0.5), result(0.7)]),
        Score.of("clustering", "baseline", [result(0.4), result(0.3)]),
        Score.of("clustering", "other", [result(math.nan, reason="one cluster"), result(0.1)]),
    ]
    return RunRecord(
        result_metrics=scores,
        run_specification=RunSpecification(random_seeds=[1, 2]),
        runtime_metrics=RuntimeMetrics(elapsed_time_secs=1.5),
        **more,
    )


def test_several_seeds_are_mean_deviation_and_raw_values():
    ours, _, other = make_record().result_metrics
    assert (ours.value, ours.values_raw, ours.n_values) == (pytest.approx(0.6), [0.5, 0.7], 2)
    assert ours.value_std_dev == pytest.approx(statistics.stdev([0.5, 0.7]))
    assert (other.value, other.n_values, other.value_std_dev, other.reason) == (0.1, 1, None, "one cluster")
    assert not make_record().complete
    assert [one.value for one in ours.results] == [0.5, 0.7]


def undefined():
    found = result(math.nan, reason="no label is isolated")
    found._undefined = True
    return found


@pytest.mark.parametrize(
    ("results", "failed"),
    [
        ([result(0.5)], False),
        ([undefined()], False),
        ([undefined(), result(0.5)], False),
        ([result(math.nan, reason="bad input")], True),
        ([result(math.nan)], True),
        ([result(math.inf)], True),
        ([result(0.5), result(math.nan, reason="seed 2: no memory")], True),
        ([undefined(), result(math.nan, reason="bad input")], True),
    ],
)
def test_what_failed_is_kept_in_the_file(results, failed, tmp_path):
    record = RunRecord(result_metrics=[Score.of("t", "e", results)])
    assert record.failed == failed
    back = RunRecord.read(record.write(tmp_path / "run.json"))
    assert back == record
    assert back.failed == failed
    # Files of before there was a difference: whatever has no value failed.
    old = record.to_dict()
    del old["result_metrics"][0]["failed"]
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert RunRecord.read(tmp_path / "old.json").failed == (not record.complete)


def test_a_task_that_gave_nothing_failed():
    assert RunRecord(failures=[{"task": "clustering", "reason": "bad"}]).failed


def test_one_seed_keeps_its_bits():
    value = 0.1 + 0.2
    assert Score.of("t", "e", [result(value)]).value == value


def test_frame_puts_the_baseline_beside():
    frame = make_record().to_frame()
    assert list(frame["baseline"].round(3).fillna(-1)) == [0.35, -1, 0.35]
    assert frame["difference"].iloc[0] == pytest.approx(0.25)
    assert list(frame["values_raw"].iloc[0]) == [0.5, 0.7]
    assert frame["key"].is_unique
    assert frame["key"].iloc[0] == "clustering|ours|adjusted_rand_index()"


def test_frame_of_one_seed_without_baseline_is_plain():
    record = RunRecord(result_metrics=[Score.of("t", "e", [result(0.5)])] * 2)
    assert list(record.to_frame().columns) == ["task", "embedding", "metric", "value", "reason", "note", "key"]
    assert record.to_frame()["key"].is_unique
    assert list(RunRecord().to_frame().columns) == list(record.to_frame().columns)


def test_scores_of_the_same_metric_and_parameters_are_matched_in_order():
    ours = [Score.of("t", "e", [result(value)]) for value in (0.5, 0.6)]
    base = [Score.of("t", "baseline", [result(value)]) for value in (0.1, 0.2)]
    frame = RunRecord(result_metrics=[*ours, *base]).to_frame()
    assert list(frame["difference"].iloc[:2].round(9)) == [0.4, 0.4]
    assert "difference" not in RunRecord(result_metrics=base).to_frame()


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinity_is_no_value(value):
    for several in ([value], [value, 0.5, value]):
        score = Score.of("t", "e", [result(one) for one in several])
        assert score.n_values == len(several) - several.count(value)
        assert "inf" in score.reason
        assert not RunRecord(result_metrics=[score]).complete


def test_what_a_task_of_somebodys_own_gives_is_made_plain(tmp_path):
    odd = {"n": np.int64(3), "x": np.arange(2.0), "nan": math.nan, "set": {1}, "path": tmp_path, "in": {4: "four"}}
    record = RunRecord(result_metrics=[Score.of("t", "e", [result(0.5, details=odd, params={"k": np.float32(0.5)})])])
    back = RunRecord.read(record.write(tmp_path / "run.json")).result_metrics[0]
    assert back.details == {"n": 3, "x": [0, 1], "nan": None, "set": [1], "path": str(tmp_path), "in": {"4": "four"}}
    assert back.params == {"k": 0.5}


def test_names_that_are_no_text_are_written(tmp_path):
    record = make_record(warnings=["caf\udce9"])
    assert RunRecord.read(record.write(tmp_path / "run.json")).warnings == ["caf\udce9"]


def test_special_files_and_links(tmp_path):
    for special in ("/dev/stdout", "/dev/full"):
        with pytest.raises(ValueError, match="another file"):
            make_record().write(special)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="another file"):
        make_record().write(tmp_path / "pipe")
    (tmp_path / "link.json").symlink_to("run.json")
    make_record().write(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert RunRecord.read(tmp_path / "run.json").warnings == []
    make_record().write(tmp_path / ("r" * 250 + ".json"))
    with pytest.raises(ValueError, match="existing home"):
        make_record().write("~nobody_at_all/run.json")


def test_round_trip(tmp_path):
    record = make_record(failures=[Failure(task="embedding", embedding="ours", reason="No.")], warnings=["w"])
    path = record.write(tmp_path / "run.json")
    assert list(tmp_path.iterdir()) == [path]
    back = RunRecord.read(path)
    assert back.to_dict() == record.to_dict()
    pd.testing.assert_frame_equal(back.to_frame(), record.to_frame())
    assert math.isnan(back.result_metrics[2].values_raw[0])
    assert "NaN" not in path.read_text()


def test_files_follow_the_published_schema(tmp_path):
    schema = json.loads(SCHEMA.read_text())
    assert schema == RunRecord.json_schema(), f"write json.dumps(RunRecord.json_schema(), indent=2) to {SCHEMA}"
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    content = json.loads(make_record().write(tmp_path / "run.json").read_text())
    validator.validate(content)
    for field in (
        "schema_version", "timestamp", "czbenchmarks_version", "environment", "run_specification", "result_metrics",
        "runtime_metrics", "warnings", "failures",
    ):  # fmt: skip
        assert field in content
    assert {"interval", "breakdowns", "metric_type", "value", "params", "reason", "counts"} <= set(
        content["result_metrics"][0]
    )
    assert not validator.is_valid({})
    assert czbenchmarks.__version__ not in SCHEMA.read_text()
    content["result_metrics"][0]["value"] = "high"
    assert not validator.is_valid(content)


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_records_of_every_released_schema_load(path, tmp_path):
    stored = json.loads(path.read_text())
    record = RunRecord.read(path)
    assert record.schema_version == 1
    assert len(record.result_metrics) == len(stored["result_metrics"])
    for score, row in zip(record.result_metrics, stored["result_metrics"], strict=True):
        assert (score.task, score.embedding, score.metric_type, score.value) == (
            row["task"], row["embedding"], row["metric_type"], row["value"],
        )  # fmt: skip
    assert record.run_specification.random_seeds == [42]
    assert "embedding" in record.run_specification.tasks
    assert RunRecord.read(record.write(tmp_path / "new.json")).to_dict() == record.to_dict()


def test_there_are_old_records():
    assert [path.stem for path in OLD] == ["v0", "v1"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must be JSON"),
        ("{", "must be JSON"),
        ("[" * 100_000, "must be JSON"),
        ("[1, 2]", "no record of a run"),
        ("{}", "no record of a run"),
        ('{"result_metrics": [], "schema_version": 2}', "upgrade cz-benchmarks"),
        ('{"result_metrics": [], "schema_version": "one"}', "must be a whole number"),
        ('{"result_metrics": [], "schema_version": true}', "must be a whole number"),
        ('{"result_metrics": [], "schema_version": 1}', "without timestamp and czbenchmarks_version"),
        ('{"result_metrics": [{"task": "t"}], "schema_version": 1}', "must be complete"),
        ('{"result_metrics": [3]}', "must be complete"),
        ('{"result_metrics": [{"value": 1}]}', "must be complete"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path, text, says):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        RunRecord.read(tmp_path / "run.json")
    assert "\n" not in str(caught.value)


def test_missing_and_binary_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        RunRecord.read(tmp_path / "none.json")
    (tmp_path / "binary.json").write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match="must be JSON"):
        RunRecord.read(tmp_path / "binary.json")


def test_a_record_replaces_a_record_and_nothing_else(tmp_path):
    mine = tmp_path / "embedding.npy"
    mine.write_bytes(b"\x93NUMPY")
    with pytest.raises(ValueError, match="must not replace another file"):
        make_record().write(mine)
    assert mine.read_bytes() == b"\x93NUMPY"
    with pytest.raises(ValueError, match="is a folder"):
        make_record().write(tmp_path)
    with pytest.raises(ValueError, match="existing folder"):
        make_record().write(tmp_path / "no" / "run.json")
    path = make_record().write(tmp_path / "run.json")
    make_record(warnings=["second"]).write(path)
    assert RunRecord.read(path).warnings == ["second"]


def test_a_failed_write_leaves_the_old_record(tmp_path, monkeypatch):
    path = make_record().write(tmp_path / "run.json")
    before = path.read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match="No space left"):
        make_record(warnings=["new"]).write(path)
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_metrics_and_fields_of_a_record_load(tmp_path):
    content = make_record().to_dict()
    content["result_metrics"][0]["metric_type"] = "somebodys_own"
    content["later_field"] = 1
    (tmp_path / "run.json").write_text(json.dumps(content))
    assert RunRecord.read(tmp_path / "run.json").result_metrics[0].metric_type == "somebodys_own"


ESTIMATED = {"estimated_from": 1500, "standard_error": 0.00236}


@pytest.mark.parametrize(
    ("details", "said"),
    [
        (None, None),
        ({"n_neighbors": 15}, None),
        (ESTIMATED, "estimated from 1,500 cells, standard error 0.0024"),
        ({"neighbors": "approximate", "neighbors_recall": 0.9733}, "approximate neighbours, recall 0.973"),
        ({"neighbors": "given"}, "neighbours given"),
        ({"engine": "fast", "forest": "czbenchmarks"}, "fast engine"),
        ({**ESTIMATED, "note": "two ties"}, "estimated from 1,500 cells, standard error 0.0024; two ties"),
    ],
)
def test_the_frame_says_how_a_score_was_computed(details, said):
    one = result(0.5)
    one.details = details
    frame = RunRecord(result_metrics=[Score.of("t", "e", [one])]).to_frame()
    assert frame["note"].to_list() == [said]


def test_a_breakdown_goes_by_every_name_of_its_metric():
    row = {"label": "B", "score": 0.5}
    kbet = MetricResult(metric_type=MetricType.KBET, value=0.5)
    kbet._breakdowns = [row]
    record = RunRecord(result_metrics=[Score.of("batch_integration", "ours", [kbet])])
    for name in ("kbet", "KBET", "kbet_per_label"):
        assert record.breakdown(name)["score"].tolist() == [0.5]
    for name in ("kbbet", "scib", "ilisi"):
        with pytest.raises(ValueError, match=f"Breakdown '{name}' is not in the run.*Available: kbet"):
            record.breakdown(name)


def test_the_table_of_a_check_that_nobody_asked_for():
    with pytest.raises(ValueError, match="Check 'resolution_curve' must be asked for when scoring"):
        make_record().check_table("resolution_curve")
