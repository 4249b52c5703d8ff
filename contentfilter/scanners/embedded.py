"""Archives behind something that is none: gzip, bzip2, xz, Zstandard, TAR, LHA, ARJ, cpio, XAR, WIM and
images of discs. 7-Zip looks for their signatures in a file whose name and beginning tell it nothing."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers.cfb import MAGIC as OLE
from contentfilter.containers.embedded import embedded
from contentfilter.containers.formats import find_formats
from contentfilter.containers.ziprecords import LOCAL
from contentfilter.containers.zstandard import MAGIC as ZSTANDARD
from contentfilter.containers.zstandard import frames_end
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.scanners.compressed import compression, streams_end
from contentfilter.scanners.tar import begins_tar

_LEAST = 30
"""Octets of the shortest of them."""


class Embedded:
    """Hands out the archives."""

    name = "embedded"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if len(data) < _LEAST:
            return
        try:
            for number, (kind, at) in enumerate(embedded(data)):
                if not number and _is_archive(data, context):
                    return
                if not context.budget.take_work(len(data) - at):
                    yield part.unscanned("too-large", f"{kind} behind other data")
                    return
                yield part.piece(f"{kind} behind other data", data[at : _end(data, at, context)])
        except OverflowError:
            yield part.unscanned("too-large", "what looks like archives")


def _is_archive(data: Content, context: Context) -> bool:
    """Whether it begins as an archive itself, and is opened as that."""
    if data.startswith(OLE):
        return context.cfb is not None
    if data.startswith(LOCAL):
        return context.zip is not None
    return begins_tar(data) or bool(compression(data)) or any(not found.start for found in find_formats(data))


def _end(data: Content, at: int, context: Context) -> int:
    """Where what begins there ends, as far as that can be told: what stands behind it is no damage."""
    if data.startswith(ZSTANDARD, at):
        return frames_end(data, at)
    return streams_end(data, at, context.budget)
