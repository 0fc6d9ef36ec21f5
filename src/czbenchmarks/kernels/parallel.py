"""Work spread over threads, with the same bits for any number of them.

A BLAS product split over two threads may round differently from one thread's. So BLAS and OpenMP are held to one
thread while we run, work is cut into blocks whose borders do not depend on the number of threads, and the blocks are
what is spread.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from czbenchmarks._progress import work
from czbenchmarks.exceptions import InputError

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

T = TypeVar("T")
R = TypeVar("R")

_MOST_THREADS = 1024
_LEAST_MEMORY = 10**6
_DEFAULT_MEMORY = 2**30
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_TIME_LIMIT = "/sys/fs/cgroup/cpu.max"
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container

# Of a context, not of the process: two runs in two threads may differ.
_asked: ContextVar[tuple[int, int] | None] = ContextVar("resources", default=None)
_held: ContextVar[bool] = ContextVar("held", default=False)
_in_worker: ContextVar[bool] = ContextVar("in_worker", default=False)
_turn = threading.RLock()
_pools: tuple[int, ThreadpoolController] | None = None


def _forget_turn() -> None:
    # A forked process has one thread: whoever held the turn is not in it.
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_turn)


@contextmanager
def resources(threads: int | None = None, memory: int | str | None = None) -> Iterator[None]:
    """Set the number of threads and the memory budget of the work inside; both stay what they are at the beginning.

    `memory` is in bytes, or text such as ``"500MB"``. What is None is as `num_threads` and `memory_budget` say now.
    """
    used = (
        num_threads() if threads is None else _threads(threads, "`threads`", "leave it out"),
        memory_budget() if memory is None else _bytes(memory, "`memory`", "leave it out"),
    )
    token = _asked.set(used)
    try:
        yield
    finally:
        _asked.reset(token)


def num_threads() -> int:
    """Threads to use: what `resources` set, else ``CZBENCHMARKS_NUM_THREADS``, else all the process may use.

    Read at every call, so that changing the variable takes effect at once. One in a worker of ours, whose siblings
    use the others.
    """
    asked = _asked.get()
    if asked is not None:
        return asked[0]
    given = os.environ.get("CZBENCHMARKS_NUM_THREADS", "").strip()
    if given:
        return _threads(given, "CZBENCHMARKS_NUM_THREADS", "unset it")
    try:
        processors = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        processors = os.cpu_count() or 1
    return max(1, min(processors, _quota() or processors))


def memory_budget() -> int:
    """Bytes that temporary blocks may take, those of all threads together.

    What `resources` set, else ``CZBENCHMARKS_MEMORY``, else 1 GiB or a quarter of the available memory if that is
    less. Read at every call. In a worker of ours it is that worker's share, so ``memory_budget() // num_threads()`` is
    what one thread may take, wherever it is asked. It may decide how much is gathered at a time, never the order of a
    sum: results have the same bits under any budget.
    """
    asked = _asked.get()
    if asked is not None:
        return asked[1]
    given = os.environ.get("CZBENCHMARKS_MEMORY", "").strip()
    if given:
        return _bytes(given, "CZBENCHMARKS_MEMORY", "unset it")
    return min([_DEFAULT_MEMORY, *(max(_LEAST_MEMORY, free // 4) for free in _available())])


def _quota() -> int | None:
    """Return how many processors' time a container may use: it sees those of the machine; None for no limit."""
    try:
        time, period = Path(_TIME_LIMIT).read_text(encoding="ascii").split()
        return -(-int(time) // int(period))
    except (OSError, ValueError):  # no such file, or "max"
        return None


def _threads(given: int | str, name: str, otherwise: str) -> int:
    text = str(given).strip()
    found = int(text) if re.fullmatch("[0-9]{1,9}", text) and not isinstance(given, bool) else 0
    if not 1 <= found <= _MOST_THREADS:
        raise InputError(
            f"{name} must be a whole number of at least 1 and at most {_MOST_THREADS:,}, got {given!r}; "
            f"{otherwise} for all processors."
        )
    return found


def _bytes(given: int | str, name: str, otherwise: str) -> int:
    parts = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([KMGT]?|[KMGT]I)B?", str(given).strip().upper())
    found = 0
    if parts is not None and not isinstance(given, bool):
        found = int(float(parts[1]) * _UNITS[parts[2]])
    if found < _LEAST_MEMORY:
        raise InputError(
            f"{name} must be a size of at least 1MB, such as 500MB, 2GB or 1.5GiB, got {given!r}; "
            f"{otherwise} for the default."
        )
    return found


def _available() -> list[int]:
    """Return bounds, in bytes, of the memory that is there for this process; none where the system does not tell."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        try:
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        except (AttributeError, ValueError, OSError):  # Windows
            return []
    for limit in _LIMITS:
        try:
            text = Path(limit).read_text(encoding="ascii").strip()
        except OSError:
            continue
        found += [int(text)] if text.isdigit() else []  # else "max"
    return found


def _thread_pools() -> ThreadpoolController:
    """Return what sets the threads of the BLAS and OpenMP libraries that are loaded.

    Looking for them takes milliseconds, and they come with modules: it is done again when one has been imported.
    """
    global _pools
    loaded = len(sys.modules)
    if _pools is None or _pools[0] != loaded:
        from threadpoolctl import ThreadpoolController

        controller = ThreadpoolController()
        _pools = (len(sys.modules), controller)
    return _pools[1]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS and OpenMP to one thread; another thread of the caller waits for its turn.

    The limit on BLAS is process-wide and belongs to the thread that set it, so two holders at a time would lift it
    under each other. Waiting costs nothing: whoever holds it uses every core.
    """
    if _in_worker.get():  # the caller of this thread of ours holds it
        yield
        return
    if _held.get():  # but not what has been imported since
        with _thread_pools().limit(limits=1):
            yield
        return
    with _turn, _thread_pools().limit(limits=1):
        token = _held.set(True)
        try:
            yield
        finally:
            _held.reset(token)


def _limit_openmp() -> None:
    # OpenMP keeps its number of threads per calling thread, so each of ours sets its own; it dies with the thread.
    _thread_pools().limit(limits=1, user_api="openmp")


def _begin_worker(share: int) -> None:
    _limit_openmp()
    _in_worker.set(True)
    _asked.set((1, share))  # blocks inside blocks run where they are


def map_blocks(
    function: Callable[[T], R],
    blocks: Iterable[T],
    what: str = "computing",
    cost: Callable[[T], float] = lambda block: 1.0,
) -> list[R]:
    """Apply `function` once to every block, on our threads; results in the order of the blocks.

    For who shows progress, `what` is done, and `cost` says how long a block takes, roughly and in any unit.
    """
    blocks = list(blocks)
    threads = min(num_threads(), len(blocks))
    with one_blas_thread(), work(what, sum(map(cost, blocks))) as advance:

        def one(block: T) -> R:
            result = function(block)
            advance(cost(block))
            return result

        if threads <= 1:
            return [one(block) for block in blocks]
        share = max(1, memory_budget() // threads)
        pool = ThreadPoolExecutor(threads, initializer=_begin_worker, initargs=(share,))
        try:
            return list(pool.map(one, blocks))
        finally:
            # After an error or Ctrl-C nothing waits for blocks that have not begun.
            pool.shutdown(wait=sys.exc_info()[0] is None, cancel_futures=True)


def in_order(function: Callable[[T], R], blocks: Sequence[T], use: Callable[[T, R], None]) -> Callable[[int], None]:
    """Return what `map_blocks` is to call with the numbers of the blocks, so that results are used in their order.

    `function` is applied to a block, and `use` to block and result as soon as that was done with all earlier blocks,
    by one thread at a time: few results wait for others.
    """
    waiting: dict[int, R] = {}
    position, lock = 0, threading.Lock()

    def visit(i: int) -> None:
        nonlocal position
        found = function(blocks[i])
        with lock:
            waiting[i] = found
            while position in waiting:
                use(blocks[position], waiting.pop(position))
                position += 1

    return visit


def interruptible(function: Callable[[], R]) -> R:
    """Call `function` on a thread of its own while this one waits.

    For a library that holds its thread for minutes, or calls back and drops what the callback raises: Ctrl-C is
    raised in the thread that waits, at once, and only there.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone hears Ctrl-C
        return function()
    outcome: Future[R] = Future()
    context = copy_context()  # the threads and memory asked for, and who holds BLAS

    def run() -> None:
        try:
            if _held.get():
                _limit_openmp()
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 (raised by result())
            outcome.set_exception(error)

    threading.Thread(target=context.run, args=(run,), daemon=True).start()
    return outcome.result()


def ranges(n: int, size: int) -> list[tuple[int, int]]:
    """Cut ``range(n)`` into consecutive ``(start, stop)`` of at most `size`."""
    return [(start, min(start + size, n)) for start in range(0, n, size)]
