"""Walks the objects of a PDF document and tells what they do by themselves and which files they hold.

Each object is written out by qpdf in one normal form, in which a few words tell whether it is worth a closer
look. So a document of a hundred thousand numbers costs little, and no way to write a name hides it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pikepdf

from contentfilter.content.part import Content
from contentfilter.pdf.streams import decode

MAX_OBJECTS = 300_000
MAX_ITEMS = 300_000
"""Values that are looked at closely in one document."""
MAX_FORM = 16
_WORDS = re.compile(
    rb"/(?:JS|JavaScript|Launch|GoToR|GoToE|ImportData|EF|RF|EP|XFA|OnInstantiate|EmbeddedFile|EncryptedPayload)\b"
    rb"|/URI (?:\((?:(?i:file|mhtml|search-ms|ms-msdt|ms-officecmd):|\\\\)|<[fF][eE][fF][fF])"
)
_ELSEWHERE = re.compile(r"(?:file:|smb:|[a-z]{3,8}://|[\\/]{2})", re.IGNORECASE)
_PROGRAM = re.compile(
    r"(?:file:|[\\/]{2}).{0,2000}\.(?:exe|com|bat|cmd|scr|pif|vb[se]|jse?|wsf|hta|lnk|ps1|msi|jar|cpl|dll)\s*$"
    r"|(?:mhtml|search-ms|ms-msdt|ms-officecmd):",
    re.IGNORECASE | re.DOTALL,
)
"""A link to a file starts it, if it is a program; some handlers start, or show, what another machine has."""
_SCRIPT = re.compile(rb"<(?:[\w.-]{1,40}:)?script\b", re.IGNORECASE)
ERRORS = (
    pikepdf.PdfError,
    pikepdf.PasswordError,
    ValueError,
    RuntimeError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    NotImplementedError,
)
"""What pikepdf raises for objects that are not what they should be."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that the document does; a finding's name and detail."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class File:
    """An embedded file, or a form.

    Arguments:
        name: as the document has it; for a form empty.
        content: decoded.
        problem: what keeps it from being whole, a reason of :class:`~mailbase.vocabulary.Unscanned`.
    """

    name: str
    content: Content
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something could not be looked into."""

    reason: str
    detail: str


@dataclass(slots=True)
class Walk:
    """One walk over a document.

    Arguments:
        allowance: octets that the next file may have.
        seen: names of what was found, as :func:`~contentfilter.pdf.syntax.telling_names` has them.
    """

    document: pikepdf.Pdf
    allowance: Callable[[], int]
    seen: set[str] = field(default_factory=set)
    _files: set[tuple[int, int]] = field(default_factory=set)
    _items: int = 0

    def run(self) -> Iterator[Fact | File | Trouble]:
        """What there is, in the order of the objects; each fact may come several times."""
        objects = iter(self.document.objects)
        for number in range(MAX_OBJECTS + 1):
            try:
                thing = next(objects, None)
                if thing is None and number >= len(self.document.objects):
                    return
                if number == MAX_OBJECTS or self._items > MAX_ITEMS:
                    yield Trouble("too-large", "PDF objects")
                    return
                if isinstance(thing, pikepdf.Stream):
                    yield from self._stream(thing)
                elif isinstance(thing, (pikepdf.Dictionary, pikepdf.Array)) and _WORDS.search(
                    thing.unparse(resolved=True)
                ):
                    yield from self._closely(thing)
            except ERRORS as error:
                yield Trouble("malformed", message(error))

    def _stream(self, stream: pikepdf.Stream) -> Iterator[Fact | File | Trouble]:
        about = stream.stream_dict
        if not _WORDS.search(about.unparse(resolved=True)):
            return
        if about.get("/Type") == pikepdf.Name.EmbeddedFile:
            self.seen.add("EmbeddedFile")
            yield from self._file("embedded file", stream)
        yield from self._closely(about)

    def _closely(self, thing: pikepdf.Object) -> Iterator[Fact | File | Trouble]:
        """Dictionaries in ``thing``: itself, and those that lie directly in it."""
        stack = [thing]
        while stack and self._items <= MAX_ITEMS:
            thing = stack.pop()
            if isinstance(thing, pikepdf.Dictionary):
                values = [value for _key, value in thing.items()]
                yield from self._dictionary(thing)
            else:
                values = list(thing)
            self._items += len(values) + 1
            stack += [
                value
                for value in values
                if isinstance(value, (pikepdf.Dictionary, pikepdf.Array)) and not value.is_indirect
            ]

    def _dictionary(self, thing: pikepdf.Object) -> Iterator[Fact | File | Trouble]:
        action = str(thing["/S"]) if isinstance(thing.get("/S"), pikepdf.Name) else ""
        if action == "/JavaScript" or "/JS" in thing:
            self.seen.add("JS")
            yield Fact("pdf-javascript", "script" if action == "/JavaScript" else "script in an action")
        elif "/OnInstantiate" in thing:
            yield Fact("pdf-javascript", "script of a 3D object")
        elif isinstance(script := thing.get("/JavaScript"), pikepdf.Dictionary) and not (
            {"/Names", "/Kids"} & set(script.keys())
        ):
            self.seen.add("JS")
            yield Fact("pdf-javascript", "script of a form's data")
        if action == "/Launch":
            self.seen.add("Launch")
            yield Fact("pdf-launch", "action")
        elif action in ("/GoToR", "/GoToE", "/ImportData", "/URI"):
            target = _target(thing.get("/URI" if action == "/URI" else "/F"))
            if _PROGRAM.match(target) if action == "/URI" else _ELSEWHERE.match(target):
                yield Fact("pdf-launch", f"{action[1:]} {target[:200]}")
        if "/EP" in thing or thing.get("/AFRelationship") == pikepdf.Name.EncryptedPayload:
            yield Fact("pdf-encrypted", "a wrapper around an encrypted document")
        for key in ("/EF", "/RF"):
            if isinstance(inner := thing.get(key), pikepdf.Dictionary):
                self.seen.add("EmbeddedFile")
                yield from self._embedded(thing, inner)
        if "/XFA" in thing:
            yield from self._form(thing["/XFA"])

    def _embedded(self, about: pikepdf.Object, inner: pikepdf.Object) -> Iterator[File | Trouble]:
        """The files of a file specification (7.11.4), related ones too."""
        given = next((about[key] for key in ("/UF", "/F", "/Desc") if key in about), "")
        called = str(given) if isinstance(given, (pikepdf.String, str)) else ""
        for value in inner.as_dict().values():
            pieces = list(value) if isinstance(value, pikepdf.Array) else [value]
            for piece in pieces:
                if isinstance(piece, pikepdf.Stream):
                    yield from self._file(called or "embedded file", piece)

    def _file(self, name: str, stream: pikepdf.Stream) -> Iterator[File | Trouble]:
        if stream.objgen in self._files:
            return
        self._files.add(stream.objgen)
        try:
            content, problem = decode(stream, self.allowance())
        except ERRORS as error:
            yield Trouble("malformed", f"embedded file: {message(error)}")
            return
        if content or problem:
            yield File(name, content, problem)

    def _form(self, value: pikepdf.Object) -> Iterator[Fact | File | Trouble]:
        """An XFA form (12.7.8): one stream of XML, or names and streams in turn."""
        pieces = list(value) if isinstance(value, pikepdf.Array) else [value]
        form = bytearray()
        for piece in pieces[: 4 * MAX_FORM]:
            if isinstance(piece, pikepdf.Stream) and piece.objgen not in self._files:
                self._files.add(piece.objgen)
                content, problem = decode(piece, max(0, self.allowance() - len(form)))
                form += content
                if problem:
                    yield Trouble(problem, "XFA form")
        if form:
            if has_script(form):
                yield Fact("pdf-javascript", "script in an XFA form")
            yield File("", form)


def has_script(form: Content) -> bool:
    """Whether an XFA form, in XML, holds a script."""
    return _SCRIPT.search(form) is not None


def _target(value: pikepdf.Object | str | None) -> str:
    """What an action leads to: a string, or a file specification with one."""
    if isinstance(value, pikepdf.Dictionary):
        value = next((value[key] for key in ("/UF", "/F") if key in value), None)
    return str(value).strip() if isinstance(value, (pikepdf.String, str)) else ""


_BUFFER = re.compile(r"(?:stream )?<[^>]*>:? ?")


def message(error: Exception | str) -> str:
    """qpdf's words without the address of our buffer."""
    return _BUFFER.sub("", str(error))
