"""The record of one run: what was asked, what was scored, with which versions. It is what a run leaves behind."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Literal, Optional

from pydantic import Field, PrivateAttr

from czbenchmarks import __version__
from czbenchmarks._check import unknown
from czbenchmarks.constants import BASELINE as BASELINE
from czbenchmarks.exceptions import InputError
from czbenchmarks.metrics.presets import find

from . import _files
from ._notes import how_computed
from .parts import AskedOfTask as AskedOfTask
from .parts import CheckResult as CheckResult
from .parts import Failure as Failure
from .parts import JobFacts as JobFacts
from .parts import Part
from .parts import RunSpecification as RunSpecification
from .parts import RuntimeMetrics as RuntimeMetrics
from .parts import Score as Score
from .units import units_file, units_of, write_units

if TYPE_CHECKING:
    import pandas as pd


SCHEMA_VERSION: Literal[1] = 1


class RunRecord(Part):
    """Everything one run gave. `write` and `read` keep it; `to_frame` shows it.

    Attributes
    ----------
    schema_version
        Version of this layout. Records of every released version load.
    timestamp
        When the run ended (UTC, ISO 8601).
    czbenchmarks_version
        The package that computed the scores.
    environment
        Python, platform, threads, memory budget and the versions of the packages that do arithmetic.
    run_specification
        What was asked, see `RunSpecification`.
    result_metrics
        The scores: task by task, embedding by embedding.
    runtime_metrics
        What it cost, see `RuntimeMetrics`; None if nobody measured.
    warnings
        What to know of the run: choices that defaults made, cells left out.
    failures
        What gave no scores.
    checks
        What the trust checks say, if they were asked for.
    jobs
        What was computed: one task on one embedding under one seed each.

    Examples
    --------
    >>> import numpy as np, pandas as pd, czbenchmarks
    >>> obs = pd.DataFrame({"cell_type": ["a", "a", "b", "b"]})
    >>> record = czbenchmarks.evaluate(np.array([[0.0], [1.0], [9.0], [10.0]]), obs, "embedding")
    >>> record.schema_version, record.complete, round(record.result_metrics[0].value, 3)
    (1, True, 0.944)
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    timestamp: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    czbenchmarks_version: str = Field(default_factory=lambda: __version__)
    environment: Dict[str, Any] = Field(default_factory=dict)
    run_specification: RunSpecification = Field(default_factory=RunSpecification)
    result_metrics: List[Score] = Field(default_factory=list)
    runtime_metrics: Optional[RuntimeMetrics] = None
    warnings: List[str] = Field(default_factory=list)
    failures: List[Failure] = Field(default_factory=list)
    checks: List[CheckResult] = Field(default_factory=list)
    jobs: List[JobFacts] = Field(default_factory=list)
    _units_kept: Path | bytes | None = PrivateAttr(default=None)

    def __repr__(self) -> str:
        """Say how much there is; ``to_frame`` shows it."""
        return f"RunRecord({len(self.result_metrics)} scores, {len(self.failures)} failures; see to_frame())"

    __str__ = __repr__

    @property
    def complete(self) -> bool:
        """Whether nothing failed and every score has a value under every seed."""
        return not self.failures and all(score.n_values == len(score.values_raw) for score in self.result_metrics)

    @property
    def failed(self) -> bool:
        """Whether something failed, which the exit status 1 tells; a score that its metric does not define did not."""
        return bool(self.failures) or any(score.failed for score in self.result_metrics)

    def rows(self) -> list[tuple[tuple[str, str, int], Score, Score | None]]:
        """Return every score with what is the same over embeddings, and with the baseline's score of it.

        Returns
        -------
        Tuples of (task, metric and parameters, number among scores of the same ones), the score, and the baseline's;
        None for the baseline itself and where it has none.
        """
        seen: Counter[tuple[str, str, str]] = Counter()
        found = []
        for score in self.result_metrics:
            same = (score.task, score.embedding, score.key)
            found.append(((score.task, score.key, seen[same]), score))
            seen[same] += 1
        baselines = {place: score for place, score in found if score.embedding == BASELINE}
        return [(place, one, baselines.get(place) if one.embedding != BASELINE else None) for place, one in found]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per score.

        Returns
        -------
        Columns `task`, `embedding`, `metric`, `value`, `value_std_dev` and `values_raw` (over seeds, if there are
        several), `baseline` and `difference` (if one was scored), `reason` (why there is no value), `note` (what to
        know of it: how it was estimated, say), one ``params.NAME`` for every parameter that tells scores of one metric
        apart, and `key` (unique).
        """
        import pandas as pd

        several = any(len(score.values_raw) > 1 for score in self.result_metrics)
        names = {score.embedding for score in self.result_metrics}
        rows = []
        for (task, same, number), score, base in self.rows():
            key = f"{task}|{score.embedding}|{same}{f'#{number + 1}' if number else ''}"
            row = {"task": score.task, "embedding": score.embedding, "metric": score.metric_type, "value": score.value}
            if several:
                row |= {"value_std_dev": score.value_std_dev, "values_raw": list(score.values_raw)}
            if len(names) > 1 and BASELINE in names:
                value = base.value if base else math.nan
                row |= {"baseline": value, "difference": score.value - value}
            notes = [how_computed(score.details), (score.details or {}).get("note")]
            row |= {"reason": score.reason, "note": "; ".join(filter(None, notes)) or None}
            row |= {f"params.{name}": value for name, value in score.params.items()}
            rows.append({**row, "key": key})
        frame = pd.DataFrame(
            rows, columns=None if rows else ["task", "embedding", "metric", "value", "reason", "note", "key"]
        )
        return frame[[*(name for name in frame.columns if name != "key"), "key"]]

    def breakdown(self, metric: str) -> pd.DataFrame:
        """Return what the scores of a metric are made of: one row per label, batch, resolution or pair of labels.

        Parameters
        ----------
        metric
            The metric's key, or another name that ``metrics`` takes for it.

        Returns
        -------
        Columns `task`, `embedding`, one per parameter of the score, and those of the breakdown.

        Raises
        ------
        ValueError
            If no score of the run is made of parts under that name.
        """
        import pandas as pd

        tables = {score.metric_type: score for score in self.result_metrics if score.breakdowns}
        if metric not in tables:
            with suppress(ValueError):
                metric = getattr(find(metric), "value", metric)
        if metric not in tables:
            raise InputError(unknown("Breakdown", metric, tables, "is not in the run"))
        return pd.DataFrame(
            [
                {"task": score.task, "embedding": score.embedding, **score.params, **row}
                for score in self.result_metrics
                if score.metric_type == metric
                for row in score.breakdowns or ()
            ]
        )

    def check_table(self, name: str) -> pd.DataFrame:
        """Return the numbers behind a check, one row after the other, for every embedding.

        Parameters
        ----------
        name
            Name of the check.

        Raises
        ------
        ValueError
            If no check of that name has a table.
        """
        import pandas as pd

        tables = [check for check in self.checks if check.table]
        if not self.checks:
            raise InputError(
                f"Check {name!r} must be asked for when scoring, got a run without; add checks (--checks)."
            )
        if name not in {check.name for check in tables}:
            raise InputError(unknown("Table of a check", name, {check.name for check in tables}, "is not in the run"))
        return pd.DataFrame(
            [{"of": check.embedding, **row} for check in tables if check.name == name for row in check.table]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the record as what JSON holds: a score without a value has null and a reason."""
        return self.model_dump(mode="json")

    def units(self, metric: str) -> pd.DataFrame:
        """Return the values that the scores of a metric are made of: one row per cell, condition, label …

        They are there after a run, and of a record that was written with its units.

        Parameters
        ----------
        metric
            The metric's key, or another name that ``metrics`` takes for it.

        Returns
        -------
        Columns `task`, `embedding`, `seed` (None where nothing is drawn), one per parameter of the score, `unit` (its
        name), `kind`, `value` (NaN where the score is not made of unit values), and what else is known per unit, such
        as the fold and the predicted label.

        Raises
        ------
        ValueError
            If no score of that name has units, or they were not kept.
        """
        return units_of(self, metric, self._units_kept)

    def write(self, path: str | Path, *, units: bool = False) -> Path:
        """Write the record as JSON; the file appears complete or not at all.

        Parameters
        ----------
        path
            The file. A record of an earlier run is replaced, anything else is left alone.
        units
            Also write the values of the scores' units, beside it: ``run.units.npz`` for ``run.json``.

        Returns
        -------
        The path.

        Raises
        ------
        ValueError
            If the folder does not exist or cannot be written, or the file is something else than a record.
        """
        target = _files.check_target(path)
        if units:
            write_units(self, units_file(target))
        return _files.write(self.to_dict(), target)

    @classmethod
    def read(cls, path: str | Path) -> RunRecord:
        """Read a record that `write` wrote, or one of an earlier version.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        ValueError
            If the file is no record, is damaged, or comes from a newer version.
        """
        record = _files.read(path, SCHEMA_VERSION, cls)
        kept = units_file(_files.expanded(path))
        record._units_kept = kept if kept.is_file() else None
        return record

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of the files; it is kept in ``run_record.schema.json`` beside this module."""
        address = "https://json-schema.org/draft/2020-12/schema"
        return {"$schema": address, **cls.model_json_schema(mode="serialization")}
