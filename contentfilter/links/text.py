"""URLs in the words of a text: with a scheme, with ``www.``, or a bare name that programs make a link of.

Also those that are written so that programs overlook them and people do not: ``hxxp://``, ``example[.]com``,
``example (dot) com``, letters of full width.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailbase.organisation import is_top_level

MAX_FOUND = 1_000
"""URLs of one text that are told."""
MAX_LENGTH = 2_000
"""Characters of one."""

# Case is left to the words alone: else nothing would be passed over quickly.
_DISGUISED = re.compile(r"[\[({](?:\s?(?:\.|(?i:dot|d0t|punkt))\s?[\])}]|:[\])]|:?//[\])])")
_PLAIN_DOT = re.compile(r"[ \t]?[\[({][ \t]?(?:\.|dot|d0t|punkt)[ \t]?[\])}][ \t]?", re.IGNORECASE)
_PLAIN_COLON = re.compile(r"[\[(](:?(?://)?)[\])]")
_WIDE = re.compile("[\u2024\u3002\ufe52\uff0e\uff61\uff10-\uff5a]")
_NARROW = {ord(wide): "." for wide in "\u2024\u3002\ufe52\uff0e\uff61"} | {
    code: chr(code - 0xFEE0) for code in range(0xFF0F, 0xFF5B)
}
_URL = re.compile(
    # A scheme, and all up to a bracket.
    r"(?<![a-z0-9])(?:h(?:tt|xx|tx|xt|\*\*)ps?|ftp|fxp):(?://|\\\\)(?P<full>[^<>\"\x00-\x1f]{1,2000}+)"
    # Or a name of two labels or more, not within an address or a path.
    r"|(?<![\w@.=/\\%+~-])(?P<name>[\w-]{1,63}+(?>(?:\.[\w-]{1,63}+)+))(?![@\w])"
    r"(?::[0-9]{1,5}(?![0-9]))?(?P<path>[/?#][^<>\"\x00-\x1f]{0,1900}+)?",
    re.IGNORECASE,
)
_FILES = frozenset({"cc", "md", "mov", "pl", "ps", "py", "rs", "sh", "so", "zip", "java", "cab", "bat", "ai"})
"""Top levels that are rather the ends of file names where nothing else makes them the end of a host's."""
_TRAILING = ".,;:!?'\u2019\u201d\u00bb*_~|`\\"
_PAIRS = {")": "(", "]": "[", "}": "{"}
_INNER_DOT = re.compile(r"\.\S")
"""A dot that is not the end of a word; most are that of a sentence."""
_FOREIGN = re.compile(r"[^\x00-\x7f]")


def urls_in(text: str) -> Iterator[str]:
    """The URLs in a text, each as it is written but for what hides it; those without a scheme as well.

    Arguments:
        text: what a reader sees.
    """
    text = undisguised(text)
    # Most texts have none at all, most lines of the others neither, and are not cut into words for it.
    if "//" not in text and "\\\\" not in text and not _INNER_DOT.search(text):
        return
    count = 0
    for line in text.split("\n"):
        slashes = "//" in line or "\\\\" in line
        if not slashes and not _INNER_DOT.search(line):
            continue
        for word in line.split():
            if "." not in word[:-1] and not (slashes and ("//" in word or "\\\\" in word)):
                continue
            for found in _URL.finditer(word):
                if found["full"] is not None or _is_host(found["name"], found["path"] is not None):
                    yield _ended(found[0])[:MAX_LENGTH]
                    count += 1
                    if count >= MAX_FOUND:
                        return


def undisguised(text: str) -> str:
    """``text`` with dots, colons and letters in place of what stands for them."""
    if not text.isascii() and _WIDE.search(text):
        text = text.translate(_NARROW)
    if ("[" in text or "(" in text or "{" in text) and _DISGUISED.search(text):
        text = _PLAIN_COLON.sub(r"\1", _PLAIN_DOT.sub(".", text))
    return text


def _is_host(name: str, more: bool) -> bool:
    """Whether a name without a scheme is a host: ``example.org``, and not ``e.g.this`` or ``report.py``.

    Arguments:
        more: whether a path follows.
    """
    labels = name.count(".") + 1
    if name[:4].lower() == "www." and labels > 2:
        return True
    top = name.rpartition(".")[2]
    lower = top.lower()
    if not is_top_level(lower if lower.isascii() else _a_label(lower)):
        return False
    # "... the end.In the beginning"
    if not more and labels == 2 and top not in (lower, top.upper()):
        return False
    return lower not in _FILES or more


def _a_label(label: str) -> str:
    found = _FOREIGN.search(label)
    if found and found.start() and is_top_level(label[: found.start()]):
        return label[: found.start()]
    try:
        return "xn--" + label[:63].encode("punycode").decode()
    except UnicodeError:
        return label


def _ended(url: str) -> str:
    """Without what belongs to the sentence around it."""
    end = len(url)
    surplus = {close: url.count(close) - url.count(opening) for close, opening in _PAIRS.items()}
    while end:
        last = url[end - 1]
        if last in _TRAILING:
            end -= 1
        elif surplus.get(last, 0) > 0:
            surplus[last] -= 1
            end -= 1
        else:
            break
    url = url[:end]
    # Where words are not divided by blanks, text goes on behind the host.
    head = url.partition("://")[2] if "://" in url else url
    host = re.split(r"[/\\?#:]", head, maxsplit=1)[0]
    if not host.isascii():
        label = host.rpartition(".")[2]
        found = _FOREIGN.search(label)
        if found and found.start() > 1 and is_top_level(label[: found.start()].lower()):
            cut = url.index(host) + len(host) - len(label) + found.start()
            return url[:cut]
    return url
