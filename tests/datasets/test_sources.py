"""S3 through a real S3-compatible server, behind a relay that cuts connections."""

import asyncio
import contextlib
import gzip
import os
import socket
import sys
import threading

import numpy as np
import pytest

from czbenchmarks._check.addresses import shown
from czbenchmarks.datasets.download import fetching
from czbenchmarks.datasets.download.cache import entries
from czbenchmarks.datasets.download.fetching import fetch
from czbenchmarks.datasets.download.sources import Refused, Unreachable, _public, _regional, opened
from czbenchmarks.exceptions import RemoteStorageError

CONTENT = np.random.default_rng(0).bytes(2_500_000)
PIECE = 1 << 18


class Relay:
    """Passes connections on to a server; `cuts` are the bytes after which one answer after the other is cut."""

    def __init__(self, host, port):
        self.server, self.cuts, self.asked = (host, port), [], []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client):
        with client, socket.create_connection(self.server) as server:
            asks = threading.Thread(target=self._forward, args=(client, server, None), daemon=True)
            asks.start()
            self._forward(server, client, self.cuts)
            for end in (client, server):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            asks.join(5)

    def _forward(self, source, target, cuts):
        passed = 0
        try:
            while piece := source.recv(1 << 16):
                if cuts is None:
                    self.asked.append(piece)
                elif cuts and passed + len(piece) > cuts[0]:
                    target.sendall(piece[: max(cuts[0] - passed, 0)])
                    cuts.pop(0)
                    return
                target.sendall(piece)
                passed += len(piece)
        except OSError:
            return

    def ranges(self):
        """Return the first bytes that were asked for, of requests that asked for a part."""
        lines = b"".join(self.asked).split(b"\r\n")
        return [int(line[13:-1]) for line in lines if line.lower().startswith(b"range: bytes=")]


@pytest.fixture(scope="module")
def moto():
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture
def s3(moto, cache, monkeypatch):
    """Return a client of an S3-compatible server whose bucket `cells` holds two files, and a relay before it."""
    boto3 = pytest.importorskip("boto3")
    host, port = moto
    keys = {"aws_access_key_id": "mine", "aws_secret_access_key": "mine", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **keys)
    client.create_bucket(Bucket="cells")
    client.put_object(Bucket="cells", Key="a/public.h5ad", Body=CONTENT, ACL="public-read")
    client.put_object(Bucket="cells", Key="a/private.h5ad", Body=CONTENT)
    relay = Relay(host, port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", relay.address)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    client.relay = relay
    yield client
    relay.socket.close()
    client.close()


def test_a_public_file_needs_no_credentials(s3):
    path = fetch("s3://cells/a/public.h5ad")
    assert path.read_bytes() == CONTENT
    assert not any(b"authorization" in asked.lower() for asked in s3.relay.asked)


def test_a_private_file_needs_them(s3, monkeypatch):
    with pytest.raises(RemoteStorageError, match=r"s3://cells/a/private.h5ad cannot be .*: access is denied") as caught:
        fetch("s3://cells/a/private.h5ad")
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    assert fetch("s3://cells/a/private.h5ad").read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["s3://cells/a/none.h5ad", "s3://no-cells/a.h5ad", "s3://cells/a"])
def test_a_missing_file(s3, address):
    with pytest.raises(RemoteStorageError, match=r"cannot be downloaded: there is no such file \(404\)") as caught:
        fetch(address)
    assert "\n" not in str(caught.value)


