"""Filters of 7z folders that libarchive applies behind LZMA2 alone, or does not know.

A filter turns addresses in machine code, or differences, into what packs better. 7-Zip puts one before any
method when it meets a program, so that a program packed with PPMd would come out of libarchive damaged.
Interface: :func:`is_filtered`, :func:`without_filter`.

Source: Methods.txt of the LZMA SDK for the ids; the .xz file format 5.3 and LZMA2's chunks for liblzma.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Callable, Sequence
from typing import Any

from contentfilter.containers.formats import SEVEN_ZIP
from contentfilter.containers.libarchive import ArchiveError, Reader
from contentfilter.containers.sevenzip import write_7z
from contentfilter.containers.sevenzip_streams import COPY, LZMA, LZMA2, PPMD, Coder, FileEntry, Folder

_DELTA, _X86, _ARM64, _RISCV = b"\x03", b"\x03\x03\x01\x03", b"\x0a", b"\x0b"
_FILTERS = {
    _DELTA: lzma.FILTER_DELTA,
    _X86: lzma.FILTER_X86,
    b"\x03\x03\x02\x05": lzma.FILTER_POWERPC,
    b"\x03\x03\x04\x01": lzma.FILTER_IA64,
    b"\x03\x03\x05\x01": lzma.FILTER_ARM,
    b"\x03\x03\x07\x01": lzma.FILTER_ARMTHUMB,
    b"\x03\x03\x08\x05": lzma.FILTER_SPARC,
}
_UNKNOWN = frozenset({_ARM64, _RISCV})
"""Not in every liblzma. They change so little of a program that it can still be told."""
_STORED = 1 << 16
"""Octets that a chunk of LZMA2 takes as they are."""


def is_filtered(folder: Folder) -> bool:
    """Whether its filter is one that libarchive does not apply. Other chains of coders nobody makes."""
    if len(folder.coders) != 2 or any(coder.inputs != 1 or coder.outputs != 1 for coder in folder.coders):
        return False
    filters = [
        coder.method for coder in folder.coders if coder.method in _FILTERS or coder.method in _UNKNOWN
    ]
    base = folder.coders[_base(folder)].method
    if len(filters) != 1 or len(folder.sizes) != 2 or folder.encrypted:
        return False
    if base == LZMA:
        # libarchive loses the last octets of what is no multiple of the filter's unit.
        return filters[0] not in (_X86, _DELTA)
    return filters[0] in _UNKNOWN or (base != LZMA2 and (filters[0] != _X86 or base == PPMD))


def without_filter(
    folder: Folder, streams: Sequence[bytes], limit: int, late: Callable[[], bool]
) -> tuple[Folder, list[bytes], str]:
    """The folder as its content is, stored; its packed stream, and what is wrong, if anything.

    Arguments:
        folder: one that :func:`is_filtered`.
        streams: its packed streams.
        limit: octets that may come out.
        late: whether to stop.
    """
    base = _base(folder)
    size = folder.sizes[base]
    packed = Folder([folder.coders[base]], [], [0], sizes=[size], files=[FileEntry(size, None, "content")])
    data, problem = b"", "malformed"
    try:
        with Reader(write_7z([(packed, list(streams))]), SEVEN_ZIP.formats, SEVEN_ZIP.filters) as reader:
            for _entry in reader.entries():
                result = reader.extract(min(limit, size), late)
                data, problem = bytes(result.data), result.problem
    except ArchiveError as error:
        problem = error.reason
    coder = folder.coders[1 - base]
    files = folder.files
    if coder.method in _UNKNOWN:
        files = [FileEntry(entry.size, None, entry.name) for entry in files]
        problem = problem or "unsupported"
    else:
        data = _undone(coder, data)
    return Folder([Coder(COPY, b"")], [], [0], sizes=[len(data)], crc=None, files=files), [data], problem


def _base(folder: Folder) -> int:
    """Which of two coders reads the packed stream."""
    return 0 if folder.streams == [0] else 1


def _undone(coder: Coder, data: bytes) -> bytes:
    """``data`` without the filter. liblzma has filters before LZMA2 only, which takes data as they are."""
    choice: dict[str, Any] = {"id": _FILTERS[coder.method]}
    if coder.method == _DELTA:
        choice["dist"] = coder.properties[0] + 1 if coder.properties else 1
    chunks: list[bytes] = []
    for at in range(0, len(data), _STORED):
        chunk = data[at : at + _STORED]
        chunks += (b"\2" if at else b"\1", struct.pack(">H", len(chunk) - 1), chunk)
    chunks.append(b"\0")
    filters = [choice, {"id": lzma.FILTER_LZMA2, "dict_size": _STORED}]
    return lzma.decompress(b"".join(chunks), lzma.FORMAT_RAW, filters=filters)
