"""What the tests of checks share."""

from __future__ import annotations

import os
import pathlib

import pytest


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """Return the folder of real data sets beside the repository."""
    shared = os.environ.get("CZBENCHMARKS_SHARED") or pathlib.Path(__file__).resolve().parents[2].parent / "shared"
    folder = pathlib.Path(shared) / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CZBENCHMARKS_SHARED to the folder that holds `data`")
    return folder
