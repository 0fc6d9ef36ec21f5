"""Remote files as streams that begin at any byte: ``https://``, ``http://`` and ``s3://``, through fsspec."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from czbenchmarks._check import printable
from czbenchmarks._check.addresses import shown_in

_PIECE = 1 << 18
_REDIRECTS = 10
_UNFIT = re.compile(r"[^!-~]+|[\"<>\\^`{|}]+|%(?![0-9A-Fa-f]{2})")
"""What no address holds as it is."""


class Refused(Exception):
    """The server answered and will not give the file; trying again is of no use."""

    def __init__(self, reason: str):
        super().__init__(printable(reason))  # a server's words must not steer a terminal


class Denied(Refused):
    """The server wants to know who asks."""


class Unreachable(Exception):
    """No answer, or one that was cut; trying again may help."""

    def __init__(self, reason: str, answered: bool = True):
        super().__init__(printable(reason))
        self.answered = answered  # False where there was no connection at all


@dataclass(frozen=True)
class Stream:
    """A remote file from some byte on."""

    start: int  # the byte asked for, or 0 where the server cannot or the file has changed
    size: int | None  # of the whole file; None if the server does not say
    version: str | None  # the server's mark; None if it gives none, then parts of it fit nothing
    read: Callable[[], bytes]  # the next piece, empty at the end


@contextmanager
def opened(address: str, start: int = 0, version: str | None = None) -> Iterator[Stream]:
    """Open a remote file at byte `start` if it still is of `version`, else at its beginning."""
    if version is None:
        start = 0
    open_ = _opened_s3 if address.lower().startswith("s3://") else _opened_http
    with open_(address, start, version) as stream:
        yield stream


@contextmanager
def _opened_http(address: str, start: int, version: str | None) -> Iterator[Stream]:
    import aiohttp
    import fsspec
    from fsspec.asyn import sync

    packed = urlsplit(address).path.lower().endswith((".gz", ".tgz"))
    limits = aiohttp.ClientTimeout(total=None, sock_connect=20, sock_read=60)
    system = fsspec.filesystem(
        "http",
        skip_instance_cache=True,
        encoded=True,  # by us: the library would quote anew what is quoted, which breaks signatures
        # trust_env: proxies. Some servers call a .gz file packed on the way, but packed is what it is.
        client_kwargs={"timeout": limits, "trust_env": True, "auto_decompress": not packed},
    )

    async def ask(start: int) -> Any:
        if response is not None:
            response.close()
        headers = {"Accept-Encoding": "identity"}  # else lengths are those of packed bytes
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": (version or "").partition(" ")[2]}
        return await _answer(system, address, headers)

    async def read() -> bytes:
        pieces, length = [], 0
        while length < _PIECE and (piece := await response.content.read(_PIECE - length)):
            pieces.append(piece)
            length += len(piece)
        return b"".join(pieces)

    async def close() -> None:
        if response is not None:
            response.close()
        await system._session.close()

    response: Any = None
    refused = (aiohttp.ClientResponseError, aiohttp.InvalidURL, ValueError)  # such an answer or address comes again
    failures = (aiohttp.ClientError, TimeoutError, asyncio.TimeoutError, OSError)
    try:
        response = _translated(refused, failures, sync, system.loop, ask, start, answered=False)
        if start and response.status in (206, 416) and not _continues(response, start, version):
            start = 0  # the rest of something else than what we have
            response = _translated(refused, failures, sync, system.loop, ask, start)
        if response.status == 200:
            start = 0
        _check_answer(response, address, start)
        if not packed and _is_packed(response):
            yield Stream(0, None, None, _reader(system, read, failures))  # unpacked on arrival: the length is another
            return
        rest = response.content_length
        size = None if rest is None else start + rest
        yield Stream(start, size, _version(response.headers), _reader(system, read, failures))
    finally:
        with suppress(*failures):
            sync(system.loop, close)


async def _answer(system: Any, address: str, headers: dict[str, str]) -> Any:
    """Ask for an address, and where the server sends us."""
    session, url = await system.set_session(), _quoted(address)
    for _ in range(_REDIRECTS + 1):
        answer = await session.get(system.encode_url(url), headers=headers, allow_redirects=False)
        elsewhere = answer.headers.get("Location") or _regional(url, answer.headers.get("x-amz-bucket-region"))
        if answer.status not in (301, 302, 303, 307, 308) or not elsewhere:
            return answer
        answer.close()
        url = _redirected(url, elsewhere)
    raise Refused(f"the server sends on from address to address, more than {_REDIRECTS} times")


def _quoted(address: str) -> str:
    """Return an address in the form that goes to the server; what is quoted already stays as it is."""
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    if not host.isascii():
        name, colon, port = host.partition(":")
        host = name.encode("idna").decode() + colon + port
    path, query, user = (_UNFIT.sub(lambda found: quote(found[0]), text) for text in (parts.path, parts.query, user))
    return urlunsplit((parts.scheme, user + at + host, path, query, ""))


def _redirected(url: str, elsewhere: str) -> str:
    """Return where the server sends us; a password goes with us on the same server only."""
    to, here = urlsplit(urljoin(url, elsewhere)), urlsplit(url)
    if to.scheme not in ("http", "https") or not to.netloc:
        raise Refused(f"the server sends on to an address that is not on the web ({to.scheme}:)")
    if (to.scheme, to.netloc) == (here.scheme, here.netloc.rpartition("@")[2]):
        to = to._replace(netloc=here.netloc)
    return _quoted(urlunsplit(to))


def _regional(url: str, region: str | None) -> str | None:
    """Return where an object is that S3 has in another region; for a bucket in the path it says no more than that."""
    here = "https://s3.amazonaws.com/"
    if not url.startswith(here) or not re.fullmatch(r"[a-z0-9-]+", region or ""):
        return None
    return f"https://s3.{region}.amazonaws.com/{url[len(here) :]}"


def _reader(system: Any, read: Callable[[], Any], failures: Any) -> Callable[[], bytes]:
    from fsspec.asyn import sync

    def piece() -> bytes:
        found: bytes = _translated((), failures, sync, system.loop, read)
        return found

    return piece


def _translated(refused: Any, unreachable: Any, call: Callable[..., Any], *given: Any, answered: bool = True) -> Any:
    """Call the libraries, and turn what they raise into the two cases that matter.

    What they raise holds the whole address, so it is not chained to ours: a traceback would print it.
    """
    failure: Refused | Unreachable
    try:
        return call(*given)
    except (Refused, Unreachable):
        raise
    except refused as error:
        failure = Refused(_reason(error))
    except unreachable as error:
        failure = Unreachable(_reason(error), answered)
    raise failure


def _reason(error: BaseException) -> str:
    if type(error).__name__ in ("ClientPayloadError", "ServerDisconnectedError", "ResponseStreamingError"):
        return "the connection was cut"
    if isinstance(error, UnicodeEncodeError):  # it says which character of the password
        return "it holds characters that cannot be sent"
    message = getattr(error, "message", None)
    if isinstance(message, str):
        return f"the server's answer cannot be understood ({shown_in(' '.join(message.split()))[:200]})"
    text = re.sub(r" ssl:\S+", "", " ".join(str(error).split()))
    return shown_in(text.rstrip('."'))[:200] or type(error).__name__


def _version(headers: Any) -> str | None:
    """Return the mark of a version, with the kind before it; a weak ETag does not promise the same bytes."""
    etag, changed = headers.get("ETag", ""), headers.get("Last-Modified")
    if etag and not etag.startswith("W/"):
        return f"etag {etag}"
    return f"changed {changed}" if changed else None


def _continues(response: Any, start: int, version: str | None) -> bool:
    """Say whether an answer is the rest of the file, of the same version."""
    said = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status != 206 or said is None or int(said[1]) != start or _is_packed(response):
        return False
    to_the_end = said[3] == "*" or int(said[2]) + 1 == int(said[3])
    # Some servers overlook If-Range; some give a partial answer no version at all.
    return to_the_end and _version(response.headers) in (version, None)


def _is_packed(response: Any) -> bool:
    """Say whether the server packed the bytes for the way, though asked not to."""
    return response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity")


def _check_answer(response: Any, address: str, start: int) -> None:
    status = response.status
    if status in (404, 410):
        raise Refused("there is no such file (404)" if status == 404 else "the file is gone (410)")
    if status in (401, 403, 407):
        raise Denied(f"access is denied ({status})")
    if status in (408, 425, 429) or status >= 500:
        raise Unreachable(f"the server answered {status} {response.reason or ''}".strip())
    if status != (206 if start else 200):
        raise Refused(f"the server answered {status} {response.reason or ''}".strip())
    is_page = urlsplit(address).path.lower().endswith((".html", ".htm"))
    if response.content_type == "text/html" and not is_page:
        raise Refused("the server sent a web page, not a file (a page to log in or to click on)")


@contextmanager
def _opened_s3(address: str, start: int, version: str | None) -> Iterator[Stream]:
    """Open as anybody may, by HTTP; where that is denied, with the credentials of the environment."""
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(_opened_http(_public(address), start, version))
        except Denied as error:
            stream = stack.enter_context(_opened_with_credentials(address, start, version, _reason(error)))
        yield stream


def _public(address: str) -> str:
    """Return where an object of S3 is to be had without credentials."""
    bucket, _, key = address[len("s3://") :].partition("/")
    if re.fullmatch(r"[A-Za-z0-9._-]{3,255}", bucket) is None:
        raise Refused("what follows s3:// is no bucket name")
    server = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    # A certificate is for names of one part: a bucket with a dot goes into the path.
    if not server and "." not in bucket:
        return f"https://{bucket}.s3.amazonaws.com/{quote(key)}"
    return f"{(server or 'https://s3.amazonaws.com').rstrip('/')}/{bucket}/{quote(key)}"


@contextmanager
def _opened_with_credentials(address: str, start: int, version: str | None, denied: str) -> Iterator[Stream]:
    import fsspec
    from aiohttp import ClientError
    from fsspec.asyn import sync

    try:
        from botocore.exceptions import BotoCoreError, HTTPClientError, NoCredentialsError

        config = {"connect_timeout": 20, "read_timeout": 60, "retries": {"max_attempts": 0}}
        # botocore reads AWS_ENDPOINT_URL, AWS_PROFILE and the like itself.
        system = fsspec.filesystem("s3", anon=False, skip_instance_cache=True, config_kwargs=config)
    except ImportError:
        raise Refused(
            f"{denied} without credentials, and to use yours s3fs must be installed (pip install 'cz-benchmarks[s3]')"
        ) from None
    failures = (BotoCoreError, HTTPClientError, ClientError, TimeoutError, asyncio.TimeoutError, OSError)
    bucket, _, key = address[len("s3://") :].partition("/")

    def ask() -> Any:
        try:
            return _get(system, bucket, key, start, version)
        except FileNotFoundError:
            why = "there is no such file (404)"
        except (PermissionError, NoCredentialsError):
            why = f"{denied}, without credentials and with those of the environment, if any"
        raise Refused(why)

    answer = _translated((), failures, ask, answered=False)
    body = answer["Body"]

    async def read() -> bytes:
        return await body.read(_PIECE)

    async def close() -> None:
        body.close()

    try:
        if "ContentRange" not in answer:
            start = 0
        version = f"etag {answer['ETag']}" if answer.get("ETag") else None
        size = start + int(answer["ContentLength"])
        yield Stream(start, size, version, _reader(system, read, failures))
    finally:
        with suppress(*failures):
            sync(system.loop, close)


def _get(system: Any, bucket: str, key: str, start: int, version: str | None) -> Any:
    if start:
        same = (version or "").partition(" ")[2]
        try:
            return system.call_s3("get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-", IfMatch=same)
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:
            pass  # another version now, or shorter: from the beginning
    return system.call_s3("get_object", Bucket=bucket, Key=key)
