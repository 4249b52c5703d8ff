"""7z archives: their headers read by our own rules, to know what is locked and what unpacking costs.

Interface: :func:`read_7z` gives the folders (7z's word for a run of files compressed together) with their
coders and files, and where the packed streams lie; :func:`repaired` is the archive as 7-Zip takes it when its
start header was wiped; :func:`write_7z` makes an archive of some folders, for libarchive to expand. A folder
with the coder ``AES`` is encrypted: who has a password decrypts its packed stream
(:func:`packed_streams`), takes the coder out (``Folder.without_coder``) and writes the rest anew.

Source: 7zFormat.txt of the LZMA SDK.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from contentfilter.containers.sevenzip_streams import (
    COPY,
    COUNT,
    CRC,
    ENCODED,
    END,
    FILES,
    FOLDER,
    HEADER,
    LZMA,
    LZMA2,
    MAIN_STREAMS,
    MORE_STREAMS,
    NAMES,
    PACK_INFO,
    PROPERTIES,
    SIZE,
    SUBSTREAMS,
    UNPACK_INFO,
    UNPACK_SIZE,
    Coder,
    Folder,
    Numbers,
    SevenZipError,
    Streams,
    read_names,
    read_streams,
)
from contentfilter.content.limits import KIB, MIB

Content: TypeAlias = bytes | bytearray

MAGIC = b"7z\xbc\xaf\x27\x1c"

_START = 32
"""Octets of the signature header, from which all positions are counted."""
_MAX_HEADER = 32 * MIB
_MAX_LAYERS = 8
"""Times that a header may be compressed."""
_TAIL = 512
"""Octets at the end in which 7-Zip looks for a header that nothing points at."""


@dataclass(slots=True)
class SevenZip:
    """What the headers say.

    Arguments:
        main: streams of the members.
        header: streams of the header, if it is compressed; of the layer that is encrypted, if ``locked``.
        locked: the header is encrypted, so that nothing more can be seen.
        opaque: the header is compressed by something that is not unpacked here.
    """

    main: Streams = field(default_factory=Streams)
    header: Streams = field(default_factory=Streams)
    locked: bool = False
    opaque: bool = False


def read_7z(data: Content, start: int = 0) -> SevenZip:
    """The archive whose signature stands at ``start``.

    Raises:
        SevenZipError: it cannot be read.
    """
    header = _next_header(data, start)
    archive = SevenZip()
    for _ in range(_MAX_LAYERS):
        reader = Numbers(header)
        kind = reader.octet() if header else END
        if kind == HEADER:
            _read_header(reader, archive, start + _START)
            return archive
        if kind != ENCODED:
            if header:
                raise SevenZipError("malformed", "no header")
            return archive
        archive.header = read_streams(reader, start + _START)
        unpacked = unpack_header(data, archive)
        if unpacked is None:
            return archive
        header = unpacked
    raise SevenZipError("malformed", "a header within a header within a header")


def repaired(data: Content, start: int = 0) -> bytes | None:
    """The archive, if its start header is wiped and a header can be found at its end; None otherwise.

    7-Zip opens such a file (an interrupted compression leaves it so), and libarchive finds nothing in it.
    """
    if any(data[start + 8 : start + _START]) or len(data) < start + _START + 2:
        return None
    floor = max(start + _START, len(data) - _TAIL)
    at = max(data.rfind(bytes((ENCODED, PACK_INFO)), floor), data.rfind(bytes((HEADER, MAIN_STREAMS)), floor))
    if at < 0:
        return None
    header = bytes(data[at:])
    fields = struct.pack("<QQI", at - start - _START, len(header), zlib.crc32(header))
    return (
        bytes(data[start : start + 8])
        + struct.pack("<I", zlib.crc32(fields))
        + fields
        + bytes(data[start + _START :])
    )


def with_header(data: Content, start: int, header: bytes) -> bytes:
    """The archive that begins at ``start``, with that header in place of its own."""
    body = bytes(data[start + _START :])
    fields = struct.pack("<QQI", len(body), len(header), zlib.crc32(header))
    return MAGIC + b"\0\4" + struct.pack("<I", zlib.crc32(fields)) + fields + body + header


def _next_header(data: Content, start: int) -> bytes:
    if data[start : start + len(MAGIC)] != MAGIC or len(data) < start + _START:
        raise SevenZipError("malformed", "ends within the signature header")
    crc, offset, size, header_crc = struct.unpack_from("<IQQI", data, start + 8)
    if zlib.crc32(data[start + 12 : start + _START]) != crc:
        raise SevenZipError("malformed", "the start header's checksum is wrong")
    at = start + _START + offset
    if at + size > len(data):
        raise SevenZipError("malformed", "ends before its header")
    if size > _MAX_HEADER:
        raise SevenZipError("too-large", "its header")
    header = bytes(data[at : at + size])
    if zlib.crc32(header) != header_crc:
        raise SevenZipError("malformed", "the header's checksum is wrong")
    return header


def unpack_header(data: Content, archive: SevenZip) -> bytes | None:
    """The header within a header; None if it cannot be unpacked here (``archive`` says why).

    Arguments:
        data: what the positions in ``archive.header`` count in.

    Raises:
        SevenZipError: it is damaged.
    """
    if not archive.header.folders or not archive.header.packed:
        raise SevenZipError("malformed", "a compressed header without data")
    folder = archive.header.folders[0]
    if folder.encrypted:
        archive.locked = True
        return None
    if len(folder.coders) != 1 or folder.coders[0].method not in (COPY, LZMA, LZMA2) or not folder.sizes:
        archive.opaque = True
        return None
    at, size = archive.header.packed[0]
    packed, coder, wanted = bytes(data[at : at + size]), folder.coders[0], folder.sizes[0]
    if wanted > _MAX_HEADER:
        raise SevenZipError("too-large", "its header")
    try:
        if coder.method == COPY:
            unpacked = packed[:wanted]
        else:
            stream = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[_filter(coder)])
            unpacked = stream.decompress(packed, wanted)
    except (lzma.LZMAError, ValueError, IndexError):
        raise SevenZipError("malformed", "its compressed header") from None
    if len(unpacked) < wanted or (folder.crc is not None and zlib.crc32(unpacked) != folder.crc):
        raise SevenZipError("malformed", "its compressed header")
    return unpacked


def _filter(coder: Coder) -> dict[str, int]:
    # A dictionary longer than the header is of no use to anybody.
    size = min(max(coder.memory, 4 * KIB), _MAX_HEADER)
    if coder.method == LZMA2:
        return {"id": lzma.FILTER_LZMA2, "dict_size": size}
    byte = coder.properties[0]
    return {
        "id": lzma.FILTER_LZMA1,
        "dict_size": size,
        "lc": byte % 9,
        "lp": byte // 9 % 5,
        "pb": byte // 45,
    }


def _read_header(reader: Numbers, archive: SevenZip, base: int) -> None:
    kind = reader.octet()
    if kind == PROPERTIES:
        while reader.number():
            reader.take(reader.number())
        kind = reader.octet()
    if kind == MORE_STREAMS:
        read_streams(reader, base)
        kind = reader.octet()
    if kind == MAIN_STREAMS:
        archive.main = read_streams(reader, base)
        kind = reader.octet()
    if kind == FILES:
        read_names(reader, archive.main)


def packed_streams(data: Content, streams: Streams, folder: Folder) -> list[bytes]:
    """The packed streams of a folder, in the order of ``folder.streams``."""
    places = streams.packed[folder.first : folder.first + len(folder.streams)]
    return [bytes(data[at : at + size]) for at, size in places]


def write_7z(folders: Iterable[tuple[Folder, list[bytes]]]) -> bytes:
    """An archive of folders with their packed streams, whose header is not compressed."""
    listed = list(folders)
    packed = [stream for _folder, streams in listed for stream in streams]
    out = bytearray((HEADER, MAIN_STREAMS, PACK_INFO)) + _number(0) + _number(len(packed))
    out += bytes((SIZE,)) + b"".join(_number(len(stream)) for stream in packed) + bytes((END,))
    out += bytes((UNPACK_INFO, FOLDER)) + _number(len(listed)) + b"\0"
    out += b"".join(_folder(folder) for folder, _streams in listed)
    out += bytes((UNPACK_SIZE,)) + b"".join(_number(size) for folder, _ in listed for size in folder.sizes)
    out += bytes((END, SUBSTREAMS, COUNT)) + b"".join(_number(len(folder.files)) for folder, _ in listed)
    out += bytes((SIZE,))
    out += b"".join(_number(entry.size) for folder, _ in listed for entry in folder.files[:-1])
    files = [entry for folder, _streams in listed for entry in folder.files]
    out += bytes((CRC,)) + _checksums([entry.crc for entry in files]) + bytes((END, END))
    names = b"\0" + b"".join(entry.name.encode("utf-16-le", "replace") + b"\0\0" for entry in files)
    out += bytes((FILES,)) + _number(len(files)) + bytes((NAMES,)) + _number(len(names)) + names
    out += bytes((END, END))
    body = b"".join(packed)
    fields = struct.pack("<QQI", len(body), len(out), zlib.crc32(out))
    return MAGIC + b"\0\4" + struct.pack("<I", zlib.crc32(fields)) + fields + body + out


def _folder(folder: Folder) -> bytes:
    out = _number(len(folder.coders))
    for coder in folder.coders:
        flags = len(coder.method) | (0x20 if coder.properties else 0)
        simple = coder.inputs == coder.outputs == 1
        out += bytes((flags if simple else flags | 0x10,)) + coder.method
        out += b"" if simple else _number(coder.inputs) + _number(coder.outputs)
        out += _number(len(coder.properties)) + coder.properties if coder.properties else b""
    out += b"".join(_number(takes) + _number(gives) for takes, gives in folder.bonds)
    return out + (b"".join(map(_number, folder.streams)) if len(folder.streams) > 1 else b"")


def _checksums(values: list[int | None]) -> bytes:
    bits = bytearray((len(values) + 7) // 8)
    for number, value in enumerate(values):
        if value is not None:
            bits[number // 8] |= 0x80 >> number % 8
    known = b"".join(struct.pack("<I", value) for value in values if value is not None)
    return b"\0" + bytes(bits) + known


def _number(value: int) -> bytes:
    return bytes((value,)) if value < 0x80 else b"\xff" + struct.pack("<Q", value)
