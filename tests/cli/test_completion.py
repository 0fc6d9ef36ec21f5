"""What the Tab key completes, asked in the way shells ask and in a real bash."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from czbenchmarks.cli import completion
from czbenchmarks.cli.main import COMMANDS, main
from czbenchmarks.datasets.utils import list_available_datasets
from czbenchmarks.metrics.types import MetricType
from czbenchmarks.tasks import TASK_REGISTRY

START = "import sys; from czbenchmarks.cli.main import main; main()"


def complete(line, code=START):
    """Return what bash would offer for the last word of a line."""
    words = line.split(" ")
    environment = {
        **os.environ,
        "_CZBENCHMARKS_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert found.stderr == ""
    return found.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("czbenchmarks ", [name for section in COMMANDS.values() for name in section]),
        ("czbenchmarks ru", ["run"]),
        ("czbenchmarks --q", ["--quiet"]),
        ("czbenchmarks -ll deb", ["debug"]),
        ("czbenchmarks list m", ["metrics"]),
        ("czbenchmarks list metrics -f j", ["json"]),
        ("czbenchmarks run ", TASK_REGISTRY.list_tasks()),
        ("czbenchmarks run cross-species_l", ["cross-species_label_prediction"]),
        ("czbenchmarks run clustering --input", ["--input-labels"]),
        ("czbenchmarks run -q clustering --input", ["--input-labels"]),
        ("czbenchmarks run clustering --flavor i", ["igraph"]),
        ("czbenchmarks run clustering --metrics scib-", ["scib-fast"]),
        (
            "czbenchmarks run clustering --metrics all,published,kmeans",
            ["all,published,kmeans_nmi", "all,published,kmeans_ari"],
        ),
        ("czbenchmarks completion ", ["bash", "zsh", "fish"]),
        ("czbenchmarks run clusterng --i", []),
    ],
)
def test_words_are_completed(line, offered):
    assert complete(line) == [f"plain,{name}" for name in offered]


def test_completing_a_command_imports_none():
    code = (
        "import sys; from czbenchmarks.cli.main import main\n"
        "try: main()\n"
        "finally: print([m for m in ('numpy', 'rich', 'czbenchmarks.cli.run') if m in sys.modules])"
    )
    assert complete("czbenchmarks ru", code) == ["plain,run", "[]"]


def items(found):
    return [(item.type, item.value) for item in found]


def test_sources():
    assert items(completion.task_items("batch-i")) == [("plain", "batch_integration")]
    assert items(completion.task_items("")) == [("plain", key) for key in TASK_REGISTRY.list_tasks()]
    assert items(completion.metric_items("adjusted_r")) == [("plain", MetricType.ADJUSTED_RAND_INDEX.value)]
    assert {value for _, value in items(completion.data_set_items(""))} == set(list_available_datasets())
    assert items(completion.file_items("da")) == [("file", "da")]
    assert all(item.help for item in [*completion.task_items(""), *completion.metric_items("")])


def test_completers_of_options():
    context, option = click.Context(main), click.Option(["-x"])
    name = next(iter(list_available_datasets()))
    assert items(completion.complete_files(context, option, "cel")) == [("file", "cel")]
    assert ("plain", name) in items(completion.complete_data_sets(context, option, name[:3]))
    assert items(completion.complete_anything(context, option, "batch_i")) == [("plain", "batch_integration")]
    assert items(completion.complete_anything(context, option, "./cells")) == [("file", "./cells")]


def test_info_completes_what_it_takes():
    assert complete("czbenchmarks info batch_i") == ["plain,batch_integration"]
    assert complete("czbenchmarks info ./cel") == ["file,./cel"]


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_the_script_is_printed(shell):
    result = CliRunner().invoke(main, ["completion", shell])
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"_CZBENCHMARKS_COMPLETE={shell}_complete" in result.stdout
    assert shell in CliRunner().invoke(main, ["completion", "--help"]).stdout
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=result.stdout, text=True, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_in_a_real_bash(tmp_path):
    program = tmp_path / "czbenchmarks"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{START}' \"$@\"\n", encoding="utf-8")
    program.chmod(0o755)
    typed = """
        eval "$(czbenchmarks completion bash)"
        COMP_WORDS=(czbenchmarks run clusteri); COMP_CWORD=2
        _czbenchmarks_completion czbenchmarks run clusteri
        printf '%s\\n' "${COMPREPLY[@]}"
        complete -p czbenchmarks
    """
    found = subprocess.run(
        ["bash", "--norc", "-c", typed],
        env={**os.environ, "PATH": os.pathsep.join([str(tmp_path), os.environ["PATH"]])},
        cwd=pathlib.Path.home(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stderr == ""
    assert found.stdout.splitlines() == [
        "clustering",
        "complete -o nosort -F _czbenchmarks_completion czbenchmarks",
    ]
