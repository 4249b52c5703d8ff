"""The shape of what is written: capitals, scripts, length."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contentfilter.rules.reading import Reading

_LOOKALIKE = re.compile("[\u0370-\u03ff\u0400-\u052f\u13a0-\u13ff\uab70-\uabbf]")
_MIXED = re.compile(
    "[A-Za-z][\u0370-\u03ff\u0400-\u052f\u13a0-\u13ff]|[\u0370-\u03ff\u0400-\u052f\u13a0-\u13ff][A-Za-z]"
)
_WORD = re.compile(r"[^\W\d_]{2,40}")
_STYLED = re.compile("[\U0001d400-\U0001d7ff\U0001f130-\U0001f189\u24b6-\u24e9\uff21-\uff3a\uff41-\uff5a]")
_HIDDEN = re.compile("[^\\W\\d_][\u00ad\u200b\u2060\ufeff\u200e\u200f\u034f][^\\W\\d_]")
_MARKS = "\u00ad\u200b\u2060\ufeff\u200e\u200f\u034f"
_CONTROL = re.compile("[\x01-\x08\x0b\x0c\x10-\x1a\x1c-\x1f\x7f]")


def text_half_capitals(reading: Reading) -> str | None:
    """Between a quarter and three quarters of the text is in capitals."""
    share = reading.capitals
    return f"{share:.0%}" if 0.25 <= share < 0.75 else None


def text_capitals(reading: Reading) -> str | None:
    """Nearly all of the text is in capitals."""
    share = reading.capitals
    return f"{share:.0%}" if share >= 0.75 else None


def scripts_mixed(reading: Reading) -> str | None:
    """Words of subject, sender or text are spelt with letters of two alphabets that look alike."""
    for place, text in (("subject", reading.subject[:500]), ("from", reading.sender.name[:200])):
        if not text.isascii() and _MIXED.search(text):
            return place
    text = reading.shown[:20000]
    if text.isascii() or not _LOOKALIKE.search(text):
        return None
    count = sum(1 for _match in _MIXED.finditer(text))
    return f"{count} places" if count >= 5 else None


def letters_styled(reading: Reading) -> str | None:
    """Subject or sender is written with mathematical or boxed letters, which no keyboard has."""
    for place, text in (("subject", reading.letter.first("subject")), ("from", reading.letter.first("from"))):
        if not text.isascii() and len(_STYLED.findall(text[:500])) >= 3:
            return place
    return None


def letters_invisible(reading: Reading) -> str | None:
    """Words are cut by characters that nobody sees."""
    subject = reading.letter.first("subject")[:500]
    if not subject.isascii() and _HIDDEN.search(subject):
        return "subject"
    source = reading.source[:40000]
    if source.isascii() or not any(mark in source for mark in _MARKS):
        return None
    count = len(_HIDDEN.findall(source))
    return f"{count} places" if count >= 8 else None


def text_empty(reading: Reading) -> str | None:
    """There is no text to be read, nor an attachment."""
    return "" if not reading.shown.strip() and not reading.attachments else None


def text_is_link(reading: Reading) -> str | None:
    """Few words, and a link."""
    urls = reading.urls
    if not 1 <= len(urls) <= 2 or reading.attachments:
        return None
    text = reading.shown[:2000]
    for url in urls:
        text = text.replace(url.text, "")
    words = sum(1 for _word in islice(_WORD.finditer(text), 13))
    return f"{words} words" if words <= 12 else None


def subject_only_attachment(reading: Reading) -> str | None:
    """An attachment, and not a word beside it."""
    return "" if reading.attachments and not _WORD.search(reading.shown[:500]) else None


def exclamations(reading: Reading) -> str | None:
    """More than one sentence in thirty words is shouted."""
    text = reading.shown[:8000]
    if (marks := text.count("!")) < 4:
        return None
    words = text.count(" ")
    return f"{marks} in {words} words" if words >= 30 and marks * 30 > words else None


def charset_wrong(reading: Reading) -> str | None:
    """A text declared as US-ASCII holds other octets."""
    for text in reading.letter.texts:
        if (
            text.charset.lower() in ("us-ascii", "ascii")
            and text.encoding in ("identity", "7bit", "8bit", "")
            and not text.data.isascii()
        ):
            return text.path
    return None


def base64_needless(reading: Reading) -> str | None:
    """A text of plain ASCII is encoded in base64, which hides it and does nothing else."""
    for text in reading.letter.texts:
        plain = text.encoding == "base64" and text.data.isascii() and len(text.data) > 40
        # Declared as UTF-8 it may be the habit of a program that always encodes.
        if plain and text.charset.lower() not in ("utf-8", "utf8", "iso-2022-jp"):
            return text.path
    return None


def replies_to_nothing(reading: Reading) -> str | None:
    """Subject says that this is an answer, and nothing else does: no reference, no quotation."""
    if not _REPLY.match(reading.subject):
        return None
    letter = reading.letter
    if "in-reply-to" in letter or "references" in letter or "thread-index" in letter:
        return None
    return "" if not _QUOTED.search(reading.source[:20000]) else None


_REPLY = re.compile(r"\s*(?:re|aw|antw|sv)\s?(?:\[\d{1,3}\])?:", re.IGNORECASE)
_QUOTED = re.compile(
    r"(?m)^[>|:]|wrote:|writes:|schrieb|-----|<blockquote|From:|Von:|gmail_quote|said:|^\w{2,4}>",
    re.IGNORECASE,
)


def controls_in_header(reading: Reading) -> str | None:
    """Subject or From holds control characters."""
    for name in ("subject", "from"):
        if _CONTROL.search(reading.letter.first(name)[:500]):
            return name
    return None


FACTS = (
    text_half_capitals, text_capitals, scripts_mixed, letters_styled, letters_invisible, text_empty,
    text_is_link, subject_only_attachment, exclamations, charset_wrong, base64_needless,
    replies_to_nothing, controls_in_header,
)  # fmt: skip
