"""The command ``czbenchmarks``.

Exit status: 0 nothing failed (a score that its metric does not define on the data is no failure, unless it was asked
for by name); 1 a score failed or is missing, or the program itself failed; 2 bad usage or bad input; 130 and 143
stopped by Ctrl-C and by SIGTERM.
"""

from __future__ import annotations

import difflib
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from czbenchmarks._check.addresses import shortened, shown_in
from czbenchmarks._lazy import load
from czbenchmarks.exceptions import BAD_INPUT, InputError

from . import _signals
from ._streams import all_text
from .progress import one_line, printable, showing

logger = logging.getLogger(__name__)

# Heading -> name -> where the command is, and what it does. Only the one that is asked for is imported.
COMMANDS = {
    "First steps": {
        "demo": ("czbenchmarks.cli.demo:demo_command", "Score every task on cells that come along; no data needed."),
        "list": ("czbenchmarks.cli.catalogue:list_command", "List the tasks, the metrics or the data sets."),
    },
    "Your own model": {
        "info": (
            "czbenchmarks.cli.info:info_command",
            "Show what is in a data file and what it can be scored on, or what a task, metric or data set is.",
        ),
        "run": ("czbenchmarks.cli.run:run_command", "Score your embedding of the cells, also beside a baseline."),
    },
    "Earlier runs": {
        "results": ("czbenchmarks.cli.results:results_command", "Show what earlier runs gave, one or many."),
    },
    "Set-up": {
        "cache": ("czbenchmarks.cli.cache:cache_command", "List or delete the data sets that were downloaded."),
        "completion": (
            "czbenchmarks.cli.completion:completion_command",
            "Let the Tab key complete commands, tasks, options and files.",
        ),
    },
}
_ROWS = {name: row for section in COMMANDS.values() for name, row in section.items()}
_COMPLETING = "_CZBENCHMARKS_COMPLETE"  # a shell sets it to ask for completions
_EXAMPLES = """\b
Examples:
  czbenchmarks demo -o demo
  czbenchmarks info cells.h5ad
  czbenchmarks run clustering -u cells.h5ad -c embedding.npy --input-labels cell_type
  czbenchmarks run clustering --help

cells.h5ad holds your cells and what is known of them (AnnData); embedding.npy is what your model made of them, one
row per cell. Options on this page may stand anywhere, also after the command."""


