"""Archives that libarchive opens: 7z, RAR, CAB, ISO 9660, LHA, cpio, ar, XAR, RPM, and compressed files that
Python has no library for. See :mod:`contentfilter.containers.formats` for how they are told."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers.formats import RAR4, RAR5, SEVEN_ZIP, find_formats
from contentfilter.part import Context, Found, Part
from contentfilter.scanners.archive_7z import seven_zip_members
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
            else:
                unpacking = Unpacking(part, context, located.format.kind)
                yield from members(unpacking, located.format, part.data, located.start)
                yield from unpacking.ended()
