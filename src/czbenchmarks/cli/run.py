"""``czbenchmarks run TASK``: score embeddings of the user's data."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.exceptions import BAD_INPUT

from .completion import complete_data_sets, complete_files, task_items

if TYPE_CHECKING:
    from czbenchmarks.tasks.task import TaskInfo


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

    from .options import task_options

    info = TASK_REGISTRY.get_task_info(name)

    def run(**given: Any) -> int:
        return _run(info.name, **given)

    inputs = "-u cells.h5ad -c embedding.npy"
    if info.requires_multiple_datasets:
        inputs = "-u human.h5ad -u mouse.h5ad -c human.npy -c mouse.npy"
    labels = next((field for field in info.task_params if field in ("labels", "input_labels")), None)
    options = f" --{labels.replace('_', '-')} cell_type" if labels else ""
    if info.name == "sequential_organization":
        options = " --input-labels time"
    if "aggregation_method" in info.task_params:
        options += " --aggregation-method none"
    if "adata" in info.task_params:
        described = '{"dataset_class": "SingleCellPerturbationDataset", "organism": "HUMAN", "path": "screen.h5ad"}'
        inputs = f"-u '{described}' \\\n    -c predicted.npy"
    # The backspace keeps click from breaking the lines elsewhere.
    example = f"\b\nczbenchmarks run {info.name} \\\n    {inputs}{options}"
    return _TaskCommand(
        info.name,
        callback=run,
        params=[*_common_options(info), *task_options(info)],
        help=info.description,
        epilog=f"Example:\n\n{example}",
        # --n_folds and --n-folds are the same.
        context_settings={"token_normalize_func": lambda token: token.replace("_", "-")},
    )


def _baseline_help(info: TaskInfo) -> str:
    from .options import baseline_needs, has_baseline

    if needed := baseline_needs(info.name):
        return (
            f"With {needed}, score a baseline too, or alone: the principal components of the counts of the genes "
            "that all species share (variable genes, logged)."
        )
    if info.baseline_params:
        return "Score a baseline too, or alone: the principal components of the counts (variable genes, logged)."
    if not has_baseline(info.name):
        return "This task has no baseline."
    if info.name == "label_prediction":
        return "Score a baseline too, or alone: the expression itself, all genes."
    return "Score the task's baseline too, or alone."


def _common_options(info: TaskInfo) -> list[click.Parameter]:
    return [
        click.Option(
            ["-u", "--user-dataset"],
            multiple=True,
            metavar="DATA",
            shell_complete=complete_files,
            help="Your cells: an .h5ad file, a .zarr folder, an https:// or s3:// address, or a JSON object with "
            "`dataset_class`, `organism` and `path`. Once per data set for tasks that compare data sets.",
        ),
        click.Option(
            ["-d", "--dataset-key"],
            multiple=True,
            metavar="NAME",
            shell_complete=complete_data_sets,
            help="Cells of the catalogue (czbenchmarks list datasets), downloaded once; before those of -u.",
        ),
        click.Option(
            ["-c", "--cell-representation"],
            multiple=True,
            metavar="[NAME=]EMBEDDING",
            shell_complete=complete_files,
            help="What your model made of the cells: .npy, .npz, .csv, .tsv, .parquet, .h5ad or .zarr (cells x "
            "dimensions; FILE:KEY for one of several arrays), or a reference into the data: @X, @obsm:KEY, "
            "@layers:KEY. Tables with cell names are aligned by them. Several are scored side by side, NAME= names "
            "one; with several data sets, one per data set in their order.",
        ),
        click.Option(
            ["--allow-missing-cells"],
            is_flag=True,
            help="Score the cells that data and embeddings share; otherwise a missing cell is an error.",
        ),
        *_scoring_options(info),
        *_engine_options(info),
        *_checking_options(info),
        *_result_options(),
    ]


def _scoring_options(info: TaskInfo) -> list[click.Parameter]:
    from .options import has_baseline

    expression = click.Option(
        ["--baseline-expression"],
        metavar="REFERENCE",
        help="Where the data hold the counts that the baseline is made of: @X or @layers:KEY. [default: @X]",
    )
    return [
        *([expression] if has_baseline(info.name) else []),
        click.Option(["-B", "--compute-baseline"], is_flag=True, help=_baseline_help(info)),
        click.Option(
            ["-r", "--random-seed"],
            type=click.INT,
            multiple=True,
            help="Seed of all draws; given several times, scores are mean ± standard deviation over the seeds. "
            f"[default: {RANDOM_SEED}"
            + ("; target genes: the random_seed of the data set" if "gene_index" in info.task_params else "")
            + "]",
        ),
    ]


def _engine_options(info: TaskInfo) -> list[click.Parameter]:
    from .options import uses_neighbors

    of_one = not info.requires_multiple_datasets
    neighbors = click.Option(
        ["--neighbors"],
        metavar="auto|exact|approximate" + ("|@obsp:KEY" if of_one else ""),
        help="How nearest cells are found: approximate is for very many cells and says its recall, auto decides by "
        "their number (exact up to 100,000)"
        + (", @obsp:KEY takes the distances that the data hold (scanpy.pp.neighbors)" if of_one else "")
        + ". [default: auto]",
    )
    return [
        *([neighbors] if uses_neighbors(info.name) else []),
        click.Option(
            ["--threads"],
            type=click.INT,
            metavar="N",
            help="Threads to compute with; the scores do not depend on it. [default: CZBENCHMARKS_NUM_THREADS, else "
            "all processors]",
        ),
        click.Option(
            ["--memory"],
            metavar="SIZE",
            help="Memory for temporary blocks, such as 500MB or 2GiB; the scores do not depend on it. "
            "[default: CZBENCHMARKS_MEMORY, else 1GiB or a quarter of the available]",
        ),
    ]


def _checking_options(info: TaskInfo) -> list[click.Parameter]:
    if info.requires_multiple_datasets or "gene_index" in info.task_params:
        return []
    return [
        click.Option(
            ["--checks"],
            is_flag=True,
            help="Also say what to doubt of the scores: scale, resolution, duplicates or donors across folds.",
        ),
        click.Option(
            ["--supervised"],
            multiple=True,
            metavar="NAME",
            help="An embedding that was made with the labels; what that means for its scores is said.",
        ),
        click.Option(
            ["--donors"],
            metavar="COLUMN",
            help="Donor of each cell, for the checks. [default: donor_id or donor, if there is one]",
        ),
    ]


def _result_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["output_format", "-f", "--format"],
            type=click.Choice(["table", "json", "csv", "markdown"]),
            default="table",
            show_default=True,
            help="How to print the scores.",
        ),
        click.Option(
            ["-o", "--output"],
            type=click.Path(),
            metavar="RECORD.json",
            shell_complete=complete_files,
            help="Also write the record: scores, options, hashes of the data, versions, seconds.",
        ),
        click.Option(
            ["--store"],
            metavar="FILE",
            envvar="CZBENCHMARKS_STORE",
            shell_complete=complete_files,
            help="Also add the record to a store, one file for many runs; czbenchmarks results lists them.",
        ),
        click.Option(
            ["--keep-units"],
            is_flag=True,
            help="Keep with the record what the scores are made of: values of cells, held-out predictions, conditions.",
        ),
    ]


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
        if not hasattr(error, "czbenchmarks_record"):
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
