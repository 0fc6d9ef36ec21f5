"""The published name of a download."""

import pytest

from czbenchmarks.exceptions import RemoteStorageError
from czbenchmarks.file_utils import download_file_from_remote


def test_a_download(web, served_file, cache, tmp_path):
    address = web.serve("/cells.h5ad", served_file(b"cells"))
    path = download_file_from_remote(address)
    assert isinstance(path, str)
    assert path.startswith(str(cache))
    other = download_file_from_remote(address, str(tmp_path / "other"), make_unsigned_request=False)
    assert other.startswith(str(tmp_path / "other"))
    with open(other, "rb") as file:
        assert file.read() == b"cells"
    with pytest.raises(RemoteStorageError, match="no such file"):
        download_file_from_remote(f"{web.host}/none.h5ad")
