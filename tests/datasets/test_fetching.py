"""Downloads: complete or absent, whatever happens to the connection, the process or the folder."""

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from czbenchmarks import _progress
from czbenchmarks.datasets.download import cache as cache_module
from czbenchmarks.datasets.download import fetching
from czbenchmarks.datasets.download.cache import entries, name_of
from czbenchmarks.datasets.download.fetching import fetch, is_remote
from czbenchmarks.datasets.download.sources import _quoted
from czbenchmarks.exceptions import DatasetFileNotFoundError, RemoteStorageError

MEBIBYTE = 1 << 20
PIECE = 1 << 18  # what is read at once, and so on disk after a cut


def some(length, seed=0):
    return np.random.default_rng(seed).bytes(length)


CONTENT = some(2_500_000)


@pytest.fixture
def once(monkeypatch):
    """Let a cut connection end the call."""
    monkeypatch.setattr(fetching, "PAUSES", ())


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(fetching, "PAUSES", (0.0, 0.0, 0.0))


def test_a_file_is_downloaded_once(web, served_file, cache):
    served = served_file(CONTENT)
    address = web.serve("/a/cells.h5ad?version=2", served)
    assert not cache.exists()
    path = fetch(address, sha256=served.sha256)
    assert path.read_bytes() == CONTENT
    assert (path.parent, path.suffix) == (cache, ".h5ad")
    assert fetch(address) == fetch(address, sha256=served.sha256.upper()) == path
    assert len(served.requests) == 1
    assert "Range" not in served.requests[0]
    assert sorted(os.listdir(cache)) == [path.name, f"{path.name}.info"]


def test_without_the_server_what_is_there_is_used(web, served_file, cache):
    path = fetch(address := web.serve("/cells.h5ad", served_file(CONTENT)))
    web.close()
    cache.chmod(0o500)
    assert fetch(address) == path
    cache.chmod(0o700)


def test_spaces_and_letters_of_any_script_in_an_address(web, served_file, cache):
    web.serve("/a%20b/%C3%A9%2F.h5ad?x=%20+", served_file(CONTENT))
    path = fetch(f" {web.host}/a b/\u00e9%2F.h5ad?x= +\n")
    assert path.read_bytes() == CONTENT
    assert fetch(f"{web.host}/a b/\u00e9%2F.h5ad?x= +") == path


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("/a%2Fb/it%27s%7E.h5ad?sig=a%2Bb%2Fc%3D%20d+e%27", None),  # signed: as it is
        ("/a/../b.h5ad", None),
        ("/a//b/./c.h5ad", None),
        ("/..%2f..%2fetc.h5ad", None),
        ("/100%.h5ad?x=%", "/100%25.h5ad?x=%25"),
        ('/a"b|c{d}.h5ad#part', "/a%22b%7Cc%7Bd%7D.h5ad"),
    ],
)
def test_the_server_is_asked_for_the_very_address(web, served_file, cache, address, asked):
    web.serve(asked or address, served_file(CONTENT))
    path = fetch(web.host + address)
    assert path.read_bytes() == CONTENT
    assert path.parent == cache


def test_a_redirect_is_followed_as_it_is(web, served_file, cache):
    target = web.serve("/store/x%27y.h5ad?sig=a%2Fb%27%2B", served := served_file(CONTENT))
    address = web.serve("/cells.h5ad", served_file(b"", redirect=target))
    assert fetch(address).read_bytes() == CONTENT
    web.serve("/a/relative.h5ad", served_file(b"", redirect="../store/x%27y.h5ad?sig=a%2Fb%27%2B"))
    assert fetch(f"{web.host}/a/relative.h5ad").read_bytes() == CONTENT
    web.serve("/store/a%20%C3%A9.h5ad", served)
    web.serve("/odd.h5ad", served_file(b"", redirect="/store/a \u00e9.h5ad"))
    assert fetch(f"{web.host}/odd.h5ad").read_bytes() == CONTENT


