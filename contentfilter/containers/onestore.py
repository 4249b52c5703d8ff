"""OneNote's sections (MS-ONESTORE): the files that are embedded in them, and their names.

Nothing of the page tree is read. A file lies in one piece behind a GUID of its own, whatever revision it
belongs to; names are found by how texts are stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

MAGIC = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3")
"""guidFileType of a section."""
REVISION_STORE = bytes.fromhex("3fdd9a101b91f549a5d01791edc8aed8")
"""guidFileFormat of what OneNote keeps on disk; sections taken from a server are packed in another way."""
_FILE = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")
"""Header of a FileDataStoreObject (2.6.13)."""
_HEAD = 36
_MAX_NAME = 260
_CONTROL = re.compile(r"[\x00-\x1f/\\:*?\"<>|]")


def file_format(data: Content) -> bytes:
    """guidFileFormat (2.3.1)."""
    return bytes(data[48:64])


def files(data: Content) -> Iterator[tuple[Content, bool]]:
    """The embedded files, in their order, and whether each is whole."""
    at = data.find(_FILE)
    while at >= 0:
        size = int.from_bytes(data[at + 16 : at + 24], "little")
        begin = at + _HEAD
        content = data[begin : begin + size]
        yield content, len(content) == size
        # One that claims too much must not hide those in it.
        at = data.find(_FILE, begin + size if len(content) == size else begin)


def names(data: Content, suffixes: Iterable[str]) -> list[str]:
    """Texts that are file names with one of ``suffixes``: UTF-16 behind a length, with a NUL at the end."""
    lower = bytes(data).lower()
    found: dict[str, None] = {}
    for suffix in suffixes:
        needle = f".{suffix}\0".encode("utf-16-le")
        at = lower.find(needle)
        while at >= 0 and len(found) < 100:
            if name := _text_before(data, at + len(needle)):
                found[name] = None
            at = lower.find(needle, at + 2)
    return list(found)


def _text_before(data: Content, end: int) -> str:
    """The text that ends there, if a length that fits stands in front of it."""
    for start in range(end - 4, max(3, end - 2 * _MAX_NAME), -2):
        if (
            data[start - 2 : start] == b"\0\0"
            and int.from_bytes(data[start - 4 : start], "little") == end - start
        ):
            name = bytes(data[start : end - 2]).decode("utf-16-le", "replace")
            return "" if _CONTROL.search(name) else name
    return ""
