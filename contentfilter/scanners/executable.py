"""Programs, told by how they begin: PE, DOS, ELF, Mach-O, Java classes, Windows shortcuts."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.part import Content, Context, Found, Part

_MAGIC = (
    (b"\x7fELF", "ELF"),
    (b"\xfe\xed\xfa\xce", "Mach-O"),
    (b"\xfe\xed\xfa\xcf", "Mach-O"),
    (b"\xce\xfa\xed\xfe", "Mach-O"),
    (b"\xcf\xfa\xed\xfe", "Mach-O"),
    (b"\xca\xfe\xba\xbe", "Mach-O or Java class"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "Windows shortcut"),
    (b"dex\n03", "Android"),
)
_FIRST = frozenset(magic[0] for magic, _kind in _MAGIC) | {ord("M"), ord("Z")}


class Executable:
    """Finds ``executable``."""

    name = "executable"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if not data or data[0] not in _FIRST:
            return
        if data.startswith((b"MZ", b"ZM")):
            if kind := _dos_program(data):
                yield part.found(self.name, kind)
            return
        for magic, kind in _MAGIC:
            if data.startswith(magic):
                yield part.found(self.name, kind)


def _dos_program(data: Content) -> str:
    """What kind of program follows MZ; empty for text that happens to begin so."""
    if len(data) < 28:
        return ""
    at = int.from_bytes(data[60:64], "little") if len(data) >= 64 else 0
    new = bytes(data[at : at + 4]) if 0 < at <= len(data) - 4 else b""
    if new == b"PE\0\0":
        return "PE"
    if new[:2] in (b"NE", b"LE", b"LX"):
        return new[:2].decode("ascii")
    # A plain DOS program: pages in the file, paragraphs of header, both small numbers.
    pages, header = int.from_bytes(data[4:6], "little"), int.from_bytes(data[8:10], "little")
    return "DOS" if 0 < pages <= 2048 and header <= 4096 and b"\0" in data[:28] else ""
