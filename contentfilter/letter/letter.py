"""One mail as rules and statistics read it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from contentfilter.content.filename import suffix
from contentfilter.content.limits import KIB
from contentfilter.content.part import Part
from contentfilter.content.text import text_of
from contentfilter.letter.header import Field, fields_of
from contentfilter.letter.html import Page, read_page
from contentfilter.links.link import Link
from contentfilter.links.mentions import Mention, mentions_in
from mailbase.once import once

MAX_TEXTS = 20
"""Texts of one mail that are read."""
MAX_TEXT = 256 * KIB
"""Octets of one text that are read."""
MAX_ATTACHED = 5
"""Attached texts that are read."""
MAX_ATTACHMENTS = 200
"""Attachments that are listed."""

_PAGES = frozenset({"image/svg+xml", "application/xhtml+xml"})
_PAGE_SUFFIXES = frozenset({"htm", "html", "shtml", "xht", "xhtml", "svg"})

__all__ = ["Attachment", "Composer", "Field", "Letter", "Text"]


class Text:
    """A text of the mail that is shown.

    Arguments:
        path: its part number.
        media: ``text/plain`` or ``text/html``; other kinds of text count as plain.
        data: its octets, at most ``MAX_TEXT``.
        charset: as declared; may be wrong.
        encoding: Content-Transfer-Encoding that it was decoded from, ``identity`` for none.
    """

    def __init__(self, path: str, media: str, data: bytes, charset: str = "", encoding: str = "") -> None:
        self.path = path
        self.media = media
        self.data = data
        self.charset = charset
        self.encoding = encoding

    @property
    def is_html(self) -> bool:
        return self.media == "text/html"

    @once
    def source(self) -> str:
        """The text itself, HTML with its tags."""
        return text_of(self.data, self.charset)

    @once
    def page(self) -> Page:
        """The text as a reader sees it; of plain text, the text itself without links."""
        return read_page(self.source) if self.is_html else Page(shown=self.source)

    @property
    def shown(self) -> str:
        """What a reader sees of it, without tags and without what is hidden from him."""
        return self.page.shown

    @property
    def hidden(self) -> str:
        """What HTML has in it and does not show."""
        return self.page.hidden

    @property
    def links(self) -> tuple[Link, ...]:
        """Where the markup of HTML leads."""
        return self.page.links


@dataclass(frozen=True, slots=True)
class Attachment:
    """What lies beside the texts.

    Arguments:
        path: part number and name.
        name: file name; empty if there is none.
        media: declared type, lower case; empty if there is none.
        size: octets, decoded.
    """

    path: str
    name: str
    media: str
    size: int


class Letter:
    """Arguments:
    header: the header block.
    texts: those that are shown, in the order of the mail.
    attachments: likewise; a text with a file name that is shown stands in both.
    size: octets of the mail.
    attached: texts that lie beside them as files.
    """

    def __init__(
        self,
        header: bytes,
        texts: tuple[Text, ...] = (),
        attachments: tuple[Attachment, ...] = (),
        size: int = 0,
        attached: tuple[Text, ...] = (),
    ) -> None:
        self.header = header
        self.texts = texts
        self.attachments = attachments
        self.size = size
        self.attached = attached

    @once
    def fields(self) -> tuple[Field, ...]:
        """The header fields, from the top."""
        return fields_of(self.header)

    @once
    def mentions(self) -> tuple[Mention, ...]:
        """The URLs of its texts and its subject."""
        return mentions_in(self.texts, self.first("subject"))

    @once
    def attached_mentions(self) -> tuple[Mention, ...]:
        """The URLs of its attached texts."""
        return mentions_in(self.attached)

    @once
    def _by_name(self) -> dict[str, list[Field]]:
        table: dict[str, list[Field]] = {}
        for field in self.fields:
            table.setdefault(field.name, []).append(field)
        return table

    @property
    def names(self) -> Collection[str]:
        """Of its header fields, lower case, each once."""
        return self._by_name.keys()

    def all(self, name: str) -> Iterator[Field]:
        """The fields of this name, lower case, from the top."""
        return iter(self._by_name.get(name, ()))

    def first(self, name: str) -> str:
        """The value of the topmost field of this name, decoded; empty if there is none."""
        fields = self._by_name.get(name)
        return fields[0].text if fields else ""

    def __contains__(self, name: str) -> bool:
        return name in self._by_name


class Composer:
    """Makes a letter out of the parts that a scan comes by."""

    def __init__(self) -> None:
        self._texts: list[Text] = []
        self._attached: list[Text] = []
        self._attachments: list[Attachment] = []
        self._seen: set[str] = set()

    def add(self, part: Part) -> None:
        """Take a leaf part of the message. Of several readings of one part the first counts."""
        if part.path in self._seen:
            return
        media = part.media or "text/plain"
        is_text = media.startswith("text/")
        # A name alone hides no text: programs show it all the same.
        shown = is_text and not (part.name and part.attached)
        # A browser is given what is called a page, whatever type it declares.
        is_page = not shown and (media in _PAGES or suffix(part.name) in _PAGE_SUFFIXES)
        texts, room = (self._texts, MAX_TEXTS) if shown else (self._attached, MAX_ATTACHED)
        if (is_text or is_page) and len(texts) < room:
            self._seen.add(part.path)
            kind = "text/html" if is_page or media == "text/html" else "text/plain"
            data = bytes(part.data[:MAX_TEXT])
            texts.append(Text(part.path, kind, data, part.charset, part.encoding))
        if (part.name or not shown) and len(self._attachments) < MAX_ATTACHMENTS:
            self._seen.add(part.path)
            self._attachments.append(Attachment(part.path, part.name, media, len(part.data)))

    def letter(self, header: bytes, size: int) -> Letter:
        """The letter.

        Arguments:
            header: the message's header block.
            size: octets of the message.
        """
        attached = tuple(self._attached)
        return Letter(header, tuple(self._texts), tuple(self._attachments), size, attached)
