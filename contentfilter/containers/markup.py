"""XML as it is searched: by tags and attributes, in one charset, without what splits texts (XML 1.0).

Nothing is parsed: no entity is expanded but characters by number and XML's own five, and no document is too
broken. Whatever is searched for must therefore be found in any prefix, quotation and place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from contentfilter.content import references

Content: TypeAlias = bytes | bytearray

_ENCODING = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']utf-?7[\"']", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"([^\s=<>\"'/]+)\s*=\s*(?:\"([^\"<]*)\"|'([^'<]*)'|([^\s\"'<>]+))")
ATTRIBUTES = rb"((?>(?>(?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+'){1,64})*))"
"""Group for all between an element's name and its ``>``, which may stand in an attribute's value as well."""
PREFIX = rb"<(?:[^\s<>/:=\"'!?]{1,100}+:)?"
"""How an element begins, whatever its namespace is called in the document."""
_SECTION = re.compile(rb"<!--|<!\[CDATA\[|<\?")
_CDATA = b"<![CDATA["
_SECTION_ENDS = {b"<!--": b"-->", _CDATA: b"]]>", b"<?": b"?>"}
_MAX_SECTIONS = 200_000
MAX_VALUE = 20_000
"""Octets of one text or value that are looked at."""


def as_utf8(data: Content) -> Content | None:
    """``data`` in UTF-8 (or a charset that has ASCII) if it looks like XML; None if it doesn't."""
    if data[:1] == b"<":
        if data[1:2] == b"\0":
            return _from(data, "utf-32-le" if data[2:4] == b"\0\0" else "utf-16-le")
        if data[:5] == b"<?xml" and _ENCODING.match(data):
            return _from(data, "utf-7")
        return data
    head = data[:64]
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\0<", b"\0\0\0<")):
        if head.startswith(b"\0\0\0<"):
            return _from(data, "utf-32-be")
        if head.startswith((b"\xff\xfe\0\0",)):
            return _from(data, "utf-32-le")
        return _from(data, "utf-16-be" if head.startswith((b"\xfe\xff", b"\0<")) else "utf-16-le")
    if head.startswith((b"\xef\xbb\xbf", b" ", b"\t", b"\r", b"\n")):
        bare = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
        return data if bare.startswith(b"<") else None
    return None


def _from(data: Content, charset: str) -> bytes | None:
    text = bytes(data).decode(charset, "replace").lstrip("\ufeff \t\r\n")
    return text.encode("utf-8", "replace") if text.startswith("<") else None


def joined(data: Content) -> Content | None:
    """``data`` without comments and instructions, CDATA sections (XML 1.0 2.7) as ordinary text: so no text
    is cut in the middle. None if there are too many of them for a document."""
    out: list[Content] = []
    at = begun = 0
    open_ends: set[bytes] = set()
    for _ in range(_MAX_SECTIONS):
        match = _SECTION.search(data, at)
        if match is None:
            out.append(data[begun:])
            return b"".join(out) if begun else data
        end_mark = _SECTION_ENDS[match[0]]
        # Where one such section has no end, none after it has.
        end = -1 if end_mark in open_ends else data.find(end_mark, match.end())
        if end < 0:
            open_ends.add(end_mark)
            at = match.end()
            continue
        out.append(data[begun : match.start()])
        if match[0] == _CDATA:
            out.append(data[match.end() : end].replace(b"&", b"&amp;").replace(b"<", b"&lt;"))
        begun = at = end + len(end_mark)
    return None


def elements(data: Content, name: bytes) -> Iterator[re.Match[bytes]]:
    """Start tags of all elements of that local name; group 1 has their attributes.

    Arguments:
        name: a regular expression without groups.
    """
    return re.finditer(PREFIX + rb"(?:" + name + rb")(?=[\s/>])" + ATTRIBUTES, data, re.IGNORECASE)


def attributes(raw: bytes) -> dict[bytes, str]:
    """Attributes by local name in lower case, values unescaped; also without quotes, as HTML has them."""
    return {
        name.rsplit(b":", 1)[-1].lower(): unescaped(double or single or bare)
        for name, double, single, bare in _ATTRIBUTE.findall(raw)
    }


def unescaped(raw: bytes) -> str:
    """A text or value as it is meant."""
    return references.unescaped(bytes(raw[:MAX_VALUE]).decode("utf-8", "replace"))
