"""OneNote sections: a click on an embedded file opens it, whatever it is."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers import onestore
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.scanners.appended import program_behind
from mailbase.scripts import SUFFIXES

_NAMED = (*SUFFIXES, "exe", "scr", "com", "url", "lnk", "html", "htm", "svg", "iqy", "slk")
_KNOWN = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"%PDF",
    b"PK\x03\x04",
    b"\xd0\xcf\x11\xe0",
    b"\x01\0\0\0",
    b"RIFF",
)
"""What tells by its content what it is, so that it needs no name."""


class OneNote:
    """Hands out the embedded files."""

    name = "onenote"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if not data.startswith(onestore.MAGIC):
            return
        if onestore.file_format(data) != onestore.REVISION_STORE:
            yield part.unscanned("unsupported", "OneNote section as a server packs it")
            if program_behind(data)[0] >= 0:
                yield part.found("executable", "program in a OneNote section")
        names: list[str] | None = None
        for number, (content, whole) in enumerate(onestore.files(data)):
            if number >= context.options.members or context.budget.exhausted:
                yield part.unscanned("too-large", "files in a OneNote section")
                return
            if not whole:
                yield part.unscanned("malformed", "a file in a OneNote section is cut off")
            if not content:
                continue
            if names is None and not content.startswith(_KNOWN):
                names = onestore.names(data, _NAMED)
            yield part.child(_name(content, names or [], number), content)


def _name(content: Content, names: list[str], number: int) -> str:
    """Which name belongs to which file stands elsewhere; what needs one to be told gets that of a program."""
    if names and not content.startswith(_KNOWN):
        return names[0]
    return f"embedded file {number + 1}"
