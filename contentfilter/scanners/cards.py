"""Calendars and business cards (RFC 5545, RFC 6350, vCard 2.1): files that stand in them as base64."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from contentfilter.containers.literals import SHOWN, data_urls, from_base64, unquoted
from contentfilter.content.limits import KIB
from contentfilter.content.part import Context, Found, Part
from contentfilter.message.filename import worst
from contentfilter.scanners.archived import archive_kind
from contentfilter.scanners.opening import opening

_STARTS = (b"begin:vcalendar", b"begin:vcard")
_FOLD = re.compile(rb"(?:\r+\n?|\n)[ \t]")
_BLANK = rb"[ \t]{0,20}"
_ENCODED = re.compile(
    rb"[;:]%s(?:(?:encoding%s=%s)?\"?%s(?:b|base64)|value%s=%s\"?%sbinary)%s\"?%s[;:]" % ((_BLANK,) * 9),
    re.IGNORECASE,
)
_LEAST = 16
_NAME = re.compile(
    rb"(?:X-)?(?:APPLE-)?FILENAME%s=%s\"?([^\";:\r\n]{1,255})" % (_BLANK, _BLANK), re.IGNORECASE
)
_MAX_NAMES = 20
_PARAMETERS = 64 * KIB
"""Octets of a line that may hold names."""


class Cards:
    """Hands out attachments; pictures only if they are archives as well."""

    name = "cards"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if part.data[:1] not in b"Bb \r\n\xef" or not opening(part.data).startswith(_STARTS):
            return
        text = _FOLD.sub(b"", bytes(part.data))
        found = (item for line in text.splitlines() if len(line) > _LEAST for item in _files(line))
        for number, (title, content) in enumerate(found, start=1):
            if number > context.options.members:
                yield part.unscanned("too-large", "files in a calendar or card")
                return
            if len(content) >= _LEAST and (not content.startswith(SHOWN) or archive_kind(content)):
                yield part.child(title or f"attachment {number}", content)


def _files(line: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents of what one line holds."""
    urls = [content for _kind, content in data_urls(line, shown=True)]
    encoded = _ENCODED.search(line)
    if not urls and not encoded:
        return
    named = itertools.islice(_NAME.finditer(line, 0, _PARAMETERS), _MAX_NAMES)
    # Programs differ in which of several they take.
    name = worst([unquoted(match[1]).decode("utf-8", "replace") for match in named])
    yield from ((name, content) for content in urls)
    if encoded:
        # No colon is in base64; what stands behind one may be left out, or all there is.
        start = encoded.end() - 1
        values = dict.fromkeys((line.rpartition(b":")[2], line[start:].partition(b":")[2]))
        yield from ((name, from_base64(value)) for value in values)
