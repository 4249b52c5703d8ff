"""What lies inside OLE compound files: packages, embedded documents."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from contentfilter.containers.cfb import MAGIC, CompoundFile
from contentfilter.containers.zipmember import inflate
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.message.filename import worst

_NATIVE = "\x01ole10native"
_PACKAGE = b"\x02\x00"
_OUTLOOK = "__substg1.0_"
_POWERPOINT = "powerpoint document"
_CURRENT_USER = "current user"
_CURRENT_USER_ATOM = b"\xf6\x0f"
_TOKENS = ((0xE391C05F).to_bytes(4, "little"), (0xF3D1C4DF).to_bytes(4, "little"))
"""Open, and encrypted."""
_CONTAINERS = (
    b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF-", b"MZ", b"{\\rt", b"ActiveMime", b"Rar!", b"7z\xbc\xaf",
    b"MSCF", b"\x1f\x8b\x08", b"\x7fELF", b"L\x00\x00\x00\x01\x14\x02\x00", b"<?xml", b"MIME-Version:",
)  # fmt: skip
_READ_BY_OTHERS = frozenset({"workbook", "book", "worddocument"})
_EX_OLE_OBJECT = b"\x11\x10"
"""RT_ExternalOleObjectStg (MS-PPT 2.10.34), little-endian."""
_PLAIN, _PACKED = 0x0000, 0x0010
_CODES = 1024
"""Octets in front of the first that comes out of a zlib stream: its codes take 300 and more (RFC 1951)."""


class OleObjects:
    """Finds ``ole-object``; hands out what is embedded."""

    name = "ole-objects"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        file = context.cfb
        if file is None:
            return
        room = context.options.members
        for stream in file.streams:
            room -= 1
            if room < 0:
                yield part.unscanned("too-large", "streams in an OLE file")
                return
            key = stream.key
            if key == _POWERPOINT:
                if not _names_user(file):
                    yield part.unscanned("malformed", "presentation that does not say whether it is locked")
                yield from _powerpoint(part, file.read(stream), context)
            elif key == _NATIVE:
                data = file.read(stream)
                if data[4:6] == _PACKAGE:
                    name, content = native(data)
                    yield part.found("ole-object", f"package {name!r:.100}")
                    yield part.piece(name or stream.path, content, name)
                else:
                    yield part.piece(stream.path, data[4:])
            elif key.startswith(_OUTLOOK):
                # Outlook's properties: contentfilter.scanners.outlook knows which of them are content.
                continue
            elif stream.size > 64 and bytes(file.read(stream, 16)).startswith(_CONTAINERS):
                yield part.piece(stream.path, file.read(stream))
            elif stream.key in _READ_BY_OTHERS:
                file.read(stream)
        if file.damaged:
            yield part.unscanned("malformed", "OLE file: a stream is cut off or the directory is damaged")


def _names_user(file: CompoundFile) -> bool:
    """Whether a presentation has the record that says whether it is encrypted (MS-PPT 2.3.2), which
    PowerPoint reads first; that of PowerPoint 95 is another."""
    user = next((stream for stream in file.streams if stream.key == _CURRENT_USER), None)
    head = file.read(user, 16) if user is not None else b""
    if head[2:4] == _CURRENT_USER_ATOM:
        return head[12:16] in _TOKENS
    return any(head)


def native(data: Content) -> tuple[str, Content]:
    """File name and content of an OLE package, from its native data (MS-OLEDS 2.3.6, and the Packager's).

    There are up to six names (label, source and temporary file, again in Unicode at the end), and programs
    differ in which they open the content by: the worst counts.
    """
    at = 6 if data[4:6] == _PACKAGE else 4
    label, at = _text(data, at)
    source, at = _text(data, at)
    kind = int.from_bytes(data[at + 2 : at + 4], "little")
    at += 4
    if kind == 3:
        temporary, at = _counted(data, at, 1)
        size = int.from_bytes(data[at : at + 4], "little")
        content = data[at + 4 : at + 4 + size]
        if content:
            names, at = [label, source, temporary], at + 4 + size
            for _ in range(3):
                name, at = _counted(data, at, 2)
                names.append(name)
            return worst([name.replace("\\", "/").rsplit("/", 1)[-1] for name in names if name]), content
    return label, data[4:]


def _counted(data: Content, at: int, width: int) -> tuple[str, int]:
    """A text behind its length, in octets or UTF-16, and where it ends."""
    size = min(width * int.from_bytes(data[at : at + 4], "little"), 2048)
    text = bytes(data[at + 4 : at + 4 + size]).decode("utf-16-le" if width == 2 else "latin-1", "replace")
    return text.rstrip("\0"), at + 4 + size


def _text(data: Content, at: int) -> tuple[str, int]:
    end = data.find(b"\0", at, at + 1024)
    if end < 0:
        return "", at
    return bytes(data[at:end]).decode("latin-1"), end + 1


def _powerpoint(part: Part, data: Content, context: Context) -> Iterator[Found]:
    """Embedded storages, VBA projects among them, by their record type wherever it stands."""
    at, cut = data.find(_EX_OLE_OBJECT, 2), False
    while at >= 0:
        version = data[at - 2] | data[at - 1] << 8
        size = int.from_bytes(data[at + 2 : at + 6], "little")
        after = at + 2
        begin, end = at + 6, at + 6 + size
        if version in (_PLAIN, _PACKED) and size > 8:
            cut |= end > len(data)
            content: Content = b""
            if version == _PACKED and _first(data, begin + 4).startswith(MAGIC[:4]):
                result = inflate(data, begin + 4, min(end, len(data)), _room(context), zlib.MAX_WBITS)
                content = result.data
                # Programs leave out how the stream ends; all is there if it has its size.
                cut |= bool(result.problem) and len(content) < int.from_bytes(
                    data[begin : begin + 4], "little"
                )
            elif version == _PLAIN and data.startswith(MAGIC[:4], begin):
                content = data[begin:end]
            if content:
                yield part.piece("PowerPoint object", content)
                after = min(end, len(data))
        at = data.find(_EX_OLE_OBJECT, after)
    if cut:
        yield part.unscanned("malformed", "a PowerPoint object is cut off")


def _first(data: Content, at: int) -> Content:
    """How the zlib stream at that place begins; empty if there is none."""
    return inflate(data, at, min(at + _CODES, len(data)), 8, zlib.MAX_WBITS).data


def _room(context: Context) -> int:
    return max(context.budget.allowance(), 1)
