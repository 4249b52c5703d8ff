"""A letter as rules look at it. Each view is made once, when the first rule asks for it, and bounded."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contentfilter.rules.address import Mailbox, mailbox_of
from contentfilter.rules.dates import Moment, moment_of
from contentfilter.rules.hops import Hop
from mailbase.once import once
from mailbase.organisation import organisation

if TYPE_CHECKING:
    from contentfilter.letter import Attachment, Letter, Text
    from contentfilter.links.url import Url

MAX_BODY = 64 * 1024
"""Characters of shown text that rules look at: the first three quarters and the last."""
MAX_RAW = 96 * 1024
"""Characters of source that rules look at, likewise."""
MAX_URLS = 100
MAX_HOPS = 20

_UPPER, _LOWER = string.ascii_uppercase.encode(), string.ascii_lowercase.encode()
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f]+"
)
_OPENED = frozenset({"link", "form", "refresh", "frame", "text"})
"""Kinds of links that somebody opens, or that open by themselves."""


@dataclass(frozen=True, slots=True)
class Declared:
    """Arguments:
    media: type, lower case.
    charset, encoding: of a text, lower case; else empty.
    """

    media: str
    charset: str
    encoding: str


class Reading:
    """The views of one letter."""

    def __init__(self, letter: Letter) -> None:
        self.letter = letter

    # -- header

    def values(self, name: str, part: str) -> Sequence[str]:
        """What the fields called ``name`` have in the way of ``part``, other than ``raw``; see
        :class:`model.HeaderTest`.
        """
        if part == "value":
            return [field.text for field in self.letter.all(name)]
        if name not in self.letter:
            return ()
        box = self.mailbox(name)
        return [box.name if part == "name" else box.address if part == "address" else box.domain]

    def mailbox(self, name: str) -> Mailbox:
        """The first address in the topmost field called ``name``; empty if there is none."""
        box = self._mailboxes.get(name)
        if box is None:
            box = self._mailboxes[name] = mailbox_of(self.letter.first(name))
        return box

    @once
    def _mailboxes(self) -> dict[str, Mailbox]:
        return {}

    @once
    def sender(self) -> Mailbox:
        """The first address in From."""
        return self.mailbox("from")

    @once
    def organisation(self) -> str:
        """The registrable domain of From; empty if there is none."""
        return organisation(self.sender.domain) or self.sender.domain

    @once
    def subject(self) -> str:
        return self.letter.first("subject")

    @once
    def hops(self) -> Sequence[Hop]:
        """The Received lines, the topmost first: who had the mail from whom, as each of them says."""
        found = []
        for field in self.letter.all("received"):
            found.append(Hop(field.raw.decode("utf-8", "replace")))
            if len(found) >= MAX_HOPS:
                break
        return found

    @once
    def outside(self) -> Sequence[Hop]:
        """The hops at which a client from outside handed the mail over."""
        return [hop for hop in self.hops if hop.outside]

    @once
    def date(self) -> Moment | None:
        """What Date says; None if it is missing or nobody can read it."""
        return moment_of(self.letter.first("date"))

    @once
    def arrival(self) -> float | None:
        """When the mail was handed over, by the topmost Received line that tells: seconds since the epoch."""
        return next((hop.moment.seconds for hop in self.hops if hop.moment is not None), None)

    @once
    def first_seen(self) -> float | None:
        """When the first server had the mail, by the undermost Received line that tells, likewise."""
        return next((hop.moment.seconds for hop in reversed(self.hops) if hop.moment is not None), None)

    # -- texts

    @once
    def capitals(self) -> float:
        """Share of capitals among the letters of the text; 0 where it is short or has no letters at all."""
        text = self.shown[:8000].encode("ascii", "ignore")
        upper = len(text) - len(text.translate(None, _UPPER))
        lower = len(text) - len(text.translate(None, _LOWER))
        return upper / (upper + lower) if upper + lower >= 150 else 0.0

    @once
    def shown(self) -> str:
        """What a reader sees of the texts, white space made one, a line for each text. Bounded."""
        return bounded("\n".join(self.shown_of(text) for text in self.letter.texts), MAX_BODY)

    def shown_of(self, text: Text) -> str:
        """What a reader sees of one text, white space made one."""
        shown = self._shown_of.get(text)
        if shown is None:
            shown = self._shown_of[text] = " ".join(plain(text.shown[: 4 * MAX_BODY]).split())
        return shown

    @once
    def _shown_of(self) -> dict[Text, str]:
        return {}

    @once
    def text(self) -> str:
        """Subject and what is shown."""
        subject = " ".join(plain(self.subject[:1000]).split())
        return f"{subject}\n{self.shown}"

    @once
    def body(self) -> bytes:
        """:attr:`text`, for expressions."""
        return self.text.encode("utf-8", "replace")

    @once
    def source(self) -> str:
        """The texts as they came, their transfer encoding undone. Bounded."""
        return bounded("\n".join(text.source for text in self.letter.texts), MAX_RAW)

    @once
    def raw(self) -> bytes:
        """:attr:`source`, for expressions."""
        return self.source.encode("utf-8", "replace")

    @once
    def html(self) -> str:
        """The source of the HTML texts. Bounded."""
        return bounded("\n".join(text.source for text in self.letter.texts if text.is_html), MAX_RAW)

    @once
    def urls(self) -> Sequence[Url]:
        """The links that a reader may open, each once."""
        found: dict[str, Url] = {}
        for mention in self.letter.mentions:
            url = mention.url
            if mention.kind in _OPENED and url.fetched and url.text not in found:
                found[url.text] = url
                if len(found) >= MAX_URLS:
                    break
        return list(found.values())

    @once
    def parts(self) -> Sequence[Declared]:
        """How the texts and the attachments were declared."""
        texts = [Declared(text.media, text.charset.lower(), text.encoding) for text in self.letter.texts]
        return [*texts, *(Declared(one.media, "", "") for one in self.letter.attachments)]

    @property
    def attachments(self) -> Sequence[Attachment]:
        return self.letter.attachments


def plain(text: str) -> str:
    """``text`` without what is not seen, and its letters in their ordinary form (Unicode's NFKC)."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))


def bounded(text: str, limit: int) -> str:
    """``text``, or its beginning and its end: what counts is seldom in the middle."""
    if len(text) <= limit:
        return text
    return text[: limit * 3 // 4] + "\n" + text[-(limit // 4) :]
