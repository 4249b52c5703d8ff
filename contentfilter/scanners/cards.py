"""Calendars and business cards (RFC 5545, RFC 6350, vCard 2.1): files that stand in them as base64."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.containers.literals import SHOWN, data_urls, from_base64, unquoted
from contentfilter.content.part import Context, Found, Part
from contentfilter.scanners.archived import archive_kind
from contentfilter.scanners.opening import opening

_STARTS = (b"begin:vcalendar", b"begin:vcard")
_FOLD = re.compile(rb"\r?\n[ \t]")
_ENCODED = re.compile(rb"[;:](?:encoding=)?\"?(?:b|base64)\"?[;:]", re.IGNORECASE)
_HEAD = 2048
"""Octets of a line that hold the parameters."""
_LEAST = 16
_NAME = re.compile(rb"(?:X-)?(?:APPLE-)?FILENAME=\"?([^\";:\r\n]{1,255})", re.IGNORECASE)


class Cards:
    """Hands out attachments; pictures only if they are archives as well."""

    name = "cards"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if part.data[:1] not in b"Bb \r\n\xef" or not opening(part.data).startswith(_STARTS):
            return
        text = _FOLD.sub(b"", bytes(part.data))
        found = [("", content) for _kind, content in data_urls(text, shown=True)]
        for line in text.splitlines():
            if len(line) > _LEAST and _ENCODED.search(line, 0, _HEAD):
                # No colon is in base64.
                params, _colon, value = line.rpartition(b":")
                name = _NAME.search(params, 0, _HEAD)
                found.append(
                    (unquoted(name[1]).decode("utf-8", "replace") if name else "", from_base64(value))
                )
        for number, (title, content) in enumerate(found, start=1):
            if number > context.options.members:
                yield part.unscanned("too-large", "files in a calendar or card")
                return
            if len(content) >= _LEAST and (not content.startswith(SHOWN) or archive_kind(content)):
                yield part.child(title or f"attachment {number}", content)
