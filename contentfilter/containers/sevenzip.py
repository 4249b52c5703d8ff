"""7z archives: their headers read by our own rules, to know what is locked and what unpacking costs.

Interface: :func:`read_7z` gives the folders (7z's word for a run of files compressed together) with their
coders, and where the packed streams lie; :func:`repaired` is the archive as 7-Zip takes it when its start
header was wiped. The members themselves are libarchive's work. A folder with the coder :data:`AES` is
encrypted: its properties, and ``SevenZip.packed``, are what somebody with a password needs.

Source: 7zFormat.txt of the LZMA SDK.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from dataclasses import dataclass, field
from typing import TypeAlias

from contentfilter.limits import KIB, MIB

Content: TypeAlias = bytes | bytearray

MAGIC = b"7z\xbc\xaf\x27\x1c"
AES = b"\x06\xf1\x07\x01"
COPY, LZMA, LZMA2, PPMD = b"\0", b"\x03\x01\x01", b"\x21", b"\x03\x04\x01"

_START = 32
"""Octets of the signature header, from which all positions are counted."""
_END, _HEADER, _PROPERTIES, _MORE_STREAMS, _MAIN_STREAMS = 0, 1, 2, 3, 4
_PACK_INFO, _UNPACK_INFO, _SIZE, _CRC, _FOLDER, _UNPACK_SIZE, _ENCODED = 6, 7, 9, 10, 11, 12, 0x17
_MAX_HEADER = 32 * MIB
_MAX_STREAMS = 100_000
_MAX_CODERS = 32
_MAX_LAYERS = 8
"""Times that a header may be compressed."""
_TAIL = 512
"""Octets at the end in which 7-Zip looks for a header that nothing points at."""


class SevenZipError(Exception):
    """Not to be read as a 7z archive.

    Arguments:
        reason: ``malformed``, ``unsupported`` or ``too-large``.
        detail: in words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Coder:
    """One step of the way from packed to plain.

    Arguments:
        method: its id.
        properties: what the method needs to know.
        inputs: streams that go in, when unpacking.
        outputs: streams that come out.
    """

    method: bytes
    properties: bytes
    inputs: int = 1
    outputs: int = 1

    @property
    def memory(self) -> int:
        """Octets of dictionary that unpacking takes."""
        if self.method == LZMA and len(self.properties) >= 5:
            return int.from_bytes(self.properties[1:5], "little")
        if self.method == LZMA2 and self.properties:
            bits = self.properties[0] & 63
            return 0xFFFFFFFF if bits >= 40 else (2 | bits & 1) << (bits // 2 + 11)
        if self.method == PPMD and len(self.properties) >= 5:
            return int.from_bytes(self.properties[1:5], "little")
        return 0


@dataclass(slots=True)
class Folder:
    """Files that are compressed together.

    Arguments:
        coders: their order says nothing; ``bonds`` ties them.
        bonds: pairs of input and output stream that are tied together.
        streams: inputs that come from packed streams, in the order of those.
        first: the first of its packed streams.
        sizes: octets that come out of each output.
        crc: of the unpacked data, where it is known.
    """

    coders: list[Coder]
    bonds: list[tuple[int, int]]
    streams: list[int]
    first: int = 0
    sizes: list[int] = field(default_factory=list)
    crc: int | None = None

    @property
    def encrypted(self) -> bool:
        return any(coder.method == AES for coder in self.coders)

    @property
    def memory(self) -> int:
        return sum(coder.memory for coder in self.coders)


@dataclass(slots=True)
class Streams:
    """Packed streams, and the folders made of them.

    Arguments:
        packed: position and size of each, in the octets that were given.
        folders: in their order.
    """

    packed: list[tuple[int, int]] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)


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
        reader = _Numbers(header)
        kind = reader.octet() if header else _END
        if kind == _HEADER:
            _read_header(reader, archive, start + _START)
            return archive
        if kind != _ENCODED:
            if header:
                raise SevenZipError("malformed", "no header")
            return archive
        archive.header = _read_streams(reader, start + _START)
        unpacked = _unpack_header(data, archive)
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
    at = max(
        data.rfind(bytes((_ENCODED, _PACK_INFO)), floor), data.rfind(bytes((_HEADER, _MAIN_STREAMS)), floor)
    )
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


def _unpack_header(data: Content, archive: SevenZip) -> bytes | None:
    """The header within a header; None if it cannot be unpacked here (``archive`` says why)."""
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
    if coder.method == COPY:
        return packed[:wanted]
    try:
        unpacked = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[_filter(coder)]).decompress(packed, wanted)
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


