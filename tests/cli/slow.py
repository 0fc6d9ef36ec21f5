"""The program with commands for its tests; run as ``python slow.py COMMAND``."""

import logging
import sys
import tempfile
import time

import click

from czbenchmarks._progress import track, work
from czbenchmarks.cli import main as program
from czbenchmarks.cli import progress


@click.command()
def count():
    """Count in a run of two tasks, a second in all."""
    for name in track(["a", "[bold]b\x1b[31m"], "run"):
        with work(f"task of {name}"):
            for i in track(range(10), "blocks"):
                time.sleep(0.05)
                if i == 5 and name == "a":
                    logging.getLogger("czbenchmarks").warning("half of it")
    progress.note("a note")
    click.echo("the table")


@click.command()
@click.option("--deaf", is_flag=True, help="Drop the interruption, as some libraries do.")
@click.option("--clumsy", is_flag=True, help="Make another error of it.")
def wait(deaf, clumsy):
    """Wait for a signal, a temporary file open."""
    with tempfile.NamedTemporaryFile(dir="."), work("waiting"):
        time.sleep(0.5)  # there is a bar now
        try:
            print("ready", flush=True)
            time.sleep(20)
        except KeyboardInterrupt:
            if clumsy:
                raise ImportError("could not import a module") from None
            if not deaf:
                raise
        time.sleep(20)


if __name__ == "__main__":
    progress.AFTER = 0.2
    program._ROWS.update(count=("__main__:count", ""), wait=("__main__:wait", ""))
    sys.exit(program.main())
