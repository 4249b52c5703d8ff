"""``winmail.dat``: what Outlook packs into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from contentfilter.containers import lzfu, tnef
from contentfilter.containers.tnef import TnefError
from contentfilter.content.part import Context, Found, Part
from contentfilter.message.filename import worst
from contentfilter.scanners.remote import is_share


class Tnef:
    """Finds ``forced-authentication``; hands out attachments, embedded messages and objects, bodies."""

    name = "tnef"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if not part.data.startswith(tnef.SIGNATURE):
            return
        file, count = _Attachment(), 0
        try:
            for number, value in tnef.attributes(part.data):
                match number:
                    case tnef.ATTACH_START:
                        yield from file.parts(part, count)
                        file, count = _Attachment(), count + 1
                    case tnef.ATTACH_TITLE | tnef.ATTACH_TRANSPORT_NAME:
                        file.names.append(value.split(b"\0")[0].decode("cp1252", "replace"))
                    case tnef.ATTACH_DATA:
                        # Of two only one would be shown, and nobody knows which.
                        file.contents.append(value)
                    case tnef.ATTACH_PROPERTIES:
                        yield from _properties(part, value, file)
                    case tnef.MESSAGE_PROPERTIES:
                        message = _Attachment()
                        yield from _properties(part, value, message)
                        message.names.clear()
                        yield from message.parts(part, count)
                    case tnef.BODY:
                        yield part.child("body.txt", value)
        except TnefError as error:
            yield part.unscanned("malformed", f"TNEF: {error}")
        yield from file.parts(part, count)


@dataclass(slots=True)
class _Attachment:
    """What is known of one attachment. Names come before and behind its content, and programs differ in which
    of them they save it under: the worst counts."""

    names: list[str] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)

    def parts(self, part: Part, number: int) -> Iterator[Part]:
        name = worst([name for name in self.names if name]) or f"attachment {number}"
        for content in self.contents:
            if content:
                yield part.child(name, content)


def _properties(part: Part, value: bytes, file: _Attachment) -> Iterator[Found]:
    """What stands in MAPI properties."""
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
                    file.contents.append(item.content)
                    if item.content != item.value and not item.content.startswith(tnef.SIGNATURE):
                        # Without the identifier it would begin elsewhere.
                        file.contents.append(item.value)
                case tnef.ATTACH_LONG_NAME:
                    # People know it by this one.
                    file.names.insert(0, item.text)
                case tnef.ATTACH_NAME | tnef.DISPLAY_NAME:
                    file.names.append(item.text)
    except TnefError as error:
        yield part.unscanned("malformed", f"TNEF: {error}")


def _rtf(part: Part, value: bytes) -> Iterator[Found]:
    text, problem = lzfu.expand(value)
    if problem:
        yield part.child("body.rtf", b"").unscanned(problem, "compressed RTF")
    if text:
        yield part.child("body.rtf", text)
