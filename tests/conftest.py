"""Servers on loopback that misbehave as asked, processes that end with their test, a cache folder of one's own."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import http.server
import os
import re
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

PIECE = 1 << 16

# Tests run side by side already: more threads in each would only get in each other's way.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("CZBENCHMARKS_NUM_THREADS", "1")

os.environ.pop("COLUMNS", None)  # a worker of xdist loads readline, which sets it

# Begun in the background of a script, or under nohup, a process ignores these and so would all that tests start.
for number in (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if os.name != "nt" else [])):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@dataclass
class Served:
    """A file of the server, and how it is served."""

    content: bytes
    etag: str | None = '"one"'
    changed: float | None = None
    ranges: bool = True
    if_range: bool = True
    length: bool = True
    content_type: str = "application/octet-stream"
    encoding: str | None = None
    redirect: str | None = None  # where else it is
    statuses: list[int] = field(default_factory=list)  # answered first, one per request
    cuts: list[int] = field(default_factory=list)  # offsets at which one connection after the other is cut
    hold_at: int | None = None  # nothing beyond this offset is sent before `go` is set
    go: threading.Event = field(default_factory=threading.Event)
    pause: float = 0.0  # seconds before each piece
    requests: list[dict[str, str]] = field(default_factory=list)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *args: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the client was killed
            super().handle()

    def do_GET(self) -> None:
        served = self.server.files.get(self.path)
        if served is None:
            self._answer(404, b"no")
            return
        served.requests.append(dict(self.headers))
        if served.statuses:
            self._answer(served.statuses.pop(0), b"no")
            return
        if served.redirect is not None:
            self.send_response(302)
            self.wfile.write(b"".join(self._headers_buffer) + f"Location: {served.redirect}\r\n".encode())
            self._headers_buffer = []
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._serve(served)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _serve(self, served: Served) -> None:
        content, changed = served.content, served.changed and email.utils.formatdate(served.changed, usegmt=True)
        start, asked = 0, re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in (None, served.etag, changed) or not served.if_range
        if asked and served.ranges and same:
            start = int(asked[1])
            if start >= len(content):
                self._answer(416, b"")
                return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        headers = {"ETag": served.etag, "Last-Modified": changed, "Content-Type": served.content_type}
        for name, value in {**headers, "Content-Encoding": served.encoding}.items():
            if value:
                self.send_header(name, value)
        if served.length:
            self.send_header("Content-Length", str(len(content) - start))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        self._send(served, start)
        self.close_connection = not served.length

    def _send(self, served: Served, at: int) -> None:
        cut = served.cuts.pop(0) if served.cuts else None
        while at < len(served.content):
            end = min(at + PIECE, len(served.content), *([] if cut is None else [max(cut, at)]))
            if served.hold_at is not None and end > served.hold_at and not served.go.is_set():
                end = max(at, served.hold_at)
                if end == at:
                    served.go.wait(10)
                    continue
            if cut is not None and at >= cut:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            time.sleep(served.pause)
            try:
                self.wfile.write(served.content[at:end])
            except OSError:  # the reader was killed
                self.close_connection = True
                return
            at = end


class Web:
    """A web server on loopback."""

    def __init__(self) -> None:
        self.server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.files = {}
        self.host = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def serve(self, path: str, served: Served) -> str:
        """Offer a file, and return its address."""
        self.server.files[path] = served
        return self.host + path

    def close(self) -> None:
        for served in self.server.files.values():
            served.go.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def web():
    """Return a web server; `web.serve(path, served_file(content, …))` gives an address."""
    server = Web()
    yield server
    server.close()


@pytest.fixture
def served_file():
    """Return the class of served files."""
    return Served


@pytest.fixture
def start():
    """Return a function that starts a process; one that still runs when the test ends is killed."""
    processes = []

    def begin(words, **options):
        processes.append(subprocess.Popen(words, **options))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        for stream in filter(None, (process.stdin, process.stdout, process.stderr)):
            stream.close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the cache folder of this test; it does not exist yet."""
    folder = tmp_path / "cache"
    for variable in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(variable)
    monkeypatch.delenv("DATASETS_CACHE_PATH", raising=False)
    monkeypatch.setenv("CZBENCHMARKS_CACHE", str(folder))
    return folder
