"""The XFORWARD command: who the client of the Postfix before us was (XFORWARD_README)."""

from __future__ import annotations

import ipaddress
import re

from contentfilter.session.envelope import Client
from mailbase.replies import printable

ATTRIBUTES = ("NAME", "ADDR", "PORT", "HELO", "IDENT", "PROTO", "SOURCE")
"""In the order in which we announce them."""
MAX_VALUE = 255
"""Octets of a decoded value."""

_FIELDS = {
    "NAME": "name",
    "ADDR": "address",
    "PORT": "port",
    "HELO": "helo",
    "IDENT": "ident",
    "PROTO": "protocol",
    "SOURCE": "source",
}
_ENCODED = re.compile(rb"\+([0-9A-F]{2})")
_XTEXT = re.compile(rb"(?:[!-*,-<>-~=]|\+[0-9A-F]{2})*")
_PORT = re.compile(r"[0-9]{1,5}")


class XForwardError(ValueError):
    """A malformed XFORWARD command; the text is public."""


def decode_xtext(text: bytes) -> bytes:
    """``text`` with each ``+XX`` decoded (RFC 3461 4, as in XFORWARD_README).

    Raises:
        XForwardError: a byte that must be encoded, a broken ``+XX``, or more than ``MAX_VALUE`` octets.
    """
    if not _XTEXT.fullmatch(text):
        raise XForwardError("Bad xtext")
    if b"+" in text:
        text = _ENCODED.sub(lambda match: bytes((int(match[1], 16),)), text)
    if len(text) > MAX_VALUE:
        raise XForwardError("Attribute value too long")
    return text


def parse(arguments: bytes) -> dict[str, str]:
    """The attributes in ``arguments``, what follows the verb: upper-case name to decoded value.

    ``[UNAVAILABLE]`` becomes the empty string, an address loses its ``IPV6:`` prefix, and bytes that are
    not printable ASCII become ``?``: they serve us for looking at, the back end gets the line as it came.

    Raises:
        XForwardError: no attribute, an unknown one, or a malformed value.
    """
    words = arguments.split()
    if not words:
        raise XForwardError("Syntax: XFORWARD attribute=value...")
    found: dict[str, str] = {}
    for word in words:
        raw, separator, value = word.partition(b"=")
        name = raw.upper().decode("latin-1")
        if not separator or name not in _FIELDS:
            raise XForwardError("Unsupported attribute or missing value")
        text = printable(decode_xtext(value), MAX_VALUE)
        found[name] = "" if text.upper() == "[UNAVAILABLE]" else _checked(name, text)
    return found


def _checked(name: str, text: str) -> str:
    match name:
        case "ADDR":
            bare = text[5:] if text[:5].upper() == "IPV6:" else text
            try:
                ipaddress.ip_address(bare)
            except ValueError:
                raise XForwardError("Bad ADDR value") from None
            if "%" in bare:
                raise XForwardError("Bad ADDR value")
            return bare
        case "PORT" if not _PORT.fullmatch(text) or int(text) > 65535:
            raise XForwardError("Bad PORT value")
        case "SOURCE" if text.upper() not in ("LOCAL", "REMOTE"):
            raise XForwardError("Bad SOURCE value")
    return text


def client(attributes: dict[str, str]) -> Client:
    """The client that ``attributes`` describe."""
    return Client(**{_FIELDS[name]: value for name, value in attributes.items()})


def announced(line: bytes, taken: frozenset[str]) -> bytes:
    """The command ``line`` with only the attributes in ``taken``, each verbatim; empty if none is left.

    Postfix refuses a command with an attribute that it did not announce.
    """
    words = line.split()[1:]
    kept = [word for word in words if word.partition(b"=")[0].upper().decode("latin-1") in taken]
    if len(kept) == len(words):
        return line
    return b"XFORWARD " + b" ".join(kept) if kept else b""
