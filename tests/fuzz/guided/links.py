"""URLs in words: each is bounded, its host is a name or an address, and it is read the same way twice."""

from __future__ import annotations

from contentfilter.analysis.urls import hosts_of, nested
from contentfilter.content.traits import Traits
from contentfilter.letter.html import Page
from contentfilter.links.hosts import read_host
from contentfilter.links.link import Link
from contentfilter.links.lookalike import lookalike
from contentfilter.links.mentions import Mention, mentions_in
from contentfilter.links.mismatch import mismatch, read_shown
from contentfilter.links.text import MAX_FOUND, urls_in
from contentfilter.links.url import MAX_URL, read_url
from contentfilter.links.wrapped import MAX_INNER, destinations
from mailbase.addresses import MAX_DOMAIN

SEEDS = [
    b"see http://user@ex%61mple.com:8080/a?u=https%3A%2F%2Fother.com#x, www.example.com. (example.org/x)",
    b"hxxp://evil[.]com evil (dot) net http://134744072/ http://0x7f.1 http://[::ffff:1.2.3.4]:80/",
    "http://пример.рф/ ｅｘａｍｐｌｅ。ｃｏｍ pаypal.com http://exam\u00adple.com".encode(),
    b"https://urldefense.com/v3/__https://evil.com__;!! https://www.bing.com/ck/a?u=a1aHR0cHM6Ly9ldmlsLmNvbS8",
    b"http:\\\\a.com\\b http:///a.com //a.com mailto:x@y.com?z javascript:x data:text/html,y a.b.c",
]


class _Text:
    def __init__(self, page: Page) -> None:
        self.page = page


def target(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    found = list(urls_in(text))
    assert len(found) <= MAX_FOUND
    base = read_url("http://base.example/a")
    for written in [*found[:20], text]:
        for url in (read_url(written), read_url(written, base, lenient=True)):
            if url is None:
                continue
            assert len(url.text) <= MAX_URL
            assert len(url.host) <= MAX_DOMAIN
            assert url.host.isascii()
            if url.fetched:
                again = read_host(f"[{url.host}]" if ":" in url.host else url.host)
                assert again is not None
                assert (again.name, again.address) == (url.host, url.address)
                lookalike(url.host)
                nested(url.host, url.host)
            assert len(destinations(url)) <= MAX_INNER
        read_shown(written)
    links = tuple(Link(written, text[:500]) for written in found[:50])
    mentions: tuple[Mention, ...] = mentions_in([_Text(Page(shown=text, links=links))], text)
    mismatch(mentions, "example.com")
    hosts = hosts_of(mentions)
    assert Traits.from_dict(Traits(hosts=hosts).to_dict()).hosts == hosts
