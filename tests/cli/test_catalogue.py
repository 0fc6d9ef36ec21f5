"""``czbenchmarks``, ``--version`` and ``list``."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

import czbenchmarks
from czbenchmarks.cli.main import main
from czbenchmarks.datasets import list_available_datasets
from czbenchmarks.datasets.download.cache import Info, digest, name_of, remember
from czbenchmarks.metrics.types import MetricType
from czbenchmarks.tasks import TASK_REGISTRY


def run(*words):
    return CliRunner().invoke(main, list(words))


def test_version():
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"czbenchmarks, version {czbenchmarks.__version__}\n")


def test_alone_it_shows_the_help():
    result = run()
    assert result.exit_code == 0
    assert result.stdout == run("--help").stdout
    assert "list" in result.stdout and "run" in result.stdout  # noqa: PT018


def test_list_tasks():
    rows = json.loads(run("list", "tasks", "-f", "json").stdout)
    assert [row["key"] for row in rows] == TASK_REGISTRY.list_tasks()
    for row in rows:
        info = TASK_REGISTRY.get_task_info(row["key"])
        assert (row["name"], row["description"]) == (info.display_name, info.description)
        assert row["data_sets"] == ("several" if info.requires_multiple_datasets else "one")
    table = run("list", "tasks").stdout
    assert all(row["key"] in table for row in rows)
    assert max(map(len, table.splitlines())) <= 100


def test_list_metrics():
    rows = json.loads(run("list", "metrics", "--format", "json").stdout)
    assert {row["name"] for row in rows} == {metric.value for metric in MetricType}
    row = next(row for row in rows if row["name"] == "mean_squared_error")
    assert (row["range"], row["best"]) == ([0, None], 0)
    assert "adjusted_rand_index" in run("list", "metrics").stdout


def test_list_datasets(cache):
    rows = json.loads(run("list", "datasets", "-f", "json").stdout)
    assert {row["name"]: {"organism": row["organism"], "url": row["url"]} for row in rows} == list_available_datasets()
    assert {row["where"] for row in rows} == {"here", "to download"}
    table = run("list", "datasets").stdout
    assert all(f" {row['name']} " in table for row in rows), "names are whole, so that they can be copied"
    assert max(map(len, table.splitlines())) <= 100
    assert "Here already: baron_pancreas_human, baron_pancreas_mouse." in table
    address = next(row["url"] for row in rows if row["name"] == "tsv2_ear")
    cache.mkdir()
    file = cache / name_of(address)
    file.write_bytes(b"123")
    remember(file, Info(address, digest(address), 3))
    assert "Here already: baron_pancreas_human, baron_pancreas_mouse, tsv2_ear." in run("list", "datasets").stdout
    file.write_bytes(b"12")
    assert "tsv2_ear." not in run("list", "datasets").stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["list", "task"], "'task' is not one of 'tasks', 'metrics', 'datasets'"),
        (["list"], "Missing argument"),
        (["lst"], "No such command 'lst'"),
        (["--colour"], "No such option"),
        (["list", "tasks", "-f", "xml"], "'xml' is not one of"),
        (["list", "tasks", "--details"], "--details is for metrics, got tasks; see czbenchmarks info NAME."),
        (["list", "datasets", "--details", "-f", "json"], "--details is for metrics, got datasets"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(words, sentence):
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert sentence in result.stderr


@pytest.mark.parametrize(
    "words", [["list", "tasks"], ["list", "metrics"], ["list", "datasets"], ["--version"], ["run", "--help"]]
)
def test_what_only_lists_imports_nothing_heavy(words):
    code = (
        "import sys; from czbenchmarks.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(sorted({m.split('.')[0] for m in sys.modules} & {'numpy', 'pandas', 'pydantic', 'anndata', "
        "'scipy', 'sklearn', 'scanpy', 'h5py', 'fsspec', 'aiohttp'}), file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert found.stderr == "[]\n"


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -c 'from czbenchmarks.cli.main import main; main()' list metrics -f json | head -c 10"
    found = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert (found.stdout[0], found.stderr) == ("[", "")
