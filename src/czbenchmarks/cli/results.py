"""``czbenchmarks results``: what earlier runs gave."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .completion import complete_files

if TYPE_CHECKING:
    from czbenchmarks.results import RunRecord

F = TypeVar("F", bound=Callable[..., Any])

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
    """Return the option that names a store."""
    return click.option(
        "--store",
        metavar="FILE",
        envvar="CZBENCHMARKS_STORE",
        required=needed,
        shell_complete=complete_files,
        help="The store: one file for the records of many runs. [default: the variable CZBENCHMARKS_STORE]",
    )


def _format_option(*formats: str) -> Callable[[F], F]:
    return click.option(
        "-f",
        "--format",
        "output_format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="How to print it.",
    )


@results_command.command("list", epilog="Example:\n\n\b\nczbenchmarks results list --store runs.db")
@_store_option(needed=True)
@_format_option("table", "json")
def list_results(store: str, output_format: str) -> None:
    """List the runs of a store, oldest first.

    A run is "failed" if something failed, and "incomplete" if a score is not defined on its data.
    """
    from dataclasses import asdict

    from czbenchmarks._check import printable
    from czbenchmarks.results import Store

    runs = Store(store).runs()
    if output_format == "json":
        import json

        click.echo(json.dumps([asdict(run) for run in runs], indent=2))
        return
    from .output import print_table

    print_table(
        ["Run", "Ended", "Tasks", "Embeddings", "Data", "Scores", ""],
        [
            [
                *(run.id, run.timestamp, printable(run.tasks), printable(run.embeddings), printable(run.data)),
                *(run.scores, "failed" if run.failed else "" if run.complete else "incomplete"),
            ]
            for run in runs
        ],
        numbers=["Run", "Scores"],
    )


@results_command.command("show", epilog="Example:\n\n\b\nczbenchmarks results show record.json")
@click.argument("which", metavar="RUN|RECORD.json", shell_complete=complete_files)
@_store_option()
@_format_option("table", "json", "csv", "markdown")
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
    from .output import print_frame, print_record

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
@_format_option("csv", "json")
def export_results(which: tuple[str, ...], store: str | None, output_format: str) -> None:
    """Print the scores of many runs as one table; without RUN, of all runs of a store."""
    if not which and store is None:
        raise click.UsageError("At least one run is needed; name the files of records, or a store with --store FILE.")
    if not which and store is not None:
        from czbenchmarks.results import Store

        which = tuple(str(run.id) for run in Store(store).runs())
    records = {one: _record(one, store) for one in which}
    if output_format == "json":
        import json

        click.echo(json.dumps([record.to_dict() for record in records.values()], indent=2, allow_nan=False))
        return
    import pandas as pd

    from .output import as_csv

    frames = [record.to_frame().assign(run=one, timestamp=record.timestamp) for one, record in records.items()]
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    ends = ("run", "timestamp", "key")
    between = [name for name in table if name not in ends]
    click.echo(as_csv(table[[*ends[:2], *between, ends[2]]] if frames else table), nl=False)


def _record(which: str, store: str | None) -> RunRecord:
    from czbenchmarks.results import RunRecord, Store

    if not which.isdecimal():
        return RunRecord.read(which)
    if store is None:
        raise click.UsageError(f"Run {which} must be in a store; name it with --store FILE.")
    return Store(store).get(int(which))
