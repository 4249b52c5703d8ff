"""Volume descriptors of ISO 9660 (ECMA-119 8) as libarchive wants them.

It takes an image for none where a field that is reserved holds something, or one leads elsewhere that it
does not follow itself. Windows, Linux and 7-Zip look at none of these.
"""

from __future__ import annotations

from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

_SECTOR, _FIRST, _MAX_DESCRIPTORS = 2048, 16, 64
_MARK = b"CD001"
_PRIMARY, _SUPPLEMENTARY, _END = 1, 2, 255
_RESERVED = {
    _PRIMARY: ((7, 8), (72, 80), (88, 120), (882, 883), (1395, _SECTOR)),
    # Flags and escape sequences are its own (8.5.3, 8.5.6).
    _SUPPLEMENTARY: ((72, 80), (882, 883), (1395, _SECTOR)),
    _END: ((7, _SECTOR),),
}
_SPACE, _TABLES, _STRUCTURE = 80, (140, 148), 881
_MOST = 1 << 31
"""Blocks; libarchive counts them with a sign."""
_BEHIND_DESCRIPTORS = 18
"""A place for a path table, which is not read."""


def plain(data: Content) -> Content:
    """``data`` with such fields of its descriptors as they should be; itself if they are."""
    changed = bytearray()
    for number in range(_FIRST, _FIRST + _MAX_DESCRIPTORS):
        at = number * _SECTOR
        sector = bytearray(data[at : at + _SECTOR])
        if len(sector) < _SECTOR or sector[1:6] != _MARK:
            break
        kind = sector[0]
        for start, end in _RESERVED.get(kind, ()):
            sector[start:end] = bytes(end - start)
        if kind in (_PRIMARY, _SUPPLEMENTARY):
            _mend(sector, len(data) // _SECTOR)
        if sector != data[at : at + _SECTOR]:
            changed = changed or bytearray(data)
            changed[at : at + _SECTOR] = sector
        if kind == _END:
            break
    return changed or data


def _mend(sector: bytearray, blocks: int) -> None:
    """Sizes and places that lead out of the image."""
    most = int.from_bytes(sector[_SPACE : _SPACE + 4], "little")
    if not blocks <= most < _MOST:
        most = blocks
        sector[_SPACE : _SPACE + 8] = most.to_bytes(4, "little") + most.to_bytes(4, "big")
    for at, order in zip(_TABLES, ("little", "big"), strict=True):
        place = int.from_bytes(sector[at : at + 4], order)  # type: ignore[arg-type]
        if not _BEHIND_DESCRIPTORS <= place < most:
            sector[at : at + 4] = _BEHIND_DESCRIPTORS.to_bytes(4, order)  # type: ignore[arg-type]
    sector[_STRUCTURE] = 1
