"""Addresses of remote files, and what of them may be printed and stored: no user, no password, no token."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from czbenchmarks.exceptions import InputError

_REMOTE = re.compile(r"(https?|s3)://", re.IGNORECASE)
# A path that was made of an address has lost one of the slashes.
_START = r"(?<![A-Za-z0-9+.-])(?:[A-Za-z][A-Za-z0-9+.-]+://|(?:https?|s3|ftps?):/)/*"
_ANYWHERE = re.compile(_START, re.IGNORECASE)
_IN_A_SENTENCE = re.compile(rf"{_START}[^\s\"'<>]*?(?=(?:[),;:]+\.?)?(?:[\s\"'<>]|$))", re.IGNORECASE)
_PARTS = re.compile(r"([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
_HOST = re.compile(r"(?:\[[0-9A-Za-z:.%]+\]|[^:@\[\]]*)(?::[0-9]+)?")
_HARMLESS = re.compile(r"(?:acc|dl|download|format|raw|v|version|versionid)=[A-Za-z0-9._-]{0,40}", re.IGNORECASE)
_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9_.-]{0,40})=.*[^=].*", re.DOTALL)


def is_remote(text: object) -> bool:
    """Say whether a text is the address of a remote file (``https://``, ``http://``, ``s3://``).

    Examples
    --------
    >>> is_remote("s3://bucket/cells.h5ad"), is_remote("cells.h5ad")
    (True, False)
    """
    return isinstance(text, str) and _REMOTE.match(text) is not None


def shown(text: object) -> str:
    """Return an address as it may be printed and stored; any other text as it is.

    Scheme, host and path remain, and those parameters that are known to be harmless; the values of the others become
    ``...``. What is shown is shown the same again. An address may stand behind something else (``NAME=ADDRESS``): all
    that follows belongs to it.

    Examples
    --------
    >>> shown("https://me:secret@example.org/cells.h5ad?token=abc&v=2#part")
    'https://example.org/cells.h5ad?token=...&v=2'
    """
    text = readable(str(text))
    start = _ANYWHERE.search(text)
    if start is None:
        return text
    rest = text[start.end() :]
    authority, path, query = _parts(rest)
    host = authority.rpartition("@")[2]
    unsure = "@" in rest[len(authority) :] and (host != authority or ":" in host)
    if unsure or _HOST.fullmatch(host) is None:
        # A password with a slash or a question mark in it: where it ends, and so the host, cannot be told.
        _, path, query = _parts(rest.rpartition("@")[2])
        host, path = "...", "/" + path.rpartition("/")[2]
    pairs = [_shown_pair(pair) for pair in re.split("[&;]", query) if pair]
    found = text[: start.end()] + host + shown(path) + ("?" if pairs else "") + "&".join(pairs)
    return "".join(c if c.isprintable() else "_" for c in found)


def readable(text: str) -> str:
    r"""Return text of the command line or of the file system with the bytes that Python could not decode as UTF-8.

    Where the locale is not UTF-8, Python hands over letters beyond ASCII as single bytes. Files must be opened by that
    very text; names are shown and stored by this one. Bytes that are no UTF-8 remain as they are.

    Examples
    --------
    >>> readable("Gr\udcc3\udcb6\udcc3\udc9fe")
    'Größe'
    """
    if text.isprintable():  # bytes that were not decoded are not
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        return text


def usable(path: str | Path) -> None:
    """Refuse a path that is too long for the system; others are looked for by whoever opens them."""
    try:
        os.stat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(
                f"A path must be short enough for the system, got one of {len(str(path)):,} characters "
                f"('{shortened(path)}'): {error.strerror}; give it a shorter name."
            ) from None
    except ValueError:  # a NUL; whoever opens it says so
        pass


def shortened(path: object) -> str:
    """Return the beginning and the end of a path that is too long to be read."""
    text = shown(path)
    return text if len(text) <= 400 else f"{text[:60]}...{text[-20:]}"


def _parts(rest: str) -> tuple[str, str, str]:
    """Split what follows the scheme of an address; unlike the standard library's, it takes whatever there is."""
    found = _PARTS.fullmatch(rest)
    assert found is not None
    return found[1], found[2], found[3] or ""


def _shown_pair(pair: str) -> str:
    if _HARMLESS.fullmatch(pair):
        return pair
    named = _NAMED.fullmatch(pair)  # else it is a token by itself, maybe with the padding of base 64
    return f"{named[1]}=..." if named else "..."


def shown_in(sentence: str) -> str:
    """Return a sentence with every address in it as `shown`: for what other libraries say.

    An address ends at a space or a quotation mark.

    Examples
    --------
    >>> shown_in("Timeout of http://me:secret@host/cells.h5ad?sig=abc; trying again")
    'Timeout of http://host/cells.h5ad?sig=...; trying again'
    """
    return _IN_A_SENTENCE.sub(lambda found: shown(found[0]), sentence)


def path_of(address: str) -> str:
    """Return the path of an address, as it is written there."""
    start = _ANYWHERE.match(address)
    return _parts(address[start.end() :] if start else address)[1]


def stem(path: str) -> str:
    """Return the name of a local or remote file without its suffix, and without the parameters of an address.

    Examples
    --------
    >>> stem("models/geneformer.npy"), stem("https://example.org/geneformer.npy?token=abc")
    ('geneformer', 'geneformer')
    """
    return Path(shown(path).partition("?")[0] if "://" in path else readable(path)).stem
