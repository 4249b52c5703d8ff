"""Walks the objects of a PDF document and tells what they do by themselves and which files they hold.

Each object is written out by qpdf in one normal form, in which a few words tell whether it is worth a closer
look. So a document of a hundred thousand numbers costs little, and no way to write a name hides it.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pikepdf

from contentfilter.content.limits import MIB
from contentfilter.content.part import Content
from contentfilter.pdf import locks
from contentfilter.pdf.streams import LIMIT, decode
from contentfilter.pdf.syntax import telling_names

MAX_OBJECTS = 300_000
MAX_ITEMS = 300_000
"""Values that are looked at closely in one document."""
MAX_FORM = 2_000
"""Names and streams of one form."""
MAX_PACKED = 32 * MIB
"""Octets of object streams that are kept for a closer look."""
_WORDS = re.compile(
    rb"/(?:JS|JavaScript|Launch|GoToR|GoToE|ImportData|EF|RF|EP|XFA|OnInstantiate|EmbeddedFiles?|FS|AF|Scripts|EncryptedPayload|ObjStm)\b"
    rb"|/URI (?:\((?:(?i:file|mhtml|search-ms|ms-msdt|ms-officecmd):|\\\\)|<[fF][eE][fF][fF])"
)
_ELSEWHERE = re.compile(r"(?:file:|smb:|[a-z]{3,8}://|[\\/]{2})", re.IGNORECASE)
_PROGRAM = re.compile(
    r"(?:file:|[\\/]{2}).{0,2000}\.(?:exe|com|bat|cmd|scr|pif|vb[se]|jse?|wsf|hta|lnk|ps1|msi|jar|cpl|dll)\s*$"
    r"|(?:mhtml|search-ms|ms-msdt|ms-officecmd):",
    re.IGNORECASE | re.DOTALL,
)
"""A link to a file starts it, if it is a program; some handlers start, or show, what another machine has."""
_SCRIPT_NAME = ".js"
_LISTS = ("/EmbeddedFiles", "/FS", "/AF")
"""Where files stand that readers show as such (7.7.4, 12.5.6.15, ISO 32000-2 14.13)."""
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
        known: digests of files that were handed out of another reading of the document.
        seen: names of what was found, as :func:`~contentfilter.pdf.syntax.telling_names` has them.
        handed: digests of the files that were handed out.
        packed: object streams in which such names stand, decoded.
    """

    document: pikepdf.Pdf
    allowance: Callable[[], int]
    known: frozenset[bytes] = frozenset()
    seen: Counter[str] = field(default_factory=Counter)
    handed: set[bytes] = field(default_factory=set)
    packed: list[Content] = field(default_factory=list)
    _files: set[tuple[tuple[int, int], str]] = field(default_factory=set)
    _untold: list[pikepdf.Stream] = field(default_factory=list)
    _scripts: list[tuple[tuple[int, int], str, pikepdf.Stream]] = field(default_factory=list)
    _of_media: set[tuple[int, int]] = field(default_factory=set)
    _lists_files: bool = False
    _items: int = 0
    _locked_files: bool = False

    def adopt(self, other: Walk) -> None:
        """Take what a walk over another reading of the document has met as met."""
        for name, count in other.seen.items():
            self.seen[name] = max(self.seen[name], count)
        self.handed |= other.handed
        self.packed += [content for content in other.packed if content not in self.packed]

    def run(self) -> Iterator[Fact | File | Trouble]:
        """What there is, in the order of the objects; each fact may come several times."""
        try:
            self._locked_files = self.document.is_encrypted and locks.differ_for_files(self.document)
        except ERRORS as error:
            self._locked_files = True
            yield Trouble("malformed", f"lock: {message(error)}")
        yield from self._listed()
        yield from self._waiting()

    def _listed(self) -> Iterator[Fact | File | Trouble]:
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
        if "/First" in about and "/N" in about:
            yield from self._objects(stream)
        if not _WORDS.search(about.unparse(resolved=True)):
            return
        if about.get("/Type") == pikepdf.Name.EmbeddedFile:
            self.seen["EmbeddedFile"] += 1
            self._untold.append(stream)
        elif about.get("/Type") == pikepdf.Name.ObjStm:
            self.seen["ObjStm"] += 1
        yield from self._closely(about)

    def _objects(self, stream: pikepdf.Stream) -> Iterator[Trouble]:
        """An object stream (7.5.7). Not all in it need be known to qpdf: it goes by their numbers."""
        content, problem = decode(stream, LIMIT)
        if problem:
            yield Trouble(problem, "object stream")
        if telling_names(content):
            if sum(map(len, self.packed)) + len(content) > MAX_PACKED:
                yield Trouble("too-large", "object streams")
            else:
                self.packed.append(content)

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
            self.seen["JS"] += 1
            yield Fact("pdf-javascript", "script" if action == "/JavaScript" else "script in an action")
        elif "/OnInstantiate" in thing:
            yield Fact("pdf-javascript", "script of a 3D object")
        elif isinstance(script := thing.get("/JavaScript"), pikepdf.Dictionary) and not (
            {"/Names", "/Kids"} & set(script.keys())
        ):
            self.seen["JS"] += 1
            yield Fact("pdf-javascript", "script of a form's data")
        if action == "/Launch":
            self.seen["Launch"] += 1
            yield Fact("pdf-launch", "action")
        elif action in ("/GoToR", "/GoToE", "/ImportData", "/URI"):
            target = _target(thing.get("/URI" if action == "/URI" else "/F"))
            if _PROGRAM.match(target) if action == "/URI" else _ELSEWHERE.match(target):
                yield Fact("pdf-launch", f"{action[1:]} {target[:200]}")
        if "/EP" in thing or thing.get("/AFRelationship") == pikepdf.Name.EncryptedPayload:
            yield Fact("pdf-encrypted", "a wrapper around an encrypted document")
        for key in ("/EF", "/RF"):
            inner = thing.get(key)
            if isinstance(inner, pikepdf.Stream):
                # Programs take its dictionary.
                inner = inner.stream_dict
            if isinstance(inner, pikepdf.Dictionary):
                self.seen["EmbeddedFile"] += 1
                yield from self._embedded(thing, inner, key[1:])
        if isinstance(scripts := thing.get("/Scripts"), pikepdf.Array):
            self._of_media |= {item.objgen for item in scripts if isinstance(item, pikepdf.Dictionary)}
        self._lists_files |= any(key in thing for key in _LISTS)
        if "/XFA" in thing:
            yield from self._form(thing["/XFA"])

    def _embedded(
        self, about: pikepdf.Object, inner: pikepdf.Object, key: str
    ) -> Iterator[Fact | File | Trouble]:
        """The files of a file specification (7.11.4), related ones too."""
        names = _names(about)
        values = inner.as_dict().values()
        pieces = [
            piece for value in values for piece in (value if isinstance(value, pikepdf.Array) else [value])
        ]
        streams = [piece for piece in pieces if isinstance(piece, pikepdf.Stream)]
        # One that leads nowhere may lead to a file in another reading.
        self.seen += Counter([key] if streams else [])
        for stream, name in itertools.product(streams, names):
            if name.lower().endswith(_SCRIPT_NAME):
                self._scripts.append((about.objgen, name, stream))
            else:
                yield from self._file(name, stream)

    def _file(self, name: str, stream: pikepdf.Stream) -> Iterator[Fact | File | Trouble]:
        """A file, once for each suffix that it is called by."""
        end = name.rpartition(".")[2].lower()
        if (stream.objgen, end) in self._files:
            return
        self._files |= {(stream.objgen, end), (stream.objgen, "")}
        try:
            if self._locked_files or (self.document.is_encrypted and locks.has_own(stream)):
                yield Fact("pdf-encrypted", "an embedded file with a lock of its own")
            content, problem = decode(stream, self.allowance())
        except ERRORS as error:
            yield Trouble("malformed", f"embedded file: {message(error)}")
            return
        digest = hashlib.blake2b(content, digest_size=16, key=end.encode("utf-8", "replace")[:64]).digest()
        self.handed.add(digest)
        if problem or (content and digest not in self.known):
            yield File(name or "embedded file", content, problem)

    def _waiting(self) -> Iterator[Fact | File | Trouble]:
        """Embedded files of which all the rest must be known first: those that no specification names, and
        scripts. One that belongs to a picture in three dimensions is run by the reader alone, and shown to
        nobody where the document lists no files."""
        for specification, name, stream in self._scripts:
            own = any(specification) and specification in self._of_media and not self._lists_files
            yield from self._file("" if own else name, stream)
        for stream in self._untold:
            yield from self._file("", stream)

    def _form(self, value: pikepdf.Object) -> Iterator[Fact | File | Trouble]:
        """An XFA form (12.7.8): one stream of XML, or names and streams in turn."""
        pieces = list(value) if isinstance(value, pikepdf.Array) else [value]
        form = bytearray()
        if len(pieces) > MAX_FORM:
            yield Trouble("too-large", "XFA form")
        for piece in pieces[:MAX_FORM]:
            if isinstance(piece, pikepdf.Stream) and (piece.objgen, "") not in self._files:
                self._files.add((piece.objgen, ""))
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


def _names(about: pikepdf.Object) -> list[str]:
    """What a file specification calls its files; which of its names counts depends on the program."""
    given = (about.get(key) for key in ("/UF", "/F", "/Unix", "/DOS", "/Mac"))
    names = dict.fromkeys(str(name) for name in given if isinstance(name, (pikepdf.String, str)))
    if not names and isinstance(about.get("/Desc"), (pikepdf.String, str)):
        return [str(about["/Desc"])]
    return list(names) or [""]


def _target(value: pikepdf.Object | str | None) -> str:
    """What an action leads to: a string, or a file specification with one."""
    if isinstance(value, pikepdf.Dictionary):
        value = next((value[key] for key in ("/UF", "/F") if key in value), None)
    return str(value).strip() if isinstance(value, (pikepdf.String, str)) else ""


_BUFFER = re.compile(r"(?:stream )?<[^>]*>:? ?")


def message(error: Exception | str) -> str:
    """qpdf's words without the address of our buffer."""
    return _BUFFER.sub("", str(error))
