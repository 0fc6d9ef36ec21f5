"""``czbenchmarks results``: what earlier runs gave."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from czbenchmarks._check.addresses import shown_in

from .completion import complete_files
from .output import F, better, format_option, print_csv, print_frame, print_json, print_record, print_table
from .progress import one_line, printable

if TYPE_CHECKING:
    from czbenchmarks.results import RunRecord
    from czbenchmarks.results.store import StoredRun

_EXAMPLES = """\b
Examples:
  czbenchmarks run embedding -u cells.h5ad -c embedding.npy --store runs.db
  czbenchmarks results list --store runs.db
  czbenchmarks results show 1 --store runs.db
  czbenchmarks results show record.json
  czbenchmarks results export --store runs.db > scores.csv"""


@click.group("results", epilog=_EXAMPLES, invoke_without_command=True)
@click.pass_context
def results_command(context: click.Context) -> None:
    """Show what earlier runs gave: a record (run -o RECORD.json), or a store of many (run --store FILE)."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _store_option(needed: bool = False) -> Callable[[F], F]:
    about = "The store: one file for the records of many runs. [default: the variable CZBENCHMARKS_STORE]"
    how: dict[str, Any] = {"metavar": "FILE", "envvar": "CZBENCHMARKS_STORE", "shell_complete": complete_files}
    return click.option("--store", required=needed, help=about, **how)


@results_command.command("list", epilog="Example:\n\n\b\nczbenchmarks results list --store runs.db")
@_store_option(needed=True)
@format_option("table", "json")
def list_results(store: str, output_format: str) -> int:
    """List the runs of a store, oldest first.

    A run is "failed" if something failed, and "incomplete" if a score is not defined on its data. The exit status is 1
    if the record of a run is "damaged"; the others can still be shown and exported.
    """
    from dataclasses import asdict

    from czbenchmarks.results import Store

    runs = Store(store).runs()
    damaged = [str(run.id) for run in runs if run.damaged]
    if damaged:
        which = f"run {damaged[0]} is" if len(damaged) == 1 else f"runs {', '.join(damaged)} are"
        click.echo(f"Records must be whole, {which} damaged in {one_line(store)}; score that again.", err=True)
    if output_format == "json":
        print_json([asdict(run) for run in runs])
        return int(bool(damaged))
    print_table(
        ["Run", "Ended (UTC)", "Tasks", "Embeddings", "Data", "Scores", ""],
        [
            [
                *(run.id, _when(run.timestamp), printable(run.tasks), printable(run.embeddings), printable(run.data)),
                *(run.scores, _state(run)),
            ]
            for run in runs
        ],
        numbers=["Run", "Scores"],
    )
    return int(bool(damaged))


def _state(run: StoredRun) -> str:
    if run.damaged:
        return "damaged"
    return "failed" if run.failed else "" if run.complete else "incomplete"


def _when(timestamp: str) -> str:
    """Return a time that folds between date and time, in UTC as records have it."""
    return printable(timestamp.removesuffix("+00:00").replace("T", " "))


@results_command.command("show", epilog="Example:\n\n\b\nczbenchmarks results show record.json")
@click.argument("which", metavar="RUN|RECORD.json", shell_complete=complete_files)
@_store_option()
@format_option("table", "json", "csv", "markdown")
@click.option(
    "--breakdown",
    metavar="METRIC",
    help="Show what the scores of a metric are made of instead: by label, batch, resolution or pair of labels.",
)
@click.option("--check", metavar="NAME", help="Show the table behind a trust check instead.")
def show_result(which: str, store: str | None, output_format: str, breakdown: str | None, check: str | None) -> int:
    """Show one run: its number in a store, or the file of its record.

    The exit status is that of the run: 0 nothing failed, 1 a score failed or is missing.
    """
    record = _record(which, store)
    if breakdown is not None and check is not None:
        raise click.UsageError("--breakdown and --check show one table each; pass one of them.")
    if breakdown is not None or check is not None:
        frame = record.breakdown(breakdown) if breakdown is not None else record.check_table(str(check))
        print_frame(frame, output_format)
        return 0
    print_record(record, output_format)
    return int(record.failed)


@results_command.command("export", epilog="Example:\n\n\b\nczbenchmarks results export 1 2 --store runs.db")
@click.argument("which", nargs=-1, metavar="[RUN|RECORD.json]...", shell_complete=complete_files)
@_store_option()
@format_option("csv", "json")
def export_results(which: tuple[str, ...], store: str | None, output_format: str) -> int:
    """Print the scores of many runs as one table; without RUN, of all runs of a store.

    A record that cannot be read is named on stderr and left out, and the exit status is then 1. The last columns say
    which data sets were scored and which values of the metric are the better ones.
    """
    if not which and store is None:
        raise click.UsageError("At least one run is needed; name the files of records, or a store with --store FILE.")
    if not which and store is not None:
        from czbenchmarks.results import Store

        which = tuple(str(run.id) for run in Store(store).runs())
    records, errors = _readable(which, store)
    for error in errors:
        click.echo(f"Left out: {one_line(shown_in(str(error)))}", err=True)
    if output_format == "json":
        print_json([record.to_dict() for record in records.values()])
        return int(bool(errors))
    import pandas as pd

    frames = [
        record.to_frame().assign(
            run=one, timestamp=record.timestamp, dataset=";".join(record.run_specification.data_names)
        )
        for one, record in records.items()
    ]
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    if frames:
        table = table.assign(better=table["metric"].map(better))
        ends = ("run", "timestamp", "key", "dataset", "better")
        table = table[[*ends[:2], *(name for name in table if name not in ends), *ends[2:]]]
    print_csv(table)
    return int(bool(errors))


def _readable(which: tuple[str, ...], store: str | None) -> tuple[dict[str, RunRecord], list[ValueError]]:
    """Return the records that can be read, and what is wrong with the others; what is not there is refused."""
    from czbenchmarks.results._files import UnreadableRecord

    records: dict[str, RunRecord] = {}
    errors: list[ValueError] = []
    for one in which:
        try:
            records[one] = _record(one, store)
        except UnreadableRecord as error:
            errors.append(error)
    return records, errors


def _record(which: str, store: str | None) -> RunRecord:
    from czbenchmarks.results import RunRecord, Store

    if not which.isdecimal():
        return RunRecord.read(which)
    if store is None:
        raise click.UsageError(f"Run {which} must be in a store; name it with --store FILE.")
    return Store(store).get(int(which))
