"""RTF as Outlook compresses it in messages (MS-OXRTFCP)."""

from __future__ import annotations

import struct

from contentfilter.content.limits import KIB, MIB
from contentfilter.content.part import Content

MAX_SIZE = 8 * MIB
"""Octets that are expanded: a body of text, at worst with pictures in hexadecimal digits."""

_COMPRESSED, _PLAIN = b"LZFu", b"MELA"
_WINDOW = 4 * KIB
_DICTIONARY = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
"""What the window holds at the start (MS-OXRTFCP 2.1.2.1)."""


def expand(data: Content) -> tuple[bytes, str]:
    """The RTF text, and what keeps it from being whole: ``too-large``, ``malformed`` or nothing.

    Arguments:
        data: the value of PidTagRtfCompressed, header included.
    """
    if len(data) < 16:
        return b"", "malformed"
    size, _raw_size, kind, _crc = struct.unpack_from("<II4sI", data)
    body = bytes(data[16 : 4 + size])
    if kind == _PLAIN:
        return body[:MAX_SIZE], "too-large" if len(body) > MAX_SIZE else ""
    if kind != _COMPRESSED:
        return b"", "malformed"
    return _expand(body)


def _expand(body: bytes) -> tuple[bytes, str]:
    # The window is the end of the output, so that one buffer serves for both.
    out = bytearray(_WINDOW - len(_DICTIONARY)) + _DICTIONARY
    first = len(out)
    at, end = 0, len(body)
    while at < end:
        control = body[at]
        at += 1
        for bit in range(8):
            if not control >> bit & 1:
                if at >= end:
                    return bytes(out[first:]), "malformed"
                out.append(body[at])
                at += 1
                continue
            if at + 1 >= end:
                return bytes(out[first:]), "malformed"
            word = body[at] << 8 | body[at + 1]
            at += 2
            # Offsets count in a ring that begins with the dictionary.
            written = len(out) - first + len(_DICTIONARY)
            back = (written - (word >> 4)) % _WINDOW
            if back == 0:
                return bytes(out[first:]), ""
            length = (word & 15) + 2
            start = len(out) - back
            if back >= length:
                out += out[start : start + length]
            else:
                out += (bytes(out[start:]) * (length // back + 1))[:length]
        if len(out) - first > MAX_SIZE:
            return bytes(out[first:]), "too-large"
    return bytes(out[first:]), "malformed"
