"""Records as files: written at once, read whatever version wrote them."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from czbenchmarks._check.addresses import shown, usable
from czbenchmarks.exceptions import DatasetFileNotFoundError, InputError

Model = TypeVar("Model", bound=BaseModel)


class UnreadableRecord(InputError):
    """There is something under the name, but it is no record that can be read: damaged, or of a newer version."""


def write(content: dict[str, Any], path: str | Path) -> Path:
    """Write JSON beside its place and move it there."""
    target = check_target(path)
    text = json.dumps(content, indent=2, allow_nan=False)
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=target.parent, prefix=".record-", suffix=".part", delete=False, encoding="utf-8"
        ) as file:
            part = Path(file.name)
            try:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
                mask = os.umask(0)
                os.umask(mask)
                part.chmod(0o666 & ~mask)  # temporary files are private; a record is as any file of the user
                os.replace(part, target)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise InputError(
            f"The record must be written to a writable file, got '{shown(target)}': {error.strerror}."
        ) from None
    return target


def check_target(path: str | Path) -> Path:
    """Return where a record may be written; refuse to replace what is none.

    Raises
    ------
    ValueError
        If the folder is missing or read-only, or the file holds something else.
    """
    target = expanded(path)
    if not str(path).strip() or target.is_dir():
        raise InputError(
            f"The record must be a file, got '{shown(target)}', which is a folder; add a name such as run.json."
        )
    if not target.parent.is_dir():
        raise InputError(f"The record must go to an existing folder, got '{shown(target.parent)}'; make it first.")
    if not os.access(target.parent, os.W_OK):
        raise InputError(f"The record must go to a writable folder, got '{shown(target.parent)}'; choose another.")
    if target.exists() and not (target.is_file() and _is_record(target)):
        raise InputError(
            f"The record must not replace another file, got '{shown(target)}', which is no record; rename it."
        )
    return target.resolve()  # a link stays one


def expanded(path: str | Path) -> Path:
    """Return a path with its ``~`` replaced."""
    try:
        found = Path(path).expanduser()
    except RuntimeError:
        raise InputError(f"A path must name an existing home after '~', got '{shown(path)}'; write it out.") from None
    usable(found)
    return found


def _is_record(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and "result_metrics" in content


def read(path: str | Path, newest: int, model: type[Model]) -> Model:
    """Return a record in the newest layout, checked."""
    file = expanded(path)
    if not file.is_file():
        raise DatasetFileNotFoundError(f"A record must be an existing file, got '{shown(file)}', which does not exist.")
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UnreadableRecord(f"A record must be a readable file, got '{shown(file)}': {error.strerror}.") from None
    except ValueError as error:
        raise UnreadableRecord(
            f"A record must be JSON, got '{shown(file)}', which is not ({error}); write it again."
        ) from None
    return parse(text, shown(file), newest, model)


def parse(text: str | bytes, of: str, newest: int, model: type[Model]) -> Model:
    """Return a record of some text in the newest layout, checked; `of` says where the text is from."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableRecord(f"A record must be JSON, got '{of}', which is not ({error}); write it again.") from None
    if not isinstance(content, dict) or not isinstance(content.get("result_metrics"), list):
        raise UnreadableRecord(f"A record must hold `result_metrics`, got '{of}' without; it is no record of a run.")
    version = content.get("schema_version", 0)
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        raise UnreadableRecord(f"`schema_version` of a record must be a whole number, got {version!r} in '{of}'.")
    if version > newest:
        raise UnreadableRecord(
            f"'{of}' must be a record of schema version {newest} or older, got version {version}; "
            "upgrade cz-benchmarks to read it."
        )
    lacking = [name for name in ("timestamp", "czbenchmarks_version") if not isinstance(content.get(name), str)]
    if lacking:
        raise UnreadableRecord(f"A record must be complete, '{of}' is without {' and '.join(lacking)}; write it again.")
    try:
        for step in range(version, newest):
            content = _UPGRADES[step](content)
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UnreadableRecord(f"A record must be complete, '{of}' is not ({place}: {first['msg']}).") from None
    except (KeyError, TypeError, AttributeError):
        raise UnreadableRecord(f"A record must be complete, '{of}' is not; write it again.") from None


def _from_0(old: dict[str, Any]) -> dict[str, Any]:
    """Upgrade what 0.15.2.dev0 first printed: one seed, no version of the layout, options in one heap."""
    specification = dict(old.get("run_specification", {}))
    specification["random_seeds"] = [specification.pop("random_seed", old.get("random_seed"))]
    specification["tasks"] = {
        key: {"given": options, "defaulted": {}} for key, options in specification.get("tasks", {}).items()
    }
    scores = [
        {**row, "values_raw": [row["value"]], "n_values": int(row["value"] is not None)}
        for row in old["result_metrics"]
    ]
    return {**old, "schema_version": 1, "run_specification": specification, "result_metrics": scores}


_UPGRADES = {0: _from_0}
