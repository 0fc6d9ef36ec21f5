"""The values of the units behind a record's scores: kept beside it, and read back as a table."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import unknown
from czbenchmarks._check.addresses import shown
from czbenchmarks.exceptions import InputError
from czbenchmarks.kernels.representation import digest
from czbenchmarks.metrics.presets import find
from czbenchmarks.metrics.types import Units

from ._files import UnreadableRecord

if TYPE_CHECKING:
    import pandas as pd

    from .parts import Score
    from .record import RunRecord

_CONTENTS = "contents"


def units_file(record: Path) -> Path:
    """Return where the units of a record are kept: ``run.units.npz`` for ``run.json``."""
    return record.with_suffix(".units.npz")


def write_units(record: RunRecord, path: Path) -> None:
    """Write the units of all scores of a record of this process; the file appears complete or not at all."""
    content = packed_units(record)
    part = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".units-", suffix=".part", delete=False) as file:
            part = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise InputError(
            f"The units must be written to a writable file, got '{shown(path)}': {error.strerror}."
        ) from None
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def packed_units(record: RunRecord) -> bytes:
    """Return the units of all scores as the content of an ``.npz`` file; equal arrays are in it once."""
    arrays: dict[str, NDArray[Any]] = {}
    places: dict[str, str] = {}

    def kept(array: Any) -> str:
        array = _plain(array)
        name = places.setdefault(digest(array.view(np.uint8) if array.dtype.kind == "S" else array), f"a{len(places)}")
        arrays.setdefault(name, array)
        return name

    entries = [
        {
            "score": i,
            "seed": seed,
            "kind": units.kind,
            "summary": units.summary,
            "groups": list(units.groups),
            "ids": kept(units.ids),
            "values": None if units.values is None else kept(units.values),
            "columns": {name: kept(column) for name, column in units.columns.items()},
            "labels": None if units.labels is None else kept(units.labels),
        }
        for i, score in enumerate(record.result_metrics)
        for seed, units in _in_memory(record, score)
    ]
    said = json.dumps({"record": record.timestamp, "units": entries}).encode()
    file = io.BytesIO()
    np.savez_compressed(file, **{_CONTENTS: np.frombuffer(said, dtype=np.uint8)}, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def _plain(array: Any) -> NDArray[Any]:
    """Return an array that can be kept without pickling: names as UTF-8."""
    array = np.asarray(array)
    if array.dtype.kind in "OU":
        return np.char.encode(np.array([str(one) for one in array], dtype=str), "utf-8")
    return array


def _in_memory(record: RunRecord, score: Score) -> Iterator[tuple[int | None, Units]]:
    """Yield seed and units of every result behind a score; of a task that draws nothing once, without a seed."""
    seeds = record.run_specification.random_seeds
    before = None
    for seed, result in zip(seeds, score.results, strict=False):
        if result is not before and result.units is not None:
            yield (None if len(seeds) > 1 and all(one is result for one in score.results) else seed), result.units
        before = result


def units_of(record: RunRecord, metric: str, kept: Path | bytes | None) -> pd.DataFrame:
    """Return the units of a metric's scores as a table: from memory, else from the file or content that keeps them."""
    import pandas as pd

    names = {score.metric_type for score in record.result_metrics}
    if metric not in names:
        with suppress(InputError):
            metric = getattr(find(metric), "value", metric)
    if metric not in names:
        raise InputError(unknown("Metric", metric, names, "is not in the run"))
    found = [
        (score, seed, units)
        for score in record.result_metrics
        if score.metric_type == metric
        for seed, units in _in_memory(record, score)
    ]
    if not found and kept is not None:
        found = [
            (record.result_metrics[i], seed, units)
            for i, seed, units in _read(kept, record.timestamp)
            if i < len(record.result_metrics) and record.result_metrics[i].metric_type == metric
        ]
    if not found:
        raise InputError(
            f"The units of {metric!r} must be kept with the record, got none; score with --keep-units (write(path, "
            "units=True)), unless the metric has no units."
        )
    frames = []
    for score, seed, units in found:
        of_score = {"task": score.task, "embedding": score.embedding, "seed": seed, **score.params}
        frames.append(pd.DataFrame({**of_score, **units.frame()}, index=range(len(units.ids))))
    return pd.concat(frames, ignore_index=True)


def _read(kept: Path | bytes, timestamp: str) -> Iterator[tuple[int, int | None, Units]]:
    where = "the store" if isinstance(kept, bytes) else f"'{shown(kept)}'"
    try:
        content = kept if isinstance(kept, bytes) else kept.read_bytes()  # np.load leaves a damaged file open
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            contents = json.loads(bytes(file[_CONTENTS]))
            if contents["record"] != timestamp:
                raise UnreadableRecord(f"The units must be those of the record, got {where} of another run.")
            arrays = {name: _text(file[name]) for name in file.files if name != _CONTENTS}
        for one in contents["units"]:
            columns = {name: arrays[place] for name, place in one["columns"].items()}
            values = None if one["values"] is None else arrays[one["values"]]
            groups = tuple(one["groups"])
            labels = None if one["labels"] is None else arrays[one["labels"]]
            units = Units(one["kind"], arrays[one["ids"]], values, columns, one["summary"], groups, labels)
            yield one["score"], one["seed"], units
    except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        if isinstance(error, UnreadableRecord):
            raise
        raise UnreadableRecord(f"The units must be readable, got {where}, which is damaged; score again.") from None


def _text(array: NDArray[Any]) -> NDArray[Any]:
    return np.char.decode(array, "utf-8").astype(object) if array.dtype.kind == "S" else array
