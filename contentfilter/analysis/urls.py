"""What a mail's URLs say of it by themselves, and which of their hosts are to be looked up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from contentfilter.analysis.analyser import Analysis
from contentfilter.content.clues import MAX_DETAIL, Clue
from contentfilter.content.traits import MAX_HOSTS
from contentfilter.letter import Letter
from contentfilter.links.common import common_domains
from contentfilter.links.hosts import Oddity
from contentfilter.links.link import FETCHED
from contentfilter.links.lookalike import lookalike
from contentfilter.links.mentions import Mention
from contentfilter.links.mismatch import mismatch
from contentfilter.links.url import Url
from mailbase.organisation import organisation
from mailbase.reserved import is_private

PER_ORGANISATION = 3
"""Hosts of one registrable domain that are told: whoever has one can have thousands."""

_RANKS = {"link": 0, "form": 0, "refresh": 0, "frame": 0, "text": 1}
_ODD = {
    Oddity.NUMBER: "url.number",
    Oddity.ENCODED: "url.encoded",
    Oddity.BROKEN: "url.broken",
    Oddity.USER: "url.user",
    Oddity.SLASHES: "url.slashes",
    Oddity.PORT: "url.port",
}
_SCRIPTS = frozenset({"javascript", "vbscript", "data"})
_SHORTENERS = frozenset(
    {
        "bit.ly", "bitly.com", "buff.ly", "cutt.ly", "goo.gl", "goo.su", "is.gd", "j.mp", "lc.chat",
        "ow.ly", "qr.ae", "rb.gy", "rebrand.ly", "s.id", "s.yam.com", "short.gy", "shorturl.at",
        "shrtco.de", "surl.li", "t.ly", "t2m.io", "tiny.cc", "tinyurl.com", "u.to", "urlz.fr", "v.gd",
        "x.gd", "clck.ru", "vk.cc",
    }
)  # fmt: skip
_PROXIES = re.compile(r"proxy|webvpn|idm\.oclc\.org|translate\.goog|edgekey|edgesuite|akamai|cdn")
"""Hosts that honestly carry another one's name in theirs."""
_AUTHOR = re.compile(r"@([^\s<>@,;:\"()\[\]]{1,255})")


class Urls:
    """States ``url.*``; tells the hosts that are to be looked up."""

    name = "urls"

    def analyse(self, letter: Letter, analysis: Analysis) -> Iterator[Clue]:
        """See :class:`contentfilter.analysis.Analyser`."""
        mentions, attached = letter.mentions, letter.attached_mentions
        if hosts := hosts_of((*mentions, *attached)):
            analysis.traits["hosts"] = hosts
        for mention in (*mentions, *attached):
            if mention.kind not in FETCHED and not mention.hidden:
                yield from _about(mention)
        listed = "list-id" in letter or "list-unsubscribe" in letter
        if mentions and (found := mismatch(mentions, _author(letter.first("from")), listed)):
            name = "url.mismatch-author" if found.own else "url.mismatch"
            yield _clue(name, f"{found.claimed} leads to {found.mention.url.host}")


def _about(mention: Mention) -> Iterator[Clue]:
    """What one URL says by itself."""
    url = mention.url
    for oddity in sorted(url.oddities):
        # "main.c:12" is no URL, and "host.example:2703" is none to most.
        bare = oddity is Oddity.PORT and "://" not in url.text
        if (name := _ODD.get(oddity)) and not bare:
            yield _clue(name, url.text)
    if (
        url.scheme in _SCRIPTS
        and mention.kind != "text"
        and (url.scheme != "data" or "html" in url.rest[:40])
    ):
        yield _clue("url.script", url.text)
    if mention.kind == "refresh" and url.fetched:
        yield _clue("url.refresh", url.text)
    if url.address:
        if not is_private(url.address) and Oddity.NUMBER not in url.oddities:
            yield _clue("url.address", url.text)
        return
    if not url.fetched:
        return
    if said := lookalike(url.host):
        yield _clue("url.lookalike", f"{url.host} looks like {said}")
    own = organisation(url.host) or url.host
    if own in _SHORTENERS:
        yield _clue("url.shortener", url.text)
    elif own in common_domains():
        onward = [inner for inner in mention.onward if (organisation(inner.host) or inner.host) != own]
        if onward:
            yield _clue("url.redirect", f"{url.host} leads to {onward[0].host}")
    elif inner := nested(url.host, own):
        yield _clue("url.nested", f"{inner} in {url.host}")


def nested(host: str, own: str) -> str:
    """A well-known domain that stands in the labels before another one's: ``paypal.com`` in
    ``www.paypal.com.example.net``; empty if there is none.

    Arguments:
        own: the registrable domain of ``host``.
    """
    labels = host[: -len(own) - 1].split(".") if len(host) > len(own) else []
    if len(labels) < 2 or _PROXIES.search(host):
        return ""
    for place in range(max(0, len(labels) - 10), len(labels) - 1):
        for count in (2, 3):
            inner = ".".join(labels[place : place + count])
            if inner in common_domains():
                return inner
    return ""


def hosts_of(mentions: Sequence[Mention]) -> tuple[str, ...]:
    """The hosts that are to be looked up, the most telling first: what is opened before what is only shown,
    rare ones before common ones.

    What is written so that nobody opens it (``hxxp://``) is a report of a URL, and left out.
    """
    ranked: list[tuple[int, int, str]] = []
    seen: set[str] = set()
    for place, mention in enumerate(mentions):
        if Oddity.DEFANGED in mention.url.oddities:
            continue
        rank = _RANKS.get(mention.kind, 2) + 2 * mention.hidden
        for url in (*mention.onward, mention.url):
            if url.host and url.host not in seen and _is_public(url):
                seen.add(url.host)
                mailed = 3 if url.scheme == "mailto" else 0
                ranked.append((rank + mailed, place, url.host))
    ranked.sort(key=lambda item: item[:2])
    counts: dict[str, int] = {}
    rare: list[str] = []
    common: list[str] = []
    for _rank, _place, host in ranked:
        own = organisation(host) or host
        counts[own] = counts.get(own, 0) + 1
        if counts[own] <= PER_ORGANISATION:
            (common if own in common_domains() else rare).append(host)
    return tuple((rare + common)[:MAX_HOSTS])


def _is_public(url: Url) -> bool:
    return not is_private(url.address) if url.address else "." in url.host


def _author(value: str) -> str:
    """The domain in a From field; empty if there is none."""
    found = _AUTHOR.findall(value[-2000:])
    return found[-1].lower() if found else ""


def _clue(name: str, detail: str) -> Clue:
    return Clue(name, detail[:MAX_DETAIL])
