"""Single compressed files (gzip, bzip2, xz, lzma), with all the streams that follow one another in them."""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from contentfilter.containers.zipmember import inflate
from contentfilter.content.limits import KIB, MIB, Budget
from contentfilter.content.part import Content, Context, Found, Part, clean_name
from contentfilter.message.filename import worst

_STEP = 4 * KIB
"""Octets that go in at once; how much a bomb took is known no better."""
_MEMORY = 256 * MIB
_MAX_STREAMS = 10_000
_SUFFIXES = frozenset({"gz", "bz2", "xz", "lzma", "zst", "lz4", "lz", "z"})
_PADDING = re.compile(rb"\0+")
"""Behind a stream, as tapes have it."""
_CHECKED, _EXTRA, _FILE_NAME, _COMMENT = 0x02, 0x04, 0x08, 0x10
_MAX_NAME = 1024
_GZIP_HEADER = 10
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")


class _Stream(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Format:
    kind: str
    magic: bytes
    stream: Callable[[], _Stream]


_GZIP = _Format("gzip", b"\x1f\x8b\x08", lambda: zlib.decompressobj(31))
_BZIP2 = _Format("bzip2", b"BZh", bz2.BZ2Decompressor)
_XZ = _Format("xz", b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY))
_LZMA = _Format("lzma", b"\x5d\0\0", lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MEMORY))
_MAGIC = tuple(form.magic for form in (_GZIP, _BZIP2, _XZ, _LZMA))


class Compressed:
    """Finds ``archive-bomb``, ``archive-malformed``; hands out the content."""

    name = "compressed"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if not part.data.startswith(_MAGIC) or (form := _format(part.data)) is None:
            return
        budget = context.budget
        content, used, problem = _expand(part.data, form, budget.allowance(), lambda: budget.late)
        if problem == "malformed" and form is _GZIP:
            content = max(content, _whatever_the_checksum(part.data, budget.allowance()), key=len)
        if problem == "too-large" and budget.is_bomb(used, len(content)):
            yield part.found("archive-bomb", form.kind)
        if problem == "malformed" and not content:
            yield part.found("archive-malformed", form.kind)
        if problem:
            yield part.unscanned(problem, form.kind)
        if content:
            yield part.child(worst([bare_name(part), _kept_name(part.data)]), content)


def compression(data: Content) -> str:
    """How ``data`` is compressed, for people; empty if it is not in a way that is read here."""
    form = _format(data) if data.startswith(_MAGIC) else None
    return form.kind if form else ""


def streams_end(data: Content, at: int, budget: Budget) -> int:
    """Where the last of the compressed streams ends that follow one another from ``at``; the end of the
    data if they are not read that far, or there is none."""
    rest = data[at:]
    if not rest.startswith(_MAGIC) or (form := _format(rest)) is None:
        return len(data)
    _content, used, problem = _expand(rest, form, budget.allowance(), lambda: budget.late)
    return at + used if problem == "malformed" else len(data)


def _format(data: Content) -> _Format | None:
    if data.startswith(_GZIP.magic):
        return _GZIP
    if data.startswith(_XZ.magic):
        return _XZ
    if data.startswith(_BZIP2.magic):
        return _BZIP2 if data[4:10] in _BZIP2_BLOCKS else None
    # The size is unknown or under 256 GiB, and the first octet of the data is always zero.
    sized = data[5:13] == b"\xff" * 8 or data[10:13] == b"\0\0\0"
    return _LZMA if sized and data[13:14] == b"\0" else None


def _expand(data: Content, form: _Format, limit: int, late: Callable[[], bool]) -> tuple[bytearray, int, str]:
    """What comes out, how much of ``data`` that took, and what is wrong, if anything."""
    out, at = bytearray(), 0
    try:
        for _ in range(_MAX_STREAMS):
            stream = form.stream()
            while not stream.eof:
                if at >= len(data):
                    return out, at, "malformed"
                if late():
                    return out, at, "timed-out"
                out += stream.decompress(bytes(data[at : at + _STEP]), limit - len(out) + 1)
                at = min(at + _STEP, len(data))
                if len(out) > limit:
                    return out[:limit], at - len(getattr(stream, "unconsumed_tail", b"")), "too-large"
            at -= len(stream.unused_data)
            if padding := _PADDING.match(data, at):
                at = padding.end()
            if at >= len(data):
                return out, at, ""
            if not data.startswith(form.magic, at):
                return out, at, "malformed"
    except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError) as error:
        if "emory" in str(error):
            return out, at, "too-large"
        # What is damaged may reach to the end.
        return out, len(data), "malformed"
    return out, at, "too-large"


def _whatever_the_checksum(data: Content, limit: int) -> bytearray:
    """The first stream of a gzip file that is damaged: 7-Zip keeps what came out."""
    if len(data) < _GZIP_HEADER:
        return bytearray()
    at = _after_extra(data)
    for flag in (_FILE_NAME, _COMMENT):
        at = data.find(b"\0", at) + 1 if data[3] & flag else at
    at += 2 if data[3] & _CHECKED else 0
    return bytearray(inflate(data, at, len(data), limit).data)


def _kept_name(data: Content) -> str:
    """The name that gzip keeps of the file (RFC 1952 2.3), which some programs give back; empty for none."""
    if not data.startswith(_GZIP.magic) or not data[3] & _FILE_NAME:
        return ""
    at = _after_extra(data)
    end = data.find(b"\0", at, at + _MAX_NAME)
    return bytes(data[at:end]).decode("latin-1") if end > at else ""


def _after_extra(data: Content) -> int:
    return 12 + int.from_bytes(data[10:12], "little") if data[3] & _EXTRA else 10


def bare_name(part: Part, all_layers: bool = False) -> str:
    """The name of what a compressed file holds, after its own.

    Arguments:
        all_layers: whether what was compressed several times in the same way was expanded as often.
    """
    # A piece of a document has the document's path, and a name if it is a file.
    name = clean_name(part.name) or part.path.rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    if not dot or suffix.lower() not in _SUFFIXES:
        return f"{name}.content"
    while all_layers and stem.lower().endswith(f".{suffix.lower()}"):
        stem = stem[: -len(suffix) - 1]
    return stem
