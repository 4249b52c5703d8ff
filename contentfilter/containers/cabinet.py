"""Microsoft cabinets (MS-CAB), by our own rules; of the compressions, LZX alone is left to libarchive.

libarchive reads cabinets too, but a damaged one can crash it, so it gets to see only what is written here.

Interface: :func:`read_cabinet` lists the files and the folders (runs of data that files are cut out of);
:func:`unpack` gives the data of a folder.
"""

from __future__ import annotations

import contextlib
import itertools
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from contentfilter.containers.libarchive import ArchiveError, Reader

Content: TypeAlias = bytes | bytearray

MAGIC = b"MSCF"
NONE, MSZIP, QUANTUM, LZX = 0, 1, 2, 3
_HEADER = struct.Struct("<4sIIIIIBBHHHHH")
_FOLDER, _FILE, _BLOCK = struct.Struct("<IHH"), struct.Struct("<IIHHHH"), struct.Struct("<IHH")
_PREVIOUS, _NEXT, _RESERVE = 1, 2, 4
_CUT = frozenset({0xFFFD, 0xFFFE, 0xFFFF})
"""Numbers of a folder that continues from the cabinet before, or in the next."""
_UTF8_NAME = 0x80
_WINDOW = 32 * 1024
_MAX_BLOCK = 0x8000 + 6144
"""Octets of one packed block (MS-CAB 2.4)."""


class CabinetError(Exception):
    """Not to be read as a cabinet."""


@dataclass(frozen=True, slots=True)
class CabinetFile:
    """A file: ``size`` octets from ``offset`` of a folder; ``folder`` is None if another cabinet has it."""

    name: str
    size: int
    offset: int
    folder: int | None


@dataclass(frozen=True, slots=True)
class CabinetFolder:
    """A run of compressed data.

    Arguments:
        kind: how it is compressed, with the size of the window.
        start: position of its first block.
        count: of the blocks.
    """

    kind: int
    start: int
    count: int

    @property
    def method(self) -> int:
        return self.kind & 15


@dataclass(slots=True)
class Cabinet:
    """What the headers say.

    Arguments:
        start: position of the cabinet.
        files: in their order.
        folders: likewise.
        split: it continues another cabinet, or in another one.
        reserve: octets between a block's header and its data.
        problem: what is wrong, in words; empty for a sane cabinet.
        truncated: there are more files than were asked for.
    """

    start: int
    files: list[CabinetFile] = field(default_factory=list)
    folders: list[CabinetFolder] = field(default_factory=list)
    split: bool = False
    reserve: int = 0
    problem: str = ""
    truncated: bool = False


def read_cabinet(data: Content, start: int, limit: int) -> Cabinet:
    """The cabinet whose signature stands at ``start``.

    Arguments:
        limit: files that are listed.

    Raises:
        CabinetError: its header cannot be read.
    """
    if data[start : start + 4] != MAGIC or len(data) < start + _HEADER.size:
        raise CabinetError("ends within its header")
    fields = _HEADER.unpack_from(data, start)
    files_at, folder_count, file_count, flags = start + fields[4], fields[8], fields[9], fields[10]
    cabinet = Cabinet(start, split=bool(flags & (_PREVIOUS | _NEXT)))
    at = start + _HEADER.size
    folder_reserve = 0
    if flags & _RESERVE:
        if at + 4 > len(data):
            raise CabinetError("ends within its header")
        header_reserve, folder_reserve, cabinet.reserve = struct.unpack_from("<HBB", data, at)
        at += 4 + header_reserve
    for flag in (_PREVIOUS, _NEXT):
        for _ in range(2 if flags & flag else 0):
            at = data.find(b"\0", at, at + 256) + 1
            if not at:
                raise CabinetError("its header breaks off")
    for _ in range(folder_count):
        if at + _FOLDER.size > len(data):
            cabinet.problem = "ends within its folders"
            return cabinet
        offset, count, kind = _FOLDER.unpack_from(data, at)
        cabinet.folders.append(CabinetFolder(kind, start + offset, count))
        at += _FOLDER.size + folder_reserve
    _read_files(data, files_at, file_count, cabinet, limit)
    if files_at != at:
        # 7-Zip looks for them behind the folders, wherever the header says.
        problem, number = cabinet.problem, len(cabinet.files)
        _read_files(data, at, file_count, cabinet, limit)
        if not any(file.name and file.size and file.folder is not None for file in cabinet.files[number:]):
            del cabinet.files[number:]
            cabinet.problem = problem
        else:
            cabinet.problem = problem or "two lists of files"
    if not file_count:
        cabinet.problem = "no files"
    return cabinet


