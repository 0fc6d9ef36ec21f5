"""Tables of orthologues: the one of the package, a user's file or DataFrame, several joined."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks import _check
from czbenchmarks._check.addresses import shown
from czbenchmarks._check.text import as_text
from czbenchmarks.exceptions import InputError, InputTypeError

from .types import Organism

if TYPE_CHECKING:
    import pandas as pd

BUNDLED = {"human-mouse": "orthologs_human_mouse.csv.gz"}
"""Tables that come with the package; ``tables/README.md`` says where they come from."""

_HEADING = re.compile(r"(.+?)(?:_(?:gene_)?(?:symbol|name|ensembl_id|stable_id|id))?")
_VERSION = re.compile(r"(ENS[A-Z]*\d{6,})\.\d+")
_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
# What a table may be, so that a file that is none takes no memory; that of human and mouse has 16,590 rows.
_LARGEST = 50_000_000  # characters
_MOST_ROWS = 1_000_000
_MOST_COLUMNS = 200

Names = NDArray[np.object_]


@dataclass(frozen=True)
class Table:
    """Rows of orthologues."""

    called: str  # in a sentence
    names: Mapping[Organism, Mapping[str, Names]]  # organism to heading to one name per row, empty for none

    def labels(self) -> Names:
        """Return a name for every row: the human gene's, else that of the first organism.

        A symbol before an id, unless several rows have that symbol; empty where no name is of this row alone.
        """
        columns = self.names.get(Organism.HUMAN, next(iter(self.names.values())))
        found: Names = np.full(len(next(iter(columns.values()))), "", dtype=object)
        for heading in sorted(columns, key=lambda one: one.endswith("id")):
            found = np.where((found == "") & once(columns[heading]), columns[heading], found)
        return np.where(once(found), found, "")


def read_all(table: Any) -> Table:
    """Return the table that is asked for; several are joined by their human genes."""
    several = list(table) if isinstance(table, (list, tuple)) else [table]
    if not several:
        raise InputError("`table` must be at least one table of orthologues, got an empty list.")
    found = _read(several[0])
    for other in several[1:]:
        found = _merged(found, _read(other))
    return found


def _read(table: Any) -> Table:
    import pandas as pd

    if table is None:
        table = next(iter(BUNDLED))
    if isinstance(table, pd.DataFrame):
        frame, called = table, f"a table of {len(table):,} rows"
    elif isinstance(table, str) and table in BUNDLED:
        path = Path(__file__).with_name("tables") / BUNDLED[table]
        frame, called = _parsed(_text(path), path), f"the table {table}"
    elif isinstance(table, (str, Path)):
        path = Path(table)
        path = path.expanduser() if str(table).startswith("~/") else path
        content = _text(path)
        called = f"'{_check.printable(path)}' (SHA-256 {hashlib.sha256(content).hexdigest()[:12]}…)"
        frame = _parsed(content, path)
    else:
        raise InputTypeError(
            f"The table of orthologues must be {' or '.join(map(repr, BUNDLED))}, a DataFrame or the path of a .csv or "
            f".tsv file, got {_check.kind_of(table)}."
        )
    columns: dict[Organism, dict[str, Names]] = {}
    for position, heading in enumerate(map(as_text, frame.columns)):
        if (organism := _organism(heading)) is not None:
            columns.setdefault(organism, {})[heading] = plain_names(frame.iloc[:, position])
    if len(columns) < 2:
        raise InputError(
            "The table of orthologues must have columns of at least two organisms, such as 'human_symbol' and "
            f"'mouse_symbol', got {called} with the columns {_check.listing(frame.columns, 5) or 'none'}; rename them."
        )
    rows = pd.DataFrame({(kind, heading): names for kind, of in columns.items() for heading, names in of.items()})
    keep = ~rows.duplicated().to_numpy()
    return Table(called, {kind: {head: names[keep] for head, names in of.items()} for kind, of in columns.items()})


def _organism(heading: str) -> Organism | None:
    """Return the organism that a heading begins with, if it heads a column of genes."""
    match = _HEADING.fullmatch(re.sub(r"\W+", "_", heading.strip().lower()))
    try:
        return None if match is None else Organism(match[1])
    except ValueError:
        return None


def _text(path: Path) -> bytes:
    """Return the content of a table, unpacked; what is no table of text of moderate size is refused."""
    given, hint = f"'{_check.printable(shown(path))}'", "pass a .csv or .tsv file"
    must = f"The table of orthologues must be {' or '.join(map(repr, BUNDLED))}, a DataFrame or an existing file"
    packed = path.suffix.lower() == ".gz"
    suffix = path.with_suffix("").suffix.lower() if packed else path.suffix.lower()
    try:
        if not path.is_file():
            kind = "is no file" if path.exists() else "does not exist"
            raise InputError(f"{must}, got {given}, which {kind}; {hint}.")
        if suffix not in _SEPARATORS:
            raise InputError(f"The table of orthologues must be text, got {given}; {hint}.")
        with gzip.open(path) if packed else path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"The table of orthologues must be readable, got {given} ({why}); {hint}.") from None
    limits = {
        f"more than {_LARGEST:,} characters": len(content) > _LARGEST,
        f"more than {_MOST_ROWS:,} rows": content.count(b"\n") > _MOST_ROWS,
        f"more than {_MOST_COLUMNS} columns": len(_fields(content, suffix)) > _MOST_COLUMNS,
        "NUL characters": b"\0" in content,
    }
    for what in (what for what, exceeded in limits.items() if exceeded):
        raise InputError(f"The table of orthologues must be text of moderate size, got {given} with {what}; {hint}.")
    return content


def _fields(content: bytes, suffix: str) -> list[bytes]:
    return content.lstrip()[:_LARGEST].partition(b"\n")[0].split(_SEPARATORS[suffix].encode())


def _parsed(content: bytes, path: Path) -> pd.DataFrame:
    import pandas as pd

    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the headings
            return pd.read_csv(
                io.BytesIO(content),
                sep=_SEPARATORS[plain.suffix.lower()],
                dtype=str,
                keep_default_na=False,
                na_values=["", "NA"],
                encoding="utf-8-sig",
                index_col=False,
            )
    except (ValueError, OverflowError, pd.errors.ParserWarning) as error:  # pandas' own errors, and what is no UTF-8
        why = _check.printable(" ".join(str(error).split())[:200]).rstrip(".")
        raise InputError(
            "The table of orthologues must have a row of headings and rows of equal length in UTF-8, got "
            f"'{_check.printable(path)}' ({why}); write it again."
        ) from None


def plain_names(values: Any) -> Names:
    """Return names as text without versions of Ensembl ids; empty where there is none."""
    import pandas as pd

    found = np.asarray(values, dtype=object)
    text = (("" if missing else as_text(name).strip()) for name, missing in zip(found, pd.isna(found), strict=True))
    plain = np.empty(len(found), dtype=object)
    plain[:] = [match[1] if (match := _VERSION.fullmatch(name)) else name for name in text]
    return plain


def _merged(first: Table, second: Table) -> Table:
    """Join two tables by the human genes of both."""
    if Organism.HUMAN not in first.names or Organism.HUMAN not in second.names:
        raise InputError(
            f"Tables of orthologues must each have a column of human genes to be joined by, got {first.called} and "
            f"{second.called}; pass one table with a column per organism."
        )
    pairs = [(a, b) for a in first.names[Organism.HUMAN].values() for b in second.names[Organism.HUMAN].values()]
    rows = max((positions_of(a, b) for a, b in pairs), key=lambda found: int((found >= 0).sum()))
    keep = rows >= 0
    names = {kind: {head: column[keep] for head, column in of.items()} for kind, of in first.names.items()}
    for kind, of in second.names.items():
        if kind not in names:
            names[kind] = {head: column[rows[keep]] for head, column in of.items()}
    return Table(f"{first.called} and {second.called}", names)


def positions_of(wanted: Names, names: Names) -> NDArray[np.int64]:
    """Return where each wanted name is among `names`; -1 where it is not, is empty, or is there twice on a side."""
    import pandas as pd

    places = np.flatnonzero(once(names) & (names != ""))
    found = pd.Index(names[places]).get_indexer(pd.Index(wanted))
    places = np.append(places, -1)[found]
    return np.where(once(wanted), places, -1).astype(np.int64)


def once(names: Names) -> NDArray[np.bool_]:
    """Tell of each name whether it is there once."""
    import pandas as pd

    return ~pd.Index(names).duplicated(keep=False)
