"""Archives other than ZIP and TAR: 7z, RAR, CAB, images of discs, LHA, cpio, ar, XAR, RPM, WARC, and files
compressed by what Python has no library for. :mod:`contentfilter.containers.formats` tells them apart."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers.formats import ARJ, CAB, ISO, RAR4, RAR5, SEVEN_ZIP, ZSTD, find_formats
from contentfilter.containers.zstandard import frames_end
from contentfilter.content.part import Context, Found, Part
from contentfilter.scanners.archive_7z import seven_zip_members
from contentfilter.scanners.archive_arj import arj_members
from contentfilter.scanners.archive_cab import cabinet_members
from contentfilter.scanners.archive_disc import disc_members
from contentfilter.scanners.archive_rar import rar_members
from contentfilter.scanners.unpacking import Unpacking, members


class Archives:
    """Finds ``archive-encrypted``, ``archive-malformed``, ``archive-bomb``; hands out the members."""

    name = "archives"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        for located in find_formats(part.data):
            if context.budget.exhausted:
                yield part.unscanned("too-large", located.format.kind)
                return
            if located.format is SEVEN_ZIP:
                yield from seven_zip_members(part, context, located)
            elif located.format in (RAR4, RAR5):
                yield from rar_members(part, context, located)
            elif located.format is CAB:
                yield from cabinet_members(part, context, located)
            elif located.format is ARJ:
                yield from arj_members(part, context)
            elif located.format is ISO:
                yield from disc_members(part, context)
            else:
                unpacking = Unpacking(part, context, located.format.kind)
                data = part.data
                if located.format is ZSTD and (end := frames_end(data, located.start)) < len(data):
                    yield from unpacking.malformed("other octets behind it")
                    data = data[:end]
                yield from members(unpacking, located.format, data, located.start)
                yield from unpacking.ended()
