"""What SpamAssassin's spamd is asked, and what its answers mean (its file spamd/PROTOCOL). Pure.

``SYMBOLS`` has the score, and the names of the rules that fit. ``REPORT`` would tell what each adds, but in a
text that the postmaster may write anew, with a preview of the mail in the middle of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from contentfilter.spamengines.opinion import Opinion, Symbol, heaviest, number
from contentfilter.spamengines.question import KEPT, Asked, Nonsense
from mailbase.replies import printable

VERSION = "SPAMC/1.5"
MAX_HEADER = 16 * 1024
"""Octets of the answer's header."""
MAX_BODY = KEPT
"""Octets of an answer's body; all of SpamAssassin's rules are a quarter of it."""
EX_TIMEOUT = 79
"""spamd had no time left (its own number; the others stand in sysexits.h)."""

_HEAD = re.compile(rb"SPAMD/[0-9]{1,3}\.[0-9]{1,3} ([0-9]{1,5})(?: ([^\r\n]*))?")
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*([0-9]{1,10})[ \t]*\r?$")
_SPAM = re.compile(
    rb"(?im)^spam:[ \t]*(?:true|false|yes|no)[ \t]*;[ \t]*(-?[0-9]{1,9}(?:\.[0-9]{1,9})?)"
    rb"[ \t]*/[ \t]*(-?[0-9]{1,9}(?:\.[0-9]{1,9})?)[ \t]*\r?$"
)
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+=-]{0,127}")
_BLANK = re.compile(rb"\r?\n\r?\n")


class SpamdQuestion:
    """See :class:`contentfilter.spamengines.question.Question`; the answer is all of it, header and body.

    Arguments:
        head: the request up to its blank line.
        body: pieces of the message; read only as they are sent.
    """

    closing = True
    """spamd reads lines: without it, it would wait for the end of a last one that has none."""
    reusable = False
    """spamd closes after each answer."""

    def __init__(self, head: bytes, body: Iterable[bytes] = ()) -> None:
        self._head = head
        self._body = body
        self._received = bytearray()
        self._begin = 0
        self._end = 0
        """Octets of the whole answer; 0: not known yet."""

    def frames(self) -> Iterator[bytes]:
        """See there."""
        yield self._head
        yield from self._body

    def receive(self, data: bytes) -> bytes | None:
        """See there."""
        self._received += data
        if not self._begin:
            self._read_head()
        if not self._begin or len(self._received) < (self._end or MAX_HEADER + MAX_BODY):
            return None
        if not self._end:
            raise Nonsense("an answer without an end")
        return bytes(self._received[: self._end])

    def ended(self) -> bytes:
        """See there."""
        if not self._begin and _HEAD.match(self._received):
            # An error, or PONG: a single line.
            self._refuse()
            return bytes(self._received)
        if not self._begin or self._end:
            raise Nonsense("the connection was closed before the end of the answer")
        return bytes(self._received)

    def _read_head(self) -> None:
        end = _BLANK.search(self._received, 0, MAX_HEADER)
        if end is None:
            if len(self._received) >= MAX_HEADER:
                raise Nonsense("an answer whose header has no end")
            return
        head = bytes(self._received[: end.start()])
        if not _HEAD.match(head):
            raise Nonsense(f"not spamd: {printable(head, 100)}")
        self._refuse()
        self._begin = end.end()
        if length := _LENGTH.search(head):
            if int(length[1]) > MAX_BODY:
                raise Nonsense(f"an answer of more than {MAX_BODY} octets")
            self._end = self._begin + int(length[1])

    def _refuse(self) -> None:
        """Raise what spamd says if it is an error."""
        found = _HEAD.match(self._received)
        if found is not None and (status := int(found[1])) != 0:
            raise Nonsense(
                f"spamd: {status} {printable(found[2] or b'', 200)}".rstrip(), late=status == EX_TIMEOUT
            )


def symbols(asked: Asked, user: str = "") -> SpamdQuestion:
    """The question what it thinks of a mail.

    Arguments:
        user: whose preferences count; empty: spamd's own.
    """
    head = f"SYMBOLS {VERSION}\r\nContent-length: {asked.size}\r\n"
    # What is no name could say something else to it.
    if _USER.fullmatch(user):
        head += f"User: {user}\r\n"
    return SpamdQuestion(head.encode("ascii") + b"\r\n", asked.content())


def ping() -> SpamdQuestion:
    """The question whether it is there."""
    return SpamdQuestion(f"PING {VERSION}\r\n\r\n".encode("ascii"))


def pong(answer: bytes) -> bool:
    """Whether this answers :func:`ping`."""
    found = _HEAD.match(answer)
    return found is not None and (found[2] or b"").strip() == b"PONG"


def opinion(answer: bytes) -> Opinion:
    """What it says of a mail.

    Raises:
        Nonsense: it says nothing that can be understood.
    """
    blank = _BLANK.search(answer)
    found = _SPAM.search(answer, 0, blank.start()) if blank else None
    if blank is None or found is None:
        raise Nonsense("an answer without a score")
    names = (name.strip().decode("latin-1") for name in answer[blank.end() :].split(b","))
    top, more = heaviest(Symbol(name) for name in names)
    return Opinion(number(float(found[1])), number(float(found[2])), top, more)
