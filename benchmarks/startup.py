"""Time to start: ours beside the published package, medians of whole processes, one run.

    python benchmarks/startup.py OURS/bin/python PUBLISHED/bin/python [--runs 7]

Each row runs ours and the published package in turn, after one warm-up each, and prints median seconds and their ratio.
"""

import argparse
import statistics
import subprocess
import time
from pathlib import Path

ROWS = {
    "import czbenchmarks.tasks": ["-c", "import czbenchmarks.tasks"],
    "from czbenchmarks.tasks import ClusteringTask": ["-c", "from czbenchmarks.tasks import ClusteringTask"],
    "czbenchmarks list tasks": None,
}


def seconds(python: str, arguments: list[str] | None) -> float:
    """Run one process and return its wall time."""
    command = [python, *arguments] if arguments else [str(Path(python).with_name("czbenchmarks")), "list", "tasks"]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours")
    parser.add_argument("published")
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    print("| What | Ours, s | Published, s | Times faster |\n|---|---:|---:|---:|")
    for name, arguments in ROWS.items():
        pairs = [(seconds(given.ours, arguments), seconds(given.published, arguments)) for _ in range(given.runs + 1)]
        ours, published = (statistics.median(side) for side in zip(*pairs[1:], strict=True))
        print(f"| `{name}` | {ours:.2f} | {published:.2f} | {published / ours:.1f} |", flush=True)


if __name__ == "__main__":
    main()
