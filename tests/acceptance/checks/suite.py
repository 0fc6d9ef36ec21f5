"""Promises that tests of the suite hold."""

import re
import signal
import sys
from pathlib import Path

from world import Failed, World, call


def tests(world: World, *nodes: str) -> str:
    """Run tests of the suite."""
    done = call([sys.executable, "-m", "pytest", "-n", "2", *nodes], cwd=world.root, timeout=1200)
    return _passed(done.stdout)


def containers(world: World) -> str:
    """Run the tests of containers and of files where all the libraries are that they leave out when missing."""
    libraries = ("dask[array]", "hdf5plugin", "ml_dtypes", "polars", "pyarrow", "xarray")
    interpreter = world.environment("containers", *libraries, "pytest", ours=True)
    files = ("tests/contract/test_containers.py", "tests/contract/test_true_causes.py")
    done = call([interpreter, "-m", "pytest", "-rs", *files], cwd=world.root, timeout=1200)
    missing = set(re.findall(r"could not import '(\w+)", done.stdout)) - {"torch", "jax"}  # of gigabytes
    if missing:
        raise Failed(f"not installed: {', '.join(sorted(missing))}")
    return _passed(done.stdout)


def tests_in_the_background(world: World) -> str:
    """Run ``make test`` as in the background of a script, where it ignores Ctrl-C, and so would all that it starts.

    Only files of tests that send signals or start processes are run; CI begins with all tests, begun the same way.
    """
    files = [path for path in sorted((world.root / "tests").rglob("test_*.py")) if _starts_processes(path)]
    names = " ".join(str(path.relative_to(world.root)) for path in files)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = call(["make", "test", f"TESTS={names}"], cwd=world.root, timeout=1800)
    finally:
        signal.signal(signal.SIGINT, before)
    return f"{len(files)} files, {_passed(done.stdout)}"


def _starts_processes(path: Path) -> bool:
    words = ("SIGINT", "SIGTERM", "start([")
    text = path.read_text(encoding="utf-8")
    return "acceptance" not in path.parts and any(word in text for word in words)


def _passed(printed: str) -> str:
    found = re.findall(r"(\d+ passed[^\n]*)", printed)
    if not found:
        raise Failed("no test was run")
    return str(found[-1]).strip("= ")
