"""HTML as a reader sees it: bounded, and no text is both shown and lost."""

from __future__ import annotations

from contentfilter.letter.html import MAX_LINKS, read_page
from contentfilter.links.link import MAX_LINK_TEXT, MAX_TARGET

SEEDS = [
    b"<style>.a{display:none}@media x{.b{color:red}}</style><p class='a b' style=\"font:0/0 a;color:#fff\">x",
    b"<base href=//a.example><a href=' x&#x41;'>https://b.example</a><img src=x alt=y width=1>",
    b"<!-- a --!>b<!-->c<script></scr</script ><title>&amp;&#9999999999;</title><textarea><b></textarea>",
    b'<table><td>a<td>b</table></b><p>c<p hidden>d<pre>e\nf</pre><a href="unclosed',
    b"<meta http-equiv=refresh content='0;url=http://x.example/'><form action=z><input type=password>",
    b"<body background=x text=white bgcolor=rgb(1,2,3)><font color=white>a<table bgcolor=#fff><td>b",
]


def target(data: bytes) -> None:
    source = data.decode("utf-8", "replace")
    page = read_page(source)
    assert len(page.links) <= MAX_LINKS
    for link in page.links:
        assert 0 < len(link.target) <= MAX_TARGET
        assert len(link.shown) <= MAX_LINK_TEXT
    for text in (page.shown, page.hidden):
        # A reference may stand for two characters.
        assert len(text) <= 2 * len(source)
        assert "\0" not in text
    if "<" not in source and "&" not in source:
        assert not page.hidden
