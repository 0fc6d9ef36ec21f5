"""Work spread over threads, with the same bits for any number of them.

A BLAS product split over two threads may round differently from one thread's. So BLAS and OpenMP are held to one
thread while we run, work is cut into blocks whose borders do not depend on the number of threads, and the blocks are
what is spread.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from czbenchmarks._progress import work

T = TypeVar("T")
R = TypeVar("R")

_turn = threading.RLock()
_worker = threading.local()


def num_threads() -> int:
    """Threads to use: ``CZBENCHMARKS_NUM_THREADS`` if set, else the processors this process may run on.

    Read at every call, so that changing the variable takes effect at once.
    """
    given = os.environ.get("CZBENCHMARKS_NUM_THREADS", "").strip()
    if given:
        if not given.isdigit() or int(given) < 1:
            raise ValueError(
                f"CZBENCHMARKS_NUM_THREADS must be a whole number of at least 1, got {given!r}; unset it for all cores."
            )
        return int(given)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        return os.cpu_count() or 1


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS and OpenMP to one thread; another thread of the caller waits for its turn.

    The limit on BLAS is process-wide and belongs to the thread that set it, so two holders at a time would lift it
    under each other. Waiting costs nothing: whoever holds it uses every core.
    """
    from threadpoolctl import threadpool_limits

    if getattr(_worker, "limited", False):  # one of our own threads, whose caller holds it
        yield
        return
    with _turn, threadpool_limits(limits=1):
        yield


def _limit_worker() -> None:
    # OpenMP keeps its number of threads per calling thread, so each worker sets its own; it dies with the worker.
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1, user_api="openmp")
    _worker.limited = True


def map_blocks(
    function: Callable[[T], R],
    blocks: Iterable[T],
    what: str = "computing",
    cost: Callable[[T], float] = lambda block: 1.0,
) -> list[R]:
    """Apply `function` to every block, on our threads; results in the order of the blocks.

    Parameters
    ----------
    function
        Called once per block.
    blocks
        Pieces of the work.
    what
        What is done, for who shows progress.
    cost
        How long a block takes, roughly and in any unit, for who tells the time left.
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
        pool = ThreadPoolExecutor(threads, initializer=_limit_worker)
        try:
            return list(pool.map(one, blocks))
        finally:
            # After an error or Ctrl-C nothing waits for blocks that have not begun.
            pool.shutdown(wait=sys.exc_info()[0] is None, cancel_futures=True)


def interruptible(function: Callable[[], R]) -> R:
    """Call `function` on a thread of its own while this one waits.

    For a library that holds its thread for minutes, or calls back and drops what the callback raises: Ctrl-C is
    raised in the thread that waits, at once, and only there.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone hears Ctrl-C
        return function()
    outcome: Future[R] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 (raised by result())
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result()


def ranges(n: int, size: int) -> list[tuple[int, int]]:
    """Cut ``range(n)`` into consecutive ``(start, stop)`` of at most `size`."""
    return [(start, min(start + size, n)) for start in range(0, n, size)]
