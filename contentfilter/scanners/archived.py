"""Whether something is an archive, or carries one behind something else: for scanners that hand out what they
found only if there is something in it."""

from __future__ import annotations

from contentfilter.containers.formats import find_formats
from contentfilter.containers.ziparchive import ZipArchive
from contentfilter.content.part import Content
from contentfilter.scanners.compressed import compression
from contentfilter.scanners.tar import begins_tar


def archive_kind(data: Content) -> str:
    """What kind of archive ``data`` is or carries, for people; empty if it is none."""
    if begins_tar(data):
        return "TAR"
    if kind := compression(data):
        return kind
    if ZipArchive.find(data, 1) is not None:
        return "ZIP"
    return next((located.format.kind for located in find_formats(data)), "")
