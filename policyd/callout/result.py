"""What a callout can end with, and what a server's reply to RCPT means."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase

from mailbase.replies import Reply

_STATUS = re.compile(rb"[2-5][0-9][0-9][ -]([245])\.([0-9]{1,3})\.[0-9]{1,3}(?![0-9])")
_PROTOCOL = frozenset({500, 502, 503, 504, 530, 535, 538})
"""Replies about the dialogue (RFC 5321 4.2.2, RFC 3207, RFC 4954), whatever they come in answer to."""
_POLICY = b"7"
"""Subject of enhanced status codes on security and policy (RFC 3463 3.8)."""

_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


class Result(enum.StrEnum):
    """What is known of a recipient."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CATCH_ALL = "catch-all"
    """Its server takes whatever it is told."""
    TEMPORARY = "temporary"
    """Nobody could say."""
    BUSY = "busy"
    """Too many callouts wait for its server."""
    OVER_BUDGET = "over-budget"
    """Too much has been asked already, by this client or of this server."""
    UNFIT = "unfit"
    """No mail for it can reach this server: non-ASCII without SMTPUTF8, or longer than a line of SMTP."""
    UNASKABLE = "unaskable"
    """Its server must not be called."""

    # As for Stage: a key on the hot path.
    __hash__ = str.__hash__


def folded(local: str) -> str:
    """A local part in the one form in which it is remembered: ASCII in lower case, all else as it is.

    The Kelvin sign's lower case is the letter k: what is found out of one address must not hold for another.
    """
    return local.lower() if local.isascii() else local.translate(_LOWER)


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a callout is about.

    Arguments:
        local: local part as Postfix gives it, without the quotes of SMTP.
        domain: normalised.
        server: name of the registered server that it belongs to.
    """

    local: str
    domain: str
    server: str

    @property
    def key(self) -> tuple[str, str]:
        """What is the same for spellings of one address."""
        return self.domain, folded(self.local)


def result_of(reply: Reply) -> Result:
    """What a reply to RCPT says of the recipient.

    Only a refusal for the recipient's own sake means that it is unknown: not one by policy (5.7.x), and not
    one that is about the dialogue.
    """
    if 200 <= reply.code < 300:
        return Result.KNOWN
    if reply.code < 500 or reply.code in _PROTOCOL:
        return Result.TEMPORARY
    for line in reply.verbatim:
        status = _STATUS.match(line)
        if status is not None and (status[2] == _POLICY or status[1] == b"4"):
            return Result.TEMPORARY
    return Result.UNKNOWN
