"""Every command and every import that the documentation shows is executed, and what it shows is what comes out."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import generated
import pages
import pytest
from pages import NOT_RUN, ROOT, RUN, VCP, Block, Close, blocks, commands

import czbenchmarks
from czbenchmarks.testing import noise_embedding, simulate_screen, simulate_time_course

PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md",
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts),
]  # fmt: skip
SHOWN_ONLY = ("text", "json", "yaml")


@pytest.mark.long  # `make docs` runs it
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_is_what_happens(page):
    if not any(block.language in RUN for block in blocks(page)):
        return
    done = subprocess.run([sys.executable, pages.__file__, str(page)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not VCP, reason="needs vcp-cli: CZBENCHMARKS_VCP is the path of its program `vcp`")
def test_the_client_is_there():
    assert VCP is not None
    assert os.access(VCP, os.X_OK)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_run_or_plainly_text(page):
    for block in blocks(page):
        where = f"{page}:{block.line}"
        language = block.language
        assert language in (*RUN, *SHOWN_ONLY) or language.startswith("{") or "save" in block.notes, where
        if language == "text":
            assert not re.search(r"^(\$|>>>|czbenchmarks|vcp|make|pip|python) ", block.text, re.MULTILINE), where
        if language == "console":
            assert block.text.startswith("$ "), where


def test_what_is_not_run_is_still_shown():
    shown = {command for page in PAGES for block in blocks(page) if block.language in RUN[1:]
             for command, _ in commands(block)}  # fmt: skip
    assert set(NOT_RUN) <= shown


def inline(pattern: str) -> set[str]:
    return {
        " ".join(found.split())
        for page in PAGES
        for found in re.findall(rf"(?<!`)`({pattern}[^`]*)`(?!`)", page.read_text(encoding="utf-8"))
    }


@pytest.mark.parametrize("command", sorted(inline("czbenchmarks ")))
def test_a_command_in_a_sentence_exists(command):
    from czbenchmarks.cli.main import main

    words = shlex.split(command.replace("…", "").replace("TASK", "clustering"))[1:]
    found: click.Command = main
    context = click.Context(main)
    while words and isinstance(found, click.Group) and not words[0].startswith("-"):
        for word in words[0].split("|"):
            below = found.get_command(context, word)
            assert below is not None, f"{word!r} is no command"
        found, context = below, click.Context(below, parent=context)
        words = words[1:]
    options = {"--help", "-h"}
    for option in found.params:
        options |= {*option.opts, *option.secondary_opts}
    assert {word for word in words if word.startswith("-")} <= options


def test_a_make_target_in_a_sentence_exists():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = {word for command in inline("make ") for word in command.split()[1:] if "=" not in word}
    assert wanted <= set(targets)


def test_files_of_the_demo_in_a_sentence_are_written_by_it():
    from czbenchmarks.cli._studies import STUDIES

    written = {file for study in STUDIES for file in study.files}
    assert {"demo/human.h5ad", "demo/human_pca.npy"} <= inline("demo/") <= {f"demo/{file}" for file in written}


def test_the_checker_can_fail():
    close = Close(0.01)
    assert close.check_output("a  0.50 b\n", "a 0.505\nb")
    assert close.check_output("saved ... in", "saved 3 files in")
    assert close.check_output("Done in 3 s", "Done in 3 s")
    assert not close.check_output("a 0.50", "a 0.52")
    assert not close.check_output("a 0.50", "b 0.50")
    assert not close.check_output("0.5 0.6", "0.5")
    assert not close.check_output("n = 3", "n = 4")
    assert not close.check_output("", "something")
    assert not close.check_output("1.0.2", "1.0.3")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("```console\n$ echo 0.50\n0.50\n$ echo a; echo b\na\n...\n```\n", None),
        ("```console\n$ echo 0.50\n0.55\n```\n", "The page shows:"),
        ("```console\n$ echo more\n```\n", "The page shows:"),
        ("```bash\nfalse\n```\n", "exit status 1, not 0"),
        ("<!-- exit: 1 -->\n```bash\nfalse\n```\n", None),
        ("<!-- exit: 2 -->\n```bash\nfalse\n```\n", "exit status 1, not 2"),
        ("```bash\nno-such-command\n```\n", "exit status 127, not 0"),
        ("```python\nx = 1\n```\n\n```python\n>>> x\n1\n```\n", None),
        ("```python\n>>> 1 + 1\n3\n```\n", "Differences"),
        ("<!-- save: x.py -->\n```python\nprint(7)\n```\n```console\n$ python x.py\n7\n```\n", None),
        ("<!-- needs: vcp -->\n```python\n>>> 1\n1\n```\n", None),
    ],
)
def test_a_page_that_shows_something_else_fails(text, why, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "page.md"
    path.write_text(text, encoding="utf-8")
    page = pages.Page(path, tmp_path)
    if why is None:
        page.run()
        return
    with pytest.raises(AssertionError, match=why):
        page.run()


@pytest.mark.parametrize("text", ["```python\nimport no_such_package\n```\n", "```python\nraise ValueError\n```\n"])
def test_a_page_whose_code_fails_fails(text, tmp_path):
    path = tmp_path / "page.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises((ModuleNotFoundError, ValueError)):
        pages.Page(path, tmp_path).run()


def test_commands_of_a_block():
    block = Block("console", "$ a \\\n>   b\nout\nmore\n$ c\n", 1)
    assert list(commands(block)) == [("a \\\n  b", "out\nmore"), ("c", "")]
    block = Block("bash", "make a  # why\nb \\\n  c\n", 1)
    assert list(commands(block)) == [("make a", None), ("b \\\n  c", None)]


def test_the_page_of_tasks_names_the_scores_of_each(tmp_path):
    from czbenchmarks.datasets import Organism, SingleCellPerturbationDataset
    from czbenchmarks.tasks import TASK_REGISTRY, registry

    cells = simulate_time_course(n_cells=120)
    one = ["clustering", "embedding", "batch_integration", "label_prediction", "sequential_organization"]
    records = [czbenchmarks.evaluate(noise_embedding(120), cells, one)]
    several = {"cross-species_integration": None, "cross-species_label_prediction": {"aggregation_method": "none"}}
    embeddings = [noise_embedding(120), noise_embedding(120, random_seed=1)]
    records.append(
        czbenchmarks.evaluate(embeddings, [cells, cells], several, organisms=[Organism.HUMAN, Organism.MOUSE])
    )
    screen = simulate_screen(n_conditions=2, n_cells_per_condition=20)
    screen.write_h5ad(tmp_path / "screen.h5ad")
    data = SingleCellPerturbationDataset(tmp_path / "screen.h5ad", Organism.HUMAN)
    task = "perturbation_expression_prediction"
    records.append(czbenchmarks.evaluate(screen.layers["perfect_prediction"], data, task))
    found: dict[str, set[str]] = {}
    for record in records:
        assert not record.failures
        for score in record.result_metrics:
            found.setdefault(score.task, set()).add(score.metric_type)
    assert set(found) == set(registry._BUILT_IN)
    page = generated.filled("<!-- generated: tasks -->")
    for key, scores in found.items():
        task = TASK_REGISTRY.get_task_class(key)
        assert {metric.value for metric in task.published} == scores
        assert f"(task-{key})=" in page
        assert task.question in page


def test_every_metric_and_every_command_is_on_its_page():
    from czbenchmarks.metrics.types import MetricType

    metrics = generated.filled("<!-- generated: metrics -->")
    for metric in MetricType:
        assert f"(metric-{metric.value})=" in metrics
    shown = generated.filled("<!-- generated: commands -->")
    for command in (
        "list",
        "info",
        "run",
        "run clustering",
        "demo",
        "cache",
        "cache list",
        "cache clean",
        "completion",
    ):
        assert f"# czbenchmarks {command}\n" in shown


def build(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-d", str(folder / "doctrees"),
         "-b", "html", str(ROOT / "docs"), str(folder / "html")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.long
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    assert build(tmp_path) == ""
    pages = sorted((tmp_path / "html").rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<!-- generated" not in text, page
        for tag in re.findall(r"<(?:script|link|img|iframe)[^>]*>", text):
            assert not re.search(r"(?:src|href)=\"(?:https?:)?//", tag), f"{page}: {tag}"
    for sheet in (tmp_path / "html").rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(?:https?:)?//|@import", sheet.read_text(encoding="utf-8")), sheet
