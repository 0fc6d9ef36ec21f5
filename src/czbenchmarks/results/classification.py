"""Tables of what classifiers did with each label, from the scores of a label prediction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from czbenchmarks._check import kind_of, listing
from czbenchmarks.exceptions import InputError, InputTypeError

from .record import RunRecord, Score

if TYPE_CHECKING:
    import pandas as pd

    from czbenchmarks.metrics.types import MetricResult

    Scores = RunRecord | Iterable[Score | MetricResult]

_ACCURACY = ("mean_fold_accuracy", "accuracy")
_F1 = ("mean_fold_f1", "f1")


def confusion_matrix(scores: Scores, classifier: str = "lr", **params: Any) -> pd.DataFrame:
    """Return the confusion matrix of one classifier, from its predictions of all test cells.

    Parameters
    ----------
    scores
        A record, or the results of a label prediction task with its accuracy. Over several seeds it is the matrix of
        the first with a value.
    classifier
        "lr" (logistic regression), "knn" (nearest neighbours) or "rf" (random forest).
    **params
        What tells it from others: ``embedding`` and ``task`` in a record of several, ``train_species`` and
        ``test_species`` of the cross-species task.

    Returns
    -------
    Labels x labels, in alphabetical order: cells of the row's label that were called the column's.

    Raises
    ------
    ValueError
        If no table or more than one is meant.

    Examples
    --------
    >>> import numpy as np, pandas as pd, czbenchmarks
    >>> obs = pd.DataFrame({"cell_type": ["B", "T"] * 20})
    >>> X = np.array([[0.0], [9.0]] * 20)
    >>> X[:2] = X[1::-1]  # the first two cells look like each other's type
    >>> confusion_matrix(czbenchmarks.evaluate(X, obs, "label_prediction"), "knn").loc["B"].to_dict()
    {'B': 19, 'T': 1}
    """
    import pandas as pd

    rows = _rows(scores, _ACCURACY, classifier, params)
    labels = sorted({row[side] for row in rows for side in ("true", "predicted")})
    at = {label: i for i, label in enumerate(labels)}
    cells = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for row in rows:
        cells[at[row["true"]], at[row["predicted"]]] = row["cells"]
    return pd.DataFrame(cells, pd.Index(labels, name="true"), pd.Index(labels, name="predicted"))


def per_class_table(scores: Scores, classifier: str = "lr", **params: Any) -> pd.DataFrame:
    """Return cells, precision, recall and F1 of every label, from one classifier's predictions of all test cells.

    The predictions of all folds are counted together; the score `mean_fold_f1` is a mean over folds instead.

    Parameters
    ----------
    scores
        A record, or the results of a label prediction task with its F1. Over several seeds it is the table of the
        first with a value.
    classifier, **params
        As of ``confusion_matrix``.

    Returns
    -------
    One row per label; NaN where there is nothing to count, such as the precision of a label that was never called.

    Raises
    ------
    ValueError
        If no table or more than one is meant.

    Examples
    --------
    >>> import numpy as np
    >>> from czbenchmarks.tasks import MetadataLabelPredictionTask, MetadataLabelPredictionTaskInput
    >>> X = np.array([[0.0], [9.0]] * 20)
    >>> X[:2] = X[1::-1]
    >>> results = MetadataLabelPredictionTask().run(X, MetadataLabelPredictionTaskInput(labels=["B", "T"] * 20))
    >>> per_class_table(results, "knn").loc["B"].to_dict()
    {'cells': 20.0, 'precision': 0.95, 'recall': 0.95, 'f1': 0.95}
    """
    import pandas as pd

    found = pd.DataFrame(_rows(scores, _F1, classifier, params)).set_index("label")
    return found.astype({"precision": "float64", "recall": "float64", "f1": "float64"})


def _rows(scores: Scores, metrics: tuple[str, ...], classifier: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the breakdowns of the one score that is meant."""
    tables = [
        (_told_by(score), score.breakdowns)
        for score in _listed(scores)
        if getattr(score.metric_type, "value", score.metric_type) in metrics and score.breakdowns
    ]
    if not tables:
        raise InputError(
            f"`scores` must hold the score {metrics[0]!r} of a classifier with its table, got none; score a label "
            "prediction task with it (records of before there were tables have none)."
        )
    wanted = {"classifier": classifier, **params}
    for name, value in wanted.items():
        known = dict.fromkeys(told[name] for told, _ in tables if name in told)
        if value not in known:
            raise InputError(
                f"`{name}` must be one of those of the scores, got {value!r}; "
                + (f"there are {listing(known, 10)}." if known else f"their tables have no `{name}`.")
            )
    meant = [(told, rows) for told, rows in tables if wanted.items() <= told.items()]
    if len(meant) != 1:
        rest = [{name: value for name, value in told.items() if name not in wanted} for told, _ in meant]
        raise InputError(
            f"One table must be meant, got {len(meant)} for {_listed_values(wanted)}; "
            + (f"tell them apart by {listing(map(_listed_values, rest))}." if rest else "name others together.")
        )
    rows = list(meant[0][1] or [])
    return [  # of the first seed, where they differ between seeds
        {name: value for name, value in row.items() if name != "seed"}
        for row in rows
        if row.get("seed") == rows[0].get("seed")
    ]


def _listed(scores: Any) -> list[Any]:
    if isinstance(scores, RunRecord):
        return list(scores.result_metrics)
    found = list(scores) if isinstance(scores, Iterable) and not isinstance(scores, (str, bytes)) else [scores]
    for one in found:
        if not hasattr(one, "metric_type") or not hasattr(one, "breakdowns"):
            raise InputTypeError(f"`scores` must be a RunRecord or the results of a task, got {kind_of(one)}.")
    return found


def _listed_values(told: dict[str, Any]) -> str:
    return "(" + ", ".join(f"{name}={value!r}" for name, value in told.items()) + ")"


def _told_by(score: Any) -> dict[str, Any]:
    """Return what tells a score from others: parameters, and in a record task and embedding."""
    place = {"task": score.task, "embedding": score.embedding} if isinstance(score, Score) else {}
    return {**place, **(score.params or {})}