def test_a_password_stays_on_its_server(web, served_file, cache):
    here, elsewhere = served_file(CONTENT), served_file(CONTENT)
    web.serve("/here.h5ad", here)
    web.serve("/elsewhere.h5ad", elsewhere)
    web.serve("/1.h5ad", served_file(b"", redirect=f"{web.host}/here.h5ad"))
    web.serve("/2.h5ad", served_file(b"", redirect=f"{web.host}/elsewhere.h5ad".replace("127.0.0.1", "localhost")))
    for name in ("1", "2"):
        fetch(f"{web.host}/{name}.h5ad".replace("//", "//me:hush@"))
    assert here.requests[0]["Authorization"] == "Basic bWU6aHVzaA=="
    assert "Authorization" not in elsewhere.requests[0]


@pytest.mark.parametrize(
    ("redirect", "words"),
    [
        ("file:///etc/passwd", r"sends on to an address that is not on the web \(file:\)"),
        ("ftp://127.0.0.1/cells.h5ad", r"not on the web \(ftp:\)"),
        ("/loop.h5ad", r"sends on from address to address, more than 10 times"),
        ("http://a..b/cells.h5ad", r"label empty"),
    ],
)
def test_a_redirect_that_leads_nowhere(web, served_file, cache, redirect, words):
    address = web.serve("/loop.h5ad", served := served_file(b"", redirect=redirect))
    with pytest.raises(RemoteStorageError, match=rf"cannot be downloaded: .*{words}"):
        fetch(address)
    assert len(served.requests) == (11 if redirect == "/loop.h5ad" else 1), "trying again is of no use"
    assert os.listdir(cache) == []


@pytest.mark.parametrize(
    "how",
    [{"encoding": "br"}, {"etag": "a\r\nContent-Length: -5"}],
)
def test_an_answer_that_cannot_be_understood(web, served_file, cache, how):
    address = web.serve("/cells.h5ad", served := served_file(CONTENT, **how))
    with pytest.raises(
        RemoteStorageError, match=r"cannot be downloaded: the server's answer cannot be understood \("
    ) as caught:
        fetch(address)
    assert "\n" not in str(caught.value)
    assert "message=" not in str(caught.value)
    assert len(served.requests) == 1
    assert os.listdir(cache) == []


@pytest.mark.parametrize("host", ["a..b", "a" * 300, "xn--", "\u2028"])
def test_a_host_that_cannot_be(cache, host):
    with pytest.raises(RemoteStorageError, match=r"cannot be downloaded: .*; check the address") as caught:
        fetch(f"http://{host}/cells.h5ad")
    assert "\n" not in str(caught.value)
    assert os.listdir(cache) == []


def test_a_host_in_another_script(cache):
    assert _quoted("http://m\u00fcnchen.de:81/\u00e9") == "http://xn--mnchen-3ya.de:81/%C3%A9"


def test_another_query_is_another_file(web, served_file, cache):
    paths = [fetch(web.serve(f"/cells.h5ad?v={i}", served_file(bytes([i]) * 10))) for i in range(3)]
    assert [path.read_bytes()[0] for path in paths] == [0, 1, 2]


@pytest.mark.parametrize("length", [True, False])
def test_an_empty_file_and_one_without_a_length(web, served_file, cache, length):
    for i, content in enumerate((b"", CONTENT)):
        served = served_file(content, length=length)
        address = web.serve(f"/{i}.csv", served)
        assert fetch(address).read_bytes() == content
        assert fetch(address).read_bytes() == content
        assert len(served.requests) == 1


@pytest.mark.parametrize("offset", [0, 1, MEBIBYTE, 2_499_999])
def test_a_cut_connection_is_resumed_within_the_call(web, served_file, cache, quick, offset):
    served = served_file(CONTENT, cuts=[offset, offset])
    path = fetch(web.serve("/cells.h5ad", served), sha256=served.sha256)
    assert path.read_bytes() == CONTENT
    assert sorted(os.listdir(cache)) == [path.name, f"{path.name}.info"]
    first, *others = served.requests
    assert "Range" not in first
    if offset < PIECE:
        assert ["Range" in request for request in others] == [False, False]
    else:  # what came in whole pieces is on disk (the last of them may be lost with the connection)
        assert PIECE <= int(others[0]["Range"][6:-1]) <= offset
        assert others[0]["If-Range"] == '"one"'


