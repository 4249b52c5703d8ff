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
_STUFFED = re2.compile(r"<[a-zA-Z]\w*(?:\s+[^\s<>=\"']+=\"\"){20}", options())
_ACTS = re2.compile(
    r"(?i)<input\b[^<>]{0,200}type\s*=\s*[\"']?password"
    r"|document\.write\s*\(\s*(?:unescape|atob|decodeURI|[\w.]{0,40}decrypt)|\bnew\s+Function\s*\("
    r"|\[\s*[\"'`]location[\"'`]\s*\]|fromCharCode\s*\([^;\r\n]{0,200}\^"
    r"|(?:window|document|self|top|parent)?\.?\blocation(?:\.href)?\s*=\s*(?:[\"'`]\s*https?:|atob|unescape|decodeURI)"
    r"|location\.(?:replace|assign)\s*\(|http-equiv\s*=\s*[\"']?refresh|eval\s*\(\s*(?:unescape|atob|decodeURI|String)",
    options(),
)
MAX_SHEETS = 10
"""Style sheets of a mail that are looked at."""
MAX_ATTACHED_PAGE = 64 * 1024
"""Octets of an attached page: reports with their own programs in them are larger."""
MAX_INSIDE = 300
"""Tags in the midst of letters that are looked at."""
_WORD = re.compile(r"[^\W\d_]{3,40}")
_ALIKE = 0.15
"""Share of their words that two forms of one text have in common at least."""


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
    words = sum(1 for _word in itertools.islice(_WORD.finditer(reading.shown[:4000]), 25))
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
    if len(one) < 12:
        return None
    other: set[str] = set()
    common = 0
    for match in _WORD.finditer(reading.shown_of(texts[1])[:8000]):
        if (word := match[0].lower()) not in other:
            other.add(word)
            common += word in one
            if common >= _ALIKE * len(one):
                # Whatever follows, they have as much in common; most have that after a line.
                return None
    if len(other) < 12:
        return None
    share = common / min(len(one), len(other))
    return f"{share:.0%} in common" if share < _ALIKE else None


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


def style_holds_words(reading: Reading) -> str | None:
    """A style sheet without a single rule in it, but with many words, which no reader sees."""
    html = reading.html.lower()
    end = 0
    for _turn in range(MAX_SHEETS):
        begin = html.find("<style", end)
        begin = html.find(">", begin) if begin >= 0 else -1
        if begin < 0:
            break
        end = html.find("</style", begin)
        # One that does not end is cut off, or goes on to the end of the mail.
        sheet = html[begin + 1 : end if end >= 0 else len(html)][:8000]
        if "{" not in sheet and "@" not in sheet and (words := len(_WORD.findall(sheet))) >= 30:
            return f"{words} words"
        if end < 0:
            break
    return None


def tag_stuffed(reading: Reading) -> str | None:
    """A tag has many attributes of random names and without values."""
    html = reading.html[:40000]
    if html.count('=""') < 20:
        return None
    if (found := _STUFFED.search(html.encode("utf-8", "replace"))) is None:
        return None
    tag: bytes = found[0]
    return tag[:40].decode("utf-8", "replace")


def page_hides_words(reading: Reading) -> str | None:
    """A page of few words hides many others."""
    pages = [text for text in reading.letter.texts if text.is_html]
    hidden = sum(len(_WORD.findall(text.hidden[:8000])) for text in pages)
    if hidden < 25:
        return None
    shown = sum(len(_WORD.findall(text.shown[:8000])) for text in pages)
    return f"{hidden} hidden, {shown} shown" if hidden > 1.5 * shown else None


def attached_page_acts(reading: Reading) -> str | None:
    """A small attached page goes somewhere by itself, writes itself, or asks for a password."""
    for text in reading.letter.attached:
        if len(text.data) <= MAX_ATTACHED_PAGE:
            source = text.source
            if "<" in source and (found := _ACTS.search(source.encode("utf-8", "replace"))):
                act: bytes = found[0]
                return act[:60].decode("utf-8", "replace")
    return None


OF_PAGES = (
    style_holds_words, tag_stuffed, page_hides_words, page_alone, page_is_picture, page_words_cut,
    alternatives_differ, page_without_end,
)  # fmt: skip
"""Those that hold of mails with HTML in them alone."""
FACTS = (*OF_PAGES, attached_page_acts, page_in_plain)
