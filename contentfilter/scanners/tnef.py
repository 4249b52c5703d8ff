"""``winmail.dat``: what Outlook packs into it."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from contentfilter.containers import lzfu, tnef
from contentfilter.containers.tnef import Property, TnefError
from contentfilter.content.part import Context, Found, Part
from contentfilter.scanners.remote import is_share


class Tnef:
    """Finds ``forced-authentication``; hands out attachments, embedded messages and objects, bodies."""

    name = "tnef"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if not part.data.startswith(tnef.SIGNATURE):
            return
        title, data, count = "", b"", 0
        try:
            for number, value in tnef.attributes(part.data):
                match number:
                    case tnef.ATTACH_START:
                        yield from _attachment(part, title, data, count)
                        title, data, count = "", b"", count + 1
                    case tnef.ATTACH_TITLE | tnef.ATTACH_TRANSPORT_NAME:
                        title = title or value.split(b"\0")[0].decode("cp1252", "replace")
                    case tnef.ATTACH_DATA:
                        # Of two only one would be shown, and nobody knows which.
                        yield from _attachment(part, title, data, count)
                        data = value
                    case tnef.ATTACH_PROPERTIES:
                        title = yield from _properties(part, value, title or f"attachment {count}")
                    case tnef.MESSAGE_PROPERTIES:
                        yield from _properties(part, value, "")
                    case tnef.BODY:
                        yield part.child("body.txt", value)
        except TnefError as error:
            yield part.unscanned("malformed", f"TNEF: {error}")
        yield from _attachment(part, title, data, count)


def _attachment(part: Part, title: str, data: bytes, count: int) -> Iterator[Found]:
    if data:
        yield part.child(title or f"attachment {count}", data)


def _properties(part: Part, value: bytes, title: str) -> Generator[Found, None, str]:
    """What stands in MAPI properties. Returns the attachment's name."""
    content: list[Property] = []
    names: dict[int, str] = {}
    problem = ""
    try:
        for item in tnef.properties(value):
            if item.named == tnef.REMINDER_SOUND and is_share(item.text):
                yield part.found("forced-authentication", f"reminder asks {item.text[:200]}")
            match item.id:
                case tnef.RTF_COMPRESSED:
                    yield from _rtf(part, item.value)
                case tnef.BODY_HTML | tnef.BODY_TEXT:
                    yield part.child("body.html" if item.id == tnef.BODY_HTML else "body.txt", item.value)
                case tnef.ATTACH_OBJECT:
                    content.append(item)
                case tnef.ATTACH_LONG_NAME | tnef.ATTACH_NAME | tnef.DISPLAY_NAME:
                    names[item.id] = item.text
    except TnefError as error:
        problem = str(error)
    title = names.get(tnef.ATTACH_LONG_NAME) or title or next(iter(names.values()), "")
    for item in content:
        yield part.child(title, item.content)
        if item.content != item.value and not item.content.startswith(tnef.SIGNATURE):
            # Without the identifier it would begin elsewhere.
            yield part.child(title, item.value)
    if problem:
        yield part.unscanned("malformed", f"TNEF: {problem}")
    return title


def _rtf(part: Part, value: bytes) -> Iterator[Found]:
    text, problem = lzfu.expand(value)
    if problem:
        yield part.child("body.rtf", b"").unscanned(problem, "compressed RTF")
    if text:
        yield part.child("body.rtf", text)
