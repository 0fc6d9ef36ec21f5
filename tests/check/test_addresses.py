"""What is said and stored of an address: never who asks, a password or a token."""

import json
import re
import string
import traceback
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiohttp
import anndata as ad
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from czbenchmarks import evaluate
from czbenchmarks._check.addresses import shown, shown_in, stem
from czbenchmarks.cli.main import main
from czbenchmarks.datasets import SingleCellLabeledDataset, load_custom_dataset, load_dataset
from czbenchmarks.datasets.download import fetching
from czbenchmarks.datasets.download.cache import digest, info_of, name_of
from czbenchmarks.datasets.download.fetching import fetch
from czbenchmarks.datasets.orthologs import join_orthologs
from czbenchmarks.file_utils import download_file_from_remote
from czbenchmarks.io.dataset import Cells
from czbenchmarks.io.embedding import read_embedding, split_key
from czbenchmarks.io.names import named
from czbenchmarks.results import RunRecord, Store

N = 30
MARK = "S3CR3T"
PARAMETERS = (
    *("token", "passwd", "pwd", "jwt", "code", "session", "sid", "hmac", "ticket", "id", "user", "email", "url"),
    *("api_key", "X-Amz-Signature", "%74oken", "sig[]", "\u043a\u043b\u044e\u0447", "expires"),
)

REACHED = [
    f"http://{MARK}:{MARK}@HOST/FILE?{'&'.join(f'{name}={MARK}' for name in PARAMETERS)}&v=1#{MARK}",
    f"HTTP://user:{MARK}%40%3A%2F{MARK}@HOST/FILE?v=1;token={MARK};format=npy",
    f"http://user:{MARK}@{MARK}:{MARK}@HOST/FILE?{MARK}",
    f"http://\u00e9:{MARK}'\"<{MARK}> {MARK}@HOST/FILE?{MARK}==&x={MARK} {MARK}#a?b={MARK}",
    f"http://{MARK}@HOST/FILE?url=http://me:{MARK}%40host/x.npy?token={MARK}",
]
"""Addresses that a server understands."""

NOT_REACHED = [
    f"http://user:{MARK}/{MARK}@HOST/FILE?token={MARK}",
    f"http://user:1/{MARK}@HOST/FILE",
    f"http://user:1/{MARK}?{MARK}@HOST/FILE?url=http://me:{MARK}@host/x.npy",
    f"http://user:{MARK}?{MARK}@HOST/FILE?token={MARK}",
    f"http://user:{MARK}#{MARK}@HOST/FILE",
    f"http://user:{MARK}@[::1/FILE?token={MARK}",
    f"http://user:{MARK}@[::1]:9/FILE?token={MARK}",
    f"http://user:{MARK}@ho\u2100st/FILE",
    f"http://user:{MARK}@host:{MARK}/FILE",
    f"http://user:{MARK}/FILE",
    f"http://user:{MARK}",
    f"http://user:\u65e5{MARK}@HOST/FILE",
    f"http://user:{MARK}@HOST/FILE?token=x\n{MARK}",
    f" http://user:{MARK}@HOST/FILE?token={MARK}",
    f"http:/user:{MARK}@HOST/FILE?token={MARK}",
    f"ftp://user:{MARK}@HOST/FILE?token={MARK}",
    f"s3://user:{MARK}@bucket/FILE?X-Amz-Signature={MARK}#{MARK}",
    f"s3://bucket/FILE?X-Amz-Credential=me&X-Amz-Signature={MARK}",
]
"""Addresses that no server is asked for, or that none answers."""


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (
            "https://me:hush@host:8080/a.h5ad?X-Amz-Signature=hush&v=1#x",
            "https://host:8080/a.h5ad?X-Amz-Signature=...&v=1",
        ),
        ("HTTPS://me@host/a?dl=1&raw=true&format=h5ad", "HTTPS://host/a?dl=1&raw=true&format=h5ad"),
        ("http://h/a?version=2;token=x&v=" + "y" * 41, "http://h/a?version=2&token=...&v=..."),
        ("http://h/a?hush&aHVzaA==&k=", "http://h/a?...&...&..."),
        ("http://me:a@b:c@[::1]:80/a b.npy?x=%20", "http://[::1]:80/a b.npy?x=..."),
        ("http://me:hu/sh@host/dir/a.npy?x=1", "http://.../a.npy?x=..."),
        ("http://me:1/hush@host/a.npy", "http://.../a.npy"),
        ("http://me:/hush?@host/a.npy", "http://.../a.npy"),
        ("http://me:1/hush?hush@host/a.npy", "http://.../a.npy"),
        ("http://host:80/a.npy?email=me@b", "http://.../"),
        ("https://cdn/package@1.2/a.npy", "https://cdn/package@1.2/a.npy"),
        ("https://web/2020/https://me:hush@host/a.npy", "https://web/2020/https://host/a.npy"),
        ("s3://bucket/a b.h5ad?sig=hush", "s3://bucket/a b.h5ad?sig=..."),
        ("model=http://me:hush@host/a.npz:KEY", "model=http://host/a.npz:KEY"),
        ("https:/me:hush@host/a.npy?x=1", "https:/host/a.npy?x=..."),
        ("http://host/a\x1b\u202eb", "http://host/a__b"),
        ("package://baron.h5ad", "package://baron.h5ad"),
        ("models/a?b=c#d.npy", "models/a?b=c#d.npy"),
        ("C:/me@here/a?b.npy", "C:/me@here/a?b.npy"),
        ("cells.h5ad:X_pca", "cells.h5ad:X_pca"),
        ("@obsm:X_pca", "@obsm:X_pca"),
    ],
)
def test_what_is_shown(address, expected):
    assert shown(address) == expected
    assert shown(expected) == expected


