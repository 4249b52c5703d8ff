"""Messages that lie in other things: EML files in archives, attachments of any declared type, MHT files, and
folders of mail in one file (mbox)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.content.filename import suffix
from contentfilter.content.limits import KIB
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.message import BytesWire, MessageReader

_FIRST_FIELD = re.compile(rb"(?:From |[A-Za-z][A-Za-z0-9-]{1,60}[ \t]*:)")
_TELLING = re.compile(rb"(?:\A|\n)(?:mime-version|content-(?:type|transfer-encoding|disposition))[ \t]*:")
_COUNTED = re.compile(rb"\d{1,10}[ ]{0,20}\r?\n")
"""Apple's Mail writes in front of each message how long it is."""
_SUFFIXES = frozenset({"eml", "emlx", "mht", "mhtml", "nws"})
_NEXT = re.compile(rb"\n\r?\n(?=From [^\r\n]{1,200}\d\r?\n[A-Za-z>])")
"""Where the next message of a folder begins (RFC 4155)."""


class Email:
    """Reads what begins like a message, by the rules for the mail itself."""

    name = "email"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if data[:1].isdigit() and (counted := _COUNTED.match(data)):
            data = data[counted.end() :]
        if (start := message_start(data, _is_said(part))) >= 0:
            yield from _read(part, context, part.path, data[start:])
        if data.startswith(b"From "):
            yield from _others(part, context, data)


def _is_said(part: Part) -> bool:
    """Whether programs will take it for a message, whatever it begins with."""
    return part.media.startswith("message/") or suffix(part.name) in _SUFFIXES


def _read(part: Part, context: Context, path: str, data: Content) -> Iterator[Found]:
    yield from MessageReader(BytesWire(data), context.budget, path, part.depth + 1).read()


def _others(part: Part, context: Context, data: Content) -> Iterator[Found]:
    """The messages of a folder behind the first."""
    following = _NEXT.search(data)
    for number in range(2, context.options.members + 1):
        if following is None or context.budget.exhausted:
            return
        start = following.end()
        following = _NEXT.search(data, start)
        message = data[start : following.start() + 1] if following else data[start:]
        if message_start(message) >= 0:
            yield from _read(part, context, f"{part.path}/message {number}", message)
    if following is not None:
        yield part.unscanned("too-large", f"more than {context.options.members} messages in one file")


def message_start(data: Content, said: bool = False) -> int:
    """Where a header begins in which a MIME field stands, behind blank lines and byte order marks; -1 if
    ``data`` is no message.

    Arguments:
        said: it is called a message; then its first line may be any.
    """
    head = data[:512] if data[:1] in b" \t\r\n\xef" else b""
    start = len(head) - len(head.lstrip(b" \t\r\n\xef\xbb\xbf"))
    if not said and not _FIRST_FIELD.match(data, start):
        return -1
    head = bytes(data[start : start + 64 * KIB]).lower()
    end = min((at for at in (head.find(b"\n\r\n"), head.find(b"\n\n")) if at >= 0), default=len(head))
    return start if _TELLING.search(head, 0, end) is not None else -1