class _Program(click.Group):
    """A group whose every refusal is one line on stderr, and whose commands are imported when they are asked for."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *rest: Any, **more: Any) -> Any:
        """Run the command and exit."""
        more["standalone_mode"] = False
        if args is None:  # we are the process, not a guest in one
            _signals.take()
            _agree_on_colour()
        completing = _COMPLETING in os.environ  # click writes bytes then
        with nullcontext() if completing else all_text(), _warnings_logged():
            try:
                status = super().main(args, prog_name or "czbenchmarks", *rest, **more)
                if sys.stdout is not None:
                    sys.stdout.flush()
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (whatever it is, it is one line)
                _leave(error)
            sys.exit(status if isinstance(status, int) else 0)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words, those of this group first wherever they stand."""
        return super().parse_args(ctx, _own_words_first(args))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; the log gets the whole of an error that the user gets one line of."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # click would print an empty line
            raise click.Abort from None
        except EOFError:  # and take this for Ctrl-C
            raise InputError("The input ended before it was complete.") from None
        except Exception as error:
            if not isinstance(error, (click.ClickException, click.Abort, click.exceptions.Exit)):
                logger.debug("The error in full", exc_info=True)
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(_ROWS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        return load(_ROWS[cmd_name][0]) if cmd_name in _ROWS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the words name, or the nearest."""
        name = args[0]
        if name not in _ROWS and not name.startswith("-") and not ctx.resilient_parsing:
            from czbenchmarks.tasks.registry import TASK_REGISTRY

            tasks = [f"run {task}" for task in TASK_REGISTRY.list_tasks()]
            near = [f"run {name}"] if f"run {name}" in tasks else _near(name, [*_ROWS, *tasks])
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"No such command {name!r}.{hint} Commands: {', '.join(_ROWS)}.", ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands into the help without importing them."""
        for heading, rows in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl([(name, text) for name, (_, text) in rows.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the commands without importing them."""
        commands = [CompletionItem(name, help=text) for name, (_, text) in _ROWS.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


def _own_words_first(words: Iterable[str]) -> list[str]:
    """Move ``-q`` and ``-ll LEVEL`` to the front: people add them at the end."""
    words, front, others = list(words), [], []
    while words:
        word = words.pop(0)
        if word == "--":
            others += [word, *words]
            break
        if word in ("-q", "--quiet") or word.startswith("--log-level="):
            front.append(word)
        elif word in ("-ll", "--log-level"):
            front += [word, words.pop(0) if words else ""]  # an empty level is refused in the usual words
        else:
            others.append(word)
    return front + others


def _near(given: str, known: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(given, list(known), n=1, cutoff=0.6)


def _leave(error: BaseException) -> NoReturn:
    """Say in one line why there is no result, and exit."""
    if isinstance(error, (KeyboardInterrupt, click.Abort)) or _signals.received():
        _signals.stop()
    if isinstance(error, click.exceptions.Exit):
        sys.exit(error.exit_code)
    if _COMPLETING in os.environ:
        sys.exit(1)  # a half-typed line is no error
    if isinstance(error, BrokenPipeError):  # the reader (`head`, a pager) went away
        _abandon_stdout()
        sys.exit(1)
    status, sentence = _said(_abandon_stdout_if_full() or error)
    if sys.stderr is not None:
        try:
            click.echo(f"Error: {one_line(shown_in(sentence))}", err=True)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(status)


def _said(error: BaseException) -> tuple[int, str]:
    """Return the exit status and the sentence for an exception."""
    if isinstance(error, click.NoSuchOption):
        return 2, _no_such_option(error)
    if isinstance(error, click.ClickException):
        return 2, error.format_message()
    if isinstance(error, OSError) and error.strerror:
        what = (
            "Reading or writing failed" if error.filename is None else f"{shortened(error.filename)!r} cannot be used"
        )
        return 2, f"{what}: {error.strerror}."
    if isinstance(error, MemoryError):
        more = f" ({error})" if str(error) else ""
        return 1, f"The memory of this machine does not suffice{more}; score fewer cells or use a larger machine."
    if isinstance(error, (*BAD_INPUT, OSError, ImportError)) and str(error):
        return 2, str(error)
    # Nobody foresaw it, so nobody can say that the input is at fault.
    return 1, (
        f"czbenchmarks itself failed ({type(error).__name__}: {error}); "
        f"please report it with {_saved_traceback(error)}."
    )


def _saved_traceback(error: BaseException) -> str:
    """Save where an error comes from, without secrets; return where that is to be found."""
    import tempfile
    import traceback

    text = shown_in("".join(traceback.format_exception(error)))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="czbenchmarks-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(text)
        return file.name
    except OSError:
        return "what the same command prints with -ll debug"


def _no_such_option(error: click.NoSuchOption) -> str:
    own = error.ctx.command.get_params(error.ctx) if error.ctx else []
    known = [
        *(flag for one in own if not getattr(one, "hidden", False) for flag in (*one.opts, *one.secondary_opts)),
        *("--quiet", "--log-level", "--help"),
    ]
    near = _near(error.option_name, known)
    path = error.ctx.command_path if error.ctx else "czbenchmarks"
    hint = f"Did you mean {near[0]!r}?" if near else f"'{path} --help' lists the options."
    return f"No such option {error.option_name!r}. {hint}"


def _abandon_stdout() -> None:
    """Send what is left nowhere; Python would complain once more when it closes stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _abandon_stdout_if_full() -> OSError | None:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _abandon_stdout()
        return error
    return None


def _agree_on_colour() -> None:
    """Translate the other convention into the variables that rich reads; NO_COLOR wins."""
    if os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        os.environ.setdefault("FORCE_COLOR", "1")
    elif os.environ.get("CLICOLOR") == "0" and "FORCE_COLOR" not in os.environ:
        os.environ.setdefault("NO_COLOR", "1")


class _Log(logging.Handler):
    """Writes to what stderr is at the time: while bars are shown, they step aside. Tracebacks hold no secrets.

    A server's words and names of files are among what is logged; they must not steer the terminal.
    """

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stderr is not None:
            with suppress(OSError):  # a log that cannot be written stops nothing
                lines = map(printable, shown_in(self.format(record)).split("\n"))
                print("\n".join(lines), file=sys.stderr, flush=True)


_LIBRARIES = (
    "aiohttp anndata asyncio botocore fontTools fsspec h5py igraph matplotlib numba numcodecs numexpr pandas PIL s3fs "
    "scanpy scipy sklearn urllib3 zarr"
)
"""Libraries whose warnings mean something to us, not to who typed a command."""


def _for_users(record: logging.LogRecord) -> bool:
    """Tell whether a user should read a record of the log: not what libraries that we call only warn of."""
    return record.name.partition(".")[0] not in _LIBRARIES.split() or record.levelno >= logging.ERROR


@contextmanager
def _warnings_logged() -> Iterator[None]:
    """Log what libraries warn of, which only their callers understand; what matters for a score stands beside it."""

    def log(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        logger.info("%s: %s (%s:%d)", category.__name__, message, filename, lineno)

    with warnings.catch_warnings():  # which filters there are is the user's choice
        warnings.showwarning = log
        yield


def _log(context: click.Context, level: int) -> None:
    """Log our own decisions from `level` on, and what is a warning or worse of others, of libraries an error."""
    ours, handler = logging.getLogger("czbenchmarks"), _Log()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    handler.setLevel(level)
    if level > logging.INFO:
        handler.addFilter(_for_users)
    before = ours.level
    logging.root.addHandler(handler)
    ours.setLevel(level)

    def end() -> None:
        ours.setLevel(before)
        logging.root.removeHandler(handler)

    context.call_on_close(end)


def _print_version(context: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from czbenchmarks import __version__

        click.echo(f"czbenchmarks, version {__version__}")
        context.exit()


@click.group(
    cls=_Program,
    name="czbenchmarks",
    invoke_without_command=True,
    epilog=_EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
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
    help="How much to tell about decisions and problems, on stderr.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress and no notes.")
@click.pass_context
def main(context: click.Context, log_level: str, quiet: bool) -> None:
    """Score single-cell models: how good is an embedding of your cells, or a predicted perturbation?"""
    _log(context, logging.getLevelNamesMapping()[log_level.upper()])
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        return
    context.with_resource(showing(quiet))
