"""Run the parity cases through `czbenchmarks run` and check that it gives the Python API's values.

    python command.py OUT_DIR [--only TEXT]

Cases with reordered predictions are left out: their index is an object of the Python API.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path

from cases import CASES, CLASSES, ORGANISMS, PERTURBATION, Case
from score import number, score_case

LIMIT = 1e-9  # the same code on the same numbers
COMMAND = [sys.executable, "-c", "from czbenchmarks.cli.main import main; main()", "run"]


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def option(name: str, value: object) -> list[str]:
    """Return a plain task-input field as an option; booleans are on/off switches."""
    if isinstance(value, bool):
        return [flag(name) if value else f"--no-{name.replace('_', '-')}"]
    return [flag(name), str(value)]


def arguments(case: Case, folder: Path) -> list[str]:
    """Return the arguments of `czbenchmarks run` for a case."""
    found = [case.task.replace("-", "_")]
    if case.task == PERTURBATION:
        dataset = {
            "dataset_class": "czbenchmarks.datasets.SingleCellPerturbationDataset",
            "organism": "HUMAN",
            "path": str(folder / "kang_ifnb.h5ad"),
        }
        predictions = str(folder / f"{case.predictions}.npy")
        found += ["-u", json.dumps(dataset), "--adata", "@", "-c", predictions]
    several = len(case.files) > 1
    if case.task != PERTURBATION:
        for place, name in enumerate(case.files):
            found += ["-u", str(folder / f"{name}.h5ad")]
            found += ["-c", f"@{place}:obsm:X_pca" if several else "@obsm:X_pca"]
    for name, column in case.columns.items():
        for place in range(len(case.files)):
            found += [flag(name), f"@{place}:obs:{column}" if several else f"@obs:{column}"]
    if several:
        organisms = "organism_list" if case.task == "cross-species_integration" else "organisms"
        for name in case.files:
            found += [flag(organisms), ORGANISMS[name][1]]
    for name, value in case.options.items():
        found += option(name, value)
    return [*found, "-r", "42", "-f", "json"]


def run(case: Case, folder: Path) -> dict[str, float | None]:
    """Run a case by the command and return its values by key."""
    done = subprocess.run([*COMMAND, *arguments(case, folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"`czbenchmarks run` failed on {case.name}, {case.task}:\n{done.stderr}")
    values = {}
    for metric in json.loads(done.stdout)["result_metrics"]:
        params = ", ".join(f"{k}={v}" for k, v in sorted((metric.get("params") or {}).items()))
        key = f"{case.name} | {case.task} | {metric['metric_type']} | {params}"
        values[key] = number(metric["value"])
    return values


def disagreements(command: dict[str, float | None], api: dict[str, float | None]) -> list[str]:
    """Name what differs between the two ways."""
    found = []
    for key in sorted(set(command) | set(api)):
        a, b = command.get(key, math.inf), api.get(key, math.inf)
        same = a is b or (a is not None and b is not None and abs(a - b) <= LIMIT)
        if not same:
            found.append(f"{key}: command {a}, API {b}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="what prepare.py wrote")
    parser.add_argument("--only", default="", help="only cases with this text in `data task`")
    given = parser.parse_args()
    bad = 0
    for case in CASES:
        if case.predictions == "reordered" or given.only not in f"{case.name} {case.task}":
            continue
        found = disagreements(run(case, given.folder), score_case(case, given.folder))
        print("differs" if found else "equal  ", case.name, CLASSES[case.task], flush=True)
        print("".join(f"    {line}\n" for line in found), end="")
        bad += len(found)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
