"""Windows shortcuts (MS-SHLLINK): what one would start, for people to read."""

from __future__ import annotations

from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

MAGIC = bytes.fromhex("4c00000001140200")
"""Size of the header and the beginning of its class (MS-SHLLINK 2.1)."""

_HEADER = 76
_HAS_ID_LIST, _HAS_LINK_INFO, _UNICODE = 0x01, 0x02, 0x80
_STRINGS = ((0x04, "name"), (0x08, "path"), (0x10, "folder"), (0x20, "arguments"), (0x40, "icon"))
"""Flags of the strings, in the order in which these stand (2.4)."""
_VOLUME_AND_PATH = 0x01
_SHOWN = 200


def describe(data: Content) -> str:
    """Target and arguments of the shortcut that ``data`` begins with, as far as they can be read."""
    flags = _number(data, 20, 4)
    at = _HEADER
    if flags & _HAS_ID_LIST:
        at += 2 + _number(data, at, 2)
    target = ""
    if flags & _HAS_LINK_INFO:
        target = _local_path(data, at)
        at += _number(data, at, 4)
    strings: dict[str, str] = {}
    width, charset = (2, "utf-16-le") if flags & _UNICODE else (1, "latin-1")
    for flag, key in _STRINGS:
        if flags & flag:
            size = _number(data, at, 2) * width
            raw = bytes(data[at + 2 : at + 2 + size])
            # Spaces are put in front of what is to be out of sight.
            strings[key] = " ".join(raw.decode(charset, "replace").split())[:_SHOWN]
            at += 2 + size
    said = (target or strings.get("path", ""), strings.get("arguments", ""))
    return " ".join(filter(None, said))


def _local_path(data: Content, at: int) -> str:
    """LocalBasePath of a LinkInfo (2.3)."""
    size, flags, begin = _number(data, at, 4), _number(data, at + 8, 4), _number(data, at + 16, 4)
    if not flags & _VOLUME_AND_PATH or not 0 < begin < size:
        return ""
    raw = bytes(data[at + begin : min(at + size, at + begin + _SHOWN)])
    return raw.split(b"\0")[0].decode("latin-1")


def _number(data: Content, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")
