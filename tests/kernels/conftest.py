"""What the kernel tests share."""

import numpy as np
import pytest


@pytest.fixture
def same_bits(monkeypatch):
    """Return a function that compares bit by bit: with 1, 2 and 4 threads, little and much memory, other seeds."""

    def check(compute):
        expected = None
        for threads, memory, seed in (("1", "4GB", 0), ("2", "1MB", 1), ("4", "20MB", 2)):
            monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", threads)
            monkeypatch.setenv("CZBENCHMARKS_MEMORY", memory)
            np.random.seed(seed)  # noqa: NPY002, TID251
            found = [np.asarray(part).tobytes() for part in compute()]
            assert expected is None or found == expected, f"{threads} threads and {memory} give other bits"
            expected = found

    return check
