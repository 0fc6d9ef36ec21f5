"""Files that are broken, or made to break something: one sentence each, nothing run, nothing written."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
import textwrap
import warnings
import zipfile
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr
from click.testing import CliRunner

from czbenchmarks.cli.main import main
from czbenchmarks.datasets.utils import load_custom_dataset

N = 40
TEN_GB = 10**10
RNG = np.random.default_rng(1)
VALUES = RNG.normal(size=(N, 4))
NAMES = [f"cell{i}" for i in range(N)]


class Bomb:
    """Unpickling one makes the file `canary` in the working folder."""

    def __reduce__(self):
        return (open, ("canary", "w"))


def adata(names=NAMES):
    obs = pd.DataFrame({"cell_type": ["a", "b"] * (N // 2), "batch": ["x"] * 20 + ["y"] * 20}, index=names)
    return ad.AnnData(RNG.poisson(1, (N, 6)).astype("f4"), obs, obsm={"X_pca": VALUES.copy()})


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working and home folder: good data and a good embedding; what is written is noticed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CZBENCHMARKS_CACHE", str(tmp_path / "cache"))
    adata().write_h5ad("data.h5ad")
    np.save("good.npy", VALUES)
    return tmp_path


def write_zarr(path="bad.zarr", form=2, data=None):
    with ad.settings.override(zarr_write_format=form), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the format's future
        (data or adata()).write_zarr(path)


def npy(path, header, body=b"", version=b"\x01\x00"):
    """An .npy file with a header of our own."""
    text = (header + "\n").encode()
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + body)


# ---- data: each function makes bad.h5ad or bad.zarr, or returns what -u is given


def data_truncated():
    content = Path("data.h5ad").read_bytes()
    Path("bad.h5ad").write_bytes(content[: len(content) // 2])


def data_empty():
    Path("bad.h5ad").touch()


def data_text():
    Path("bad.h5ad").write_text("cell,a\n")


def data_html():
    Path("bad.h5ad").write_text("<!DOCTYPE html><html><body>404</body></html>")


def data_gzipped():
    Path("bad.h5ad").write_bytes(gzip.compress(Path("data.h5ad").read_bytes()))


def data_flipped_bytes():
    """The beginning of the file is overwritten, not cut."""
    content = bytearray(Path("data.h5ad").read_bytes())
    content[96:3000] = bytes(2904)
    Path("bad.h5ad").write_bytes(content)


def edited(change):
    shutil.copy("data.h5ad", "bad.h5ad")
    with h5py.File("bad.h5ad", "a") as file:
        change(file)


def data_without_obs():
    edited(lambda file: file.pop("obs"))


def data_with_obs_an_array():
    def change(file):
        del file["obs"]
        file["obs"] = np.arange(N)

    edited(change)


def data_with_obs_a_dictionary():
    def change(file):
        file["obs"].attrs["encoding-type"] = "dict"

    edited(change)


def data_with_unequal_columns():
    def change(file):
        del file["obs/cell_type"]
        file["obs/cell_type"] = np.arange(N - 5)
        file["obs/cell_type"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})

    edited(change)


def data_with_a_column_gone():
    edited(lambda file: file["obs"].pop("cell_type"))


def data_with_codes_out_of_range():
    def change(file):
        file["obs/cell_type/codes"][3] = 99

    edited(change)


def data_with_unknown_encoding():
    def change(file):
        file["obs/cell_type"].attrs["encoding-type"] = "os.system"

    edited(change)


def data_with_an_external_link():
    shutil.copy("data.h5ad", "secret.h5ad")

    def change(file):
        del file["obs"]
        file["obs"] = h5py.ExternalLink("secret.h5ad", "/obs")

    edited(change)


def data_with_a_soft_link_to_itself():
    def change(file):
        del file["obs/cell_type"]
        file["obs/cell_type"] = h5py.SoftLink("/obs")

    edited(change)


def data_that_holds_itself():
    def change(file):
        del file["obs/cell_type"]
        file["obs/cell_type"] = file["obs"]

    edited(change)


def data_of_ten_gb_claimed():
    def change(file):
        del file["obs/cell_type"]
        file.create_dataset("obs/cell_type", (TEN_GB // 8,), "i8", chunks=(10**6,))
        file["obs/cell_type"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})

    edited(change)


def data_a_folder():
    os.mkdir("bad.h5ad")


def data_missing():
    return "nowhere.h5ad"


def data_of_a_strange_name():
    return "no\x1b[2J\nwhere/../x.h5ad"


def data_a_loop_of_links():
    os.symlink("bad.h5ad", "bad2.h5ad")
    os.symlink("bad2.h5ad", "bad.h5ad")


def data_with_control_characters_in_columns():
    """The column asked for is not there; those that are must not reach the terminal as they are."""
    data = adata()
    data.obs.columns = ["a\x1b[31mred", "b\nc"]
    data.write_h5ad("bad.h5ad")


def zarr_without_metadata():
    os.makedirs("bad.zarr/obs")


def zarr_empty_group():
    zarr.open_group("bad.zarr", mode="w")


def zarr_with_a_chunk_of_names_missing():
    write_zarr()
    folder = Path("bad.zarr/obs/_index")
    folder = folder / "values" if (folder / "values").exists() else folder  # since anndata 0.13
    (folder / "0").unlink()


def zarr_with_a_chunk_of_labels_missing():
    write_zarr(form=3)
    os.remove("bad.zarr/obs/cell_type/codes/c/0")


def zarr_with_a_chunk_cut():
    write_zarr()
    file = "bad.zarr/obs/cell_type/codes/0"
    content = Path(file).read_bytes()
    Path(file).write_bytes(content[: len(content) // 2])


def zarr_with_broken_json():
    write_zarr()
    Path("bad.zarr/obs/_index/.zarray").write_text('{"shape": [')


def zarr_of_ten_gb_claimed():
    write_zarr()
    file = "bad.zarr/obs/cell_type/codes/.zarray"
    described = json.loads(Path(file).read_text())
    described["shape"] = [TEN_GB]
    described["chunks"] = [TEN_GB]
    Path(file).write_text(json.dumps(described))


def zarr_pickled():
    write_zarr()
    file = "bad.zarr/obs/cell_type/codes/.zarray"
    described = json.loads(Path(file).read_text())
    described.update(filters=[{"id": "pickle"}], compressor=None)
    Path(file).write_text(json.dumps(described))
    Path("bad.zarr/obs/cell_type/codes/0").write_bytes(pickle.dumps(Bomb()))


def described_as_a_command():
    return json.dumps({"dataset_class": "os.system", "organism": "HUMAN", "path": "touch canary"})


def described_as_a_class_elsewhere():
    return json.dumps({"dataset_class": "subprocess.Popen", "organism": "HUMAN", "path": "data.h5ad"})


# ---- embeddings: each function makes a file and returns what -c is given


def npy_pickled():
    np.save("bad.npy", np.array([Bomb()] * N, dtype=object), allow_pickle=True)
    return "bad.npy"


def npy_a_plain_pickle():
    Path("bad.npy").write_bytes(pickle.dumps(Bomb()))
    return "bad.npy"


def npy_of_ten_gb_claimed():
    npy("bad.npy", f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({N}, {TEN_GB // N // 8})}}", bytes(100))
    return "bad.npy"


def npy_of_ten_gb_of_nothing():
    """A file with a hole: it says 10 GB, and holds a header."""
    npy_of_ten_gb_claimed()
    os.truncate("bad.npy", TEN_GB + 1000)
    return "bad.npy"


def npy_of_a_negative_shape():
    npy("bad.npy", f"{{'descr': '<f8', 'fortran_order': False, 'shape': (-{N}, -4)}}", bytes(8 * N * 4))
    return "bad.npy"


def npy_with_code_in_the_header():
    npy("bad.npy", "{'descr': open('canary', 'w'), 'fortran_order': False, 'shape': (1,)}")
    return "bad.npy"


def npy_structured():
    np.save("bad.npy", np.zeros(N, dtype=[("x", "f8"), ("y", "f8")]))
    return "bad.npy"


def npy_of_text():
    np.save("bad.npy", np.full((N, 2), "a"))
    return "bad.npy"


def npy_three_dimensional():
    np.save("bad.npy", np.ones((N, 2, 2)))
    return "bad.npy"


def npy_with_nan():
    np.save("bad.npy", np.full((N, 2), np.nan))
    return "bad.npy"


def npy_too_short():
    np.save("bad.npy", VALUES[:-3])
    return "bad.npy"


def npz_pickled():
    np.savez("bad.npz", x=np.array([Bomb()] * N, dtype=object))
    return "bad.npz"


def npz_that_climbs_out():
    content = io.BytesIO()
    np.save(content, np.full((N, 2), np.nan))
    with zipfile.ZipFile("bad.npz", "w") as packed:
        packed.writestr("../../canary.npy", content.getvalue())
    return "bad.npz"


def npz_bomb():
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (N, 6 * 10**8 // N // 8)}
    )
    with zipfile.ZipFile("bad.npz", "w", zipfile.ZIP_DEFLATED) as packed, packed.open("x.npy", "w") as member:
        member.write(header.getvalue())
        for _ in range(60):
            member.write(bytes(10**7))
    return "bad.npz"


def npz_cut():
    np.savez("whole.npz", x=VALUES)
    Path("bad.npz").write_bytes(Path("whole.npz").read_bytes()[:-200])
    return "bad.npz"


def npz_sparse_with_wild_indices():
    np.savez(
        "bad.npz",
        format=b"csr",
        shape=[N, 4],
        data=np.ones(N),
        indices=np.full(N, 10**6),
        indptr=np.arange(N + 1),
    )
    return "bad.npz"


def text(name, content):
    def make():
        with open(name, "wb") as file:
            file.write(content)
        return name

    make.__name__ = f"csv_{name.partition('.')[0]}"
    return make


ROWS = "".join(f"{name},{a},{b}\n" for name, (a, b) in zip(NAMES, VALUES[:, :2].tolist(), strict=True))
TEXTS = [
    text("nul_bytes.csv", ("cell,a,b\n" + ROWS.replace("cell7", "cell\0")).encode()),
    text("utf_16.csv", ("cell,a,b\n" + ROWS).encode("utf-16")),
    text("latin_1.csv", ("cell,a,b\n" + ROWS.replace("cell7", "zelle\xe4")).encode("latin-1")),
    text("in_words.csv", ("cell,a,b\n" + ROWS.replace(",", ",high", 1)).encode()),
    text("ragged.csv", ("cell,a,b\n" + ROWS + "cell40,1,2,3\n").encode()),
    text("of_nothing.csv", b""),
    text("with_an_open_quote.csv", ('cell,a,b\n"' + ROWS).encode()),
    text("with_strange_names.csv", ("cell,a,b\n" + ROWS.replace("cell7,", "../\x1b[2J,")).encode()),
    text("with_cells_twice.csv", ("cell,a,b\n" + ROWS.replace("cell7,", "cell8,")).encode()),
    text("binary.csv", os.urandom(1000).replace(b"\xff\xfe", b"") + b"\0"),
]


def csv_gzip_bomb():
    with gzip.open("bad.csv.gz", "wb", compresslevel=9) as file:
        file.write(b"cell,a\n")
        for _ in range(30):
            file.write(b"0,0\n" * 10**6)
    return "bad.csv.gz"


def csv_gzip_cut():
    Path("bad.csv.gz").write_bytes(gzip.compress(ROWS.encode())[:200])
    return "bad.csv.gz"


def parquet_cut():
    pd.DataFrame(VALUES, columns=list("abcd")).to_parquet("whole.parquet")
    Path("bad.parquet").write_bytes(Path("whole.parquet").read_bytes()[:-300])
    return "bad.parquet"


def parquet_nested():
    pd.DataFrame({"a": [[1, 2]] * N, "b": [{"x": 1}] * N}).to_parquet("bad.parquet")
    return "bad.parquet"


def parquet_of_text():
    pd.DataFrame({"a": [1.0] * N, "b": ["x"] * N}).to_parquet("bad.parquet")
    return "bad.parquet"


def h5ad_with_obsm_too_short():
    def change(file):
        del file["obsm/X_pca"]
        file["obsm/X_pca"] = VALUES[:-1]
        file["obsm/X_pca"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})

    edited(change)
    return "bad.h5ad:X_pca"


def h5ad_with_a_wild_index():
    data = adata()
    data.X = __import__("scipy.sparse", fromlist=["csr_matrix"]).csr_matrix(data.X)
    data.write_h5ad("bad.h5ad")
    with h5py.File("bad.h5ad", "a") as file:
        file["X/indices"][0] = 10**6
    return "bad.h5ad"


def h5ad_of_ten_gb_claimed():
    def change(file):
        del file["obsm/X_pca"]
        file.create_dataset("obsm/X_pca", (N, TEN_GB // N // 8), "f8", chunks=(1, 10**6), compression="gzip")
        file["obsm/X_pca"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})

    edited(change)
    return "bad.h5ad:X_pca"


def h5ad_of_raw_bytes_elsewhere():
    Path("secret").write_bytes(VALUES.tobytes())

    def change(file):
        del file["obsm/X_pca"]
        file.create_dataset("obsm/X_pca", (N, 4), "f8", external=[("secret", 0, VALUES.nbytes)])
        file["obsm/X_pca"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})

    edited(change)
    return "bad.h5ad:X_pca"


def h5ad_with_keys_that_climb():
    def change(file):
        file["obsm"].move("X_pca", "X\x1b[2J_pca")

    edited(change)
    return "bad.h5ad:../../X_pca"


def zarr_with_a_chunk_of_values_missing():
    write_zarr()
    os.remove("bad.zarr/obsm/X_pca/0.0")
    return "bad.zarr:X_pca"


def zarr_array_of_ten_gb_claimed():
    array = zarr.create_array("bad.zarr", shape=(N, TEN_GB // N // 8), chunks=(1, 10**6), dtype="f8")
    array[0, :10] = 1.0
    return "bad.zarr"


def zarr_with_values_linked_elsewhere():
    write_zarr()
    os.rename("bad.zarr/obsm/X_pca", "elsewhere")
    os.symlink(os.path.abspath("elsewhere"), "bad.zarr/obsm/X_pca")
    return "bad.zarr:X_pca"


def embedding_a_folder():
    os.mkdir("bad.npy")
    return "bad.npy"


def embedding_of_no_format():
    Path("bad.docx").write_text("x")
    return "bad.docx"


def embedding_of_a_name_with_control_characters():
    return "my\x1b[2Jmodel=good.npy"


def embedding_of_a_name_too_long():
    return "x" * 5000 + ".npy"


def embedding_of_a_name_with_nul():
    return "good\0.npy"


DATA = [one for name, one in list(globals().items()) if name.startswith(("data_", "described_"))] + [
    zarr_without_metadata,
    zarr_empty_group,
    zarr_with_a_chunk_of_names_missing,
    zarr_with_a_chunk_of_labels_missing,
    zarr_with_a_chunk_cut,
    zarr_with_broken_json,
    zarr_of_ten_gb_claimed,
    zarr_pickled,
]
EMBEDDINGS = [
    *(one for name, one in list(globals().items()) if name.startswith(("npy_", "npz_", "csv_", "parquet_", "h5ad_"))),
    *(one for name, one in list(globals().items()) if name.startswith("embedding_")),
    *TEXTS,
    zarr_with_a_chunk_of_values_missing,
    zarr_array_of_ten_gb_claimed,
    zarr_with_values_linked_elsewhere,
]
WITH_A_BAD_COLUMN = (
    data_with_unequal_columns,
    data_with_a_column_gone,
    data_with_codes_out_of_range,
    data_with_unknown_encoding,
    data_with_a_soft_link_to_itself,
    data_that_holds_itself,
    data_of_ten_gb_claimed,
    zarr_with_a_chunk_cut,
    zarr_with_a_chunk_of_labels_missing,
    zarr_of_ten_gb_claimed,
    zarr_pickled,
)
CLAIMS = [one for one in [*DATA, *EMBEDDINGS] if "ten_gb" in one.__name__ or "bomb" in one.__name__]


def arguments(make):
    """Make the file; return the command line that reads it."""
    if make in DATA:
        given = make() or ("bad.zarr" if os.path.exists("bad.zarr") else "bad.h5ad")
        return ["run", "embedding", "-u", given, "-c", "good.npy"]
    return ["run", "embedding", "-u", "data.h5ad", "-c", make()]


def files(folder):
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}


def check(stdout, stderr, status, before, after):
    assert status == 2, stdout + stderr
    assert stdout == ""
    assert stderr.startswith("Error: ")
    assert stderr.count("\n") == 1
    assert stderr.endswith("\n")
    assert stderr[:-1].isprintable()
    assert len(stderr) < 6500  # a path of 5,000 characters is among them
    assert "Traceback" not in stderr
    assert "canary" not in after
    assert after == before


def test_there_are_enough():
    assert len({one.__name__ for one in [*DATA, *EMBEDDINGS]}) == len([*DATA, *EMBEDDINGS]) >= 30
    assert len(CLAIMS) >= 7


def test_the_good_files_are_good(place):
    done = CliRunner().invoke(main, ["run", "embedding", "-u", "data.h5ad", "-c", "good.npy"])
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize("make", [*DATA, *EMBEDDINGS], ids=lambda make: make.__name__)
def test_one_sentence(place, make):
    given = arguments(make)
    before = files(place)
    done = CliRunner().invoke(main, given)
    check(done.stdout, done.stderr, done.exit_code, before, files(place))


@pytest.mark.parametrize("make", DATA, ids=lambda make: make.__name__)
def test_info_says_it_too(place, make):
    given = arguments(make)[3]
    if make.__name__.startswith("described"):
        pytest.skip("info takes no descriptions")
    before = files(place)
    done = CliRunner().invoke(main, ["info", given])
    # One column that cannot be read, or odd names of columns, are no reason not to show the rest.
    if done.exit_code == 0:
        assert make in (
            *WITH_A_BAD_COLUMN,
            data_with_control_characters_in_columns,
        )
        assert done.stdout.replace("\n", "").isprintable()
        assert ("Unreadable" in done.stdout) == (make in WITH_A_BAD_COLUMN)
        assert files(place) == before
    else:
        check(done.stdout, done.stderr, done.exit_code, before, files(place))


MEASURED = """
import atexit, resource, sys
from czbenchmarks.cli.main import main
atexit.register(lambda: open(sys.argv.pop(), "w").write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)))
main(sys.argv[1:-1])
"""


def run_apart(given, place, tmp_path_factory, seconds=90):
    """Run the command in a process of its own with limited memory; return it and its peak memory in MiB."""
    peak = tmp_path_factory.mktemp("peak") / "peak"
    limit = 6 * 2**30

    def limited():
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURED), *given, str(peak)],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        preexec_fn=limited,
    )
    return done, int(peak.read_text()) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="limits and units of memory are those of Linux")
@pytest.mark.parametrize("make", CLAIMS, ids=lambda make: make.__name__)
def test_claims_take_no_memory(place, tmp_path_factory, make):
    given = arguments(make)
    before = files(place)
    done, peak = run_apart(given, place, tmp_path_factory)
    check(done.stdout, done.stderr, done.returncode, before, files(place))
    assert peak < 900


@pytest.mark.skipif(sys.platform != "linux", reason="limits and units of memory are those of Linux")
@pytest.mark.parametrize(
    "make", [npy_pickled, npy_a_plain_pickle, npz_pickled, zarr_pickled, data_truncated], ids=lambda make: make.__name__
)
def test_in_a_process_of_its_own(place, tmp_path_factory, make):
    given = arguments(make)
    before = files(place)
    done, _ = run_apart(given, place, tmp_path_factory)
    check(done.stdout, done.stderr, done.returncode, before, files(place))


@pytest.mark.skipif(sys.platform != "linux", reason="limits and units of memory are those of Linux")
@pytest.mark.parametrize("option", ["-u", "-c"])
def test_a_pipe_does_not_hang(place, tmp_path_factory, option):
    suffix = {"-u": "h5ad", "-c": "npy"}[option]
    os.mkfifo(place / f"pipe.{suffix}")
    given = {"-u": "data.h5ad", "-c": "good.npy", option: f"pipe.{suffix}"}
    before = files(place)
    words = ["run", "embedding", *(word for pair in given.items() for word in pair)]
    done, _ = run_apart(words, place, tmp_path_factory, seconds=60)
    check(done.stdout, done.stderr, done.returncode, before, files(place))


@pytest.mark.parametrize("option", ["-u", "-c"])
def test_a_file_that_must_not_be_read(place, option):
    given = {"-u": "data.h5ad", "-c": "good.npy"}
    os.chmod(given[option], 0)
    if os.access(given[option], os.R_OK):
        pytest.skip("the superuser reads everything")
    before = files(place)
    done = CliRunner().invoke(main, ["run", "embedding", *(word for pair in given.items() for word in pair)])
    check(done.stdout, done.stderr, done.exit_code, before, files(place))
    assert "Permission denied" in done.stderr


YAML = [
    "datasets:\n  x: !!python/object/apply:os.system ['touch canary']\n",
    "datasets:\n  x: {_target_: os.system, command: touch canary, path: data.h5ad, organism: human}\n",
    "datasets:\n  x: {_target_: builtins.open, path: canary, mode: w, organism: human}\n",
    "datasets:\n  x: {_target_: SingleCellLabeledDataset, path: [1, 2], organism: human}\n",
    "datasets:\n  x: {_target_: {}, path: data.h5ad}\n",
    "- just\n- a list\n",
    "datasets: {x: [",
    "\x00",
]


@pytest.mark.parametrize("text", YAML)
def test_yaml_runs_nothing(place, text):
    (place / "x.yaml").write_text(text)
    before = files(place)
    with pytest.raises((ValueError, TypeError)) as caught:
        load_custom_dataset("x", custom_dataset_config_path="x.yaml")
    assert "\n" not in str(caught.value)
    assert files(place) == before


def test_what_looks_hostile_and_is_fine(place):
    """A mark of byte order, columns first in memory, cells named like paths: all are scored alike."""
    np.save("fortran.npy", np.asfortranarray(VALUES))
    odd = [f"../../{name}\x1b[2J" for name in NAMES]
    adata(odd).write_h5ad("odd.h5ad")
    mixed = RNG.permutation(N)
    pd.DataFrame(VALUES, index=odd).iloc[mixed].to_csv("odd.csv", encoding="utf-8-sig")
    found = []
    for data, embedding in [("data.h5ad", "good.npy"), ("data.h5ad", "fortran.npy"), ("odd.h5ad", "odd.csv")]:
        done = CliRunner().invoke(main, ["run", "embedding", "-u", data, "-c", embedding, "-f", "json"])
        assert done.exit_code == 0, done.stderr
        found.append(json.loads(done.stdout)["result_metrics"][0]["value"])
    assert len(set(found)) == 1
