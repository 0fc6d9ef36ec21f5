"""What goes wrong around a run: other numbers of threads, processes that are killed, disks that are full, bad input."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from world import Failed, NotRun, World, call, surroundings

COMMAND = Path(sys.executable).with_name("czbenchmarks")
CELLS = ["-d", "baron_pancreas_human"]


def _embedding(world: World) -> Path:
    """Return an embedding of the bundled cells in a file."""
    out = world.work / "embedding.npy"
    if not out.exists():
        code = (
            "import sys, numpy as np, czbenchmarks as c; from czbenchmarks.tasks.utils import pca_baseline;"
            "X = c.load_dataset('baron_pancreas_human').adata.X;"
            "np.save(sys.argv[1], pca_baseline(X, 1000, 20, 0).astype('float32'))"
        )
        call([sys.executable, "-c", code, out])
    return out


def _begun(words: Sequence[object], folder: Path) -> subprocess.Popen[bytes]:
    """Start the command in the background, with default signals."""
    return subprocess.Popen(
        [COMMAND, *map(str, words)], cwd=folder, stdout=-1, stderr=-1, env=surroundings(), start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def _scores(record: Path) -> list[dict[str, Any]]:
    """Return what a record says of its scores."""
    found: list[dict[str, Any]] = json.loads(record.read_text(encoding="utf-8"))["result_metrics"]
    return found


def threads(world: World) -> str:
    """1, 2 and 4 threads and three budgets of memory: the same bits in the record."""
    embedding, values = _embedding(world), 0
    runs = {
        "clustering": ["--metrics", "all", "-B"],
        "batch_integration": ["--batch-labels", "donor", "--metrics", "all", "-B"],
        "label_prediction": ["-B", "--n-folds", "3"],
    }
    for task, options in runs.items():
        first: list[dict[str, Any]] = []
        for number, memory in ((1, "1GB"), (2, "20MB"), (4, "5MB")):
            out = world.work / f"{task}-{number}.json"
            words = ["-q", "run", task, *CELLS, "-c", embedding, *options]
            words += ["--threads", number, "--memory", memory, "-o", out]
            call([COMMAND, *words], statuses=(0, 1), timeout=900)
            scores = _scores(out)
            first = first or scores
            if scores != first:
                differ = [a["metric_type"] for a, b in zip(first, scores, strict=True) if a != b]
                raise Failed(f"{task} with {number} threads differs in {differ[:5]}")
        values += len(first)
    return f"{values} scores, 1, 2 and 4 threads"


def killed(world: World) -> str:
    """``kill -9`` at twelve moments: record and store are the earlier ones or whole new ones, and a next run works."""
    folder, embedding = world.folder("killed"), _embedding(world)
    record, store = folder / "record.json", folder / "runs.db"
    words = ["run", "embedding", *CELLS, "-c", embedding, "-o", record, "--store", store]
    started = time.perf_counter()
    call([COMMAND, *words])
    whole = time.perf_counter() - started
    kept, stored, hit = record.read_text(encoding="utf-8"), 1, 0
    for moment in [whole * share for share in (0.3, 0.6, 0.8, 0.9, 0.94, 0.96, 0.97, 0.98, 0.99, 1.0, 1.01, 1.03)]:
        process = _begun(words, folder)
        time.sleep(moment)
        process.kill()
        process.communicate()
        hit += process.returncode == -signal.SIGKILL
        now = record.read_text(encoding="utf-8")
        if now != kept:
            json.loads(now)
            kept = now
        with closing(sqlite3.connect(store)) as connection:
            [[count]] = connection.execute("SELECT COUNT(*) FROM runs")
            [[sound]] = connection.execute("PRAGMA integrity_check")
            if sound != "ok" or not stored <= count <= stored + 1:
                raise Failed(f"the store holds {count} runs after {stored}")
        stored = count
    call([COMMAND, *words])
    listed = call([COMMAND, "results", "list", "--store", store, "-f", "json"]).stdout
    if len(json.loads(listed)) != stored + 1:
        raise Failed(f"{stored + 1} runs were stored, the list has {listed}")
    if not hit:
        raise Failed("no run was killed in time")
    return f"{hit} of 12 runs killed; {_killed_demos(folder)} demos"


def _killed_demos(folder: Path) -> int:
    """Kill demos over an earlier one; the next gives the whole folder."""
    call([COMMAND, "-q", "demo", "-o", "demo"], cwd=folder, timeout=600)
    files = sorted(path.name for path in (folder / "demo").iterdir())
    moments = (1.0, 3.0, 6.0)
    for moment in moments:
        process = _begun(["demo", "-o", "demo"], folder)
        time.sleep(moment)
        process.kill()
        process.communicate()
    call([COMMAND, "-q", "demo", "-o", "demo"], cwd=folder, timeout=600)
    if (found := sorted(path.name for path in (folder / "demo").iterdir())) != files:
        raise Failed(f"the demo holds {found} after it was killed, {files} before")
    return len(moments)


@contextmanager
def _small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a file system of a size; only root may."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotRun(f"a small disk cannot be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def full_disk(world: World) -> str:
    """Record, store and demo on a full disk: one sentence, the earlier files whole, the scores printed all the same."""
    embedding = _embedding(world)
    run = ["-q", "run", "embedding", *CELLS, "-c", embedding]
    with _small_disk(world.folder("disk"), "256k") as disk:
        record, store = disk / "record.json", disk / "runs.db"
        call([COMMAND, *run, "-o", record, "--store", store])
        before = record.read_bytes()
        with open(disk / "filler", "wb") as filler:
            try:
                while True:
                    os.write(filler.fileno(), b"x" * 512)
            except OSError:
                pass
        for words in (["-o", record], ["--store", store]):
            done = call([COMMAND, *run, *words], statuses=(2,))
            _one_sentence(done.stderr)
            if "silhouette_score" not in done.stdout:
                raise Failed(f"the scores were not printed: {done.stdout}")
        done = call([COMMAND, "-q", "demo", "-o", disk / "demo"], statuses=(2,), timeout=600)
        _one_sentence(done.stderr)
        if record.read_bytes() != before or sorted(path.name for path in disk.iterdir()) != [
            "filler",
            "record.json",
            "runs.db",
        ]:
            raise Failed(f"the disk holds {sorted(path.name for path in disk.iterdir())}, or the record changed")
        (disk / "filler").unlink()
        if len(json.loads(call([COMMAND, "results", "list", "--store", store, "-f", "json"]).stdout)) != 1:
            raise Failed("the store does not hold the run of before")
        call([COMMAND, *run, "-o", record, "--store", store])
    return "record, store and demo"


def _one_sentence(stderr: str) -> None:
    lines = [line for line in stderr.splitlines() if line]
    if len(lines) != 1 or not lines[0].startswith("Error: ") or "Traceback" in stderr:
        raise Failed(f"more than one sentence: {stderr}")


def exit_status(world: World) -> str:
    """0, 1, 2 and 130, each for what the page says."""
    embedding = _embedding(world)
    scib = ["-q", "run", "batch_integration", *CELLS, "-c", embedding, "--batch-labels", "donor"]
    call([COMMAND, *scib, "--metrics", "scib"])
    one_batch = world.work / "one_batch.h5ad"
    code = (
        "import sys, czbenchmarks as c; a = c.load_dataset('baron_pancreas_human').adata.copy();"
        "a.obs['plate'] = 'one'; a.write_h5ad(sys.argv[1])"
    )
    call([sys.executable, "-c", code, one_batch])
    plates = ["-q", "run", "batch_integration", "-u", one_batch, "-c", embedding, "--batch-labels", "plate"]
    call([COMMAND, *plates, "--metrics", "scib"])  # what is undefined by its definition is no failure
    call([COMMAND, *plates, "--metrics", "ilisi,clisi"], statuses=(1, 2))  # unless it was asked for by name
    done = call([COMMAND, "run", "clustering", *CELLS, "-c", "missing.npy"], statuses=(2,), cwd=world.work)
    _one_sentence(done.stderr)
    process = _begun(["demo", "-o", "demo"], world.work)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    if process.returncode != 130:
        raise Failed(f"Ctrl-C ended with status {process.returncode}")
    return "0, 1, 2 and 130"
