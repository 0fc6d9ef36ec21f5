"""What the checks stand on: the repository, real cells, folders, programs, and environments that are kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")


class Failed(Exception):
    """A promise does not hold."""


class NotRun(Exception):
    """A promise could not be checked here."""


class World:
    """Where a run of the checks takes place.

    Parameters
    ----------
    root
        Top folder of the repository.
    work
        A folder that is removed afterwards.
    """

    def __init__(self, root: Path, work: Path) -> None:
        self.root = root
        self.work = work

    @cached_property
    def shared_data(self) -> Path:
        """Folder of the real cells."""
        folder = Path(os.environ.get("CZBENCHMARKS_SHARED") or self.root.parent / "shared") / "data"
        if not folder.is_dir():
            raise NotRun(f"no real cells at {folder}; set CZBENCHMARKS_SHARED")
        return folder

    @cached_property
    def parity_inputs(self) -> Path:
        """Folder of the inputs of the parity study."""
        out = self.folder("parity")
        frozen = str(self.root / "tests/parity/data")
        self.python("scripts/parity/prepare.py", self.shared_data, out, "--frozen", frozen)
        return out

    @cached_property
    def wheel(self) -> Path:
        """The package as it is published."""
        out = self.folder("wheel")
        call([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, self.root], timeout=600)
        [wheel] = out.glob("*.whl")
        return wheel

    def folder(self, name: str) -> Path:
        """Make a folder."""
        out = self.work / name
        out.mkdir(parents=True)
        return out

    def python(self, script: str, *words: object, timeout: float = 1200) -> subprocess.CompletedProcess[str]:
        """Run a script of the repository."""
        return call([sys.executable, self.root / script, *words], cwd=self.root, timeout=timeout)

    def czbenchmarks(self, *words: object, **options: object) -> subprocess.CompletedProcess[str]:
        """Run the command of the environment that runs the checks."""
        return call([Path(sys.executable).with_name("czbenchmarks"), *words], **options)  # type: ignore[arg-type]

    def clone(self, name: str) -> Path:
        """Return a fresh clone of the last commit."""
        out = self.work / name
        call(["git", "clone", "-q", self.root, out], timeout=300)
        return out

    def environment(self, name: str, *requirements: str, ours: bool = False, python: str = sys.executable) -> Path:
        """Return the interpreter of an environment, made if there is none of that content.

        Parameters
        ----------
        name
            How its folder begins.
        requirements
            What is installed, beside what this package depends on if it is among it.
        ours
            Install this package into it, as it is now.
        python
            The interpreter it is made with.
        """
        project = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        version = call([python, "-c", "import sys; print(*sys.version_info[:3], sys.platform)"]).stdout.strip()
        content = [version, *requirements, *([*project["dependencies"], project["version"]] if ours else [])]
        key = hashlib.sha256("\n".join(content).encode()).hexdigest()[:12]
        folder = kept_folder() / f"{name}-{key}"
        interpreter = folder / "bin" / "python"
        with _locked(folder.with_suffix(".lock")):
            if not (folder / "complete").exists():
                shutil.rmtree(folder, ignore_errors=True)
                call([python, "-m", "venv", folder], timeout=300)
                parts = [*requirements, *([self.wheel] if ours else [])]
                call([interpreter, "-m", "pip", "install", "-q", *parts], timeout=2400)
                (folder / "complete").write_text("\n".join(content) + "\n", encoding="utf-8")
            elif ours:
                words = ["install", "-q", "--no-deps", "--force-reinstall", self.wheel]
                call([interpreter, "-m", "pip", *words], timeout=600)
        return interpreter

    def pythons(self) -> list[str]:
        """Return interpreters of other versions than ours, from 3.11 on: on PATH or named in CZBENCHMARKS_PYTHONS."""
        named = os.environ.get("CZBENCHMARKS_PYTHONS", "").split(os.pathsep)
        found: dict[str, str] = {}
        for one in [*filter(None, named), *(f"python3.{minor}" for minor in range(11, 30))]:
            code = "import sys; print('%d.%d' % sys.version_info[:2]) if sys.version_info >= (3, 11) else None"
            try:
                done = subprocess.run([one, "-c", code], capture_output=True, text=True, check=False, timeout=60)
            except OSError:
                continue
            if done.returncode == 0 and (version := done.stdout.strip()):
                found.setdefault(version, shutil.which(one) or one)
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        return [path for version, path in sorted(found.items()) if version != own]


def kept_folder() -> Path:
    """Return the folder in which environments are kept."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "czbenchmarks-acceptance"
    folder = Path(os.environ.get("CZBENCHMARKS_ACCEPTANCE") or usual)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def surroundings(**changes: str) -> dict[str, str]:
    """Return the environment variables of a program that a user starts."""
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    return {**kept, **changes}


def call(
    words: Sequence[object],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
    statuses: Sequence[int] = (0,),
    **options: object,
) -> subprocess.CompletedProcess[str]:
    """Run a program; another exit status than expected is a failed promise, with the end of what it printed."""
    line = list(map(str, words))
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            line, cwd=cwd, env=dict(env or surroundings()), timeout=timeout, check=False, capture_output=True,
            text=True, errors="replace", **options,  # type: ignore[call-overload]
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(line)} took longer than {timeout:.0f} s") from None
    if done.returncode not in statuses:
        end = "\n".join([*done.stdout.splitlines()[-40:], *done.stderr.splitlines()[-40:]])
        raise Failed(f"{' '.join(line)}: exit status {done.returncode}\n{end}")
    return done
