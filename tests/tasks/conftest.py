"""What the task tests share."""

import copy

import numpy as np
import pandas as pd
import pytest

from czbenchmarks.metrics.types import MetricType, metrics_registry
from czbenchmarks.tasks import TASK_REGISTRY


class Cells:
    """300 cells in 8 dimensions with three labels, two batches and five times."""

    def __init__(self):
        rng = np.random.default_rng(0)
        n = 300
        self.labels = np.array(list("abc"))[rng.integers(0, 3, n)]
        shift = (self.labels == "a")[:, None] * 1.0 + (self.labels == "b")[:, None] * -0.5
        self.X = rng.normal(size=(n, 8)).astype("f4") + shift
        self.batches = np.array(["x", "y"])[rng.integers(0, 2, n)]
        self.times = rng.integers(0, 5, n)
        self.obs = pd.DataFrame({"c": self.labels})


@pytest.fixture
def cells():
    return Cells()


@pytest.fixture
def two_species():
    """Return 120 and 120 cells with three labels, and 12 and 14 samples."""
    rng = np.random.default_rng(1)
    n = 240
    labels = np.array(list("abc"))[rng.integers(0, 3, n)]
    X = rng.normal(size=(n, 8)) + (labels == "a")[:, None] * 1.0 + (labels == "b")[:, None] * -1.0
    samples = [[f"s{i % 12}" for i in range(120)], [f"s{i % 14}" for i in range(120)]]
    return [X[:120], X[120:]], [labels[:120].tolist(), labels[120:].tolist()], samples


@pytest.fixture
def same_bits(monkeypatch):
    """Return a function that compares bit by bit: with 1, 2 and 4 threads, little and much memory, other seeds."""

    def check(compute):
        expected = None
        for threads, memory, seed in (("1", "4GB", 0), ("2", "1MB", 1), ("4", "20MB", 2)):
            monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", threads)
            monkeypatch.setenv("CZBENCHMARKS_MEMORY", memory)
            np.random.seed(seed)  # noqa: NPY002, TID251
            found = np.asarray(compute()).tobytes()
            assert expected is None or found == expected, f"{threads} threads and {memory} give other bits"
            expected = found

    return check


@pytest.fixture
def run_twice():
    """Return a function that runs a task twice, checks that nothing changed, and returns the results."""

    def run(task, cells, task_input):
        before = copy.deepcopy((cells, dict(task_input), vars(task)))
        first, second = task.run(cells, task_input), task.run(cells, task_input)
        for now, then in zip((cells, dict(task_input), vars(task)), before, strict=True):
            assert_same(now, then)
        assert [r.model_dump_json() for r in first] == [r.model_dump_json() for r in second]
        for result in first:
            units = result.units
            if units is not None:
                for values in ([] if units.values is None else [units.values], *[[v] for v in units.columns.values()]):
                    assert all(len(v) == len(units.ids) for v in values)
            assert "units" not in result.model_dump()
        return first

    return run


def assert_same(now, then):
    """Compare values of any container, bit by bit."""
    assert type(now) is type(then)
    if isinstance(now, dict):
        assert list(now) == list(then)
        for key in now:
            assert_same(now[key], then[key])
    elif isinstance(now, (list, tuple)):
        assert len(now) == len(then)
        for a, b in zip(now, then, strict=True):
            assert_same(a, b)
    elif isinstance(now, pd.DataFrame):
        pd.testing.assert_frame_equal(now, then)
    elif isinstance(now, pd.Series):
        pd.testing.assert_series_equal(now, then)
    elif isinstance(now, pd.Index):
        pd.testing.assert_index_equal(now, then)
    elif isinstance(now, np.ndarray):
        assert now.dtype == then.dtype
        assert now.tolist() == then.tolist()
    elif hasattr(now, "obsm"):
        assert_same(now.X, then.X)
        assert_same(now.obs, then.obs)
        assert_same(now.var, then.var)
        assert_same(dict(now.uns), dict(then.uns))
        assert list(now.obsm) == list(then.obsm)
    elif hasattr(now, "toarray"):
        assert_same(now.toarray(), then.toarray())
    else:
        assert now == then


@pytest.fixture
def as_shipped():
    """Remove the tasks and metrics that a test adds."""
    tasks = dict(TASK_REGISTRY._classes)
    names, rows = list(MetricType.__members__), dict(metrics_registry._rows)
    yield
    TASK_REGISTRY._classes.clear()
    TASK_REGISTRY._classes.update(tasks)
    for name in [name for name in MetricType.__members__ if name not in names]:
        member = MetricType._member_map_.pop(name)
        MetricType._member_names_.remove(name)
        MetricType._value2member_map_.pop(member.value)
        type.__delattr__(MetricType, name)
    metrics_registry._rows.clear()
    metrics_registry._rows.update(rows)


@pytest.fixture
def searches(monkeypatch):
    """Return the list of searched neighbour numbers, filled as searches happen."""
    from czbenchmarks.kernels import representation

    asked, search = [], representation.exact_neighbors

    def counted(X, k):
        asked.append(k)
        return search(X, k)

    monkeypatch.setattr(representation, "exact_neighbors", counted)
    return asked