_TEXT = st.text(alphabet=string.ascii_letters + "/@:?#&=;[]%. '\u00e9", max_size=12)


@given(st.lists(_TEXT, min_size=3, max_size=3), st.sampled_from(["http", "HTTPS", "s3", "ftp"]))
def test_no_part_of_a_password_or_token_is_shown(parts, scheme):
    """Whatever stands around it: in the password, a parameter or the fragment."""
    before, after, file = parts
    name = re.sub("[&;]", "x", before)
    for address in (
        f"{scheme}://user:{before}{MARK}{after}@host/cells.npy",
        f"{scheme}://host/cells.npy?token={MARK}{after}&x{name}={MARK}",
        f"{scheme}://host/cells.npy#{file}{MARK}",
    ):
        if not re.search(r"[/?#].*[@:/]", before):  # else it may as well be a host and a path
            assert MARK not in shown(address), address
        assert shown(shown(address)) == shown(address)
        assert MARK not in shown_in(f"It failed ('http://user:{MARK}@host/x?sig={MARK}'): {MARK[:3]}.")


def test_addresses_in_sentences():
    said = "No answer of http://a:b@c/d?e=f, nor of 'https://g/h#i' (s3://j/k?v=1)."
    assert shown_in(said) == "No answer of http://c/d?e=..., nor of 'https://g/h' (s3://j/k?v=1)."
    assert shown_in("nothing at all: a/b?c@d") == "nothing at all: a/b?c@d"
    shown_before = shown("http://a:b@c/d?e=f")
    assert shown_in(f"{shown_before} is gone; look {shown_before}.") == f"{shown_before} is gone; look {shown_before}"


def test_stems():
    assert stem("a/b.c.npy") == "b.c"
    assert stem("https://me:hush@host/a/b.npy?x=/hush.npy#hush") == "b"
    assert stem("a/b?c.npy") == "b?c"


def test_a_key_stands_behind_the_path_of_an_address():
    assert split_key("http://h/x.npz:a") == ("http://h/x.npz", "a")
    assert split_key(f"http://h/x.npz:a?token={MARK}.npz:{MARK}") == (f"http://h/x.npz?token={MARK}.npz:{MARK}", "a")
    for whole in (f"http://x.npz:{MARK}@h/e.npy", f"http://h/x.npz?token={MARK}.npz:{MARK}", "s3://b/x.npy:a"):
        assert split_key(whole) == (whole, None)


def test_names_of_embeddings_that_differ_in_secrets_only():
    one, two, three = (f"http://me:{MARK}{i}@host/a/e.npy?id={MARK}{i}&v=1" for i in range(3))
    found = named([one, two, three])
    place = "http://host/a/e.npy?id=...&v=1"
    assert found == {"e": one, place: two, f"{place} ({digest(three)[:8]})": three}
    assert list(named([f"x={one}", two, f"y={three}:KEY"])) == ["x", "e", "y"]
    assert list(named(["http://host/b/e.npy", "http://host/a/e.npy"])) == ["e", "http://host/a/e.npy"]
    assert list(named([f"http://host/e?token=a.{MARK}", f"http://host/f.npy?sig=a/{MARK}"])) == ["e", "f"]
    with pytest.raises(ValueError, match=rf"must be given once, got '{re.escape(place)}' twice"):
        named([one, two, two])
    with pytest.raises(ValueError, match=r"A name must belong to one embedding, got 'http://h/e.npy' twice"):
        evaluate({f"http://h/e.npy#{i}": np.eye(3) for i in (1, 2)}, pd.DataFrame({"a": [1, 2, 3]}), "embedding")


