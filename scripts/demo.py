"""Score the 700 blood cells that scanpy ships: are cell types better kept by its PCA or by its UMAP?"""

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

CELLS = Path(str(importlib.util.find_spec("scanpy").origin)).parent / "datasets" / "10x_pbmc68k_reduced.h5ad"
PROGRAM = Path(sys.executable).with_name("czbenchmarks")
EMBEDDINGS = ["-c", "@obsm:X_pca", "-c", "@obsm:X_umap"]


def demo() -> int:
    """Run three tasks on two embeddings, printing each command before its table."""
    started = time.perf_counter()
    print("700 blood cells (Zheng et al. 2017, doi:10.1038/ncomms14049), labels: obs['bulk_labels']\n")
    for task, option in (
        ("clustering", "--input-labels"),
        ("embedding", "--input-labels"),
        ("label_prediction", "--labels"),
    ):
        print(f"$ czbenchmarks run {task} -u {CELLS.name} {' '.join(EMBEDDINGS)} {option} bulk_labels", flush=True)
        command = [str(PROGRAM), "run", task, "-u", str(CELLS), *EMBEDDINGS, option, "bulk_labels"]
        status = subprocess.run(command).returncode
        if status:
            return status
    print(f"\nDone in {time.perf_counter() - started:.0f} s. To score your own model:")
    print("  .venv/bin/czbenchmarks run clustering -u YOUR_CELLS.h5ad -c YOUR_EMBEDDING.npy --input-labels COLUMN")
    return 0


if __name__ == "__main__":
    sys.exit(demo())
