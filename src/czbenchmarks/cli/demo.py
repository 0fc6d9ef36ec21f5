"""``czbenchmarks demo``: all tasks on cells that come along, for an embedding and its two controls."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from czbenchmarks.constants import RANDOM_SEED

from ._demo_folder import MANIFEST, claimed

if TYPE_CHECKING:
    from czbenchmarks.results import RunRecord

    from ._studies import Study

COMMANDS = "commands.sh"
_WIDTH = 100
_PREPARING = 4
"""About how long cells and embeddings take, in the unit of a study's weight."""

SHOWN = (
    "adjusted_rand_index",
    "normalized_mutual_info",
    "silhouette_score",
    "mean_fold_accuracy",
    "mean_fold_f1",
    "accuracy",
    "f1",
    "entropy_per_cell",
    "batch_silhouette",
    "sequential_alignment",
    "spearman_correlation_calculation",
)
"""Metrics that the table shows; the records hold all."""
_LABELS = {
    "clustering": "cell types",
    "embedding": "cell types",
    "label_prediction": "cell types",
    "batch_integration": "4 donors",
}
_NOTES = """\
PCA       50 principal components of the counts, computed here. For the screen: its own expression,
          rebuilt from 20 components.
shuffled  The PCA with its rows in random order: what chance gives. It mixes donors and species, so
          read entropy_per_cell and batch_silhouette beside the scores of cell types.
perfect   Knows the answer: cell types (times) far apart and all else mixed; the true effects.
"""


@click.command("demo", epilog="\b\nExample:\n  czbenchmarks demo -o demo")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=True, path_type=Path),
    default="czbenchmarks_demo",
    show_default=True,
    metavar="DIR",
    help="Folder for the records, the embeddings and the cells. New, empty, or that of an earlier demo.",
)
@click.option(
    "-r",
    "--random-seed",
    type=click.IntRange(0, 2**32 - 1),
    default=RANDOM_SEED,
    show_default=True,
    metavar="SEED",
    help="Seed of all draws.",
)
def demo_command(output: Path, random_seed: int) -> int:
    """Score all tasks on cells that come with the program; it needs no data, no network and about a minute.

    Three embeddings are compared: a PCA, the same shuffled (what chance gives) and one that knows the answer. The cells
    are human and mouse pancreas (Baron et al. 2016, a subset); for time and perturbation they are simulated.
    """
    started = time.perf_counter()
    records = run(output, random_seed)
    print_demo(records, output, random_seed, time.perf_counter() - started)
    return int(any(record.failed for record in records.values()))


def run(output: Path, random_seed: int = RANDOM_SEED, most_cells: int | None = None) -> dict[str, RunRecord]:
    """Write cells and embeddings into a folder, score them, and return and write the record of each study."""
    from czbenchmarks._progress import work

    from ._studies import STUDIES, prepare, score, write_whole

    names = [MANIFEST, COMMANDS, *(file for study in STUDIES for file in study.files)]
    records = {}
    with claimed(output, names), work("demo", _PREPARING + sum(study.weight for study in STUDIES)) as advance:
        prepare(output, random_seed=random_seed, most_cells=most_cells)
        advance(_PREPARING)
        for study in STUDIES:
            records[study.name] = score(study, output, random_seed=random_seed)
            records[study.name].write(output / study.record)
            advance(study.weight)
        lines = ["#!/bin/sh", "# Every score of the demo again.", *all_commands(output, random_seed)]
        write_whole(output / COMMANDS, lambda part: part.write_text("\n".join(lines) + "\n", encoding="utf-8"))
    return records


def table(records: dict[str, RunRecord]) -> list[list[str]]:
    """Return the rows of the table: task and metric, data, best value, one value per embedding."""
    from czbenchmarks.metrics.types import MetricType, metrics_registry

    from ._studies import EMBEDDINGS, STUDIES

    best = {metric.value: metrics_registry.declaration(metric).best for metric in MetricType}
    rows = []
    for study in STUDIES:
        for task in study.tasks:
            about = f"{study.about}, {_LABELS[task]}" if task in _LABELS else study.about
            rows.append([task, about, "", *("" for _ in EMBEDDINGS)])
            scores = [score for score in records[study.name].result_metrics if score.task == task]
            for metric in dict.fromkeys(score.metric_type for score in scores):
                if metric not in SHOWN:
                    continue
                of_metric = [score for score in scores if score.metric_type == metric]
                values = [_mean([s for s in of_metric if s.embedding == name]) for name in EMBEDDINGS]
                rows.append([f"  {metric}", _averaged(of_metric), f"{best[metric]:g}", *map(_number, values)])
    return rows


