"""Files as old Macintosh programs wrap them: AppleSingle, AppleDouble (RFC 1740) and MacBinary."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from contentfilter.content.part import Context, Found, Part

_SINGLE, _DOUBLE = b"\0\x05\x16\0", b"\0\x05\x16\x07"
_DATA, _RESOURCES, _NAME = 1, 2, 3
_MAX_ENTRIES = 64
_HEADER = 128


class Macintosh:
    """Hands out the forks."""

    name = "macintosh"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if data[:1] != b"\0":
            return
        if data[:4] in (_SINGLE, _DOUBLE):
            yield from _apple(part)
        elif _is_macbinary(bytes(data[:_HEADER])):
            size = data[1]
            name = bytes(data[2 : 2 + size]).decode("mac_roman")
            of_data, of_resources = struct.unpack_from(">II", data, 83)
            resources = _HEADER + of_data + -of_data % 128
            for start, length in ((_HEADER, of_data), (resources, of_resources)):
                if content := data[start : start + length]:
                    yield part.child(name, content)
            if len(data) < _HEADER + of_data:
                yield part.unscanned("malformed", "MacBinary is cut off")


def _apple(part: Part) -> Iterator[Found]:
    data = part.data
    count = int.from_bytes(data[24:26], "big")
    entries = []
    for at in range(26, min(26 + 12 * min(count, _MAX_ENTRIES), len(data) - 11), 12):
        kind, start, length = struct.unpack_from(">III", data, at)
        entries.append((kind, bytes(data[start : start + length]) if kind == _NAME else b"", start, length))
    name = next((text.decode("utf-8", "replace") for kind, text, *_ in entries if kind == _NAME), "")
    for kind, _text, start, length in entries:
        if kind in (_DATA, _RESOURCES) and (content := data[start : start + length]):
            yield part.child(name or "fork", content)
    if count > _MAX_ENTRIES:
        yield part.unscanned("malformed", f"AppleSingle: more than {_MAX_ENTRIES} forks")


def _is_macbinary(head: bytes) -> bool:
    """MacBinary I has no signature: its name's length and the octets that must be zero are all there is."""
    if len(head) < _HEADER or not 1 <= head[1] <= 63 or head[74] or head[82]:
        return False
    if head[102:106] == b"mBIN":
        return True
    name = head[2 : 2 + head[1]]
    return not any(head[99:124]) and all(byte >= 32 for byte in name) and not any(head[2 + head[1] : 65])
