"""What the kernel tests share."""

import numpy as np
import pytest


@pytest.fixture
def same_bits(monkeypatch):
    """Return a function that computes with 1, 2 and 4 threads and other global seeds, and compares bit by bit."""

    def check(compute):
        expected = None
        for threads, seed in (("1", 0), ("2", 1), ("4", 2)):
            monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", threads)
            np.random.seed(seed)  # noqa: NPY002, TID251
            found = [np.asarray(part).tobytes() for part in compute()]
            assert expected is None or found == expected, f"{threads} threads give other bits"
            expected = found

    return check
