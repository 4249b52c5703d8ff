"""TNEF, the ``winmail.dat`` of Outlook (MS-OXTNEF): attributes, and the MAPI properties that some hold."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from contentfilter.content.part import Content

SIGNATURE = b"\x78\x9f\x3e\x22"
MAX_ATTRIBUTES = 20_000
MAX_PROPERTIES = 4000
"""Of one attribute; Outlook writes some two hundred."""
MAX_VALUES = 10_000

BODY = 0x800C
ATTACH_DATA = 0x800F
ATTACH_TITLE = 0x8010
ATTACH_TRANSPORT_NAME = 0x9001
ATTACH_START = 0x9002
MESSAGE_PROPERTIES = 0x9003
ATTACH_PROPERTIES = 0x9005

RTF_COMPRESSED = 0x1009
BODY_TEXT = 0x1000
BODY_HTML = 0x1013
DISPLAY_NAME = 0x3001
ATTACH_OBJECT = 0x3701
ATTACH_NAME = 0x3704
ATTACH_LONG_NAME = 0x3707
REMINDER_SOUND = 0x851F
"""PidLidReminderFileParameter: Outlook fetched an appointment's sound without asking (CVE-2023-23397)."""

_STRING, _UNICODE, _OBJECT, _BINARY = 0x1E, 0x1F, 0x0D, 0x102
_SIZES = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
"""Octets of values of fixed size, with their padding (MS-OXTNEF 2.1.3.4)."""
_MANY = 0x1000


class TnefError(ValueError):
    """The stream ends early, or has a property that no version knows."""


@dataclass(frozen=True, slots=True)
class Property:
    """A MAPI property.

    Arguments:
        id: number; named properties have 0x8000 and up.
        kind: type, without the flag for several values.
        value: the first value.
        named: its number in its set, of a property that is named by one (MS-OXPROPS).
    """

    id: int
    kind: int
    value: bytes
    named: int = 0

    @property
    def text(self) -> str:
        """A string property without its NUL."""
        charset = "utf-16-le" if self.kind == _UNICODE else "cp1252"
        return self.value[:4096].decode(charset, "replace").split("\0")[0]

    @property
    def content(self) -> bytes:
        """A binary property; of an object without the interface's identifier in front."""
        return self.value[16:] if self.kind == _OBJECT else self.value


def attributes(data: Content) -> Iterator[tuple[int, bytes]]:
    """The attributes of a TNEF stream: number and value. Checksums are not looked at, as Outlook does.

    Raises:
        TnefError: at the place where it is broken, after what stood before.
    """
    at = 6
    for _ in range(MAX_ATTRIBUTES):
        if at >= len(data):
            return
        if at + 9 > len(data):
            # Padding of mail programs is no attribute.
            if bytes(data[at:]).strip(b"\0\r\n "):
                raise TnefError("cut off")
            return
        level, number, _kind, size = struct.unpack_from("<BHHI", data, at)
        if level not in (1, 2):
            if bytes(data[at : at + 64]).strip(b"\0\r\n "):
                raise TnefError("an attribute of no level")
            return
        at += 9
        yield number, bytes(data[at : at + size])
        if at + size > len(data):
            raise TnefError("an attribute is cut off")
        at += size + 2
    raise TnefError(f"more than {MAX_ATTRIBUTES} attributes")


def properties(data: bytes) -> Iterator[Property]:
    """The MAPI properties in the value of an attribute.

    Raises:
        TnefError: at the place where it is broken, after what stood before.
    """
    count, at = _word(data, 0), 4
    for _ in range(min(count, MAX_PROPERTIES)):
        head = _word(data, at)
        kind, number = head & 0xFFFF, head >> 16
        at += 4
        named = 0
        if number >= 0x8000:
            named = _word(data, at + 20) if _word(data, at + 16) == 0 else 0
            at = _after_name(data, at)
        values, at = _values(data, at, kind)
        if values:
            yield Property(number, kind & ~_MANY, values[0], named)
    if count > MAX_PROPERTIES:
        raise TnefError(f"more than {MAX_PROPERTIES} properties")


def _after_name(data: bytes, at: int) -> int:
    """Past the name of a named property: a set, and a number or a string in it."""
    if _word(data, at + 16) == 0:
        return at + 24
    return at + 24 + _padded(_word(data, at + 20))


def _values(data: bytes, at: int, kind: int) -> tuple[list[bytes], int]:
    plain, values = kind & ~_MANY, []
    size = _SIZES.get(plain)
    if size is not None and not kind & _MANY:
        if at + size > len(data):
            raise TnefError("a property is cut off")
        return [data[at : at + size]], at + size
    if size is None and plain not in (_STRING, _UNICODE, _OBJECT, _BINARY):
        raise TnefError(f"a property of type {kind:#x}")
    count = _word(data, at)
    at += 4
    if count > MAX_VALUES:
        raise TnefError(f"{count} values in one property")
    for _ in range(count):
        if size is not None:
            # Several short ones stand without padding.
            width = 2 if plain in (2, 11) else size
            values.append(data[at : at + width])
            at += width
            continue
        length = _word(data, at)
        values.append(data[at + 4 : at + 4 + length])
        at += 4 + _padded(length)
    return values, at if size is None else _padded(at)


def _word(data: bytes, at: int) -> int:
    if at + 4 > len(data):
        raise TnefError("a property is cut off")
    return int.from_bytes(data[at : at + 4], "little")


def _padded(size: int) -> int:
    return size + 3 & ~3
