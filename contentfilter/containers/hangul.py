"""Documents of Hangul, the word processor of Korea, versions 3 and 5 (``.hwp``): how they are locked, and
what is packed into them.

Version 5 is an OLE file, most streams of which are compressed. Source: Hancom's "Hwp Document File Formats
5.0" (FileHeader; BinData; Scripts) and "3.0/HWPML" (document information).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import TypeAlias

from contentfilter.containers.cfb import MAGIC as OLE
from contentfilter.containers.cfb import CompoundFile, Entry
from contentfilter.containers.zipmember import inflate

Content: TypeAlias = bytes | bytearray

_SIGNATURE = b"HWP Document File"
_OLD_SIGNATURE = b"HWP Document File V3."
_OLD_LOCK_AT = 30 + 96
_HEADER = "fileheader"
_FLAGS_AT = 36
_PASSWORD, _DISTRIBUTED, _RIGHTS, _CERTIFICATE, _CERTIFICATE_RIGHTS = 1 << 1, 1 << 2, 1 << 4, 1 << 8, 1 << 10
_SCRIPTS = "scripts"
_FOLDERS = frozenset({"bindata", _SCRIPTS})
_VERSION = "jscriptversion"
_GIVEN = re.compile(
    r"//[^\r\n\u2028\u2029]*|/\*.*?\*/|var\s+Documents?\s*=\s*(?:XHwpDocuments|Documents\.Active_XHwpDocument)\s*;?"
    r"|function\s+OnDocument_\w+\s*\(\s*\)|[{}\s\0;]",
    re.DOTALL,
)
"""What each new document has: the object model's names, handlers that do nothing, comments."""
_MOST_GIVEN = 8192
"""Octets that this takes at most; what is longer does something."""


def old_lock(data: Content) -> bool:
    """Whether a document of version 3 needs a password."""
    return data.startswith(_OLD_SIGNATURE) and any(data[_OLD_LOCK_AT : _OLD_LOCK_AT + 2])


def lock_of(file: CompoundFile) -> str:
    """How a document of version 5 is locked, in words; empty if it isn't, or is something else."""
    flags = _flags(file)
    if flags & (_RIGHTS | _CERTIFICATE_RIGHTS):
        return "Hangul, rights management"
    if flags & _CERTIFICATE:
        return "Hangul, a certificate"
    return "Hangul" if flags & _PASSWORD else ""


def packed(file: CompoundFile, limit: int) -> Iterator[tuple[str, Content]]:
    """The files in a document of version 5 and its scripts, by their paths.

    Arguments:
        limit: octets of each, at most.
    """
    if _header(file) is None:
        return
    for stream in file.streams:
        folder = stream.parent
        if folder is None or folder.key not in _FOLDERS or stream.key == _VERSION:
            continue
        raw = file.read(stream)
        # Of a script more tells nothing, and nobody counts what comes out.
        most = min(limit, 2 * _MOST_GIVEN) if folder.key == _SCRIPTS else limit
        expanded = inflate(raw, 0, len(raw), most)
        # One that is stored as it is does not look compressed for long.
        whole = not expanded.problem or len(expanded.data) >= min(most, len(raw) + 1)
        content = expanded.data if whole else raw
        yield stream.path, content[4:] if content[4:12] == OLE else content


def hides_scripts(file: CompoundFile) -> bool:
    """Whether its scripts cannot be read: those of a document that was made for passing on are scrambled."""
    return bool(_flags(file) & _DISTRIBUTED) and any(
        stream.parent is not None and stream.parent.key == "scripts" and stream.key != _VERSION
        for stream in file.streams
    )


def is_script(path: str) -> bool:
    """Whether that is the place of a script."""
    return path.lower().startswith("scripts/")


def script(data: Content) -> str:
    """What a document's script does beyond what each new one has, shortened; empty if nothing.

    Arguments:
        data: four texts, each behind its length (version 5), or one text.
    """
    long = len(data) > _MOST_GIVEN
    data = data[:_MOST_GIVEN]
    texts, at = [], 0
    while at + 4 <= len(data):
        (size,) = struct.unpack_from("<I", data, at)
        if 2 * size > len(data) - at - 4:
            break
        texts.append(bytes(data[at + 4 : at + 4 + 2 * size]).decode("utf-16-le", "replace"))
        at += 4 + 2 * size
    if not texts or at + 4 < len(data) or long:
        wide = b"\0" in data[:64] or data[:2] in (b"\xff\xfe", b"\xfe\xff")
        texts = [bytes(data).decode("utf-16" if wide else "utf-8", "replace")]
    text = "\n".join(texts)
    return (text if long else _GIVEN.sub("", text)).strip("\ufeff\ufffd\uffff")[:200]


def _header(file: CompoundFile) -> Content | None:
    entry: Entry | None = next((stream for stream in file.streams if stream.key == _HEADER), None)
    head = file.read(entry, 64) if entry is not None else b""
    return head if head.startswith(_SIGNATURE) else None


def _flags(file: CompoundFile) -> int:
    head = _header(file)
    return int.from_bytes(head[_FLAGS_AT : _FLAGS_AT + 4], "little") if head is not None else 0
