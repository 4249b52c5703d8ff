"""A piece of a message under scrutiny, and the shape of a scanner that looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from contentfilter.containers.cfb import CompoundError, CompoundFile
from contentfilter.containers.ziparchive import ZipArchive
from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.passwords.passwords import Passwords
from mailbase.vocabulary import Finding, Unscanned

Content: TypeAlias = bytes | bytearray
"""Decoded octets of a part."""

MAX_NAME = 120
MAX_PATH = 600
MAX_RAW_NAME = 1024


def clean_name(name: str) -> str:
    """``name`` from outside, fit for a path in logs: nothing invisible, no controls, bounded."""
    if len(name) > MAX_NAME:
        name = name[: MAX_NAME - 12] + "..." + name[-9:]
    if not name.isprintable():
        name = "".join(character if character.isprintable() else "?" for character in name)
    return name.strip()


def base_name(name: str) -> str:
    """The name without folders, its end where it is too long: there stands what counts."""
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    # Blanks at the end are cut off wherever it is saved.
    return name if len(name) <= MAX_RAW_NAME else name.rstrip()[-MAX_RAW_NAME:]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Decoded content and where it was found.

    Arguments:
        path: part numbers and member names, ``2/report.zip/a.docm``.
        data: the octets. What they are is told from them alone, never from the name or a declared type.
        depth: how many containers are around it.
        inside: if it is a piece of a document: which, for the detail of a finding. The path is then the
            document's own, since that is what people know.
        name: the file name that it would be saved under, as it was given; empty for a text without one. It
            makes nothing harmless, but tells what a double click would do with the content.
        charset: what its header declares, of text that lies in a message; see
            :mod:`contentfilter.content.text`.
        media: media type that its header declares, lower case, of a leaf of a message; likewise.
        encoding: from which it was decoded, in the words of :data:`contentfilter.message.header.ENCODINGS`.
        attached: whether its header says that it is a file, which is not shown; likewise.
    """

    path: str
    data: Content
    depth: int = 0
    inside: str = ""
    name: str = ""
    charset: str = ""
    media: str = ""
    encoding: str = ""
    attached: bool = False

    def child(self, name: str, data: Content) -> Part:
        """A member of this container."""
        path = f"{self.path}/{clean_name(name)}" if name else self.path
        if len(path) > MAX_PATH:
            path = path[: MAX_PATH // 2] + "..." + path[-MAX_PATH // 2 :]
        return Part(path, data, self.depth + 1, name=base_name(name))

    def piece(self, name: str, data: Content, file_name: str = "") -> Part:
        """A piece of this document: an embedded object, a macro project, what stands behind a password.

        Arguments:
            name: in words of ours, or its own.
            file_name: under which it would be saved, if it is a file.
        """
        return Part(self.path, data, self.depth + 1, clean_name(name), base_name(file_name))

    def found(self, name: str, detail: str = "", digest: str = "") -> Finding:
        """A finding in this part."""
        return Finding(name, self.path, " in ".join(filter(None, (detail[:300], self.inside))), digest)

    def unscanned(self, reason: str, detail: str = "") -> Unscanned:
        """This part, or a piece of it, could not be looked into."""
        return Unscanned(self.path, reason, " in ".join(filter(None, (detail[:300], self.inside))))


Found: TypeAlias = Finding | Unscanned | Part
"""What a scanner yields: a fact, a part it could not look into, or content to be scanned in turn."""


class Context:
    """What the scanners of one part share: the bounds, and the containers' directories, read once.

    Arguments:
        budget: the message's.
        passwords: the message's; only everybody's if None.
    """

    __slots__ = ("_cfb", "_part", "_zip", "budget", "cfb_problem", "passwords")

    def __init__(self, part: Part, budget: Budget, passwords: Passwords | None = None) -> None:
        self.budget = budget
        self.passwords = passwords or Passwords(budget)
        self.cfb_problem = ""
        self._part = part
        self._zip: ZipArchive | bool | None = False
        self._cfb: CompoundFile | bool | None = False

    @property
    def options(self) -> ScanOptions:
        return self.budget.options

    @property
    def zip(self) -> ZipArchive | None:
        """The part as a ZIP archive; None if it is none."""
        if isinstance(self._zip, bool):
            self._zip = ZipArchive.find(self._part.data, self.options.members)
        return self._zip

    @property
    def cfb(self) -> CompoundFile | None:
        """The part as an OLE compound file; None if it is none, or unreadable (``cfb_problem`` says why)."""
        if isinstance(self._cfb, bool):
            try:
                self._cfb = CompoundFile.find(self._part.data)
            except CompoundError as error:
                self._cfb = None
                self.cfb_problem = str(error)
        return self._cfb


class Scanner(Protocol):
    """Looks at one part and states facts; knows no policy.

    An exception makes the part ``unscanned: failed``; it is never a pass, and the other scanners go on.
    """

    name: str

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        """What there is in ``part``. Runs lazily: a yielded part is scanned before the next is asked for."""
        ...
