"""Where archives begin behind something else, of kinds that only 7-Zip looks for there.

Their signatures are short, so what follows must hold as well: a checksum, or fields of the header.
:mod:`contentfilter.containers.formats` tells 7z, RAR and CAB, which other programs look for too.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from contentfilter.containers import zstandard
from contentfilter.containers.arj import MAGIC as ARJ
from contentfilter.containers.arj import is_arj
from contentfilter.containers.formats import CPIO_START, STUB
from contentfilter.containers.tar_header import is_header
from contentfilter.content.needles import Needles

Content: TypeAlias = bytes | bytearray

MAX_EACH = 4
"""Archives of one kind that are told."""
_MAX_TRIED = 200_000
"""Signatures that are looked at; more lie in nothing honest."""
_MAX_SUMS = 20_000
"""Headers whose checksum is looked at, likewise."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of archive.

    Arguments:
        name: for people.
        signs: what stands in it; their first three octets are those of no other kind.
        before: octets in front of that which belong to the archive.
        holds: whether one begins at a place.
        sums: for this checksums are made.
    """

    name: str
    signs: tuple[bytes, ...]
    before: int
    holds: Callable[[Content, int], bool]
    sums: bool = False


_GZIP = re.compile(rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04][\x00-\x0d\xff]", re.DOTALL)
_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_DESCRIPTORS = (b"CD001\1", b"BEA01\1")
"""Of ISO 9660, and of UDF."""
_DISC_SECTOR, _DISC_FRONT = 2048, 0x8000
_WIM_HEADER = 208


def _is_xz(data: Content, at: int) -> bool:
    return zlib.crc32(data[at + 6 : at + 8]) == int.from_bytes(data[at + 8 : at + 12], "little")


def _is_xar(data: Content, at: int) -> bool:
    size, version = data[at + 4 : at + 6], data[at + 6 : at + 8]
    return 28 <= int.from_bytes(size, "big") <= 512 and version == b"\0\1"


def _is_wim(data: Content, at: int) -> bool:
    return int.from_bytes(data[at + 8 : at + 12], "little") == _WIM_HEADER


def _is_lha(data: Content, at: int) -> bool:
    """Whether a member's header begins there: of level 0 or 1 with its checksum, of level 2 with its size."""
    if data[at + 6 : at + 7] != b"-":
        return False
    level = data[at + 20 : at + 21]
    if level in (b"\0", b"\1"):
        size = data[at]
        return size >= 20 and sum(data[at + 2 : at + 2 + size]) & 0xFF == data[at + 1]
    return level == b"\2" and 26 <= int.from_bytes(data[at : at + 2], "little") <= len(data) - at


def _is_arj(data: Content, at: int) -> bool:
    size = int.from_bytes(data[at + 2 : at + 4], "little")
    header = data[at + 4 : at + 4 + size]
    return zlib.crc32(header) == int.from_bytes(data[at + 4 + size : at + 8 + size], "little")


def _is_disc(data: Content, at: int) -> bool:
    """Whether the first descriptor of an image stands where one has it."""
    first = at + _DISC_FRONT
    return data[first] <= 3 and not data.startswith(_DESCRIPTORS, first + 1 - _DISC_SECTOR)


def _matches(pattern: re.Pattern[bytes]) -> Callable[[Content, int], bool]:
    return lambda data, at: pattern.match(data, at) is not None


_KINDS = (
    _Kind("gzip", (b"\x1f\x8b\x08",), 0, _matches(_GZIP)),
    _Kind("bzip2", (b"BZh",), 0, _matches(_BZIP2)),
    _Kind("xz", (b"\xfd7zXZ\0",), 0, _is_xz),
    _Kind("Zstandard", (zstandard.MAGIC,), 0, zstandard.begins),
    _Kind("XAR", (b"xar!",), 0, _is_xar),
    _Kind("WIM", (b"MSWIM\0\0\0",), 0, _is_wim),
    # Without the hyphen that ends it, which may begin the next.
    _Kind(
        "LHA", (*(b"-lh%d" % number for number in range(8)), b"-lzs", b"-lz4", b"-lz5"), 2, _is_lha, sums=True
    ),
    _Kind("cpio", (b"070701", b"070702", b"070707"), 0, _matches(CPIO_START)),
    _Kind("TAR", (b"ustar",), 257, is_header, sums=True),
    _Kind("image of a disc", _DESCRIPTORS, _DISC_FRONT + 1, _is_disc),
)
_SIGNS = Needles(*(sign for kind in _KINDS for sign in kind.signs))
_BY_SIGN = {sign[:3]: kind for kind in _KINDS for sign in kind.signs}
_ARJ_SIGN = Needles(ARJ)
"""Two octets that many a table of numbers holds."""
_ARJ_FIELDS = 11
"""Octets of a header that tell whether it may be one."""


def embedded(data: Content) -> Iterator[tuple[str, int]]:
    """Kinds and places of archives behind the beginning of ``data``.

    Raises:
        OverflowError: there is too much that looks like one.
    """
    told: Counter[str] = Counter()
    sums = 0
    for tried, place in enumerate(_SIGNS.places(data, 1, STUB)):
        kind = _BY_SIGN[bytes(data[place : place + 3])]
        at = place - kind.before
        sums += kind.sums
        if tried >= _MAX_TRIED or sums > _MAX_SUMS:
            raise OverflowError
        if at > 0 and told[kind.name] < MAX_EACH and kind.holds(data, at):
            told[kind.name] += 1
            yield kind.name, at
    for tried, at in enumerate(_ARJ_SIGN.places(data, 1, STUB)):
        begins = is_arj(data[at : at + _ARJ_FIELDS])
        sums += begins
        if tried >= _MAX_TRIED or sums > _MAX_SUMS:
            raise OverflowError
        if begins and told["ARJ"] < MAX_EACH and _is_arj(data, at):
            told["ARJ"] += 1
            yield "ARJ", at
