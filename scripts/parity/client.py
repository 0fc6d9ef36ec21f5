"""Run the client `vcp-cli` on this package, and check that it gives `czbenchmarks run`'s values.

    python client.py OUT_DIR CLIENT_ENVIRONMENT/bin/vcp

Every task once, with most options left out; every baseline that the client makes; other seeds. The client's environment
holds `vcp-cli` and this package in place of the published one; `README.md` says how.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cases import CASES, ORGANISMS, PERTURBATION, Case
from command import COMMAND, arguments, disagreements
from score import number

LABELS = "cross-species_label_prediction"
SEEDED = ("clustering", "label_prediction")  # tasks that draw; the client takes one seed a call
BASELINES = ("clustering", "embedding", "batch_integration", "label_prediction", "sequential_organization")


def calls(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield what each call is, and the words after `run` that both commands take."""
    # Of cross-species label prediction the case with sample ids: without, the client puts in the cell types.
    cases = [case for case in CASES if case.task != LABELS or "sample_ids" in case.columns]
    first = {case.task: case for case in reversed(cases)}
    for task, case in sorted(first.items()):
        words = shared_words(case, folder)
        yield task, [*words, "-r", "42"]
        if task in SEEDED:
            yield f"{task}, seed 7", [*words, "-r", "7"]
        if task in BASELINES:
            place = words.index("-c")
            yield f"{task}, baseline", [*words[:place], *words[place + 2 :], "-B", "-r", "42"]


def shared_words(case: Case, folder: Path) -> list[str]:
    """Return a case's words as the client wants them: data as JSON, switches left at their defaults, no seed."""
    words = [word for word in arguments(case, folder) if word not in ("--normalize", "--no-adaptive-k")]
    words[0] = case.task
    if case.task != PERTURBATION:
        for name in case.files:
            path = str(folder / f"{name}.h5ad")
            organism = ORGANISMS.get(name, ("HUMAN", ""))[0]
            dataset = {"dataset_class": "czbenchmarks.datasets.SingleCellLabeledDataset", "organism": organism}
            words[words.index(path)] = json.dumps({**dataset, "path": path})
    return words[: words.index("-r")]


def values(command: list[str]) -> dict[str, float | None]:
    """Run a command and return the values of its JSON by metric and parameters."""
    done = subprocess.run([*command, "-f", "json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return {key(metric): number(metric["value"]) for metric in json.loads(done.stdout)["result_metrics"]}


def key(metric: dict[str, Any]) -> str:
    """Name a score by its metric and parameters."""
    params = ", ".join(f"{k}={v}" for k, v in sorted((metric.get("params") or {}).items()))
    return f"{metric['metric_type']} | {params}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="what prepare.py wrote")
    parser.add_argument("client", help="the client's program")
    given = parser.parse_args()
    bad = 0
    for what, words in calls(given.folder):
        theirs = values([given.client, "benchmarks", "run", *words, "--no-cache"])
        found = disagreements(values([*COMMAND, *words]), theirs)
        print("differs" if found or not theirs else "equal  ", f"{what}: {len(theirs)} values", flush=True)
        print("".join(f"    {line}\n" for line in found), end="")
        bad += len(found) + (not theirs)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
