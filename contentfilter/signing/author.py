"""The domain of a message's author, from the beginning of the message (RFC 5322 3.6.2). Pure.

Strict on purpose: what programs may read in different ways has no author here. What is signed is safe all the
same, since only domains of the sender's own registration come into question.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from contentfilter.signing.reasons import Reason
from mailbase.addresses import split_mailbox

MAX_VALUE = 2000
"""Octets of a From field that are looked at."""

_FROM = re.compile(rb"(?im)^from[ \t]*:((?>(?:[^\r\n]++|\r\n[ \t]|\r(?!\n))*))")
_SPECIAL = frozenset(b'"(),:;<>\\')


class NoAuthor(Exception):
    """There is none to go by.

    Attributes:
        reason: why.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


def author_domain(head: bytes) -> str:
    """The normalised domain of the one author.

    Arguments:
        head: the beginning of a message; lines end with CRLF.

    Raises:
        NoAuthor: none, several, or nobody can tell.
    """
    header = head.partition(b"\r\n\r\n")[0]
    values = [found[1] for found in _FROM.finditer(header)]
    if len(values) != 1:
        raise NoAuthor("several-from" if values else "no-from")
    return domain_in(values[0])


def domain_in(value: bytes) -> str:
    """The normalised domain of the one mailbox in a From field's value.

    Raises:
        NoAuthor: none, several, or nobody can tell.
    """
    if len(value) > MAX_VALUE:
        raise NoAuthor("unclear-from")
    text = value.replace(b"\r\n", b"")
    # "Doe, John <john@inst.example>": words without an address are part of somebody's name.
    found = [entry for entry in _mailboxes(text) if entry.angles or b"@" in _without_quotes(entry.words)]
    mailboxes = [_address(entry) for entry in found]
    if len(mailboxes) != 1:
        raise NoAuthor("several-from" if mailboxes else "no-from")
    if b"\r" in text or b"\0" in text:
        raise NoAuthor("unclear-from")
    mailbox = split_mailbox(mailboxes[0])
    if mailbox is None or "." not in mailbox.domain or mailbox.domain[0] == "[":
        raise NoAuthor("unclear-from")
    return mailbox.domain


@dataclass(frozen=True, slots=True)
class _Entry:
    """What stands between two commas: outside of angle brackets, without comments, and in each of them."""

    words: bytes
    angles: list[bytes]


def _mailboxes(text: bytes) -> list[_Entry]:
    entries: list[_Entry] = []
    outside, angles = bytearray(), list[bytes]()
    place, size = 0, len(text)
    while place < size:
        octet = text[place]
        if octet not in _SPECIAL:
            outside.append(octet)
            place += 1
        elif octet == 0x22:
            end = _quoted(text, place)
            outside += text[place:end]
            place = end
        elif octet == 0x28:
            place = _comment(text, place)
            outside += b" "
        elif octet == 0x3C:
            end = _angle(text, place)
            angles.append(text[place + 1 : end - 1])
            place = end
        elif octet == 0x2C:
            entries.append(_Entry(bytes(outside), angles))
            outside, angles = bytearray(), []
            place += 1
        else:
            # A group, a closing bracket without an opening one, a backslash outside of quotes.
            raise NoAuthor("unclear-from")
    entries.append(_Entry(bytes(outside), angles))
    return entries


def _address(entry: _Entry) -> bytes:
    # An address that stands for the name, before the one in brackets, is no author's.
    if len(entry.angles) > 1:
        raise NoAuthor("unclear-from")
    return _solid(entry.angles[0] if entry.angles else entry.words)


def _solid(address: bytes) -> bytes:
    """An address without blanks around it; none may be within, but in quotes."""
    address = address.strip(b" \t")
    rest = _without_quotes(address)
    if rest.count(b"@") != 1 or b" " in rest or b"\t" in rest or any(octet in _SPECIAL for octet in rest):
        raise NoAuthor("unclear-from")
    return address


def _without_quotes(text: bytes) -> bytes:
    made, place = bytearray(), 0
    while (start := text.find(b'"', place)) >= 0:
        made += text[place:start] + b"q"
        place = _quoted(text, start)
    return bytes(made + text[place:])


def _quoted(text: bytes, start: int) -> int:
    """Where the quoted string ends that begins at ``start``."""
    place = start + 1
    while place < len(text):
        if text[place] == 0x5C:
            place += 2
        elif text[place] == 0x22:
            return place + 1
        else:
            place += 1
    raise NoAuthor("unclear-from")


def _comment(text: bytes, start: int) -> int:
    depth, place = 0, start
    while place < len(text):
        octet = text[place]
        if octet == 0x5C:
            place += 1
        elif octet == 0x28:
            depth += 1
        elif octet == 0x29:
            depth -= 1
            if depth == 0:
                return place + 1
        place += 1
    raise NoAuthor("unclear-from")


def _angle(text: bytes, start: int) -> int:
    place = start + 1
    while place < len(text):
        octet = text[place]
        if octet == 0x22:
            place = _quoted(text, place)
            continue
        if octet == 0x3E:
            return place + 1
        if octet == 0x3C:
            break
        place += 1
    raise NoAuthor("unclear-from")