def cut_once(web, served_file, offset, **how):
    """Return a served file whose first download was cut, and its address."""
    served = served_file(CONTENT, cuts=[offset], **how)
    address = web.serve("/cells.h5ad", served)
    with pytest.raises(
        RemoteStorageError,
        match=r"could not be reached \(the connection was cut\) and (only [\d,]+ bytes of it are|it is)",
    ):
        fetch(address)
    assert not any(entry.complete for entry in entries())
    return served, address


def study(count):
    """Return evenly spread offsets, the first and last byte among them."""
    return [int(offset) for offset in np.linspace(0, len(CONTENT) - 1, count)]


@pytest.mark.parametrize("offset", [1_200_000])
def test_the_next_call_completes_a_cut_download(web, served_file, cache, once, offset):
    _next_call_completes(web, served_file, offset)


@pytest.mark.long
@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("offset", study(10))
def test_the_next_call_completes_a_download_cut_at_ten_offsets(web, served_file, cache, once, offset, ranges):
    _next_call_completes(web, served_file, offset, ranges=ranges)


def _next_call_completes(web, served_file, offset, **how):
    served, address = cut_once(web, served_file, offset, **how)
    path = fetch(address, sha256=served.sha256)
    assert path.read_bytes() == CONTENT
    resumed = "Range" in served.requests[1]
    assert not resumed or offset >= PIECE
    assert resumed or offset < 3 * PIECE  # the last pieces may be lost with the connection
    assert len(served.requests) == 2
    assert sorted(os.listdir(path.parent)) == [path.name, f"{path.name}.info"]


@pytest.mark.parametrize(
    "change",
    [
        {"etag": '"two"'},
        {"etag": '"two"', "if_range": False},  # the rest of another version, and called so
        {"ranges": False},
        {"etag": None},
        {"etag": 'W/"two"'},
    ],
    ids=str,
)
def test_a_changed_file_is_downloaded_anew_and_never_mixed(web, served_file, cache, once, change):
    served, address = cut_once(web, served_file, 1_200_000)
    served.content = some(2_500_000, seed=1)
    for name, value in change.items():
        setattr(served, name, value)
    assert fetch(address).read_bytes() == served.content


def test_without_a_mark_of_the_version_nothing_is_resumed(web, served_file, cache, once):
    served, address = cut_once(web, served_file, 1_200_000, etag=None, if_range=False)
    served.content = some(2_500_000, seed=1)
    assert fetch(address).read_bytes() == served.content
    assert "Range" not in served.requests[1]


def test_the_time_of_change_marks_a_version_too(web, served_file, cache, once):
    served, address = cut_once(web, served_file, 1_200_000, etag=None, changed=1e9)
    assert fetch(address).read_bytes() == CONTENT
    assert served.requests[1]["If-Range"] == "Sun, 09 Sep 2001 01:46:40 GMT"


def test_a_shorter_file_under_the_old_mark(web, served_file, cache, once):
    served, address = cut_once(web, served_file, 1_200_000)
    served.content = some(1_000_000, seed=1)  # 416: nothing there to go on with
    assert fetch(address).read_bytes() == served.content


def test_another_length_under_the_old_mark(web, served_file, cache, once):
    served, address = cut_once(web, served_file, 1_200_000)
    served.content = some(2_400_000, seed=1)
    assert fetch(address).read_bytes() == served.content


def test_a_resumed_mixture_is_found_by_its_checksum_and_downloaded_anew(web, served_file, cache, once):
    served, address = cut_once(web, served_file, 1_200_000)
    served.content = some(2_500_000, seed=1)  # the server lies: same mark, other bytes
    assert fetch(address, sha256=served.sha256).read_bytes() == served.content
    assert [("Range" in request) for request in served.requests] == [False, True, False]


def test_another_content_than_expected_is_refused(web, served_file, cache):
    served = served_file(CONTENT)
    address = web.serve("/cells.h5ad", served)
    with pytest.raises(RemoteStorageError, match=rf"must have the SHA-256 {'0' * 64}, got {served.sha256}; ") as caught:
        fetch(address, sha256="0" * 64)
    assert "\n" not in str(caught.value)
    assert os.listdir(cache) == []
    path = fetch(address)  # without an expectation it is a file like any other
    with pytest.raises(RemoteStorageError, match="must have the SHA-256"):
        fetch(address, sha256="0" * 64)
    assert fetch(address, sha256=served.sha256) == path


