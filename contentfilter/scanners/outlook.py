"""Outlook's messages (.msg, .oft; MS-OXMSG): bodies and attachments, at any depth of messages attached."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from contentfilter.containers import lzfu
from contentfilter.containers.cfb import CompoundFile, Entry
from contentfilter.containers.tnef import REMINDER_SOUND
from contentfilter.content.limits import KIB
from contentfilter.content.part import Context, Found, Part
from contentfilter.message.filename import worst
from contentfilter.scanners.remote import is_share

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
_NAME_NUMBERS = "__substg1.0_00030102"
_MAX_NAMES = 64 * KIB


class Outlook:
    """Finds ``forced-authentication``; hands out what is in the message."""

    name = "outlook"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        file = context.cfb
        if file is None:
            return
        folders: dict[Entry | None, dict[str, Entry]] = {}
        for stream in file.streams:
            if stream.key.startswith(_PREFIX) and not (stream.parent and stream.parent.key == _NAMED):
                folders.setdefault(stream.parent, {})[stream.key.removeprefix(_PREFIX)] = stream
        yield from _reminder(part, file, folders)
        room = context.options.members
        for number, streams in enumerate(folders.values()):
            if number >= room or context.budget.exhausted:
                yield part.unscanned("too-large", "attachments of an Outlook message")
                return
            yield from _folder(part, file, streams)


def _reminder(
    part: Part, file: CompoundFile, folders: dict[Entry | None, dict[str, Entry]]
) -> Iterator[Found]:
    """The sound of a reminder that lies on another machine: a property with a name, which is given a number
    in the storage of names (MS-OXMSG 2.2.3)."""
    entries = (entry for entry in file.streams if entry.key == _NAME_NUMBERS)
    listed = next((entry for entry in entries if entry.parent and entry.parent.key == _NAMED), None)
    table = file.read(listed, _MAX_NAMES) if listed else b""
    for at in range(0, len(table) - 7, 8):
        name, kind, number = struct.unpack_from("<IHH", table, at)
        if name != REMINDER_SOUND or kind & 1:
            continue
        for streams in folders.values():
            for width, charset in ((_WIDE, "utf-16-le"), (_NARROW, "cp1252")):
                if entry := streams.get(f"{0x8000 + number:04x}{width}"):
                    target = bytes(file.read(entry, _MAX_NAME)).decode(charset, "replace").rstrip("\0")
                    if is_share(target):
                        yield part.found("forced-authentication", f"reminder asks {target[:200]}")
                        return


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
