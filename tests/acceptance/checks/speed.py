"""Time beside the published package, in one run on this machine."""

import json
import sys
import time

from world import Failed, World, call

from checks.parity import PUBLISHED

CELLS = 10_000
TASKS = ("embedding", "batch_integration", "clustering")
FRESH, REPEATED = 6, 5  # what README.md promises at least
NOISE = 0.8  # a single run is no measurement: docs/performance.md holds those


def _seconds(world: World, python: object, task: str, cells: int) -> tuple[float, float]:
    """Return the time from the start of a process to its first result, data not counted, and that of a second call."""
    begun = time.time()
    words = [python, world.root / "benchmarks/task_cases.py", task, "--cells", cells, "--dims", 50, "--calls", 2]
    printed = call(words, cwd=world.work, timeout=900).stdout
    [line] = [line for line in printed.splitlines() if line.startswith("RESULT ")]
    found = json.loads(line.removeprefix("RESULT "))
    return found["first_at"] - begun - found["generate_s"], found["second_s"]


def beside_the_published_package(world: World) -> str:
    """The promised factors, for three tasks at 10,000 cells."""
    published = world.environment("published", *PUBLISHED)
    figures = []
    for task in TASKS:
        for python in (published, sys.executable):
            _seconds(world, python, task, 500)  # caches on disk
        theirs, ours = (_seconds(world, python, task, CELLS) for python in (published, sys.executable))
        fresh, repeated = theirs[0] / ours[0], theirs[1] / ours[1]
        figures.append(f"{task} {fresh:.1f}x fresh, {repeated:.1f}x repeated")
        if fresh < FRESH * NOISE or repeated < REPEATED * NOISE:
            raise Failed(f"{figures[-1]}; promised are {FRESH}x and {REPEATED}x")
    return "; ".join(figures)