def test_a_checksum_learnt_later_is_compared_once(web, served_file, cache, monkeypatch):
    served = served_file(CONTENT)
    path = fetch(address := web.serve("/cells.h5ad", served))
    fetch(address, sha256=served.sha256)
    monkeypatch.setattr(fetching, "_sha256", lambda path: pytest.fail("read again"))
    assert fetch(address, sha256=served.sha256) == path
    assert len(served.requests) == 1


def test_a_file_of_another_length_is_downloaded_again(web, served_file, cache):
    path = fetch(address := web.serve("/cells.h5ad", served_file(CONTENT)))
    path.write_bytes(CONTENT[:-1])
    assert fetch(address).read_bytes() == CONTENT
    path.with_name(f"{path.name}.info").write_text('{"address": 3}')
    assert fetch(address).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"statuses": [403]}, r"access is denied \(403\)"),
        ({"statuses": [401]}, r"access is denied \(401\)"),
        ({"statuses": [410]}, r"the file is gone"),
        ({"statuses": [418]}, r"the server answered 418"),
        ({"content_type": "text/html; charset=utf-8"}, r"the server sent a web page, not a file"),
    ],
)
def test_a_refusal_is_one_sentence(web, served_file, cache, how, words):
    address = web.serve("/cells.h5ad", served := served_file(CONTENT, **how))
    with pytest.raises(ValueError, match=words) as caught:
        fetch(address)
    assert "\n" not in str(caught.value)
    assert "-u FILE" in str(caught.value)
    assert len(served.requests) == 1, "trying again is of no use"
    assert os.listdir(cache) == []


def test_a_missing_file(web, cache):
    with pytest.raises(RemoteStorageError, match=r"no such file \(404\); check the address, or download it elsewhere"):
        fetch(f"{web.host}/none.h5ad")


def test_a_busy_server_is_asked_again(web, served_file, cache, quick):
    served = served_file(CONTENT, statuses=[503, 429, 500])
    assert fetch(web.serve("/cells.h5ad", served)).read_bytes() == CONTENT
    served = served_file(CONTENT, statuses=[503] * 9)
    with pytest.raises(RemoteStorageError, match=r"could not be reached \(the server answered 503"):
        fetch(web.serve("/other.h5ad", served))
    assert len(served.requests) == 4


def test_what_is_gained_between_cuts_allows_more_attempts(web, served_file, cache, monkeypatch):
    monkeypatch.setattr(fetching, "PAUSES", (0.0,))
    content = some(9 * MEBIBYTE)
    served = served_file(content, cuts=[MEBIBYTE * i for i in (2, 4, 6, 8)])
    assert fetch(web.serve("/cells.h5ad", served)).read_bytes() == content


def test_offline_and_not_cached(cache, once):
    with pytest.raises(ValueError, match=r"^http://127.0.0.1:9/cells.h5ad could not be reached \(") as caught:
        fetch("http://127.0.0.1:9/cells.h5ad")
    assert isinstance(caught.value, RemoteStorageError)
    assert str(caught.value).endswith(
        f") and it is not in the cache {cache}; check the connection and try again, or download it elsewhere and "
        "pass the path of your copy (-u FILE on the command line, `path` in Python)."
    )
    assert "\n" not in str(caught.value)
    assert os.listdir(cache) == []


def test_secrets_are_neither_said_nor_stored(web, served_file, cache, once):
    address = web.serve("/cells.h5ad?token=hush&v=1", served_file(CONTENT))
    path = fetch(address.replace("http://", "http://me:hush@"))
    assert "hush" not in path.with_name(f"{path.name}.info").read_text()
    with pytest.raises(RemoteStorageError) as caught:
        fetch("http://me:hush@127.0.0.1:9/cells.h5ad?token=hush")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("ftp://host/cells.h5ad", ValueError, "must begin with https://, http:// or s3://"),
        ("cells.h5ad", ValueError, "must begin with https://, http:// or s3://"),
        ("https://host/a\nb.h5ad", ValueError, "be one line of text, got 'https://host/a"),
        ("https:///cells.h5ad", ValueError, "must name a host or bucket and a file"),
        ("s3://bucket", ValueError, "must name a host or bucket and a file"),
        ("http://host:port/cells.h5ad", ValueError, "must name a host or bucket and a file"),
        ("s3://bucket/cells.zarr/", ValueError, "A remote .zarr is a folder of many files and is not downloaded"),
        (3, TypeError, "An address must be text"),
        ("package://baron_pancreas_humn.h5ad", DatasetFileNotFoundError, "Did you mean 'baron_pancreas_human.h5ad'"),
        ("package://../fetching.py", DatasetFileNotFoundError, "does not come with this package"),
    ],
)
def test_bad_addresses(cache, address, error, words):
    with pytest.raises(error, match=words) as caught:
        fetch(address)
    assert "\n" not in str(caught.value)
    assert not cache.exists()


