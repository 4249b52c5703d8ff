"""Names that mislead: about the content, or about themselves.

Much honest mail is misnamed: Word saves RTF as .doc, portals send HTML and CSV as .xls, a .jpg is a PNG. Only
what can do more than its name promises counts here: a picture that is an archive, a PDF that is a web page.
"""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.content.filename import deception, suffix
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.scanners.opening import opening

_STARTS = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "OLE",
    b"PK\x03\x04": "ZIP",
    b"Rar!\x1a\x07": "RAR",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"MSCF\0\0\0\0": "CAB",
    b"{\\rt": "RTF",
    b"MZ": "program",
    b"\x7fELF": "program",
    b"L\0\0\0\x01\x14\x02\0": "shortcut",
    b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d": "OneNote",
    b"ITSF": "HTML help",
    b"\x1f\x8b\x08": "gzip",
    b"%PDF-": "PDF",
    b"vhdxfile": "disk image",
    b"conectix": "disk image",
}
_MAGIC = tuple(_STARTS)
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<svg", b"<hta:")

_RUNS = frozenset({"program", "shortcut", "HTML help"})
_HOLDS = frozenset({"RAR", "7z", "CAB", "gzip", "OneNote", "disk image"})
_ACTIVE = _RUNS | _HOLDS | {"OLE", "ZIP", "web page", "RTF"}
_CLAIMS = (
    ("jpg jpeg jpe jfif png gif bmp tif tiff webp heic heif avif", _ACTIVE | {"PDF"}),
    ("mp3 mp4 m4a m4v wav avi mov mkv flac ogg webm", _ACTIVE | {"PDF"}),
    ("pdf", _ACTIVE | {"text"}),
    ("txt text csv tsv log ini", _ACTIVE - {"RTF", "web page"} | {"PDF"}),
    ("doc dot docx dotx xls xlsx xlt ppt pps pptx ppsx rtf odt ods odp", _RUNS | _HOLDS),
    ("zip rar 7z tar gz tgz bz2 xz cab iso", _RUNS | {"OLE", "RTF", "web page", "OneNote"}),
    ("exe dll scr cpl ocx sys", _ACTIVE - {"program"} | {"PDF", "text"}),
)
_BELIES = {end: kinds for ends, kinds in _CLAIMS for end in ends.split()}
"""Suffix -> kinds of content that are more than it promises."""
_PRINTABLE = bytes(range(32, 127)) + b"\t\r\n\f\x1b"
_LEAST = 16
"""Octets from which on content can do harm at all."""


class Misnamed:
    """Finds ``name-mismatch``."""

    name = "misnamed"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if not part.name:
            return
        if how := deception(part.name):
            yield part.found("name-mismatch", how)
        end = suffix(part.name)
        belying = _BELIES.get(end)
        if belying and len(part.data) >= _LEAST and (kind := kind_of(part.data)) in belying:
            yield part.found("name-mismatch", f"{kind} named .{end}")


def kind_of(data: Content) -> str:
    """What begins like this, in words; empty for what is not known, or in no question here."""
    if data.startswith(_MAGIC):
        return next(kind for magic, kind in _STARTS.items() if data.startswith(magic))
    if b"%PDF-" in data[:1024]:
        return "PDF"
    head = opening(data)
    if head.startswith(_PAGES):
        return "web page"
    if head.startswith((b"<?xml", b"<!--")) and any(page in head for page in _PAGES):
        return "web page"
    return "text" if _is_text(head) else ""


def _is_text(head: bytes) -> bool:
    return bool(head) and not head.startswith(b"%!") and not head.translate(None, _PRINTABLE)
