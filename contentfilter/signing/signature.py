"""DKIM-Signature header fields for one message (RFC 6376 3.5, 5.4), over what the next server will get."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from contentfilter.signing.canonical import BodyHash, relaxed_field
from contentfilter.signing.header import MAX_HEADER, HeaderField, parse_header
from contentfilter.signing.reasons import Reason
from contentfilter.signing.transit import Folding, LineEnds, Unforeseeable

SIGNED = (
    "from",
    "sender",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "to",
    "cc",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "in-reply-to",
    "references",
    "resent-date",
    "resent-from",
    "resent-sender",
    "resent-to",
    "resent-cc",
    "resent-message-id",
    "list-id",
    "list-help",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-subscribe",
    "list-post",
    "list-owner",
    "list-archive",
    "autocrypt",
)
"""What says who wrote what to whom, and how it is to be read; never what servers add or take away."""
ALWAYS_ONCE_MORE = frozenset({"from", "reply-to", "subject", "cc"})
"""Signed once more than they are there, so that nobody adds one. Postfix adds none of them, but From, without
which nothing is signed."""
ONCE_MORE_IF_THERE = frozenset(
    {
        "sender",
        "date",
        "message-id",
        "to",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
    }
)
"""Likewise, but only if they are there: Postfix may add those that are not (``always_add_missing_headers``,
``undisclosed_recipients_header``), and a mailing list adds a Sender."""
MAX_SIGNED = 100
"""Fields that are signed; honest mail has each of them once."""
MAX_FIELD = 100_000
"""Octets of a field; Postfix cuts it off beyond 102,400 (``header_size_limit``)."""
WIDTH = 76
"""Columns of our lines."""


@dataclass(frozen=True, slots=True)
class Transmission:
    """How Postfix sends what we hand back; see :mod:`contentfilter.signing.transit`.

    Arguments:
        line_length: its ``smtp_line_length_limit``.
        keep_stray: its ``cleanup_replace_stray_cr_lf`` is ``no``.
    """

    line_length: int = 0
    keep_stray: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """What signs.

    Arguments:
        selector: of the record in DNS.
        algorithm: as in ``a=``.
        sign: from the octets to be signed to the signature.
    """

    selector: str
    algorithm: str
    sign: Callable[[bytes], bytes]


class NotSigned(Exception):
    """The message must go without a signature.

    Attributes:
        reason: why.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Digest:
    """What of a message is signed.

    Arguments:
        fields: its header.
        body: hash of its body.
    """

    fields: Sequence[HeaderField]
    body: bytes


def digest(pieces: Iterable[bytes], transmission: Transmission) -> Digest:
    """Read a message once, in little memory.

    Arguments:
        pieces: its octets, without dot-stuffing.

    Raises:
        Unforeseeable: it would arrive in a form that we don't know.
    """
    ends = LineEnds(transmission.keep_stray)
    folding = Folding(transmission.line_length)
    lines = _lines(pieces, ends)
    fields, rest = _header(lines)
    body = BodyHash()
    body.feed(folding.feed(rest))
    for piece in lines:
        body.feed(folding.feed(piece))
    folded = [
        HeaderField(
            field.name, _folded(field, transmission.line_length) if transmission.line_length else field.value
        )
        for field in fields
    ]
    return Digest(folded, body.digest())


def sign(message: Digest, domain: str, keys: Sequence[Key], now: int) -> bytes:
    """The header lines, one field for each key, each with its CRLF.

    Arguments:
        domain: for ``d=``; that it may be signed for is known.
        now: seconds since the epoch, for ``t=``. There is no ``x=``: a mail may wait for days in somebody's
            queue, and one that is sent again by others is not stopped by it for as long.

    Raises:
        NotSigned: not one From field, or too much to sign.
    """
    authors = sum(field.name == "from" for field in message.fields)
    if authors != 1:
        raise NotSigned("several-from" if authors else "no-from")
    names, signed = _selection(message.fields)
    return b"".join(_line(domain, key, now, names, signed, message.body) for key in keys)


def _lines(pieces: Iterable[bytes], ends: LineEnds) -> Iterator[bytes]:
    for piece in pieces:
        yield ends.feed(piece)
    yield ends.end()


def _header(lines: Iterator[bytes]) -> tuple[list[HeaderField], bytes]:
    """The fields, and what has been read of the body."""
    data = b""
    for piece in lines:
        seen = max(0, len(data) - 1)
        data += piece
        if data[:1] == b"\n" or data.find(b"\n\n", seen) >= 0 or len(data) > MAX_HEADER:
            break
    fields, end = parse_header(data)
    if end > MAX_HEADER:
        raise Unforeseeable("a header beyond measure")
    return fields, data[end:]


def _folded(field: HeaderField, limit: int) -> bytes:
    name = field.name.encode("ascii") + b":"
    # The name's blanks before the colon are gone by then; they are nothing that honest mail has.
    return Folding(limit).feed(name + field.value)[len(name) :]


def _selection(fields: Sequence[HeaderField]) -> tuple[list[str], bytes]:
    """The names for ``h=``, and the signed fields in their canonical form, each with CRLF."""
    there: dict[str, list[HeaderField]] = {}
    for field in fields:
        there.setdefault(field.name, []).append(field)
    names: list[str] = []
    signed = bytearray()
    for name in SIGNED:
        own = there.get(name, ())
        if len(names) + len(own) > MAX_SIGNED or any(len(field.value) > MAX_FIELD for field in own):
            raise NotSigned("unforeseeable")
        # RFC 6376 5.4.2: of several the last one is meant first.
        for field in reversed(own):
            signed += relaxed_field(name, field.value) + b"\r\n"
        more = name in ALWAYS_ONCE_MORE or (bool(own) and name in ONCE_MORE_IF_THERE)
        names += [name] * (len(own) + more)
    return names, bytes(signed)


def _line(domain: str, key: Key, now: int, names: Sequence[str], signed: bytes, body: bytes) -> bytes:
    tags = (
        "v=1;",
        f" a={key.algorithm};",
        " c=relaxed/relaxed;",
        f" d={domain};",
        f" s={key.selector};",
        f" t={now};",
        *(f"{':' if place else ' h='}{name}" for place, name in enumerate(names)),
        ";",
        f" bh={_base64(body)};",
        " b=",
    )
    unsigned = " " + _wrapped(tags)
    to_sign = signed + relaxed_field("dkim-signature", unsigned.encode("ascii"))
    value = key.sign(hashlib.sha256(to_sign).digest() if key.algorithm.startswith("ed25519") else to_sign)
    text = _base64(value)
    pieces = "".join(f"\r\n  {text[start : start + WIDTH - 4]}" for start in range(0, len(text), WIDTH - 4))
    return f"DKIM-Signature:{unsigned}{pieces}\r\n".encode("ascii")


def _wrapped(tags: Iterable[str]) -> str:
    """The tags in lines of at most :data:`WIDTH` columns where that can be."""
    lines = [""]
    room = WIDTH - len("DKIM-Signature: ")
    for tag in tags:
        if lines[-1] and len(lines[-1]) + len(tag) > room:
            lines.append("  ")
            tag = tag.lstrip()
            room = WIDTH
        lines[-1] += tag
    return "\r\n".join(lines)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