def test_a_bad_checksum(cache):
    with pytest.raises(ValueError, match="`sha256` must be 64 hexadecimal digits, got '12'"):
        fetch("https://host/cells.h5ad", sha256="12")


def test_is_remote():
    assert [is_remote(text) for text in ("https://a/b", "HTTP://a/b", "s3://a/b")] == [True] * 3
    assert not any(is_remote(text) for text in ("a.h5ad", "/s3://x", "gs://a/b", "package://a", "C:\\a", None))


def test_a_file_of_the_package(cache):
    path = fetch("package://baron_pancreas_mouse.h5ad")
    assert path.read_bytes()[:4] == b"\x89HDF"
    assert not cache.exists()


def test_a_folder_that_cannot_be_made_or_written(web, served_file, cache, monkeypatch):
    address = web.serve("/cells.h5ad", served_file(CONTENT))
    cache.write_text("a file")
    with pytest.raises(RemoteStorageError, match=r"must be a folder that you may write to, got: .*CZBENCHMARKS_CACHE"):
        fetch(address)
    cache.unlink()

    def denied(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(fetching, "claim", denied)
    with pytest.raises(
        RemoteStorageError, match=r"got: Permission denied; set CZBENCHMARKS_CACHE to another folder\.$"
    ):
        fetch(address)


def test_a_full_disk(web, served_file, cache, monkeypatch):
    served = served_file(CONTENT)
    address = web.serve("/cells.h5ad", served)
    usage = shutil.disk_usage
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda folder: usage(folder)._replace(free=1_000_000))
    with pytest.raises(
        RemoteStorageError, match=r"must have room for the download, got: 0.0 GB free, .*CZBENCHMARKS_CACHE"
    ):
        fetch(address)
    assert os.listdir(cache) == []
    monkeypatch.undo()
    monkeypatch.setenv("CZBENCHMARKS_CACHE", str(cache))
    real, left = fetching._copy, [1]

    def full(stream, part, report):
        def read():
            piece = stream.read()
            if left and not left.pop():
                return piece
            part.file.write(piece)
            raise OSError(errno.ENOSPC, "No space left on device")

        real(type(stream)(stream.start, stream.size, stream.version, read), part, report)

    monkeypatch.setattr(fetching, "_copy", full)
    with pytest.raises(RemoteStorageError, match=r"got: No space left on device; .* make room with czbenchmarks cache"):
        fetch(address)
    assert len(served.requests) == 2, "a full disk is no matter of the connection"
    monkeypatch.setattr(fetching, "_copy", real)
    assert fetch(address).read_bytes() == CONTENT


LIMITED = """
import resource, sys
from czbenchmarks.datasets.download.fetching import fetch
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
try:
    fetch(sys.argv[1])
except ValueError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(fetch(sys.argv[1]))
"""


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_limit_on_file_sizes(web, served_file, cache):
    address = web.serve("/cells.h5ad", served := served_file(CONTENT))
    done = subprocess.run([sys.executable, "-c", LIMITED, address], capture_output=True, text=True, check=True)
    refused, path = done.stdout.splitlines()
    assert "must have room for the download, got: File too large; set CZBENCHMARKS_CACHE" in refused
    assert Path(path).read_bytes() == CONTENT
    assert "Range" in served.requests[-1]


