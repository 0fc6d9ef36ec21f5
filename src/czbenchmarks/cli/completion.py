"""``czbenchmarks completion``: what the Tab key completes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
        CompletionItem(metric.value, help=metric.declaration.about)
        for metric in MetricType
        if metric.value.startswith(incomplete)
    ]


def data_set_items(incomplete: str) -> list[CompletionItem]:
    """Return the data sets of the catalogue that begin so."""
    from czbenchmarks.datasets.utils import list_available_datasets

    return [CompletionItem(name) for name in list_available_datasets() if name.startswith(incomplete)]


def file_items(incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell to complete files."""
    return [CompletionItem(incomplete, type="file")]


def complete_files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete files; for ``-u``, ``-c`` and ``-o``."""
    return file_items(incomplete)


def complete_data_sets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete data sets of the catalogue; for ``-d``."""
    return data_set_items(incomplete)


def complete_metrics(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete presets and metrics, also the last of several with commas between; for ``--metrics``."""
    from czbenchmarks.metrics.presets import PRESETS

    before, comma, last = incomplete.rpartition(",")
    presets = [CompletionItem(key, help=preset.about) for key, preset in PRESETS.items() if key.startswith(last)]
    found = presets + metric_items(last)
    return [CompletionItem(before + comma + item.value, help=item.help) for item in found]


def complete_anything(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete tasks, metrics, data sets, and files where none of those begins so; for ``info``."""
    sources: Iterable[Callable[[str], list[CompletionItem]]] = (task_items, metric_items, data_set_items)
    return [item for source in sources for item in source(incomplete)] or file_items(incomplete)
