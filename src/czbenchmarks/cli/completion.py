"""``czbenchmarks completion``: what the Tab key completes."""

from __future__ import annotations

from collections.abc import Callable

import click
from click.shell_completion import CompletionItem, get_completion_class

from czbenchmarks.exceptions import NotOfferedError

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_CZBENCHMARKS_COMPLETE"


@click.command(
    "completion",
    epilog="""\b
Add one line to the file your shell reads when it starts, then open a new terminal:
  bash, in ~/.bashrc                    eval "$(czbenchmarks completion bash)"
  zsh,  in ~/.zshrc, below compinit     eval "$(czbenchmarks completion zsh)"
  fish, in ~/.config/fish/config.fish   czbenchmarks completion fish | source""",
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print what lets the Tab key complete commands, tasks, options and files in your shell."""
    of = get_completion_class(shell)
    if of is None:  # click knows all three
        raise NotOfferedError(f"This version of click has no completion for {shell}; install click 8.1 or newer.")
    click.echo(of(context.find_root().command, {}, "czbenchmarks", _VARIABLE).source())


def task_items(incomplete: str) -> list[CompletionItem]:
    """Return the tasks that begin so, none of them imported."""
    from czbenchmarks.tasks.registry import TASK_REGISTRY

    given = incomplete.replace("-", "_")  # either spelling will do
    return [
        CompletionItem(key, help=task.summary)
        for key, task in TASK_REGISTRY.summaries().items()
        if key.replace("-", "_").startswith(given)
    ]


def metric_items(incomplete: str) -> list[CompletionItem]:
    """Return the metrics that begin so."""
    from czbenchmarks.metrics.catalogue import MetricType

    return [
        CompletionItem(one.value, help=one.declaration.about) for one in MetricType if one.value.startswith(incomplete)
    ]


def data_set_items(incomplete: str) -> list[CompletionItem]:
    """Return the data sets of the catalogue that begin so."""
    from czbenchmarks.datasets.utils import list_available_datasets

    return [CompletionItem(name) for name in list_available_datasets() if name.startswith(incomplete)]


def file_items(incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell to complete files."""
    return [CompletionItem(incomplete, type="file")]


def _metrics_of_list(incomplete: str) -> list[CompletionItem]:
    """Return the presets and metrics that begin like the last of several with commas between."""
    from czbenchmarks.metrics.presets import PRESETS

    before, comma, last = incomplete.rpartition(",")
    presets = [CompletionItem(key, help=preset.about) for key, preset in PRESETS.items() if key.startswith(last)]
    return [CompletionItem(before + comma + item.value, help=item.help) for item in [*presets, *metric_items(last)]]


def _anything(incomplete: str) -> list[CompletionItem]:
    """Return tasks, metrics and data sets; files where none of those begins so."""
    named = (item for items in (task_items, metric_items, data_set_items) for item in items(incomplete))
    return list(named) or file_items(incomplete)


def _completer(items: Callable[[str], list[CompletionItem]]) -> Completer:
    return lambda context, parameter, incomplete: items(incomplete)


complete_files = _completer(file_items)  # -u, -c, -o
complete_data_sets = _completer(data_set_items)  # -d
complete_metrics = _completer(_metrics_of_list)  # --metrics
complete_anything = _completer(_anything)  # info
