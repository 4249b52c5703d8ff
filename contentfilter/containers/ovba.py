"""VBA projects (MS-OVBA): the compression, the ``dir`` stream, and the modules' source code."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from contentfilter.containers.cfb import CompoundFile, Entry
from contentfilter.containers.vba_source import has_code, normal_source
from contentfilter.content.limits import MIB

Content: TypeAlias = bytes | bytearray

_MAX_STREAM = 32 * MIB
_MAX_MODULES = 2000
_LEAST = 256
"""What a module counts at least, and what begins like one; there may be many that are empty."""
_CHUNK_COST = 64
"""What a chunk counts at least; it should hold 4096 octets, and may hold none."""
_MARK_COST = 16
"""What each mark counts that may be the beginning of source."""
MARK = b"Attribut"
"""How each module's source begins; uncompressible, so it stands in the compressed stream as it is."""
_PCODE_MARK = b"\xfe\xca\x01\x00"
_PROCEDURE = 0x96
"""Instruction with which the line of a Sub or Function begins, in compiled code."""
_MODULES = b"\x0f\0\x02\0\0\0"
"""PROJECTMODULES (MS-OVBA 2.3.4.2.3), in each directory before its modules."""
_REFERENCE = re.compile(rb"\*\\([A-Ha-h])([^\0\r\n]{1,1000})")
_MAX_REFERENCES = 1000

_BITS = [4] * 17 + [max(4, (size - 1).bit_length()) for size in range(17, 4097)]
"""Bits of a copy token's offset, by the octets expanded so far in the chunk (MS-OVBA 2.4.1.3.19.1)."""


def decompress(data: Content | memoryview, limit: int = _MAX_STREAM) -> bytes:
    """A compressed container (MS-OVBA 2.4.1) as far as it can be read.

    Arguments:
        limit: octets after which it stops.
    """
    return expanded(data, limit)[0]


def expanded(data: Content | memoryview, limit: int) -> tuple[bytes, int]:
    """As :func:`decompress`, and how much of ``limit`` was spent: chunks that hold nothing count as well."""
    if not data or data[0] != 1:
        return b"", 0
    out = bytearray()
    at, size, least = 1, len(data), 0
    while at + 2 <= size and len(out) < limit and least < limit:
        least += _CHUNK_COST
        header = data[at] | data[at + 1] << 8
        stop = min(size, at + (header & 0x0FFF) + 3)
        if header & 0x7000 != 0x3000:
            break
        if header & 0x8000:
            if not _expand_chunk(data, at + 2, stop, out):
                break
        else:
            out += data[at + 2 : min(size, at + 2 + 4096)]
        at = stop
    return bytes(out), max(len(out), least)


def _plan(flags: int) -> tuple[tuple[int, ...], int]:
    """How many literal octets stand before each copy token of a group, and how many behind the last."""
    runs, run = [], 0
    for bit in range(8):
        if flags >> bit & 1:
            runs.append(run)
            run = 0
        else:
            run += 1
    return tuple(runs), run


_PLANS = [_plan(flags) for flags in range(256)]


def _group(flags: int) -> tuple[Callable[[bytes, int], tuple[Any, ...]], int, int]:
    """What takes the literals and copy tokens of a group apart, how many octets they are, and how many of
    these are literals at the end."""
    runs, rest = _PLANS[flags]
    layout = struct.Struct(
        "<" + "".join(f"{run}sH" if run else "H" for run in runs) + f"{rest}s" * bool(rest)
    )
    return layout.unpack_from, layout.size, rest


_GROUPS = [_group(flags) for flags in range(256)]
_MOST_OCTETS = 16
"""Octets of a group at most, behind its flags."""


