"""Outlook's messages (.msg, .oft; MS-OXMSG): bodies and attachments, at any depth of messages attached."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers import lzfu
from contentfilter.containers.cfb import CompoundFile, Entry
from contentfilter.content.part import Context, Found, Part
from contentfilter.message.filename import worst

_PREFIX = "__substg1.0_"
_NAMED = "__nameid_version1.0"
"""Lists named properties (MS-OXMSG 2.2.3), in streams that are called like properties and are none."""
_DATA = "37010102"
_NAMES = ("3707", "3704", "3001")
"""Long file name, short file name, name that is shown."""
_RTF = "10090102"
_BODIES = {"10130102": "body.html", "1013001e": "body.html", "1000001e": "body.txt"}
_WIDE_BODIES = {"1013001f": "body.html", "1000001f": "body.txt"}
_WIDE, _NARROW = "001f", "001e"
_MAX_NAME = 2048


class Outlook:
    """Hands out what is in the message."""

    name = "outlook"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        file = context.cfb
        if file is None:
            return
        folders: dict[Entry | None, dict[str, Entry]] = {}
        for stream in file.streams:
            if stream.key.startswith(_PREFIX) and not (stream.parent and stream.parent.key == _NAMED):
                folders.setdefault(stream.parent, {})[stream.key.removeprefix(_PREFIX)] = stream
        room = context.options.members
        for number, streams in enumerate(folders.values()):
            if number >= room or context.budget.exhausted:
                yield part.unscanned("too-large", "attachments of an Outlook message")
                return
            yield from _folder(part, file, streams)


def _folder(part: Part, file: CompoundFile, streams: dict[str, Entry]) -> Iterator[Found]:
    """One storage: a message's own properties, or those of one attachment."""
    if _DATA in streams:
        yield part.child(_attachment_name(file, streams), file.read(streams[_DATA]))
    if _RTF in streams:
        text, problem = lzfu.expand(file.read(streams[_RTF]))
        if problem:
            yield part.child("body.rtf", b"").unscanned(problem, "compressed RTF")
        if text:
            yield part.child("body.rtf", text)
    for tag, name in _BODIES.items():
        if tag in streams:
            yield part.child(name, file.read(streams[tag]))
    for tag, name in _WIDE_BODIES.items():
        if tag in streams:
            text = bytes(file.read(streams[tag])).decode("utf-16-le", "replace").encode("utf-8", "replace")
            yield part.child(name, text)


def _attachment_name(file: CompoundFile, streams: dict[str, Entry]) -> str:
    """Of the names that it has, the one whose suffix promises most harm."""
    names = []
    for tag in _NAMES:
        if entry := streams.get(tag + _WIDE):
            names.append(bytes(file.read(entry, _MAX_NAME)).decode("utf-16-le", "replace"))
        if entry := streams.get(tag + _NARROW):
            names.append(bytes(file.read(entry, _MAX_NAME)).decode("cp1252", "replace"))
    return worst([name.rstrip("\0") for name in names if name.rstrip("\0")]) or "attachment"
