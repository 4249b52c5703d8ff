"""Single compressed files (gzip, bzip2, xz), with all the streams that may follow one another in them."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from contentfilter.limits import KIB, MIB
from contentfilter.part import Content, Context, Found, Part

_STEP = 256 * KIB
_MEMORY = 256 * MIB
_MAX_STREAMS = 10_000
_SUFFIXES = frozenset({"gz", "bz2", "xz", "lzma", "zst", "lz4", "lz", "z"})


class _Stream(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_FORMATS: tuple[tuple[str, bytes, Callable[[], _Stream]], ...] = (
    ("gzip", b"\x1f\x8b\x08", lambda: zlib.decompressobj(31)),
    ("bzip2", b"BZh", bz2.BZ2Decompressor),
    ("xz", b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)),
)
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")


class Compressed:
    """Finds ``archive-bomb``; hands out the content."""

    name = "compressed"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        for kind, magic, stream in _FORMATS:
            if data.startswith(magic) and (kind != "bzip2" or data[4:10] in _BZIP2_BLOCKS):
                yield from self._content(part, context, kind, magic, stream)

    def _content(
        self, part: Part, context: Context, kind: str, magic: bytes, new: Callable[[], _Stream]
    ) -> Iterator[Found]:
        content, used, problem = _expand(part.data, magic, new, context.budget.allowance())
        if problem == "too-large" and context.budget.is_bomb(used, len(content)):
            yield part.found("archive-bomb", kind)
        if problem:
            yield part.unscanned(problem, kind)
        if content:
            yield part.child(bare_name(part.path), content)


def _expand(
    data: Content, magic: bytes, new: Callable[[], _Stream], limit: int
) -> tuple[bytearray, int, str]:
    """What comes out, how much of ``data`` that took, and what is wrong, if anything."""
    out, at = bytearray(), 0
    try:
        for _ in range(_MAX_STREAMS):
            stream = new()
            while not stream.eof:
                if at >= len(data):
                    return out, at, "malformed"
                out += stream.decompress(bytes(data[at : at + _STEP]), limit - len(out) + 1)
                at = min(at + _STEP, len(data))
                if len(out) > limit:
                    return out[:limit], at - len(getattr(stream, "unconsumed_tail", b"")), "too-large"
            at -= len(stream.unused_data)
            while data[at : at + 1] == b"\0":  # padding, as tapes have it
                at += 1
            if at >= len(data):
                return out, at, ""
            if not data.startswith(magic, at):
                return out, at, "malformed"
    except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
        return out, at, "malformed"
    return out, at, "too-large"


def bare_name(path: str) -> str:
    """The name of what a compressed file holds, after its own."""
    name = path.rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and suffix.lower() in _SUFFIXES else f"{name}.content"