class AnyQuery(dict):
    """Files by their path, whatever follows it."""

    def get(self, asked, default=None):
        path = urlsplit(unquote(asked)).path
        return super().get(path.removeprefix("/bucket"), default)


@pytest.fixture
def files(web, served_file, cache, tmp_path, monkeypatch):
    """Serve cells and embeddings, and return the server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fetching, "PAUSES", ())
    monkeypatch.setattr(aiohttp, "ClientTimeout", _quick)
    monkeypatch.setenv("AWS_ENDPOINT_URL", web.host)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    web.server.files = AnyQuery()
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], N // 3)
    cells = ad.AnnData(
        rng.poisson(3, (N, 4)).astype("f4"),
        obs=pd.DataFrame({"cell_type": labels}, index=[f"cell{i}" for i in range(N)]),
        obsm={"X_model": rng.normal(size=(N, 3))},
    )
    cells.write_h5ad(tmp_path / "cells.h5ad")
    np.save(tmp_path / "e.npy", rng.normal(size=(N, 3)))
    for name in ("cells.h5ad", "e.npy"):
        web.serve(f"/{name}", served_file((tmp_path / name).read_bytes()))
    web.serve("/not.npy", served_file(b"hello"))
    web.serve("/not.h5ad", served_file(b"hello"))
    web.serve("/busy.npy", served_file(b"", statuses=[503] * 1000))
    web.serve("/denied.npy", served_file(b"", statuses=[401] * 1000))
    web.serve("/slow.npy", served_file(b"x" * 100, hold_at=10))
    web.serve("/on.npy", served_file(b"", redirect=f"http://u:{MARK}@127.0.0.1:9/x?token={MARK}"))
    web.serve("/away.npy", served_file(b"", redirect=f"ftp://u:{MARK}@host/x?token={MARK}"))
    web.serve("/wrong.npy", served_file(b"", redirect=f"http://u:{MARK}@a..b/x?token={MARK}"))
    web.serve("/odd.npy", served_file(b"", redirect=f"http://u:{MARK}/x@host:{MARK}/x?token={MARK}"))
    return web


_TIMEOUT = aiohttp.ClientTimeout


def _quick(**_):
    return _TIMEOUT(total=None, sock_connect=0.5, sock_read=0.5)


def at(template, web, file):
    return template.replace("HOST", web.host.removeprefix("http://")).replace("FILE", file)


def clean(text):
    """Say that no secret is in a text, in whatever case."""
    return MARK.lower() not in str(text).lower()


def nothing_is_told(call, *given, **options):
    """Call what may fail, look for secrets in all that an exception holds, and return it or what was returned."""
    try:
        return call(*given, **options)
    except Exception as error:
        raised = error
    waiting, seen = [raised], []
    while waiting:
        one = waiting.pop()
        seen.append(one)
        for text in (one, repr(one), vars(one)):
            assert clean(text), text
        waiting += [more for more in (one.__cause__, one.__context__) if more is not None and more not in seen]
    assert clean("".join(traceback.format_exception(raised)))
    return raised


def command(*words, status=None):
    """Run a command; nothing that it prints holds a secret."""
    result = CliRunner().invoke(main, ["-ll", "debug", *map(str, words)])
    assert clean(result.stdout), result.stdout
    assert clean(result.stderr), result.stderr
    assert status is None or result.exit_code == status, result.output
    return result


def nothing_is_stored(folder):
    for path in Path(folder).rglob("*"):
        assert clean(path.relative_to(folder)), path
        assert path.is_dir() or MARK.lower().encode() not in path.read_bytes().lower(), path


def every_command(data, embedding, status):
    described = json.dumps({"dataset_class": "SingleCellLabeledDataset", "organism": "HUMAN", "path": data})
    scored = ("run", "embedding", "--input-labels", "cell_type")
    command("info", data, status=status)
    command("info", data, "-f", "json", status=status)
    command(*scored, "-u", data, "-c", embedding, "-c", f"{embedding}x", "-o", "run.json", "--store", "runs.db",
            status=status)  # fmt: skip
    command(*scored, "-u", described, "-c", f"model={embedding}", "--store", "runs.db", status=status)
    command(*scored, "-u", data, "-c", embedding, "--checks", "--supervised", embedding, "-f", "json")
    command(*scored, "-u", "cells.h5ad", "-c", embedding, "-c", embedding, status=2)
    command("cache", "list", status=0)
    command("cache", "list", "-f", "json", status=0)
    command("results", "list", "--store", "runs.db")
    command("results", "show", "1", "--store", "runs.db")
    assert command("cache", "clean", data, "-y", status=status).stdout.startswith("Deleted 1 of 1 file" * (status == 0))
    command("cache", "clean", data, "-y", status=2)


@pytest.mark.parametrize("template", REACHED)
def test_commands_tell_no_secrets(files, tmp_path, template):
    every_command(at(template, files, "cells.h5ad"), at(template, files, "e.npy"), 0)
    assert (tmp_path / "run.json").exists()
    assert [run.embeddings.startswith(("e, ", "model")) for run in Store("runs.db").runs()] == [True, True]
    nothing_is_stored(tmp_path)


@pytest.mark.parametrize("template", NOT_REACHED)
def test_commands_that_fail_tell_no_secrets(files, tmp_path, template):
    every_command(at(template, files, "cells.h5ad"), at(template, files, "none.npy"), None)
    nothing_is_stored(tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ("ADDRESS",),
        ("run", "ADDRESS"),
        ("run", "embedding", "ADDRESS"),
        ("run", "embedding", "-d", "ADDRESS", "-c", "e.npy"),
        ("run", "embedding", "-u", "cells.h5ad", "-c", "e.npy", "--input-labels", "ADDRESS"),
        ("run", "clustering", "-u", "cells.h5ad", "-c", "e.npy", "--metrics", "ADDRESS"),
        ("run", "clustering", "-u", "cells.h5ad", "-c", "e.npy", "--neighbors", "ADDRESS"),
        ("run", "batch_integration", "-u", "cells.h5ad", "-c", "e.npy", "--batch-labels", "cell_type",
         "--metrics", "all", "--unintegrated", "ADDRESS"),
        ("run", "embedding", "-u", "cells.h5ad", "-c", "e.npy", "-o", "ADDRESS"),
        ("run", "embedding", "-u", "cells.h5ad", "-c", "e.npy", "--store", "ADDRESS"),
        ("run", "embedding", "-u", '{"path": "ADDRESS"', "-c", "e.npy"),
        ("run", "embedding", "-u", '{"path": "ADDRESS"}', "-c", "e.npy"),
        ("run", "cross-species_integration", "-u", "cells.h5ad", "-u", "cells.h5ad", "-c", "e.npy", "-c", "e.npy",
         "--organisms", "HUMAN", "--organisms", "MOUSE", "-B", "--baseline-orthologs", "ADDRESS"),
        ("results", "show", "ADDRESS"),
        ("results", "list", "--store", "ADDRESS"),
        ("list", "ADDRESS"),
        ("info", "ADDRESS"),
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("template", [REACHED[0], NOT_REACHED[0], NOT_REACHED[14]])
def test_addresses_where_none_belongs(files, tmp_path, words, template):
    address = at(template, files, "cells.h5ad").replace('"', "'")
    command(*(word.replace("ADDRESS", address) for word in words))
    nothing_is_stored(tmp_path)


@pytest.mark.parametrize("template", [*REACHED, *NOT_REACHED])
def test_functions_tell_no_secrets(files, cache, tmp_path, template):
    data, embedding = at(template, files, "cells.h5ad"), at(template, files, "e.npy")
    nothing_is_told(fetch, embedding)
    nothing_is_told(fetch, embedding, sha256="0" * 64)
    nothing_is_told(download_file_from_remote, data)
    nothing_is_told(lambda: Cells(data).names)
    for source in (embedding, Path(embedding), f"{at(template, files, 'x.npz')}:KEY"):
        found = nothing_is_told(read_embedding, source, "cells.h5ad")
        assert clean(getattr(found, "origin", ""))
    (tmp_path / "mine.yaml").write_text(
        "datasets:\n  mine:\n    _target_: SingleCellLabeledDataset\n    organism: HUMAN\n    path: " + json.dumps(data)
    )
    mine = nothing_is_told(load_custom_dataset, "mine", custom_dataset_config_path="mine.yaml")
    assert clean(getattr(mine, "origin", ""))
    (tmp_path / "bad.yaml").write_text(f"datasets:\n  mine:\n    path: {data}: {data}\n  - {data}")
    nothing_is_told(load_custom_dataset, "mine", custom_dataset_config_path="bad.yaml")
    (tmp_path / "bad.yaml").unlink()
    (tmp_path / "mine.yaml").unlink()
    kwargs = {"organism": "HUMAN", "path": data}
    nothing_is_told(load_custom_dataset, data, custom_dataset_kwargs=kwargs)
    nothing_is_told(load_custom_dataset, data, custom_dataset_kwargs={**kwargs, "_target_": data})
    mine = nothing_is_told(
        load_custom_dataset, data, custom_dataset_kwargs={**kwargs, "_target_": "SingleCellLabeledDataset"}
    )
    assert clean(getattr(mine, "origin", ""))
    nothing_is_told(load_dataset, data)
    nothing_is_told(SingleCellLabeledDataset, data, "HUMAN")
    nothing_is_told(RunRecord.read, data)
    nothing_is_told(lambda: Store(data).runs())
    nothing_is_told(join_orthologs, [ad.read_h5ad("cells.h5ad")] * 2, ["HUMAN", "MOUSE"], table=data)
    record = nothing_is_told(evaluate, {embedding: embedding}, data, "embedding", labels="cell_type")
    assert clean(record.to_dict() if isinstance(record, RunRecord) else record)
    record = nothing_is_told(evaluate, [embedding], "cells.h5ad", ["embedding", "clustering"], labels=data)
    assert clean(record.to_dict() if isinstance(record, RunRecord) else record)
    nothing_is_stored(tmp_path)


@pytest.mark.parametrize("file", ["none", "not", "busy", "denied", "slow", "on", "away", "wrong", "odd", "closed"])
def test_failures_tell_no_secrets(files, tmp_path, file, caplog):
    address = at(REACHED[0], files, f"{file}.npy")
    if file == "closed":
        address = address.replace(files.host.removeprefix("http://"), "127.0.0.1:9")
    caplog.set_level("DEBUG")
    error = nothing_is_told(read_embedding, address, "cells.h5ad")
    assert isinstance(error, ValueError)
    assert clean(caplog.text)
    command("run", "embedding", "-u", "cells.h5ad", "-c", address, status=2)
    command("run", "embedding", "-u", address.replace(".npy", ".h5ad"), "-c", "e.npy", status=2)
    nothing_is_stored(tmp_path)


def test_what_older_versions_kept_is_found_and_not_shown(files, cache):
    """They kept the parameters whose names they did not know."""
    address = f"{files.host}/e.npy?passwd={MARK}&v=1"
    path = fetch(address)
    note = path.with_name(f"{path.name}.info")
    older = {**json.loads(note.read_text()), "address": address}
    note.write_text(json.dumps(older))
    assert info_of(path).address == f"{files.host}/e.npy?passwd=...&v=1"
    command("cache", "list", "-f", "json", status=0)
    command("cache", "clean", "-y", address.replace(MARK, "another"), status=2)
    assert path.exists()
    command("cache", "clean", "-y", address, status=0)
    assert not path.exists()
    fetch(address)
    command("cache", "clean", "-y", shown(address), status=0)
    assert not path.exists()


def test_a_suggested_command_can_be_pasted(files, cache):
    address = at(REACHED[0], files, "cells.h5ad")
    path = cache / name_of(address)
    assert f"-u {path} " in " ".join(command("info", address).stdout.replace("\\\n", " ").split())
    plain = f"{files.host}/cells.h5ad"
    assert f"-u {plain} " in " ".join(command("info", plain).stdout.replace("\\\n", " ").split())


def test_messages_of_libraries():
    """Those that hold an address, as the libraries write them."""
    from czbenchmarks.datasets.download.sources import _reason

    address = f"http://u:{MARK}@host/e.npy?token={MARK}"
    for error in (
        aiohttp.ConnectionTimeoutError(f"Connection timeout to host {address}"),
        aiohttp.InvalidURL(address, "no host"),
        ValueError(f'Could not connect to the endpoint URL: "{address}"'),
        OSError(2, "No such file", address),
    ):
        assert clean(_reason(error))
        assert "host/e.npy?token=..." in _reason(error)
