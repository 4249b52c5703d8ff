"""The content of a member of a ZIP archive, in every way that its headers may be understood.

Each method that is claimed is tried. Where what comes out is not what the headers promise (the checksum of a
stored member, a deflate stream that is none), the usual methods are tried as well, since a program that the
sender chose may do just that.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator

from contentfilter.containers.inflate64 import inflate64
from contentfilter.containers.zipalone import BY_LIBARCHIVE, expand_alone
from contentfilter.containers.zipmember import (
    BZIP2,
    DEFLATE64,
    DEFLATED,
    LZMA,
    STORED,
    XZ,
    Content,
    Expanded,
    Member,
    inflate,
)
from contentfilter.content.limits import MIB

_MEMORY = 256 * MIB


def expand(
    data: Content,
    member: Member,
    limit: int,
    note: Callable[[str], None],
    late: Callable[[], bool] = lambda: False,
) -> Iterator[Expanded]:
    """The content of a member in every way its headers may be understood.

    Arguments:
        data: the archive.
        limit: octets that each reading may have.
        note: gets what is wrong, in words.
        late: whether to stop.
    """
    if member.start < 0 or limit <= 0:
        yield Expanded(b"", "too-large" if member.start >= 0 else "malformed")
        return
    end = min(member.end, len(data))
    whole = right = False
    known = bool(member.crc) and not member.encrypted
    for method in dict.fromkeys(member.methods):
        for result in _by_method(data, member, end, method, limit, note, late):
            whole = whole or not result.problem
            right = right or (known and not result.problem and zlib.crc32(result.data) == member.crc)
            yield result
    if not whole and known:
        yield from _by_checksum(data, member, end, limit, note)
    elif not right and known:
        yield Expanded(b"", "malformed", detail="wrong checksum")


def _by_method(
    data: Content,
    member: Member,
    end: int,
    method: int,
    limit: int,
    note: Callable[[str], None],
    late: Callable[[], bool],
) -> Iterator[Expanded]:
    if method == STORED:
        yield from _stored(data, member, end, limit, note)
    elif method == DEFLATED:
        yield from _deflated(data, member, end, limit, note)
    elif method in (BZIP2, LZMA, XZ):
        yield _expand_other(data[member.start : end], method, limit)
    elif method == DEFLATE64:
        yield inflate64(memoryview(data)[member.start : end], limit, late)
    elif method in BY_LIBARCHIVE:
        yield expand_alone(data, member, method, limit, late)
    else:
        yield Expanded(b"", "unsupported")


def _stored(
    data: Content, member: Member, end: int, limit: int, note: Callable[[str], None]
) -> Iterator[Expanded]:
    start = member.start
    stop = min(end, start + limit)
    problem = "malformed" if member.end > len(data) else "too-large" if stop < end else ""
    content = data[start:stop]
    yield Expanded(content, problem, stop - start)
    if member.encrypted:
        return
    doubtful = member.packed != member.size
    if not doubtful and member.crc and not problem:
        doubtful = zlib.crc32(content) != member.crc
    if doubtful:
        other = inflate(data, start, len(data), limit)
        if other.data:
            note(f"{member.text_name!r:.80} is called stored and is compressed")
            yield other


def _deflated(
    data: Content, member: Member, end: int, limit: int, note: Callable[[str], None]
) -> Iterator[Expanded]:
    start = member.start
    result = inflate(data, start, end, limit)
    if result.problem == "malformed" and member.end <= len(data):
        longer = inflate(data, start, len(data), limit)
        if len(longer.data) > len(result.data):
            note(f"{member.text_name!r:.80} is longer than it claims")
            result = longer
    if not result.data and result.problem and member.packed == member.size:
        # Called compressed, and it isn't: some programs take it as it is.
        yield Expanded(data[start : min(end, start + limit)], "malformed")
    yield result


def _by_checksum(
    data: Content, member: Member, end: int, limit: int, note: Callable[[str], None]
) -> Iterator[Expanded]:
    """The usual methods that nobody claimed, where the checksum says that one is right."""
    start = member.start
    if STORED not in member.methods:
        content = data[start : min(end, start + limit)]
        if zlib.crc32(content) == member.crc:
            note(f"{member.text_name!r:.80} is stored, not packed by method {member.methods[0]}")
            yield Expanded(content, "", len(content))
    if DEFLATED not in member.methods:
        other = inflate(data, start, end, limit)
        if other.data and zlib.crc32(other.data) == member.crc:
            note(f"{member.text_name!r:.80} is deflated, not packed by method {member.methods[0]}")
            yield other


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