def test_credentials_need_a_package(s3, monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    with pytest.raises(RemoteStorageError, match=r"pip install 'cz-benchmarks\[s3\]'") as caught:
        fetch("s3://cells/a/private.h5ad")
    assert "\n" not in str(caught.value)
    assert fetch("s3://cells/a/public.h5ad").read_bytes() == CONTENT


def test_where_a_public_object_is(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    assert _public("s3://cells/a/b c.h5ad") == "https://cells.s3.amazonaws.com/a/b%20c.h5ad"
    assert _public("s3://my.cells/b.h5ad") == "https://s3.amazonaws.com/my.cells/b.h5ad"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://host:1/")
    assert _public("s3://cells/b.h5ad") == "http://host:1/cells/b.h5ad"


def test_where_another_region_is():
    assert _regional("https://s3.amazonaws.com/my.cells/a%20b", "eu-west-1") == (
        "https://s3.eu-west-1.amazonaws.com/my.cells/a%20b"
    )
    assert _regional("https://s3.amazonaws.com/my.cells/a", None) is None
    assert _regional("https://s3.amazonaws.com/my.cells/a", "evil.org/") is None
    assert _regional("https://example.org/a", "eu-west-1") is None


def test_a_name_no_bucket_can_have(s3):
    with pytest.raises(RemoteStorageError, match=r"cannot be downloaded: .*[Bb]ucket name") as caught:
        fetch("s3://no_bucket!/cells.h5ad")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("acl", ["public-read", "private"])
@pytest.mark.parametrize(
    "key",
    ["a+b", "a%2Bb", "100%", "a#b", "a?b=c&d", "it's (1)!*~", "a//b", "a/../b", "./c", "\u00e9\u65e5", 'q"\\[x]{y}|^`'],
)
def test_any_key(s3, monkeypatch, key, acl):
    if acl == "private":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    s3.put_object(Bucket="cells", Key=f"{acl}/{key}.h5ad", Body=key.encode(), ACL=acl)
    path = fetch(f"s3://cells/{acl}/{key}.h5ad")
    assert path.read_bytes() == key.encode()
    assert path.suffix == ".h5ad"
    assert [entry.address for entry in entries()] == [shown(f"s3://cells/{acl}/{key}.h5ad")]


def test_a_space_in_a_key(s3):
    s3.put_object(Bucket="cells", Key="a b/x+y?.h5ad", Body=b"spaced", ACL="public-read")
    assert fetch("s3://cells/a b/x+y?.h5ad").read_bytes() == b"spaced"


def test_a_cut_connection_is_resumed_within_the_call(s3, monkeypatch):
    monkeypatch.setattr(fetching, "PAUSES", (0.0, 0.0))
    s3.relay.cuts = [1_500_000]
    assert fetch("s3://cells/a/public.h5ad").read_bytes() == CONTENT
    assert PIECE <= s3.relay.ranges()[0] <= 1_500_000


@pytest.mark.parametrize("changed", [False, True])
def test_the_next_call_goes_on_if_the_file_is_the_same(s3, monkeypatch, changed):
    monkeypatch.setattr(fetching, "PAUSES", ())
    s3.relay.cuts = [1_500_000]
    with pytest.raises(RemoteStorageError, match="could not be reached"):
        fetch("s3://cells/a/public.h5ad")
    assert [entry.complete for entry in entries()] == [False]
    content = CONTENT[::-1] if changed else CONTENT
    s3.put_object(Bucket="cells", Key="a/public.h5ad", Body=content, ACL="public-read")
    assert fetch("s3://cells/a/public.h5ad").read_bytes() == content
    assert len(s3.relay.ranges()) == 1
    assert [entry.complete for entry in entries()] == [True]


@pytest.mark.long
@pytest.mark.parametrize("offset", [int(offset) for offset in np.linspace(2000, len(CONTENT), 10)])
def test_ten_offsets(s3, monkeypatch, offset):
    monkeypatch.setattr(fetching, "PAUSES", ())
    s3.relay.cuts = [offset]
    with pytest.raises(RemoteStorageError, match="could not be reached"):
        fetch("s3://cells/a/public.h5ad")
    assert fetch("s3://cells/a/public.h5ad").read_bytes() == CONTENT


def test_no_server(cache, monkeypatch):
    monkeypatch.setattr(fetching, "PAUSES", ())
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(
        RemoteStorageError, match=r"could not be reached \(Cannot connect to host 127.0.0.1:9 .*\) and it is not in"
    ) as e:
        fetch("s3://cells/a/public.h5ad")
    assert "\n" not in str(e.value)


def read(stream):
    return b"".join(iter(stream.read, b""))


def test_a_stream_from_the_middle(web, served_file):
    served = served_file(CONTENT)
    address = web.serve("/cells.h5ad", served)
    with opened(address) as whole:
        assert (whole.start, whole.size, read(whole)) == (0, len(CONTENT), CONTENT)
    with opened(address, 1_000_000, whole.version) as rest:
        assert (rest.start, rest.size, read(rest)) == (1_000_000, len(CONTENT), CONTENT[1_000_000:])
    for start, version in ((1_000_000, None), (1_000_000, 'etag "other"'), (len(CONTENT), whole.version)):
        with opened(address, start, version) as other:
            assert (other.start, other.size) == (0, len(CONTENT))


def test_what_goes_wrong_with_the_reader_s_own_file_is_not_the_connection_s_fault(web, served_file):
    address = web.serve("/cells.h5ad", served_file(CONTENT))
    with pytest.raises(OSError, match="disk"), opened(address):
        raise OSError("disk")


def test_two_ways_to_fail(web, served_file):
    with pytest.raises(Refused, match="no such file"), opened(f"{web.host}/none"):
        pass
    with pytest.raises(Unreachable) as caught, opened("http://127.0.0.1:9/x"):
        pass
    assert not caught.value.answered
    address = web.serve("/busy", served_file(CONTENT, statuses=[503]))
    with pytest.raises(Unreachable, match="503") as caught, opened(address):
        pass
    assert caught.value.answered


def test_it_works_within_a_running_event_loop(web, served_file, cache):
    address = web.serve("/cells.h5ad", served_file(CONTENT))  # as in a notebook

    async def main():
        return fetch(address)

    assert asyncio.run(main()).read_bytes() == CONTENT


def test_what_is_packed_on_the_way_is_unpacked_and_a_packed_file_is_not(web, served_file, cache):
    packed = gzip.compress(CONTENT)
    for name, content in (("cells.npy", CONTENT), ("table.csv.gz", packed)):
        address = web.serve(f"/{name}", served_file(packed, encoding="gzip"))
        assert fetch(address).read_bytes() == content
        assert fetch(address).read_bytes() == content
