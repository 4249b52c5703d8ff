"""Members of ZIP archives: what the headers say of one, and what came out of it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TypeAlias

from contentfilter.content.limits import KIB

Content: TypeAlias = bytes | bytearray

STORED, DEFLATED, DEFLATE64, BZIP2, LZMA, XZ, AES = 0, 8, 9, 12, 14, 95, 99
_STEP = 64 * KIB


@dataclass(slots=True)
class Member:
    """One member, as the directory or its local header has it.

    Arguments:
        name: raw file name.
        encrypted: a password is needed, says one of the two headers.
        methods: compression methods, those that are claimed.
        packed: octets of packed data, as claimed.
        size: octets when expanded, as claimed.
        header: position of the local header.
        start: position of the data; -1 if there is no local header.
        end: position after the last octet that may belong to it.
        flags: general purpose bits; those of the local header, if there is one.
        crc: CRC-32 of the content, as claimed; 0 if nothing is.
        time: of the last change, as DOS has it.
        aes: the octets of the AES extra data field (0x9901); empty if there is none.
        unicode_name: the name in UTF-8 that takes the place of ``name``; empty if there is none.
        elsewhere: its data is in another part of a split archive.
        stray: it stands in front of the archive, and may be none.
        other_names: what else it is called, by its other headers and for other programs; one for each suffix.
    """

    name: bytes
    encrypted: bool
    methods: list[int]
    packed: int
    size: int
    header: int
    start: int = -1
    end: int = 0
    flags: int = 0
    crc: int = 0
    time: int = 0
    aes: bytes = b""
    unicode_name: bytes = b""
    elsewhere: bool = False
    stray: bool = False
    other_names: dict[str, str] = field(default_factory=dict)

    @property
    def text_name(self) -> str:
        """The name for people; which charset it is in is anybody's guess."""
        return self.unicode_name.decode("utf-8", "replace") if self.unicode_name else self.plain_name

    @property
    def plain_name(self) -> str:
        """The name for programs that do not look for another in Unicode."""
        try:
            return self.name.decode("utf-8")
        except UnicodeDecodeError:
            return self.name.decode("cp437")

    def also_called(self, name: str) -> None:
        """Keep another name of it."""
        self.other_names.setdefault(name.rpartition(".")[2].lower(), name)

    @property
    def is_folder(self) -> bool:
        return self.name.endswith(b"/") and not self.size and self.packed <= 2


@dataclass(slots=True)
class Expanded:
    """Data of a member.

    Arguments:
        data: what came out.
        problem: what keeps it from being whole; ``too-large``, ``malformed`` or ``unsupported``.
        used: octets of packed data that it came from.
        detail: of the problem, in words.
    """

    data: Content
    problem: str = ""
    used: int = 0
    detail: str = ""


def inflate(data: Content, start: int, end: int, limit: int, wbits: int = -15) -> Expanded:
    """A deflate stream from start to end; what came out before damage is kept, as programs that repair do.

    Arguments:
        limit: octets that may come out.
        wbits: the format, as zlib has it; raw by default.
    """
    view = memoryview(data)
    stream = zlib.decompressobj(wbits)
    # Small steps where it is damaged: an error loses what its step had given.
    steps = (max(end - start, 1),) if end - start <= _STEP else ()
    for step in (*steps, _STEP if end - start > _STEP else 256):
        out, used, tail = bytearray(), 0, b""
        try:
            for at in range(start, end, step):
                out += stream.decompress(view[at : min(at + step, end)], limit - len(out) + 1)
                tail = stream.unconsumed_tail
                used = min(at + step, end) - start - len(tail)
                if stream.eof or tail or len(out) > limit:
                    break
        except zlib.error:
            stream = zlib.decompressobj(wbits)
            continue
        if stream.eof and len(out) <= limit:
            return Expanded(out, "", used)
        return Expanded(out[:limit], "too-large" if tail or len(out) > limit else "malformed", used)
    return Expanded(out[:limit], "malformed", used)