def _read_files(data: Content, at: int, count: int, cabinet: Cabinet, limit: int) -> None:
    """Take in the list of files that begins there, as far as it can be read."""
    for _ in range(count):
        end = data.find(b"\0", at + _FILE.size, at + _FILE.size + 1024)
        if end < 0 or at + _FILE.size > len(data):
            cabinet.problem = "ends within its list of files"
            return
        if len(cabinet.files) >= limit:
            cabinet.truncated = True
            return
        size, offset, folder, _date, _time, attributes = _FILE.unpack_from(data, at)
        raw = bytes(data[at + _FILE.size : end])
        name = raw.decode("utf-8" if attributes & _UTF8_NAME else "cp1252", "replace").replace("\\", "/")
        if folder not in _CUT and folder >= len(cabinet.folders):
            cabinet.problem = "a file in no folder"
        where = folder if folder < len(cabinet.folders) else None
        cabinet.files.append(CabinetFile(name, size, offset, where))
        at = end + 1


@dataclass(slots=True)
class Unpacked:
    """The data of a folder, as much as there is; ``problem`` says why it is not all."""

    data: bytearray
    problem: str = ""
    detail: str = ""


def unpack(
    data: Content, cabinet: Cabinet, folder: CabinetFolder, limit: int, late: Callable[[], bool]
) -> Unpacked:
    """The data of a folder.

    Arguments:
        limit: octets that may come out.
        late: whether to stop, asked for each block.
    """
    if folder.method == LZX:
        return _by_libarchive(data, cabinet, folder, limit, late)
    if folder.method not in (NONE, MSZIP):
        return Unpacked(bytearray(), "unsupported", "compressed by Quantum or another method")
    out = bytearray()
    for number, (packed, _size) in enumerate(_blocks(data, cabinet, folder, beyond=True)):
        if late():
            return Unpacked(out, "timed-out", "the rest")
        if number >= folder.count and (packed is None or len(out) >= limit):
            # cabextract goes on as long as a file says that there is more of it.
            break
        if packed is None:
            return Unpacked(out, "malformed", "ends within its data")
        if folder.method == NONE:
            out += packed
        elif (problem := _inflate(packed, out)) is not None:
            return Unpacked(out, "malformed", problem)
        if len(out) > limit:
            del out[limit:]
            return Unpacked(out, "too-large", "expands to more than is looked at")
    return Unpacked(out)


def _inflate(packed: bytes, out: bytearray) -> str | None:
    """One block of MSZIP: a deflate stream that may refer to 32 KiB before it."""
    if packed[:2] != b"CK":
        return "no block of MSZIP"
    window = bytes(out[-_WINDOW:])
    stream = _stream(window)
    try:
        out += stream.decompress(packed[2:], _WINDOW + 1)
    except zlib.error:
        # With the damaged octet all is lost that went in at once; programs keep what came before.
        stream = _stream(window)
        with contextlib.suppress(zlib.error):
            for at in range(2, len(packed)):
                out += stream.decompress(packed[at : at + 1], _WINDOW + 1)
        return "damaged block of MSZIP"
    return None


def _stream(window: bytes) -> zlib._Decompress:
    return zlib.decompressobj(-15, zdict=window) if window else zlib.decompressobj(-15)


def _blocks(
    data: Content, cabinet: Cabinet, folder: CabinetFolder, beyond: bool = False
) -> Iterator[tuple[bytes | None, int]]:
    """Packed data and unpacked size of each block; None where it ends early.

    Arguments:
        beyond: also of what follows those that the folder says it has.
    """
    at = folder.start
    for _ in itertools.count() if beyond else range(folder.count):
        if at + _BLOCK.size > len(data):
            yield None, 0
            return
        _sum, size, unpacked = _BLOCK.unpack_from(data, at)
        start = at + _BLOCK.size + cabinet.reserve
        at = start + size
        if at > len(data) or size > _MAX_BLOCK:
            yield None, 0
            return
        yield bytes(data[start:at]), unpacked


def _by_libarchive(
    data: Content, cabinet: Cabinet, folder: CabinetFolder, limit: int, late: Callable[[], bool]
) -> Unpacked:
    """The folder as a cabinet that holds one file, all of its data."""
    blocks, total = [], 0
    problem = ""
    for packed, size in _blocks(data, cabinet, folder):
        if packed is None or not packed or not 0 < size <= 0x8000:
            # Data that goes on in the next cabinet, or damage: what is before it can still be had.
            problem = "malformed"
            break
        blocks.append(_BLOCK.pack(0, len(packed), size) + packed)
        total += size
        if total > limit:
            break
    if not blocks:
        return Unpacked(bytearray(), problem, "no data")
    head = _HEADER.size + _FOLDER.size
    name = _FILE.pack(total, 0, 0, 0x21, 0, 0x20) + b"x\0"
    body = b"".join(blocks)
    start = head + len(name)
    out = _HEADER.pack(MAGIC, 0, start + len(body), 0, head, 0, 3, 1, 1, 1, 0, 0, 0)
    out += _FOLDER.pack(start, len(blocks), folder.kind) + name + body
    try:
        with Reader(out, ("cab",)) as reader:
            for _entry in reader.entries():
                result = reader.extract(limit, late)
                return Unpacked(result.data, result.problem or problem, result.detail)
    except ArchiveError as error:
        return Unpacked(bytearray(), error.reason, error.detail)
    return Unpacked(bytearray(), "malformed", "no data")
