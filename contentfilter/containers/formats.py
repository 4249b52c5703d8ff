"""Which archive formats lie in some octets, told by their signatures at the place where each has its own.

Interface: :func:`find_formats`. What begins like an archive is one, even if the rest makes no sense: that is
said by whoever opens it. Programs for 7z, RAR and CAB also search for the signature behind other data
(self-extracting archives; anything that was put in front); there four octets are met by chance, so the header
behind them must hold as well.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from contentfilter.containers import arj
from contentfilter.content.limits import MIB
from contentfilter.content.needles import Needles

Content: TypeAlias = bytes | bytearray

STUB = 8 * MIB
"""Octets in front of an archive in which programs look for its signature; 7-Zip goes this far, RAR 4 MiB."""
_MAX_STUBS = 4
"""Archives of one kind that are opened behind other data."""
_MAX_TRIED = 20_000
"""Signatures without a header; what stands at the next ones is opened unseen."""


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of archive, and what libarchive needs to be told to read it.

    Arguments:
        kind: for people.
        formats: of libarchive.
        filters: likewise; all that may lie around such an archive.
        single: one compressed file, not an archive of several.
        options: as ``archive_read_set_options(3)`` takes them.
    """

    kind: str
    formats: tuple[str, ...]
    filters: tuple[str, ...] = ()
    single: bool = False
    options: str = ""


@dataclass(frozen=True, slots=True)
class Located:
    """An archive, and where in the data it begins."""

    format: Format
    start: int


def _compressed(kind: str, *filters: str) -> Format:
    return Format(kind, ("raw",), filters, single=True)


SEVEN_ZIP = Format("7z", ("7zip",))
RAR4 = Format("RAR", ("rar",))
RAR5 = Format("RAR 5", ("rar5",))
CAB = Format("CAB", ("cab",))
ISO = Format("ISO 9660", ("iso9660",))
LHA = Format("LHA", ("lha",), options="lha:hdrcharset=ISO-8859-1")
"""Names are in the charset of whoever made it, mostly Japanese. libarchive gives an archive up if it cannot
decode a name; in this charset every octet is a character, and those of a suffix are what they are."""
CPIO = Format("cpio", ("cpio",))
TAR = Format("TAR", ("tar",))
ARJ = Format("ARJ", ())
ZSTD, LZ4 = _compressed("Zstandard", "zstd"), _compressed("LZ4", "lz4")
RPM = Format("RPM", ("cpio",), ("rpm", "gzip", "bzip2", "xz", "lzma", "zstd"))

_STARTS: dict[bytes, Format] = {
    b"7z\xbc\xaf\x27\x1c": SEVEN_ZIP,
    b"Rar!\x1a\x07\x00": RAR4,
    b"Rar!\x1a\x07\x01\x00": RAR5,
    b"MSCF\0\0\0\0": CAB,
    b"!<arch>\n": Format("ar", ("ar",)),
    b"xar!": Format("XAR", ("xar",)),
    b"\xed\xab\xee\xdb": RPM,
    b"WARC/": Format("WARC", ("warc",)),
    b"\x28\xb5\x2f\xfd": ZSTD,
    b"\x04\x22\x4d\x18": LZ4,
    b"\x02\x21\x4c\x18": LZ4,
    b"LZIP\x01": _compressed("lzip", "lzip"),
    b"LZIP\x00": _compressed("lzip", "lzip"),
}
_MAGIC = tuple(_STARTS)
_COMPRESS = _compressed("compress", "compress")
_COMPRESS_START = re.compile(rb"\x1f\x9d[\x09-\x10\x89-\x90]")
"""Two octets, and one that says how long its codes become (9 to 16 bits)."""
_LHA = re.compile(rb"..-(?:lh[0-9a-z]|lz[0-9s]|pm[0-9s])-", re.DOTALL)
CPIO_START = re.compile(rb"0707(?:07[0-7]{70}|0[12][0-9A-Fa-f]{104})")
_CPIO_BINARY = (b"\xc7\x71", b"\x71\xc7")
_MAX_SKIPPED = 100
"""Frames without content in front of one that has some."""
_CABINET = b"MSCF"
_MAX_CABINET_NAME = 256
_STUBBED = (
    (Needles(b"7z\xbc\xaf\x27\x1c"), SEVEN_ZIP),
    (Needles(b"Rar!\x1a\x07"), RAR4),
    (Needles(_CABINET), CAB),
)


