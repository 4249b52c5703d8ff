"""A URL taken apart as browsers do it (WHATWG URL 4.4), which is more forgiving than RFC 3986."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from contentfilter.links.hosts import MAX_WRITTEN, Oddity, read_host
from mailbase.organisation import is_top_level

MAX_URL = 2_000
"""Characters of a URL that are read."""

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,30}):")
_FETCHED = {"http": 80, "https": 443, "ftp": 21}
"""Schemes of what is fetched from a host, with their ports."""
_DEFANGED = {
    "hxxp": "http", "hxxps": "https", "hxtp": "http", "hxtps": "https", "htxp": "http", "htxps": "https",
    "h**p": "http", "h**ps": "https", "fxp": "ftp",
}  # fmt: skip
_AUTHORITY = re.compile(r"[/\\]*+([^/\\?#]*+)(.*)", re.DOTALL)
_BROKEN = re.compile(r"[\t\r\n]")
_BLANK = "".join(map(chr, range(33)))
_USUAL_PORTS = frozenset({80, 443, 21, 8080, 8443})
_BARE = re.compile(r"[^\s/\\?#:@]+\.[^\s/\\?#:@]+(?:[/?#:].*)?", re.DOTALL)
_NONE: frozenset[Oddity] = frozenset()


@dataclass(frozen=True, slots=True)
class Url:
    """Arguments:
    text: as it was written, blanks around it taken off.
    scheme: lower case; of a defanged one what is meant.
    host: as in :class:`contentfilter.links.hosts.Host`; of ``mailto`` the domain of the address; empty for
        schemes without one.
    address: the packed IP address that the host is; empty for a name.
    port: 0 for the scheme's own.
    user: what stands before an ``@`` in front of the host.
    rest: path, query and fragment; of schemes without a host all behind the colon.
    oddities: of how it was written.
    """

    text: str
    scheme: str
    host: str = ""
    address: bytes = b""
    port: int = 0
    user: str = ""
    rest: str = ""
    oddities: frozenset[Oddity] = _NONE

    @property
    def fetched(self) -> bool:
        """Whether opening it asks a host, by HTTP or FTP."""
        return self.scheme in _FETCHED and bool(self.host)


def read_url(text: str, base: Url | None = None, lenient: bool = False) -> Url | None:
    """Take a URL apart.

    Arguments:
        text: may have blanks around it, and tabs and line ends in it, as HTML allows.
        base: what a relative one is relative to; without one, a relative one is None.
        lenient: whether ``example.org/path`` without a scheme is a URL, as mail programs take it.
    """
    text = text[: 2 * MAX_URL].strip(_BLANK)[:MAX_URL]
    cleaned = _BROKEN.sub("", text)
    broken = len(cleaned) != len(text)
    found = _SCHEME.match(cleaned)
    scheme = found[1].lower() if found else ""
    if scheme in _FETCHED:
        return _fetched(text, scheme, cleaned[len(scheme) + 1 :], broken, _NONE)
    if cleaned.startswith(("//", "\\\\", "/\\", "\\/")):
        return _fetched(text, base.scheme if base else "http", cleaned, broken, _NONE)
    meant = _DEFANGED.get(scheme or cleaned[:6].partition(":")[0].lower())
    if meant is not None:
        return _fetched(text, meant, cleaned.partition(":")[2], broken, frozenset({Oddity.DEFANGED}))
    if lenient and _BARE.fullmatch(cleaned) and (not found or "." in scheme):
        return _fetched(text, "http", cleaned, broken, _NONE)
    if found:
        rest = cleaned[len(scheme) + 1 :]
        if scheme != "mailto":
            return Url(text, scheme, rest=rest)
        host = read_host(rest.partition("?")[0].partition(",")[0].rpartition("@")[2].strip())
        return Url(text, scheme, host.name if host else "", host.address if host else b"", rest=rest)
    if base is not None and base.fetched:
        return Url(text, base.scheme, base.host, base.address, base.port, base.user, _joined(base, cleaned))
    return None


def _fetched(text: str, scheme: str, rest: str, broken: bool, oddities: frozenset[Oddity]) -> Url | None:
    found = _AUTHORITY.fullmatch(rest)
    if found is None:
        return None
    authority, path = found.groups()
    odd: set[Oddity] = set()
    if "\\" in rest[:3] or rest[2:3] == "/":
        odd.add(Oddity.SLASHES)
    user, at, place = authority.rpartition("@")
    name, port = place, 0
    if place[-1:] != "]" and ":" in place:
        name, _, digits = place.rpartition(":")
        if digits and not (digits.isascii() and digits.isdigit() and len(digits) < 6 and int(digits) < 65536):
            return None
        port = int(digits or 0)
    host = read_host(name) if len(name) <= MAX_WRITTEN else None
    if host is None:
        return None
    if broken:
        # A tab behind the host is a slip; in it, or before it, it is meant to mislead.
        head = text[: len(text) - len(path)] if path else text
        if _BROKEN.search(head):
            odd.add(Oddity.BROKEN)
    if at and _looks_like_host(user):
        odd.add(Oddity.USER)
    port = 0 if port == _FETCHED[scheme] else port
    if port and port not in _USUAL_PORTS:
        odd.add(Oddity.PORT)
    if odd or host.oddities:
        oddities = oddities | odd | host.oddities
    return Url(text, scheme, host.name, host.address, port, user, path, oddities)


def _looks_like_host(user: str) -> bool:
    """Whether a reader would take a user name for the host."""
    name = unquote(user[:MAX_WRITTEN]).partition(":")[0].lower()
    return "." in name and is_top_level(name.rpartition(".")[2])


def _joined(base: Url, relative: str) -> str:
    """Path, query and fragment of a relative reference, near enough: what counts is the host."""
    if relative[:1] in ("/", "\\"):
        return relative
    folder = re.split(r"[?#]", base.rest, maxsplit=1)[0]
    if relative[:1] in ("?", "#", ""):
        return folder + relative
    return folder.rpartition("/")[0] + "/" + relative