def _expand_sound(packed: bytes) -> bytearray | None:
    """Expand a chunk in which nothing is wrong, group by group; None where something is."""
    chunk = bytearray()
    at, end, done = 0, len(packed), 0
    padded = packed + bytes(_MOST_OCTETS)
    # Of a copy token, as long as no more octets are there than most.
    most, shift, mask = 16, 12, 0x0FFF
    while at < end:
        unpack, size, rest = _GROUPS[packed[at]]
        for item in unpack(padded, at + 1):
            if type(item) is int:
                if done > most:
                    bits = (done - 1).bit_length()
                    if bits > 12:
                        return None
                    most, shift, mask = 1 << bits, 16 - bits, 0xFFFF >> bits
                length = (item & mask) + 3
                distance = (item >> shift) + 1
                source = done - distance
                if source < 0:
                    return None
                done += length
                if length <= distance:
                    chunk += chunk[source : source + length]
                else:
                    chunk += (chunk[source:] * (length // distance + 1))[:length]
            else:
                chunk += item
                done += len(item)
        at += 1 + size
    if surplus := at - end:
        # The last group ends early, and what follows its last token is not there.
        if surplus > rest:
            return None
        del chunk[-surplus:]
    return chunk


def _expand_chunk(data: Content | memoryview, at: int, stop: int, out: bytearray) -> bool:
    """Expand what of a chunk stands before ``stop``; false if it is damaged."""
    packed = bytes(data[at:stop])
    if (sound := _expand_sound(packed)) is not None:
        out += sound
        return True
    return _expand_doubtful(packed, out)


def _expand_doubtful(packed: bytes, out: bytearray) -> bool:
    """Expand a chunk, octet by octet, as far as it can be read; false if it is damaged."""
    at, end, done = 0, len(packed), 0
    chunk = bytearray()
    try:
        while at < end:
            runs, rest = _PLANS[packed[at]]
            at += 1
            for run in runs:
                if run:
                    chunk += packed[at : at + run]
                    at += run
                    done += run
                token = packed[at] | packed[at + 1] << 8
                at += 2
                bits = _BITS[done]
                length = (token & (0xFFFF >> bits)) + 3
                distance = (token >> (16 - bits)) + 1
                if distance > done:
                    return False
                source = done - distance
                done += length
                if length <= distance:
                    chunk += chunk[source : source + length]
                else:
                    chunk += (chunk[source:] * (length // distance + 1))[:length]
            if rest:
                chunk += packed[at : at + rest]
                at += rest
                done += rest
    except IndexError:
        # The chunk ends within a token, or goes on beyond what one may expand to.
        return at >= end
    finally:
        out += chunk
    return True


@dataclass(slots=True)
class Module:
    """One module of a project.

    Arguments:
        stream: where it lies.
        code: its source, decoded byte by byte; ``""`` if it could not be read.
        readable: the source could be read, even if it is empty.
        stomped: compiled code is there, and its source is not.
        cut: there was more source than was asked for.
    """

    stream: str
    code: str
    readable: bool = True
    stomped: bool = False
    cut: bool = False
    normal: str = field(init=False, repr=False, compare=False)
    """See :func:`contentfilter.containers.vba_source.normal_source`."""

    def __post_init__(self) -> None:
        self.normal = normal_source(self.code)

    @property
    def executable(self) -> bool:
        """Whether it holds more than Attribute, Option and comment lines."""
        return self.stomped or has_code(self.normal)


def modules(file: CompoundFile, limit: int, references: list[str] | None = None) -> Iterator[Module]:
    """The modules of every VBA project in ``file``: by its ``dir`` stream, then what else looks like one.

    A directory that says nothing of modules counts as one that cannot be read.

    Arguments:
        limit: octets of source, and of directories, that are expanded in all. The last module handed out
            has :attr:`Module.cut` set when it was reached.
        references: gets the paths of projects and libraries that are loaded with the project.
    """
    by_name: dict[str, list[Entry]] = {}
    for stream in file.streams:
        by_name.setdefault(stream.key, []).append(stream)
    done: set[int] = set()
    room = limit
    for entry in by_name.get("dir", ()):
        directory, spent = expanded(file.read(entry, _MAX_STREAM), max(room, 0))
        room -= max(spent, _LEAST)
        if references is not None:
            references += _referenced(directory)
        listed = list(_listed(directory))
        if (
            not listed
            and _MODULES not in directory
            and entry.parent is not None
            and entry.parent.key == "vba"
        ):
            yield Module(entry.path, "", readable=False)
        for name, offset in listed:
            for stream in _same_name(by_name, name, entry.parent):
                if id(stream) in done:
                    continue
                done.add(id(stream))
                module, spent = _module(file, stream, offset, max(room, 0))
                room -= max(spent, _LEAST)
                module.cut = room <= 0
                yield module
                if module.cut:
                    return
    for stream in file.streams:
        if id(stream) in done or not 16 < stream.size <= _MAX_STREAM:
            continue
        code, spent = carved(file.read(stream, _MAX_STREAM), max(room, 0))
        room -= spent
        if code or room <= 0:
            yield Module(stream.path, code.decode("latin-1"), cut=room <= 0)
        if room <= 0:
            return


def _referenced(directory: bytes) -> Iterator[str]:
    """Paths in the references of a directory (MS-OVBA 2.1.1.8: LibidReference, ProjectReference)."""
    for match in itertools.islice(_REFERENCE.finditer(directory), _MAX_REFERENCES):
        text = match[2].decode("latin-1")
        pieces = text.split("#")
        yield pieces[3] if match[1] in b"GHgh" and len(pieces) > 3 else text


def _same_name(by_name: dict[str, list[Entry]], name: bytes, parent: Entry | None) -> list[Entry]:
    """Streams of that name, those beside the ``dir`` stream if there are any. The name is in the project's
    codepage, which we need not know: bytes are compared with the codepage's most likely encodings."""
    wanted = {name.decode(charset, "replace").lower() for charset in ("latin-1", "cp1252", "utf-8")}
    found = [stream for key in wanted for stream in by_name.get(key, ())]
    if not found and len(by_name) <= _MAX_MODULES:
        loose = (streams for key, streams in by_name.items() if _loosely(key, name))
        found = [stream for streams in loose for stream in streams if stream.parent is parent]
    return [stream for stream in found if stream.parent is parent] or found


def _loosely(key: str, name: bytes) -> bool:
    """Whether the ASCII in both is the same: then they differ in letters of the codepage at most."""
    return [c for c in key if c < "\x80"] == [chr(c).lower() for c in name if c < 0x80]


def _listed(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Stream names and source offsets from a decompressed ``dir`` stream (MS-OVBA 2.3.4.2)."""
    at, name, wide, count = 0, b"", b"", 0
    while at + 6 <= len(data) and count < _MAX_MODULES:
        kind, size = struct.unpack_from("<HI", data, at)
        if kind == 0x0009:
            size = 6  # PROJECTVERSION claims 4
        value = data[at + 6 : at + 6 + size]
        at += 6 + size
        if kind == 0x001A:
            name, wide = value, b""
        elif kind == 0x0032:
            wide = value
        elif kind == 0x0031 and len(value) == 4:
            count += 1
            yield name, int.from_bytes(value, "little")
            if wide and (other := wide.decode("utf-16-le", "replace").encode("utf-8")) != name:
                yield other, int.from_bytes(value, "little")


def _module(file: CompoundFile, stream: Entry, offset: int, limit: int) -> tuple[Module, int]:
    """The module in a stream, and how much of ``limit`` was spent on it."""
    data = file.read(stream, _MAX_STREAM)
    source, spent = expanded(memoryview(data)[offset:], limit)
    if not source:
        source, more = carved(data, max(limit - spent, 0))
        spent += more
    module = Module(stream.path, source.decode("latin-1"), bool(source))
    module.stomped = not has_code(module.normal) and _is_compiled(data[: offset or None], module.code)
    return module, spent


def carve(data: Content, limit: int) -> bytes:
    """Source found by how it begins, wherever in ``data`` it does; at most ``limit`` octets."""
    return carved(data, limit)[0]


def carved(data: Content, limit: int) -> tuple[bytes, int]:
    """As :func:`carve`, and how much of ``limit`` was spent: if all was, there may be more.

    What begins like source and is none counts as well: there may be hundreds of thousands.
    """
    at, out, view = data.find(MARK), bytearray(), memoryview(data)
    tried = 0
    while at >= 0 and len(out) < limit and tried < limit:
        tried += _MARK_COST
        # Before the mark stand the signature octet, the chunk header and, if compressed, the flags octet.
        for start in (at - 4, at - 3):
            if start >= 0 and data[start] == 1:
                code, spent = expanded(view[start:], limit - max(len(out), tried))
                tried += _LEAST if code else max(spent, _LEAST)
                if code:
                    out += code + b"\n"
                    break
        at = data.find(MARK, at + 8)
    return bytes(out[:limit]), max(len(out), tried)


def _is_compiled(data: Content, code: str) -> bool:
    """Whether a module's performance cache holds compiled code of which the source shows nothing."""
    at = data.rfind(_PCODE_MARK)
    if at < 0 or at + 6 > len(data):
        return False
    count = int.from_bytes(data[at + 4 : at + 6], "little")
    table, begin = at + 6, at + 6 + 12 * count + 10
    lines = 0
    for entry in range(table, min(table + 12 * count, len(data) - 11), 12):
        if int.from_bytes(data[entry + 4 : entry + 6], "little"):
            lines += 1
            place = begin + int.from_bytes(data[entry + 8 : entry + 12], "little")
            if int.from_bytes(data[place : place + 2], "little") & 0x3FF == _PROCEDURE:
                return True
    return lines > _shown_lines(code)


def _shown_lines(code: str) -> int:
    return sum(1 for line in code.splitlines() if line.strip() and not line.lower().startswith("attribute "))
