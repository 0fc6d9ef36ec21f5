"""What the measurements were made on, and with."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = (
    "cz-benchmarks", "numpy", "scipy", "pandas", "scikit-learn", "scikit-learn-intelex", "anndata", "scanpy", "numba",
    "igraph", "leidenalg", "hnswlib", "umap-learn", "pynndescent",
    "scib-metrics", "jax",
)  # fmt: skip
_ASK = f"""
import importlib.metadata, json, platform
found = {{}}
for name in {PACKAGES!r}:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps({{"python": platform.python_version(), "packages": found}}))
"""
THREADS = (
    "CZBENCHMARKS_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)  # fmt: skip


def cores() -> int:
    """Return how many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(threads: int | None = None) -> dict[str, Any]:
    """Return processor, cores, memory, system, and the threads either side may use."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = models[0] if models else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model, "cores": cores(), "memory_gib": round(memory, 1), "threads": threads or cores(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }  # fmt: skip


def environment(python: str) -> dict[str, Any]:
    """Return the versions an interpreter finds, of Python and of what the numbers or times come from."""
    done = subprocess.run([python, "-c", _ASK], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def variables(threads: int | None) -> dict[str, str]:
    """Return the environment of a measured process: every library is held to `threads`, if given."""
    given = {**os.environ, "PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}
    if threads is not None:
        given |= dict.fromkeys(THREADS, str(threads))
    return given