class _Numbers:
    """Takes a header apart, piece by piece.

    Raises:
        SevenZipError: it ends early.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def octet(self) -> int:
        return self.take(1)[0]

    def take(self, size: int) -> bytes:
        raw = self._data[self._at : self._at + size]
        if len(raw) < size:
            raise SevenZipError("malformed", "its header ends early")
        self._at += size
        return raw

    def number(self) -> int:
        """As many octets follow the first as it has ones in front; its other bits are the highest."""
        first = self.octet()
        mask, value = 0x80, 0
        for count in range(8):
            if not first & mask:
                return value | (first & (mask - 1)) << (8 * count)
            value |= self.octet() << (8 * count)
            mask >>= 1
        return value

    def count(self, limit: int) -> int:
        value = self.number()
        if value > limit:
            raise SevenZipError("too-large", "its header")
        return value

    def checksums(self, count: int) -> list[int | None]:
        if self.octet():
            defined = [True] * count
        else:
            bits = self.take((count + 7) // 8)
            defined = [bool(bits[n // 8] & 0x80 >> n % 8) for n in range(count)]
        return [int.from_bytes(self.take(4), "little") if there else None for there in defined]


def _read_header(reader: _Numbers, archive: SevenZip, base: int) -> None:
    kind = reader.octet()
    if kind == _PROPERTIES:
        while reader.number():
            reader.take(reader.number())
        kind = reader.octet()
    if kind == _MORE_STREAMS:
        _read_streams(reader, base)
        kind = reader.octet()
    if kind == _MAIN_STREAMS:
        archive.main = _read_streams(reader, base)


def _read_streams(reader: _Numbers, base: int) -> Streams:
    streams = Streams()
    kind = reader.number()
    if kind == _PACK_INFO:
        at = base + reader.number()
        count = reader.count(_MAX_STREAMS)
        while (kind := reader.number()) != _END:
            if kind == _SIZE:
                for _ in range(count):
                    size = reader.number()
                    streams.packed.append((at, size))
                    at += size
            elif kind == _CRC:
                reader.checksums(count)
            else:
                raise SevenZipError("malformed", "its header")
        kind = reader.number()
    if kind == _UNPACK_INFO:
        _read_folders(reader, streams)
        kind = reader.number()
    # How the folders are divided into files follows; that is for whoever unpacks them.
    return streams


def _read_folders(reader: _Numbers, streams: Streams) -> None:
    if reader.number() != _FOLDER:
        raise SevenZipError("malformed", "its header")
    count = reader.count(_MAX_STREAMS)
    if reader.octet():
        raise SevenZipError("unsupported", "folders in a stream of their own")
    first = 0
    for _ in range(count):
        folder = _read_folder(reader)
        folder.first = first
        first += len(folder.streams)
        streams.folders.append(folder)
    if reader.number() != _UNPACK_SIZE:
        raise SevenZipError("malformed", "its header")
    for folder in streams.folders:
        folder.sizes = [reader.number() for coder in folder.coders for _ in range(coder.outputs)]
    while (kind := reader.number()) != _END:
        if kind != _CRC:
            raise SevenZipError("malformed", "its header")
        for folder, crc in zip(streams.folders, reader.checksums(count), strict=True):
            folder.crc = crc


def _read_folder(reader: _Numbers) -> Folder:
    coders = []
    for _ in range(reader.count(_MAX_CODERS)):
        flags = reader.octet()
        method = reader.take(flags & 15)
        inputs, outputs = (reader.count(_MAX_CODERS), reader.count(_MAX_CODERS)) if flags & 0x10 else (1, 1)
        properties = reader.take(reader.count(_MAX_STREAMS)) if flags & 0x20 else b""
        coders.append(Coder(method, properties, inputs, outputs))
    inputs, outputs = sum(coder.inputs for coder in coders), sum(coder.outputs for coder in coders)
    if not outputs:
        raise SevenZipError("malformed", "a folder without coders")
    bonds = [(reader.number(), reader.number()) for _ in range(outputs - 1)]
    free = inputs - len(bonds)
    if free <= 0:
        raise SevenZipError("malformed", "a folder without data")
    if free == 1:
        tied = {bond[0] for bond in bonds}
        streams = [number for number in range(inputs) if number not in tied][:1]
    else:
        streams = [reader.number() for _ in range(free)]
    return Folder(coders, bonds, streams)
