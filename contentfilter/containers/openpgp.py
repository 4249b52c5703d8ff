"""OpenPGP messages (RFC 9580) as far as anybody can read them: signed or compressed, but not encrypted."""

from __future__ import annotations

import bz2
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

import pybase64

from contentfilter.content.limits import KIB
from contentfilter.content.part import Content

TEXT = 256 * KIB
"""Octets of a text in which a message begins; in front of it stand some words at most."""
MAX_MESSAGES = 16
"""Messages looked at in one text."""
MAX_LEVELS = 8
"""Compressed packets in one another; RFC 9580 10.3 sees no use in more than one."""
MAX_PACKETS = 1_000
MAX_PIECES = 100_000
"""Partial lengths (4.2.1.4) of one packet: a mail of 50 MiB in the smallest that RFC 9580 allows."""
_SIGNATURE, _ONE_PASS, _COMPRESSED, _MARKER, _LITERAL, _PADDING = 2, 4, 8, 10, 11, 21
_ENCRYPTED = frozenset({1, 3, 9, 18, 20})
"""Session keys for a recipient or a password, and what they open."""
_VERSIONS = frozenset(range(2, 7))
"""Of signatures and what announces them."""
_BEGINNINGS = bytes(
    chain.from_iterable(
        (0xC0 | tag, *(0x80 | tag << 2 | kind for kind in range(4)))
        for tag in (_SIGNATURE, _ONE_PASS, _COMPRESSED, _MARKER, _LITERAL)
    )
)
"""First octets, in new and old form (4.2), of what a message that can be read may begin with."""
_FORMATS = b"btuml1"
"""What a literal may say that it is (5.9), old ways included."""

_ARMOUR = re.compile(rb"(?:\A|\n)[ \t>]{0,20}-----BEGIN PGP MESSAGE(?:, PART [0-9/]{1,10})?-----[ \t]*\r?\n")
_HEADERS = re.compile(rb"(?>[ \t>]*[A-Za-z-]{1,40}: [^\n]{0,1000}\n){0,20}")
_END = re.compile(rb"[=-]")
"""Padding, the checksum or the last line: none of them is part of the base64."""
_AROUND = b" \t\r\n>"


@dataclass(slots=True)
class Message:
    """What a message holds.

    Arguments:
        literals: file name (as it was given, maybe empty) and content of each.
        encrypted: whether it holds something that is encrypted.
        problem: why not all could be read, in the words of ``unscanned``; empty if all was.
        packed: octets that were expanded.
        expanded: octets that came out.
    """

    literals: list[tuple[str, bytes]] = field(default_factory=list)
    encrypted: bool = False
    problem: str = ""
    packed: int = 0
    expanded: int = 0


def armoured(text: Content) -> Iterator[bytes]:
    """The packets of each message in ASCII armour (6.2), be it quoted; empty where it cannot be read."""
    if text.find(b"-----BEGIN PGP MESSAGE", 0, TEXT) < 0:
        return
    for begin in islice(_ARMOUR.finditer(text), MAX_MESSAGES):
        headers = _HEADERS.match(text, begin.end())
        start = headers.end() if headers else begin.end()
        end = _END.search(text, start)
        base64 = bytes(text[start : end.start() if end else len(text)]).translate(None, _AROUND)
        # One character more than whole octets need says nothing.
        base64 = base64[: len(base64) - (len(base64) % 4 == 1)]
        try:
            yield pybase64.b64decode(base64 + b"=" * (-len(base64) % 4))
        except ValueError:
            yield b""


def may_begin(data: Content) -> bool:
    """Whether octets without armour may be a message that can be read."""
    return data[:1] in _BEGINNINGS


def read(data: Content, limit: int) -> Message:
    """A message's packets.

    Arguments:
        limit: octets that what is compressed may expand to.
    """
    message = Message()
    # Any octets may look like one packet as large as they are, which is not worth a copy.
    with memoryview(data) as view:
        _walk(view, message, limit, MAX_LEVELS)
    return message


def _walk(data: memoryview, message: Message, limit: int, levels: int) -> None:
    at = 0
    for _ in range(MAX_PACKETS):
        if at >= len(data):
            return
        tag, body, at = _packet(data, at)
        if tag in _ENCRYPTED:
            message.encrypted = True
            return
        if tag == _LITERAL and (literal := _literal(body)) is not None:
            message.literals.append(literal)
        elif tag == _COMPRESSED and levels and (expanded := _expanded(body, message, limit)) is not None:
            _walk(expanded, message, limit, levels - 1)
        elif not _is_passed_over(tag, body):
            message.problem = message.problem or "malformed"
            return
    if at < len(data):
        message.problem = message.problem or "malformed"


def _packet(data: memoryview, at: int) -> tuple[int, memoryview, int]:
    """Tag and body of a packet (4.2), as far as it is there, and where the next one begins; tag 0 if none."""
    first = data[at]
    at += 1
    if not first & 0x80:
        return 0, data[:0], at
    if first & 0x40:
        body, at = _new_body(data, at)
        return first & 0x3F, body, at
    tag, kind = first >> 2 & 0x0F, first & 3
    if kind == 3:
        return tag, data[at:], len(data)
    start = at + (1 << kind)
    end = start + int.from_bytes(data[at:start])
    return tag, data[start:end], end


def _new_body(data: memoryview, at: int) -> tuple[memoryview, int]:
    pieces = []
    for _ in range(MAX_PIECES):
        first = int.from_bytes(data[at : at + 1])
        at += 1
        if 224 <= first < 255:
            size = 1 << (first & 0x1F)
        elif first < 192:
            size = first
        elif first < 224:
            size = (first - 192 << 8) + int.from_bytes(data[at : at + 1]) + 192
            at += 1
        else:
            size = int.from_bytes(data[at : at + 4])
            at += 4
        pieces.append(data[at : at + size])
        at += size
        if not 224 <= first < 255 or at >= len(data):
            break
    return pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces)), at


def _is_passed_over(tag: int, body: memoryview) -> bool:
    """Whether a packet tells nothing of the content; strict, since much begins with octets such as these."""
    if tag in (_SIGNATURE, _ONE_PASS):
        return len(body) > 0 and body[0] in _VERSIONS
    return (tag == _MARKER and bytes(body[:4]) == b"PGP") or tag == _PADDING


def _literal(body: memoryview) -> tuple[str, bytes] | None:
    """File name and content (5.9): a format, the name with its length, four octets of a date, the content."""
    if len(body) < 2 or body[0] not in _FORMATS or len(body) < 6 + body[1]:
        return None
    return str(body[2 : 2 + body[1]], "utf-8", "replace"), bytes(body[6 + body[1] :])


def _expanded(body: memoryview, message: Message, limit: int) -> memoryview | None:
    """What a compressed packet (5.6) holds, as much as is allowed; None if it is none."""
    packed, algorithm = body[1:], bytes(body[:1])
    room = max(0, limit - message.expanded)
    try:
        match algorithm:
            case b"\0":
                return packed
            case b"\1" | b"\2":
                content = zlib.decompressobj(-15 if algorithm == b"\1" else 15).decompress(packed, room + 1)
            case b"\3":
                content = bz2.BZ2Decompressor().decompress(packed, room + 1)
            case _:
                return None
    except (zlib.error, OSError):
        return None
    if len(content) > room:
        content = content[:room]
        message.problem = "too-large"
    message.packed += len(packed)
    message.expanded += len(content)
    return memoryview(content)
