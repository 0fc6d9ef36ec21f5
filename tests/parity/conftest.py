import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "scripts" / "parity"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """Return a folder with the inputs of every case, made from the real files and the stored embeddings."""
    from prepare import prepare

    shared = Path(os.environ.get("CZBENCHMARKS_SHARED") or HERE.parents[2] / "shared")
    folder = shared / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CZBENCHMARKS_SHARED to the folder that holds `data`")
    out = tmp_path_factory.mktemp("parity")
    prepare(folder, out, frozen=HERE / "data")
    return out
