"""Sentences name arguments as Python has them; whoever typed a command is told the options of that command.

One mechanism for every sentence: what the package says, wherever it comes from, passes here before it is printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from czbenchmarks.results import RunRecord

_BASELINE = "baseline_"
_BY_OTHER_NAMES = {"embedding": "cell_representation", "baseline": "compute_baseline"}
"""Arguments of ``evaluate`` whose options have another name."""
_SHORT = {"--cell-representation": "-c", "--user-dataset": "-u", "--random-seed": "-r", "--compute-baseline": "-B"}
_VALUE = r"'[^']*'|\"[^\"]*\"|[\w@:.+-]*\w"


def options_of(command: click.Command) -> dict[str, str]:
    """Return argument -> option of a command."""
    flags: dict[str, str] = {}
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            own = [flag for flag in parameter.opts if flag.startswith("--")] or parameter.opts
            for name in (str(parameter.name), *(flag.lstrip("-").replace("-", "_") for flag in own)):
                flags.setdefault(name, own[0])
    for name, flag in list(flags.items()):
        if name.startswith(_BASELINE):  # the input of a baseline calls its fields without that
            flags.setdefault(name.removeprefix(_BASELINE), flag)
    return flags | {name: flags[other] for name, other in _BY_OTHER_NAMES.items() if other in flags}


def options_of_record(record: RunRecord) -> dict[str, str]:
    """Return argument -> option for the sentences in a record: of the commands that score its tasks."""
    from czbenchmarks.tasks.registry import TASK_REGISTRY

    from .options import parameters

    known = set(TASK_REGISTRY.list_tasks())
    found: dict[str, str] = {}
    for task in record.run_specification.tasks:
        if task in known:  # others are of a package that is not here
            found |= options_of(click.Command(task, params=parameters(task)))
    return found


def as_typed(sentence: str, flags: Mapping[str, str], words: Sequence[str] = ()) -> str:
    """Return a sentence with the options of a command in place of arguments.

    Arguments are in backticks, written ``name=value``, or names with an underscore. Of two spellings of an option the
    one in `words`, which is what was typed, is named.

    Examples
    --------
    >>> as_typed("`n_folds` must be at least 2, got 1; pass metrics='scib' or n_folds=5.",
    ...          {"n_folds": "--n-folds", "metrics": "--metrics"})
    '--n-folds must be at least 2, got 1; pass --metrics scib or --n-folds 5.'
    """
    if not flags:
        return sentence
    if words:  # in a note it is what was scored, whatever option named it
        sentence = re.sub(r"^`data(\[\d+\])?` must", f"{_typed('--user-dataset', words)} must", sentence)
    names = "|".join(sorted(map(re.escape, flags), key=len, reverse=True))

    def flag(found: re.Match[str]) -> str:
        return _typed(flags[found["name"]], words)

    def pair(found: re.Match[str]) -> str:
        option, value = flag(found), found["value"]
        if value == "True":
            return option
        if value == "False":
            return option.replace("--", "--no-", 1)
        return f"{option} {value.strip(chr(39) + chr(34))}"

    # Not within quotes, references or paths: those are names in the data that only look like ours.
    apart = r"(?<![\w`'\"@:./=\\-])"
    text = re.sub(rf"`(?P<name>{names})`", flag, sentence)
    text = re.sub(rf"{apart}(?P<name>{names})=(?P<value>{_VALUE})", pair, text)
    text = re.sub(rf"{apart}(?P<name>{_with_underscore(flags)})(?![\w`'\":=/\\]|\.\w|\[)", flag, text)
    return re.sub(r"(--[\w-]+) \((\1(?: [^()]*)?)\)", r"\2", text)  # both spellings were there


def _with_underscore(flags: Iterable[str]) -> str:
    return "|".join(sorted((re.escape(name) for name in flags if "_" in name), key=len, reverse=True)) or r"(?!)"


def _typed(flag: str, words: Sequence[str]) -> str:
    from czbenchmarks.tasks.fields import ALIASES

    given = {word.partition("=")[0].replace("_", "-") for word in words if word.startswith("--")}
    if flag in given:
        return flag
    if (short := _SHORT.get(flag)) and any(word.startswith(short) for word in words):
        return short
    name = flag.removeprefix("--").replace("-", "_")
    others = [ALIASES.get(name, ""), *(one for one, other in ALIASES.items() if other == name)]
    return next((f"--{one.replace('_', '-')}" for one in others if f"--{one.replace('_', '-')}" in given), flag)
