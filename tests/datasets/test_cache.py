"""Names, listing and cleaning of the cache."""

import os
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from czbenchmarks.datasets.download import cache as cache_module
from czbenchmarks.datasets.download.cache import (
    Info,
    cache_folder,
    claim,
    complete,
    digest,
    entries,
    info_of,
    name_of,
    remember,
    remove,
)
from czbenchmarks.datasets.download.fetching import fetch


@pytest.mark.parametrize(
    ("address", "start", "end"),
    [
        ("s3://bucket/a/Human v2.h5ad", "Human_v2-", ".h5ad"),
        ("https://host/cells.H5AD?download=1", "cells-", ".h5ad"),
        ("https://host/table.csv.gz", "table-", ".csv.gz"),
        ("https://host/a/..%2f..%2fetc%2fpasswd", "passwd-", ""),
        ("https://host/..", "file-", ""),
        ("https://host/%00%1b%5B2J.h5ad", "2J-", ".h5ad"),
        ("https://host/.h5ad", "h5ad-", ""),
        ("https://host/" + "x" * 5000 + ".h5ad", "x" * 80 + "-", ".h5ad"),
        ("https://host/cells.v1.2024", "cells.v1-", ".2024"),
        ("https://host/\u00e9\u00e9.npy", "file-", ".npy"),
        ("https://host/a/cells.zarr.zip/", "cells.zarr-", ".zip"),
    ],
)
def test_names_are_readable(address, start, end):
    name = name_of(address)
    assert re.fullmatch(re.escape(start) + "[0-9a-f]{20}" + re.escape(end), name)


@given(st.text(), st.text(alphabet=string.printable + "\x00\x1b\u202e/\\."))
def test_any_address_gives_a_safe_name(host, path):
    address = f"https://{host.translate({ord(c): '-' for c in '[]/?#@'})}/{path}"
    name = name_of(address)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name)
    assert len(name) < 150
    assert name_of(address + "x") != name == name_of(address)


def test_the_folder_is_read_at_every_call(monkeypatch, tmp_path):
    for variable in ("CZBENCHMARKS_CACHE", "DATASETS_CACHE_PATH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cz-benchmarks" / "datasets"
    monkeypatch.setenv("DATASETS_CACHE_PATH", "/data/published")
    assert str(cache_folder()) == "/data/published"
    monkeypatch.setenv("CZBENCHMARKS_CACHE", "~/ours")
    assert cache_folder() == tmp_path / "ours"
    assert os.listdir(tmp_path) == []


@pytest.fixture
def filled(web, served_file, cache):
    """Return the cache with two files, beside files of someone else."""
    paths = [fetch(web.serve(f"/{name}.h5ad", served_file(name.encode() * 1000))) for name in ("b", "a")]
    (cache / "mine.h5ad").write_bytes(b"mine")
    (cache / "mine.info").write_text("mine")
    (cache / "cells.h5ad.part").write_bytes(b"")
    (cache / "folder-0123456789abcdef0123.part").mkdir()
    return cache, paths


def test_listing(filled, web):
    _, (b, a) = filled
    assert [entry.path for entry in entries()] == [a, b]
    assert [(entry.address, entry.size, entry.complete) for entry in entries()] == [
        (f"{web.host}/a.h5ad", 1000, True),
        (f"{web.host}/b.h5ad", 1000, True),
    ]
    assert [entry.when for entry in entries()] == [a.stat().st_mtime, b.stat().st_mtime]


def test_no_folder_no_entries(cache):
    assert entries() == []
    assert not cache.exists()


def test_cleaning_leaves_what_is_not_ours(filled):
    folder, _ = filled
    assert {remove(entry) for entry in entries()} == {True}
    assert sorted(os.listdir(folder)) == [
        "cells.h5ad.part",
        "folder-0123456789abcdef0123.part",
        "mine.h5ad",
        "mine.info",
    ]


def test_an_info_that_is_about_another_file_makes_no_file_ours(filled):
    folder, (b, a) = filled
    (folder / "mine.h5ad.info").write_bytes((folder / f"{a.name}.info").read_bytes())
    outside = folder.parent / "outside.h5ad"
    outside.write_bytes(b"outside")
    a.unlink()
    a.symlink_to(outside)
    assert [entry.path for entry in entries()] == [b]
    for text in ("[1]", "{}", '{"address": 1, "of": 2}', "{", '{"address": "a", "of": "b", "more": 1}'):
        (folder / f"{b.name}.info").write_text(text)
        assert info_of(b) is None
        assert entries() == []


def test_the_rest_of_a_killed_download_is_listed_and_cleaned(cache):
    cache.mkdir()
    target = cache / name_of("https://host/cells.h5ad")
    part = claim(target)
    part.file.close()  # killed before the first byte
    [entry] = entries()
    assert (entry.path, entry.address, entry.complete) == (part.path, "", False)
    cache_module.remember(part.path, Info("https://host/cells.h5ad", cache_module.digest("https://host/cells.h5ad"), 9))
    part.path.write_bytes(b"1234")
    [entry] = entries()
    assert (entry.address, entry.size, entry.complete) == ("https://host/cells.h5ad", 4, False)
    assert complete(target) is None
    assert remove(entry)
    assert os.listdir(cache) == []


def test_what_is_being_downloaded_is_kept(cache):
    cache.mkdir()
    part = claim(cache / name_of("https://host/cells.h5ad"))
    with part.file:
        [entry] = entries()
        assert not remove(entry)
        assert part.path.exists()
    assert remove(entry)
    assert remove(entry), "gone is gone"


def test_only_files_are_listed_and_cleaned(cache):
    name = name_of("https://example.org/cells.h5ad")
    info = Info("https://example.org/cells.h5ad", digest("https://example.org/cells.h5ad"), 3)
    (cache / name).mkdir(parents=True)
    remember(cache / name, info)
    (cache / f"{name}.part").mkdir()
    (cache / "my-cells.h5ad").write_text("mine")
    remember(cache / "my-cells.h5ad", Info("", ""))
    assert entries() == []


@pytest.mark.parametrize("folder", ["~nobody-of-this-name/cells", "~nobody-of-this-name"])
def test_a_home_that_is_not_there(monkeypatch, folder):
    monkeypatch.setenv("CZBENCHMARKS_CACHE", folder)
    with pytest.raises(ValueError, match=rf"`~` must stand for the home folder of .*, got '{folder}'; write"):
        cache_folder()


def test_a_relative_folder_is_that_of_the_moment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CZBENCHMARKS_CACHE", "cells")
    assert cache_folder() == tmp_path / "cells"
