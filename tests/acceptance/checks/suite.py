"""Promises that tests of the suite hold."""

import re
import signal
import sys

from world import Failed, World, call, surroundings


def tests(world: World, *nodes: str) -> str:
    """Run tests of the suite."""
    done = call([sys.executable, "-m", "pytest", "-n", "2", *nodes], cwd=world.root, timeout=1200)
    return _passed(done.stdout)


def tests_in_the_background(world: World) -> str:
    """Run ``make test`` as in the background of a script: it ignores Ctrl-C, and so would all that it starts."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = call(["make", "test"], cwd=world.root, timeout=1800, env=surroundings(), restore_signals=False)
    finally:
        signal.signal(signal.SIGINT, before)
    return _passed(done.stdout)


def _passed(printed: str) -> str:
    found = re.findall(r"(\d+ passed[^\n]*)", printed)
    if not found:
        raise Failed("no test was run")
    return str(found[-1]).strip("= ")