_ANY_STUBBED = Needles(b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", _CABINET)
"""All of them: most contents hold none."""


def find_formats(data: Content) -> Iterator[Located]:
    """The archives in ``data``: the one that it is, and those that lie behind something else."""
    start = _after_skipped(data)
    if (first := _at_start(data, start)) is not None:
        # A frame that reaches beyond the end is one that is cut off.
        yield Located(first, start if start < len(data) else 0)
    if data[0x8001:0x8006] in (b"CD001", b"BEA01"):
        yield Located(ISO, 0)
    for magic, kind in _STUBBED if _ANY_STUBBED.stand_in(data, 1, STUB) else ():
        yield from islice(_stubbed(data, magic, kind), _MAX_STUBS)


def _stubbed(data: Content, magic: Needles, kind: Format) -> Iterator[Located]:
    """The archives of one kind behind other data. Whoever hides one puts signatures in front of it that lead
    nowhere, so all are tried."""
    for tried, at in enumerate(magic.places(data, 1, STUB)):
        actual = RAR5 if kind is RAR4 and data[at + 6 : at + 8] == b"\x01\0" else kind
        if _header_holds(data, at, actual) or tried >= _MAX_TRIED:
            yield Located(actual, at)


def _after_skipped(data: Content) -> int:
    """Where the first frame of Zstandard or LZ4 begins that has content; both may have others in front."""
    at = 0
    for _ in range(_MAX_SKIPPED):
        if data[at + 1 : at + 4] != b"\x2a\x4d\x18" or not 0x50 <= data[at] <= 0x5F:
            return at
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
    return at


def _at_start(data: Content, start: int) -> Format | None:
    if data.startswith(_MAGIC, start):
        return next(kind for magic, kind in _STARTS.items() if data.startswith(magic, start))
    if start:
        # Frames without content alone are an archive of nothing.
        return ZSTD if start != len(data) else None
    if data.startswith(_CABINET) and _is_cabinet(data, 0):
        return CAB
    if data[:1] == b"\x1f" and _COMPRESS_START.match(data):
        return _COMPRESS
    if data.startswith(arj.MAGIC) and arj.is_arj(data):
        return ARJ
    if data[2:4] in (b"-l", b"-p") and _LHA.match(data):
        return LHA
    if data.startswith(b"0707") and CPIO_START.match(data):
        return CPIO
    if data.startswith(_CPIO_BINARY) and _is_binary_cpio(data):
        return CPIO
    return None


def _is_binary_cpio(data: Content) -> bool:
    """Two octets are met by chance; cpio(5) tells what else must hold."""
    order = "little" if data[0] == 0xC7 else "big"
    fields = [int.from_bytes(data[at : at + 2], order) for at in range(0, 26, 2)]  # type: ignore[arg-type]
    mode, name_size = fields[3], fields[10]
    kind_holds = mode & 0o170000 in (0o040000, 0o060000, 0o020000, 0o100000, 0o120000, 0o010000, 0)
    return kind_holds and 0 < name_size <= 1024 and data[25 + name_size : 26 + name_size] == b"\0"


def _header_holds(data: Content, at: int, kind: Format) -> bool:
    """Whether an archive of that kind begins at ``at``, as far as its first header tells."""
    if kind is SEVEN_ZIP:
        stored = int.from_bytes(data[at + 8 : at + 12], "little")
        return len(data) >= at + 32 and zlib.crc32(data[at + 12 : at + 32]) == stored
    if kind is RAR4:
        # The first block is the archive header (0x73); its size counts the seven octets that tell it.
        size = int.from_bytes(data[at + 12 : at + 14], "little")
        return data[at + 6 : at + 7] == b"\0" and data[at + 9 : at + 10] == b"\x73" and size >= 7
    if kind is RAR5:
        size, start = _rar_number(data, at + 12)
        header = data[at + 12 : start + size]
        return size > 0 and zlib.crc32(header) == int.from_bytes(data[at + 8 : at + 12], "little")
    return _is_cabinet(data, at)


def _rar_number(data: Content, at: int) -> tuple[int, int]:
    """A header's size, of up to three octets (RAR 5.0 archive format, "General archive block format"), and
    where it ends."""
    value = 0
    for shift in (0, 7, 14):
        octet = int.from_bytes(data[at : at + 1], "little")
        value, at = value | (octet & 0x7F) << shift, at + 1
        if octet < 0x80:
            return value, at
    return 0, at


def _is_cabinet(data: Content, at: int) -> bool:
    """Whether a cabinet begins there (MS-CAB 2.1). The reserved fields tell nothing, nor does the version:
    cabextract looks at neither, 7-Zip not at the version."""
    head = data[at : at + 36]
    if len(head) < 36 or not any(head[26:28]) or not any(head[28:30]):
        return False
    folders = int.from_bytes(head[26:28], "little")
    reserved = data[at + 36 : at + 40] if head[30] & 4 else b""
    behind = 36 + 8 * folders
    if len(reserved) == 4:
        behind += 4 + int.from_bytes(reserved[:2], "little") + folders * reserved[2]
    # The list of files is where the header says, or, to 7-Zip, behind the folders.
    names = (at + start + 16 for start in (int.from_bytes(head[16:20], "little"), behind))
    return any(at + 36 < name < data.find(b"\0", name, name + _MAX_CABINET_NAME) for name in names)
