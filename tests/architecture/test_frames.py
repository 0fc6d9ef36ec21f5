"""Few hops: from ``evaluate`` to the function that computes a score."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from czbenchmarks import evaluate
from czbenchmarks.metrics import clustering

MOST = 7


def test_few_frames_between_evaluate_and_the_arithmetic(monkeypatch):
    walks = []
    computed = clustering.adjusted_rand_index

    def walking(**arguments):
        frame, names = sys._getframe(1), []
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if module.startswith("czbenchmarks"):
                names.append(f"{module}:{frame.f_code.co_name}")
            frame = frame.f_back
        walks.append([*reversed(names), "czbenchmarks.metrics.clustering:adjusted_rand_index"])
        return computed(**arguments)

    walking.__module__ = computed.__module__
    monkeypatch.setattr(clustering, "adjusted_rand_index", walking)
    X = np.random.default_rng(0).normal(size=(40, 3)) + 9 * (np.arange(40) % 2)[:, None]
    evaluate(X, pd.DataFrame({"cell_type": np.arange(40) % 2}), "clustering")
    [walk] = walks
    assert walk[0] == "czbenchmarks.run.evaluate:evaluate"
    assert len(walk) <= MOST, walk
