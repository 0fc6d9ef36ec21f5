"""Hashes: those of ``sha256sum``, remembered for large files until they change."""

import hashlib
import json
import os

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from czbenchmarks.results import provenance
from czbenchmarks.results.provenance import environment, sha256_of_array, sha256_of_file, sha256_of_names


def test_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"cells" * 10_000_000)
    assert sha256_of_file(tmp_path / "a") == hashlib.sha256(b"cells" * 10_000_000).hexdigest()


def test_of_a_folder_counts_names_and_contents(tmp_path):
    folder = tmp_path / "store"
    (folder / "x").mkdir(parents=True)
    (folder / "x" / "0").write_bytes(b"one")
    first = sha256_of_file(folder)
    (folder / "x" / "0").rename(folder / "x" / "1")
    second = sha256_of_file(folder)
    (folder / "x" / "1").write_bytes(b"two")
    assert len({first, second, sha256_of_file(folder)}) == 3


@pytest.fixture
def hashed(monkeypatch):
    """Count the files that are really read; every file is large."""
    monkeypatch.setattr(provenance, "_LARGE", 1)
    found = []
    real = hashlib.sha256

    def counting(*args):
        found.append(args)
        return real(*args)

    monkeypatch.setattr(provenance.hashlib, "sha256", counting)
    return found


def test_large_files_are_remembered_until_they_change(tmp_path, hashed):
    file, memory = tmp_path / "a", tmp_path / "cache" / "sha256.json"
    file.write_bytes(b"one")
    first = sha256_of_file(file, memory)
    assert sha256_of_file(file, memory) == first
    assert len(hashed) == 1
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert sha256_of_file(file, memory) == hashlib.sha256(b"two").hexdigest() != first
    assert list((tmp_path / "cache").iterdir()) == [memory]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', "\x00", "[" * 100_000])
def test_a_damaged_memory_is_done_without(tmp_path, hashed, content):
    file, memory = tmp_path / "a", tmp_path / "sha256.json"
    file.write_bytes(b"one")
    memory.write_text(content)
    assert sha256_of_file(file, memory) == hashlib.sha256(b"one").hexdigest()


def test_an_entry_of_the_memory_that_is_no_entry_is_done_without(tmp_path, hashed):
    file, memory = tmp_path / "a", tmp_path / "sha256.json"
    file.write_bytes(b"one")
    memory.write_text(json.dumps({str(file): 5}))
    assert sha256_of_file(file, memory) == hashlib.sha256(b"one").hexdigest()


def test_a_memory_that_cannot_be_written_is_done_without(tmp_path, hashed):
    file = tmp_path / "a"
    file.write_bytes(b"one")
    (tmp_path / "in_the_way").write_text("")
    assert sha256_of_file(file, tmp_path / "in_the_way" / "m.json") == hashlib.sha256(b"one").hexdigest()


def test_of_arrays():
    x = np.arange(12.0).reshape(3, 4)
    same = [x, np.asfortranarray(x), x.copy()[::1]]
    assert len({sha256_of_array(one) for one in same}) == 1
    other = [x, x.astype("float32"), x.reshape(4, 3), x + 1, sp.csr_matrix(x), sp.csr_matrix(x + 1)]
    assert len({sha256_of_array(one) for one in other}) == len(other)
    large = np.ones((300_000, 20))
    changed = large.copy()
    changed[-1, -1] = 2
    assert sha256_of_array(large) != sha256_of_array(changed)


def test_of_names():
    names = pd.Index(["a", "b"])
    assert sha256_of_names(names) == sha256_of_names(pd.Index(["a", "b"])) != sha256_of_names(names[::-1])
    assert sha256_of_names(pd.Index(["a\0b"])) != sha256_of_names(names)


def test_environment_names_versions():
    found = environment()
    assert found["packages"]["numpy"] == np.__version__
    assert found["threads"] >= 1
    json.dumps(found)
