"""Images of discs: ISO 9660 in each of its readings, and UDF. A part of the scanner of archives.

One image may have up to four trees of names (plain, Rock Ridge, Joliet, UDF), and each program shows one of
them. Most files are in all of them, so the same content is handed out once, if it has one suffix.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from contentfilter.containers.formats import ISO
from contentfilter.containers.iso9660 import plain
from contentfilter.containers.udf import Udf, UdfError, find_udf
from contentfilter.content.filename import suffixes
from contentfilter.content.part import Context, Found, Part
from contentfilter.scanners.unpacking import Unpacking, members

_READINGS = ("", "iso9660:!joliet", "iso9660:!rockridge")


def disc_members(part: Part, context: Context) -> Iterator[Found]:
    """The files of the image, and what is wrong with it."""
    seen: set[tuple[bytes, tuple[str, ...]]] = set()
    told: set[Found] = set()
    if find_udf(part.data):
        yield from _new(_udf_members(part, context), seen, told)
    if part.data[0x8001:0x8006] == b"CD001":
        image = plain(part.data)
        for reading in _READINGS:
            unpacking = Unpacking(part, context, ISO.kind)
            yield from _new(members(unpacking, ISO, image, 0, reading), seen, told)


def _new(
    items: Iterator[Found], seen: set[tuple[bytes, tuple[str, ...]]], told: set[Found]
) -> Iterator[Found]:
    """What was not there before: other content, other suffixes, other facts."""
    for item in items:
        if isinstance(item, Part):
            # Under another suffix a text may be a script.
            key = hashlib.blake2b(item.data, digest_size=16).digest(), suffixes(item.name)
            if key in seen:
                continue
            seen.add(key)
        elif item in told:
            continue
        else:
            told.add(item)
        yield item


def _udf_members(part: Part, context: Context) -> Iterator[Found]:
    unpacking = Unpacking(part, context, "UDF")
    budget = context.budget
    try:
        image = Udf.open(part.data)
    except UdfError as error:
        if error.reason == "malformed":
            yield from unpacking.malformed(error.detail)
        else:
            yield part.unscanned(error.reason, f"UDF: {error.detail}")
        return
    for file in image.files(context.options.members):
        full = list(unpacking.full())
        if full:
            yield from full
            return
        content = image.content(file, budget.allowance())
        problem = "too-large" if file.size > budget.allowance() else "malformed"
        whole = len(content) == file.size
        yield from unpacking.member(file.name, content, "" if whole else problem, "not all of it")
    for problem in image.problems:
        yield from unpacking.malformed(problem)
