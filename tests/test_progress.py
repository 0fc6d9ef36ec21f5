"""Progress: what is heard, by whom, and that no number changes by it."""

from __future__ import annotations

import itertools
import threading

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from czbenchmarks import _progress
from czbenchmarks._progress import Work, listening, track, work
from czbenchmarks.datasets.types import Organism
from czbenchmarks.kernels.entropy import neighbor_entropy
from czbenchmarks.kernels.graph import connectivities, leiden
from czbenchmarks.kernels.neighbors import exact_neighbors
from czbenchmarks.kernels.parallel import map_blocks
from czbenchmarks.kernels.silhouette import silhouette_samples
from czbenchmarks.tasks import (
    CrossSpeciesLabelPredictionTask,
    CrossSpeciesLabelPredictionTaskInput,
    MetadataLabelPredictionTask,
    MetadataLabelPredictionTaskInput,
    PerturbationExpressionPredictionTask,
    PerturbationExpressionPredictionTaskInput,
)
from czbenchmarks.tasks.utils import pca_baseline


class Ear:
    """Remembers all it hears."""

    def __init__(self):
        self.begun, self.ended_ = [], []

    def began(self, work):
        self.begun.append(work)

    def ended(self, work):
        self.ended_.append(work)

    def heard(self):
        return [(one.what, one.total, one.done, one.depth) for one in self.begun]


def test_nobody_listens(monkeypatch):
    monkeypatch.setattr(_progress, "Work", None)  # nothing is made for nobody
    with work("reading", 3) as advance:
        advance(1)
    assert list(track(range(3), "reading")) == [0, 1, 2]


def test_nested_work_is_heard_with_its_amounts():
    ear = Ear()
    with listening(ear):
        for _ in track(iter("ab"), "outer", 2):
            with work("inner", 10, unit="B") as advance:
                advance(4)
                advance(6)
        with work("after"):
            pass
    assert ear.heard() == [("outer", 2, 2, 0), ("inner", 10, 10, 1), ("inner", 10, 10, 1), ("after", None, 0, 0)]
    outer, inner, *_ = ear.begun
    assert (inner.outer, inner.unit, outer.unit) == (outer, "B", "")
    assert [one.what for one in ear.ended_] == ["inner", "inner", "outer", "after"]
    with work("unheard"):
        pass
    assert len(ear.begun) == 4


def test_items_with_a_length_say_it():
    ear = Ear()
    with listening(ear):
        list(track({"a": 1, "b": 2}, "named"))
        list(track(iter("ab"), "unknown"))
    assert ear.heard() == [("named", 2, 2, 0), ("unknown", None, 2, 0)]


def test_an_error_ends_the_work():
    ear = Ear()
    with listening(ear):
        with pytest.raises(ValueError, match="no"), work("outer"), work("inner"):
            raise ValueError("no")
        with work("next"):
            pass
    assert [one.what for one in ear.ended_] == ["inner", "outer", "next"]
    assert ear.begun[-1].outer is None


def test_a_loop_that_is_left_early_ends_its_work():
    ear = Ear()
    with listening(ear):
        with work("outer"):
            items = track(range(9), "left")
            next(items)
        with work("after"):
            pass
        items.close()  # later than the work around it
        with work("last"):
            pass
    assert {one.what: one.depth for one in ear.begun} == {"outer": 0, "left": 1, "after": 0, "last": 0}
    assert ear.begun[1].done == 0
    assert len(ear.ended_) == 4


