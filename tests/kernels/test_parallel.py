import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from czbenchmarks.kernels import parallel
from czbenchmarks.kernels.parallel import (
    interruptible,
    map_blocks,
    memory_budget,
    num_threads,
    one_blas_thread,
    ranges,
    resources,
)
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
    monkeypatch.setattr(parallel, "_TIME_LIMIT", "/none/such")
    assert num_threads() == 3


@pytest.mark.parametrize(
    ("limit", "threads"),
    [("max 100000", 3), ("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("900000 100000", 3), ("", 3)],
)
def test_without_the_variable_the_limit_of_a_container_counts(monkeypatch, tmp_path, limit, threads):
    monkeypatch.delenv("CZBENCHMARKS_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    (tmp_path / "limit").write_text(limit + "\n")
    monkeypatch.setattr(parallel, "_TIME_LIMIT", str(tmp_path / "limit"))
    assert num_threads() == threads


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5", "1025", "\u00b2", pytest.param("9" * 5000, id="long")])
def test_a_bad_variable_is_refused(monkeypatch, given):
    monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", given)
    with pytest.raises(ValueError, match=f"CZBENCHMARKS_NUM_THREADS must be a whole number.*'{given}'; unset it"):
        num_threads()


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ("500MB", 500 * 10**6),
        ("2GB", 2 * 10**9),
        (" 2 gb ", 2 * 10**9),
        ("2g", 2 * 10**9),
        ("1.5GiB", 3 * 2**29),
        ("1000000", 10**6),
        ("1000 KB", 10**6),
        ("1TiB", 2**40),
    ],
)
def test_the_memory_is_read_at_every_call(monkeypatch, given, size):
    monkeypatch.setenv("CZBENCHMARKS_MEMORY", given)
    assert memory_budget() == size
    with resources(memory=given):
        monkeypatch.setenv("CZBENCHMARKS_MEMORY", "7MB")
        assert memory_budget() == size
    assert memory_budget() == 7 * 10**6


@pytest.mark.parametrize("given", ["lots", "0", "-2GB", "2", "999KB", "2PB", "GB", "nan", "1e9", "2 GB 3", "1..5GB"])
def test_a_bad_memory_is_refused(monkeypatch, given):
    monkeypatch.setenv("CZBENCHMARKS_MEMORY", given)
    with pytest.raises(
        ValueError,
        match=f"^CZBENCHMARKS_MEMORY must be a size of at least 1MB, such as 500MB, 2GB or 1.5GiB, got '{given}'; "
        "unset it for the default.$",
    ):
        memory_budget()


@pytest.mark.parametrize(
    ("available", "budget"), [([], 2**30), ([2**40], 2**30), ([2**40, 2**31], 2**29), ([100], 10**6)]
)
def test_without_a_size_a_quarter_of_what_is_there_is_the_most(monkeypatch, available, budget):
    monkeypatch.delenv("CZBENCHMARKS_MEMORY", raising=False)
    monkeypatch.setattr(parallel, "_available", lambda: available)
    assert memory_budget() == budget


@pytest.mark.skipif(not os.path.exists("/proc/meminfo"), reason="a file of Linux")
def test_what_is_available_counts_the_limit_of_a_container(monkeypatch, tmp_path):
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "limit").write_text("123456789\n")
    monkeypatch.setattr(parallel, "_LIMITS", (str(tmp_path / "max"), str(tmp_path / "limit"), str(tmp_path / "none")))
    free, limit = parallel._available()
    assert limit == 123456789
    assert 2**20 < free < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_threads_and_memory_can_be_set_for_a_while(monkeypatch):
    monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", "3")
    monkeypatch.setenv("CZBENCHMARKS_MEMORY", "30MB")
    with resources(threads=2):
        with resources(memory="8MB"):
            assert (num_threads(), memory_budget()) == (2, 8 * 10**6)
            assert in_a_thread(num_threads) == 3  # another thread of the user is another run
            assert interruptible(num_threads) == 2  # but not one that we start
        monkeypatch.setenv("CZBENCHMARKS_MEMORY", "nonsense")
        assert (num_threads(), memory_budget()) == (2, 30 * 10**6)
    assert num_threads() == 3


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"threads": 0}, "`threads` must be a whole number of at least 1 and at most 1,024, got 0; leave it out"),
        ({"threads": True}, "`threads` must be a whole number of at least 1 and at most 1,024, got True"),
        ({"threads": 1.5}, "`threads` must be a whole number of at least 1 and at most 1,024, got 1.5"),
        ({"memory": "much"}, "`memory` must be a size of at least 1MB, such as .*, got 'much'; leave it out"),
        ({"memory": 12}, "`memory` must be a size of at least 1MB, such as .*, got 12; leave it out"),
        ({"memory": True}, "`memory` must be a size of at least 1MB, such as .*, got True; leave it out"),
    ],
)
def test_what_cannot_be_set_is_refused(given, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"), resources(**given):
        pass


@pytest.mark.parametrize(("threads", "each", "share"), [(1, 1, 8 * 10**6), (2, 1, 4 * 10**6), (8, 1, 2 * 10**6)])
def test_a_worker_has_one_thread_and_its_share_of_the_memory(threads, each, share):
    with resources(threads=threads, memory="8MB"):  # 4 blocks: no more than 4 work side by side
        assert map_blocks(lambda _: (num_threads(), memory_budget()), range(4)) == [(each, share)] * 4
        assert map_blocks(lambda _: (num_threads(), memory_budget()), [0]) == [(threads, 8 * 10**6)]


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


def test_blocks_inside_blocks_start_no_threads(monkeypatch):
    monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", "2")

    def threads_inside(_):
        return {threading.get_ident(), *map_blocks(lambda _: threading.get_ident(), range(3))}

    found = map_blocks(threads_inside, range(4))
    assert [len(one) for one in found] == [1] * 4
    assert threading.get_ident() not in set.union(*found)


def test_no_more_threads_than_asked_for_work_at_a_time():
    together, most, lock = 0, 0, threading.Lock()

    def block(_):
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        np.linalg.norm(np.ones((100, 100)) @ np.ones((100, 100)))
        with lock:
            together -= 1

    def task():
        with resources(threads=2):
            map_blocks(block, range(20))

    users = [threading.Thread(target=task) for _ in range(3)]  # three runs at once take turns
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert 1 <= most <= 2


def test_a_thread_that_is_waited_for_needs_no_turn_of_its_own():
    def inside():
        return set(blas_threads().values()), map_blocks(lambda i: i + 1, range(3))

    with one_blas_thread():
        assert interruptible(inside) == ({1}, [1, 2, 3])


def test_libraries_imported_on_the_way_are_held_too():
    code = """
from threadpoolctl import threadpool_info
from czbenchmarks.kernels.parallel import map_blocks, num_threads, one_blas_thread
def threads(_):
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
with one_blas_thread():
    before = threads(0)
    import scipy.linalg, sklearn.metrics
    for found in map_blocks(threads, range(4)):
        assert len(found) > len(before), found
        assert set(found.values()) == {1}, found
assert num_threads() == 1 or max(threads(0).values()) > 1, threads(0)
"""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks of POSIX")
def test_a_forked_process_does_not_wait_for_a_thread_that_is_not_in_it():
    code = """
import os, threading
from czbenchmarks.kernels.parallel import map_blocks, one_blas_thread
held, done = threading.Event(), threading.Event()
def hold():
    with one_blas_thread():
        held.set()
        done.wait()
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    os._exit(0 if map_blocks(lambda i: i * i, range(4)) == [0, 1, 4, 9] else 1)
done_child, status = os.waitpid(child, 0)
done.set()
raise SystemExit(os.waitstatus_to_exitcode(status))
"""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (found.returncode, found.stderr) == (0, "")


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
