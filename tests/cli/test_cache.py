"""``czbenchmarks cache``."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from czbenchmarks.cli import cache as cache_commands
from czbenchmarks.cli.main import main
from czbenchmarks.datasets.download.cache import Info, claim, digest, name_of, remember
from czbenchmarks.datasets.download.fetching import fetch


def run(*words, **more):
    return CliRunner().invoke(main, ["cache", *words], **more)


@pytest.fixture
def filled(web, served_file, cache):
    """Return two downloaded files; a third in the folder is not ours."""
    paths = [fetch(web.serve(f"/{name}.h5ad", served_file(bytes(size)))) for name, size in (("a", 2500), ("b", 10))]
    (cache / "mine.h5ad").write_bytes(b"mine")
    return paths


def test_list(filled, web, cache):
    a, b = filled
    result = run("list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    text = "".join(line.split(" ")[1] for line in lines if line.startswith(" "))
    assert a.name[:25] in text
    assert "2.5 kB" in result.stdout
    assert "10 bytes" in result.stdout
    assert lines[-1] == f"2.5 kB in {cache}"
    assert "mine.h5ad" not in result.stdout
    found = json.loads(run("list", "-f", "json").stdout)
    assert found["folder"] == str(cache)
    [first, second] = found["files"]
    assert (first["file"], first["address"], first["size"]) == (str(a), f"{web.host}/a.h5ad", 2500)
    assert (first["complete"], second["file"]) == (True, str(b))
    assert first["when"][:2] == "20"


def test_list_of_nothing(cache):
    assert run("list").stdout == f"Nothing was downloaded to {cache}.\n"
    assert json.loads(run("list", "-f", "json").stdout) == {"folder": str(cache), "files": []}
    assert run("clean").stdout == f"Nothing to delete in {cache}.\n"
    assert not cache.exists()


def test_clean_all(filled, cache):
    result = run("clean", "--yes")
    assert (result.exit_code, result.stdout) == (0, f"Deleted 2 of 2 files (2.5 kB) in {cache}.\n")
    assert os.listdir(cache) == ["mine.h5ad"]


def test_clean_by_name_and_by_address(filled, web, cache):
    a, b = filled
    assert run("clean", "-y", a.name, f"{web.host}/a.h5ad").stdout == f"Deleted 1 of 1 file (2.5 kB) in {cache}.\n"
    assert not a.exists()
    assert b.exists()
    assert run("clean", "-y", f"{web.host}/b.h5ad").exit_code == 0
    assert not b.exists()


def test_clean_by_the_name_of_a_data_set(cache):
    cache.mkdir()
    from czbenchmarks.datasets.catalogue import catalogue

    address = catalogue()["tsv2_ear"]["path"]
    part = claim(cache / name_of(address))
    remember(part.path, Info(address, digest(address), 9))
    part.file.write(b"123")
    part.file.close()
    assert "not complete" in " ".join(run("list").stdout.split())
    assert run("clean", "-y", "tsv2_ear").exit_code == 0
    assert os.listdir(cache) == []


def test_an_unknown_name(filled, cache):
    a, _ = filled
    result = run("clean", "-y", a.name[:-1])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"is not in the cache. Did you mean '{a.name}'?" in result.stderr
    assert result.stderr.count("\n") == 1
    result = run("clean", "-y", "mine.h5ad")
    assert result.exit_code == 2
    assert (cache / "mine.h5ad").exists()


def test_without_a_terminal_nothing_is_deleted_unasked(filled):
    result = run("clean")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "must be confirmed, got no terminal to ask on; add --yes" in result.stderr
    assert all(path.exists() for path in filled)


@pytest.mark.parametrize("answer", ["y\n", "n\n", "\n"])
def test_it_asks_on_a_terminal(filled, cache, monkeypatch, answer):
    monkeypatch.setattr(cache_commands, "_asks", lambda: True)
    result = run("clean", input=answer)
    assert result.exit_code == 0
    assert f"Delete 2 files (2.5 kB) in {cache}? [y/N]" in result.stderr
    assert [path.exists() for path in filled] == [answer != "y\n"] * 2
    assert result.stdout.splitlines()[-1] == (
        f"Deleted 2 of 2 files (2.5 kB) in {cache}." if answer == "y\n" else "Nothing was deleted."
    )


def test_what_is_being_downloaded_is_kept(cache):
    cache.mkdir()
    part = claim(cache / name_of("https://host/cells.h5ad"))
    with part.file:
        result = run("clean", "-y")
        assert "is being downloaded at this moment and was kept" in result.stderr
        assert part.path.exists()


@pytest.mark.parametrize("words", [(), ("list",), ("clean",)])
def test_help_has_an_example(words):
    result = run(*words, "--help")
    assert f"czbenchmarks cache {' '.join(words) or 'list'}" in result.stdout.partition("Example")[2]


def test_it_imports_nothing_heavy(cache):
    code = (
        "import sys; from czbenchmarks.cli.main import main\n"
        "try: main(['cache', 'list'])\n"
        "finally: print(sorted({m.split('.')[0] for m in sys.modules} & {'numpy', 'pandas', 'pydantic', 'anndata', "
        "'fsspec', 'aiohttp', 's3fs', 'h5py'}), file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stderr == "[]\n"
