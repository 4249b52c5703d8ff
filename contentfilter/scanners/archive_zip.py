"""ZIP archives, and what is one inside: OOXML and OpenDocument documents, Java and Android programs."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers.ziparchive import ZipArchive
from contentfilter.containers.zipmember import AES, Member
from contentfilter.content.filename import suffix
from contentfilter.content.part import Context, Found, Part
from contentfilter.message.filename import worst
from contentfilter.scanners.zip_unlocking import locked_members

_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", (b".png",)),
    (b"\xff\xd8\xff", (b".jpg", b".jpeg", b".jpe", b".jfif")),
    (b"GIF8", (b".gif",)),
    (b"\x01\x00\x00\x00l\x00\x00\x00", (b".emf",)),
    (b"\xd7\xcd\xc6\x9a", (b".wmf",)),
)
"""How pictures begin and what they are called in a document: what is both, nobody runs."""

_XML = (b".xml", b".rels")
_WORKSHEET = (b"geogebra_javascript.js", b"")
_SCRIPTED = {
    "ggb": _WORKSHEET,
    "ggt": _WORKSHEET,
    "ggs": _WORKSHEET,
    "h5p": (b".js", b"h5p.json"),
    "epub": (b".js", b"meta-inf/container.xml"),
}
"""Worksheets of GeoGebra, exercises, books: their own program alone opens them, and runs the scripts in
them in a page of its own. How the names of these scripts end, and the member that such a file has."""


class Zip:
    """Finds ``archive-encrypted``, ``archive-malformed``, ``archive-bomb``; hands out the members."""

    name = "zip"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        archive = context.zip
        if archive is None:
            return
        document, scripts = is_document(archive), _own_scripts(part, archive)
        if archive.truncated:
            yield part.unscanned("too-large", f"more than {context.options.members} members")
        if archive.split:
            yield part.unscanned("unsupported", "one part of a split ZIP archive")
        locked = [
            member
            for member in archive.members
            if member.encrypted and not member.is_folder and not member.stray
        ]
        if archive.locked:
            yield part.found("archive-encrypted", "its directory")
            yield part.unscanned("encrypted", "ZIP directory")
        if locked:
            yield from locked_members(
                part, locked, context, lambda member, data: self._child(part, member, data, document, scripts)
            )
        expanded = 0
        for member in archive.members:
            if member.is_folder or (member.encrypted and member.methods == [AES]):
                continue
            if document and _is_picture(archive, member):
                continue
            for item in self._expand(part, archive, member, context, document, scripts):
                if isinstance(item, Part):
                    expanded += len(item.data)
                yield item
            bomb = context.budget.is_bomb(len(part.data), expanded)
            if context.budget.late:
                yield part.unscanned("timed-out", "the rest of the archive")
                break
            if bomb or not context.budget.allowance():
                if bomb:
                    yield part.found("archive-bomb", f"{len(part.data)} octets hold more than {expanded}")
                yield part.unscanned("too-large", "the rest of the archive")
                break
        for problem in archive.problems:
            yield part.found("archive-malformed", problem)

    def _expand(
        self,
        part: Part,
        archive: ZipArchive,
        member: Member,
        context: Context,
        document: bool,
        scripts: bytes,
    ) -> Iterator[Found]:
        budget = context.budget
        limit = budget.allowance()
        for result in archive.expand(member, limit, lambda: budget.late):
            child = self._child(part, member, result.data, document, scripts)
            if result.problem == "malformed" and context.cfb is not None and member.name.endswith(_XML):
                # Shapes in a presentation: its streams may lie in pieces, in which nobody looks for archives.
                continue
            if result.problem == "too-large":
                if budget.is_bomb(result.used, len(result.data)):
                    yield child.found("archive-bomb", f"{result.used} octets hold {limit} and more")
                yield child.unscanned("too-large", "expands to more than is looked at")
            elif result.problem and not (member.encrypted or member.stray or member.elsewhere):
                detail = result.detail or f"method {member.methods[0]}"
                yield child.unscanned(result.problem, f"ZIP member, {detail}")
            if result.data:
                yield child

    def _child(
        self, part: Part, member: Member, data: bytes | bytearray, document: bool, scripts: bytes
    ) -> Part:
        name = member.text_name
        if member.other_names:
            # Programs differ in which of them they take.
            name = worst([name, *member.other_names.values()])
        if document:
            # It may be opened as an archive all the same.
            return part.piece(name, data, name)
        if scripts and member.name.endswith(scripts):
            return part.piece(name, data)
        return part.child(name, data)


def _own_scripts(part: Part, archive: ZipArchive) -> bytes:
    """How the names of scripts end that nobody but the file's own program runs; empty if it has none."""
    scripts, needed = _SCRIPTED.get(suffix(part.name), (b"", b""))
    if needed and not any(member.name.lower() == needed for member in archive.members):
        return b""
    return scripts


def _is_picture(archive: ZipArchive, member: Member) -> bool:
    name = member.name.lower()
    return any(
        name.endswith(suffixes) and archive.peek(member, 8).startswith(magic) for magic, suffixes in _PICTURES
    )


def is_document(archive: ZipArchive) -> bool:
    """Whether the archive is an office document, whose members nobody knows by name."""
    return any(
        member.name.lower() in (b"[content_types].xml", b"meta-inf/manifest.xml")
        or member.name.lower().endswith(b"_rels/.rels")
        for member in archive.members[:1000]
    )
