"""``czbenchmarks cache``: what was downloaded, and deleting it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .output import format_option, print_json, print_table

if TYPE_CHECKING:
    from czbenchmarks.datasets.download.cache import Entry

_EXAMPLES = """\b
Examples:
  czbenchmarks cache list
  czbenchmarks cache clean

\b
Another folder than ~/.cz-benchmarks/datasets:
  export CZBENCHMARKS_CACHE=/data/cells"""


@click.group("cache", epilog=_EXAMPLES, invoke_without_command=True)
@click.pass_context
def cache_command(context: click.Context) -> None:
    """List or delete the data sets that were downloaded.

    A data set is downloaded once and kept in a folder. Your own files are never touched.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cache_command.command("list", epilog="\b\nExample:\n  czbenchmarks cache list")
@format_option("table", "json", help="How to print it: a table to read, or JSON for programs.")
def list_cache(output_format: str) -> None:
    """List the downloaded files: their names, sizes, dates and addresses."""
    from czbenchmarks.datasets.download.cache import cache_folder, entries

    folder = cache_folder()
    found = entries(folder)
    if output_format == "json":
        print_json({"folder": str(folder), "files": [_row(entry) for entry in found]})
        return
    if not found:
        click.echo(f"Nothing was downloaded to {folder}.")
        return
    rows = [
        [
            entry.path.name if entry.complete else f"{entry.path.name} (not complete)",
            _bytes(entry.size),
            _row(entry)["when"][:16].replace("T", " "),
            entry.address,
        ]
        for entry in found
    ]
    print_table(["File", "Size", "When", "From"], rows, numbers=["Size"])
    click.echo(f"{_bytes(sum(entry.size for entry in found))} in {folder}")


@cache_command.command(
    "clean",
    epilog="\b\nExamples:\n  czbenchmarks cache clean\n  czbenchmarks cache clean https://example.org/cells.h5ad -y",
)
@click.argument("names", nargs=-1, metavar="[FILE|ADDRESS|DATASET]...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def clean_cache(names: tuple[str, ...], yes: bool) -> None:
    """Delete downloaded files: all of them, or those you name.

    A file is named as in the list, by the address it came from, or by the name of its data set. Only files that
    czbenchmarks downloaded are deleted; it asks first.
    """
    from czbenchmarks.datasets.download.cache import cache_folder, entries, remove

    folder = cache_folder()
    found = entries(folder)
    chosen = _named(found, names) if names else found
    if not chosen:
        click.echo(f"Nothing to delete in {folder}.")
        return
    what = f"{len(chosen)} file{'s' * (len(chosen) > 1)} ({_bytes(sum(entry.size for entry in chosen))}) in {folder}"
    if not yes:
        if not _asks():
            raise click.UsageError(f"Deleting {what} must be confirmed, got no terminal to ask on; add --yes.")
        if not click.confirm(f"Delete {what}?", err=True):
            click.echo("Nothing was deleted.")
            return
    deleted = [entry for entry in chosen if remove(entry)]
    for entry in chosen:
        if entry not in deleted:
            click.echo(f"{entry.path.name} is being downloaded at this moment and was kept.", err=True)
    click.echo(f"Deleted {len(deleted)} of {what}.")


def _asks() -> bool:
    """Say whether there is someone to ask."""
    return sys.stdin is not None and sys.stdin.isatty()


def _named(found: list[Entry], names: tuple[str, ...]) -> list[Entry]:
    """Return the files that the user names by file, address or data set."""
    from czbenchmarks import _check
    from czbenchmarks._check.addresses import is_remote
    from czbenchmarks.datasets.catalogue import catalogue
    from czbenchmarks.datasets.download.cache import digest
    from czbenchmarks.datasets.download.fetching import checked_address

    listed = catalogue()
    chosen: list[Entry] = []
    for name in names:
        address = listed[name]["path"] if name in listed else name
        address = checked_address(address) if is_remote(address) else address
        matching = [
            entry
            for entry in found
            if entry.of == digest(address)
            or entry.path.name in (address, f"{address}.part")
            or (entry.address and entry.address == address)
        ]
        if not matching:
            known = [entry.path.name for entry in found]
            raise click.UsageError(_check.unknown("Download", name, known, "is not in the cache"))
        chosen += [entry for entry in matching if entry not in chosen]
    return chosen


def _row(entry: Entry) -> dict[str, Any]:
    from datetime import datetime

    return {
        "file": str(entry.path),
        "address": entry.address,
        "size": entry.size,
        "when": datetime.fromtimestamp(entry.when).astimezone().isoformat(timespec="seconds"),
        "complete": entry.complete,
    }


def _bytes(size: float) -> str:
    if size < 1000:
        return f"{size:,.0f} bytes"
    unit, factor = ("kB", 1e3) if size < 1e6 else ("MB", 1e6) if size < 1e9 else ("GB", 1e9)
    return f"{size / factor:,.1f} {unit}"
