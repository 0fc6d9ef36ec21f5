"""Compiling and keeping: whatever is wrong with the folder or its files, results are right and are kept again."""

import importlib.util
import io
import os
import subprocess
import sys

import numpy as np
import pytest

from czbenchmarks._progress import listening
from czbenchmarks.kernels.compiling import WHAT, compiled, prepare

LOOP = """
from czbenchmarks.kernels.compiling import compiled

@compiled()
def twice(x):
    return x + x
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("numba.config.CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "wide"))
    (tmp_path / "loop.py").write_text(LOOP)
    return tmp_path


def loaded(folder):
    """Return the function as a new process would find it."""
    spec = importlib.util.spec_from_file_location("loop", folder / "loop.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.twice


def hits(twice):
    return sum(twice.stats.cache_hits.values())


class Heard:
    def __init__(self):
        self.works = []

    def began(self, work):
        self.works.append(work.what)

    def ended(self, work):
        self.works.append(f"end of {work.what}")


def test_what_was_compiled_is_kept(folder):
    twice = loaded(folder)
    assert twice(3) == 6
    assert hits(twice) == 0
    again = loaded(folder)
    assert again(4) == 8
    assert hits(again) == 1


def test_no_folder_to_write_means_no_keeping(folder):
    (folder / "__pycache__").write_text("a file")
    (folder / "wide").write_text("a file")
    for _ in range(2):
        twice = loaded(folder)
        assert twice(3) == 6
        assert hits(twice) == 0


def test_a_folder_that_is_gone_when_it_is_to_be_written_is_no_error(folder):
    twice = loaded(folder)
    for path in (folder / "__pycache__").iterdir():
        path.unlink()
    (folder / "__pycache__").rmdir()
    (folder / "__pycache__").write_text("a file")
    assert twice(3) == 6
    assert loaded(folder)(3) == 6


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", ["empty", "short", "other", "one byte"])
def test_a_damaged_file_is_compiled_again_and_mended(folder, ending, damage):
    assert loaded(folder)(3) == 6
    (path,) = (folder / "__pycache__").glob("*" + ending)
    whole = path.read_bytes()
    flipped = whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 255]) + whole[len(whole) // 2 + 1 :]
    path.write_bytes({"empty": b"", "short": whole[:40], "other": b"not a pickle", "one byte": flipped}[damage])
    assert loaded(folder)(3) == 6
    mended = loaded(folder)
    assert mended(3) == 6
    assert hits(mended) == 1


def test_code_for_another_type_under_the_name_is_not_run(folder):
    # Two processes that keep two types at a time choose the same name for both.
    twice = loaded(folder)
    assert (twice(3), twice(1.5)) == (6, 3.0)
    first, second = sorted((folder / "__pycache__").glob("*.nbc"))
    first.write_bytes(second.read_bytes())
    again = loaded(folder)
    assert (again(3), again(1.5)) == (6, 3.0)
    assert hits(again) == 1


def test_code_of_an_earlier_version_under_the_name_is_not_run(folder):
    # A process that ends between writing the index and the code, after an update.
    assert loaded(folder)(3) == 6
    (code,) = (folder / "__pycache__").glob("*.nbc")
    old = code.read_bytes()
    (folder / "loop.py").write_text(LOOP.replace("x + x", "x + x + 1"))
    assert loaded(folder)(3) == 7
    code.write_bytes(old)
    assert loaded(folder)(3) == 7


def test_compiling_is_announced_once_by_the_thread_that_prepares(folder):
    heard = Heard()
    with listening(heard):
        twice = loaded(folder)
        twice(3)  # unprepared: nobody hears of it
        prepare(lambda: twice(1.5))
        prepare(lambda: twice(2.5))
        kept = loaded(folder)
        prepare(lambda: kept(3))
    assert heard.works == [WHAT, f"end of {WHAT}"]


def test_compiling_is_announced_where_nothing_is_kept(folder):
    (folder / "__pycache__").write_text("a file")
    (folder / "wide").write_text("a file")
    twice, heard = loaded(folder), Heard()
    with listening(heard):
        prepare(lambda: twice(3))
    assert heard.works == [WHAT, f"end of {WHAT}"]


def test_an_error_while_preparing_ends_the_announcement():
    @compiled()
    def wrong(x):
        return x.no_such_thing

    heard = Heard()
    with listening(heard), pytest.raises(Exception, match="no_such_thing"):
        prepare(lambda: wrong(3))
    assert heard.works == [WHAT, f"end of {WHAT}"]


def test_without_a_compiler_the_loops_run_as_python():
    code = """
import sys
import numpy as np
from czbenchmarks.kernels.forest import forest_chances
from czbenchmarks.kernels.neighbors import exact_neighbors
from czbenchmarks.kernels.silhouette import silhouette_samples
X, codes = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32), np.arange(80) % 4
found = [silhouette_samples(X, codes), exact_neighbors(X, 5).indices,
         forest_chances(X, codes, X * 0.9, 4, n_trees=2, seed=0)]
np.savez(sys.stdout.buffer, *found)
"""
    results = []
    for disabled in "01":
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled}
        done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        results.append(list(np.load(io.BytesIO(done.stdout)).values()))
    assert np.allclose(results[0][0], results[1][0], atol=1e-5)
    assert np.array_equal(results[0][1], results[1][1])
    assert np.array_equal(results[0][2], results[1][2])
