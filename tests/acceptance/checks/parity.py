"""The numbers of the published package and of scib-metrics: as they were stored, and made anew beside ours."""

import json
import sys

from world import Failed, World, call

PUBLISHED = ("cz-benchmarks==0.15.1", "pynndescent<0.6", "umap-learn>=0.5.12")
SCIB = ("scib-metrics==0.5.10", "umap-learn>=0.5.12")
LIVE = "mixology"


def _scored(world: World, interpreter: object, name: str, *words: str) -> object:
    out = world.work / f"{name}.json"
    script = world.root / "scripts/parity/score.py"
    call([interpreter, script, world.parity_inputs, "--output", out, *words], cwd=world.work, timeout=2400)
    return out


def _compared(world: World, published: object, ours: object, name: str) -> str:
    page = world.work / f"{name}.md"
    world.python("scripts/parity/table.py", published, ours, "-o", page)
    [line] = [line for line in page.read_text(encoding="utf-8").splitlines() if "out of tolerance. Largest" in line]
    return line.partition(". Largest")[0]


def published_stored(world: World) -> str:
    """All cases of the study against the stored values."""
    ours = _scored(world, sys.executable, "ours", "--no-seeds")
    stored = json.loads((world.root / "tests/parity/published.json").read_text(encoding="utf-8"))
    made = set(json.loads(ours.read_text(encoding="utf-8"))["values"])
    if not made:
        raise Failed("no case was scored")
    stored["values"] = {key: value for key, value in stored["values"].items() if "[seed=" not in key}
    few = world.work / "stored.json"
    few.write_text(json.dumps(stored), encoding="utf-8")
    return _compared(world, few, ours, "stored")


def published_live(world: World) -> str:
    """One file, scored by the published package now."""
    theirs = _scored(world, world.environment("published", *PUBLISHED), "live-published", "--only", LIVE, "--no-seeds")
    ours = _scored(world, sys.executable, "live-ours", "--only", LIVE, "--no-seeds")
    return f"{LIVE}: {_compared(world, theirs, ours, 'live')}"


def _scib(world: World, stored: object, *names: str) -> str:
    page = world.work / f"scib-{'-'.join(names) or 'all'}.md"
    words = [world.shared_data, stored, "-o", page, *(["--only", *names] if names else [])]
    world.python("scripts/parity/scib/scib_table.py", *words)
    [line] = [line for line in page.read_text(encoding="utf-8").splitlines() if "out of tolerance. Largest" in line]
    return line.partition(". Largest")[0]


def scib_stored(world: World) -> str:
    """All values of scib-metrics and scib that are stored."""
    return _scib(world, world.root / "tests/parity/scib.json")


def scib_live(world: World) -> str:
    """One file, scored by scib-metrics now."""
    out = world.work / "scib-live.json"
    interpreter = world.environment("scib-metrics", *SCIB)
    script = world.root / "scripts/parity/scib/peer.py"
    call([interpreter, script, world.shared_data, "--output", out, "--only", LIVE], cwd=world.work, timeout=1200)
    return f"{LIVE}: {_scib(world, out, LIVE)}"


def command_and_python(world: World) -> str:
    """``czbenchmarks run`` gives the values of the Python API."""
    done = world.python("scripts/parity/command.py", world.parity_inputs, "--only", LIVE)
    return f"{LIVE}: {len(done.stdout.splitlines())} cases equal"
