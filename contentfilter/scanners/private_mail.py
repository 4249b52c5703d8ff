"""Mail in S/MIME: what is only signed is opened; what is encrypted is for its recipients alone."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from contentfilter.containers import cms
from contentfilter.containers.ber import BerError
from contentfilter.content.filename import signed_name
from contentfilter.content.part import Content, Context, Found, Part

REASON = "mail-encrypted"


class PrivateMail:
    """Opens signed and compressed S/MIME; ``unscanned: mail-encrypted`` where only a recipient can."""

    name = "private-mail"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if data[:1] in b"0M- \t\r\n" and (message := cms.find(data)) is not None:
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
        yield part.child(signed_name(part.name) or "content", found.content)


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
    yield part.child(signed_name(part.name) or "content", content)
