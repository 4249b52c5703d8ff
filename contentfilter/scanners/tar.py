"""TAR archives (POSIX.1-1988 ustar, GNU; older ones are known by their checksum)."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.part import Content, Context, Found, Part

_BLOCK = 512


class Tar:
    """Hands out the members."""

    name = "tar"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if len(data) < _BLOCK or not _is_header(data, 0):
            return
        at, count, long_name = 0, 0, ""
        while at + _BLOCK <= len(data):
            if not any(data[at : at + _BLOCK]):
                at += _BLOCK
                continue
            if not _is_header(data, at):
                yield part.unscanned("malformed", "TAR")
                return
            count += 1
            if count > context.options.members:
                yield part.unscanned("too-large", "TAR members")
                return
            size, kind = _number(data[at + 124 : at + 136]), data[at + 156 : at + 157]
            content = data[at + _BLOCK : at + _BLOCK + size]
            if kind == b"L":
                long_name = _text(content)
            elif kind not in (b"x", b"g", b"5") and content:
                yield part.child(long_name or _text(data[at : at + 100]), content)
                long_name = ""
            at += _BLOCK + -(-size // _BLOCK) * _BLOCK
        if at > len(data):
            yield part.unscanned("malformed", "TAR ends early")


def _is_header(data: Content, at: int) -> bool:
    header = data[at : at + _BLOCK]
    stored = header[148:156].strip(b" \0")
    if not header[0] or not stored or stored.strip(b"01234567"):
        return False
    total = sum(header) - sum(header[148:156]) + 8 * 32
    return total == int(stored, 8)


def _number(field: Content) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    digits = bytes(field).strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else 0


def _text(raw: Content) -> str:
    return bytes(raw[:1000]).split(b"\0", 1)[0].decode("utf-8", "replace")
