"""The reader of 7z headers, behind its checksums."""

from __future__ import annotations

import contextlib
import struct
import zlib

from contentfilter.containers.sevenzip import packed_streams, read_7z, repaired, write_7z
from contentfilter.containers.sevenzip_streams import Numbers, SevenZipError, read_names, read_streams
from tests.samples.sevenzip import AES, COPY, LZMA2, compressed, locked, seven_zip, stored
from tests.samples.written import written

_WHOLE = [
    seven_zip(stored("a", b"text"), compressed("b", b"text"), locked("c")),
    seven_zip(stored("a", b"text"), packed_header=(LZMA2,)),
    seven_zip(stored("a", b"text"), packed_header=(AES, LZMA2)),
    seven_zip(stored("a", b"text"), packed_header=(COPY,)),
    written("7zip", {"a": b"text" * 20, "b": b"", "c": b"x"}),
]
SEEDS = [*_WHOLE, *(data[32:] for data in _WHOLE)]


def target(data: bytes) -> None:
    # As it is, and as the header of an archive whose checksums are right: else none would get past them.
    fields = struct.pack("<QQI", 0, len(data), zlib.crc32(data))
    sealed = b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(fields)) + fields + data
    for octets in (data, sealed):
        repaired(octets)
        with contextlib.suppress(SevenZipError):
            streams = read_7z(octets).main
            for folder in streams.folders:
                assert folder.memory >= 0
                packed = packed_streams(octets, streams, folder)
                if len(packed) == len(folder.streams) and folder.files:
                    write_7z([(folder, packed)])
    with contextlib.suppress(SevenZipError):
        reader = Numbers(data)
        read_names(reader, read_streams(reader, 32))
