"""On a machine with Python, make and a package index: the two commands, those of the README, and the wheel."""

import getpass
import re
import shutil
import socket
import sys
import zipfile
from pathlib import Path

from world import Failed, NotRun, World, call, surroundings


def readme_commands(readme: str) -> list[list[str]]:
    """Return the commands of the README's bash blocks, block by block, without the comments behind them."""
    blocks = re.findall(r"^```bash\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    return [[line.split("  #")[0].split(" # ")[0].strip() for line in block.splitlines() if line] for block in blocks]


def _two_commands(world: World, python: str) -> str:
    """Follow the README in a fresh clone: its first block with the lock file, its second with the newest versions.

    ``make test`` is left to the row that runs it in the background, and to CI, which begins with it.
    """
    version = call([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).stdout.strip()
    clone = world.clone(f"clone-{version}")
    first, second = readme_commands((clone / "README.md").read_text(encoding="utf-8"))[:2]
    if first != ["make demo", "make test"] or second[0] != "pip install .":
        raise Failed(f"the README shows other commands than are checked: {first}, {second}")
    env = surroundings(PYTHON=python)
    printed = call(["bash", "-c", first[0]], cwd=clone, env=env, timeout=1500).stdout
    if "perturbation_expression_prediction" not in printed:
        raise Failed(f"make demo printed no score of the last task:\n{printed[-2000:]}")
    size = _megabytes(clone / ".venv")
    own = world.folder(f"own-{version}")
    call([python, "-m", "venv", own / "env"])
    for name, there in (("cells.h5ad", "human.h5ad"), ("embedding.npy", "human_pca.npy")):
        shutil.copy(clone / "demo" / there, clone / name)
    env = surroundings(PATH=f"{own / 'env/bin'}:{surroundings()['PATH']}", VIRTUAL_ENV=str(own / "env"))
    for command in second:
        printed = call(["bash", "-c", command], cwd=clone, env=env, timeout=1500).stdout
    if "adjusted_rand_index" not in printed:
        raise Failed(f"{second[-1]} printed no score:\n{printed[-2000:]}")
    shutil.rmtree(clone)
    shutil.rmtree(own)
    return f"Python {version}: {size} MB with the lock file"


def _megabytes(folder: Path) -> int:
    return int(call(["du", "-sm", folder]).stdout.split()[0])


def first_python(world: World) -> str:
    """Follow the README with the Python that runs the checks."""
    base = Path(sys.base_prefix) / "bin" / "python3"
    return _two_commands(world, str(base if base.exists() else sys.executable))


def other_pythons(world: World) -> str:
    """Follow the README with every other Python there is."""
    pythons = world.pythons()
    if not pythons:
        raise NotRun("second Python")
    return "; ".join(_two_commands(world, python) for python in pythons)


def wheel(world: World) -> str:
    """The wheel holds the package alone, and its demo runs where there is nothing else."""
    names, size = _names_in(world.wheel), world.wheel.stat().st_size / 1e6
    strange = [name for name in names if not re.match(r"(czbenchmarks|cz_benchmarks-[^/]+\.dist-info)/", name)]
    strange += [name for name in names if re.search(r"(^|/)(tests?|scripts|benchmarks|__pycache__)/|\.pyc$", name)]
    if strange:
        raise Failed(f"the wheel holds {strange[:5]}")
    for mark in _marks_of_this_machine(world):
        with zipfile.ZipFile(world.wheel) as file:
            holding = [name for name in names if mark.encode() in file.read(name)]
        if holding:
            raise Failed(f"the wheel holds {mark!r} in {holding[:5]}")
    command = world.environment("wheel", ours=True).with_name("czbenchmarks")
    empty = world.folder("empty")
    printed = call([command, "demo", "-o", "demo"], cwd=empty, timeout=900).stdout
    if "perturbation_expression_prediction" not in printed or not (empty / "demo" / "human.h5ad").is_file():
        raise Failed(f"the demo of the wheel is not complete:\n{printed[-2000:]}")
    return f"{len(names)} files, {size:.1f} MB"


def _names_in(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as file:
        return file.namelist()


def _marks_of_this_machine(world: World) -> list[str]:
    """Return what tells where the wheel was built; what is too short would occur by chance."""
    marks = [str(world.root), str(world.work), str(Path.home()), socket.gethostname(), getpass.getuser()]
    return [mark for mark in marks if len(mark) > 5]
