"""All URLs that a mail has, each with where it stands; found once, for whoever asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from contentfilter.links.link import FETCHED, Link
from contentfilter.links.text import urls_in
from contentfilter.links.url import Url, read_url
from contentfilter.links.wrapped import destinations

if TYPE_CHECKING:
    from contentfilter.letter.html import Page

MAX_MENTIONS = 500
"""URLs of a mail that a reader may open; of more, the first."""
MAX_OTHERS = 200
"""Likewise those that he does not see, or that only fetch what is shown: they push out none of the others."""
MAX_WRAPPED = 100
"""URLs that are searched for others in them."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A URL in a mail.

    Arguments:
        url: taken apart.
        shown: the text of the link; of a URL in plain text the URL itself.
        kind: as in :class:`contentfilter.links.link.Link`.
        hidden: whether a reader does not see it.
        onward: where it passes on to, as far as the URL itself says.
    """

    url: Url
    shown: str = ""
    kind: str = "link"
    hidden: bool = False
    onward: tuple[Url, ...] = ()


class Read(Protocol):
    """A text of a mail, as far as it matters here; see :class:`contentfilter.letter.letter.Text`."""

    @property
    def page(self) -> Page: ...


def mentions_in(texts: Iterable[Read], subject: str = "") -> tuple[Mention, ...]:
    """The URLs of a mail, each once for each kind and shown text, in their order; of all schemes.

    Arguments:
        texts: its texts.
        subject: likewise searched.
    """
    found: dict[tuple[str, str, str, bool], Mention] = {}
    wrapped = others = 0

    def add(link: Link, base: Url | None) -> None:
        nonlocal wrapped, others
        key = (link.target, link.shown, link.kind, link.hidden)
        if key in found:
            return
        other = link.hidden or link.kind in FETCHED
        if others >= MAX_OTHERS if other else len(found) - others >= MAX_MENTIONS:
            return
        url = read_url(link.target, base, lenient=True)
        if url is None:
            return
        others += other
        onward: tuple[Url, ...] = ()
        if wrapped < MAX_WRAPPED and (onward := destinations(url)):
            wrapped += 1
        found[key] = Mention(url, link.shown, link.kind, link.hidden, onward)

    for text in texts:
        page = text.page
        base = read_url(page.base) if page.base else None
        for link in page.links:
            add(link, base)
        for target in urls_in(page.shown):
            add(Link(target, target, "text"), None)
        if page.hidden:
            for target in urls_in(page.hidden):
                add(Link(target, target, "text", hidden=True), None)
    for target in urls_in(subject) if subject else ():
        add(Link(target, target, "text"), None)
    return tuple(found.values())
