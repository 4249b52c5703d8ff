"""HTML: how much of it there is, and what it hides."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import re2

from contentfilter.rules.pattern import options

if TYPE_CHECKING:
    from contentfilter.rules.reading import Reading

_TAGS_LIST = """
a abbr acronym address applet area article aside b base basefont bdo bgsound big blink blockquote body br
button caption center cite code col colgroup dd del dfn dir div dl dt em embed fieldset figcaption figure
font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe ilayer img input ins isindex
kbd label layer legend li link main map mark marquee menu meta multicol nav nobr noembed noframes noscript
object ol optgroup option p param picture plaintext pre q s samp script section select small source spacer
span strike strong style sub sup svg table tbody td template textarea tfoot th thead time title tr tt u ul
var video wbr xml image
"""
_TAGS = frozenset(_TAGS_LIST.split())
_INSIDE = re2.compile(
    r"(?i)[a-z](?:<!-[^<>]{0,200}>|<![a-z0-9 ]{0,60}>|</?[a-z][a-z0-9]{0,30}(?:\s[^<>]{0,100})?>)[a-z]",
    options(),
)
_NAME = re.compile(rb"<[/!]?-?([a-zA-Z][a-zA-Z0-9]*)?")
MAX_INSIDE = 300
"""Tags in the midst of letters that are looked at."""
_WORD = re.compile(r"[A-Za-z]<!--?[^<>]{0,200}>[A-Za-z]")
_WORD = re.compile(r"[^\W\d_]{3,40}")


def page_alone(reading: Reading) -> str | None:
    """HTML, and no plain text beside it."""
    texts = reading.letter.texts
    return "" if texts and all(text.is_html for text in texts) else None


def page_is_picture(reading: Reading) -> str | None:
    """The page is pictures, with hardly a word."""
    html = reading.html[:40000].lower()
    images = html.count("<img") + html.count("background=") + html.count("<v:fill")
    if not images:
        return None
    words = len(_WORD.findall(reading.shown[:4000]))
    return f"{images} pictures, {words} words" if words < 25 else None


def page_words_cut(reading: Reading) -> str | None:
    """Words of the page are cut by comments or unknown tags, so that filters do not know them."""
    html = reading.html[:40000]
    if not html:
        return None
    count = 0
    for match in itertools.islice(_INSIDE.finditer(html.encode("utf-8", "replace")), MAX_INSIDE):
        name = _NAME.match(match[0], 1)
        if name is None or name[1] is None or name[1].decode().lower() not in _TAGS:
            count += 1
    return f"{count} places" if count >= 2 else None


def alternatives_differ(reading: Reading) -> str | None:
    """Plain text and HTML are offered as the same thing, and have next to no word in common."""
    texts = reading.letter.texts
    if "multipart/alternative" not in reading.letter.first("content-type").lower() or len(texts) != 2:
        return None
    if texts[0].is_html or not texts[1].is_html:
        return None
    one = {word.lower() for word in _WORD.findall(texts[0].source[:5000])}
    other = {word.lower() for word in _WORD.findall(reading.shown_of(texts[1])[:8000])}
    if len(one) < 12 or len(other) < 12:
        return None
    common = len(one & other) / min(len(one), len(other))
    return f"{common:.0%} in common" if common < 0.15 else None


def page_without_end(reading: Reading) -> str | None:
    """A page that begins and does not end."""
    html = reading.html.lower()
    return "" if "<html" in html and "</html" not in html and len(html) < 90000 else None


def page_in_plain(reading: Reading) -> str | None:
    """A text declared as plain is a page."""
    for text in reading.letter.texts:
        if not text.is_html:
            start = text.source[:400].lstrip().lower()
            if start.startswith(("<html", "<!doctype html", "<body", "<head")):
                return text.path
    return None


FACTS = (
    page_alone, page_is_picture, page_words_cut, alternatives_differ, page_without_end, page_in_plain,
)  # fmt: skip
