"""The host of a URL as a browser understands it (WHATWG URL 3.5), however it is written."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

import idna

from mailbase.addresses import MAX_DOMAIN, pack, unpack

MAX_WRITTEN = 1_000
"""Characters of a host as it is written; each of a name may be three of them."""

_NAME = re.compile(r"(?>(?>(?:[a-z0-9_-]{1,63}\.){1,64})*)[a-z0-9_-]{1,63}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,2})")
_FORBIDDEN = re.compile(r"[\x00-\x20#/:<>?@\[\\\]^|%\x7f]")
_LABEL_DOTS = re.compile("[\u3002\uff0e\uff61]")


class Oddity(enum.StrEnum):
    """How a URL is written where nobody means well."""

    NUMBER = "number"
    """The host is an IP address, but not written as one: in one number, octal, hexadecimal."""
    ENCODED = "encoded"
    """Letters of the host are percent-encoded."""
    BROKEN = "broken"
    """Tabs or line ends stand in it before the path."""
    USER = "user"
    """What looks like the host is a user name."""
    SLASHES = "slashes"
    """Backslashes, or more than two slashes, stand before the host."""
    PORT = "port"
    """The port is none that web servers listen on."""
    DEFANGED = "defanged"
    """Written so that no program takes it for a link: hxxp, [.]"""

    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True)
class Host:
    """Arguments:
    name: lower case, in A-labels, without a last dot; of an address its presentation form.
    address: packed, if it is an IP address; else empty.
    oddities: of how it was written.
    """

    name: str
    address: bytes = b""
    oddities: frozenset[Oddity] = frozenset()


_NONE: frozenset[Oddity] = frozenset()
_ODD_NUMBER = frozenset({Oddity.NUMBER})


@lru_cache(maxsize=4096)
def read_host(text: str) -> Host | None:
    """What ``text`` means as a host; None if browsers do not take it for one.

    Arguments:
        text: without port, as it is written; in brackets if it is an IPv6 address.
    """
    lower = text.lower()
    if lower[-1:] == ".":
        lower = lower[:-1]
    if len(lower) <= MAX_DOMAIN and _NAME.fullmatch(lower):
        return _named(lower, _NONE)
    if not 0 < len(text) <= MAX_WRITTEN:
        return None
    if text[0] == "[":
        packed = pack(text[1:-1].partition("%")[0]) if text[-1] == "]" and ":" in text else None
        return Host(unpack(packed), packed) if packed else None
    oddities = _NONE
    if "%" in text:
        text, oddities = unquote(text), frozenset({Oddity.ENCODED})
    name = _mapped(text)
    if name is None or len(name) > MAX_DOMAIN or not _NAME.fullmatch(name):
        return None
    return _named(name, oddities)


def _named(name: str, oddities: frozenset[Oddity]) -> Host | None:
    """A name in A-labels, or an address in one of the forms that C has for it (inet_aton)."""
    last = name.rpartition(".")[2]
    if last[0] not in "0123456789" or not _NUMBER.fullmatch(last):
        return Host(name, b"", oddities)
    parts = name.split(".")
    if len(parts) > 4 or not all(map(_NUMBER.fullmatch, parts)):
        return None
    try:
        *first, end = (_number(part) for part in parts)
    except ValueError:
        return None
    if any(part > 255 for part in first) or end >= 1 << 8 * (4 - len(first)):
        return None
    packed = bytes(first) + end.to_bytes(4 - len(first))
    plain = len(parts) == 4 and all(map(_DECIMAL.fullmatch, parts))
    return Host(unpack(packed), packed, oddities if plain else oddities | _ODD_NUMBER)


def _number(text: str) -> int:
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") and len(text) > 1 else 10)


def _mapped(text: str) -> str | None:
    """A name in A-labels, by UTS #46 as browsers apply it: they are less strict than IDNA 2008."""
    try:
        text = idna.uts46_remap(text, std3_rules=False)
    except (idna.IDNAError, UnicodeError):
        return None
    text = _LABEL_DOTS.sub(".", text).strip(".")
    if not text or _FORBIDDEN.search(text):
        return None
    if text.isascii():
        return text
    labels = (
        label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in text.split(".")
    )
    try:
        return ".".join(labels)
    except UnicodeError:
        return None


def unicode_labels(name: str) -> list[str]:
    """The labels of a name in A-labels as they are shown; one that is broken stays as it is."""
    return [_shown(label) for label in name.split(".")]


def _shown(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode().decode("punycode")
    except UnicodeError:
        return label