def test_progress_is_in_bytes_and_counts_no_byte_twice(web, served_file, cache, quick, monkeypatch):
    said = []

    class Work:
        def __init__(self, what, total, unit):
            said.append((what, total, unit, amounts := []))
            self.amounts = amounts

        def __enter__(self):
            return self.amounts.append

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(_progress, "work", Work)
    served = served_file(CONTENT, cuts=[1_200_000], ranges=False)
    fetch(web.serve("/a/cells.h5ad", served))
    [(what, total, unit, amounts)] = said
    assert (what, total, unit, sum(amounts)) == ("Downloading cells.h5ad", len(CONTENT), "B", len(CONTENT))


# Several processes, and processes that are killed.

CLIENT = """
import hashlib, os, signal, sys
from czbenchmarks.datasets.download.fetching import fetch
folder, moment = os.environ["CZBENCHMARKS_CACHE"], int(sys.argv[2])
if moment:
    seen = 0
    def count(event, arguments):
        global seen
        if event in ("open", "os.rename", "os.remove", "os.truncate", "os.mkdir", "os.chmod", "fcntl.flock"):
            about = " ".join(map(str, arguments))
            if folder in about or event == "fcntl.flock":
                seen += 1
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)
path = fetch(sys.argv[1])
print(hashlib.sha256(path.read_bytes()).hexdigest(), flush=True)
"""


