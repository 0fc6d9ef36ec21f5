"""What other libraries and servers say does not reach the terminal as it is."""

import http.server
import os
import subprocess
import sys
import threading

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import czbenchmarks
from czbenchmarks.cli.main import main
from czbenchmarks.datasets.download.fetching import fetch
from czbenchmarks.results import RunRecord, Store

METRIC = """
import logging, sys, warnings
from czbenchmarks.metrics import register_metric

def noisy(labels_true, labels_pred):
    warnings.warn("a bare warning", RuntimeWarning)
    logging.getLogger("matplotlib").warning("a bare line of a log")
    return float("nan")

register_metric("noisy_metric", noisy, needs="labels_true labels_pred", about="It warns.", range=(0, 1), best=1)
from czbenchmarks.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    obs = pd.DataFrame({"cell_type": ["a", "b"] * 30}, index=[f"c{i}" for i in range(60)])
    X = np.random.default_rng(0).normal(size=(60, 3)) + np.arange(60)[:, None] % 2 * 5
    ad.AnnData(X.astype("float32"), obs=obs).write_h5ad(path)
    return path


def test_warnings_of_libraries_are_for_the_log(cells):
    words = [
        "run",
        "clustering",
        "-u",
        cells,
        "-c",
        "@X",
        "--labels",
        "cell_type",
        "--metrics",
        "published,noisy_metric",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}

    def command(*more):
        return subprocess.run(
            [sys.executable, "-c", METRIC, "-q", *map(str, words), *more],
            capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip

    told = command()
    assert told.stderr == ""
    said = " ".join(told.stdout.split())
    assert "noisy_metric" in said.partition("the function of")[2], "the reason names the metric"
    loud = command("-ll", "info").stderr
    assert "RuntimeWarning: a bare warning" in loud
    assert "a bare line of a log" in loud


def test_filters_and_hooks_are_as_before(cells):
    import warnings

    before = warnings.showwarning
    CliRunner().invoke(main, ["info", str(cells)])
    assert warnings.showwarning is before


class _Rude(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.wfile.write(b"HTTP/1.1 418 \x1b[31mred\x1b]0;title\x07\r\nContent-Length: 0\r\n\r\n")

    def log_message(self, *words):
        pass


def test_a_servers_words_are_escaped(tmp_path, monkeypatch):
    server = http.server.HTTPServer(("127.0.0.1", 0), _Rude)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("CZBENCHMARKS_CACHE", str(tmp_path))
    address = f"http://127.0.0.1:{server.server_port}/cells.h5ad"
    try:
        with pytest.raises(ValueError, match="418") as raised:
            fetch(address)
        assert str(raised.value).isprintable()
        told = CliRunner().invoke(main, ["-ll", "debug", "run", "embedding", "-u", address, "-c", "@X"])
    finally:
        server.shutdown()
        server.server_close()
    assert told.exit_code == 2
    assert "\x1b" not in told.output
    assert "\x07" not in told.output


LONG = ["x" * 5000, "/".join(["y" * 100] * 60)]


@pytest.mark.parametrize("path", LONG, ids=["name", "path"])
def test_a_path_that_is_too_long_is_one_sentence(cells, path, tmp_path, monkeypatch):
    data = ad.read_h5ad(cells)
    record = czbenchmarks.evaluate("@X", data, "embedding")
    for call in (
        lambda: czbenchmarks.evaluate(f"{path}.npy", data, "embedding"),
        lambda: czbenchmarks.evaluate(f"{path}.npz:key", data, "embedding"),
        lambda: czbenchmarks.evaluate("@X", f"{path}.h5ad", "embedding"),
        lambda: record.write(f"{path}.json"),
        lambda: RunRecord.read(f"{path}.json"),
        lambda: Store(f"{path}.db").check(),
        lambda: fetch("http://127.0.0.1:9/cells.h5ad", folder=tmp_path / path),
    ):
        with pytest.raises(ValueError, match="File name too long"):
            call()
    for words in (["-c", f"{path}.npy"], ["-c", "@X", "-o", f"{path}.json"], ["-c", "@X", "--store", path]):
        told = CliRunner().invoke(main, ["run", "embedding", "-u", str(cells), *words])
        assert (told.exit_code, told.stdout, told.stderr.count("\n")) == (2, "", 1)
        assert "File name too long" in told.stderr
        assert len(told.stderr) < 600, "the end of the sentence is not lost behind the path"


def test_a_file_with_an_equals_sign_is_itself(cells, tmp_path, monkeypatch):
    X = ad.read_h5ad(cells).X
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "lr=0.01.npz", emb=X, other=X[:, :2])
    (tmp_path / "run=1").mkdir()
    np.savez(tmp_path / "run=1" / "e.npz", emb=X, other=X[:, :2])
    np.save(tmp_path / "epoch=3-step=100.npy", X)
    ad.read_h5ad(cells).write_h5ad(tmp_path / "seed=1.h5ad")

    def names(*words, data="seed=1.h5ad", more=()):
        done = CliRunner().invoke(main, ["-q", "run", "embedding", "-u", data, *words, *more, "-f", "csv"])
        assert done.exit_code == 0, done.output
        return [line.split(",")[1] for line in done.stdout.splitlines()[1:]]

    for path in ("lr=0.01.npz:emb", "./lr=0.01.npz:emb", f"{tmp_path}/lr=0.01.npz:emb", "run=1/e.npz:emb"):
        assert names("-c", path) == ["emb"]
    assert names("-c", "mine=lr=0.01.npz:emb") == ["mine"]
    assert names("-c", "epoch=3-step=100.npy") == ["epoch=3-step=100"]
    assert names("-c", "a=@X", more=["--store", "s=1.db", "-o", "r=1.json"]) == ["a"]
    assert RunRecord.read("r=1.json").run_specification.data[0]["path"] == "seed=1.h5ad"
    assert len(Store("s=1.db").runs()) == 1
