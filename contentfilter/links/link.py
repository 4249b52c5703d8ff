"""A link as it stands in a mail, not yet read."""

from __future__ import annotations

from dataclasses import dataclass

MAX_TARGET = 2_000
"""Characters of a link's target."""
MAX_LINK_TEXT = 500
"""Characters of a link's text."""
FETCHED = frozenset({"image", "media", "style", "script"})
"""Kinds of links that only fetch what is shown; all others are opened by somebody, or by themselves."""


@dataclass(frozen=True, slots=True)
class Link:
    """Somewhere that a text leads.

    Arguments:
        target: as it is written there, character references decoded, without blanks around it; at most
            ``MAX_TARGET`` characters. May be relative, or no URL at all.
        shown: the text of the link, with what is said in place of its pictures; empty for what has none.
        kind: ``link``, ``form``, ``refresh``, ``image``, ``frame``, ``media``, ``style`` or ``script``;
            ``text`` for one that stands in a text without markup, or in the words of a page.
        hidden: whether a reader does not see it.
    """

    target: str
    shown: str = ""
    kind: str = "link"
    hidden: bool = False
