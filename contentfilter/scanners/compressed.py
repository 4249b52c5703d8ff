"""Single compressed files (gzip, bzip2, xz) and TAR archives, by what the standard library reads."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Iterator
from typing import Protocol

from contentfilter.limits import KIB, MIB
from contentfilter.part import Content, Context, Found, Part

_STEP = 256 * KIB
_BLOCK = 512
_MEMORY = 256 * MIB


class _Stream(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Inflate:
    """zlib's object in the shape of the other two, which keep their input."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, max(max_length, 1))


class Compressed:
    """Finds ``archive-bomb``; hands out the content."""

    name = "compressed"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        stream: _Stream
        if data.startswith(b"\x1f\x8b\x08"):
            kind, stream = "gzip", _Inflate()
        elif data.startswith(b"BZh") and data[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
            kind, stream = "bzip2", bz2.BZ2Decompressor()
        elif data.startswith(b"\xfd7zXZ\0"):
            kind, stream = "xz", lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
        else:
            return
        limit = context.budget.allowance()
        content, problem = _expand(data, stream, limit)
        context.budget.spend(len(content))
        if problem == "too-large":
            yield part.found("too-large", kind)
            if context.budget.is_bomb(len(data), len(content)):
                yield part.found("archive-bomb", kind)
        if problem:
            yield part.unscanned(problem, kind)
        elif stream.unused_data.strip(b"\0"):
            yield part.unscanned("unsupported", f"data after the end of {kind}")
        if content:
            yield part.child(_name(part.path), content)


def _expand(data: Content, stream: _Stream, limit: int) -> tuple[bytearray, str]:
    out = bytearray()
    try:
        for at in range(0, len(data), _STEP):
            out += stream.decompress(bytes(data[at : at + _STEP]), limit - len(out) + 1)
            if len(out) > limit:
                return out[:limit], "too-large"
            if stream.eof:
                return out, ""
    except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
        return out, "malformed"
    return out, "malformed"


def _name(path: str) -> str:
    name = path.rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and suffix.lower() in ("gz", "bz2", "xz") else f"{name}.content"


class Tar:
    """Hands out the members of a TAR archive (POSIX.1-1988 ustar, GNU; older ones by their checksum)."""

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
            if len(content) < size:
                yield part.unscanned("malformed", "TAR ends early")
            at += _BLOCK + -(-size // _BLOCK) * _BLOCK


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
