"""Received lines (RFC 5321 4.4), as far as rules need them: from whom a server had the mail, as it says."""

from __future__ import annotations

import re

from contentfilter.rules.dates import Moment, moment_of
from mailbase.once import once

MAX_LINE = 2000
"""Characters of a line that are looked at."""
_ADDRESS = re.compile(
    r"[\[(]((?:\d{1,3}\.){3}\d{1,3}|(?:IPv6:)?[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})[\])]"
)
_NAME = re.compile(r"\(\s{0,5}(?:\S{1,80}@)?([A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){1,20})\.?\s{1,5}\[")
_HELO = re.compile(r"\b(?:helo|ehlo)[=\s]\s{0,5}([^\s()]{1,255})")
_END = re.compile(r"[\s;()]")
_PRIVATE = re.compile(
    r"(?:127|10|0)\.|192\.168\.|169\.254\.|172\.(?:1[6-9]|2\d|3[01])\.|::1|ipv6:(?:::1|f[cde])"
)
_AUTHENTICATED = frozenset({"ESMTPA", "ESMTPSA", "UTF8SMTPA", "UTF8SMTPSA", "LMTPA", "LMTPSA", "ASMTP"})
"""Protocols of clients that gave a password (RFC 3848, RFC 6531)."""
_DOUBTS = ("unknown", "may be forged", "unverified")


class Hop:
    """One Received line. What it says is looked for when somebody asks.

    Arguments:
        line: unfolded.
    """

    def __init__(self, line: str) -> None:
        line = line[:MAX_LINE].replace("\t", " ")
        front, _, self._when = line.rpartition(";")
        self._front = front or line
        # A line that is a comment alone is qmail's own hand-over: "(qmail 1 invoked by uid 502)".
        by = -1 if self._front.lstrip().startswith("(") else self._front.find(" by ")
        # What stands behind "by" is about the server, not about the client.
        self._about = self._front[:by] if by >= 0 else self._front
        self._server = self._front[by + 4 : by + 300].lstrip() if by >= 0 else ""
        if by < 0 and self._front[:3].lower() == "by ":
            self._about, self._server = "", self._front[3:300].lstrip()

    @once
    def _named(self) -> tuple[str, str]:
        about = self._about.lstrip()
        words = about[5:300].split(None, 1) if about[:5].lower() == "from " else []
        origin = words[0] if words else ""
        lower = about.lower()
        helo = _HELO.search(lower) if "helo" in lower or "ehlo" in lower else None
        name = _NAME.search(about)
        called = helo[1] if helo else origin
        known = name[1] if name else origin if helo else ""
        return called.strip("[]()").rstrip(".").lower(), known.strip("[]()").lower()

    @property
    def helo(self) -> str:
        """What the client called itself, small letters; empty where the line does not tell."""
        return self._named[0]

    @property
    def name(self) -> str:
        """The client's name in DNS, verified or not, small letters; empty where the line does not tell."""
        return self._named[1]

    @once
    def address(self) -> str:
        """The client's IP address; empty where the line does not tell."""
        found = _ADDRESS.search(self._about)
        return found[1].lower() if found else ""

    @once
    def by(self) -> str:
        """The server that wrote the line, by its own account, small letters."""
        return _END.split(self._server, maxsplit=1)[0].rstrip(".").lower()

    @once
    def protocol(self) -> str:
        """``ESMTP`` and the like, capitals; empty where the line does not tell."""
        _, found, behind = self._front.partition(" with ")
        return _END.split(behind.lstrip(), maxsplit=1)[0][:20].upper() if found else ""

    @property
    def outside(self) -> bool:
        """Whether the client has a public address; one that gave a password is a user at home."""
        return bool(self.address and not _PRIVATE.match(self.address) and self.protocol not in _AUTHENTICATED)

    @once
    def moment(self) -> Moment | None:
        """When; None where it cannot be read."""
        return moment_of(self._when.strip())

    @property
    def doubtful(self) -> bool:
        """Whether the line says itself that the client's name cannot be believed."""
        about = self._about.lower()
        return any(doubt in about for doubt in _DOUBTS)
