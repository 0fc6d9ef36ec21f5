"""What tasks on several data sets share: their lists agree with each other, and either name of the organisms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Dict

from czbenchmarks import _check
from czbenchmarks._check import Labels
from czbenchmarks.exceptions import InputAssertionError, InputError
from czbenchmarks.kernels.representation import Representation


def rename(data: Any, alias: str, field: str) -> Any:
    """Return input with `alias` under the name of the field it stands for."""
    if not isinstance(data, Mapping) or alias not in data:
        return data
    renamed: Dict[str, Any] = dict(data)
    value = renamed.pop(alias)
    if not _check.is_given(value):
        return renamed
    if _check.is_given(renamed.get(field)):
        raise InputError(f"`{field}` and `{alias}` are one option under two names; pass one of them.")
    return {**renamed, field: value}


def labels_of(embeddings: list[Representation], labels: list[Any], organisms: list[Any], field: str) -> list[Labels]:
    """Check that there is one list of labels and one organism per data set, each label list as long as its data."""
    for name, entries in (("labels", labels), (field, organisms)):
        if len(entries) != len(embeddings):
            raise InputAssertionError(
                f"Number of cell representations must match `{name}`, one entry per data set: expected "
                f"{len(embeddings)}, got {len(entries)}."
            )
    widths = [embedding.d for embedding in embeddings]
    if len(set(widths)) > 1:
        raise InputError(
            "`cell_representation` must have the same number of dimensions in every data set, got "
            f"{', '.join(map(str, widths))}; embed all of them with one model."
        )
    return [
        _check.labels(entry, f"labels[{i}]", embedding.n)
        for i, (entry, embedding) in enumerate(zip(labels, embeddings, strict=True))
    ]
