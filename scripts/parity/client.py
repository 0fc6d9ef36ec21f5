"""Run each task once through the client `vcp-cli` on this package, and check that it gives `czbenchmarks run`'s values.

    python client.py OUT_DIR CLIENT_ENVIRONMENT/bin/vcp

The client's environment holds `vcp-cli` and this package in place of the published one; `README.md` says how.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from cases import CASES, ORGANISMS, PERTURBATION, Case
from command import arguments, disagreements, run
from score import number

LABELS = "cross-species_label_prediction"


def client_arguments(case: Case, folder: Path) -> list[str]:
    """Return the command's arguments as the client wants them: data as JSON, switches left at their defaults."""
    words = [word for word in arguments(case, folder) if word not in ("--normalize", "--no-adaptive-k")]
    words[0] = case.task
    if case.task != PERTURBATION:
        for name in case.files:
            path = str(folder / f"{name}.h5ad")
            organism = ORGANISMS.get(name, ("HUMAN", ""))[0]
            dataset = {"dataset_class": "czbenchmarks.datasets.SingleCellLabeledDataset", "organism": organism}
            words[words.index(path)] = json.dumps({**dataset, "path": path})
    return ["benchmarks", "run", *words, "--no-cache"]


def by_client(case: Case, folder: Path, client: str) -> dict[str, float | None]:
    """Run a case by the client and return its values by key."""
    done = subprocess.run([client, *client_arguments(case, folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the client failed on {case.name}, {case.task}:\n{done.stdout}\n{done.stderr}")
    values = {}
    for metric in json.loads(done.stdout)["result_metrics"]:
        params = ", ".join(f"{k}={v}" for k, v in sorted((metric.get("params") or {}).items()))
        values[f"{case.name} | {case.task} | {metric['metric_type']} | {params}"] = number(metric["value"])
    return values


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="what prepare.py wrote")
    parser.add_argument("client", help="the client's program")
    given = parser.parse_args()
    # The first case of each task; cross-species label prediction with sample ids, for which the client would otherwise
    # put in the cell types.
    cases = [case for case in CASES if case.task != LABELS or "sample_ids" in case.columns]
    first = {case.task: case for case in reversed(cases)}
    bad = 0
    for task, case in sorted(first.items()):
        values = by_client(case, given.folder, given.client)
        found = disagreements(run(case, given.folder), values)
        print("differs" if found else "equal  ", f"{task}: {len(values)} values", flush=True)
        print("".join(f"    {line}\n" for line in found), end="")
        bad += len(found)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
