"""A message as it is for programs that stumble over NUL and bare CR, or clear them away.

Postfix lets both through. A line end that only some see, or a header line that ends early for programs
written in C, makes another message of the same octets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.content.limits import MIB

MAX_SIZE = 16 * MIB
"""Octets of a message that is read again so."""

_BARE_CR = re.compile(rb"\r(?!\n)")
_BLANK_CR = re.compile(rb"(?<![ \t])[ \t]*+\r(?!\n)")
_BLANK = re.compile(rb"(?<![ \t])[ \t]++\r")
_OCTETS = tuple(bytes((octet,)) for octet in range(256))
_IN_STRUCTURE = re.compile(
    rb"(?<![ \t\0\r])[ \t\0]*+\r(?!\n)[ \t\0\r]*+(?:--|content-)"
    rb"|(?:\A|\n)(?:--|content-)[^\n]{0,200}(?:\0|\r(?!\n))",
    re.IGNORECASE,
)
_AFTER_NUL = re.compile(rb"(?m)^((?:--|[ \t]|[!-9;-~]{1,60}:)[^\r\n\0]*)\0[^\r\n]*")


def is_strange(text: bytes | bytearray) -> bool:
    """Whether there is a NUL in the text, or a CR that ends no line."""
    return b"\0" in text or _BARE_CR.search(text) is not None


def in_structure(data: bytes) -> bool:
    """Whether one of them stands at a delimiter or in a MIME field."""
    return _IN_STRUCTURE.search(data) is not None


def variants(data: bytes) -> Iterator[bytes]:
    """The messages that programs make of ``data``."""
    forms = [data]
    if b"\0" in data:
        forms += [data.replace(b"\0", b""), _AFTER_NUL.sub(rb"\1", data)]
        yield from forms[1:]
    for form in forms:
        if _BARE_CR.search(form):
            yield from _without_bare_cr(form)


def _without_bare_cr(form: bytes) -> Iterator[bytes]:
    """With line ends in place of bare CR and blanks before it, and without bare CR.

    Millions of them are replaced at once where an octet is free to stand for true line ends.
    """
    mark = next((octet for octet in _OCTETS if octet not in form), b"")
    if not mark:
        yield _BLANK_CR.sub(b"\r\n", form)
        yield _BARE_CR.sub(b"", form)
        return
    marked = form.replace(b"\r\n", mark)
    yield _BLANK.sub(b"\r", marked).replace(b"\r", b"\r\n").replace(mark, b"\r\n")
    yield marked.replace(b"\r", b"").replace(mark, b"\r\n")