def _narrow(columns: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Return the table without its second column, which goes below the first: it then fits into 80 columns."""
    found = []
    for name, about, *values in rows:
        indent = " " * (len(name) - len(name.lstrip()) + 2)
        found += [[name, *values], *([[indent + about, *("" for _ in values)]] if about else [])]
    return columns[:1] + columns[2:], found


def _mean(scores: list[Any]) -> float:
    """Return the mean of one metric's scores; where the classifiers' mean is a score itself, that is taken."""
    means = [score for score in scores if str(score.params.get("classifier", "")).startswith("MEAN")]
    values = [score.value for score in means or scores]
    return math.fsum(values) / len(values) if values else math.nan


def _number(value: float) -> str:
    return "none" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"  # -0.00 is 0.00


def _averaged(scores: list[Any]) -> str:
    """Say over what the scores of one metric are averaged; it must fit into 26 columns."""
    if any("train_species" in score.params for score in scores):
        within = scores[0].params["train_species"] == scores[0].params["test_species"]
        return f"{'within' if within else 'across'} species, mean of {_number_of(scores, 'classifier')}"
    name = next((name for name in ("classifier", "condition") if any(name in score.params for score in scores)), "")
    return f"mean of {_number_of(scores, name)} {name}s" if name else ""


def _number_of(scores: list[Any], name: str) -> int:
    values = {str(score.params[name]) for score in scores if name in score.params}
    return sum(not value.startswith("MEAN") for value in values)


def all_commands(folder: Path, random_seed: int) -> list[str]:
    """Return the commands that give every score of the demo again, run from where the demo was."""
    from ._studies import EMBEDDINGS, STUDIES

    found = []
    for study in STUDIES:
        # Several data sets: -c names the parts of one embedding. One data set: several embeddings.
        several = [[kind] for kind in EMBEDDINGS] if len(study.data) > 1 else [list(EMBEDDINGS)]
        found += [command(study, task, folder, random_seed, kinds) for task in study.tasks for kinds in several]
    return [shlex.join(words) for words in found]


def command(study: Study, task: str, folder: Path, random_seed: int, kinds: Sequence[str]) -> list[str]:
    """Return the words of the command that scores embeddings of a study."""
    words = [_program(), "run", task]
    for name in study.data:
        path = str(folder / f"{name}.h5ad")
        described = {"dataset_class": "SingleCellPerturbationDataset", "organism": "HUMAN", "path": path}
        words += ["-u", json.dumps(described) if study.is_screen else path]
    for kind in kinds:
        for name in study.data:
            words += ["-c", f"{kind}={folder / name}_{kind.lower()}.npy"]
    for option, value in study.tasks[task].items():
        many = len(study.data) if option == "labels" else 1
        words += [f"--{option.replace('_', '-')}", value] * many
    return words if random_seed == RANDOM_SEED else [*words, "-r", str(random_seed)]


def _program() -> str:
    """Return what to type to run this program: its name, or its path where the shell would not find it."""
    here = Path(sys.argv[0])
    on_path = shutil.which("czbenchmarks")
    if here.name != "czbenchmarks" or (on_path and os.path.realpath(on_path) == os.path.realpath(here)):
        return "czbenchmarks"
    return os.path.relpath(here) if here.is_relative_to(Path.cwd()) else str(here)


def print_demo(records: dict[str, RunRecord], folder: Path, random_seed: int, seconds: float) -> None:
    """Print the table, what it means, where the files are, and what to type next."""
    from ._studies import EMBEDDINGS, STUDIES
    from .output import print_table, table_width

    cells = {study.name: [one["n_cells"] for one in records[study.name].run_specification.data] for study in STUDIES}
    click.echo(
        f"Eight tasks on {cells['human'][0]} human pancreas cells, {cells['species'][0]} human and "
        f"{cells['species'][1]} mouse ones of the types they share\n"
        "(Baron et al. 2016, doi:10.1016/j.cels.2016.08.011), and simulated ones for time and perturbation."
    )
    columns, rows = ["Task and metric", "Cells", "Best", *EMBEDDINGS], table(records)
    if table_width() < _WIDTH:
        columns, rows = _narrow(columns, rows)
    print_table(columns, rows, numbers=["Best", *EMBEDDINGS])
    click.echo(_NOTES)
    failed = [f"{one.task} of {one.embedding} failed: {one.reason}" for r in records.values() for one in r.failures]
    for line in failed:
        click.echo(line, err=True)
    click.echo(f"All scores, cells and embeddings are in {folder}{os.sep}, the commands in {folder / COMMANDS}.")
    click.echo(f"Done in {seconds:.0f} s. The same by hand, for one of them:\n")
    click.echo(_broken(command(STUDIES[0], "clustering", folder, random_seed, EMBEDDINGS)))
    program = _program()
    click.echo("\nYour own cells and embedding (.npy, .csv, .parquet, .h5ad, …), with a baseline beside it:\n")
    click.echo(_broken([program, "info", "YOUR_CELLS.h5ad"]))
    own = ["-u", "YOUR_CELLS.h5ad", "-c", "YOUR_EMBEDDING.npy", "--input-labels", "COLUMN", "-B"]
    click.echo(_broken([program, "run", "clustering", *own]))
    click.echo(_broken([program, "list", "tasks"]))


def _broken(words: Sequence[str]) -> str:
    """Return a command over as many lines as it needs, indented; an option and its value stay together."""
    groups: list[str] = []
    for word in map(shlex.quote, words):
        after_option = bool(groups) and groups[-1].startswith("-") and " " not in groups[-1]
        if after_option and not word.startswith("-"):
            groups[-1] += f" {word}"
        else:
            groups.append(word)
    lines = [f"  {groups[0]}"]
    for group in groups[1:]:
        if len(lines[-1]) + len(group) + 3 > _WIDTH:
            lines[-1] += " \\"
            lines.append("     ")
        lines[-1] += f" {group}"
    return "\n".join(lines)
