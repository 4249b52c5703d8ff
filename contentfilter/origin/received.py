"""Who brought a mail to a trusted relay in front of us, from the Received lines (RFC 5321 4.4). Pure.

Only what a trusted relay wrote itself is believed. Each puts its line on top, so the topmost lines are ours,
then the relay's; what stands below the first line that names a stranger may be made up by that stranger. A
line that could be read in two ways is not read at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailbase.addresses import is_host_name, pack

MAX_HOPS = 12
"""Received lines that are looked at: relays of one's own and of the upstream's site."""
MAX_LINE = 2000
"""Characters of one, unfolded."""
MAX_COMMENTS = 8
"""Comments between "from" and "by"."""

_FIELD = re.compile(rb"(?im)^received:((?:[^\r\n]|\r(?!\n)|\r\n[ \t])*)")
_SPACE = re.compile(r"[ \t\r\n]+")
# What looks like an address, in brackets or not; 7.100.51.198.dsl.example does not.
_SOME_ADDRESS = re.compile(
    r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9a-z.-])"
    r"|(?<![0-9a-z])[0-9a-f]{0,4}::?[0-9a-f]+:[0-9a-f:.]*",
    re.IGNORECASE,
)
# Postfix, Sendmail: "name [address]", "name [address] (may be forged)", "[address]:port".
_NAMED = re.compile(
    r"(?:(?:[^\s@()\[\]=]+@)?([^\s@()\[\]=]+) )?\[((?:IPv6:)?[0-9a-f:.]+)\](?::[0-9]+)?( \(may be forged\))?",
    re.IGNORECASE,
)
# Exim: "[address]:port helo=name ident=user", and "helo=name" alone where it knows no host name.
_EXIM = re.compile(r"\[((?:IPv6:)?[0-9a-f:.]+)\](?::[0-9]+)?(?: helo=(\S+))?(?: ident=\S+)?", re.IGNORECASE)
_HELO = re.compile(r"helo=(\S+)(?: ident=\S+)?", re.IGNORECASE)
_LITERAL = re.compile(r"\[((?:IPv6:)?[0-9a-f:.]+)\](?::[0-9]+)?", re.IGNORECASE)
# Exchange: "(address)"; qmail: "(HELO name) (user@address)".
_BARE = re.compile(r"(?:[^\s@()\[\]]+@)?((?:IPv6:)?[0-9a-f:.]+)", re.IGNORECASE)
_QMAIL = re.compile(r"(?:HELO|EHLO) (\S+)")


@dataclass(frozen=True, slots=True)
class Hop:
    """The client of one SMTP transaction, as its server wrote it down.

    Arguments:
        address: 4 or 16 octets.
        helo: what the client called itself; empty if the server did not write it.
        name: the client's name by reverse DNS, lower case; empty where there is none, or it is doubtful.
    """

    address: bytes
    helo: str = ""
    name: str = ""


def received_lines(head: bytes) -> Iterator[str]:
    """The contents of the Received lines, topmost first, each on one line; at most :data:`MAX_HOPS`.

    Arguments:
        head: the beginning of a message in its wire form.
    """
    header, end, _ = head.partition(b"\r\n\r\n")
    for number, found in enumerate(_FIELD.finditer(header)):
        # What is cut off must not be read as if it were whole.
        if number >= MAX_HOPS or (not end and found.end() + 2 >= len(header)):
            return
        yield _SPACE.sub(" ", found[1].decode("utf-8", "replace")).strip()


def parse_received(line: str) -> Hop | None:
    """What a server wrote of its client; None if it names no address, or it cannot be read for certain.

    Arguments:
        line: the content of a Received line, unfolded.
    """
    if len(line) > MAX_LINE or line[:5].lower() != "from ":
        return None
    word, rest = _word(line[5:])
    comments: list[str] = []
    while rest[:1] == "(":
        comment, rest = _comment(rest)
        if comment is None or len(comments) >= MAX_COMMENTS:
            return None
        comments.append(comment)
    if rest[:3].lower() != "by " or not word:
        # Something between the comments and "by" that no server writes.
        return None
    if " by " in rest[2:].lower():
        # One of the two is the client's.
        return None
    stated = comments[1:] if comments and _QMAIL.fullmatch(comments[0]) else comments
    if len(_SOME_ADDRESS.findall(_HELO.sub("", " ".join(stated)))) > 1:
        # More than one address: the client may have written one of them into its HELO.
        return None
    return _read(word, comments)


def client_of(lines: Iterator[str], connected: bytes, trusted: Callable[[bytes], bool]) -> Hop | None:
    """Who brought the mail to the outermost trusted relay; None if that cannot be told.

    Arguments:
        lines: of :func:`received_lines`.
        connected: the address of the relay that brought it to us.
        trusted: whether an address is one whose line is believed: a trusted relay's, or one that nobody
            outside can have.
    """
    for number, line in enumerate(lines):
        hop = parse_received(line)
        if hop is None:
            return None
        if number == 0 and hop.address == connected:
            # Our own Postfix's line.
            continue
        if not trusted(hop.address):
            return hop
    return None


def _read(word: str, comments: list[str]) -> Hop | None:
    if not comments:
        found = _LITERAL.fullmatch(word)
        return _hop(found[1]) if found else None
    first = comments[0]
    if found := _NAMED.fullmatch(first):
        doubtful = found[1] is None or found[3] is not None
        return _hop(found[2], word, "" if doubtful else found[1])
    if found := _EXIM.fullmatch(first):
        return _hop(found[1], found[2] or "", "" if _LITERAL.fullmatch(word) else word)
    literal = _LITERAL.fullmatch(word)
    if (found := _HELO.fullmatch(first)) and literal:
        return _hop(literal[1], found[1])
    if found := _QMAIL.fullmatch(first):
        second = _BARE.fullmatch(comments[1]) if len(comments) > 1 else None
        return _hop(second[1], found[1]) if second else None
    if found := _BARE.fullmatch(first):
        return _hop(found[1], word)
    return None


def _hop(address: str, helo: str = "", name: str = "") -> Hop | None:
    packed = pack(address)
    if packed is None:
        return None
    name = name.rstrip(".").lower()
    return Hop(packed, helo, name if is_host_name(name) else "")


def _word(text: str) -> tuple[str, str]:
    """The first word of ``text``, which ends at a blank or before a comment, and what follows it."""
    found = re.match(r"[^\s()]+", text)
    if found is None:
        return "", text
    rest = text[found.end() :]
    # No server writes "from host(comment)".
    return (found[0], rest.lstrip(" ")) if rest[:1] == " " else ("", text)


def _comment(text: str) -> tuple[str | None, str]:
    """The comment at the beginning, without its parentheses (None if it does not end), and the rest."""
    depth = 0
    for place, letter in enumerate(text):
        if letter == "\\":
            # A quoted pair: no server writes one for an honest client.
            return None, text
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return text[1:place], text[place + 1 :].lstrip(" ")
    return None, text
