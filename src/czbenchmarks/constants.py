"""Constants shared by every layer. The two folders follow the environment and are read at use."""

import os

RANDOM_SEED = 42

# Constant -> its default, and the variables that move it, the first one set counting.
_FOLDERS = {
    "DATASETS_CACHE_PATH": ("~/.cz-benchmarks/datasets", ("CZBENCHMARKS_CACHE", "DATASETS_CACHE_PATH")),
    "PROCESSED_DATASETS_CACHE_PATH": ("~/.cz-benchmarks/processed_datasets", ("PROCESSED_DATASETS_CACHE_PATH",)),
}


def __getattr__(name: str) -> str:
    if name not in _FOLDERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    default, variables = _FOLDERS[name]
    return next((value for variable in variables if (value := os.environ.get(variable, "").strip())), default)


def __dir__() -> list[str]:
    return sorted({*globals(), *_FOLDERS})


def get_base_name(path: str) -> str:
    """Return the pattern of a file's numbered siblings: ``dir/cells.h5ad`` gives ``cells*.h5ad``."""
    stem, suffix = os.path.splitext(os.path.basename(path))
    return f"{stem}*{suffix}"


def get_numbered_path(base_path: str, index: int) -> str:
    """Return the path of a file's numbered sibling: ``dir/cells.h5ad`` and 2 give ``dir/cells_2.h5ad``."""
    stem, suffix = os.path.splitext(base_path)
    return f"{stem}_{index}{suffix}"


BASELINE = "baseline"
"""What the scores of a task's baseline are called."""
