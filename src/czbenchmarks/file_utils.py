"""Downloading under the published name; `czbenchmarks.datasets.download.fetching` does the work."""

from __future__ import annotations

from pathlib import Path

from .datasets.download.cache import expanded
from .datasets.download.fetching import fetch


def download_file_from_remote(
    remote_url: str, cache_dir: str | Path | None = None, make_unsigned_request: bool = True
) -> str:
    """Return the local path of a remote file, downloaded if it is not in the cache.

    Parameters
    ----------
    remote_url
        ``https://``, ``http://`` or ``s3://``.
    cache_dir
        Folder to keep it in; by default that of the variable ``CZBENCHMARKS_CACHE``.
    make_unsigned_request
        Without effect: S3 is asked without credentials first, then with those of the environment.
    """
    return str(fetch(remote_url, folder=None if cache_dir is None else expanded(cache_dir)))
