"""``czbenchmarks run TASK``: score embeddings of the user's data."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

import click
from click.shell_completion import CompletionItem

from czbenchmarks.exceptions import BAD_INPUT

from . import _signals
from .completion import task_items

_TYPED = f"{__name__}.typed"


class _Tasks(click.Group):
    """One command per task, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the tasks' keys."""
        from czbenchmarks.tasks.registry import TASK_REGISTRY

        return TASK_REGISTRY.list_tasks()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Return the command of a task; either spelling of its name will do."""
        return _task_command(cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the tasks' names without importing them."""
        return task_items(incomplete) + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the tasks into the help without importing them."""
        from czbenchmarks.tasks.registry import TASK_REGISTRY

        with formatter.section("Tasks"):
            formatter.write_dl([(key, task.summary) for key, task in TASK_REGISTRY.summaries().items()])


class _TaskCommand(click.Command):
    """The command of one task."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words; say what to do with files that no option names."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if "unexpected extra argument" not in error.message:
                raise
            hint = "name your cells with -u and the embedding with -c"
            raise click.UsageError(f"{error.message.rstrip('.')}; {hint}.", ctx) from None
        finally:
            ctx.meta[_TYPED] = words

    def invoke(self, ctx: click.Context) -> Any:
        """Run the task; what is refused is named as it was typed."""
        from ._spelling import as_typed, options_of

        try:
            return super().invoke(ctx)
        except BAD_INPUT as error:
            if len(error.args) == 1 and isinstance(error.args[0], str):
                error.args = (as_typed(error.args[0], options_of(self), ctx.meta.get(_TYPED, ())),)
            raise


@click.group(
    "run",
    cls=_Tasks,
    invoke_without_command=True,
    subcommand_metavar="TASK [OPTIONS]",
    epilog="\b\nExample:\n  czbenchmarks run clustering -u cells.h5ad -c embedding.npy --input-labels cell_type",
)
@click.pass_context
def run_command(context: click.Context) -> None:
    """Score embeddings, or a task's baseline, on your data.

    The help of a task, czbenchmarks run TASK --help, shows its options and an example.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _task_command(name: str) -> click.Command:
    from czbenchmarks.tasks.registry import TASK_REGISTRY

    from .options import parameters

    info, cls = TASK_REGISTRY.get_task_info(name), TASK_REGISTRY.get_task_class(name)

    def run(**given: Any) -> int:
        return _run(info.name, **given)

    inputs = "-u cells.h5ad -c embedding.npy"
    if info.requires_multiple_datasets:
        inputs = "-u human.h5ad -u mouse.h5ad -c human.npy -c mouse.npy"
    if cls.predicts_expression:
        described = '{"dataset_class": "SingleCellPerturbationDataset", "organism": "HUMAN", "path": "screen.h5ad"}'
        inputs = f"-u '{described}' \\\n    -c predicted.npy"
    labels = {
        name: field.role.default
        for name, field in info.task_params.items()
        if getattr(field.role, "of", None) in ("labels", "time") and field.role.default
    }
    options = "".join(f" --{name.replace('_', '-')} {value}" for name, value in {**labels, **cls.example}.items())
    # The backspace keeps click from breaking the lines elsewhere.
    example = f"\b\nczbenchmarks run {info.name} \\\n    {inputs}{options}"
    return _TaskCommand(
        info.name,
        callback=run,
        params=parameters(name),
        help=info.description,
        epilog=f"Example:\n\n{example}",
        # --n_folds and --n-folds are the same.
        context_settings={"token_normalize_func": lambda token: token.replace("_", "-")},
    )


def _run(
    task: str,
    user_dataset: tuple[str, ...],
    dataset_key: tuple[str, ...],
    cell_representation: tuple[str, ...],
    allow_missing_cells: bool,
    compute_baseline: bool,
    random_seed: tuple[int, ...],
    output_format: str,
    output: str | None,
    store: str | None,
    keep_units: bool,
    **given: Any,
) -> int:
    """Score and print; the exit status tells whether something failed."""
    if not user_dataset and not dataset_key:
        raise click.UsageError("At least one data set is needed; name it with -u DATA.h5ad, or with -d NAME.")
    for flag, texts in (("-u", user_dataset), ("-d", dataset_key), ("-c", cell_representation)):
        if not all(text.strip() for text in texts):
            raise click.UsageError(f"{flag} must name something, got an empty text.")
    if not cell_representation and not compute_baseline:
        raise click.UsageError("An embedding or the baseline is needed; pass -c EMBEDDING or -B.")
    options: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value not in (None, ())
    }
    if keep_units and output is None and store is None:
        raise click.UsageError("--keep-units needs a place to keep them; add -o RECORD.json or --store FILE.")
    if any(name.startswith("baseline_") for name in options) and not compute_baseline:
        raise click.UsageError("Options of the baseline need the baseline itself; add -B.")
    from czbenchmarks.io.names import named
    from czbenchmarks.results import Store
    from czbenchmarks.results._files import check_target
    from czbenchmarks.run.evaluate import evaluate

    from .output import print_record

    if output is not None:  # before the work, not after it
        check_target(output)
    if store is not None:
        Store(store).check()
    data = [*map(_of_catalogue, dataset_key), *map(_data_set, user_dataset)]
    several = len(data) > 1
    embeddings = [list(cell_representation)] if several else cell_representation
    bug: Exception | None = None
    try:
        record = evaluate(
            named(embeddings) if cell_representation else None,
            data if several else data[0],
            task,
            random_seed=random_seed or None,
            baseline=compute_baseline,
            allow_missing_cells=allow_missing_cells,
            **options,
        )
    except Exception as error:
        if not hasattr(error, "czbenchmarks_record") or _signals.received():
            raise
        bug, record = error, error.czbenchmarks_record  # what is done is written all the same
    with ExitStack() as stack:  # last first: what cannot be written is stored and printed at least
        stack.callback(print_record, record, output_format)
        if store is not None:
            stack.callback(Store(store).add, record, units=keep_units)
        if output is not None:
            stack.callback(record.write, output, units=keep_units)
    if bug is not None:
        raise bug
    return int(record.failed)


def _of_catalogue(name: str) -> Any:
    from czbenchmarks.datasets.utils import open_dataset

    return open_dataset(name)


def _data_set(text: str) -> Any:
    """Return a path, or the data set that a JSON object describes."""
    if not text.lstrip().startswith("{"):
        return text
    example = '{"dataset_class": "SingleCellLabeledDataset", "organism": "HUMAN", "path": "cells.h5ad"}'
    try:
        described = json.loads(text)
    except json.JSONDecodeError as error:
        raise click.UsageError(
            f"-u must be a path or a JSON object such as {example}, got JSON that cannot be read ({error})."
        ) from None
    missing = [key for key in ("dataset_class", "organism", "path") if not isinstance(described.get(key), str)]
    if missing:
        raise click.UsageError(f"-u must be a JSON object such as {example}, got one without {', '.join(missing)}.")
    from czbenchmarks._check.addresses import stem
    from czbenchmarks.datasets.types import Organism
    from czbenchmarks.datasets.utils import open_custom_dataset

    target = described.pop("dataset_class")
    organism = Organism(described.pop("organism").partition(":")[0])
    name = f"user_dataset_{stem(described['path'])}"
    return open_custom_dataset(name, custom_dataset_kwargs={"_target_": target, "organism": organism, **described})
