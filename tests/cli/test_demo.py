"""``czbenchmarks demo``: every task, three embeddings in the right order, and files that repeat every number."""

import hashlib
import json
import math
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from click.testing import CliRunner

from czbenchmarks.cli import demo
from czbenchmarks.cli._studies import EMBEDDINGS, STUDIES, write_whole
from czbenchmarks.cli.main import main
from czbenchmarks.results import RunRecord
from czbenchmarks.tasks.registry import _BUILT_IN

MIXING = {"entropy_per_cell", "batch_silhouette"}
SLOW = {"label_prediction", "cross-species_label_prediction"}


def refuse(*args, **kwargs):
    raise AssertionError("the demo must not need a network")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return the records of a demo with few cells, the folder it ran in and the one it made."""
    here = tmp_path_factory.mktemp("demo")
    folder = Path("made here")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setattr(socket.socket, "connect", refuse)
        records = demo.run(folder, random_seed=7, most_cells=240)
    return records, here, folder


def values(records):
    """Return task and metric of the table -> the three values, unrounded."""
    found = {}
    for study in STUDIES:
        for score in records[study.name].result_metrics:
            found.setdefault((score.task, score.metric_type), {}).setdefault(score.embedding, []).append(score)
    return {key: {name: demo._mean(scores) for name, scores in by.items()} for key, by in found.items()}


def test_every_task_is_scored_without_a_gap(small):
    records, _, _ = small
    scored = [task for study in STUDIES for task in study.tasks]
    assert sorted(scored) == sorted(_BUILT_IN)
    assert all(record.complete for record in records.values())
    for by in values(records).values():
        assert tuple(by) == EMBEDDINGS


def assert_controls_bracket(found, metrics_of_mixing):
    for (task, metric), by in found.items():
        if metric in metrics_of_mixing:
            # Cells at random are mixed: only the knowing control shows that mixing and cell types go together.
            assert by["perfect"] > 0.9
            continue
        assert by["perfect"] > by["PCA"] > by["shuffled"], (task, metric, by)
        assert by["perfect"] > 0.85, (task, metric, by)


def test_perfect_beats_pca_beats_shuffled(small):
    found = values(small[0])
    assert_controls_bracket(found, MIXING)
    assert found["cross-species_integration", "batch_silhouette"]["PCA"] < 0.8
    assert abs(found["perturbation_expression_prediction", "spearman_correlation_calculation"]["shuffled"]) < 0.35


def test_files_are_those_named_and_nothing_half_written(small):
    records, here, folder = small
    names = {path.name for path in (here / folder).iterdir()}
    listed = json.loads((here / folder / demo.MANIFEST).read_text())["files"]
    assert names == {demo.MANIFEST, *listed}
    assert all(hashlib.sha256((here / folder / name).read_bytes()).hexdigest() == of for name, of in listed.items())
    for study in STUDIES:
        assert RunRecord.read(here / folder / study.record).to_dict() == records[study.name].to_dict()
        assert records[study.name].run_specification.random_seeds == [7]
        for name in study.data:
            cells = ad.read_h5ad(here / folder / f"{name}.h5ad")
            for kind in EMBEDDINGS:
                assert len(np.load(here / folder / f"{name}_{kind.lower()}.npy")) == cells.n_obs
            assert ("simulated" in cells.uns) == ("SIMULATED" in study.about) == name.startswith("simulated")


def test_species_share_their_types(small):
    _, here, folder = small
    types = [
        set(ad.read_h5ad(here / folder / f"{name}_shared.h5ad").obs["cell_type"].unique())
        for name in ("human", "mouse")
    ]
    assert types[0] == types[1]
    assert len(types[0]) >= 3


def commands(here, folder):
    lines = (here / folder / demo.COMMANDS).read_text().splitlines()
    return [shlex.split(line) for line in lines if not line.startswith("#")]


def assert_commands_repeat(records, here, folder, monkeypatch, tasks):
    monkeypatch.chdir(here)
    repeated = 0
    for program, *words in commands(here, folder):
        task = words[1]
        if task not in tasks:
            continue
        assert program.endswith("czbenchmarks")
        done = CliRunner().invoke(main, [*words, "-f", "json"])
        assert done.exit_code == 0, done.output
        [record] = [record for study in STUDIES if task in study.tasks for record in [records[study.name]]]
        expected = {(s.task, s.embedding, s.metric_type, str(s.params)): s.value for s in record.result_metrics}
        for row in json.loads(done.stdout)["result_metrics"]:
            assert row["value"] == expected[row["task"], row["embedding"], row["metric_type"], str(row["params"])]
            repeated += 1
    assert repeated == sum(score.task in tasks for record in records.values() for score in record.result_metrics)


def test_commands_repeat_every_number(small, monkeypatch):
    records, here, folder = small
    assert_commands_repeat(records, here, folder, monkeypatch, set(_BUILT_IN) - SLOW)


@pytest.mark.long
def test_slow_commands_repeat_every_number(small, monkeypatch):
    records, here, folder = small
    assert_commands_repeat(records, here, folder, monkeypatch, SLOW)


def shown(text):
    """Return the commands that are printed, their lines joined."""
    return [
        shlex.split(line.strip())
        for line in re.sub(r" \\\n +", " ", text).splitlines()
        if line.startswith("  ") and "czbenchmarks " in line
    ]


def assert_reads_well(text):
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    for task in _BUILT_IN:
        assert any(line.split()[:1] == [task] for line in lines), f"{task} is folded or missing"
    assert text.count("SIMULATED") == 2
    for metric in demo.SHOWN:
        assert any(line.split()[:1] == [metric] for line in lines), f"{metric} is folded or missing"


def test_printed_table(small, monkeypatch, capsys):
    records, here, folder = small
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "argv", ["czbenchmarks"])
    demo.print_demo(records, folder, 7, 12.3)
    text = capsys.readouterr().out
    assert_reads_well(text)
    rows = {tuple(row[:2]): row for row in demo.table(records)}
    ari = values(records)["clustering", "adjusted_rand_index"]
    assert rows["  adjusted_rand_index", ""] == [
        "  adjusted_rand_index", "", "1", *(f"{ari[name] + 0.0:.2f}".replace("-0.00", "0.00") for name in EMBEDDINGS)
    ]  # fmt: skip
    assert rows["  mean_fold_f1", "mean of 3 classifiers"][2] == "1"
    assert ("  f1", "across species, mean of 3") in rows
    assert ("  mean_fold_f1", "within species, mean of 3") in rows
    assert ("  spearman_correlation_calculation", "mean of 4 conditions") in rows
    # What it says to type next works, with the demo's files in the place of one's own.
    own = {
        "YOUR_CELLS.h5ad": str(folder / "human.h5ad"),
        "YOUR_EMBEDDING.npy": str(folder / "human_pca.npy"),
        "COLUMN": "cell_type",
    }
    typed = shown(text)
    assert [words[1] for words in typed] == ["run", "info", "run", "list"]
    for words in typed:
        done = CliRunner().invoke(main, [own.get(word, word) for word in words[1:]])
        assert done.exit_code == 0, done.output


def test_table_on_a_narrow_terminal(small, monkeypatch, capsys):
    monkeypatch.setattr("czbenchmarks.cli.output.table_width", lambda: 80)
    monkeypatch.setenv("COLUMNS", "80")
    demo.print_demo(small[0], small[2], 7, 12.3)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(" ")]
    start = next(i for i, line in enumerate(rows) if line.split()[:1] == ["clustering"])
    assert rows[start + 1].strip() == "human pancreas, cell types"
    assert rows[start + 2].split()[:2] == ["adjusted_rand_index", "1"]
    wide = demo.table(small[0])
    columns, narrow = demo._narrow(["Task and metric", "Cells", "Best", *EMBEDDINGS], wide)
    widths = [max(map(len, column)) for column in zip(columns, *narrow, strict=True)]
    assert sum(widths) + 3 * len(widths) <= 80
    assert [row for row in narrow if any(row[1:])] == [row[:1] + row[2:] for row in wide if any(row[2:])]
    assert {row[1] for row in wide} - {""} == {row[0].strip() for row in narrow} & {row[1] for row in wide}


def test_mean_is_over_classifiers_and_pairs():
    class Score:
        def __init__(self, value, **params):
            self.value, self.params = value, params

    assert demo._mean([Score(0.2, condition="a"), Score(0.4, condition="b")]) == pytest.approx(0.3)
    assert demo._mean([Score(0.1, classifier="lr"), Score(0.5, classifier="MEAN(lr)")]) == 0.5
    assert math.isnan(demo._mean([]))
    assert demo._number(-0.001) == "0.00"
    assert demo._number(math.nan) == "none"


def finish(folder, names=("a.txt",)):
    with demo.claimed(folder, [demo.MANIFEST, *names]):
        for name in names:
            write_whole(folder / name, lambda part: part.write_text("done"))


def content(folder):
    return sorted(path.name for path in folder.iterdir())


def test_new_empty_and_earlier_folders_are_taken(tmp_path):
    folder = tmp_path / "deep" / "demo"
    finish(folder, ["a.txt", "b.txt"])
    assert content(folder) == ["a.txt", "b.txt", demo.MANIFEST]
    finish(folder, ["a.txt", "c.txt"])
    assert content(folder) == ["a.txt", "c.txt", demo.MANIFEST]
    (tmp_path / "empty").mkdir()
    finish(tmp_path / "empty")
    assert content(tmp_path / "empty") == ["a.txt", demo.MANIFEST]


def test_what_a_killed_demo_left_is_taken(tmp_path):
    finish(tmp_path / "demo", ["human.h5ad"])
    (tmp_path / "demo" / ".human.part.h5ad").write_text("half")
    (tmp_path / "demo" / ".human.h5ad.x1y2.part").write_text("half")
    finish(tmp_path / "demo", ["human.h5ad"])
    assert content(tmp_path / "demo") == [demo.MANIFEST, "human.h5ad"]


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        "{",
        "[]",
        '{"what": "mine", "files": {"thesis.tex": null}}',
        '{"what": "written by czbenchmarks demo", "files": "thesis.tex"}',
        '{"what": "written by czbenchmarks demo", "files": {"../precious.txt": null, "a.txt": null}}',
    ],
)
def test_other_files_are_left_alone(tmp_path, manifest):
    (tmp_path / "precious.txt").write_text("mine")
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    if manifest is not None:
        (folder / demo.MANIFEST).write_text(manifest)
    with pytest.raises(ValueError, match=r"`--output` must be a new or empty folder .*thesis\.tex"):
        finish(folder)
    assert (folder / "thesis.tex").read_text() == "mine"
    assert (tmp_path / "precious.txt").read_text() == "mine"
    assert "a.txt" not in content(folder)
    (folder / "thesis.tex").unlink()
    if manifest and "precious" in manifest:
        finish(folder)
        assert (tmp_path / "precious.txt").read_text() == "mine"


class Killed(BaseException):
    """Stands for a process that ends between two steps."""


def moments(monkeypatch, folder, stop_at):
    """Let the work on a folder end before its nth move, removal or writing of a file; return how many there were."""
    seen = [0]

    def counted(real):
        def step(*arguments, **more):
            seen[0] += 1
            if seen[0] >= stop_at:  # a dead process cleans up nothing
                raise Killed
            return real(*arguments, **more)

        return step

    for owner, name in ((os, "replace"), (Path, "unlink"), (Path, "rmdir"), (Path, "mkdir"), (Path, "write_text")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    return seen


def write_all(folder, text, names=("a.txt", "b.txt")):
    with demo.claimed(folder, [demo.MANIFEST, *names]):
        for name in names:
            write_whole(folder / name, lambda part: part.write_text(text))


def whole(folder, text, names=("a.txt", "b.txt")):
    """Say whether all files hold the text, those of an earlier demo beside them or not."""
    kept = folder / ".earlier_demo"
    places = [[folder] * len(names), [kept if (kept / name).exists() else folder for name in names]]
    there = [[place / name for place, name in zip(one, names, strict=True)] for one in places]
    return any(all(path.exists() and path.read_text() == text for path in paths) for paths in there)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_stopped_demo_gives_back_the_one_before(tmp_path, error):
    write_all(tmp_path, "first")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def stopped():
        with demo.claimed(tmp_path, [demo.MANIFEST, "a.txt", "c.txt"]):
            (tmp_path / "a.txt").write_text("second")
            raise error

    with pytest.raises(error):
        stopped()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


DEAF = """
import time
from pathlib import Path
from czbenchmarks.cli import _signals, demo
_signals.take()
with demo.claimed(Path("demo"), [demo.MANIFEST, "a.txt", "human.h5ad"]):
    Path("demo/a.txt").write_text("second")
    Path("demo/.human.part.h5ad").write_text("half")
    try:
        print("ready", flush=True)
        time.sleep(20)
    except KeyboardInterrupt:  # as some libraries do
        time.sleep(20)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("earlier", [True, False])