def test_amounts_from_many_threads_add_up():
    ear = Ear()
    with listening(ear), work("counting", 8000) as advance:
        threads = [threading.Thread(target=lambda: [advance(1) for _ in range(1000)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert ear.heard() == [("counting", 8000, 8000, 0)]


def test_two_runs_in_two_threads_do_not_hear_each_other():
    ears, begun = [Ear(), Ear()], threading.Barrier(2)

    def run(i):
        with listening(ears[i]), work(f"run {i}"):
            begun.wait(5)
            list(track(range(3), f"inside {i}"))
            begun.wait(5)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ear.heard() for ear in ears] == [[(f"run {i}", None, 0, 0), (f"inside {i}", 3, 3, 1)] for i in range(2)]


def test_a_listener_can_be_taken_out():
    ear = Ear()
    with listening(ear), listening(None), work("unheard"):
        pass
    assert ear.begun == []


def test_share_and_time_left(monkeypatch):
    clock = itertools.count(100.0, 10.0)  # every look at the clock is ten seconds later
    monkeypatch.setattr(_progress.time, "monotonic", lambda: next(clock))
    one = Work("fits", 4)
    assert (one.share, one.seconds_left(105.0)) == (0, None)
    one.advance(1)  # at 110
    assert one.share == 0.25
    assert one.seconds_left(110.0) == pytest.approx(30)
    assert one.seconds_left(125.0) == pytest.approx(15)
    assert one.seconds_left(999.0) == 0
    one.advance(5)
    assert one.share == 1
    endless = Work("search")
    endless.advance(3)
    assert (endless.share, endless.seconds_left(1000.0)) == (None, None)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_blocks_are_counted_and_weighed(monkeypatch, threads):
    monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", threads)
    ear = Ear()
    with listening(ear):
        assert map_blocks(lambda i: i * i, range(5), "squares") == [0, 1, 4, 9, 16]
        map_blocks(lambda i: i, [1, 2, 3], "weighed", cost=lambda i: 10.0 * i)
        with pytest.raises(ZeroDivisionError):
            map_blocks(lambda i: 1 // i, [0], "failing")
    assert ear.heard() == [("squares", 5, 5, 0), ("weighed", 60, 60, 0), ("failing", 1, 0, 0)]
    assert len(ear.ended_) == 3


N = 1100


def cells():
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, 6)), np.arange(N) % 3


def kernel_results():
    X, codes = cells()
    neighbors = exact_neighbors(X, 15)
    graph = connectivities(neighbors)
    return [
        neighbors.indices,
        neighbors.distances,
        silhouette_samples(X, codes),
        neighbor_entropy(neighbors.indices, codes, 3),
        graph.data,
        leiden(graph, 3),
    ]


def finished(ear):
    """Return what was announced, whether all of it was done, and within how many others."""
    return [(what, None if total is None else done == total > 0, depth) for what, total, done, depth in ear.heard()]


def test_kernels_announce_themselves_and_keep_every_bit():
    ear = Ear()
    silent = kernel_results()
    with listening(ear):
        heard = kernel_results()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(silent, heard, strict=True))
    assert finished(ear) == [
        ("nearest neighbours", True, 0),
        ("weights of the neighbour graph", True, 0),
        ("silhouette", True, 0),
        ("entropy of the neighbours", True, 0),
        ("Leiden communities", None, 0),  # nobody can tell how long
    ]


def label_prediction():
    X, codes = cells()
    task_input = MetadataLabelPredictionTaskInput(labels=codes[:90].astype(str).tolist(), n_folds=3)
    return MetadataLabelPredictionTask().run(X[:90], task_input)


def across_species():
    X, codes = cells()
    labels = codes[:60].astype(str).tolist()
    task_input = CrossSpeciesLabelPredictionTaskInput(
        labels=[labels, labels], organisms=[Organism.HUMAN, Organism.MOUSE], aggregation_method="none", n_folds=2
    )
    return CrossSpeciesLabelPredictionTask().run([X[:60], X[100:160]], task_input)


def perturbation():
    rng = np.random.default_rng(1)
    cells, genes = [f"c{i}" for i in range(8)], [f"g{i}" for i in range(5)]
    adata = ad.AnnData(
        rng.normal(5, 1, size=(8, 5)),
        obs=pd.DataFrame(index=cells),
        var=pd.DataFrame(index=genes),
        uns={
            "control_cells_map": {name: {cells[i]: cells[i + 4]} for i, name in enumerate("AB")},
            "target_conditions_dict": {"A": genes[:3], "B": genes[2:]},
            "de_results": pd.DataFrame(
                {"condition": list("AAABBB"), "gene_id": [*genes[:3], *genes[2:]], "logfoldchange": rng.normal(size=6)}
            ),
        },
    )
    task_input = PerturbationExpressionPredictionTaskInput(adata=adata)
    return PerturbationExpressionPredictionTask().run(rng.normal(5, 1, size=(8, 5)), task_input)


@pytest.mark.parametrize(
    ("run", "announced"),
    [
        (label_prediction, [("classifiers", True, 0)]),
        (across_species, [("classifiers", True, 0)]),  # of all pairs
        (perturbation, [("predictions", True, 0)]),
    ],
)
def test_tasks_announce_themselves_and_keep_every_bit(run, announced):
    ear = Ear()
    silent = run()
    with listening(ear):
        heard = run()
    assert [result.model_dump_json() for result in silent] == [result.model_dump_json() for result in heard]
    assert finished(ear) == announced


def test_the_baseline_announces_itself():
    counts = np.random.default_rng(2).poisson(2.0, size=(40, 30)).astype(np.float32)
    ear = Ear()
    silent = pca_baseline(counts, 20, 5, 0)
    with listening(ear):
        heard = pca_baseline(counts, 20, 5, 0)
    assert silent.tobytes() == heard.tobytes()
    assert ear.heard() == [
        ("totals of the cells", 1, 1, 0),
        ("variance of the genes", 1, 1, 0),
        ("principal components of the counts", None, 0, 0),
    ]
