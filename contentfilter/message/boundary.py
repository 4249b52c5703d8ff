"""The boundary of a multipart (RFC 2046 5.1.1): what the header says, and what else it may be taken for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from contentfilter.message.parameters import decode_words, pairs, parameters, without_comments

MAX_BOUNDARY = 250
"""RFC 2046 5.1.1 allows 70; clients take more."""
MAX_CANDIDATES = 24

_PLAIN = re.compile(
    rb'[^;"()\\]*+(?>(?:;\s*+[a-z0-9_-]++\s*+=\s*+(?:"[^"\\]*+"|[^\s;"()\\]++)\s*+)*);?+\s*+', re.IGNORECASE
)
"""Parameters that leave no room for a second opinion. An atomic group, not a possessive repetition: before
Python 3.11.5 that would take along what begins like one more parameter and is none."""
_TOKEN = re.compile(rb"[^\0-\x20'\";\x7f-\xff][^\0-\x1f\";\x7f-\xff]*(?<! )")
_QUOTED = re.compile(rb'"[^"\\]*"')
_NEAR_COMMENT = re.compile(rb"[^\s;]\(|\)[^\s;]")
_ANY = re.compile(rb"boundary[^=;\r\n]{0,40}=[ \t]*", re.IGNORECASE)
_UP_TO = (re.compile(rb'[^;"\r\n]*'), re.compile(rb'[^;"\\\r\n\s(]*'), re.compile(rb"[^\r\n]*"))


@dataclass(frozen=True, slots=True)
class Boundaries:
    """What a header says about the boundary.

    Arguments:
        candidates: boundaries that programs may read, the one by the rules first.
        doubtful: the header leaves room for a second opinion.
    """

    candidates: list[bytes]
    doubtful: bool


def boundaries(value: bytes, block: bytes = b"") -> Boundaries:
    """The boundaries in a Content-Type value.

    Arguments:
        value: unfolded.
        block: the header it stands in, for a boundary that strayed from its field.
    """
    plain = value
    bare = _QUOTED.sub(b'""', value) if b"(" in value else b""
    if b"(" in bare and not _NEAR_COMMENT.search(bare) and not bare.startswith(b"("):
        plain = without_comments(value)
    declared = [(name, text) for name, text in pairs(plain) if name.startswith(b"boundary")]
    if (
        declared
        and len(set(declared)) == 1
        and declared[0][0] == b"boundary"
        and _mentions(value, declared[0][1]) == len(declared)
        and _PLAIN.fullmatch(plain)
        and _TOKEN.fullmatch(declared[0][1])
        and not declared[0][1].startswith(b"=?")
        and len(declared[0][1]) <= MAX_BOUNDARY
    ):
        return Boundaries([declared[0][1]], False)
    return Boundaries(_candidates(value, block), True)


def _mentions(value: bytes, text: bytes) -> int:
    """How often the word boundary stands in a value, but in the boundary itself."""
    for mark in (b'"', b"="):
        value = value.replace(mark + text, mark)
    return value.lower().count(b"boundary")


def _candidates(value: bytes, block: bytes) -> list[bytes]:
    found: list[bytes] = []
    for text in (without_comments(value), value):
        found += [item.encode("utf-8", "replace") for item in parameters(text, "boundary")]
        found += [item for name, item in pairs(text) if name.startswith(b"boundary")]
    for place in (value, block):
        for start in [match.end() for match in _ANY.finditer(place)][:8]:
            rest = place[start : start + 2 * MAX_BOUNDARY]
            for text in (rest, rest.lstrip(b'"'), without_comments(rest)):
                found += [match[0] for pattern in _UP_TO if (match := pattern.match(text))]
            found += rest.split(b'"')[:3]
    words = [decode_words(item.decode("latin-1")) for item in found if b"=?" in item]
    found += [word.encode("utf-8", "replace") for word in words]
    found += [item.replace(b"\\", b"") for item in found if b"\\" in item]
    found += [item.strip(b"'") for item in found if item.startswith(b"'")]
    kept: dict[bytes, None] = {}
    for item in found:
        for form in (item.rstrip(b" \t\r\n"), item.strip(b" \t\r\n"), item.split(b" ")[0]):
            if form and len(form) <= MAX_BOUNDARY:
                kept[form] = None
    return list(kept)[:MAX_CANDIDATES]
