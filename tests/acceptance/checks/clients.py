"""The established client with this package in place of the published one."""

import sys
from pathlib import Path

from world import World, call, surroundings

VCP = "vcp-cli==0.54.1"


def _client(world: World) -> Path:
    return world.environment("client", VCP, ours=True).with_name("vcp")


def scores_of_the_client(world: World) -> str:
    """Every task, the baseline, other seeds, options left out: the client's JSON holds what our command prints."""
    folder, client = world.parity_inputs, _client(world)
    done = world.python("scripts/parity/client.py", folder, client, timeout=1800)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return f"{len(lines)} runs, {sum(int(line.split()[-2]) for line in lines)} values equal"


def page_of_the_client(world: World) -> str:
    """The commands of the client's page, as they stand there."""
    page = "docs/howto/vcp-cli.md"
    env = surroundings(CZBENCHMARKS_VCP=str(_client(world)))
    call([sys.executable, world.root / "tests/docs/pages.py", world.root / page], env=env, timeout=600)
    return page