def test_ctrl_c_that_a_library_does_not_hear(tmp_path, start, earlier):
    folder = tmp_path / "demo"
    if earlier:
        write_all(folder, "first")
    process = start([sys.executable, "-c", DEAF], cwd=tmp_path, stdout=-1, stderr=-1, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130
    assert folder.exists() == earlier
    if earlier:
        assert content(folder) == ["a.txt", "b.txt", demo.MANIFEST]
        assert whole(folder, "first")


def test_a_demo_killed_at_any_moment_loses_nothing(tmp_path):
    stop_at = 0
    while True:
        stop_at += 1
        folder = tmp_path / str(stop_at)
        write_all(folder, "first")
        with pytest.MonkeyPatch.context() as patch:
            moments(patch, folder, stop_at)
            try:
                write_all(folder, "second")
                break
            except Killed:
                pass
        assert whole(folder, "first") or whole(folder, "second"), stop_at
        with pytest.raises(ZeroDivisionError), demo.claimed(folder, [demo.MANIFEST, "a.txt"]):
            raise ZeroDivisionError
        assert content(folder) == ["a.txt", "b.txt", demo.MANIFEST], stop_at
        assert whole(folder, "first") or whole(folder, "second"), stop_at
        write_all(folder, "third")
        assert content(folder) == ["a.txt", "b.txt", demo.MANIFEST], stop_at
        assert whole(folder, "third")
    assert stop_at > 15


def test_changed_files_are_not_overwritten(tmp_path):
    write_all(tmp_path, "first")
    (tmp_path / "b.txt").write_text("my notes")
    with pytest.raises(ValueError, match=r"as the demo wrote them, .* changed \(b\.txt\); choose another, or move"):
        write_all(tmp_path, "second")
    assert (tmp_path / "b.txt").read_text() == "my notes"
    assert (tmp_path / "a.txt").read_text() == "first"
    (tmp_path / "b.txt").unlink()
    write_all(tmp_path, "second")
    assert whole(tmp_path, "second")


def test_file_and_read_only_folder_are_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="must be a folder, got the file"):
        finish(tmp_path / "file")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ValueError, match="must be a folder that can be written"):
        finish(tmp_path / "new" / "demo")
    assert content(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("exists", [False, True])
def test_stopping_leaves_nothing(tmp_path, monkeypatch, error, exists):
    folder = tmp_path / "demo"
    if exists:
        folder.mkdir()

    def stop(path, **rest):
        write_whole(path / "human.h5ad", lambda part: part.write_text("done"))

        def half(part):
            part.write_text("half")
            raise error("stopped")

        write_whole(path / "human_pca.npy", half)

    monkeypatch.setattr("czbenchmarks.cli._studies.prepare", stop)
    with pytest.raises(error):
        demo.run(folder)
    assert folder.exists() == exists
    assert not exists or content(folder) == []


def test_command_refuses_in_one_line(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    done = CliRunner().invoke(main, ["demo", "-o", str(tmp_path)])
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: `--output` must be a new or empty folder")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_help_says_what_it_does():
    done = CliRunner().invoke(main, ["demo", "--help"])
    assert done.exit_code == 0
    assert "czbenchmarks demo -o demo" in done.stdout
    assert "simulated" in done.stdout


def test_program_is_named_as_the_shell_finds_it(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "czbenchmarks"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert demo._program() == os.path.join("bin", "czbenchmarks")
    monkeypatch.setenv("PATH", str(program.parent))
    assert demo._program() == "czbenchmarks"
    monkeypatch.setattr(sys, "argv", ["-c"])
    assert demo._program() == "czbenchmarks"


def test_long_command_is_broken_between_options():
    words = ["czbenchmarks", "run", "clustering", "-u", "x" * 40, "-c", "a b", "--input-labels", "y" * 40, "-B"]
    text = demo._broken(words)
    assert all(len(line) <= 100 for line in text.splitlines())
    assert "-u xxx" in text
    assert "-c 'a b'" in text
    assert shlex.split(text.replace("\\\n", "")) == words


@pytest.mark.long
def test_whole_demo_as_a_user_runs_it(tmp_path):
    """All cells, in a process of its own, with no cache folder to write to and no network address that answers."""
    environment = {
        **os.environ,
        "HOME": str(tmp_path / "home"),
        "CZBENCHMARKS_CACHE": str(tmp_path / "cache"),
        "https_proxy": "http://127.0.0.1:9",
        "COLUMNS": "100",
    }
    started = time.perf_counter()
    done = subprocess.run(
        [str(Path(sys.executable).with_name("czbenchmarks")), "demo", "-o", "demo"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - started < 120
    assert_reads_well(done.stdout)
    records = {study.name: RunRecord.read(tmp_path / "demo" / study.record) for study in STUDIES}
    found = values(records)
    assert_controls_bracket(found, MIXING)
    for task in ("batch_integration", "cross-species_integration"):
        assert found[task, "batch_silhouette"]["perfect"] > found[task, "batch_silhouette"]["PCA"]
        assert found[task, "entropy_per_cell"]["perfect"] > found[task, "entropy_per_cell"]["PCA"]
