"""Members of ZIP archives: what a header says of one, and its content in every way that may be understood."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from contentfilter.limits import KIB

Content: TypeAlias = bytes | bytearray

STORED, DEFLATED, BZIP2, LZMA, XZ, AES = 0, 8, 12, 14, 95, 99
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
    """

    name: bytes
    encrypted: bool
    methods: list[int]
    packed: int
    size: int
    header: int
    start: int = -1
    end: int = 0

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
        whole: nothing is missing at the end.
        problem: why something is; ``too-large``, ``malformed`` or ``unsupported``.
    """

    data: Content
    whole: bool = True
    problem: str = ""


def expand(data: Content, member: Member, limit: int, note: Callable[[str], None]) -> Iterator[Expanded]:
    """The content of a member in every way its headers may be understood.

    Arguments:
        data: the archive.
        limit: octets that each reading may have.
        note: gets what is wrong, in words.
    """
    if member.start < 0 or limit <= 0:
        yield Expanded(b"", False, "too-large" if member.start >= 0 else "malformed")
        return
    start, end = member.start, min(member.end, len(data))
    short = member.end > len(data)
    for method in dict.fromkeys(member.methods):
        if method == STORED:
            stop = min(end, start + limit)
            problem = "malformed" if short else "too-large" if stop < end else ""
            yield Expanded(data[start:stop], not problem, problem)
            if member.packed != member.size and not member.encrypted:
                other = _inflate(data, start, len(data), limit)
                if other.data:
                    note(f"{member.text_name!r:.80} is called stored and is compressed")
                    yield other
        elif method == DEFLATED:
            result = _inflate(data, start, end, limit)
            if not result.whole and result.problem == "malformed" and not short:
                longer = _inflate(data, start, len(data), limit)
                if len(longer.data) > len(result.data):
                    note(f"{member.text_name!r:.80} is longer than it claims")
                    result = longer
            if not result.data and result.problem and member.packed == member.size:
                # Called compressed, and it isn't: some programs take it as it is.
                yield Expanded(data[start : min(end, start + limit)], False, "malformed")
            yield result
        elif method in (BZIP2, LZMA, XZ):
            yield _expand_other(data[start:end], method, limit)
        else:
            yield Expanded(b"", False, "unsupported")


def _inflate(data: Content, start: int, end: int, limit: int) -> Expanded:
    """Raw deflate; what came out before damage is kept, since programs that repair keep it too."""
    view = memoryview(data)
    stream = zlib.decompressobj(-15)
    if end - start <= _STEP:
        try:
            out = stream.decompress(view[start:end], limit)
        except zlib.error:
            pass
        else:
            return _ended(stream.eof, out, limit, bool(stream.unconsumed_tail))
        stream = zlib.decompressobj(-15)
    result, step = bytearray(), _STEP if end - start > _STEP else 256
    try:
        for at in range(start, end, step):
            result += stream.decompress(view[at : min(at + step, end)], limit - len(result) or 1)
            if stream.eof or stream.unconsumed_tail or len(result) > limit:
                break
    except zlib.error:
        return Expanded(result[:limit], False, "malformed")
    return _ended(stream.eof, result[:limit], limit, bool(stream.unconsumed_tail) or len(result) > limit)


def _ended(eof: bool, data: Content, limit: int, more: bool) -> Expanded:
    if eof:
        return Expanded(data)
    return Expanded(data, False, "too-large" if more and len(data) >= limit else "malformed")


def _expand_other(packed: Content, method: int, limit: int) -> Expanded:
    stream: bz2.BZ2Decompressor | lzma.LZMADecompressor
    try:
        if method == BZIP2:
            stream = bz2.BZ2Decompressor()
        elif method == XZ:
            stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=256 * 1024 * KIB)
        else:
            # APPNOTE 5.8.8: version, size of the properties, properties; then a raw LZMA1 stream.
            if len(packed) < 9:
                return Expanded(b"", False, "malformed")
            byte, dictionary = packed[4], int.from_bytes(packed[5:9], "little")
            lc, rest = byte % 9, byte // 9
            chain = [
                {
                    "id": lzma.FILTER_LZMA1,
                    "dict_size": min(max(dictionary, 4096), 64 * 1024 * KIB),
                    "lc": lc,
                    "lp": rest % 5,
                    "pb": rest // 5,
                }
            ]
            stream = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)
            packed = packed[9:]
        data = stream.decompress(packed, limit)
    except (lzma.LZMAError, OSError, EOFError, ValueError):
        return Expanded(b"", False, "malformed")
    if stream.eof:
        return Expanded(data)
    return Expanded(
        data, False, "too-large" if len(data) >= limit else ("" if method == LZMA else "malformed")
    )
