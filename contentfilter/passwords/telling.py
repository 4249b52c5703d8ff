"""Reads a message for the words in it: its subject, its text parts, the names of its files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from contentfilter.content import references
from contentfilter.content.limits import KIB, MIB, Budget, ScanOptions
from contentfilter.content.part import Content, Part
from contentfilter.message import MessageReader, Wire
from contentfilter.message.parameters import decode_words
from contentfilter.passwords.words import candidates

_HEADER = 64 * KIB
_LEAF = 128 * KIB
"""Octets of a leaf, as it is encoded, from which on it is no letter."""
_TEXT = 64 * KIB
"""Octets of one text that are looked at."""
_TEXTS = 16
_NAMES = 50
_PARTS = 200
_SUBJECT = re.compile(
    rb"(?:\A|\n)(?:subject|thread-topic)[ \t]*:([^\n]{0,2000}(?:\n[ \t][^\n]{0,2000}){0,20})", re.I
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b"))
_HTML = re.compile(rb"<(?:html|body|div|p|br|span|table|font|meta)\b", re.I)
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:]{0,20})?[^<>]{0,4000}>")
_INLINE = frozenset(
    {"a", "b", "i", "u", "em", "strong", "span", "font", "s", "small", "big", "code", "mark", "tt"}
)
_HIDDEN = ("style", "script")


def told_by_mail(wire: Wire, options: ScanOptions) -> Iterable[str]:
    """Words of the message that may be passwords, the likeliest first.

    Arguments:
        wire: the message.
        options: its bounds; a reading for words alone keeps to closer ones of its own.
    """
    budget = Budget(replace(options, parts=_PARTS, work=4 * wire.length + MIB, leaf_size=_LEAF))
    texts = list(_subjects(wire.text(0, min(wire.length, _HEADER))))
    names: list[str] = []
    for item in MessageReader(wire, budget).read():
        if not isinstance(item, Part):
            continue
        if not budget.take_part():
            break
        name = item.path.rpartition("/")[2]
        if "/" in item.path and len(names) < _NAMES:
            names.append(name)
        if len(texts) < _TEXTS and (text := as_text(item.data)):
            texts.append(text)
    return candidates(texts, names)


def told_by_name(name: str) -> Iterable[str]:
    """Words of a document's own name; all there is where no mail is around it."""
    return candidates((), (name.rpartition("/")[2],))


def _subjects(head: bytes) -> Iterator[str]:
    for end in (head.find(b"\n\r\n"), head.find(b"\n\n")):
        head = head[: end + 1] if end >= 0 else head
    for match in _SUBJECT.finditer(head.replace(b"\r\n", b"\n")):
        raw = re.sub(rb"\n[ \t]", b" ", match[1]).strip()
        yield decode_words(_decoded(raw))


def as_text(data: Content) -> str:
    """The beginning of ``data`` as text, without the tags of HTML; empty if it is no text."""
    raw = bytes(data[:_TEXT])
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = raw.decode("utf-16", "replace")
    elif not raw.strip() or raw.translate(None, _CONTROLS) != raw:
        return ""
    else:
        text = _decoded(raw)
    return without_tags(text) if _HTML.search(raw.replace(b"\0", b"")) else text


def _decoded(raw: bytes) -> str:
    try:
        # The last character may be cut.
        return raw.decode("utf-8", "strict" if len(raw) < _TEXT else "ignore")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def without_tags(text: str) -> str:
    """The words of a web page: what only changes their looks cuts none, everything else does."""
    pieces, at, hidden = [], 0, ""
    for match in _TAG.finditer(text):
        name = (match[2] or "").lower()
        if hidden:
            if not match[1] or name != hidden:
                continue
            hidden = ""
        else:
            pieces.append(text[at : match.start()])
            hidden = name if name in _HIDDEN and not match[1] else ""
            if name not in _INLINE and not match[0].startswith("<!--"):
                pieces.append("\n")
        at = match.end()
    if not hidden:
        pieces.append(text[at:])
    return references.unescaped("".join(pieces))
