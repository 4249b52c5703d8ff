"""Messages that lie in other things: EML files in archives, attachments of any declared type, MHT files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.limits import KIB
from contentfilter.message import BytesWire, MessageReader
from contentfilter.part import Content, Context, Found, Part

_FIRST_FIELD = re.compile(rb"(?:From |[A-Za-z][A-Za-z0-9-]{1,60}[ \t]*:)")
_TELLING = re.compile(rb"(?:\A|\n)(?:mime-version|content-(?:type|transfer-encoding|disposition))[ \t]*:")


class Email:
    """Reads what begins like a message, by the rules for the mail itself."""

    name = "email"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if looks_like_message(part.data):
            reader = MessageReader(BytesWire(part.data), context.budget, part.path, part.depth + 1)
            yield from reader.read()


def looks_like_message(data: Content) -> bool:
    """Whether ``data`` begins with a header in which a MIME field stands."""
    skipped = len(data) - len(data[:512].lstrip(b" \t\r\n\xef\xbb\xbf")) if data[:1] in b" \t\r\n\xef" else 0
    skipped = min(skipped, 512)
    if not _FIRST_FIELD.match(data, skipped):
        return False
    head = bytes(data[skipped : skipped + 64 * KIB]).lower()
    end = min((at for at in (head.find(b"\n\r\n"), head.find(b"\n\n")) if at >= 0), default=len(head))
    return _TELLING.search(head, 0, end) is not None
