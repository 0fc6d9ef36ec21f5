"""Compiling loops on first use, and keeping the result on disk: what goes wrong there costs time, never a run.

numba's own cache raises where no folder can be written, where the disk is full and where a file is damaged; and it
trusts a file's name, so a file that another process or an earlier version left under that name is run. Here a kept
result carries what it was made from and a digest; whatever does not fit is compiled again, and what cannot be kept is
compiled in every process.
"""

from __future__ import annotations

import hashlib
import pickle
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile, NullCache

from czbenchmarks._progress import work

from .parallel import one_blas_thread

WHAT = "compiling the inner loops"
_here = threading.local()


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function on first use; `options` are those of ``numba.njit``.

    The GIL is released, and dividing by zero gives what NumPy gives.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(nogil=True, error_model="numpy", **options)(function)
        if dispatcher is not function:  # as with NUMBA_DISABLE_JIT
            try:
                dispatcher._cache = _Kept(function)
            except Exception:  # noqa: BLE001 (no folder can be written, or a numba whose cache is another)
                dispatcher._cache = _NotKept()
        return dispatcher

    return decorate


def prepare(call: Callable[[], Any]) -> None:
    """Call what uses compiled functions, on little, and announce it if they are compiled by that.

    Work spread over threads is not heard of by who shows progress, so the first call would look as if it hung.
    """
    if numba.config.DISABLE_JIT:
        return
    # Threads that BLAS starts for little would still be waiting for more, on all cores, when the work begins.
    with one_blas_thread(), ExitStack() as _here.announcement:
        _here.announced = False
        call()
    del _here.announcement


def _announce() -> None:
    announcement = getattr(_here, "announcement", None)
    if announcement is not None and not _here.announced:
        _here.announced = True
        announcement.enter_context(work(WHAT))


class _NotKept(NullCache):  # type: ignore[misc]
    """Compiles in every process."""

    def load_overload(self, sig: Any, target_context: Any) -> None:
        _announce()


class _Kept(FunctionCache):  # type: ignore[misc]
    """numba's cache of a function, for which a file that cannot be read or written is one that is not there."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        plain: Any = self._cache_file  # type: ignore[has-type]
        self._cache_file = _Files(plain._cache_path, self._impl.filename_base, plain._source_stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = None
        try:
            found = super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 (what reading a damaged pickle raises has no end)
            with suppress(Exception):  # else the damaged index would be found again when the new one is kept
                self.flush()
        if found is None:
            _announce()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError, EOFError, pickle.PickleError):  # a full disk, a folder gone, a damaged index
            super().save_overload(sig, data)


class _Files(IndexDataCacheFile):  # type: ignore[misc]
    """Files that say what they hold."""

    def save(self, key: Any, data: Any) -> None:
        content = self._dump(data)
        super().save(key, (self._stamp(key), hashlib.sha256(content).digest(), content))

    def load(self, key: Any) -> Any:
        found = super().load(key)
        if found is None:
            return None
        stamp, digest, content = found
        if stamp != self._stamp(key) or digest != hashlib.sha256(content).digest():
            return None
        return pickle.loads(content)  # of a folder that only the user can write, as the index was

    def _stamp(self, key: Any) -> tuple[Any, ...]:
        return self._version, self._source_stamp, key