@pytest.fixture
def client(start):
    """Return a function that starts a process which fetches an address.

    With a moment, it kills itself at that of its file operations.
    """

    def begin(address, moment=0):
        words = [sys.executable, "-c", CLIENT, address, str(moment)]
        return start(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return begin


def killed_at(web, served_file, client, moment):
    """Let a process be killed at one of its file operations; the next call completes."""
    served = served_file(CONTENT)
    address = web.serve("/cells.h5ad", served)
    process = client(address, moment)
    said, errors = process.communicate(timeout=60)
    if process.returncode == 0:
        return False
    assert (process.returncode, said) == (-9, ""), errors
    path = fetch(address, sha256=served.sha256)
    assert path.read_bytes() == CONTENT
    # Killed just after the move, it leaves what was known of the part.
    assert {*os.listdir(path.parent)} - {f"{path.name}.part.info"} == {path.name, f"{path.name}.info"}
    [entry] = entries()
    assert entry.complete
    assert cache_module.remove(entry)
    assert os.listdir(path.parent) == []
    return True


def test_a_process_killed_before_its_file_is_in_place(web, served_file, cache, client):
    assert killed_at(web, served_file, client, 5)


@pytest.mark.long
def test_a_process_killed_at_every_one_of_its_file_operations(web, served_file, cache, client):
    moment = 1
    while killed_at(web, served_file, client, moment):
        shutil.rmtree(cache)
        moment += 1
    assert moment > 10


def killed_while_downloading(web, served_file, client, offset):
    """Kill a process that has received `offset` bytes; the next call completes."""
    served = served_file(CONTENT, hold_at=offset)
    address = web.serve("/cells.h5ad", served)
    process = client(address)
    part = cache_module.cache_folder() / f"{name_of(address)}.part"
    whole = offset // PIECE * PIECE
    until(lambda: served.requests and part.exists() and part.stat().st_size >= whole)
    process.kill()
    process.communicate(timeout=60)
    served.go.set()
    path = fetch(address, sha256=served.sha256)
    assert path.read_bytes() == CONTENT
    assert sorted(os.listdir(path.parent)) == [path.name, f"{path.name}.info"]
    return served


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_process_killed_while_it_downloads(web, served_file, cache, client):
    served = killed_while_downloading(web, served_file, client, 1_200_000)
    assert served.requests[1]["Range"] == f"bytes={4 * PIECE}-"


@pytest.mark.long
@pytest.mark.parametrize("offset", study(10))
def test_a_process_killed_at_ten_moments_of_the_download(web, served_file, cache, offset, client):
    killed_while_downloading(web, served_file, client, offset)


def fetched_by_several(web, served_file, client, count, **how):
    served = served_file(CONTENT, pause=0.005, **how)
    address = web.serve("/cells.h5ad", served)
    processes = [client(address) for _ in range(count)]
    for process in processes:
        said, errors = process.communicate(timeout=60)
        assert (said.strip(), process.returncode) == (served.sha256, 0), errors
    assert [entry.complete for entry in entries()] == [True]
    return served


def test_two_processes_at_once(web, served_file, cache, client):
    assert len(fetched_by_several(web, served_file, client, 2).requests) in (1, 2)


@pytest.mark.long
@pytest.mark.parametrize("repeat", range(5))
@pytest.mark.parametrize("how", [{}, {"etag": None}, {"cuts": [1_200_000]}, {"ranges": False, "cuts": [1_200_000]}])
def test_four_processes_at_once(web, served_file, cache, how, repeat, client):
    served = fetched_by_several(web, served_file, client, 4, **how)
    assert len(served.requests) <= 2 + len(how.get("cuts", ()))


def test_who_waits_for_a_killed_process_goes_on(web, served_file, cache, client):
    served = served_file(CONTENT, hold_at=1_200_000)
    address = web.serve("/cells.h5ad", served)
    first = client(address)
    part = cache / f"{name_of(address)}.part"
    until(lambda: part.exists() and part.stat().st_size >= MEBIBYTE)
    got = []
    waiting = threading.Thread(target=lambda: got.append(fetch(address)))
    waiting.start()
    time.sleep(0.2)
    assert len(served.requests) == 1, "it waits"
    served.hold_at = None
    first.kill()
    first.communicate(timeout=60)
    waiting.join(30)
    assert hashlib.sha256(got[0].read_bytes()).hexdigest() == served.sha256
    assert "Range" in served.requests[1]


def test_a_process_that_stands_still_is_not_waited_for(web, served_file, cache, monkeypatch, client):
    monkeypatch.setattr(cache_module, "PATIENCE", 0.1)
    served = served_file(CONTENT, hold_at=1_200_000)
    address = web.serve("/cells.h5ad", served)
    first = client(address)
    part = cache / f"{name_of(address)}.part"
    until(lambda: part.exists() and part.stat().st_size >= MEBIBYTE)
    served.hold_at = None
    assert fetch(address).read_bytes() == CONTENT
    served.go.set()
    assert first.communicate(timeout=60)[0].strip() == served.sha256
    assert sorted(os.listdir(cache)) == [name_of(address), f"{name_of(address)}.info"]


def test_without_locks_every_process_has_a_part_of_its_own(web, served_file, cache, monkeypatch):
    monkeypatch.setattr(cache_module, "_locked", lambda file: None)
    served = served_file(CONTENT, pause=0.002)
    address = web.serve("/cells.h5ad", served)
    got = []
    threads = [threading.Thread(target=lambda: got.append(fetch(address).read_bytes())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert got == [CONTENT] * 3
    assert {entry.complete for entry in entries() if entry.size} == {True}


def test_a_process_that_is_interrupted_leaves_what_the_next_call_completes(web, served_file, cache, client):
    served = served_file(CONTENT, hold_at=1_200_000)
    address = web.serve("/cells.h5ad", served)
    process = client(address)
    part = cache / f"{name_of(address)}.part"
    until(lambda: part.exists() and part.stat().st_size >= 4 * PIECE)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert errors.endswith("KeyboardInterrupt\n")
    served.go.set()
    assert fetch(address).read_bytes() == CONTENT
    assert "Range" in served.requests[1]


def test_checking_is_a_sign_of_life(web, served_file, cache, monkeypatch):
    served = served_file(CONTENT)
    touched = []
    monkeypatch.setattr(os, "utime", lambda path: touched.append(path.name))
    address = web.serve("/cells.h5ad", served)
    fetch(address, sha256=served.sha256)
    assert touched == [f"{name_of(address)}.part"]


def test_who_waits_says_so(web, served_file, cache, client):
    heard = []

    class Listener:
        def began(self, work):
            heard.append(work.what)

        def ended(self, work):
            pass

    served = served_file(CONTENT, hold_at=1_200_000)
    address = web.serve("/cells.h5ad", served)
    first = client(address)
    part = cache / f"{name_of(address)}.part"
    until(lambda: part.exists() and part.stat().st_size >= 4 * PIECE)
    threading.Timer(0.2, served.go.set).start()
    with _progress.listening(Listener()):
        fetch(address)
    first.communicate(timeout=60)
    assert heard == [f"Waiting for another process to download {name_of(address)}"]
    assert len(served.requests) == 1
