import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from czbenchmarks.kernels.parallel import interruptible, map_blocks, num_threads, one_blas_thread, ranges
from czbenchmarks.kernels.silhouette import silhouette_samples


def blas_threads():
    # A BLAS on OpenMP keeps its number per calling thread: what one thread holds, another does not see.
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {pool["filepath"]: pool["num_threads"] for pool in pools if pool.get("threading_layer") != "openmp"}


@pytest.mark.parametrize(("given", "threads"), [("1", 1), ("7", 7), (" 3 ", 3)])
def test_the_variable_is_read_at_every_call(monkeypatch, given, threads):
    monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", given)
    assert num_threads() == threads


@pytest.mark.parametrize("given", [None, "", "  "])
def test_without_the_variable_every_allowed_processor_counts(monkeypatch, given):
    if given is None:
        monkeypatch.delenv("CZBENCHMARKS_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", given)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert num_threads() == 3


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5"])
def test_a_bad_variable_is_refused(monkeypatch, given):
    monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", given)
    with pytest.raises(ValueError, match=f"CZBENCHMARKS_NUM_THREADS must be a whole number.*'{given}'"):
        num_threads()


@pytest.mark.parametrize(
    ("n", "size", "expected"),
    [(0, 3, []), (3, 3, [(0, 3)]), (7, 3, [(0, 3), (3, 6), (6, 7)]), (2, 10, [(0, 2)])],
)
def test_ranges(n, size, expected):
    assert ranges(n, size) == expected


@pytest.mark.parametrize("threads", ["1", "2", "4"])
def test_results_follow_the_order_of_the_blocks(monkeypatch, threads):
    monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", threads)
    assert map_blocks(lambda i: i * i, iter(range(20))) == [i * i for i in range(20)]
    assert map_blocks(lambda i: i, []) == []


@pytest.mark.parametrize("threads", ["1", "3"])
def test_an_error_in_a_block_reaches_the_caller_and_lifts_the_limit(monkeypatch, threads):
    monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", threads)
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        with pytest.raises(ZeroDivisionError):
            map_blocks(lambda i: 1 // i, [1, 0, 2])
        assert blas_threads() == before


def test_blas_is_held_to_one_thread_inside_and_released_after():
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        inside = map_blocks(lambda _: set(blas_threads().values()), range(4))
        assert inside == [{1}] * 4
        assert blas_threads() == before


def in_a_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_a_second_thread_is_held_to_one_thread_too():
    def inside():
        with one_blas_thread():
            return set(blas_threads().values())

    with threadpool_limits(limits=2, user_api="blas"):
        pass
    assert inside() == {1}
    assert in_a_thread(inside) == {1}


def test_a_second_thread_gives_the_same_bits():
    # At 1,000 dimensions OpenBLAS sums in another order on two threads.
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(1500, 1000)), rng.integers(0, 5, 1500)
    expected = silhouette_samples(X, codes)
    assert in_a_thread(lambda: silhouette_samples(X, codes)).tobytes() == expected.tobytes()


def test_a_second_thread_waits_for_its_turn():
    before = blas_threads()
    seen = []

    def hold():
        with one_blas_thread():
            seen.append(set(blas_threads().values()))

    with ThreadPoolExecutor(1) as pool:
        with one_blas_thread():
            with one_blas_thread():  # the same thread may enter again
                other = pool.submit(hold)
            assert not seen
            assert set(blas_threads().values()) == {1}
        other.result(timeout=10)
    assert seen == [{1}]
    assert blas_threads() == before


def test_blocks_inside_blocks_do_not_wait_for_each_other(monkeypatch):
    monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", "2")
    assert map_blocks(lambda i: sum(map_blocks(lambda j: i * j, range(3))), range(4)) == [0, 3, 6, 9]


def test_what_must_be_interruptible_returns_and_raises_as_it_is():
    assert interruptible(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0)
    assert interruptible(lambda: interruptible(threading.get_ident)) != threading.get_ident()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("flavor", ["igraph", "leidenalg"])
def test_ctrl_c_is_heard_in_leiden(flavor):
    """Igraph drops what its random source raises, and would go on."""
    code = f"""
import os, signal, threading
import numpy as np
from czbenchmarks.kernels.graph import connectivities, leiden
from czbenchmarks.kernels.neighbors import exact_neighbors
graph = connectivities(exact_neighbors(np.random.default_rng(0).normal(size=(2000, 10)), 15))
leiden(graph, 0, n_iterations=1, flavor={flavor!r})  # imports
threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    leiden(graph, 0, n_iterations=100_000, flavor={flavor!r})  # hours
except KeyboardInterrupt:
    os._exit(0)
os._exit(1)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (found.returncode, found.stderr) == (0, "")
