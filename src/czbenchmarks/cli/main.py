"""The command ``czbenchmarks``."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from .catalogue import list_command
from .run import run_command

logger = logging.getLogger(__name__)


class _Program(click.Group):
    """A group whose every refusal is one line on stderr and exit status 2."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> NoReturn:
        """Run the command and exit.

        Parameters
        ----------
        args
            Words of the command line; by default those of the process.
        *rest, **more
            As click's own.
        """
        more["standalone_mode"] = False
        try:
            status = super().main(args, *rest, **more)
            sys.stdout.flush()
        except (click.Abort, KeyboardInterrupt):
            # At once: Python itself would wait for the threads that are still computing.
            click.echo("Stopped.", err=True)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(130)
        except BrokenPipeError:
            # The reader (`head`, a pager) went away; Python would complain once more when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except click.ClickException as error:
            _stop(f"Error: {error.format_message()}", 2)
        except (ValueError, TypeError, NotImplementedError, OSError, ImportError) as error:
            logger.debug("The error below in full", exc_info=True)
            _stop(f"Error: {error}", 2)
        sys.exit(status if isinstance(status, int) else 0)


def _stop(message: str, status: int) -> NoReturn:
    click.echo(" ".join(message.split()), err=True)
    sys.exit(status)


def _print_version(context: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from czbenchmarks import __version__

        click.echo(f"czbenchmarks, version {__version__}")
        context.exit()


@click.group(
    cls=_Program,
    name="czbenchmarks",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version.",
)
@click.option(
    "-ll",
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error", "critical"], case_sensitive=False),
    default="warning",
    show_default=True,
    help="What to log, on stderr.",
)
@click.pass_context
def main(context: click.Context, log_level: str) -> None:
    """Score single-cell models: embeddings and perturbation predictions."""
    logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


main.add_command(list_command)
main.add_command(run_command)
