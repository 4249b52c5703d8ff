"""Members of ZIP archives: what a header says of one, and its content in every way that may be understood."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from contentfilter.limits import KIB, MIB

Content: TypeAlias = bytes | bytearray

STORED, DEFLATED, BZIP2, LZMA, XZ, AES = 0, 8, 12, 14, 95, 99
_STEP = 64 * KIB
_MEMORY = 256 * MIB


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

    @property
    def text_name(self) -> str:
        """The name for people; which charset it is in is anybody's guess."""
        try:
            return self.name.decode("utf-8")
        except UnicodeDecodeError:
            return self.name.decode("cp437")

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
    """

    data: Content
    problem: str = ""
    used: int = 0


def expand(data: Content, member: Member, limit: int, note: Callable[[str], None]) -> Iterator[Expanded]:
    """The content of a member in every way its headers may be understood.

    Arguments:
        data: the archive.
        limit: octets that each reading may have.
        note: gets what is wrong, in words.
    """
    if member.start < 0 or limit <= 0:
        yield Expanded(b"", "too-large" if member.start >= 0 else "malformed")
        return
    start, end = member.start, min(member.end, len(data))
    short = member.end > len(data)
    for method in dict.fromkeys(member.methods):
        if method == STORED:
            yield from _stored(data, member, end, limit, note)
        elif method == DEFLATED:
            result = inflate(data, start, end, limit)
            if result.problem == "malformed" and not short:
                longer = inflate(data, start, len(data), limit)
                if len(longer.data) > len(result.data):
                    note(f"{member.text_name!r:.80} is longer than it claims")
                    result = longer
            if not result.data and result.problem and member.packed == member.size:
                # Called compressed, and it isn't: some programs take it as it is.
                yield Expanded(data[start : min(end, start + limit)], "malformed")
            yield result
        elif method in (BZIP2, LZMA, XZ):
            yield _expand_other(data[start:end], method, limit)
        else:
            yield Expanded(b"", "unsupported")


def _stored(
    data: Content, member: Member, end: int, limit: int, note: Callable[[str], None]
) -> Iterator[Expanded]:
    start = member.start
    stop = min(end, start + limit)
    problem = "malformed" if member.end > len(data) else "too-large" if stop < end else ""
    yield Expanded(data[start:stop], problem, stop - start)
    if member.packed != member.size and not member.encrypted:
        other = inflate(data, start, len(data), limit)
        if other.data:
            note(f"{member.text_name!r:.80} is called stored and is compressed")
            yield other


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


def _expand_other(packed: Content, method: int, limit: int) -> Expanded:
    stream: bz2.BZ2Decompressor | lzma.LZMADecompressor
    try:
        if method == BZIP2:
            stream = bz2.BZ2Decompressor()
        elif method == XZ:
            stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
        else:
            stream, packed = _raw_lzma(packed), packed[9:]
        data = stream.decompress(packed, limit)
    except (lzma.LZMAError, OSError, EOFError, ValueError):
        return Expanded(b"", "malformed")
    used = len(packed) - len(stream.unused_data)
    if stream.eof or (method == LZMA and len(data) < limit):
        return Expanded(data, "", used)
    return Expanded(data, "too-large" if len(data) >= limit else "malformed", used)


def _raw_lzma(packed: Content) -> lzma.LZMADecompressor:
    """APPNOTE 5.8.8: version, size of the properties, properties; then a raw LZMA1 stream.

    Raises:
        ValueError: no such header.
    """
    if len(packed) < 9:
        raise ValueError("no LZMA header")
    byte, dictionary = packed[4], int.from_bytes(packed[5:9], "little")
    properties = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": min(max(dictionary, 4096), _MEMORY // 4),
        "lc": byte % 9,
        "lp": byte // 9 % 5,
        "pb": byte // 45,
    }
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[properties])
