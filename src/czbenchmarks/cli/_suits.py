"""Which tasks a data file can serve, with the command to type, and why not the others."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from czbenchmarks._check import listing, printable
from czbenchmarks.tasks.fields import ALIASES, PerCell, Species, Value

if TYPE_CHECKING:
    from czbenchmarks.tasks.task import TaskInfo

_LABELS = ("cell_type", "celltype", "cell type", "cell_ontology", "annot", "label", "cluster", "leiden", "louvain")
_BATCHES = ("batch", "donor", "sample", "library", "patient", "individual", "subject", "replicate", "plate", "lane",
            "study", "dataset", "protocol", "assay", "chemistry", "tech", "orig.ident")  # fmt: skip
_TIMES = ("time", "day", "hour", "week", "month", "age", "stage", "dpt")
_SPECIES = ("organism", "species")
_PICTURES = ("umap", "tsne", "t-sne", "spatial")


def suitable(facts: dict[str, Any], source: str) -> list[dict[str, Any]]:
    """Return one row per task: the command for this file, or the reason why there is none."""
    from czbenchmarks.tasks.registry import TASK_REGISTRY

    chosen = Chosen(facts)
    infos = [TASK_REGISTRY.get_task_info(key) for key in TASK_REGISTRY.list_tasks()]
    return [
        {"task": info.name, "command": None, "reason": None, "note": None, **_row(info, facts, chosen, source)}
        for info in infos
    ]


def _row(info: TaskInfo, facts: dict[str, Any], chosen: Chosen, source: str) -> dict[str, Any]:
    """Return the command for one task, or why there is none."""
    from czbenchmarks.tasks.registry import TASK_REGISTRY

    task = TASK_REGISTRY.get_task_class(info.name)
    if task.predicts_expression:
        return _screen(info.name, facts, source)
    options: list[str] = []
    small = info.task_params.get(task.smallest_label)
    for of, column in {"labels": chosen.labels, "batch": chosen.batch, "time": chosen.time}.items():
        for flag in _flags(info, PerCell, of):
            if column is None:
                return {"reason": _no_column(of, flag, facts, chosen)}
            if of == "labels" and small and small.default == 10 and column["n_with_10_cells"] < 2:
                return {
                    "reason": f"fewer than two values of {printable(column['name'])!r} have 10 cells; lower "
                    f"--{small.name.replace('_', '-')} or name another column with {flag} COLUMN"
                }
            options += [flag, column["name"]]
    organism = facts["organism"]
    if organism is None or not organism["from"].startswith("column"):
        for flag in _flags(info, Species):
            options += [flag, organism["name"] if organism else "THIS_SPECIES", flag, "OTHER_SPECIES"]
    for name, value in task.example.items():
        options += [f"--{name.replace('_', '-')}", value]
    here = chosen.embedding
    if not info.requires_multiple_datasets:
        return {"command": _command(info.name, [source], [here], options)}
    return {
        "command": _command(
            info.name, [source, "OTHER.h5ad"], [here, here if here.startswith("@") else "other.npy"], options
        ),
        "note": "needs a second file: cells of another species, labelled alike, in the same embedding",
    }


def _flags(info: TaskInfo, kind: type[Value], of: str | None = None) -> list[str]:
    """Return the options of a task's required fields that hold such values."""
    names = [
        min(name, ALIASES.get(name, name), key=len) if kind is Species else name  # what all tasks understand
        for name, field in info.task_params.items()
        if field.required and isinstance(field.role, kind) and getattr(field.role, "of", None) == of
    ]
    return [f"--{name.replace('_', '-')}" for name in names]


class Chosen:
    """The columns that look like labels, batch and time, and the embedding to score."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self._n = facts["n_cells"]
        columns = facts["obs"]
        self.time = _best(columns, _TIMES, lambda one: one["numeric"] and one["n_values"] >= 2 and not one["missing"])
        self.batch = _best(columns, _BATCHES, lambda one: self.groups(one) and one is not self.time)
        taken = [one for one in (self.time, self.batch) if one is not None]
        self.labels = _best(columns, _LABELS, self.groups) or next(
            (
                one
                for one in columns
                if one["kind"] == "text"
                and self.groups(one)
                and one not in taken
                and not _hits(one["name"], (*_BATCHES, *_SPECIES))
            ),
            None,
        )
        if self.batch is self.labels:
            self.batch = None
        usable = [one["key"] for one in facts["obsm"] if one["shape"] and len(one["shape"]) == 2]
        usable.sort(key=lambda key: any(word in key.lower() for word in _PICTURES))
        self.embedding = f"@obsm:{usable[0]}" if usable else "embedding.npy"

    def groups(self, one: dict[str, Any]) -> bool:
        """Tell whether a column can name groups: two at least, of two cells on average, and none missing."""
        return one["kind"] != "numbers" and 2 <= one["n_values"] <= self._n / 2 and not one["missing"]


def _hits(name: str, words: tuple[str, ...]) -> int:
    """Return how early a name is in a list of words; 0 if it is not."""
    plain = name.lower()
    exact = next((2 * len(words) - i for i, word in enumerate(words) if plain == word), 0)
    return exact or next((len(words) - i for i, word in enumerate(words) if _word_in(word, plain)), 0)


def _word_in(word: str, text: str) -> bool:
    """Tell whether a word begins a word of a name: `age` is in `donor_age`, not in `image` or `percentage`."""
    start = text.find(word)
    while start > 0 and text[start - 1].isalnum():
        start = text.find(word, start + 1)
    return start >= 0


def _best(columns: list[dict[str, Any]], words: tuple[str, ...], fits: Any) -> dict[str, Any] | None:
    ranked = [(score, -i) for i, one in enumerate(columns) if (score := _hits(one["name"], words)) and fits(one)]
    return columns[-max(ranked)[1]] if ranked else None


def _command(task: str, inputs: list[str], embeddings: list[str], options: list[str]) -> str:
    words = ["czbenchmarks", "run", task]
    for flag, values in (("-u", inputs), ("-c", embeddings)):
        for value in values:
            words += [flag, value]
    return printable(shlex.join([*words, *options]))


def _no_column(of: str, flag: str, facts: dict[str, Any], chosen: Chosen) -> str:
    """Say that no column looks like labels, a batch or times."""
    if of != "labels":
        looks = {"batch": "a batch", "time": "time in numbers"}[of]
        return f"no column of obs looks like {looks}; name one with {flag} COLUMN if there is"
    if not facts["obs"]:
        return "obs has no columns; add one with a label per cell"
    if groups := [one["name"] for one in facts["obs"] if chosen.groups(one)]:
        return (
            f"no column of obs looks like labels; name one with {flag} COLUMN if there is: "
            f"{listing(groups, 5)} {'names' if len(groups) == 1 else 'name'} groups of cells"
        )
    return (
        "no column of obs names groups of cells (2 values at least, fewer than half the cells, none missing); "
        f"there are {listing([one['name'] for one in facts['obs']], 5)}"
    )


def _screen(task: str, facts: dict[str, Any], source: str) -> dict[str, Any]:
    screen = facts["screen"]
    if screen["problem"]:
        return {"reason": screen["problem"]}
    described = {
        "dataset_class": "SingleCellPerturbationDataset",
        "organism": facts["organism"]["name"] if facts["organism"] else "HUMAN",
        "path": source,
        **screen["settings"],
    }
    return {"command": _command(task, [json.dumps(described)], ["predicted.npy"], [])}
