"""What rules can ask of a mail that an expression cannot tell: times, differences, shares, shapes.

A fact holds or not, whatever it is worth; the rule files say that. Each is a pure function of a
:class:`contentfilter.rules.reading.Reading` and takes time linear in what the reading bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from contentfilter.rules.facts import brands, heading, hosts, pages, people, route, wording

if TYPE_CHECKING:
    from contentfilter.rules.reading import Reading

Fact: TypeAlias = "Callable[[Reading], str | None]"
"""What was seen, for people; empty if there is nothing to say; None where the fact does not hold."""

FACTS: Mapping[str, Fact] = {
    function.__name__.replace("_", "-"): function
    for module in (heading, route, people, brands, wording, pages, hosts)
    for function in module.FACTS
}


def _has_page(reading: Reading) -> bool:
    return any(text.is_html for text in reading.letter.texts)


def _has_links(reading: Reading) -> bool:
    return bool(reading.urls)


def _has_attachments(reading: Reading) -> bool:
    return bool(reading.attachments)


def _has_reply_to(reading: Reading) -> bool:
    return "reply-to" in reading.letter


_NEEDS: Mapping[Callable[[Reading], bool], tuple[Fact, ...]] = {
    _has_page: pages.OF_PAGES,
    _has_links: (*hosts.FACTS, wording.text_is_link, people.text_names_recipient),
    _has_attachments: (wording.subject_only_attachment, people.attachment_names_recipient),
    _has_reply_to: (people.reply_to_freemail, people.reply_to_other_freemail, people.reply_to_elsewhere),
}
NEEDS: Mapping[Fact, Callable[[Reading], bool]] = {
    fact: needed for needed, facts in _NEEDS.items() for fact in facts
}
"""Without which a fact does not hold: of mails that lack it, it need not be asked."""
