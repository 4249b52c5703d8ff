"""Mail in S/MIME and PGP: what is only signed is opened; what is encrypted is for its recipients alone."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from contentfilter.containers import cms
from contentfilter.containers.ber import BerError
from contentfilter.limits import KIB
from contentfilter.part import Content, Context, Found, Part

REASON = "mail-encrypted"
_TEXT = 256 * KIB
"""Text in which an encrypted message begins; in front of it stand some words at most."""

_ARMOUR = re.compile(rb"(?:\A|\n)[ \t>]{0,20}-----BEGIN PGP MESSAGE(?:, PART [0-9/]{1,10})?-----[ \t]*\r?\n")
_PACKETS = re.compile(
    # Session keys for a recipient (RFC 9580 5.1) or a password (5.3), in both forms of packet headers.
    rb"\x84[\x20-\xff]\x03|\x85[\0-\x10][\0-\xff]\x03|\xc1[\x20-\xbf]\x03|\xc1[\xc0-\xc8][\0-\xff][\x03\x06]"
    rb"|\x8c[\x04-\x40]\x04[\x01-\x0d][\0\1\3]|\xc3[\x04-\x60](?:\x04[\x01-\x0d][\0\1\3]|[\x05\x06])",
    re.DOTALL,
)


class PrivateMail:
    """Opens signed and compressed S/MIME; ``unscanned: mail-encrypted`` where only a recipient can."""

    name = "private-mail"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if (data.find(b"-----BEGIN PGP MESSAGE", 0, _TEXT) >= 0 and _ARMOUR.search(data)) or (
            data[:1] in b"\x84\x85\x8c\xc1\xc3" and _PACKETS.match(data)
        ):
            yield part.unscanned(REASON, "PGP")
        elif data[:1] in b"0M- \t\r\n" and (message := cms.find(data)) is not None:
            yield from _opened(part, message, context)


def _opened(part: Part, message: bytes, context: Context) -> Iterator[Found]:
    try:
        found = cms.read(message)
    except (BerError, StopIteration) as error:
        yield part.unscanned("malformed", f"S/MIME: {error}")
        return
    if found.kind in cms.ENCRYPTED:
        yield part.unscanned(REASON, f"S/MIME {found.kind}")
    elif found.content and found.kind == "compressed-data":
        yield from _expanded(part, found.content, context)
    elif found.content:
        yield part.child("content", found.content)


def _expanded(part: Part, packed: Content, context: Context) -> Iterator[Found]:
    """Compressed-data (RFC 3274): zlib."""
    limit = context.budget.allowance()
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(packed, limit + 1)
    except zlib.error:
        yield part.unscanned("malformed", "S/MIME compressed-data")
        return
    if len(content) > limit:
        content = content[:limit]
        if context.budget.is_bomb(len(packed), len(content)):
            yield part.found("archive-bomb", "S/MIME compressed-data")
        yield part.unscanned("too-large", "S/MIME compressed-data")
    elif not stream.eof:
        yield part.unscanned("malformed", "S/MIME compressed-data is cut off")
    yield part.child("content", content)
